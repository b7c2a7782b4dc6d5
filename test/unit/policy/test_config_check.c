/* SPDX-License-Identifier: MIT */
/* Rules between keys, each with the remedy in its message. */
#include "policy/config_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_lines.h"

#define TWO(a, b) \
	"listeners:\n- {role: c2s-inbound, address: \"" a "\"}\n- {role: c2s-inbound, address: \"" b "\"}\n" DOMAINS
static void listeners(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {TWO("[::]:5222", "[::]:5223"), ""},
	    {TWO("127.0.0.1:5222", "127.0.0.2:5222"), ""},
	    {TWO("[::]:5222", "[::]:5222"),
	     "3:32: \"listeners[1].address\" is taken: listeners[0] listens on [::]:5222"},
	    {TWO("127.0.0.1:5222", "[::]:5222"),
	     "3:32: \"listeners[1].address\" is taken: listeners[0] listens on 127.0.0.1:5222"},
	    {TWO("0.0.0.0:5222", "192.0.2.1:5222"),
	     "3:32: \"listeners[1].address\" is taken: listeners[0] listens on 0.0.0.0:5222"},
	};
	assert_cases(cases);
}

#define OUT(role, keys) "listeners: [{role: " role ", address: \"127.0.0.1:9\"" keys "}]\n" DOMAINS_S2S
#define IN(keys) "listeners: [{role: c2s-inbound, address: \"127.0.0.1:9\"" keys "}]\n" DOMAINS
#define DOMAINS_S2S "domains: [{name: a.example, certificate: c, private-key: k, backend: {s2s: \"127.0.0.1:1\"}}]\n"
static void outbound(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {OUT("s2s-outbound", ""), ""},
	    {OUT("s2s-outbound", ", tls: none, intercept: redirect, next-hop: original-destination"), ""},
	    {OUT("c2s-outbound", ", intercept: redirect, next-hop: dns"), ""},
	    {OUT("s2s-outbound", ", tls: starttls"), "1:63: \"listeners[0].tls: starttls\": on s2s-outbound it is the "
						     "legacy side that connects, and TLS with it "
						     "is not available in this version: remove the key"},
	    {OUT("c2s-outbound", ", tls: auto"), "1:63: \"listeners[0].tls: auto\": on c2s-outbound it is the legacy "
						 "side that connects, and TLS with it is "
						 "not available in this version: remove the key"},
	    {OUT("s2s-outbound", ", tls: non"),
	     "1:63: \"listeners[0].tls\": \"non\" is not taken; expected: one of auto, starttls, direct, none (did you "
	     "mean \"none\"?)"},
	    {OUT("s2s-outbound", ", intercept: tproxy, next-hop: original-destination"),
	     "1:69: \"listeners[0].intercept: tproxy\" is not available in this version"},
	    {OUT("s2s-outbound", ", next-hop: original-destination"),
	     "1:68: \"listeners[0].next-hop: original-destination\" needs \"intercept: redirect\": without it no "
	     "connection has one"},
	    {OUT("s2s-outbound", ", accept-proxy-protocol: [10.0.0.0/8]"),
	     "1:13: \"listeners[0].accept-proxy-protocol\" is for inbound roles: on s2s-outbound no proxy stands "
	     "before "
	     "the legacy side"},
	    {OUT("s2s-outbound", ", accept-from: [192.0.2.0/24]"), ""},
	    {OUT("s2s-outbound", ", accept-from: [192.0.2.0/24, '::/0']"),
	     "1:13: warning: \"listeners[0].accept-from\" lets everybody speak as your domains, with their "
	     "certificates; "
	     "list the legacy servers only"},
	    {IN(", accept-from: [192.0.2.0/24]"),
	     "1:13: \"listeners[0].accept-from\" is for outbound roles: c2s-inbound is for everybody"},
	    {IN(", intercept: redirect"),
	     "1:68: \"listeners[0].intercept: redirect\" is for outbound roles: on c2s-inbound streams go to the "
	     "backend of their domain"},
	    {IN(", next-hop: original-destination"), "1:67: \"listeners[0].next-hop: original-destination\" is for "
						     "outbound roles: on c2s-inbound streams go to "
						     "the backend of their domain"},
	    {OUT("s2s-inbound", ", tls: none"), "1:13: \"listeners[0].tls: none\" would refuse every stream: "
						"\"policy.s2s-inbound\" is verify; remove it, or "
						"set the level to may or none"},
	    {"policy: {s2s-outbound: may}\n" OUT("s2s-outbound", ""),
	     "1:24: warning: \"policy.s2s-outbound: may\" lets plaintext through"},
	    {"tls: {client-certificate: require}\n" OUT("s2s-inbound", ""), ""},
	    {"tls: {client-certificate: require}\n" IN(""), "1:27: warning: \"tls.client-certificate: require\" locks "
							    "every client out that has no certificate: there is "
							    "a c2s-inbound listener"},
	};
	assert_cases(cases);
}

