/* SPDX-License-Identifier: MIT */
/*
 * Answers of the control socket as people read them. A peer's text in a list of streams was escaped by the worker; it
 * is cut to its column here. An answer with an `error` member is handed back as the error it is.
 */
#include "daemon/status.h"

#include <jansson.h>
#include <string.h>

#include "base/array.h"
#include "daemon/answer_private.h"

json_t *answer_load(const char *json, size_t len, struct errbuf *err)
{
	json_t *answer = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	const char *error = json_string_value(json_object_get(answer, "error"));

	if (json_is_object(answer) && !error)
		return answer;
	errbuf_set(err, "%s", error ? error : "the answer is not one of portcullis");
	json_decref(answer);
	return NULL;
}

const char *answer_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text && *text ? text : "-";
}

long long answer_number(const json_t *object, const char *name)
{
	return (long long)json_integer_value(json_object_get(object, name));
}

int answer_print(FILE *out, const char *json, size_t len, struct errbuf *err)
{
	json_t *answer = answer_load(json, len, err);

	if (!answer)
		return -1;
	json_decref(answer);
	fwrite(json, 1, len, out);
	if (len == 0 || json[len - 1] != '\n')
		fputc('\n', out);
	return 0;
}

static void print_numbers(FILE *out, const char *title, json_t *numbers)
{
	const char *name;
	json_t *value;

	if (json_object_size(numbers) == 0)
		return;
	fprintf(out, "%s\n", title);
	json_object_foreach(numbers, name, value)
	    fprintf(out, "  %-28s %12lld\n", name, (long long)json_integer_value(value));
}

static void print_workers(FILE *out, const json_t *workers)
{
	fprintf(out, "workers\n");
	for (size_t i = 0; i < json_array_size(workers); i++) {
		const json_t *worker = json_array_get(workers, i);

		fprintf(out, "  %-4lld pid %-8lld incarnation %-4lld %lld streams\n", answer_number(worker, "slot"),
			answer_number(worker, "pid"), answer_number(worker, "incarnation"),
			answer_number(worker, "open"));
	}
}

static void print_memory(FILE *out, const json_t *memory)
{
	if (!json_is_true(json_object_get(memory, "in_use"))) {
		fprintf(out, "peer memory   not in use\n");
		return;
	}
	fprintf(out, "peer memory   %s; %lld remembered, %lld observations lost\n",
		json_is_true(json_object_get(memory, "failing")) ? "CANNOT BE USED" : "well",
		answer_number(memory, "remembered"), answer_number(memory, "lost"));
}

int status_print(FILE *out, const char *json, size_t len, struct errbuf *err)
{
	json_t *status = answer_load(json, len, err);
	const json_t *keeper = json_object_get(status, "keeper"), *reload = json_object_get(status, "reload");

	if (!status)
		return -1;
	fprintf(out, "portcullis %s, pid %lld, %s since %s (%lld s)\n", answer_text(status, "version"),
		answer_number(status, "pid"), answer_text(status, "state"), answer_text(status, "since"),
		answer_number(status, "uptime"));
	fprintf(out, "configuration %s, loaded %s\n", answer_text(status, "configuration"),
		answer_text(status, "loaded"));
	if (reload)
		fprintf(out, "last reload   %s %s: %s\n", answer_text(reload, "at"),
			json_is_true(json_object_get(reload, "ok")) ? "done" : "REFUSED", answer_text(reload, "text"));
	fprintf(out, "audit log     %s; %lld records written, last seq %lld (keeper pid %lld)\n",
		json_is_true(json_object_get(keeper, "failing")) ? "CANNOT BE WRITTEN" : "well",
		answer_number(keeper, "written"), answer_number(keeper, "seq"), answer_number(keeper, "pid"));
	print_memory(out, json_object_get(status, "memory"));
	print_workers(out, json_object_get(status, "workers"));
	print_numbers(out, "open streams", json_object_get(status, "streams"));
	print_numbers(out, "counters", json_object_get(status, "counters"));
	print_numbers(out, "refusals", json_object_get(status, "refusals"));
	print_numbers(out, "other ends of streams", json_object_get(status, "ended"));
	json_decref(status);
	return 0;
}

struct column {
	const char *title, *member, *inner; /* inner: the member of that member */
	int width;
};

static const struct column columns[] = {
    {"ID", "id", NULL, 16},
    {"ROLE", "role", NULL, 12},
    {"STATE", "state", NULL, 12},
    {"SOURCE", "source", NULL, 24},
    {"WHO", "auth_identity", NULL, 28}, /* before authentication: what the header claims */
    {"TO", "to", NULL, 20},
    {"TLS", "outer", "version", 4},
    {"CIPHER", "outer", "cipher", 28},
    {"INNER", "inner", "version", 5},
    {"VERIFIED", "verification", NULL, 9},
    {"AUTH", "auth_method", NULL, 14},
};

static const char *cell(const json_t *stream, const struct column *c)
{
	if (c->inner != NULL)
		return answer_text(json_object_get(stream, c->member), c->inner);
	bool claimed = strcmp(c->member, "auth_identity") == 0 && !json_object_get(stream, c->member);
	return answer_text(stream, claimed ? "from" : c->member);
}

static void print_stream(FILE *out, const json_t *stream)
{
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		const struct column *c = &columns[i];
		fprintf(out, "%-*.*s ", c->width, c->width, cell(stream, c));
	}
	fprintf(out, "%8lld %12lld %12lld\n", answer_number(stream, "age_ms") / 1000, answer_number(stream, "bytes_in"),
		answer_number(stream, "bytes_out"));
}

int streams_print(FILE *out, const char *json, size_t len, struct errbuf *err)
{
	json_t *answer = answer_load(json, len, err);
	const json_t *streams = json_object_get(answer, "streams"), *silent = json_object_get(answer, "unanswered");

	if (!answer)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		fprintf(out, "%-*s ", columns[i].width, columns[i].title);
	fprintf(out, "%8s %12s %12s\n", "AGE(s)", "BYTES IN", "BYTES OUT");
	for (size_t i = 0; i < json_array_size(streams); i++)
		print_stream(out, json_array_get(streams, i));
	for (size_t i = 0; i < json_array_size(silent); i++)
		fprintf(out, "worker %lld did not answer in time: its streams are missing above\n",
			(long long)json_integer_value(json_array_get(silent, i)));
	json_decref(answer);
	return 0;
}
