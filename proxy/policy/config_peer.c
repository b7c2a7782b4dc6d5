/* SPDX-License-Identifier: MIT */
/*
 * What only the rules of `peers` have: domain patterns, fingerprints, where to connect, dates; and the TLS settings of
 * a rule laid over the common ones. All of it is read strictly: a rule that means something else than it says is an
 * exception that nobody asked for. The merged settings own nothing, so that a thousand rules share one list of
 * certificate authorities.
 */
#include <string.h>

#include "base/mem.h"
#include "policy/config_private.h"
#include "xmpp/domain.h"

#define DAY 86400

static void *at(void *slot, size_t offset)
{
	return (char *)slot + offset;
}

static void refuse(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		   const struct key_path *path, const char *why)
{
	char name[KEY_PATH_SIZE], quoted[CONFIG_QUOTE_SIZE];
	diag_add(loader->diags, DIAG_ERROR, node->mark, "\"%s\": \"%s\" %s (example: %s)", key_path_text(path, name),
		 config_quote(node->text, quoted), why, schema_example(row));
}

void config_pattern_load(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			 const struct key_path *path, void *slot)
{
	char domain[XMPP_DOMAIN_SIZE];
	const char *text = config_plain_text(loader, row, node, path);
	if (text == NULL)
		return;
	size_t skip = strncmp(text, "*.", 2) == 0 ? 2 : 0;
	bool ok = strchr(text + skip, '*') == NULL && domain_normalise(text + skip, domain) &&
		  (skip == 0 || !domain_is_address(domain));
	if (!ok)
		refuse(loader, row, node, path, "is not a domain name, nor one with *. before it");
	else
		config_set_text(at(slot, row->offset), mem_printf("%.*s%s", (int)skip, text, domain));
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

#define DIGITS 64

/* 64 digits in lower case behind out; a colon may stand between two pairs of them. */
static bool read_hex(const char *text, char *out)
{
	size_t count = 0;
	for (; *text != '\0'; text++) {
		if (*text == ':' && count > 0 && count % 2 == 0 && is_hex(text[1]))
			continue;
		if (!is_hex(*text) || count == DIGITS)
			return false;
		out[count++] = (char)(*text >= 'A' && *text <= 'F' ? *text - 'A' + 'a' : *text);
	}
	out[count] = '\0';
	return count == DIGITS;
}

char *config_fingerprint(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			 const struct key_path *path)
{
	static const char *const kinds[] = {"sha256:", "spki-sha256:"};
	char hex[DIGITS + 1];
	const char *text = config_plain_text(loader, row, node, path);
	for (size_t i = 0; text != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i]);
		if (strncmp(text, kinds[i], len) == 0 && read_hex(text + len, hex))
			return mem_printf("%s%s", kinds[i], hex);
	}
	if (text != NULL)
		refuse(loader, row, node, path,
		       "is no fingerprint: sha256: or spki-sha256:, and 64 hexadecimal digits");
	return NULL;
}

/* A name whose last label is a number would be taken for an IPv4 address by one reader and for a name by the next. */
static bool ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.');
	const char *last = dot != NULL ? dot + 1 : name;
	return last[strspn(last, "0123456789")] == '\0';
}

/* The host of "name:port": allocated, or NULL. */
static char *read_name(const char *text, uint16_t *port_out)
{
	char name[XMPP_DOMAIN_SIZE];
	const char *colon = strchr(text, ':');
	int64_t port;
	const char *end = colon != NULL ? config_digits(colon + 1, UINT16_MAX, &port) : NULL;
	if (end == NULL || *end != '\0' || port == 0)
		return NULL;
	char *host = mem_strndup(text, (size_t)(colon - text));
	bool ok = strpbrk(host, "*[] ") == NULL && domain_normalise(host, name) && !ends_in_number(name);
	mem_free(host);
	*port_out = (uint16_t)port;
	return ok ? mem_strdup(name) : NULL;
}

static char *read_target(const char *text, uint16_t *port_out)
{
	char host[ADDR_TEXT_SIZE];
	const char *why;
	struct addr addr;
	if (addr_parse(&addr, text, false, &why) != 0)
		return read_name(text, port_out);
	if (addr_is_unix(&addr) || addr_is_any(&addr))
		return NULL;
	addr_host(&addr, host);
	*port_out = addr_port(&addr);
	return mem_strdup(host);
}

void config_target_load(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			const struct key_path *path, void *slot)
{
	const char *text = config_plain_text(loader, row, node, path);
	char *host = text != NULL ? read_target(text, at(slot, row->also)) : NULL;
	if (host != NULL)
		config_set_text(at(slot, row->offset), host);
	else if (text != NULL)
		refuse(loader, row, node, path, "is not HOST:PORT, with a name or a numeric address");
}

static bool is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970-01-01; the year is 1970 or later. */
static int64_t days_to(int year, int month, int day)
{
	static const int before_month[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	int past = year - 1;
	int64_t days = (int64_t)past * 365 + past / 4 - past / 100 + past / 400 - 719162;
	return days + before_month[month - 1] + (month > 2 && is_leap(year)) + day - 1;
}

/* Digits of a fixed width, or -1. */
static int read_digits(const char *text, size_t width)
{
	int value = 0;
	for (size_t i = 0; i < width; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

/* "2027-03-31": the last second of that day, or -1. */
static int64_t read_date(const char *text)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	if (strlen(text) != strlen("2027-03-31") || text[4] != '-' || text[7] != '-')
		return -1;
	int year = read_digits(text, 4), month = read_digits(text + 5, 2), day = read_digits(text + 8, 2);
	if (year < 1970 || month < 1 || month > 12 || day < 1)
		return -1;
	if (day > lengths[month - 1] + (month == 2 && is_leap(year)))
		return -1;
	return (days_to(year, month, day) + 1) * DAY - 1;
}

void config_date_load(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
		      const struct key_path *path, void *slot)
{
	const char *text = config_plain_text(loader, row, node, path);
	int64_t until = text != NULL ? read_date(text) : -1;
	if (until >= 0) {
		config_set_text(at(slot, row->offset), mem_strdup(text));
		*(int64_t *)at(slot, row->also) = until;
	} else if (text != NULL) {
		refuse(loader, row, node, path, "is not a date of the calendar");
	}
}

static void lay_over(struct config_tls *tls, const struct config_tls *own)
{
	tls->mark = own->mark;
	if (own->profile >= 0)
		tls->profile = own->profile;
	if (own->min_version != 0)
		tls->min_version = own->min_version;
	if (own->ciphers != NULL) {
		tls->ciphers = own->ciphers;
		tls->ciphers_mark = own->ciphers_mark;
	}
	if (own->ciphersuites != NULL) {
		tls->ciphersuites = own->ciphersuites;
		tls->ciphersuites_mark = own->ciphersuites_mark;
	}
	if (own->groups != NULL) {
		tls->groups = own->groups;
		tls->groups_mark = own->groups_mark;
	}
	if (own->min_rsa_bits != 0)
		tls->min_rsa_bits = own->min_rsa_bits;
	if (own->min_ec_bits != 0)
		tls->min_ec_bits = own->min_ec_bits;
	if (own->session_resumption_set)
		tls->session_resumption = own->session_resumption;
	if (own->ca_file.mark.line != 0)
		tls->ca_file = own->ca_file;
}

void config_peers_settle(struct config *config)
{
	for (size_t i = 0; i < config->peer_count; i++) {
		struct config_peer *rule = &config->peers[i];
		rule->tls = config->tls;
		if (rule->tls_set)
			lay_over(&rule->tls, &rule->own_tls);
	}
}
