/* SPDX-License-Identifier: MIT */
/*
 * Outbound streams between servers: who may open one, where it is taken to, one address after another, and what is told
 * and recorded when none is any good.
 */
#include "servers_world.h"

#include <fcntl.h>

#define CHANGE_REFUSED "policy: {on-certificate-change: refuse}\n"

/* ---- DNS ---- */

/* A zone in which the remote domain has the servers a.example and b.example, at the port of our own. */
static struct zone_entry zone[8];
static char srv_a[64], srv_b[64];

static void publish(struct world *w, const char *first, const char *second)
{
	size_t n = 0;
	memset(zone, 0, sizeof(zone));
	snprintf(srv_a, sizeof(srv_a), "0 0 %u a.example", w->port);
	snprintf(srv_b, sizeof(srv_b), "1 0 %u b.example", w->port);
	zone[n++] = (struct zone_entry){"_xmpp-server._tcp." REMOTE, ns_t_srv, ZONE_ANSWERS, {srv_a, srv_b}};
	zone[n++] = (struct zone_entry){"a.example", ns_t_a, ZONE_ANSWERS, {first}};
	zone[n++] = (struct zone_entry){"b.example", ns_t_a, ZONE_ANSWERS, {second}};
	w->dns.zone = zone;
}

/* Direct TLS is announced at a.example, where nobody listens; b.example is reached by STARTTLS. */
static struct world *announced(const char *rule, const char *more)
{
	const struct options options = {.by_dns = true, .rule = rule, .more = more};
	struct world *w = world_new(&options);
	publish(w, "127.0.0.2", "127.0.0.1");
	snprintf(srv_b, sizeof(srv_b), "0 0 %u b.example", w->port);
	zone[0].records[0] = srv_b;
	zone[0].records[1] = NULL;
	zone[3] = (struct zone_entry){"_xmpps-server._tcp." REMOTE, ns_t_srv, ZONE_ANSWERS, {srv_a}};
	return w;
}

static struct world *two_servers(const char *rule, const char *more, bool known)
{
	const struct options options = {.by_dns = true, .rule = rule, .more = more};
	struct world *w = world_new(&options);
	publish(w, "127.0.0.1", "127.0.0.1");
	if (known)
		remember(w, &pki.remote, true);
	legacy_begins(w);
	return w;
}

/* The first server shows that certificate, and is given up for it. */
static void first_shows(struct world *w, const struct cert *cert)
{
	far_offers(w, STARTTLS);
	far_proceeds(w, cert, 0);
	far_hears_nothing(w);
	far_again(w);
	end_saw(w, &w->far, FIRST_HEADER);
	assert_int_equal(w->near.seen.len, 0);
}

static void the_second_server_is_good(void **state)
{
	(void)state;
	struct world *w = two_servers("", "", false);
	first_shows(w, &pki.self_signed);
	far_offers(w, "");
	far_proceeds(w, &pki.remote, 0);
	far_is_up(w);
	assert_int_equal(records(w, ACTION("stream-refused")), 0);
	/* Of the server that was reached, not of the other. */
	recorded(w, "stream-established", digest_of(&pki.remote, false));
	recorded(w, "stream-established", "\"advertised\":false,\"required\":false,\"result\":\"stripped-negotiated\"");
	recorded(w, "stream-established", "\"dnssec\":\"insecure\"");
	recorded(w, "starttls-stripped", "\"severity\":3");
	assert_int_equal(strncmp(w->seen[0].certificate.endpoint, "b.example:", 10), 0);
	assert_false(w->seen[0].offered);
	world_free(w);
}

/* Two failures that tell as much: the first is told, and the record is about that server. */
static void no_server_is_good(void **state)
{
	(void)state;
	struct world *w = two_servers("", "", false);
	first_shows(w, &pki.self_signed);
	far_offers(w, "");
	end_send(w, &w->far, FAILURE);
	legacy_is_told(w, "policy-violation");
	recorded(w, "stream-refused", "\"code\":\"remote-unverified\"");
	recorded(w, "stream-refused", digest_of(&pki.self_signed, false));
	recorded(w, "stream-refused", "\"result\":\"negotiated\"}");
	recorded(w, "stream-refused", "\"reason\":\"the certificate is self-signed");
	recorded(w, "starttls-stripped", "\"severity\":2");
	assert_int_equal(records(w, ACTION("stream-closed")), 1);
	world_free(w);
}

