/* SPDX-License-Identifier: MIT */
/* chain: lines computed by another implementation (Python's hashlib), and every way a line can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "audit/chain.h"
#include "base/array.h"

static const char line1[] = "{\"a\":1,\"audit\":{\"seq\":1,\"chain\":"
			    "\"c85a9d54b5f316badd5b75c4557dd110c44984584570ac77f35e72a20a5d4c6b\"}}";
static const char line2[] = "{\"@timestamp\":\"x\",\"k\":\"v\",\"audit\":{\"seq\":2,\"previous\":\"00\",\"chain\":"
			    "\"444004d6ace04c3d79b1666aad780a217b95f4df9e7d943140fef79664614e0d\"}}";
static const char line3[] = "{\"a\":1,\"audit\":{\"seq\":3,\"chain\":"
			    "\"c7f37121cc1eab76c31d2ec0e853af6835918a669edd3b521189132d74884f54\"}}";

static void writes_the_vectors(void **state)
{
	static const char body2[] = "{\"@timestamp\":\"x\",\"k\":\"v\"}";
	struct audit_chain chain;
	struct strbuf out;
	char hex[65];

	(void)state;
	audit_chain_init(&chain);
	audit_chain_hex(&chain, hex);
	assert_string_equal(hex, "0000000000000000000000000000000000000000000000000000000000000000");
	strbuf_init(&out, 4096);
	audit_chain_line(&chain, &out, "{\"a\":1}", 7, NULL);
	audit_chain_line(&chain, &out, body2, sizeof(body2) - 1, "\"previous\":\"00\"");
	audit_chain_line(&chain, &out, "{\"a\":1}", 7, NULL);
	assert_memory_equal(out.data, line1, sizeof(line1) - 1);
	assert_int_equal(out.data[sizeof(line1) - 1], '\n');
	assert_memory_equal(out.data + sizeof(line1), line2, sizeof(line2) - 1);
	assert_memory_equal(out.data + sizeof(line1) + sizeof(line2), line3, sizeof(line3) - 1);
	assert_int_equal(out.len, sizeof(line1) + sizeof(line2) + sizeof(line3));
	assert_int_equal(chain.seq, 3);
	audit_chain_hex(&chain, hex);
	assert_string_equal(hex, "c7f37121cc1eab76c31d2ec0e853af6835918a669edd3b521189132d74884f54");
	strbuf_fini(&out);
}

static void checks_the_vectors(void **state)
{
	struct audit_chain chain;
	const char *why = "";

	(void)state;
	audit_chain_init(&chain);
	assert_int_equal(audit_chain_check(&chain, line1, sizeof(line1) - 1, &why), 0);
	assert_int_equal(audit_chain_check(&chain, line2, sizeof(line2) - 1, &why), 0);
	assert_int_equal(audit_chain_check(&chain, line3, sizeof(line3) - 1, &why), 0);
	assert_int_equal(chain.seq, 3);
}

static void refuse(const char *line, size_t len, const char *want)
{
	struct audit_chain chain, before;
	const char *why = "";

	audit_chain_init(&chain);
	assert_int_equal(audit_chain_check(&chain, line1, sizeof(line1) - 1, &why), 0);
	before = chain;
	assert_int_equal(audit_chain_check(&chain, line, len, &why), -1);
	assert_string_equal(why, want);
	assert_memory_equal(&chain, &before, sizeof(chain));
}

static void notices_order(void **state)
{
	(void)state;
	refuse(line1, sizeof(line1) - 1, "the sequence goes back: this record was seen before");
	refuse(line3, sizeof(line3) - 1, "the sequence has a gap: records before this one are missing");
}

/* Any byte of a line, whichever, changed to another: never taken. */
static void notices_every_byte(void **state)
{
	struct audit_chain chain, start;
	char copy[sizeof(line2)];
	const char *why;
	size_t i;

	(void)state;
	audit_chain_init(&start);
	assert_int_equal(audit_chain_check(&start, line1, sizeof(line1) - 1, &why), 0);
	for (i = 0; i < sizeof(line2) - 1; i++) {
		memcpy(copy, line2, sizeof(copy));
		copy[i] ^= 1;
		chain = start;
		why = NULL;
		if (!audit_chain_check(&chain, copy, sizeof(line2) - 1, &why))
			fail_msg("byte %zu", i);
		assert_non_null(why);
	}
}

static void notices_shape(void **state)
{
	static const char *const rows[] = {
	    "",
	    "{}",
	    "{\"a\":1}",
	    "{\"a\":1,\"chain\":\"c85a9d54b5f316badd5b75c4557dd110c44984584570ac77f35e72a20a5d4c6b\"}}",
	    "{\"a\":1,\"audit\":{\"seq\":02,\"chain\":"
	    "\"c85a9d54b5f316badd5b75c4557dd110c44984584570ac77f35e72a20a5d4c6b\"}}",
	    "{\"a\":1,\"audit\":{\"seq\":2x,\"chain\":"
	    "\"c85a9d54b5f316badd5b75c4557dd110c44984584570ac77f35e72a20a5d4c6b\"}}",
	    "{\"a\":1,\"audit\":{\"seq\":,\"chain\":"
	    "\"c85a9d54b5f316badd5b75c4557dd110c44984584570ac77f35e72a20a5d4c6b\"}}",
	    "{\"a\":1,\"audit\":{\"seq\":99999999999999999999999,\"chain\":"
	    "\"c85a9d54b5f316badd5b75c4557dd110c44984584570ac77f35e72a20a5d4c6b\"}}",
	    "{\"a\":1,\"audit\":{\"seq\":2,\"chain\":"
	    "\"C85A9D54B5F316BADD5B75C4557DD110C44984584570AC77F35E72A20A5D4C6B\"}}",
	    "{\"a\":1,\"audit\":{\"seq\":2,\"chain\":"
	    "\"c85a9d54b5f316badd5b75c4557dd110c44984584570ac77f35e72a20a5d4c6b\"}} ",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		refuse(rows[i], strlen(rows[i]), "not a record of a chained log");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_the_vectors), cmocka_unit_test(checks_the_vectors), cmocka_unit_test(notices_order),
	    cmocka_unit_test(notices_every_byte), cmocka_unit_test(notices_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
