/* SPDX-License-Identifier: MIT */
/*
 * Which changes need a restart: what was made once for the life of the program (processes, their account, shared
 * memory, the control socket, the audit log's place and form). Everything else may change, and is named by the schema's
 * own comparison, so that no key is forgotten here.
 */
#include "daemon/reload.h"

#include <string.h>

#include "base/array.h"
#include "policy/config_diff.h"

#define RESTART ": this takes a restart of portcullis"

struct refusal {
	const struct config *before, *after;
	const struct reload_fixed *fixed;
	struct diag_list *diags;
	bool audit_said;
};

static const struct config_mark whole_file;

static void refuse_workers(struct refusal *r)
{
	if (r->fixed->workers != r->fixed->workers_new)
		diag_add(r->diags, DIAG_ERROR, whole_file, "\"workers\" cannot change from %u to %u" RESTART,
			 r->fixed->workers, r->fixed->workers_new);
}

static void refuse_user(struct refusal *r)
{
	diag_add(r->diags, DIAG_ERROR, r->after->user_mark, "\"user\" cannot change from %s to %s" RESTART,
		 r->before->user, r->after->user);
}

static void refuse_connections(struct refusal *r)
{
	if (r->after->limits.connections > (int64_t)r->fixed->connections)
		diag_add(r->diags, DIAG_ERROR, whole_file,
			 "\"limits.connections\" cannot go above %u, for which memory was set aside at the start"
			 " (%lld is asked for)" RESTART,
			 r->fixed->connections, (long long)r->after->limits.connections);
}

static void refuse_socket(struct refusal *r)
{
	diag_add(r->diags, DIAG_ERROR, whole_file, "\"admin.socket\" cannot change from %s to %s" RESTART,
		 r->before->admin.socket, r->after->admin.socket);
}

/* What is remembered would be left behind unseen. */
static void refuse_state(struct refusal *r)
{
	if (config_has_peers(r->before))
		diag_add(r->diags, DIAG_ERROR, whole_file,
			 "\"state-directory\" cannot change from %s to %s while peer memory is in use" RESTART,
			 r->before->state_directory, r->after->state_directory);
}

static void refuse_audit(struct refusal *r)
{
	if (r->audit_said)
		return;
	r->audit_said = true;
	diag_add(r->diags, DIAG_ERROR, r->after->audit.output_mark,
		 "\"audit.output\", \"audit.chain\" and \"audit.signing-key\" cannot change: one chain of records must "
		 "not end and another begin unseen" RESTART);
}

static const struct {
	const char *key;
	void (*refuse)(struct refusal *r);
} fixed_keys[] = {
    {"workers", refuse_workers},
    {"user", refuse_user},
    {"limits.connections", refuse_connections},
    {"admin.socket", refuse_socket},
    {"audit.output", refuse_audit},
    {"audit.chain", refuse_audit},
    {"audit.signing-key", refuse_audit},
    {"state-directory", refuse_state},
};

static void refuse_key(void *ctx, const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(fixed_keys); i++)
		if (strcmp(key, fixed_keys[i].key) == 0)
			fixed_keys[i].refuse(ctx);
}

void reload_refuse(const struct config *before, const struct config *after, const struct reload_fixed *fixed,
		   struct diag_list *diags)
{
	struct refusal r = {.before = before, .after = after, .fixed = fixed, .diags = diags};

	config_diff(before, after, refuse_key, &r);
}

int reload_find_listener(const struct config *config, const struct addr *address)
{
	for (size_t i = 0; i < config->listener_count; i++)
		if (addr_equal(&config->listeners[i].address, address))
			return (int)i;
	return -1;
}

/* The elements of a list under way: "listeners: a added, b removed". */
struct list_words {
	struct strbuf *out;
	const char *list, *separator;
};

static void say_element(struct list_words *words, const char *name, const char *what)
{
	if (words->list)
		strbuf_printf(words->out, "%s%s:", words->separator, words->list);
	strbuf_printf(words->out, "%s %s %s", words->list ? "" : ",", name, what);
	words->list = NULL;
}

static void describe_listeners(const struct config *before, const struct config *after, struct list_words *words)
{
	char name[ADDR_TEXT_SIZE];

	for (size_t i = 0; i < after->listener_count; i++) {
		const struct config_listener *l = &after->listeners[i];
		int old = reload_find_listener(before, &l->address);

		addr_text(&l->address, name);
		if (old < 0)
			say_element(words, name, "added");
		else if (!config_same_listener(&before->listeners[old], l))
			say_element(words, name, "changed");
	}
	for (size_t i = 0; i < before->listener_count; i++) {
		if (reload_find_listener(after, &before->listeners[i].address) >= 0)
			continue;
		addr_text(&before->listeners[i].address, name);
		say_element(words, name, "removed");
	}
}

static void describe_domains(const struct config *before, const struct config *after, struct list_words *words)
{
	for (size_t i = 0; i < after->domain_count; i++) {
		const struct config_domain *d = &after->domains[i];
		const struct config_domain *old = config_find_domain(before, d->name);

		if (!old)
			say_element(words, d->name, "added");
		else if (!config_same_domain(old, d))
			say_element(words, d->name, "changed");
	}
	for (size_t i = 0; i < before->domain_count; i++)
		if (!config_find_domain(after, before->domains[i].name))
			say_element(words, before->domains[i].name, "removed");
}

struct description {
	const struct config *before, *after;
	struct strbuf *out;
};

static void describe_key(void *ctx, const char *key)
{
	struct description *d = ctx;
	const char *separator = d->out->len > 0 ? "; " : "";
	struct list_words words = {.out = d->out, .list = key, .separator = separator};

	if (strcmp(key, "listeners") == 0)
		describe_listeners(d->before, d->after, &words);
	else if (strcmp(key, "domains") == 0)
		describe_domains(d->before, d->after, &words);
	/* Also a list that is only in another order. */
	if (words.list)
		strbuf_printf(d->out, "%s%s", separator, key);
}

void reload_describe(const struct config *before, const struct config *after, struct strbuf *out)
{
	struct description d = {.before = before, .after = after, .out = out};

	config_diff(before, after, describe_key, &d);
	if (out->len == 0 && !out->overflow)
		strbuf_puts(out, "nothing has changed");
}
