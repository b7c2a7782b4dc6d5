/* SPDX-License-Identifier: MIT */
/*
 * The one form of a domain, and the domain of an address. Owns the process's IDNA tables. Invariants: domains are
 * compared by their normalised form only; an address that has none gives "" and false; normalising what was normalised
 * changes nothing; plain ASCII, which is nearly everything, never reaches ICU.
 */
#include "xmpp/domain.h"

#include <arpa/inet.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include <unicode/uidna.h>

#define LABEL_MAX 63
/* A part of a JID (RFC 7622 section 3): in UTF-8 a domain may be longer than as A-labels. */
#define PART_MAX 1023

static UIDNA *idna;

bool domain_init(void)
{
	UErrorCode error = U_ZERO_ERROR;

	if (idna == NULL)
		idna = uidna_openUTS46(UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ |
					   UIDNA_CHECK_CONTEXTO | UIDNA_NONTRANSITIONAL_TO_ASCII,
				       &error);
	return idna != NULL;
}

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Whatever is not ASCII, and A-labels, which may be none (RFC 5891 section 5.3). */
static bool needs_idna(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] >= 0x80)
			return true;
		if ((i == 0 || text[i - 1] == '.') && len - i >= 4 && strncasecmp(text + i, "xn--", 4) == 0)
			return true;
	}
	return false;
}

/*
 * Hyphens in third and fourth place stand in real host names, and RFC 5891 forbids them in new registrations only.
 * How long the whole may be is the caller's rule.
 */
static bool to_ascii(const char *text, size_t len, char *out, size_t size)
{
	const uint32_t harmless = UIDNA_ERROR_HYPHEN_3_4 | UIDNA_ERROR_DOMAIN_NAME_TOO_LONG;
	UIDNAInfo info = UIDNA_INFO_INITIALIZER;
	UErrorCode error = U_ZERO_ERROR;
	int32_t got;

	if (!domain_init())
		return false;
	got = uidna_nameToASCII_UTF8(idna, text, (int32_t)len, out, (int32_t)size - 1, &info, &error);
	/* What is wrong with the name is in info alone: error stays good. */
	if (U_FAILURE(error) || (info.errors & ~harmless) != 0)
		return false;
	out[got] = '\0';
	return true;
}

/* RFC 1123 section 2.1: letters, digits and, within, hyphens. */
static bool is_label(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	return strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-") >= len;
}

static bool is_ipv4(const char *text)
{
	struct in_addr address;

	return inet_pton(AF_INET, text, &address) == 1;
}

/* A name whose last label is a number is an address or nothing: what else it is depends on who reads it (CERT-6). */
static bool is_name(const char *domain)
{
	const char *label = domain;

	for (;;) {
		size_t len = strcspn(label, ".");

		if (!is_label(label, len))
			return false;
		if (label[len] == '\0')
			break;
		label += len + 1;
	}
	return label[strspn(label, "0123456789")] != '\0' || is_ipv4(domain);
}

static bool put_name(const char *text, size_t len, char out[XMPP_DOMAIN_SIZE])
{
	char name[XMPP_DOMAIN_SIZE + 1]; /* and a trailing dot */
	size_t got = len;

	if (len == 0 || len > PART_MAX)
		return false;
	if (needs_idna(text, len)) {
		if (!to_ascii(text, len, name, sizeof(name)))
			return false;
		got = strlen(name);
	} else {
		if (len >= sizeof(name))
			return false;
		for (size_t i = 0; i < len; i++)
			name[i] = lower(text[i]);
	}
	if (got > 0 && name[got - 1] == '.')
		got--;
	if (got >= XMPP_DOMAIN_SIZE)
		return false;
	name[got] = '\0';
	if (!is_name(name))
		return false;
	memcpy(out, name, got + 1);
	return true;
}

/* With the brackets of a URI (RFC 7622 section 3.2) or, as it is written here, without. */
static bool put_ipv6(const char *text, size_t len, char out[XMPP_DOMAIN_SIZE])
{
	char literal[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len >= sizeof(literal))
		return false;
	memcpy(literal, text, len);
	literal[len] = '\0';
	return inet_pton(AF_INET6, literal, &address) == 1 &&
	       inet_ntop(AF_INET6, &address, out, XMPP_DOMAIN_SIZE) != NULL;
}

static bool normalise(const char *text, size_t len, char out[XMPP_DOMAIN_SIZE])
{
	bool good = memchr(text, ':', len) != NULL ? put_ipv6(text, len, out) : put_name(text, len, out);

	if (!good)
		out[0] = '\0';
	return good;
}

bool domain_normalise(const char *text, char out[XMPP_DOMAIN_SIZE])
{
	out[0] = '\0';
	return text != NULL && normalise(text, strlen(text), out);
}

bool domain_is_address(const char *domain)
{
	return strchr(domain, ':') != NULL || is_ipv4(domain);
}

bool jid_domain(const char *jid, char out[XMPP_DOMAIN_SIZE])
{
	size_t len;
	const char *at;

	out[0] = '\0';
	if (jid == NULL)
		return false;
	/* The slash is looked for first: a.example.com/b@example.net is at a.example.com (RFC 7622 section 3.1). */
	len = strcspn(jid, "/");
	at = memchr(jid, '@', len);
	if (at != NULL) {
		len -= (size_t)(at + 1 - jid);
		jid = at + 1;
	}
	return normalise(jid, len, out);
}

/* RFC 7622 section 3.3.1, of which only ASCII is judged: beyond that a localpart is its own server's business. */
static bool is_localpart(const char *text, size_t len)
{
	if (len == 0 || len > PART_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f || strchr("\"&':<>", text[i]) != NULL)
			return false;
	return true;
}

bool jid_bare(const char *jid, char out[XMPP_JID_SIZE])
{
	char domain[XMPP_DOMAIN_SIZE];
	size_t len, domain_len;
	const char *at;

	out[0] = '\0';
	if (!jid_domain(jid, domain))
		return false;
	len = strcspn(jid, "/");
	if (jid[len] == '/' && jid[len + 1] == '\0')
		return false;
	at = memchr(jid, '@', len);
	if (at != NULL && !is_localpart(jid, (size_t)(at - jid)))
		return false;
	len = at == NULL ? 0 : (size_t)(at + 1 - jid);
	domain_len = strlen(domain);
	if (len + domain_len >= XMPP_JID_SIZE)
		return false;
	memcpy(out, jid, len);
	memcpy(out + len, domain, domain_len + 1);
	return true;
}
