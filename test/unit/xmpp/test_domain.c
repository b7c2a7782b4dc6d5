/* SPDX-License-Identifier: MIT */
/* domain: the one form of a domain (CERT-5, CERT-6), and RFC 7622's order of cutting an address (STZ-7). */
#include "xmpp/domain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define UE "\xC3\xBC" /* ü */

struct name {
	const char *text, *domain; /* NULL: refused */
};

static const struct name names[] = {
    {"im.example.com", "im.example.com"},
    {"IM.Example.Com.", "im.example.com"},
    {"localhost", "localhost"},
    {"a", "a"},
    {"3com.example", "3com.example"},
    {"a.b1", "a.b1"},
    {"r3---sn-x.example", "r3---sn-x.example"},
    {"ab--c.example", "ab--c.example"},
    /* IDNA: UTS 46, not transitional, whichever way it is written */
    {"b" UE "cher.example", "xn--bcher-kva.example"},
    {"B\xC3\x9C"
     "CHER.EXAMPLE.",
     "xn--bcher-kva.example"},
    {"bu\xCC\x88"
     "cher.example",
     "xn--bcher-kva.example"},
    {"XN--Bcher-KVA.Example", "xn--bcher-kva.example"},
    {"fa\xC3\x9F.example", "xn--fa-hia.example"},
    {"xn--fa-hia.example", "xn--fa-hia.example"},
    {"\xCE\xB2\xCF\x8C\xCE\xBB\xCE\xBF\xCF\x82.example", "xn--nxasmm1c.example"},
    {"example\xE3\x80\x82"
     "com",
     "example.com"},
    {"example.com\xE3\x80\x82", "example.com"},
    {"\xE2\x85\xA3.example", "iv.example"},
    {"ab--c.b" UE "cher", "ab--c.xn--bcher-kva"},
    {"\xD7\x90\xD7\x91.example", "xn--4dbc.example"},
    /* what is none */
    {"", NULL},
    {".", NULL},
    {"example.com..", NULL},
    {"example.com.\xE3\x80\x82", NULL},
    {".example.com", NULL},
    {"a..b", NULL},
    {"a@example.com", NULL},
    {"example.com/r", NULL},
    {"*.example.com", NULL},
    {"-a.example", NULL},
    {"a-.example", NULL},
    {"-" UE ".example", NULL},
    {"_tls.example", NULL},
    {"_tls." UE ".example", NULL},
    {"a b.example", NULL},
    {"example.com ", NULL},
    {"a\tb", NULL},
    {"a%2eb", NULL},
    {"xn--a.example", NULL},
    {"xn--.example", NULL},
    {"xn--abc-.example", NULL},
    {"xn--b" UE "cher.example", NULL},
    {"\xEF\xBC\xA0.example", NULL},  /* fullwidth @ */
    {"a\xE2\x84\x80.example", NULL}, /* "a/c" in one character */
    {"\xD7\x90"
     "1a.example",
     NULL}, /* bidi */
    {"a\xE2\x80\x8D"
     "b.example",
     NULL},                       /* joiner out of context */
    {"l\xC2\xB7x.example", NULL}, /* middle dot out of context */
    {"\xCC\x88"
     "a.example",
     NULL},                  /* combining mark first */
    {"a\xFF.example", NULL}, /* not UTF-8 */
    {"a\xC3", NULL},
    {"\xED\xA0\x80.example", NULL}, /* a surrogate */
    /* CERT-6: addresses */
    {"192.0.2.1", "192.0.2.1"},
    {"192.0.2.1.", "192.0.2.1"},
    {"\xEF\xBC\x91\xEF\xBC\x99\xEF\xBC\x92.0.2.1", "192.0.2.1"}, /* fullwidth digits */
    {"[2001:DB8::1]", "2001:db8::1"},
    {"2001:DB8:0:0::1", "2001:db8::1"},
    {"[::ffff:192.0.2.1]", "::ffff:192.0.2.1"},
    {"[::]", "::"},
    {"192.0.2.01", NULL},
    {"192.0.2", NULL},
    {"192.0.2.256", NULL},
    {"1.2.3.4.5", NULL},
    {"example.1", NULL},
    {"127", NULL},
    {"[192.0.2.1]", NULL},
    {"[example.com]", NULL},
    {"[2001:db8::1", NULL},
    {"[2001:db8::1].", NULL},
    {"[[::1]]", NULL},
    {"fe80::1%eth0", NULL},
    {"example.com:5269", NULL},
    {"b" UE "cher.example:5269", NULL},
    {":", NULL},
    {"[]", NULL},
    {"[:]", NULL},
    {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL},
};

