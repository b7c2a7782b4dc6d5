/* SPDX-License-Identifier: MIT */
/*
 * Peer memory as people read it. What a certificate says was escaped by the keeper.
 */
#include "daemon/peers_print.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "daemon/answer_private.h"
#include "daemon/status.h"

static bool is_true(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

static const char *starttls_word(const json_t *peer)
{
	const json_t *starttls = json_object_get(peer, "starttls");

	return is_true(starttls, "required") ? "required" : is_true(starttls, "offered") ? "offered" : "-";
}

static void print_row(FILE *out, const json_t *peer)
{
	const json_t *tls = json_object_get(peer, "tls"), *verified = json_object_get(peer, "verification");

	fprintf(out, "%-32s %-4s %-4s %-4s %-11s %-11s %-8s %-6s %5lld %s\n", answer_text(peer, "domain"),
		answer_text(peer, "service"), answer_text(tls, "best"), answer_text(tls, "last"),
		answer_text(verified, "best"), answer_text(verified, "last"), starttls_word(peer),
		is_true(tls, "direct") ? "yes" : "-", answer_number(peer, "certificate_count"),
		answer_text(peer, "last_seen"));
}

int peers_print_list(FILE *out, const char *json, size_t len, struct errbuf *err)
{
	json_t *answer = answer_load(json, len, err);
	const json_t *peers = json_object_get(answer, "peers");

	if (!answer)
		return -1;
	fprintf(out, "%-32s %-4s %-4s %-4s %-11s %-11s %-8s %-6s %5s %s\n", "DOMAIN", "FOR", "BEST", "LAST", "BEST BY",
		"LAST BY", "STARTTLS", "DIRECT", "CERTS", "LAST SEEN");
	for (size_t i = 0; i < json_array_size(peers); i++)
		print_row(out, json_array_get(peers, i));
	json_decref(answer);
	return 0;
}

static void print_certificate(FILE *out, const json_t *c)
{
	fprintf(out,
		"  certificate   %s\n"
		"    sha256      %s\n"
		"    spki-sha256 %s\n"
		"    subject     %s\n"
		"    issuer      %s\n"
		"    valid until %s\n"
		"    seen        %s to %s, last at %s\n",
		is_true(c, "accepted") ? "accepted" : "NOT ACCEPTED", answer_text(c, "sha256"),
		answer_text(c, "spki_sha256"), answer_text(c, "subject"), answer_text(c, "issuer"),
		answer_text(c, "not_after"), answer_text(c, "first_seen"), answer_text(c, "last_seen"),
		answer_text(c, "endpoint"));
}

/* Nothing, where it was never met in that direction. */
static void print_way(FILE *out, const json_t *peer, const char *direction)
{
	const json_t *way = json_object_get(peer, direction);
	const json_t *tls = json_object_get(way, "tls"), *verified = json_object_get(way, "verification");

	if (!way)
		return;
	fprintf(out, "  %-13s TLS best %s, last %s; verified best by %s, last by %s; last %s\n", direction,
		answer_text(tls, "best"), answer_text(tls, "last"), answer_text(verified, "best"),
		answer_text(verified, "last"), answer_text(way, "last_seen"));
}

static void print_peer(FILE *out, const json_t *peer)
{
	const json_t *tls = json_object_get(peer, "tls"), *certificates = json_object_get(peer, "certificates");

	fprintf(out,
		"%s (%s)\n"
		"  seen          %s to %s\n"
		"  TLS           %s\n",
		answer_text(peer, "domain"), answer_text(peer, "service"), answer_text(peer, "first_seen"),
		answer_text(peer, "last_seen"), is_true(tls, "established") ? "established" : "never established");
	print_way(out, peer, "outbound");
	print_way(out, peer, "inbound");
	fprintf(out,
		"  STARTTLS      %s\n"
		"  direct TLS    %s\n",
		starttls_word(peer), is_true(tls, "direct") ? "yes" : "never seen");
	for (size_t i = 0; i < json_array_size(certificates); i++)
		print_certificate(out, json_array_get(certificates, i));
}

/* 1 and said, if nothing is remembered. */
static int check_known(const json_t *answer, struct errbuf *err)
{
	if (!json_is_false(json_object_get(answer, "known")))
		return 0;
	if (json_object_get(answer, "sha256"))
		errbuf_set(err, "no certificate of that fingerprint is remembered of %s",
			   answer_text(answer, "domain"));
	else
		errbuf_set(err, "nothing is remembered of %s", answer_text(answer, "domain"));
	return 1;
}

int peers_print_show(FILE *out, const char *json, size_t len, struct errbuf *err)
{
	json_t *answer = answer_load(json, len, err);
	const json_t *peers = json_object_get(answer, "peers");
	int result;

	if (!answer)
		return -1;
	result = check_known(answer, err);
	for (size_t i = 0; i < json_array_size(peers); i++)
		print_peer(out, json_array_get(peers, i));
	json_decref(answer);
	return result;
}

int peers_print_change(FILE *out, const char *json, size_t len, struct errbuf *err)
{
	json_t *answer = answer_load(json, len, err);
	const char *domain = answer_text(answer, "domain");
	int result;

	if (!answer)
		return -1;
	result = check_known(answer, err);
	if (result == 0 && json_object_get(answer, "sha256"))
		fprintf(out, "%s: certificate %s is accepted%s\n", domain, answer_text(answer, "sha256"),
			answer_number(answer, "accepted") > 0 ? "" : ", as it was before");
	else if (result == 0 && json_object_get(answer, "accepted"))
		fprintf(out, "%s: all its certificates are accepted; %lld were not before\n", domain,
			answer_number(answer, "accepted"));
	else if (result == 0)
		fprintf(out, "%s is forgotten (services: %lld)\n", domain, answer_number(answer, "forgotten"));
	json_decref(answer);
	return result;
}

int peers_print_json(FILE *out, const char *json, size_t len, struct errbuf *err)
{
	json_t *answer = answer_load(json, len, err);
	int result;

	if (!answer)
		return -1;
	result = check_known(answer, err);
	json_decref(answer);
	return answer_print(out, json, len, err) < 0 ? -1 : result;
}