#define PASSWORDS(level)                                                                                           \
	"1:24: warning: \"policy.c2s-outbound: " level "\" gives the passwords of clients to whoever answers for " \
	"their service, with any certificate: set it to verify (RFC 7590 section 3.4)"
static void passwords_of_clients(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {"policy: {c2s-outbound: encrypt}\n" OUT("c2s-outbound", ""), PASSWORDS("encrypt")},
	    {"policy: {c2s-outbound: may}\n" OUT("c2s-outbound", ""),
	     "1:24: warning: \"policy.c2s-outbound: may\" lets plaintext through\n" PASSWORDS("may")},
	    {"policy: {c2s-outbound: none}\n" OUT("c2s-outbound", ""),
	     "1:24: warning: \"policy.c2s-outbound: none\" lets plaintext through\n" PASSWORDS("none")},
	    {"policy: {c2s-outbound: verify}\n" OUT("c2s-outbound", ""), ""},
	    {"policy: {c2s-outbound: encrypt}\n" OUT("s2s-outbound", ""), ""},
	};
	assert_cases(cases);
}

#define TRUSTS(networks) \
	"listeners: [{role: c2s-inbound, address: \"[::]:9\", accept-proxy-protocol: [" networks "]}]\n" DOMAINS
static void trust(void **state)
{
	static const struct config_case cases[] = {
	    {TRUSTS("10.0.0.0/8, \"2001:db8::/32\", 127.0.0.1"), ""},
	    {TRUSTS("10.0.0.1/8, ten, 10.0.0.0/33"),
	     "1:76: \"listeners[0].accept-proxy-protocol[0]\": \"10.0.0.1/8\": the address has bits set beyond /BITS\n"
	     "1:88: \"listeners[0].accept-proxy-protocol[1]\": \"ten\": a network is a numeric address, or one with "
	     "/BITS behind it\n"
	     "1:93: \"listeners[0].accept-proxy-protocol[2]\": \"10.0.0.0/33\": /BITS must be 0 to 32 here"},
	};
	static const char *const everybody[] = {TRUSTS("10.0.0.0/8, 0.0.0.0/0, \"::/0\""), TRUSTS("\"::/0\"")};
	(void)state;
	assert_cases(cases);
	for (size_t i = 0; i < sizeof(everybody) / sizeof(everybody[0]); i++) {
		int loaded;
		char *lines = config_lines(everybody[i], &loaded);
		assert_string_equal(
		    lines, "1:13: warning: \"listeners[0].accept-proxy-protocol\" believes everybody: any client "
			   "can give itself any address; list the proxies in front only");
		assert_true(loaded);
		mem_free(lines);
	}
}

#define WARNED(at, what) at ": warning: " what
static void plaintext(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {"mode: monitor\n" LISTENERS DOMAINS,
	     WARNED("1:7", "\"mode: monitor\" lets plaintext through: what enforce would refuse is only recorded")},
	    {"policy: {c2s-inbound: may}\n" LISTENERS DOMAINS,
	     WARNED("1:23", "\"policy.c2s-inbound: may\" lets plaintext through")},
	    {"policy: {c2s-inbound: none}\n" LISTENERS DOMAINS,
	     WARNED("1:23", "\"policy.c2s-inbound: none\" lets plaintext through")},
	    {"listeners: [{role: c2s-inbound, address: \"[::]:9\", tls: none}]\n" DOMAINS,
	     "1:13: \"listeners[0].tls: none\" would refuse every stream: \"policy.c2s-inbound\" is encrypt; remove "
	     "it, or "
	     "set the level to may or none"},
	};
	assert_cases(cases);
}