/* A server that could not be reached says less than one that was and is no good. */
static void the_failure_that_says_most(void **state)
{
	(void)state;
	const struct options options = {.by_dns = true};
	struct world *w = world_new(&options);
	publish(w, "127.0.0.2", "127.0.0.1"); /* nobody listens at the first */
	legacy_begins(w);
	end_send(w, &w->far, REMOTE_HEADER("r1") "<stream:error>" STREAM_ERROR("host-gone") "</stream:error>" CLOSE);
	legacy_is_told(w, "host-gone");
	recorded(w, "stream-refused", "\"code\":\"remote-error\"");
	recorded(w, "stream-refused", "\"destination\":{\"ip\":\"127.0.0.1\"");
	world_free(w);
}

/* What the first showed has been recorded and remembered; the second must not profit from that. */
static void a_changed_certificate_at_each_server(void **state)
{
	(void)state;
	struct world *w = two_servers(", level: encrypt" EXCUSE, CHANGE_REFUSED, true);
	first_shows(w, &pki.self_signed);
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.other, 0);
	far_hears_nothing(w);
	legacy_is_told(w, "policy-violation");
	recorded(w, "stream-refused", "\"code\":\"certificate-changed\"");
	assert_int_equal(records(w, ACTION("certificate-changed")), 2);
	assert_int_equal(records(w, "\"previous\":{\"subject\":\"CN=remembered 1\""), 2);
	assert_int_equal(records(w, ACTION("stream-established")), 0);
	assert_int_equal(w->seen_count, 2);
	world_free(w);
}

/* LOG-6: a node that was not met before has a certificate of its own; who only says to be one has to be proven. */
static void a_certificate_for_each_server(void **state)
{
	(void)state;
	struct world *w = two_servers("", CHANGE_REFUSED, false);
	remember(w, &pki.both, true);
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.remote, 0);
	far_is_up(w);
	assert_int_equal(records(w, ACTION("certificate-changed")), 0);
	world_free(w);
	w = two_servers(", level: encrypt" EXCUSE, CHANGE_REFUSED, true);
	first_shows(w, &pki.self_signed);
	recorded(w, "certificate-changed", "\"severity\":2");
	recorded(w, "certificate-changed",
		 "The certificate is not one that is remembered, of a server of the domain that was not met before, "
		 "and nothing verifies it. The one before is of another issuer.");
	/* One that is remembered is good there, too. */
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.remote, 0);
	far_is_up(w);
	assert_int_equal(records(w, ACTION("certificate-changed")), 1);
	world_free(w);
}

/* A server that wants TLS only, then one that is reached without: each is judged by what it did itself. */
static void may_and_two_servers(void **state)
{
	(void)state;
	struct world *w = two_servers(", level: may" EXCUSE, "", false);
	far_offers(w, STARTTLS);
	end_send(w, &w->far, FAILURE);
	end_saw(w, &w->far, CLOSE);
	far_again(w);
	end_saw(w, &w->far, LEGACY_HEADER);
	end_send(w, &w->far,
		 REMOTE_HEADER("r1") "<stream:error>" STREAM_ERROR("policy-violation") "</stream:error>" CLOSE);
	far_again(w);
	end_saw(w, &w->far, FIRST_HEADER); /* with TLS once more: another server */
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.self_signed, 0);
	far_is_up(w);
	recorded(w, "stream-established", "\"result\":\"negotiated\"}");
	world_free(w);
}

/* STRIP-8: records that announce TLS are a promise, and no level that asks for TLS takes plaintext instead. */
static void announced_and_not_to_be_had(void **state)
{
	static const char *const offers[] = {"", STARTTLS};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world *w = announced(", level: may" EXCUSE, "");
		legacy_begins(w);
		far_offers(w, offers[i]);
		end_send(w, &w->far, FAILURE);
		end_saw(w, &w->far, CLOSE);
		far_is_gone(w);
		legacy_is_told(w, "policy-violation");
		assert_int_equal(w->far.fd, -1);
		recorded(w, "stream-refused", "\"code\":\"no-tls\"");
		recorded(w, "stream-refused",
			 "asked for TLS, it answered <failure/>; the DNS of its domain announces TLS\"");
		if (i == 0) {
			recorded(w, "starttls-stripped", "the DNS of its domain announces TLS.\"");
			recorded(w, "starttls-stripped", "\"severity\":3");
		}
		assert_int_equal(records(w, ACTION("stream-established")), 0);
		world_free(w);
	}
}