static void test_names(void **state)
{
	char domain[XMPP_DOMAIN_SIZE], again[XMPP_DOMAIN_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct name *n = &names[i];
		bool good = domain_normalise(n->text, domain);

		if (good != (n->domain != NULL) || strcmp(domain, good ? n->domain : "") != 0)
			fail_msg("\"%s\" is \"%s\"", n->text, domain);
		assert_int_equal(domain_normalise(domain, again), good);
		assert_string_equal(again, domain);
	}
	assert_false(domain_normalise(NULL, domain));
	assert_string_equal(domain, "");
}

static void test_addresses(void **state)
{
	(void)state;
	assert_true(domain_is_address("192.0.2.1"));
	assert_true(domain_is_address("2001:db8::1"));
	assert_false(domain_is_address("example.com"));
	assert_false(domain_is_address("xn--bcher-kva.example"));
	assert_false(domain_is_address(""));
}

/* Labels of 63, 255 in all, in either way to get there. */
static void test_lengths(void **state)
{
	char text[1100], domain[XMPP_DOMAIN_SIZE];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[63] = '\0';
	assert_true(domain_normalise(text, domain));
	text[63] = 'a';
	text[64] = '\0';
	assert_false(domain_normalise(text, domain));
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 64 == 63 ? '.' : 'A';
	text[255] = '\0';
	assert_true(domain_normalise(text, domain));
	assert_int_equal(strlen(domain), 255);
	text[255] = '.';
	text[256] = '\0';
	assert_true(domain_normalise(text, domain));
	assert_int_equal(strlen(domain), 255);
	text[256] = 'a';
	text[257] = '\0';
	assert_false(domain_normalise(text, domain));
	memcpy(text, "xn--bcher-kva", 13);
	memset(text + 13, 'a', 50);
	text[13] = '.';
	assert_false(domain_normalise(text, domain));
	text[256] = '\0';
	assert_true(domain_normalise(text, domain));
	assert_int_equal(strlen(domain), 255);
	text[1099] = '\0';
	memcpy(text + 255, ".aaaaaaaa", 9);
	assert_false(domain_normalise(text, domain));
	assert_string_equal(domain, "");
}

/* In UTF-8 a name may be longer than as A-labels, up to what a part of a JID may have. */
static void test_long_utf8(void **state)
{
	char text[1100] = "", domain[XMPP_DOMAIN_SIZE];

	(void)state;
	for (int i = 0; i < 9; i++) {
		for (int k = 0; k < 30; k++)
			memcpy(text + strlen(text), "\xE4\xB8\x80", 4);
		memcpy(text + strlen(text), ".", 2);
	}
	assert_int_equal(strlen(text), 9 * 91);
	assert_false(domain_normalise(text, domain));
	text[4 * 91] = '\0';
	assert_true(domain_normalise(text, domain));
	assert_memory_equal(domain, "xn--4gq", 7);
	memset(text, '\xE4', 1050);
	text[1050] = '\0';
	assert_false(domain_normalise(text, domain));
}

struct address {
	const char *jid, *domain, *bare; /* NULL: refused */
};