#define NAMED(keys) "- {certificate: c, private-key: k, backend: {c2s: \"127.0.0.1:1\"}, " keys "}\n"
static void names(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {"domains:\n" NAMED("name: a.example") NAMED("name: b.example, server-names: [x.example]") LISTENERS, ""},
	    {"domains:\n" NAMED("name: a.example") NAMED("name: A.Example.") LISTENERS,
	     "3:73: \"domains[1].name\": a.example already belongs to domains[0]"},
	    {"domains:\n" NAMED("name: a.example, server-names: [X.example]") NAMED("name: x.example") LISTENERS,
	     "3:73: \"domains[1].name\": x.example already belongs to domains[0]"},
	    {"domains:\n" NAMED("name: a.example") NAMED("name: b.example, server-names: [a.example]") LISTENERS,
	     "3:3: \"domains[1].server-names\": a.example already belongs to domains[0]"},
	    {"domains:\n" NAMED("name: a.example, server-names: [x.example, x.example]") LISTENERS,
	     "2:3: \"domains[0].server-names\": x.example is given twice, or is the domain itself"},
	    {"domains:\n" NAMED("name: a.example, server-names: [a.example]") LISTENERS,
	     "2:3: \"domains[0].server-names\": a.example is given twice, or is the domain itself"},
	};
	assert_cases(cases);
}

#define WITH(keys) "domains:\n- {name: a.example, backend: {c2s: \"127.0.0.1:1\"}" keys "}\n" LISTENERS
static void certificates(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {WITH(", certificate: c, private-key: k"), ""},
	    {WITH(", certificate: c"), "2:65: \"domains[0].certificate\" needs \"private-key\""},
	    {WITH(", certificate: c, private-key: k, more-certificates: [{certificate: c, private-key: k}]"), ""},
	    {WITH(", certificate: c, private-key: k, more-certificates: [{certificate: c}]"),
	     "2:104: \"domains[0].more-certificates[0]\": missing key \"private-key\", for example: "
	     "tls/example.com/privkey-rsa.pem"},
	    {WITH(", private-key: k"), "2:65: \"domains[0].private-key\" needs \"certificate\""},
	    {WITH(", ocsp-response: c"),
	     "2:67: \"domains[0].ocsp-response\" needs \"certificate\" and \"private-key\""},
	    {WITH(""),
	     "2:3: \"domains[0]\" needs \"certificate\" and \"private-key\": a c2s-inbound listener speaks TLS "
	     "for it"},
	};
	assert_cases(cases);
}

#define TO(keys) "domains:\n- {name: a.example, certificate: c, private-key: k" keys "}\n" LISTENERS
#define FAR(key) TO(", backend: {c2s: \"10.0.0.1:5223\", " key "}") "tls: {ca-file: c}\n"
#define LOOP(a) \
	"2:68: \"domains[0].backend.c2s\": " a " is where listeners[0] listens: the proxy would connect to itself"
#define REMOTE(a)                                                                                                    \
	"2:68: \"domains[0].backend.c2s\": plaintext to " a ", which is neither on loopback nor a Unix socket: put " \
	"the proxy on that host, set \"tls: required\", or set \"allow-remote-plaintext: true\" if the network "     \
	"between is yours"
#define NEEDED                                                                                                 \
	" \"domains[0]\" needs \"backend.c2s\": where the legacy server takes the clients of the c2s-inbound " \
	"listener "                                                                                            \
	"(example: \"127.0.0.1:15222\")"
static void backends(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {TO(", backend: {c2s: \"[::1]:15222\"}"), ""},
	    {TO(", backend: {c2s: \"unix:/run/x\"}"), ""},
	    {TO(", backend: {c2s: \"192.0.2.1:5222\", allow-remote-plaintext: true}"), ""},
	    {TO(", backend: {c2s: \"127.0.0.1:5222\"}"), LOOP("127.0.0.1:5222")},
	    {TO(", backend: {c2s: \"[::1]:5222\"}"), LOOP("[::1]:5222")},
	    {TO(", backend: {c2s: \"192.0.2.1:5223\"}"), REMOTE("192.0.2.1:5223")},
	    {TO(", backend: {c2s: \"10.0.0.1:5223\", allow-remote-plaintext: false}"), REMOTE("10.0.0.1:5223")},
	    {FAR("tls: required"), ""},
	    {FAR("tls: opportunistic"), REMOTE("10.0.0.1:5223")},
	    {FAR("tls: opportunistic, allow-remote-plaintext: true"), ""},
	    {TO(""), "2:3:" NEEDED},
	    {TO(", backend: {}"), "2:62:" NEEDED},
	    {TO(", backend: {c2s: null}"), "2:62:" NEEDED},
	    {TO(", backend: {c2s: nonsense}"), "2:68: \"domains[0].backend.c2s\": \"nonsense\": "},
	};
	struct config_case exact[sizeof(cases) / sizeof(cases[0]) - 1];
	memcpy(exact, cases, sizeof(exact));
	assert_cases(exact);
	/* What could not be read is not reported as missing too. */
	int loaded;
	const struct config_case *last = &cases[sizeof(cases) / sizeof(cases[0]) - 1];
	char *lines = config_lines(last->text, &loaded);
	assert_memory_equal(lines, last->expected, strlen(last->expected));
	assert_null(strchr(lines, '\n'));
	assert_false(loaded);
	mem_free(lines);
}