/* Nor where the handshake fails; the server that keeps the promise is taken. */
static void announced_and_no_handshake(void **state)
{
	(void)state;
	struct world *w = announced(", level: may" EXCUSE, "");
	legacy_begins(w);
	far_offers(w, STARTTLS);
	end_send(w, &w->far, PROCEED);
	AWAIT(w, w->far.seen.len > 0);
	end_send(w, &w->far, "<stream:features/>");
	far_is_gone(w);
	legacy_is_told(w, "remote-connection-failed");
	assert_int_equal(w->far.fd, -1);
	recorded(w, "stream-refused", "\"code\":\"remote-tls\"");
	recorded(w, "stream-refused", "; the DNS of its domain announces TLS\"");
	world_free(w);
	w = announced(", level: may" EXCUSE, "");
	legacy_begins(w);
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.self_signed, 0);
	far_is_up(w);
	world_free(w);
}

/* Level none asks nobody for TLS, and monitor refuses nobody: but that enforce would have is recorded. */
static void announced_and_not_asked_for(void **state)
{
	(void)state;
	struct world *w = announced(", level: none" EXCUSE, "");
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, LEGACY_HEADER);
	far_is_up(w);
	assert_int_equal(records(w, ACTION("stream-refused")), 0);
	world_free(w);
	w = announced(", level: may" EXCUSE, "mode: monitor\n");
	legacy_begins(w);
	far_offers(w, STARTTLS);
	end_send(w, &w->far, FAILURE);
	end_saw(w, &w->far, CLOSE);
	far_again(w);
	far_is_up(w);
	recorded(w, "stream-refused", "\"outcome\":\"unknown\"");
	recorded(w, "stream-refused", "\"code\":\"no-tls\"");
	world_free(w);
}

/* STRIP-12: the announcement is remembered, and nothing proves that the domain has taken it back. */
static void announced_before(void **state)
{
	(void)state;
	for (int still = 0; still < 2; still++) {
		struct world *w = announced("", "");
		if (!still)
			zone[3] = (struct zone_entry){0};
		remember(w, &pki.remote, true);
		w->memory.direct = true;
		legacy_begins(w);
		far_offers(w, STARTTLS);
		far_proceeds(w, &pki.remote, 0);
		far_is_up(w);
		assert_int_equal(records(w, ACTION("tls-downgraded")), still ? 0 : 1);
		if (!still) {
			recorded(w, "tls-downgraded", "\"severity\":2");
			recorded(w, "tls-downgraded", "DNS announced direct TLS before");
		}
		world_free(w);
	}
}

/* The first server has been given up, and nothing comes of connecting to the second: there is nobody to tell there. */
static void shutdown_between_two_servers(void **state)
{
	int busy[BUSY];
	(void)state;
	struct world *w = two_servers("", "timeouts: {drain: 0}\n", false);
	int listening = w->listening;
	far_is_busy(w, busy);
	w->listening = -1; /* nobody is accepted */
	end_send(w, &w->far, REMOTE_HEADER("r1"));
	end_close(&w->far);
	for (int i = 0; i < 5; i++)
		turns(w);
	w->listening = listening;
	engine_drain(w->engine);
	AWAIT(w, w->near.eof);
	recorded(w, "stream-closed", "\"code\":\"shutdown\"");
	assert_non_null(strstr(strbuf_text(&w->near.seen), STREAM_ERROR("system-shutdown")));
	for (int i = 0; i < BUSY; i++)
		close(busy[i]);
	world_free(w);
}

static void no_such_name(void **state)
{
	(void)state;
	const struct options options = {.by_dns = true};
	struct world *w = world_new(&options);
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, LEGACY_HEADER);
	legacy_is_told(w, "remote-connection-failed");
	recorded(w, "stream-refused", "\"code\":\"dns\"");
	recorded(w, "stream-refused", "\"destination\":{\"domain\":\"" REMOTE "\"}");
	world_free(w);
}

/* DNS says no while memory has not answered: nobody waits for it. */
static void no_such_name_and_no_memory(void **state)
{
	(void)state;
	const struct options options = {.by_dns = true};
	struct world *w = world_new(&options);
	w->hold_memory = true;
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, LEGACY_HEADER);
	legacy_is_told(w, "remote-connection-failed");
	assert_int_equal(w->forgotten, 1);
	assert_null(w->answer);
	world_free(w);
}

static void nobody_listens(void **state)
{
	(void)state;
	struct world *w = world_new(NULL);
	close_fd(&w->listening);
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, LEGACY_HEADER);
	legacy_is_told(w, "remote-connection-failed");
	recorded(w, "stream-refused", "\"code\":\"remote-down\"");
	recorded(w, "stream-refused", "Connection refused");
	world_free(w);
}

/* Direct TLS that is cut off is TLS that failed, as it would be behind <proceed/>: who kills only that leaves a trace.
 */
