/* SPDX-License-Identifier: MIT */
/*
 * Presented identifiers against the reference identifier (RFC 9525 section 6, RFC 6120 section 13.7.1). Only names of
 * subjectAltName count. X509_check_host knows neither SRVName nor XmppAddr, and two matchers would disagree one day:
 * this one does all of them. Comparison is of bytes, by length: nothing of a certificate is ever a C string here.
 */
#include "tls/identity_private.h"

#include <arpa/inet.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "xmpp/header.h"

static void take(struct tls_name *out, enum tls_name_kind kind, const ASN1_STRING *value)
{
	out->kind = kind;
	out->data = ASN1_STRING_get0_data(value);
	out->len = (size_t)ASN1_STRING_length(value);
}

/* RFC 4985 section 2 and RFC 6120 section 13.7.1.4 name the one string type each of them has. */
static void read_other(struct tls_name *out, const OTHERNAME *other)
{
	int type = OBJ_obj2nid(other->type_id);

	if (!other->value)
		return;
	if (type == NID_SRVName && other->value->type == V_ASN1_IA5STRING)
		take(out, TLS_NAME_SRV, other->value->value.ia5string);
	else if (type == NID_XmppAddr && other->value->type == V_ASN1_UTF8STRING)
		take(out, TLS_NAME_XMPP, other->value->value.utf8string);
}

void tls_name_read(struct tls_name *out, const struct GENERAL_NAME_st *name)
{
	int type;
	const void *value = GENERAL_NAME_get0_value(name, &type);

	*out = (struct tls_name){.kind = TLS_NAME_OTHER};
	if (!value)
		return;
	switch (type) {
	case GEN_DNS:
		take(out, TLS_NAME_DNS, value);
		break;
	case GEN_IPADD:
		take(out, TLS_NAME_ADDRESS, value);
		break;
	case GEN_EMAIL:
	case GEN_URI:
		take(out, TLS_NAME_TEXT, value);
		break;
	case GEN_OTHERNAME:
		read_other(out, value);
		break;
	default:
		break;
	}
}

static bool xmpp_domain(const struct tls_name *name, char out[XMPP_DOMAIN_SIZE])
{
	char text[4 * XMPP_DOMAIN_SIZE];

	if (name->len >= sizeof(text) || memchr(name->data, '\0', name->len))
		return false;
	memcpy(text, name->data, name->len);
	text[name->len] = '\0';
	return domain_normalise(text, out);
}

static bool holds_nul(const struct tls_name *name)
{
	return name->kind != TLS_NAME_ADDRESS && name->data && memchr(name->data, '\0', name->len);
}

/*
 * CERT-4: `*` stands for exactly one label, the whole left-most one, and never for the last but one: a certificate for
 * every domain of a top-level domain is nobody's.
 */
static bool names_domain(const unsigned char *text, size_t len, const char *domain)
{
	const char *tail = strchr(domain, '.');

	if (len == strlen(domain) && strncasecmp((const char *)text, domain, len) == 0)
		return true;
	return len > 1 && text[0] == '*' && tail && strchr(tail + 1, '.') && len - 1 == strlen(tail) &&
	       strncasecmp((const char *)text + 1, tail, len - 1) == 0;
}

/* What stood in the certificate, in lower case: all of it is known once it has matched. */
static bool say(char matched[TLS_IDENTIFIER_SIZE], const char *form, const unsigned char *text, const char *domain)
{
	bool wild = text[0] == '*';

	(void)snprintf(matched, TLS_IDENTIFIER_SIZE, "%s%s%s", form, wild ? "*" : "",
		       wild ? strchr(domain, '.') : domain);
	return true;
}

static bool match_dns(const struct tls_name *name, const struct tls_reference *ref, char matched[TLS_IDENTIFIER_SIZE])
{
	return names_domain(name->data, name->len, ref->domain) && say(matched, "DNS-ID ", name->data, ref->domain);
}

/* "_xmpp-server.example.com": the service and a domain as in a DNS-ID, of one and the same name (RFC 9525, 6.5). */
static bool match_srv(const struct tls_name *name, const struct tls_reference *ref, char matched[TLS_IDENTIFIER_SIZE])
{
	size_t service = ref->service ? strlen(ref->service) : 0;
	char form[32];

	if (!service || name->len <= service + 1 || strncasecmp((const char *)name->data, ref->service, service) != 0 ||
	    name->data[service] != '.')
		return false;
	(void)snprintf(form, sizeof(form), "SRV-ID %s.", ref->service);
	return names_domain(name->data + service + 1, name->len - service - 1, ref->domain) &&
	       say(matched, form, name->data + service + 1, ref->domain);
}

