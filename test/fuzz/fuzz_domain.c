/* SPDX-License-Identifier: MIT */
/*
 * domain_normalise, jid_domain and jid_bare on any text. Oracles: what was normalised stays as it is, is ASCII in lower
 * case and short enough; neither the case of ASCII letters nor a trailing dot changes it; the domain of a bare JID is
 * the domain of the JID.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "xmpp/domain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what, const char *text)
{
	if (good)
		return;
	(void)fprintf(stderr, "%s: \"%s\"\n", what, text);
	abort();
}

static void same(const char *text, const char *domain, const char *what)
{
	char again[XMPP_DOMAIN_SIZE];

	check(domain_normalise(text, again) == (domain[0] != '\0') && strcmp(again, domain) == 0, what, text);
}

static void swap_case(char *text)
{
	for (; *text != '\0'; text++)
		if ((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z'))
			*text = (char)(*text ^ 0x20);
}

static void try_domain(char *text)
{
	char domain[XMPP_DOMAIN_SIZE], of_jid[XMPP_DOMAIN_SIZE];
	bool good = domain_normalise(text, domain);
	char *longer = mem_printf("%s.", text), *jid = mem_printf("a@%s/b", text);

	check(good == (domain[0] != '\0'), "neither a domain nor none", text);
	check(strspn(domain, "abcdefghijklmnopqrstuvwxyz0123456789-.:") == strlen(domain), "not the form", domain);
	check(good || !domain_is_address(domain), "an address that is no domain", text);
	same(domain, domain, "normalised twice");
	/* A name of its own in which nothing is a dot but dots: behind another one there would be an empty label. */
	if (strcasecmp(text, domain) == 0 && strchr(text, ':') == NULL && good)
		same(longer, domain, "a dot behind it");
	if (good)
		check(jid_domain(jid, of_jid) && strcmp(of_jid, domain) == 0, "as part of a JID", jid);
	swap_case(text);
	same(text, domain, "in the other case");
	mem_free(longer);
	mem_free(jid);
}

static void try_jid(const char *text)
{
	char domain[XMPP_DOMAIN_SIZE], bare[XMPP_JID_SIZE], again[XMPP_JID_SIZE];
	bool has_domain = jid_domain(text, domain);

	if (!jid_bare(text, bare))
		return;
	check(has_domain, "bare, but without a domain", text);
	check(strlen(bare) < XMPP_JID_SIZE && strchr(bare, '/') == NULL, "not bare", bare);
	check(jid_bare(bare, again) && strcmp(bare, again) == 0, "bare twice", bare);
	check(jid_domain(bare, again) && strcmp(domain, again) == 0, "another domain", bare);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = mem_printf("%.*s", (int)size, (const char *)data);
	try_jid(text);
	try_domain(text);
	mem_free(text);
	return 0;
}