static void direct_tls_is_cut_off(void **state)
{
	char srv[64];
	const struct options options = {.by_dns = true};
	(void)state;
	struct world *w = world_new(&options);
	publish(w, "127.0.0.1", "127.0.0.1");
	snprintf(srv, sizeof(srv), "0 0 %u a.example", w->port);
	zone[0] = (struct zone_entry){"_xmpps-server._tcp." REMOTE, ns_t_srv, ZONE_ANSWERS, {srv}};
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, LEGACY_HEADER);
	AWAIT(w, w->far.seen.len > 0);
	assert_int_equal(w->far.seen.data[0], 0x16);
	end_close(&w->far);
	close_fd(&w->listening);
	legacy_is_told(w, "remote-connection-failed");
	recorded(w, "stream-refused", "\"code\":\"remote-tls\"");
	recorded(w, "stream-refused", "\"result\":\"direct\"");
	world_free(w);
}

/* ---- who may use the listener ---- */

static void turned_away(const char *listener, const char *from, const char *code)
{
	const struct options options = {.listener = listener};
	struct world *w = world_new(&options);
	char *word = mem_printf("\"code\":\"%s\"", code);
	connect_from(w, OUTBOUND, from);
	AWAIT(w, w->near.eof);
	assert_int_equal(w->near.seen.len, 0);
	recorded(w, "stream-refused", word);
	assert_int_equal(records(w, ACTION("stream-closed")), 1);
	assert_int_equal(w->questions, 0);
	mem_free(word);
	world_free(w);
}

static void let_in(const char *listener, const char *from)
{
	const struct options options = {.listener = listener};
	struct world *w = world_new(&options);
	connect_from(w, OUTBOUND, from);
	end_send(w, &w->near, LEGACY_HEADER);
	end_saw(w, &w->far, FIRST_HEADER);
	world_free(w);
}

static void who_may_use_it(void **state)
{
	(void)state;
	let_in("", "127.0.0.9:1");
	let_in("", "[::1]:1");
	turned_away("", "192.0.2.1:1", "source-not-allowed");
	let_in(", accept-from: [192.0.2.0/24]", "192.0.2.1:1");
	turned_away(", accept-from: [192.0.2.0/24]", "127.0.0.1:1", "source-not-allowed");
}

/* Somebody from a network who has reached a loopback address: the packet filter must have sent him there. */
static void from_outside_to_loopback(const char *listener, const char *code)
{
	const struct options options = {.listener = listener};
	struct world *w = world_new(&options);
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct addr peer;
	const char *why;
	unsigned port;
	int listening = listen_far(&port);
	char *word = mem_printf("\"code\":\"%s\"", code);
	in.sin_port = htons((uint16_t)port);
	w->near.fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(w->near.fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(fcntl(w->near.fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(addr_parse(&peer, "192.0.2.1:1", false, &why), 0);
	engine_accept(w->engine, OUTBOUND, accept4(listening, NULL, NULL, SOCK_NONBLOCK), &peer);
	AWAIT(w, w->near.eof);
	recorded(w, "stream-refused", word);
	close(listening);
	mem_free(word);
	world_free(w);
}

static void loopback_from_outside(void **state)
{
	(void)state;
	from_outside_to_loopback("", "source-not-allowed");
	from_outside_to_loopback(", intercept: redirect", "not-intercepted");
}

/* On a socketpair the kernel knows no original destination: the record says what is the matter. */
static void not_intercepted(void **state)
{
	const struct options options = {.listener = ", intercept: redirect"};
	(void)state;
	struct world *w = world_new(&options);
	connect_from(w, OUTBOUND, LEGACY);
	AWAIT(w, w->near.eof);
	recorded(w, "stream-refused", "\"code\":\"not-intercepted\"");
	recorded(w, "stream-refused", "no original destination");
	world_free(w);
}

static void domains_that_are_not_ours(void **state)
{
	(void)state;
	struct world *w = world_new(NULL);
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, HEADER_OF(" from='" OTHER "' to='" REMOTE "' version='1.0'"));
	AWAIT(w, w->near.eof);
	recorded(w, "stream-refused", "\"code\":\"not-ours\"");
	recorded(w, "stream-refused", "\"error\":\"invalid-from\"");
	assert_int_equal(w->questions, 0);
	world_free(w);
}

/* ---- loops ---- */

static void the_address_of_an_outbound_listener(void **state)
{
	const struct options options = {.own_port = true, .by_dns = true};
	(void)state;
	struct world *w = world_new(&options);
	publish(w, "127.0.0.1", "127.0.0.1");
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, LEGACY_HEADER);
	legacy_is_told(w, "remote-connection-failed");
	recorded(w, "stream-refused", "\"code\":\"loop\"");
	assert_int_equal(w->far.seen.len, 0);
	world_free(w);
}

/* DNS of a stranger does not lead us to what only we may reach. */
static void the_address_of_a_backend(void **state)
{
	const struct options options = {.by_dns = true};
	(void)state;
	struct world *w = world_new(&options);
	w->port = w->backing_port;
	publish(w, "127.0.0.1", "127.0.0.1");
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, LEGACY_HEADER);
	legacy_is_told(w, "remote-connection-failed");
	recorded(w, "stream-refused", "\"code\":\"loop\"");
	assert_int_equal(w->far.seen.len, 0);
	world_free(w);
}

