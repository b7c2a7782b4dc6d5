/* SPDX-License-Identifier: MIT */
/* The OCSP response: what tls_check says of it, and that it reaches the client until it expires. */
#include "tls/ocsp_private.h"

#include <openssl/ocsp.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "findings.h"

static void put_ocsp(struct config_file *file, const struct cert *leaf, const struct cert *signer, int status,
		     long from, long until)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), leaf->x509, ca.x509);
	ASN1_TIME *a = X509_gmtime_adj(NULL, from), *b = X509_gmtime_adj(NULL, until);
	ASN1_TIME *revoked = status == V_OCSP_CERTSTATUS_REVOKED ? X509_gmtime_adj(NULL, -DAY) : NULL;
	OCSP_RESPONSE *response;
	BIO *bio = BIO_new(BIO_s_mem());

	assert_non_null(OCSP_basic_add1_status(basic, id, status, OCSP_REVOKED_STATUS_KEYCOMPROMISE, revoked, a, b));
	assert_int_equal(OCSP_basic_sign(basic, signer->x509, signer->key, EVP_sha256(), NULL, 0), 1);
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	i2d_OCSP_RESPONSE_bio(bio, response);
	mem_free(file->path);
	mem_free(file->data);
	{
		char *data;
		long len = BIO_get_mem_data(bio, &data);

		file->path = mem_strdup("staple.der");
		file->data = mem_dup(data, (size_t)len);
		file->len = (size_t)len;
		file->mark = (struct config_mark){22, 5};
	}
	BIO_free(bio);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(a);
	ASN1_TIME_free(b);
	ASN1_TIME_free(revoked);
}

/* Length of the staple a client that asks for one gets. */
static long staple_length(struct config *config)
{
	struct tls_store *store = tls_store_new(config, NULL, NULL);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *client = SSL_new(ctx), *server = tls_accept(store, ROLE_C2S_INBOUND, "a.example");
	BIO *one, *two;
	const unsigned char *staple = NULL;
	long len;

	assert_int_equal(BIO_new_bio_pair(&one, 65536, &two, 65536), 1);
	SSL_set_bio(client, one, one);
	SSL_set_bio(server, two, two);
	SSL_set_connect_state(client);
	SSL_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp);
	for (int i = 0; i < 5; i++) {
		(void)SSL_do_handshake(client);
		(void)SSL_do_handshake(server);
	}
	assert_true(SSL_is_init_finished(client));
	len = SSL_get_tlsext_status_ocsp_resp(client, &staple);
	if (len > 0)
		assert_memory_equal(staple, config->domains[0].ocsp_response.data, (size_t)len);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(ctx);
	tls_store_unref(&store);
	return len;
}

static void test_ocsp(void **state)
{
	struct cert leaf = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example", .serial = 77}, &ca);
	struct cert other = certs_make(&(struct cert_spec){.cn = "y", .san = "DNS:a.example", .serial = 78}, &ca);
	struct cert fake = certs_make(&(struct cert_spec){.cn = "Test CA", .ca = true}, NULL);
	struct config *config = one_domain(&leaf, &ca);
	struct config_file *file = &config->domains[0].ocsp_response;

	(void)state;
	put_ocsp(file, &leaf, &ca, V_OCSP_CERTSTATUS_GOOD, -DAY, 5 * DAY);
	expect(config, NULL);
	assert_true(tls_ocsp_until(file) - time(NULL) > 5 * DAY - 60);
	assert_true(tls_ocsp_until(file) - time(NULL) <= 5 * DAY);
	put_ocsp(file, &leaf, &ca, V_OCSP_CERTSTATUS_GOOD, -DAY, 3600);
	expect(config, "W22:ocsp-response: expires in less than a day, on ");
	put_ocsp(file, &leaf, &ca, V_OCSP_CERTSTATUS_GOOD, -2 * DAY, -DAY);
	expect(config, "E22:ocsp-response: expired on ");
	put_ocsp(file, &leaf, &ca, V_OCSP_CERTSTATUS_GOOD, DAY, 2 * DAY);
	expect(config, "E22:ocsp-response: not valid yet");
	put_ocsp(file, &leaf, &ca, V_OCSP_CERTSTATUS_REVOKED, -DAY, 5 * DAY);
	expect(config, "E22:ocsp-response: says that the certificate is revoked");
	put_ocsp(file, &leaf, &ca, V_OCSP_CERTSTATUS_UNKNOWN, -DAY, 5 * DAY);
	expect(config, "E22:ocsp-response: the responder does not know the certificate");
	put_ocsp(file, &other, &ca, V_OCSP_CERTSTATUS_GOOD, -DAY, 5 * DAY);
	expect(config, "E22:ocsp-response: it is about another certificate");
	put_ocsp(file, &leaf, &fake, V_OCSP_CERTSTATUS_GOOD, -DAY, 5 * DAY);
	expect(config, "E22:ocsp-response: not signed by the certificate's issuer");
	file->len -= 3;
	expect(config, "E22:ocsp-response: staple.der: not an OCSP response in DER");
	assert_int_equal(tls_ocsp_until(file), 0);
	certs_config_free(config);
	certs_free(&leaf);
	certs_free(&other);
	certs_free(&fake);
}

static void test_staple_arrives(void **state)
{
	struct cert leaf = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &ca);
	struct config *config = one_domain(&leaf, &ca);
	struct config_file *file = &config->domains[0].ocsp_response;

	(void)state;
	assert_int_equal(staple_length(config), -1);
	put_ocsp(file, &leaf, &ca, V_OCSP_CERTSTATUS_GOOD, -DAY, 5 * DAY);
	assert_int_equal(staple_length(config), (long)file->len);
	clock_fake(0, ((int64_t)time(NULL) + 6 * DAY) * 1000000);
	assert_int_equal(staple_length(config), -1);
	clock_unfake();
	certs_config_free(config);
	certs_free(&leaf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ocsp),
	    cmocka_unit_test(test_staple_arrives),
	};

	return cmocka_run_group_tests(tests, ca_setup, ca_teardown);
}
