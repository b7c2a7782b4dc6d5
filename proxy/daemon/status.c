/* SPDX-License-Identifier: MIT */
/*
 * The status answer: sums over the shared slots. Everything in it is our own (counts, pids, names from our own tables):
 * no text of a peer gets in.
 */
#include "daemon/status.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/level.h"
#include "xmpp/reason.h"

_Static_assert((int)REASON_COUNT <= SHARED_REASONS_MAX, "a counter for each reason");
_Static_assert((int)ROLE_COUNT == SHARED_ROLES, "a gauge for each role");

static void put_number(json_t *object, const char *name, uint64_t number)
{
	json_object_set_new(object, name, json_integer((json_int_t)number));
}

static json_t *workers_json(const struct shared *shared)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < shared->workers; i++) {
		const struct shared_slot *slot = &shared->slot[i];
		json_t *worker = json_object();
		int64_t open = 0;

		for (unsigned role = 0; role < SHARED_ROLES; role++)
			open += atomic_load(&slot->open[role]);
		put_number(worker, "slot", i);
		put_number(worker, "pid", (uint64_t)atomic_load(&slot->pid));
		put_number(worker, "incarnation", atomic_load(&slot->incarnation));
		json_object_set_new(worker, "open", json_integer(open));
		json_array_append_new(list, worker);
	}
	return list;
}

static json_t *streams_json(const struct shared *shared)
{
	json_t *streams = json_object();

	for (unsigned role = 0; role < SHARED_ROLES; role++)
		json_object_set_new(streams, role_name((enum role)role), json_integer(shared_total_open(shared, role)));
	return streams;
}

static json_t *counters_json(const struct shared *shared)
{
	json_t *counters = json_object();

	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		put_number(counters, shared_counter_name((enum shared_counter)i),
			   shared_total(shared, (enum shared_counter)i));
	return counters;
}

/* refusals: true for the reasons by which policy or protocol refused, false for every other end of a stream. */
static json_t *reasons_json(const struct shared *shared, bool refusals)
{
	json_t *reasons = json_object();

	for (unsigned i = 1; i < REASON_COUNT; i++) {
		const struct reason_info *info = reason_info((enum reason)i);
		uint64_t total = shared_total_reason(shared, i);

		if (total > 0 && info->refusal == refusals)
			put_number(reasons, info->word, total);
	}
	return reasons;
}

static json_t *keeper_json(const struct shared *shared)
{
	const struct shared_keeper *keeper = &shared->keeper;
	json_t *object = json_object();

	put_number(object, "pid", (uint64_t)atomic_load(&keeper->pid));
	put_number(object, "incarnation", atomic_load(&keeper->incarnation));
	json_object_set_new(object, "failing", json_boolean(atomic_load(&keeper->failing) != 0));
	put_number(object, "written", atomic_load(&keeper->written));
	put_number(object, "seq", atomic_load(&keeper->seq));
	return object;
}

static json_t *memory_json(const struct shared *shared, bool in_use)
{
	const struct shared_keeper *keeper = &shared->keeper;
	uint64_t lost = atomic_load(&keeper->observations_lost) + shared_total(shared, COUNTER_OBSERVATIONS_LOST);
	json_t *object = json_object();

	json_object_set_new(object, "in_use", json_boolean(in_use));
	json_object_set_new(object, "failing", json_boolean(in_use && atomic_load(&keeper->memory_failing) != 0));
	put_number(object, "remembered", atomic_load(&keeper->peers));
	put_number(object, "observations", atomic_load(&keeper->observations));
	put_number(object, "lost", lost);
	return object;
}

static void put_time(json_t *object, const char *name, int64_t us)
{
	char text[CLOCK_RFC3339_SIZE];

	clock_rfc3339(us, text);
	json_object_set_new(object, name, json_string(text));
}

static json_t *reload_json(const struct reload_outcome *reload)
{
	char safe[RELOAD_TEXT_MAX * 4];
	json_t *object = json_object();

	put_time(object, "at", reload->at_us);
	json_object_set_new(object, "ok", json_boolean(reload->ok));
	log_safe(safe, sizeof(safe), reload->text, strlen(reload->text), RELOAD_TEXT_MAX);
	json_object_set_new(object, "text", json_string(safe));
	return object;
}

char *status_json(const struct status_facts *facts)
{
	json_t *status = json_object();
	char *text, *out;

	json_object_set_new(status, "version", json_string(PORTCULLIS_VERSION));
	put_number(status, "pid", (uint64_t)getpid());
	json_object_set_new(status, "state", json_string(facts->state));
	json_object_set_new(status, "configuration", json_string(facts->config_path));
	put_time(status, "loaded", facts->loaded_us);
	if (facts->reload.text)
		json_object_set_new(status, "reload", reload_json(&facts->reload));
	put_time(status, "since", facts->since_us);
	put_number(status, "uptime", facts->uptime_ms / 1000);
	json_object_set_new(status, "workers", workers_json(facts->shared));
	json_object_set_new(status, "streams", streams_json(facts->shared));
	json_object_set_new(status, "counters", counters_json(facts->shared));
	json_object_set_new(status, "refusals", reasons_json(facts->shared, true));
	json_object_set_new(status, "ended", reasons_json(facts->shared, false));
	json_object_set_new(status, "keeper", keeper_json(facts->shared));
	json_object_set_new(status, "memory", memory_json(facts->shared, facts->memory));
	text = json_dumps(status, JSON_COMPACT);
	out = mem_printf("%s\n", text ? text : "{\"error\":\"internal error\"}");
	free(text);
	json_decref(status);
	return out;
}