/* What we dialled comes in again at our own door: led there by the packet filter, or by the remote domain's DNS. */
static void our_own_connection(void **state)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	struct addr peer;
	int door, fd = -1;
	(void)state;
	struct world *w = world_new(NULL);
	door = w->listening;
	w->listening = -1;
	connect_from(w, OUTBOUND, LEGACY);
	end_send(w, &w->near, LEGACY_HEADER);
	AWAIT(w, fd >= 0 || (fd = accept4(door, (struct sockaddr *)&in, &len, SOCK_NONBLOCK)) >= 0);
	addr_from_sockaddr(&peer, (const struct sockaddr *)&in, len);
	engine_accept(w->engine, OUTBOUND, fd, &peer);
	legacy_is_told(w, "remote-connection-failed");
	recorded(w, "stream-refused", "\"code\":\"loop\"");
	recorded(w, "stream-refused", "the remote domain's server is this very listener");
	assert_int_equal(w->questions, 1);
	assert_int_equal(records(w, ACTION("stream-closed")), 2);
	close(door);
	world_free(w);
}

static int listen_at(const char *host, unsigned port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(inet_pton(AF_INET, host, &in.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* The record speaks of the first candidate, but the second's connection is the one that is known as ours until its end.
 */
static void our_own_connection_is_forgotten(void **state)
{
	const struct options options = {.by_dns = true, .more = "timeouts: {negotiation: 1s}\n"};
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	struct shared_ends ends;
	const char *why;
	int second = -1;
	(void)state;
	struct world *w = world_new(&options);
	int door = listen_at("127.0.0.2", w->port);
	char *to = mem_printf("127.0.0.2:%u", w->port);
	publish(w, "127.0.0.1", "127.0.0.2");
	legacy_begins(w);
	far_offers(w, STARTTLS);
	far_proceeds(w, &pki.self_signed, 0);
	far_hears_nothing(w);
	AWAIT(w, second >= 0 || (second = accept4(door, (struct sockaddr *)&in, &len, SOCK_NONBLOCK)) >= 0);
	assert_int_equal(addr_parse(&ends.to, to, false, &why), 0);
	addr_from_sockaddr(&ends.own, (const struct sockaddr *)&in, len);
	assert_true(shared_is_own(w->shared, &ends));
	legacy_is_told(w, "policy-violation");
	recorded(w, "stream-refused", "\"destination\":{\"ip\":\"127.0.0.1\"");
	end_close(&w->near);
	AWAIT(w, engine_count(w->engine) == 0);
	assert_false(shared_is_own(w->shared, &ends));
	close(second);
	close(door);
	mem_free(to);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_second_server_is_good),       cmocka_unit_test(no_server_is_good),
	    cmocka_unit_test(the_failure_that_says_most),      cmocka_unit_test(a_changed_certificate_at_each_server),
	    cmocka_unit_test(a_certificate_for_each_server),   cmocka_unit_test(may_and_two_servers),
	    cmocka_unit_test(announced_and_not_to_be_had),     cmocka_unit_test(announced_and_no_handshake),
	    cmocka_unit_test(announced_and_not_asked_for),     cmocka_unit_test(announced_before),
	    cmocka_unit_test(shutdown_between_two_servers),    cmocka_unit_test(no_such_name),
	    cmocka_unit_test(no_such_name_and_no_memory),      cmocka_unit_test(nobody_listens),
	    cmocka_unit_test(direct_tls_is_cut_off),           cmocka_unit_test(who_may_use_it),
	    cmocka_unit_test(loopback_from_outside),           cmocka_unit_test(not_intercepted),
	    cmocka_unit_test(domains_that_are_not_ours),       cmocka_unit_test(the_address_of_an_outbound_listener),
	    cmocka_unit_test(the_address_of_a_backend),        cmocka_unit_test(our_own_connection),
	    cmocka_unit_test(our_own_connection_is_forgotten),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
