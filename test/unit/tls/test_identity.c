/* SPDX-License-Identifier: MIT */
/* Presented names against the domain that is to be proven. */
#include "tls/identity_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "certs.h"
#include "tls/store.h"

#define SRV "otherName:1.3.6.1.5.5.7.8.7;"
#define XMPP "otherName:1.3.6.1.5.5.7.8.5;"
#define SERVER "_xmpp-server"
#define CLIENT "_xmpp-client"

static struct cert key;

static const struct row {
	const char *san, *domain, *service;
	enum tls_match match;
	const char *matched;
} rows[] = {
    {"DNS:a.example", "a.example", SERVER, TLS_MATCH, "DNS-ID a.example"},
    {"DNS:A.eXample", "a.example", NULL, TLS_MATCH, "DNS-ID a.example"},
    {"DNS:b.example,DNS:a.example", "a.example", SERVER, TLS_MATCH, "DNS-ID a.example"},
    {"DNS:a.example.", "a.example", SERVER, TLS_MATCH_NONE, ""},
    {"DNS:a.example.evil", "a.example", SERVER, TLS_MATCH_NONE, ""},
    {"DNS:.example.net", "a.example.net", SERVER, TLS_MATCH_NONE, ""},
    /* One label, the whole of it, the left-most. */
    {"DNS:*.example.net", "a.example.net", SERVER, TLS_MATCH, "DNS-ID *.example.net"},
    {"DNS:*.eXample.net", "a.example.net", SERVER, TLS_MATCH, "DNS-ID *.example.net"},
    {"DNS:*.example.net", "example.net", SERVER, TLS_MATCH_NONE, ""},
    {"DNS:*.example.net", "a.b.example.net", SERVER, TLS_MATCH_NONE, ""},
    {"DNS:f*.example.net", "foo.example.net", SERVER, TLS_MATCH_NONE, ""},
    {"DNS:*o.example.net", "foo.example.net", SERVER, TLS_MATCH_NONE, ""},
    {"DNS:*.*.example.net", "a.b.example.net", SERVER, TLS_MATCH_NONE, ""},
    {"DNS:a.*.net", "a.example.net", SERVER, TLS_MATCH_NONE, ""},
    {"DNS:*.net", "example.net", SERVER, TLS_MATCH_NONE, ""},
    {"DNS:*", "example", SERVER, TLS_MATCH_NONE, ""},
    {"DNS:*.", "example", SERVER, TLS_MATCH_NONE, ""},
    {"DNS:*", "192.0.2.1", SERVER, TLS_MATCH_NONE, ""},
    /* The service is part of an SRV-ID, and its domain is a domain like any other. */
    {SRV "IA5:_xmpp-server.a.example", "a.example", SERVER, TLS_MATCH, "SRV-ID _xmpp-server.a.example"},
    {SRV "IA5:_XMPP-Server.A.example", "a.example", SERVER, TLS_MATCH, "SRV-ID _xmpp-server.a.example"},
    {SRV "IA5:_xmpp-server.*.example.net", "a.example.net", SERVER, TLS_MATCH, "SRV-ID _xmpp-server.*.example.net"},
    {SRV "IA5:_xmpp-server.*.example.net", "a.b.example.net", SERVER, TLS_MATCH_NONE, ""},
    {SRV "IA5:_xmpp-client.a.example", "a.example", CLIENT, TLS_MATCH, "SRV-ID _xmpp-client.a.example"},
    {SRV "IA5:_xmpp-client.a.example", "a.example", SERVER, TLS_MATCH_NONE, ""},
    {SRV "IA5:_xmpp-server._tcp.a.example", "a.example", SERVER, TLS_MATCH_NONE, ""},
    {SRV "IA5:_xmpp-servers.a.example", "a.example", SERVER, TLS_MATCH_NONE, ""},
    {SRV "IA5:_xmpp-server.", "a.example", SERVER, TLS_MATCH_NONE, ""},
    {SRV "IA5:_xmpp-server", "a.example", SERVER, TLS_MATCH_NONE, ""},
    {SRV "UTF8:_xmpp-server.a.example", "a.example", SERVER, TLS_MATCH_NONE, ""},
    {SRV "IA5:_xmpp-server.a.example", "a.example", NULL, TLS_MATCH_NONE, ""},
    {SRV "IA5:_xmpp-server.b.example,DNS:x.a.example", "a.example", SERVER, TLS_MATCH_NONE, ""},
    {SRV "IA5:a.example", "a.example", SERVER, TLS_MATCH_NONE, ""},
    /* An XmppAddr is a bare domain, in any spelling of it. */
    {XMPP "UTF8:a.example", "a.example", SERVER, TLS_MATCH, "XmppAddr a.example"},
    {XMPP "UTF8:A.Example.", "a.example", CLIENT, TLS_MATCH, "XmppAddr a.example"},
    {XMPP "UTF8:user@a.example", "a.example", SERVER, TLS_MATCH_NONE, ""},
    {XMPP "UTF8:a.example/x", "a.example", SERVER, TLS_MATCH_NONE, ""},
    {XMPP "UTF8:*.example.net", "a.example.net", SERVER, TLS_MATCH_NONE, ""},
    {XMPP "IA5:a.example", "a.example", SERVER, TLS_MATCH_NONE, ""},
    {XMPP "UTF8:a.example", "a.example", NULL, TLS_MATCH_NONE, ""},
    /* The strongest form is said, in whatever order they stand. */
    {XMPP "UTF8:a.example," SRV "IA5:_xmpp-server.a.example", "a.example", SERVER, TLS_MATCH,
     "SRV-ID _xmpp-server.a.example"},
    {SRV "IA5:_xmpp-server.a.example,DNS:a.example", "a.example", SERVER, TLS_MATCH, "DNS-ID a.example"},
    /* Addresses by their octets, and nothing else for them. */
    {"IP:192.0.2.1", "192.0.2.1", SERVER, TLS_MATCH, "IP-ID 192.0.2.1"},
    {"IP:2001:db8::1", "2001:db8::1", SERVER, TLS_MATCH, "IP-ID 2001:db8::1"},
    {"IP:192.0.2.2", "192.0.2.1", SERVER, TLS_MATCH_NONE, ""},
    {"IP:::ffff:192.0.2.1", "192.0.2.1", SERVER, TLS_MATCH_NONE, ""},
    {"DNS:192.0.2.1", "192.0.2.1", SERVER, TLS_MATCH_NONE, ""},
    {XMPP "UTF8:192.0.2.1", "192.0.2.1", SERVER, TLS_MATCH_NONE, ""},
    {"email:x@a.example,URI:xmpp:a.example,RID:1.2.3", "a.example", SERVER, TLS_MATCH_NONE, ""},
    {NULL, "a.example", SERVER, TLS_MATCH_NONE, ""},
};

