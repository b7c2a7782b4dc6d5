/* SPDX-License-Identifier: MIT */
/* The error queue as words, and that openssl.cnf decides nothing. */
#include "tls/store.h"

#include <sys/wait.h>
#include <unistd.h>

#include "handshake.h"
#include "tls/facts.h"

/* Runs in a process of its own, whose $OPENSSL_CONF asks for TLS 1.3, level 5 and P-384 only. */
static int conf_child(void)
{
	struct config *config;
	struct tls_store *store;
	struct tls_facts facts;
	struct errbuf err;
	struct pair p;
	SSL_CTX *plain;
	bool ok;

	tls_library_init();
	plain = SSL_CTX_new(TLS_server_method());
	ok = SSL_CTX_get_security_level(plain) < 5 && SSL_CTX_get_min_proto_version(plain) < TLS1_3_VERSION;
	SSL_CTX_free(plain);
	cert_a = certs_make(&(struct cert_spec){.cn = "a", .san = "DNS:a.example"}, NULL);
	cert_b = certs_make(&(struct cert_spec){.cn = "b", .san = "DNS:b.example"}, NULL);
	config = two_domains();
	store = tls_store_new(config, NULL, &err);
	if (!store)
		return 3;
	p = handshake(store, NULL, &(struct client){.max = TLS1_2_VERSION});
	tls_facts_read(&facts, p.server);
	ok = ok && p.up && strcmp(facts.group, "x25519") == 0;
	pair_free(&p);
	tls_store_unref(&store);
	certs_config_free(config);
	certs_free(&cert_a);
	certs_free(&cert_b);
	return ok ? 0 : 4;
}

static void test_error_text(void **state)
{
	struct config *config = two_domains();
	struct tls_store *store = store_new(config, NULL);
	struct pair p;
	struct errbuf err;
	SSL *ssl = tls_accept(store, ROLE_C2S_INBOUND, NULL);
	BIO *in = BIO_new(BIO_s_mem());

	(void)state;
	ERR_clear_error();
	tls_error_text(&err);
	assert_string_equal(err.text, "");
	BIO_puts(in, "<stream:stream to='a.example'>");
	SSL_set_bio(ssl, in, BIO_new(BIO_s_mem()));
	assert_int_equal(SSL_do_handshake(ssl), -1);
	tls_error_text(&err);
	assert_string_equal(err.text, "wrong version number");
	tls_error_text(&err);
	assert_string_equal(err.text, "");
	SSL_free(ssl);
	p = handshake(store, NULL, &(struct client){.ciphers = "AES128-SHA", .max = TLS1_2_VERSION});
	pair_free(&p);
	tls_store_unref(&store);
	certs_config_free(config);
}

static void test_openssl_conf_changes_nothing(void **state)
{
	static const char text[] = "openssl_conf = i\n[i]\nssl_conf = s\n[s]\nsystem_default = d\n[d]\n"
				   "MinProtocol = TLSv1.3\nCipherString = DEFAULT:@SECLEVEL=5\nGroups = P-384\n";
	char path[] = "/tmp/test_store.XXXXXX";
	int fd = mkstemp(path), status = -1;
	pid_t pid;

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
	close(fd);
	pid = fork();
	if (pid == 0) {
		setenv("OPENSSL_CONF", path, 1);
		execl("/proc/self/exe", "test_store", "conf-child", (char *)NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	unlink(path);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_error_text),
	    cmocka_unit_test(test_openssl_conf_changes_nothing),
	};

	if (argc > 1 && strcmp(argv[1], "conf-child") == 0)
		return conf_child();
	return cmocka_run_group_tests(tests, certs_setup, certs_teardown);
}
