/* SPDX-License-Identifier: MIT */
/*
 * Every kind of name with every kind of fault, shown by a remote server to our connection and by a remote client to our
 * listener: the same verdict on both sides, and on ours the alert that says why.
 */
#include "federation.h"

#define SRV "otherName:1.3.6.1.5.5.7.8.7;IA5:"
#define XMPP "otherName:1.3.6.1.5.5.7.8.5;UTF8:"
#define FORMS                                                                                      \
	"the certificate names this domain in a form that its issuer, limited to some DNS names, " \
	"may not vouch for"
#define LIMITS "the certificate has a name that its issuer may not give"
#define NUL "the certificate has a name with a NUL character in it"

static const struct name {
	struct cert_spec spec;
	const char *domain;
	const char *matched; /* NULL: it proves nothing */
	const char *fault;   /* then */
	const char *limited; /* what is said where the issuer is held to other names */
} names[] = {
    {{.cn = "x", .san = "DNS:r.example"}, "r.example", "DNS-ID r.example", NULL, LIMITS},
    {{.cn = "x", .san = SRV "_xmpp-server.r.example"}, "r.example", "SRV-ID _xmpp-server.r.example", NULL, FORMS},
    {{.cn = "x", .san = SRV "_xmpp-client.r.example"}, "r.example", NULL, NOT_FOR_IT, NOT_FOR_IT},
    {{.cn = "x", .san = XMPP "r.example"}, "r.example", "XmppAddr r.example", NULL, FORMS},
    {{.cn = "r.example"}, "r.example", NULL, NOT_FOR_IT, LIMITS},
    {{.cn = "x", .san = "DNS:*.r.example"}, "a.r.example", "DNS-ID *.r.example", NULL, LIMITS},
    {{.cn = "x", .san = "DNS:a*.r.example"}, "ab.r.example", NULL, NOT_FOR_IT, LIMITS},
    {{.cn = "x", .raw = "r.example\0.evil.example", .raw_len = 23}, "r.example", NULL, NUL, LIMITS},
    {{.cn = "x", .san = "IP:192.0.2.1"}, "192.0.2.1", "IP-ID 192.0.2.1", NULL, LIMITS},
    {{.cn = "x", .san = "DNS:xn--bcher-kva.example"},
     "xn--bcher-kva.example",
     "DNS-ID xn--bcher-kva.example",
     NULL,
     LIMITS},
};

enum signer { SIGNER_CA, SIGNER_OTHER, SIGNER_SELF, SIGNER_LIMITED };

static const struct fault {
	const char *what;
	struct cert_spec spec; /* what differs */
	bool sha1;
	enum signer signer;
	int alert;         /* 0: nothing is wrong */
	const char *words; /* NULL: those of the name's column */
} faults[] = {
    {"valid", {0}, false, SIGNER_CA, 0, NULL},
    {"expired", {.from = -9 * DAY, .until = -DAY}, false, SIGNER_CA, SSL_AD_CERTIFICATE_EXPIRED, EXPIRED},
    {"not yet",
     {.from = DAY, .until = 9 * DAY},
     false,
     SIGNER_CA,
     SSL_AD_BAD_CERTIFICATE,
     "the certificate, or one it depends on, is not valid yet"},
    {"self-signed",
     {0},
     false,
     SIGNER_SELF,
     SSL_AD_UNKNOWN_CA,
     "the certificate is self-signed and not among those trusted"},
    {"untrusted", {0}, false, SIGNER_OTHER, SSL_AD_UNKNOWN_CA, UNTRUSTED},
    {"authority",
     {.ca = true},
     false,
     SIGNER_CA,
     SSL_AD_BAD_CERTIFICATE,
     "the certificate is an authority's (CA:TRUE), not a server's"},
    {"serverAuth", {.eku = "serverAuth"}, false, SIGNER_CA, 0, NULL},
    {"clientAuth",
     {.eku = "clientAuth"},
     false,
     SIGNER_CA,
     SSL_AD_UNSUPPORTED_CERTIFICATE,
     "the certificate is not meant for servers"},
    {"limits", {0}, false, SIGNER_LIMITED, SSL_AD_CERTIFICATE_UNKNOWN, NULL},
    {"RSA-1024", {.key = "rsa1024"}, false, SIGNER_CA, SSL_AD_BAD_CERTIFICATE, "the certificate's key is too small"},
    {"SHA-1", {0}, true, SIGNER_CA, SSL_AD_BAD_CERTIFICATE, "the certificate's signature is too weak"},
};

static struct cert limited_ca;

struct expected {
	const char *fault, *matched; /* one of them */
	int alert;
};

static struct cert make(const struct name *name, const struct fault *fault)
{
	struct cert_spec spec = fault->spec;
	const struct cert *signers[] = {&ca, &other_ca, NULL, &limited_ca};