static const struct address addresses[] = {
    /* RFC 7622 table 1. Localparts are passed as they are: what they mean is their own server's business. */
    {"juliet@example.com", "example.com", "juliet@example.com"},
    {"juliet@example.com/foo", "example.com", "juliet@example.com"},
    {"juliet@example.com/foo bar", "example.com", "juliet@example.com"},
    {"juliet@example.com/foo@bar", "example.com", "juliet@example.com"},
    {"foo\\20bar@example.com", "example.com", "foo\\20bar@example.com"},
    {"fussball@example.com", "example.com", "fussball@example.com"},
    {"fu\xC3\x9F"
     "ball@example.com",
     "example.com",
     "fu\xC3\x9F"
     "ball@example.com"},
    {"\xCF\x80@example.com", "example.com", "\xCF\x80@example.com"},
    {"\xCE\xA3@example.com/foo", "example.com", "\xCE\xA3@example.com"},
    {"\xCF\x83@example.com/foo", "example.com", "\xCF\x83@example.com"},
    {"\xCF\x82@example.com/foo", "example.com", "\xCF\x82@example.com"},
    {"king@example.com/\xE2\x99\x9A", "example.com", "king@example.com"},
    {"example.com", "example.com", "example.com"},
    {"example.com/foobar", "example.com", "example.com"},
    {"a.example.com/b@example.net", "a.example.com", "a.example.com"},
    /* Table 2. The last three of its localparts and the blank before a resource are for PRECIS to refuse. */
    {"\"juliet@example.com\"", NULL, NULL},
    {"foo bar@example.com", "example.com", NULL},
    {"@example.com/", "example.com", NULL},
    {"juliet@", NULL, NULL},
    {"/foobar", NULL, NULL},
    {"juliet@example.com/ foo", "example.com", "juliet@example.com"},
    {"henry\xE2\x85\xA3@example.com", "example.com", "henry\xE2\x85\xA3@example.com"},
    {"\xE2\x99\x9A@example.com", "example.com", "\xE2\x99\x9A@example.com"},
    /* and more */
    {"Juliet@Example.com/Balcony", "example.com", "Juliet@example.com"},
    {"example.com/r@other.example", "example.com", "example.com"},
    {"a@b.example/c/d@e", "b.example", "a@b.example"},
    {"a@example.com./r", "example.com", "a@example.com"},
    {"a@B\xC3\x9C"
     "CHER.example/r",
     "xn--bcher-kva.example", "a@xn--bcher-kva.example"},
    {"a@[2001:DB8::1]/r", "2001:db8::1", "a@2001:db8::1"},
    {"a@b@example.com", NULL, NULL},
    {"a\"b@example.com", "example.com", NULL},
    {"a&b@example.com", "example.com", NULL},
    {"a'b@example.com", "example.com", NULL},
    {"a:b@example.com", "example.com", NULL},
    {"a<b@example.com", "example.com", NULL},
    {"a>b@example.com", "example.com", NULL},
    {"a\x7F@example.com", "example.com", NULL},
    {"@example.com", "example.com", NULL},
    {"a@example.com/", "example.com", NULL},
    {"", NULL, NULL},
    {".", NULL, NULL},
    {"@", NULL, NULL},
    {"/r", NULL, NULL},
    {"a@/r@example.com", NULL, NULL},
};

static void test_jids(void **state)
{
	char domain[XMPP_DOMAIN_SIZE], bare[XMPP_JID_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		const struct address *a = &addresses[i];

		jid_domain(a->jid, domain);
		jid_bare(a->jid, bare);
		if (strcmp(domain, a->domain ? a->domain : "") != 0 || strcmp(bare, a->bare ? a->bare : "") != 0)
			fail_msg("\"%s\" is at \"%s\", bare \"%s\"", a->jid, domain, bare);
		assert_int_equal(jid_domain(a->jid, domain), a->domain != NULL);
		assert_int_equal(jid_bare(a->jid, bare), a->bare != NULL);
	}
	assert_false(jid_domain(NULL, domain));
	assert_false(jid_bare(NULL, bare));
}

static void test_jid_lengths(void **state)
{
	char bare[XMPP_JID_SIZE], jid[1100];

	(void)state;
	memset(jid, 'a', sizeof(jid));
	memcpy(jid + 1021, "@b", 3);
	assert_true(jid_bare(jid, bare));
	assert_int_equal(strlen(bare), 1023);
	memset(jid, 'a', sizeof(jid));
	memcpy(jid + 1022, "@b", 3);
	assert_false(jid_bare(jid, bare));
	assert_string_equal(bare, "");
}

static void test_init(void **state)
{
	(void)state;
	assert_true(domain_init());
	assert_true(domain_init());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),     cmocka_unit_test(test_addresses), cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_long_utf8), cmocka_unit_test(test_jids),      cmocka_unit_test(test_jid_lengths),
	    cmocka_unit_test(test_init),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