static bool match_xmpp(const struct tls_name *name, const struct tls_reference *ref, char matched[TLS_IDENTIFIER_SIZE])
{
	char domain[XMPP_DOMAIN_SIZE];

	if (!ref->service || !xmpp_domain(name, domain) || strcmp(domain, ref->domain) != 0)
		return false;
	(void)snprintf(matched, TLS_IDENTIFIER_SIZE, "XmppAddr %s", domain);
	return true;
}

/* CERT-6: by its octets. */
static bool match_address(const struct tls_name *name, const struct tls_reference *ref,
			  char matched[TLS_IDENTIFIER_SIZE])
{
	unsigned char octets[16];
	bool ipv4 = inet_pton(AF_INET, ref->domain, octets) == 1;

	if (!ipv4 && inet_pton(AF_INET6, ref->domain, octets) != 1)
		return false;
	if (name->len != (ipv4 ? 4 : 16) || memcmp(name->data, octets, name->len) != 0)
		return false;
	(void)snprintf(matched, TLS_IDENTIFIER_SIZE, "IP-ID %s", ref->domain);
	return true;
}

static bool match(const struct tls_name *name, const struct tls_reference *ref, char matched[TLS_IDENTIFIER_SIZE])
{
	switch (name->kind) {
	case TLS_NAME_DNS:
		return match_dns(name, ref, matched);
	case TLS_NAME_SRV:
		return match_srv(name, ref, matched);
	case TLS_NAME_XMPP:
		return match_xmpp(name, ref, matched);
	case TLS_NAME_ADDRESS:
		return match_address(name, ref, matched);
	case TLS_NAME_TEXT:
	case TLS_NAME_OTHER:
		break;
	}
	return false;
}

static bool match_kind(const GENERAL_NAMES *names, enum tls_name_kind kind, const struct tls_reference *ref,
		       char matched[TLS_IDENTIFIER_SIZE])
{
	struct tls_name name;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		tls_name_read(&name, sk_GENERAL_NAME_value(names, i));
		if (name.kind == kind && match(&name, ref, matched))
			return true;
	}
	return false;
}

/* The form that all software knows comes first, so that a record says the strongest of what was presented. */
static enum tls_match match_names(const GENERAL_NAMES *names, const struct tls_reference *ref,
				  char matched[TLS_IDENTIFIER_SIZE])
{
	if (domain_is_address(ref->domain))
		return match_kind(names, TLS_NAME_ADDRESS, ref, matched) ? TLS_MATCH : TLS_MATCH_NONE;
	if (match_kind(names, TLS_NAME_DNS, ref, matched))
		return TLS_MATCH;
	if (!match_kind(names, TLS_NAME_SRV, ref, matched) && !match_kind(names, TLS_NAME_XMPP, ref, matched))
		return TLS_MATCH_NONE;
	return ref->dns_only ? TLS_MATCH_BEYOND_ISSUER : TLS_MATCH;
}

static bool any_nul(const GENERAL_NAMES *names)
{
	struct tls_name name;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		tls_name_read(&name, sk_GENERAL_NAME_value(names, i));
		if (holds_nul(&name))
			return true;
	}
	return false;
}

enum tls_match tls_identity_match(const struct x509_st *leaf, const struct tls_reference *reference,
				  char matched[TLS_IDENTIFIER_SIZE])
{
	int seen = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, &seen, NULL);
	enum tls_match result = TLS_MATCH_NONE;

	matched[0] = '\0';
	if (names)
		result = any_nul(names) ? TLS_MATCH_NUL : match_names(names, reference, matched);
	else if (seen != -1) /* there is one, or two: it cannot be read */
		result = TLS_MATCH_UNREADABLE;
	if (result != TLS_MATCH)
		matched[0] = '\0';
	GENERAL_NAMES_free(names);
	return result;
}

bool tls_names_xmpp_domain(const struct x509_st *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	char domain[XMPP_DOMAIN_SIZE];
	struct tls_name name;
	bool found = false;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
		tls_name_read(&name, sk_GENERAL_NAME_value(names, i));
		found = name.kind == TLS_NAME_XMPP && xmpp_domain(&name, domain);
	}
	GENERAL_NAMES_free(names);
	return found;
}
