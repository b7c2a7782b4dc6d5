/* SPDX-License-Identifier: MIT */
/* Certificates and keys that cannot be read, in words. */
#include "tls/check.h"

#include "findings.h"

static void test_keys(void **state)
{
	struct cert leaf = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &ca);
	struct config *config = one_domain(&leaf, &ca);
	struct config_domain *d = &config->domains[0];

	(void)state;
	certs_file_fini(&d->private_key);
	certs_put_key(&d->private_key, &ca, NULL);
	expect(config, "E21:private-key: key.pem does not match the first certificate in cert.pem");
	certs_file_fini(&d->private_key);
	certs_put_key(&d->private_key, &leaf, "secret");
	expect(config, "E21:private-key: key.pem: the private key is encrypted and passphrases are not supported");
	d->private_key.data[80] = '!';
	expect(config, "E21:private-key: key.pem: unreadable private key: damaged, or of a kind");
	memcpy(strstr(d->private_key.data, "-----BEGIN"), "garbage", 7);
	expect(config, "E21:private-key: key.pem: no PEM private key in it");
	d->private_key.len = 0;
	expect(config, "E21:private-key: key.pem: the file is empty");
	certs_config_free(config);
	certs_free(&leaf);
}

static void test_unreadable_certificates(void **state)
{
	struct cert leaf = certs_make(&(struct cert_spec){.cn = "x", .san = "DNS:a.example"}, &ca);
	struct config *config = one_domain(&leaf, &ca);
	struct config_file *file = &config->domains[0].certificate;

	(void)state;
	file->data[60] = '!';
	expect(config, "E20:certificate: cert.pem: unreadable certificate: bad base64 decode");
	file->data[0] = 0x30;
	file->data[1] = 0x00;
	file->len = 2;
	expect(config, "E20:certificate: cert.pem: no PEM certificate in it (it looks like DER");
	certs_config_free(config);
	certs_free(&leaf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_unreadable_certificates),
	};

	return cmocka_run_group_tests(tests, ca_setup, ca_teardown);
}
