/* SPDX-License-Identifier: MIT */
/* What tls_check finds in a configuration of one domain, compared with what it should find; for the tls room's tests.
 */
#ifndef TEST_UNIT_TLS_FINDINGS_H
#define TEST_UNIT_TLS_FINDINGS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "certs.h"
#include "tls/check.h"
#include "tls/store.h"

#define DAY 86400L

static struct cert ca;

static inline struct config *one_domain(const struct cert *leaf, const struct cert *issuer)
{
	struct config *config = certs_config(1);

	certs_domain(config, 0, "a.example", leaf, issuer);
	return config;
}

static inline size_t run(const struct config *config, char *out, size_t size)
{
	struct diag_list diags;
	size_t used = 0, errors;

	diag_init(&diags, "test.yaml");
	tls_check(config, time(NULL), &diags);
	out[0] = '\0';
	for (size_t i = 0; i < diags.count && used < size; i++) {
		const struct diag *d = &diags.items[i];

		used += (size_t)snprintf(out + used, size - used, "%c%d:%s\n", d->severity == DIAG_ERROR ? 'E' : 'W',
					 d->mark.line, d->text);
	}
	errors = diags.errors;
	diag_fini(&diags);
	return errors;
}

/* NULL: nothing may be found. Otherwise exactly this one finding, whose text starts so. */
static inline void expect(const struct config *config, const char *finding)
{
	char out[4096];
	size_t errors = run(config, out, sizeof(out));

	if (!finding) {
		assert_string_equal(out, "");
		return;
	}
	if (strncmp(out, finding, strlen(finding)) != 0)
		assert_string_equal(out, finding);
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
	assert_int_equal(errors, finding[0] == 'E');
}

static inline int ca_setup(void **state)
{
	(void)state;
	tls_library_init();
	ca = certs_make(&(struct cert_spec){.cn = "Test CA", .key = "rsa2048", .ca = true}, NULL);
	return 0;
}

static inline int ca_teardown(void **state)
{
	(void)state;
	certs_free(&ca);
	return 0;
}

#endif
