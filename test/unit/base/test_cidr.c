/* SPDX-License-Identifier: MIT */
/* cidr: parsing, and membership at the borders of networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/array.h"

static void parsing(void **state)
{
	static const struct {
		const char *text;
		int bits; /* -1: refused */
	} rows[] = {
	    {"10.0.0.0/8", 104},
	    {"0.0.0.0/0", 96},
	    {"192.0.2.1", 128},
	    {"192.0.2.1/32", 128},
	    {"::1", 128},
	    {"::/0", 0},
	    {"2001:db8::/32", 32},
	    {"2001:db8::8000/113", 113},
	    {"10.0.0.1/8", -1},
	    {"10.0.0.0/33", -1},
	    {"::/129", -1},
	    {"10.0.0.0/", -1},
	    {"10.0.0.0/08", -1},
	    {"10.0.0/8", -1},
	    {"/8", -1},
	    {"", -1},
	    {"10.0.0.0/8/8", -1},
	    {"10.0.0.0/-1", -1},
	    {"example.com/8", -1},
	    {"2001:db8::1/32", -1},
	    {"10.0.0.0/9999", -1},
	    {"[::1]/128", -1},
	};
	const char *why;
	struct cidr net;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		why = NULL;
		if (cidr_parse(&net, rows[i].text, &why) != (rows[i].bits < 0 ? -1 : 0))
			fail_msg("%s", rows[i].text);
		if (rows[i].bits < 0)
			assert_non_null(why);
		else
			assert_int_equal(net.bits, rows[i].bits);
	}
}

static void membership(void **state)
{
	static const struct {
		const char *net, *addr;
		bool in;
	} rows[] = {
	    {"10.0.0.0/8", "10.255.255.255:1", true},
	    {"10.0.0.0/8", "11.0.0.0:1", false},
	    {"10.0.0.0/8", "[::ffff:10.1.2.3]:1", true},
	    {"192.0.2.128/25", "192.0.2.127:1", false},
	    {"192.0.2.128/25", "192.0.2.128:1", true},
	    {"192.0.2.1", "192.0.2.1:1", true},
	    {"192.0.2.1", "192.0.2.0:1", false},
	    {"0.0.0.0/0", "8.8.8.8:1", true},
	    {"0.0.0.0/0", "[2001:db8::1]:1", false},
	    {"::/0", "[2001:db8::1]:1", true},
	    {"::/0", "8.8.8.8:1", false},
	    {"::/64", "8.8.8.8:1", false},
	    {"2001:db8::/33", "[2001:db8:7fff::1]:1", true},
	    {"2001:db8::/33", "[2001:db8:8000::1]:1", false},
	    {"::1", "[::1]:1", true},
	    {"::1", "unix:/x", false},
	    {"::ffff:10.0.0.0/104", "10.2.3.4:1", true},
	};
	const char *why = "";
	struct cidr net;
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(cidr_parse(&net, rows[i].net, &why), 0);
		assert_int_equal(addr_parse(&a, rows[i].addr, false, &why), 0);
		if (cidr_contains(&net, &a) != rows[i].in)
			fail_msg("%s %s", rows[i].net, rows[i].addr);
	}
	a = (struct addr){0};
	assert_int_equal(cidr_parse(&net, "::/0", &why), 0);
	assert_false(cidr_contains(&net, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(parsing), cmocka_unit_test(membership)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
