/* SPDX-License-Identifier: MIT */
/* What the loader says of a text, as one string: a line "LINE:COLUMN: message" for each finding. */
#ifndef TEST_UNIT_POLICY_CONFIG_LINES_H
#define TEST_UNIT_POLICY_CONFIG_LINES_H

#include "base/strbuf.h"
#include "memory_source.h"
#include "policy/config.h"

/* Stands behind a text that is about something else, to make it whole. */
#define LISTENERS "listeners: [{role: c2s-inbound, address: \"[::]:5222\"}]\n"
#define DOMAINS "domains: [{name: a.example, certificate: c, private-key: k, backend: {c2s: \"127.0.0.1:1\"}}]\n"
#define REST LISTENERS DOMAINS
/* Likewise, where other servers come into it. */
#define S2S                                                                 \
	"listeners: [{role: s2s-outbound, address: \"127.0.0.1:15270\"}]\n" \
	"domains: [{name: a.example, certificate: c, private-key: k, backend: {s2s: \"127.0.0.1:15269\"}}]\n"

/* What a machine has that looks names up. */
#define RESOLVERS "nameserver 127.0.0.1\n"
#define ANCHOR ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"

struct config_case {
	const char *text;
	const char *expected; /* "" : it loads */
};

static inline struct config *config_from(const char *text, struct diag_list *diags)
{
	struct memory_file files[] = {
	    {"/etc/p/p.yaml", text, strlen(text), 0},
	    {"/etc/p/c", "certificate", 11, 0},
	    {"/etc/p/k", "private key", 11, 0},
	    {"/etc/p/empty", "", 0, 0},
	    {"/etc/ssl/certs/ca-certificates.crt", "authorities", 11, 0},
	    {"/etc/resolv.conf", RESOLVERS, strlen(RESOLVERS), 0},
	    {"/usr/share/dns/root.key", ANCHOR, strlen(ANCHOR), 0},
	    {NULL, NULL, 0, 0},
	};
	struct file_source source = {.read = memory_source_read, .ctx = files};
	return config_load("/etc/p/p.yaml", &source, diags);
}

/* The caller frees. *loaded_out: did a configuration come out. */
static inline char *config_lines(const char *text, int *loaded_out)
{
	struct diag_list diags;
	struct strbuf all;
	diag_init(&diags, "");
	strbuf_init(&all, 65536);
	struct config *config = config_from(text, &diags);
	*loaded_out = config != NULL;
	for (size_t i = 0; i < diags.count; i++) {
		char *line = diag_format(&diags, &diags.items[i]);
		strbuf_printf(&all, "%s%s", i ? "\n" : "", line + 1);
		mem_free(line);
	}
	config_unref(&config);
	diag_fini(&diags);
	char *result = mem_strdup(strbuf_text(&all));
	strbuf_fini(&all);
	return result;
}

/* Every case: exactly the expected lines, and a configuration only where there are none, or only warnings. */
#define assert_cases(cases)                                                                            \
	for (size_t i_ = 0; i_ < sizeof(cases) / sizeof((cases)[0]); i_++) {                           \
		int loaded_;                                                                           \
		char *lines_ = config_lines((cases)[i_].text, &loaded_);                               \
		if (strcmp(lines_, (cases)[i_].expected) != 0)                                         \
			fail_msg("case %zu:\n%s\nsaid:\n%s\nnot:\n%s", i_, (cases)[i_].text, lines_,   \
				 (cases)[i_].expected);                                                \
		assert_int_equal(loaded_, lines_[0] == '\0' || strstr(lines_, ": warning: ") != NULL); \
		mem_free(lines_);                                                                      \
	}

#endif
