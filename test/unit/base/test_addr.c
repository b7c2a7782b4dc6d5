/* SPDX-License-Identifier: MIT */
/* addr: parsing, showing, predicates and clashes as tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "base/addr.h"
#include "base/array.h"

static struct addr parsed(const char *text)
{
	const char *why = "";
	struct addr a;

	if (addr_parse(&a, text, true, &why))
		fail_msg("%s: %s", text, why);
	return a;
}

static void round_trip(void **state)
{
	static const struct {
		const char *text, *host, *shown;
		uint16_t port;
	} rows[] = {
	    {"127.0.0.1:5222", "127.0.0.1", "127.0.0.1:5222", 5222},
	    {"[::1]:5222", "::1", "[::1]:5222", 5222},
	    {"[2001:DB8:0:0::5]:1", "2001:db8::5", "[2001:db8::5]:1", 1},
	    {"[::ffff:192.0.2.7]:65535", "192.0.2.7", "192.0.2.7:65535", 65535},
	    {"0.0.0.0:0", "0.0.0.0", "0.0.0.0:0", 0},
	    {"[::]:5222", "::", "[::]:5222", 5222},
	    {"unix:/run/x.sock", "unix:/run/x.sock", "unix:/run/x.sock", 0},
	    {"unix:a:b", "unix:a:b", "unix:a:b", 0},
	};
	char out[ADDR_TEXT_SIZE];
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		a = parsed(rows[i].text);
		addr_host(&a, out);
		assert_string_equal(out, rows[i].host);
		addr_text(&a, out);
		assert_string_equal(out, rows[i].shown);
		assert_int_equal(addr_port(&a), rows[i].port);
	}
}

static void refused(void **state)
{
	static const char *const rows[] = {
	    "",
	    ":5222",
	    "127.0.0.1",
	    "127.0.0.1:",
	    "127.0.0.1:0",
	    "127.0.0.1:65536",
	    "127.0.0.1:05222",
	    "127.0.0.1:+1",
	    "127.0.0.1: 1",
	    "127.0.0.1:1 ",
	    "127.0.0.1:52222222",
	    "127.0.0.1:x",
	    "127.1:5222",
	    "127.0.0.256:1",
	    "localhost:5222",
	    "::1:5222",
	    "[::1]",
	    "[::1]5222",
	    "[::1]:",
	    "[::1:5222",
	    "[127.0.0.1]:5222",
	    "[]:1",
	    "[fe80::1%lo]:1",
	    "unix:",
	    " 127.0.0.1:1",
	    "[::1]:1:2",
	    "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111:2222:1",
	};
	const char *why;
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		why = NULL;
		if (!addr_parse(&a, rows[i], false, &why))
			fail_msg("taken: %s", rows[i]);
		assert_non_null(why);
		assert_int_equal(a.len, 0);
	}
	assert_int_equal(addr_parse(&a, "localhost:1", false, &why), -1);
	assert_string_equal(why, "the host must be a numeric address, with an IPv6 address in brackets");
	assert_int_equal(addr_parse(&a, "[::1]:0", false, &why), -1);
	assert_string_equal(why, "the port must be a number from 1 to 65535");
}

static void unix_path_length(void **state)
{
	char text[128] = "unix:", out[ADDR_TEXT_SIZE];
	const char *why;
	struct addr a;

	(void)state;
	memset(text + 5, 'p', 107);
	assert_int_equal(addr_parse(&a, text, false, &why), 0);
	addr_text(&a, out);
	assert_string_equal(out, text);
	assert_true(addr_is_unix(&a));
	text[112] = 'p';
	assert_int_equal(addr_parse(&a, text, false, &why), -1);
	assert_string_equal(why, "the path of a Unix socket has at most 107 bytes");
}

static void from_the_kernel(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char out[ADDR_TEXT_SIZE];
	struct addr a;

	(void)state;
	in.sin_addr.s_addr = htonl(0xC0000207);
	addr_from_sockaddr(&a, (struct sockaddr *)&in, sizeof(in));
	addr_text(&a, out);
	assert_string_equal(out, "192.0.2.7:9");
	addr_from_sockaddr(&a, (struct sockaddr *)&in, 4);
	assert_int_equal(a.len, 0);
	addr_text(&a, out);
	assert_string_equal(out, "");
	addr_from_sockaddr(&a, (struct sockaddr *)&un, sizeof(un.sun_family));
	assert_true(addr_is_unix(&a));
	addr_text(&a, out);
	assert_string_equal(out, "unix:");
}

static void local_and_any(void **state)
{
	static const struct {
		const char *text;
		bool local, any;
	} rows[] = {
	    {"127.0.0.1:1", true, false},
	    {"127.255.0.9:1", true, false},
	    {"128.0.0.1:1", false, false},
	    {"126.255.0.1:1", false, false},
	    {"[::1]:1", true, false},
	    {"[::2]:1", false, false},
	    {"[::ffff:127.1.2.3]:1", true, false},
	    {"[::127.0.0.1]:1", false, false},
	    {"[::ffff:8.8.8.8]:1", false, false},
	    {"unix:/x", true, false},
	    {"0.0.0.0:1", false, true},
	    {"[::]:1", false, true},
	    {"[::ffff:0.0.0.0]:1", false, true},
	    {"0.0.0.1:1", false, false},
	};
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		a = parsed(rows[i].text);
		if (addr_is_local(&a) != rows[i].local || addr_is_any(&a) != rows[i].any)
			fail_msg("%s", rows[i].text);
	}
}

static void equal_and_clashing(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal, clash;
	} rows[] = {
	    {"127.0.0.1:1", "127.0.0.1:1", true, true},   {"127.0.0.1:1", "127.0.0.1:2", false, false},
	    {"127.0.0.1:1", "127.0.0.2:1", false, false}, {"0.0.0.0:1", "127.0.0.1:1", false, true},
	    {"0.0.0.0:1", "[::1]:1", false, false},       {"[::]:1", "127.0.0.1:1", false, true},
	    {"[::]:1", "[2001:db8::1]:1", false, true},   {"[::]:1", "0.0.0.0:1", false, true},
	    {"[::]:1", "0.0.0.0:2", false, false},        {"[::ffff:127.0.0.1]:1", "127.0.0.1:1", false, true},
	    {"127.0.0.1:0", "127.0.0.1:0", true, false},  {"unix:/a", "unix:/a", true, true},
	    {"unix:/a", "unix:/ab", false, false},        {"unix:/a", "[::]:1", false, false},
	};
	struct addr a, b;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		a = parsed(rows[i].a);
		b = parsed(rows[i].b);
		if (addr_equal(&a, &b) != rows[i].equal || addr_equal(&b, &a) != rows[i].equal ||
		    addr_clashes(&a, &b) != rows[i].clash || addr_clashes(&b, &a) != rows[i].clash)
			fail_msg("%s %s", rows[i].a, rows[i].b);
	}
}

static void limit_keys(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
	    {"192.0.2.1:1", "192.0.2.1:2", true},
	    {"192.0.2.1:1", "192.0.2.2:1", false},
	    {"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
	    {"[2001:db8::1]:1", "[2001:db8::ffff:1:2:3]:1", true},
	    {"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
	    {"[::1]:1", "0.0.0.1:1", false},
	    {"unix:/a", "unix:/b", true},
	    {"unix:/a", "[::1]:1", false},
	};
	static const struct addr_key zero;
	struct addr_key x, y;
	struct addr a, b;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		a = parsed(rows[i].a);
		b = parsed(rows[i].b);
		x = addr_limit_key(&a);
		y = addr_limit_key(&b);
		assert_memory_not_equal(&x, &zero, sizeof(x));
		assert_memory_not_equal(&y, &zero, sizeof(y));
		if ((memcmp(&x, &y, sizeof(x)) == 0) != rows[i].same)
			fail_msg("%s %s", rows[i].a, rows[i].b);
	}
}

static void bytes(void **state)
{
	static const uint8_t want[16] = {[10] = 0xFF, [11] = 0xFF, [12] = 192, [14] = 2, [15] = 7};
	struct addr four = parsed("192.0.2.7:1"), mapped = parsed("[::ffff:192.0.2.7]:2"), path = parsed("unix:/x");
	uint8_t got[16];

	(void)state;
	assert_true(addr_bytes(&four, got));
	assert_memory_equal(got, want, 16);
	assert_true(addr_bytes(&mapped, got));
	assert_memory_equal(got, want, 16);
	assert_false(addr_bytes(&path, got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trip),      cmocka_unit_test(refused),       cmocka_unit_test(unix_path_length),
	    cmocka_unit_test(from_the_kernel), cmocka_unit_test(local_and_any), cmocka_unit_test(equal_and_clashing),
	    cmocka_unit_test(limit_keys),      cmocka_unit_test(bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
