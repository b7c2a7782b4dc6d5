/* SPDX-License-Identifier: MIT */
/* What `portcullis peers` prints for people, and which answers make it fail. */
#include "daemon/peers_print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef int print_fn(FILE *out, const char *json, size_t len, struct errbuf *err);

static void expect(print_fn *print, const char *json, int result, const char *printed, const char *said)
{
	struct errbuf err = {.text = ""};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(print(out, json, strlen(json), &err), result);
	fclose(out);
	assert_string_equal(text, printed);
	assert_string_equal(err.text, said);
	free(text);
}

#define PEER                                                                                                      \
	"{\"domain\":\"a.example\",\"service\":\"s2s\",\"tls\":{\"established\":true,\"best\":\"1.3\","           \
	"\"last\":\"none\",\"direct\":true},\"verification\":{\"best\":\"pkix\",\"last\":\"dialback\"},"          \
	"\"inbound\":{\"tls\":{\"best\":\"1.2\",\"last\":\"none\"},\"verification\":{\"best\":\"pkix\",\"last\":" \
	"\"none\"},"                                                                                              \
	"\"last_seen\":\"2026-11-22T08:27:50Z\"},"                                                                \
	"\"starttls\":{\"offered\":true,\"required\":false},\"certificate_count\":2,"                             \
	"\"first_seen\":\"2026-11-22T08:27:49Z\",\"last_seen\":\"2026-11-22T08:27:50Z\""
#define TITLE \
	"DOMAIN                           FOR  BEST LAST BEST BY     LAST BY     STARTTLS DIRECT CERTS LAST SEEN\n"

static void test_list(void **state)
{
	(void)state;
	expect(peers_print_list, "{\"peers\":[" PEER "}]}", 0,
	       TITLE "a.example                        s2s  1.3  none pkix        dialback    offered  yes        2 "
		     "2026-11-22T08:27:50Z\n",
	       "");
	expect(peers_print_list, "{\"peers\":[]}", 0, TITLE, "");
	expect(peers_print_list, "{\"error\":\"peer memory is not in use\"}", -1, "", "peer memory is not in use");
	expect(peers_print_list, "nonsense", -1, "", "the answer is not one of portcullis");
}

static void test_show(void **state)
{
	(void)state;
	expect(peers_print_show,
	       "{\"domain\":\"a.example\",\"known\":true,\"peers\":[" PEER
	       ",\"certificates\":[{\"sha256\":\"aa\",\"spki_sha256\":\"bb\",\"subject\":\"CN=x\",\"issuer\":\"CN=ca\","
	       "\"endpoint\":\"x.example:5269\",\"not_after\":\"2027-01-01T00:00:00Z\","
	       "\"first_seen\":\"2026-11-22T08:27:49Z\",\"last_seen\":\"2026-11-22T08:27:50Z\",\"accepted\":false}]}]}",
	       0,
	       "a.example (s2s)\n"
	       "  seen          2026-11-22T08:27:49Z to 2026-11-22T08:27:50Z\n"
	       "  TLS           established\n"
	       "  inbound       TLS best 1.2, last none; verified best by pkix, last by none; last "
	       "2026-11-22T08:27:50Z\n"
	       "  STARTTLS      offered\n"
	       "  direct TLS    yes\n"
	       "  certificate   NOT ACCEPTED\n"
	       "    sha256      aa\n"
	       "    spki-sha256 bb\n"
	       "    subject     CN=x\n"
	       "    issuer      CN=ca\n"
	       "    valid until 2027-01-01T00:00:00Z\n"
	       "    seen        2026-11-22T08:27:49Z to 2026-11-22T08:27:50Z, last at x.example:5269\n",
	       "");
	expect(peers_print_show, "{\"domain\":\"a.example\",\"known\":false,\"peers\":[]}", 1, "",
	       "nothing is remembered of a.example");
}

static void test_change(void **state)
{
	(void)state;
	expect(peers_print_change, "{\"domain\":\"a.example\",\"known\":true,\"accepted\":2}", 0,
	       "a.example: all its certificates are accepted; 2 were not before\n", "");
	expect(peers_print_change, "{\"domain\":\"a.example\",\"known\":true,\"forgotten\":1}", 0,
	       "a.example is forgotten (services: 1)\n", "");
	expect(peers_print_change, "{\"domain\":\"a.example\",\"known\":false,\"forgotten\":0}", 1, "",
	       "nothing is remembered of a.example");
	expect(peers_print_change, "{\"domain\":\"a.example\",\"known\":true,\"sha256\":\"ab\",\"accepted\":1}", 0,
	       "a.example: certificate ab is accepted\n", "");
	expect(peers_print_change, "{\"domain\":\"a.example\",\"known\":true,\"sha256\":\"ab\",\"accepted\":0}", 0,
	       "a.example: certificate ab is accepted, as it was before\n", "");
	expect(peers_print_change, "{\"domain\":\"a.example\",\"known\":false,\"sha256\":\"ab\",\"accepted\":0}", 1, "",
	       "no certificate of that fingerprint is remembered of a.example");
	expect(peers_print_change, "{\"error\":\"no\"}", -1, "", "no");
}

static void test_json(void **state)
{
	(void)state;
	expect(peers_print_json, "{\"peers\":[]}\n", 0, "{\"peers\":[]}\n", "");
	expect(peers_print_json, "{\"domain\":\"a.example\",\"known\":false,\"peers\":[]}\n", 1,
	       "{\"domain\":\"a.example\",\"known\":false,\"peers\":[]}\n", "nothing is remembered of a.example");
	expect(peers_print_json, "{\"error\":\"no\"}", -1, "", "no");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_show),
	    cmocka_unit_test(test_change),
	    cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