/* One key for all: what is compared is names. */
static X509 *make(const char *san)
{
	X509 *x = X509_new();

	X509_set_version(x, X509_VERSION_3);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8, (const unsigned char *)"a.example",
				   -1, -1, 0);
	X509_set_pubkey(x, key.key);
	if (san)
		certs_extension(x, NID_subject_alt_name, san);
	return x;
}

static void expect(X509 *x, const char *domain, const char *service, bool dns_only, enum tls_match match,
		   const char *text)
{
	const struct tls_reference reference = {domain, service, dns_only};
	char matched[TLS_IDENTIFIER_SIZE] = "?";

	assert_int_equal(tls_identity_match(x, &reference, matched), match);
	assert_string_equal(matched, text);
}

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		X509 *x = make(rows[i].san);

		print_message("%s\n", rows[i].san ? rows[i].san : "no names");
		expect(x, rows[i].domain, rows[i].service, false, rows[i].match, rows[i].matched);
		X509_free(x);
	}
}

/* CERT-8: where only DNS names count, the rest is told apart from what is not there. */
static void test_dns_only(void **state)
{
	X509 *srv = make(SRV "IA5:_xmpp-server.a.example"), *xmpp = make(XMPP "UTF8:a.example");
	X509 *both = make(XMPP "UTF8:a.example,DNS:a.example");

	(void)state;
	expect(srv, "a.example", SERVER, true, TLS_MATCH_BEYOND_ISSUER, "");
	expect(srv, "b.example", SERVER, true, TLS_MATCH_NONE, "");
	expect(xmpp, "a.example", SERVER, true, TLS_MATCH_BEYOND_ISSUER, "");
	expect(both, "a.example", SERVER, true, TLS_MATCH, "DNS-ID a.example");
	X509_free(srv);
	X509_free(xmpp);
	X509_free(both);
}