#define ROLES(...) "listeners: [" __VA_ARGS__ "]\n"
#define C2S_IN "{role: c2s-inbound, address: \"[::]:5222\"}"
#define S2S_IN "{role: s2s-inbound, address: \"[::]:5269\"}"
#define S2S_OUT "{role: s2s-outbound, address: \"127.0.0.1:25269\"}"
#define C2S_OUT "{role: c2s-outbound, address: \"127.0.0.1:25222\"}"
#define ONE(keys) "domains: [{name: a.example" keys "}]\n"
#define CERTIFIED ", certificate: c, private-key: k"
static void domains_by_role(void **state)
{
	(void)state;
	static const struct config_case cases[] = {
	    {ROLES(C2S_OUT), ""},
	    {ROLES(C2S_OUT) ONE(""), ""},
	    {ROLES(S2S_OUT),
	     "1:13: \"listeners[0].role: s2s-outbound\" needs \"domains\": the local domains that it is for"},
	    {ROLES(C2S_OUT ", " C2S_IN),
	     "1:63: \"listeners[1].role: c2s-inbound\" needs \"domains\": the local domains that it is for"},
	    {ROLES(C2S_OUT) "domains: []\n", "2:10: \"domains\" is empty: at least one is needed"},
	    {ROLES(S2S_OUT) "domains: 5\n", "2:10: \"domains\": found a single value, expected: list of blocks"},
	    {ROLES(S2S_OUT) ONE(""),
	     "2:11: warning: \"domains[0]\" has no \"certificate\": other servers are shown none, and can tell who is "
	     "calling by dialback only"},
	    {ROLES(S2S_OUT) ONE(CERTIFIED), ""},
	    /* Served for servers: as for clients. */
	    {ROLES(S2S_IN) ONE(CERTIFIED ", backend: {s2s: \"127.0.0.1:1\"}"), ""},
	    {ROLES(S2S_IN) ONE(", backend: {s2s: \"127.0.0.1:1\"}"),
	     "2:11: \"domains[0]\" needs \"certificate\" and \"private-key\": an s2s-inbound listener speaks TLS for "
	     "it"},
	    {ROLES(S2S_IN) ONE(CERTIFIED),
	     "2:11: \"domains[0]\" needs \"backend.s2s\": where the legacy server takes the servers of the s2s-inbound "
	     "listener (example: \"127.0.0.1:15269\")"},
	    {ROLES(S2S_IN) ONE(CERTIFIED ", backend: {s2s: \"127.0.0.1:5269\"}"),
	     "2:76: \"domains[0].backend.s2s\": 127.0.0.1:5269 is where listeners[0] listens: the proxy would connect "
	     "to "
	     "itself"},
	    {ROLES(S2S_IN) ONE(CERTIFIED ", backend: {s2s: \"192.0.2.1:1\"}"),
	     "2:76: \"domains[0].backend.s2s\": plaintext to 192.0.2.1:1, which is neither on loopback nor a Unix "
	     "socket: "
	     "put the proxy on that host, set \"tls: required\", or set \"allow-remote-plaintext: true\" if the "
	     "network "
	     "between is yours"},
	    /* Both: a component has no clients; a domain without federation is worth a word. */
	    {ROLES(C2S_IN ", " S2S_IN) ONE(CERTIFIED ", backend: {s2s: \"127.0.0.1:1\"}"), ""},
	    {ROLES(C2S_IN ", " S2S_IN) ONE(CERTIFIED ", backend: {c2s: \"127.0.0.1:1\"}"),
	     "2:70: warning: \"domains[0]\" has no \"backend.s2s\": the s2s-inbound listener takes nobody for it"},
	    /* A domain that only calls others. */
	    {ROLES(S2S_IN ", " S2S_OUT) ONE(CERTIFIED),
	     "2:11: warning: \"domains[0]\" has no \"backend.s2s\": the s2s-inbound listener takes nobody for it"},
	};
	assert_cases(cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(listeners),       cmocka_unit_test(plaintext),
	    cmocka_unit_test(trust),           cmocka_unit_test(names),
	    cmocka_unit_test(certificates),    cmocka_unit_test(backends),
	    cmocka_unit_test(outbound),        cmocka_unit_test(passwords_of_clients),
	    cmocka_unit_test(domains_by_role),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