	spec.cn = name->spec.cn;
	spec.san = name->spec.san;
	spec.raw = name->spec.raw;
	spec.raw_len = name->spec.raw_len;
	spec.md = fault->sha1 ? EVP_sha1() : NULL;
	return certs_make(&spec, signers[fault->signer]);
}

static struct expected expect(const struct name *name, const struct fault *fault)
{
	struct expected e = {fault->words, NULL, fault->alert};

	if (e.fault)
		return e;
	e.fault = fault->signer == SIGNER_LIMITED ? name->limited : name->fault;
	e.matched = e.fault ? NULL : name->matched;
	if (e.fault && (!fault->alert || strcmp(e.fault, LIMITS) != 0))
		e.alert = SSL_AD_BAD_CERTIFICATE;
	return e;
}

static void check(const struct expected *e, const struct name *name, const struct tls_identity *identity)
{
	assert_string_equal(identity->reference, name->domain);
	assert_int_equal(identity->verified, e->fault == NULL);
	assert_string_equal(identity->method, e->fault ? "none" : "pkix");
	assert_string_equal(identity->matched, e->fault ? "" : e->matched);
	if (e->fault)
		assert_string_equal(identity->unverified, e->fault);
	else
		assert_null(identity->unverified);
}

/* We connect; whether or not the certificate must prove anything, the verdict is one. */
static void connect_out(struct tls_store *store, const struct config *config, const struct name *name,
			const struct fault *fault, bool must_prove)
{
	struct peer_policy policy = policy_of(config, NULL, LEVEL_VERIFY);
	struct tls_peer_params params = {
	    .role = ROLE_S2S_OUTBOUND, .domain = name->domain, .policy = &policy, .must_prove = must_prove};
	struct cert cert = make(name, fault);
	struct expected e = expect(name, fault);
	struct remote r = {0};
	struct tls_identity identity;
	bool up;
	SSL *ssl;

	remote_init(&r, TLS_server_method(), &cert, fault->signer == SIGNER_LIMITED ? &limited_ca : NULL);
	ssl = meet(store, &r, &params, &up);
	assert_int_equal(up, !must_prove || !e.fault);
	assert_int_equal(r.alert, must_prove ? e.alert : 0);
	if (must_prove && e.fault)
		assert_string_equal(tls_peer_fault(ssl), e.fault);
	else
		assert_null(tls_peer_fault(ssl));
	if (up) {
		tls_identify(&identity, store, ssl, ROLE_S2S_OUTBOUND, name->domain, &policy);
		check(&e, name, &identity);
	}
	SSL_free(ssl);
	remote_fini(&r);
	certs_free(&cert);
}

/* It connects to us: the handshake succeeds whatever it shows (CERT-11). */
static void connect_in(struct tls_store *store, const struct config *config, const struct name *name,
		       const struct fault *fault)
{
	struct peer_policy policy = policy_of(config, NULL, LEVEL_VERIFY);
	struct cert cert = make(name, fault);
	struct expected e = expect(name, fault);
	struct tls_identity identity;
	struct remote r = {0};
	SSL *ssl = tls_accept(store, ROLE_S2S_INBOUND, "local.example");

	remote_init(&r, TLS_client_method(), &cert, fault->signer == SIGNER_LIMITED ? &limited_ca : NULL);
	remote_start(&r, false);
	assert_true(join(r.ssl, ssl));
	tls_identify(&identity, store, ssl, ROLE_S2S_INBOUND, name->domain, &policy);
	check(&e, name, &identity);
	SSL_free(ssl);
	remote_fini(&r);
	certs_free(&cert);
}

static void test_zoo(void **state)
{
	struct config *config = federation_config();
	struct tls_store *store = federation_store(config);

	(void)state;
	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		for (size_t f = 0; f < sizeof(faults) / sizeof(faults[0]); f++) {
			print_message("%s%s, %s\n", names[n].spec.cn, names[n].spec.san ? names[n].spec.san : "",
				      faults[f].what);
			connect_out(store, config, &names[n], &faults[f], true);
			connect_out(store, config, &names[n], &faults[f], false);
			connect_in(store, config, &names[n], &faults[f]);
		}
	}
	federation_free(config, store);
}

static int setup(void **state)
{
	(void)federation_setup(state);
	limited_ca =
	    certs_make(&(struct cert_spec){.cn = "Limited CA",
					   .ca = true,
					   .limits = "permitted;DNS:other.example,permitted;IP:10.0.0.0/255.0.0.0"},
		       &ca);
	return 0;
}

static int teardown(void **state)
{
	certs_free(&limited_ca);
	return federation_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_zoo),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