static void add_other(X509 *x, int nid, int type, const char *data, int len)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *text = ASN1_STRING_type_new(type);
	ASN1_TYPE *value = ASN1_TYPE_new();

	ASN1_STRING_set(text, data, len);
	ASN1_TYPE_set(value, type, text);
	GENERAL_NAME_set0_othername(name, OBJ_nid2obj(nid), value);
	sk_GENERAL_NAME_push(names, name);
	assert_int_equal(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE), 1);
	GENERAL_NAMES_free(names);
}

/* CERT-5: letters of any language are compared as the labels that DNS has for them. */
static void test_international(void **state)
{
	X509 *x = make("DNS:x.example");

	(void)state;
	add_other(x, NID_XmppAddr, V_ASN1_UTF8STRING,
		  "B\xC3\x9C"
		  "CHER.example",
		  15);
	expect(x, "xn--bcher-kva.example", SERVER, false, TLS_MATCH, "XmppAddr xn--bcher-kva.example");
	expect(x, "bcher.example", SERVER, false, TLS_MATCH_NONE, "");
	X509_free(x);
}

/* CERT-5: one NUL and none of the names counts; a byte that is not IA5 only makes its own name worthless. */
static void test_odd_bytes(void **state)
{
	X509 *nul = make("DNS:a.example"), *high = make("DNS:a.example"), *only = make(NULL);

	(void)state;
	certs_raw_name(nul, "a.example\0.evil", 15);
	expect(nul, "a.example", SERVER, false, TLS_MATCH_NUL, "");
	certs_raw_name(high, "\xFC.example", 9);
	expect(high, "a.example", SERVER, false, TLS_MATCH, "DNS-ID a.example");
	certs_raw_name(only, "", 0);
	expect(only, "a.example", SERVER, false, TLS_MATCH_NONE, "");
	X509_free(nul);
	X509_free(high);
	X509_free(only);
}

static void test_nul_in_other_forms(void **state)
{
	X509 *srv = make("DNS:a.example"), *xmpp = make("DNS:a.example");

	(void)state;
	add_other(srv, NID_SRVName, V_ASN1_IA5STRING, "_xmpp-server.a.example", 23);
	expect(srv, "a.example", SERVER, false, TLS_MATCH_NUL, "");
	add_other(xmpp, NID_XmppAddr, V_ASN1_UTF8STRING, "a.example\0x", 11);
	expect(xmpp, "a.example", SERVER, false, TLS_MATCH_NUL, "");
	X509_free(srv);
	X509_free(xmpp);
}

/* Two extensions, or one that is no list of names: nobody knows what it says. */
static void test_unreadable(void **state)
{
	X509 *twice = make("DNS:a.example"), *garbage = make(NULL);
	ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;

	(void)state;
	certs_extension(twice, NID_subject_alt_name, "DNS:b.example");
	expect(twice, "a.example", SERVER, false, TLS_MATCH_UNREADABLE, "");
	ASN1_OCTET_STRING_set(octets, (const unsigned char *)"\x04\x01x", 3);
	ext = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, octets);
	X509_add_ext(garbage, ext, -1);
	expect(garbage, "a.example", SERVER, false, TLS_MATCH_UNREADABLE, "");
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(octets);
	X509_free(twice);
	X509_free(garbage);
}

static void test_xmpp_domain(void **state)
{
	static const struct {
		const char *san;
		bool found;
	} cases[] = {
	    {"DNS:a.example", false},
	    {XMPP "UTF8:user@a.example", false},
	    {"DNS:a.example," XMPP "UTF8:b.example", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		X509 *x = make(cases[i].san);

		assert_int_equal(tls_names_xmpp_domain(x), cases[i].found);
		X509_free(x);
	}
}

static int setup(void **state)
{
	(void)state;
	tls_library_init();
	key = certs_make(&(struct cert_spec){.cn = "key"}, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	certs_free(&key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_dns_only),
	    cmocka_unit_test(test_international),
	    cmocka_unit_test(test_odd_bytes),
	    cmocka_unit_test(test_nul_in_other_forms),
	    cmocka_unit_test(test_unreadable),
	    cmocka_unit_test(test_xmpp_domain),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
