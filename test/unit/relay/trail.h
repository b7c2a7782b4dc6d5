/* SPDX-License-Identifier: MIT */
/*
 * What the worlds of this room's tests have in common: an audit trail whose records are kept as text and acknowledged
 * when the test says so, and a configuration that must be good. Included behind the definition of struct world, whose
 * members log, done, done_ctx and available it uses.
 */
#ifndef TEST_UNIT_RELAY_TRAIL_H
#define TEST_UNIT_RELAY_TRAIL_H

static inline uint64_t submit(void *ctx, struct audit_record *record, audit_done_fn *done, void *done_ctx)
{
	struct world *w = ctx;
	size_t len;
	char *json = audit_record_json(record, &len);
	strbuf_add(&w->log, json, len);
	strbuf_puts(&w->log, "\n");
	mem_free(json);
	if (done != NULL) {
		w->done = done;
		w->done_ctx = done_ctx;
	}
	return 7;
}

static inline void forget(void *ctx, uint64_t ticket)
{
	struct world *w = ctx;
	assert_int_equal(ticket, 7);
	w->done = NULL;
}

static inline bool available(void *ctx)
{
	return ((struct world *)ctx)->available;
}

/* Of t.yaml; where it is not, what is wrong with it is printed. */
static inline struct config *load_good(const struct file_source *source)
{
	struct diag_list diags;
	diag_init(&diags, "t.yaml");
	struct config *config = config_load("t.yaml", source, &diags);
	for (size_t i = 0; config == NULL && i < diags.count; i++) {
		char *line = diag_format(&diags, &diags.items[i]);
		print_message("%s\n", line);
		mem_free(line);
	}
	assert_non_null(config);
	diag_fini(&diags);
	return config;
}

#endif
