/* SPDX-License-Identifier: MIT */
/* Answers on the wire, byte by byte: what counts as one, and what of it is kept. */
#include "net/answer_private.h"

#include <arpa/nameser.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Header with that response code and one answer; question: "a" of class IN. */
#define HEADER(rcode, answers) "\0\7\x81" rcode "\0\1\0" answers "\0\0\0\0\1a\0\0\x21\0\1"
#define OWNER "\xc0\x0c"
#define RR(type, length) OWNER "\0" type "\0\1\0\0\1\x2c\0" length
#define SRV_HOST RR("\x21", "\x0b") "\0\1\0\2\x14\x95\3H-1\0"
#define BYTES(text) (text), sizeof(text) - 1

struct srv_case {
	const char *packet;
	size_t len;
	enum answer_status status;
	const char *records; /* "priority weight port target" each */
};

static void test_srv(void **state)
{
	static const struct srv_case cases[] = {
	    {BYTES(HEADER("\x80", "\1") SRV_HOST), ANSWER_FOUND, "1 2 5269 h-1;"},
	    {BYTES(HEADER("\x83", "\1") SRV_HOST), ANSWER_FOUND, "1 2 5269 h-1;"},
	    {BYTES(HEADER("\x82", "\1") SRV_HOST), ANSWER_BROKEN, ""},
	    {BYTES(HEADER("\x85", "\0")), ANSWER_BROKEN, ""},
	    {BYTES(HEADER("\x80", "\0")), ANSWER_NONE, ""},
	    {BYTES(HEADER("\x83", "\0")), ANSWER_NONE, ""},
	    {BYTES(HEADER("\x80", "\1") RR("\x21", "\7") "\0\0\0\0\0\0\0"), ANSWER_REFUSED, ""},
	    {BYTES(HEADER("\x80", "\2") RR("\x21", "\7") "\0\0\0\0\0\0\0" SRV_HOST), ANSWER_FOUND, "1 2 5269 h-1;"},
	    /* the target by a pointer to the question's name */
	    {BYTES(HEADER("\x80", "\1") RR("\x21", "\10") "\0\1\0\2\x14\x95\xc0\x0c"), ANSWER_FOUND, "1 2 5269 a;"},
	    /* records that nobody could use are found, and left out */
	    {BYTES(HEADER("\x80", "\1") RR("\x21", "\x09") "\0\1\0\2\0\0\1h\0"), ANSWER_FOUND, ""},
	    {BYTES(HEADER("\x80", "\1") RR("\x21", "\x0b") "\0\1\0\2\0\1\3h h\0"), ANSWER_FOUND, ""},
	    {BYTES(HEADER("\x80", "\1") RR("\x21", "\x0b") "\0\1\0\2\0\1\3h.h\0"), ANSWER_FOUND, ""},
	    {BYTES(HEADER("\x80", "\1") RR("\x21", "\x0b") "\0\1\0\2\0\1\3h\0h\0"), ANSWER_FOUND, ""},
	    /* another type, another class */
	    {BYTES(HEADER("\x80", "\1") RR("\1", "\4") "\300\0\2\1"), ANSWER_NONE, ""},
	    {BYTES(HEADER("\x80", "\1") OWNER "\0\x21\0\3\0\0\1\x2c\0\x09\0\1\0\2\0\1\1h\0"), ANSWER_NONE, ""},
	    /* malformed: nothing at all, not even the records before */
	    {BYTES(HEADER("\x80", "\2") SRV_HOST RR("\x21", "\6") "\0\1\0\2\0\1"), ANSWER_BROKEN, ""},
	    {BYTES(HEADER("\x80", "\2") SRV_HOST RR("\x21", "\x0a") "\0\1\0\2\0\1\1h\0!"), ANSWER_BROKEN, ""},
	    {BYTES(HEADER("\x80", "\2") SRV_HOST), ANSWER_BROKEN, ""},
	    {BYTES(HEADER("\x80", "\1") RR("\x21", "\x0c") "\0\1\0\2\x14\x95\3h-1\0"), ANSWER_BROKEN, ""},
	    {BYTES("\0\7\x81\x80\0\1\0\0\0\0"), ANSWER_BROKEN, ""},
	    {BYTES(""), ANSWER_BROKEN, ""},
	};
	struct srv_answer answer;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256] = "";
		enum answer_status status = answer_read_srv(&answer, cases[i].packet, cases[i].len, i % 2);

		for (size_t k = 0; k < answer.count; k++) {
			const struct srv_record *r = &answer.records[k];

			assert_int_equal(r->direct_tls, i % 2);
			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u %u %u %s;", r->priority,
				       r->weight, r->port, r->target);
		}
		if (status != cases[i].status || strcmp(text, cases[i].records) != 0)
			fail_msg("case %zu: %d, \"%s\"", i, (int)status, text);
	}
}

static void test_addresses(void **state)
{
	static const char four[] = HEADER("\x80", "\2") RR("\1", "\4") "\300\0\2\1" RR("\1", "\4") "\0\0\0\0";
	static const char six[] = HEADER("\x80", "\1") RR("\x1c", "\x10") "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1";
	static const char cut[] = HEADER("\x80", "\1") RR("\1", "\3") "\300\0\2";
	static const char nobody[] = HEADER("\x80", "\1") RR("\1", "\4") "\377\377\377\377";
	struct address_answer answer;
	char text[ADDR_TEXT_SIZE];

	(void)state;
	assert_int_equal(answer_read_addresses(&answer, BYTES(four), ns_t_a), ANSWER_FOUND);
	assert_int_equal(answer.count, 1);
	addr_text(&answer.addresses[0], text);
	assert_string_equal(text, "192.0.2.1:0");
	assert_int_equal(answer_read_addresses(&answer, BYTES(four), ns_t_aaaa), ANSWER_NONE);
	assert_int_equal(answer_read_addresses(&answer, BYTES(six), ns_t_aaaa), ANSWER_FOUND);
	addr_text(&answer.addresses[0], text);
	assert_string_equal(text, "[2001:db8::1]:0");
	assert_int_equal(answer_read_addresses(&answer, BYTES(cut), ns_t_a), ANSWER_BROKEN);
	assert_int_equal(answer_read_addresses(&answer, BYTES(nobody), ns_t_a), ANSWER_NONE);
	assert_int_equal(answer.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_srv), cmocka_unit_test(test_addresses)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
