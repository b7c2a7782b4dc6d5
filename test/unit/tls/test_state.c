/* SPDX-License-Identifier: MIT */
/* The state on an SSL: found again, and given back exactly when the SSL goes. */
#include "tls/state_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "base/mem.h"

static unsigned released;

static void release(struct tls_store **store)
{
	*store = NULL;
	released++;
}

static void test_lives_as_long_as_its_ssl(void **state)
{
	(void)state;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL *ssl = SSL_new(ctx);
	struct tls_state *mine = mem_zalloc(sizeof(*mine));
	mine->release = release;
	mine->server_name = mem_strdup("a.example");
	assert_null(tls_state(ssl));
	assert_true(tls_state_attach(ssl, mine));
	assert_ptr_equal(tls_state(ssl), mine);
	assert_int_equal(released, 0);
	SSL_free(ssl);
	assert_int_equal(released, 1);
	SSL_CTX_free(ctx);
	tls_state_free(NULL);
	assert_int_equal(released, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lives_as_long_as_its_ssl)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
