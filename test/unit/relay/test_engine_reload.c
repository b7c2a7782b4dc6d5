/* SPDX-License-Identifier: MIT */
/* engine_reload: sessions hold what they were made with, to their end; the next ones are made with the new. */
#include "relay/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../tls/certs.h"
#include "base/mem.h"

#define LISTENER(port) "  - {role: c2s-inbound, address: '127.0.0.1:" port "'}\n"
#define DOMAINS "domains: [{name: a.example, certificate: c, private-key: k, backend: {c2s: 'unix:/nonexistent/b'}}]\n"

static struct cert cert;
static unsigned closed;

static char *read_memory(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	struct config_file file = {0};
	char *text;

	(void)err;
	if (strcmp(path, "/p.yaml") == 0) {
		*len_out = strlen(ctx);
		return mem_strdup(ctx);
	}
	if (secret)
		certs_put_key(&file, &cert, NULL);
	else
		certs_put(&file, &cert, NULL);
	*len_out = file.len;
	text = mem_strndup(file.data, file.len);
	certs_file_fini(&file);
	return text;
}

static struct config *load(const char *text)
{
	char *copy = mem_strdup(text);
	struct file_source source = {.read = read_memory, .ctx = copy};
	struct diag_list diags;
	struct config *config;

	diag_init(&diags, "p.yaml");
	config = config_load("/p.yaml", &source, &diags);
	assert_non_null(config);
	diag_fini(&diags);
	mem_free(copy);
	return config;
}

static uint64_t submit(void *ctx, struct audit_record *record, audit_done_fn *done, void *done_ctx)
{
	(void)ctx;
	(void)done;
	(void)done_ctx;
	closed += strcmp(record->action, "stream-closed") == 0;
	return 1;
}

static void forget(void *ctx, uint64_t ticket)
{
	(void)ctx;
	(void)ticket;
}

static bool available(void *ctx)
{
	(void)ctx;
	return true;
}

static int connect_client(struct engine *engine, size_t listener)
{
	struct addr peer;
	const char *why;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(addr_parse(&peer, "192.0.2.7:40000", false, &why), 0);
	engine_accept(engine, listener, pair[0], &peer);
	return pair[1];
}

static void test_old_and_new(void **state)
{
	struct config *before = load("listeners:\n" LISTENER("5222") DOMAINS);
	struct config *after = load("listeners:\n" LISTENER("5223") LISTENER("5222") DOMAINS);
	struct errbuf err;
	struct tls_store *old_store = tls_store_new(before, NULL, &err), *new_store = tls_store_new(after, NULL, &err);
	struct shared *shared = shared_new(1, 100, 100);
	struct engine_params params = {.base = event_base_new(),
				       .config = before,
				       .store = old_store,
				       .shared = shared,
				       .trail = {submit, forget, available, NULL}};
	struct engine *engine = engine_new(&params);
	int first = connect_client(engine, 0), second;

	(void)state;
	/* We, the engine, its store, the session. */
	assert_int_equal(before->refs, 4);
	engine_reload(engine, after, new_store);
	tls_store_unref(&old_store);
	/* The session and the store that it holds. */
	assert_int_equal(before->refs, 3);
	assert_int_equal(after->refs, 3);
	second = connect_client(engine, 1); /* a number only the new one has */
	assert_int_equal(after->refs, 4);
	assert_int_equal(engine_count(engine), 2);
	close(first);
	for (int i = 0; i < 10; i++)
		event_base_loop(params.base, EVLOOP_NONBLOCK);
	assert_int_equal(engine_count(engine), 1);
	assert_int_equal(closed, 1);
	/* Nobody is left who knows the old one. */
	assert_int_equal(before->refs, 1);
	close(second);
	engine_free(&engine);
	tls_store_unref(&new_store);
	config_unref(&before);
	assert_int_equal(after->refs, 1);
	config_unref(&after);
	shared_free(&shared);
	event_base_free(params.base);
}

static int setup(void **state)
{
	const struct cert_spec spec = {.cn = "a.example", .san = "DNS:a.example"};

	(void)state;
	tls_library_init();
	cert = certs_make(&spec, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	certs_free(&cert);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_old_and_new)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
