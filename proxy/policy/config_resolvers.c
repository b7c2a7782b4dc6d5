/* SPDX-License-Identifier: MIT */
/*
 * Whom to ask about names, and what to believe: dns.servers as HOST[@PORT], and for a configuration that leaves them or
 * the trust anchor out, those of the system. Like the certificate authorities these are read here, through the loader's
 * source, so that they travel in the bundle. An anchor is checked line by line, for libunbound only says that something
 * is wrong with all of it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "policy/config_private.h"
#include "xmpp/domain.h"

#define DNS_PORT 53
#define RESOLV_CONF "/etc/resolv.conf"
#define SPACES " \t\r"

/* Where distributions keep the anchor of the root; the first that can be read is taken. */
static const char *const places[] = {
    "/usr/share/dns/root.key",                /* Debian, Ubuntu: dns-root-data */
    "/usr/share/dns/root.ds",                 /* the same package */
    "/var/lib/unbound/root.key",              /* what unbound-anchor keeps */
    "/etc/unbound/root.key",                  /* Arch, older ones */
    "/usr/share/dnssec-root/trusted-key.key", /* Alpine */
    "/etc/trusted-key.key",                   /* Arch */
};

/* host: len bytes. */
static bool parse_host(const char *host, size_t len, uint16_t port, struct addr *out)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	char text[INET6_ADDRSTRLEN];
	if (len >= sizeof(text))
		return false;
	memcpy(text, host, len);
	text[len] = '\0';
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		addr_from_sockaddr(out, (const struct sockaddr *)&in, sizeof(in));
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		addr_from_sockaddr(out, (const struct sockaddr *)&in6, sizeof(in6));
	else
		return false;
	return true;
}

/* NULL, or what is wrong. */
static const char *parse_server(const char *text, struct addr *out)
{
	const char *at = strchr(text, '@');
	int64_t port = DNS_PORT;
	if (at != NULL) {
		const char *end = config_digits(at + 1, 65535, &port);
		if (end == NULL || *end != '\0' || port == 0)
			return "the port must be a number from 1 to 65535";
	}
	if (!parse_host(text, at != NULL ? (size_t)(at - text) : strlen(text), (uint16_t)port, out))
		return "the host must be a numeric address without brackets";
	return addr_is_any(out) ? "that address is nobody's" : NULL;
}

void config_servers_value(struct loader *loader, const struct schema_row *row, const struct tree_node *node,
			  const struct key_path *path, void *slot)
{
	char name[KEY_PATH_SIZE], quoted[CONFIG_QUOTE_SIZE];
	struct addr *servers = mem_array(node->count, sizeof(*servers));
	size_t count = 0;
	for (size_t i = 0; i < node->count; i++) {
		struct key_path item = {.parent = path, .index = i};
		const char *text = config_plain_text(loader, row, node->items[i], &item);
		const char *why = text != NULL ? parse_server(text, &servers[count]) : NULL;
		if (why != NULL)
			diag_add(loader->diags, DIAG_ERROR, node->items[i]->mark, "\"%s\": \"%s\": %s (example: %s)",
				 key_path_text(&item, name), config_quote(text, quoted), why, schema_example(row));
		count += text != NULL && why == NULL;
	}
	*(struct addr **)((char *)slot + row->offset) = servers;
	*(size_t *)((char *)slot + row->also) = count;
}

/* Is there a rule whose `connect` may be a name? */
static bool has_target(const struct config *config)
{
	for (size_t i = 0; i < config->peer_count; i++)
		if (config->peers[i].connect_host != NULL && !domain_is_address(config->peers[i].connect_host))
			return true;
	return false;
}

/* The listener that makes DNS needed, or NULL. */
static const struct config_listener *asks_dns(const struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		bool outbound = listener->role == ROLE_S2S_OUTBOUND || listener->role == ROLE_C2S_OUTBOUND;
		if (outbound && (listener->next_hop == NEXT_HOP_DNS || has_target(config)))
			return listener;
	}
	return NULL;
}

bool config_needs_dns(const struct config *config)
{
	return asks_dns(config) != NULL;
}

/* The next line, with its length in *len_out; NULL at the end. */
static const char *next_line(const char **text, size_t *len_out)
{
	const char *line = *text;
	if (*line == '\0')
		return NULL;
	*len_out = strcspn(line, "\n");
	*text = line + *len_out + (line[*len_out] == '\n');
	return line;
}

/* The next word of a line that ends at end; an empty one at its end. */
static const char *next_word(const char **text, const char *end, size_t *len_out)
{
	const char *word = *text, *stop;
	while (word < end && strchr(SPACES, *word) != NULL)
		word++;
	for (stop = word; stop < end && strchr(SPACES, *stop) == NULL;)
		stop++;
	*text = stop;
	*len_out = (size_t)(stop - word);
	return word;
}

static bool is_word(const char *word, size_t len, const char *expected)
{
	return len == strlen(expected) && strncasecmp(word, expected, len) == 0;
}

/* "nameserver 192.0.2.53". A link-local server's address needs an interface, which only the C library knows: not taken.
 */
static void add_nameserver(struct config_dns *dns, const char *line, size_t line_len)
{
	const char *end = line + line_len;
	size_t len;
	const char *word = next_word(&line, end, &len);
	struct addr server;
	if (!is_word(word, len, "nameserver"))
		return;
	word = next_word(&line, end, &len);
	if (!parse_host(word, len, DNS_PORT, &server) || addr_is_any(&server))
		return;
	dns->servers = mem_realloc(dns->servers, (dns->server_count + 1) * sizeof(server));
	dns->servers[dns->server_count++] = server;
}

/* NULL, or what is wrong. */
static const char *read_nameservers(struct loader *loader, struct config_dns *dns, struct errbuf *err)
{
	size_t len;
	char *text = loader->source->read(loader->source->ctx, RESOLV_CONF, 0, &len, err);
	if (text == NULL)
		return err->text;
	const char *next = text, *line;
	while ((line = next_line(&next, &len)) != NULL)
		add_nameserver(dns, line, len);
	mem_free(text);
	return dns->server_count > 0 ? NULL : "it names no nameserver that could be asked";
}

static void load_nameservers(struct loader *loader, struct config *config, const struct config_listener *listener)
{
	struct errbuf err = {{0}};
	const char *why = read_nameservers(loader, &config->dns, &err);
	if (why != NULL)
		diag_add(loader->diags, DIAG_ERROR, listener->mark,
			 "\"listeners[%zu]\" looks names up, and " RESOLV_CONF " does not tell whom to ask (%s): name "
			 "resolvers in \"dns.servers\"",
			 (size_t)(listener - config->listeners), why);
}

static bool load_place(struct loader *loader, struct config_file *file, const char *place)
{
	struct errbuf err = {{0}};
	file->data = loader->source->read(loader->source->ctx, place, 0, &file->len, &err);
	if (file->data != NULL && file->len > 0) {
		file->path = mem_strdup(place);
		return true;
	}
	mem_free(file->data);
	file->data = NULL;
	return false;
}

static void load_anchor(struct loader *loader, struct config *config, const struct config_listener *listener)
{
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (load_place(loader, &config->dns.trust_anchor, places[i]))
			return;
	}
	diag_add(loader->diags, DIAG_ERROR, listener->mark,
		 "\"listeners[%zu]\" looks names up, and there is no DNSSEC trust anchor to check answers with (%s): "
		 "install dns-root-data, or name a file in \"dns.trust-anchor\"",
		 (size_t)(listener - config->listeners), places[0]);
}

static bool is_number(const char *word, size_t len, int64_t max)
{
	char text[12];
	int64_t value;
	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	const char *end = config_digits(text, max, &value);
	return end != NULL && *end == '\0';
}

/* The rest of a record in letters of that alphabet, spaces between them or not: how many, or 0 if there are others. */
static size_t count_letters(const char *text, const char *end, const char *alphabet)
{
	size_t count = 0;
	for (; text < end; text++) {
		if (strchr(SPACES, *text) != NULL)
			continue;
		if (strchr(alphabet, *text) == NULL)
			return 0;
		count++;
	}
	return count;
}

#define HEX "0123456789abcdefABCDEF"
#define BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

/* Key tag, algorithm, digest type, digest (RFC 4034 section 5.3). */
static bool is_ds(const char *text, const char *end)
{
	static const int64_t max[] = {65535, 255, 255};
	for (size_t i = 0; i < ARRAY_LEN(max); i++) {
		size_t len;
		const char *word = next_word(&text, end, &len);
		if (!is_number(word, len, max[i]))
			return false;
	}
	size_t digits = count_letters(text, end, HEX);
	return digits >= 40 && digits % 2 == 0; /* no digest is shorter than SHA-1's */
}

/* Flags, protocol, algorithm, key (RFC 4034 section 2.2). */
static bool is_dnskey(const char *text, const char *end)
{
	static const int64_t max[] = {65535, 3, 255};
	for (size_t i = 0; i < ARRAY_LEN(max); i++) {
		size_t len;
		const char *word = next_word(&text, end, &len);
		if (!is_number(word, len, max[i]))
			return false;
	}
	size_t letters = count_letters(text, end, BASE64);
	return letters > 0 && letters % 4 == 0;
}

/* Owner, then TTL and class in any order or not at all, type, data. */
static bool is_anchor_record(const char *text, const char *end)
{
	size_t len;
	(void)next_word(&text, end, &len);
	const char *word = next_word(&text, end, &len);
	while (is_word(word, len, "IN") || is_number(word, len, INT32_MAX))
		word = next_word(&text, end, &len);
	if (is_word(word, len, "DS"))
		return is_ds(text, end);
	return is_word(word, len, "DNSKEY") && is_dnskey(text, end);
}

/* The first line that is no record, or 0; -1: there is no record at all. A semicolon begins a comment. */
static int bad_line(const struct config_file *anchor)
{
	const char *next = anchor->data, *line;
	int number = 0, records = 0;
	size_t len;
	if (strlen(anchor->data) != anchor->len)
		return 1; /* a NUL somewhere: no text */
	while ((line = next_line(&next, &len)) != NULL) {
		const char *comment = memchr(line, ';', len);
		const char *end = comment != NULL ? comment : line + len;
		number++;
		if (line + strspn(line, SPACES) >= end)
			continue;
		if (!is_anchor_record(line, end))
			return number;
		records++;
	}
	return records > 0 ? 0 : -1;
}

static void check_anchor(struct loader *loader, const struct config *config, const struct config_listener *listener)
{
	char quoted[CONFIG_QUOTE_SIZE];
	const struct config_file *anchor = &config->dns.trust_anchor;
	struct config_mark mark = anchor->mark.line != 0 || listener == NULL ? anchor->mark : listener->mark;
	int line = bad_line(anchor);
	if (line > 0)
		diag_add(loader->diags, DIAG_ERROR, mark,
			 "\"dns.trust-anchor\": line %d of %s is no DS or DNSKEY record on one line", line,
			 config_quote(anchor->path, quoted));
	else if (line < 0)
		diag_add(loader->diags, DIAG_ERROR, mark, "\"dns.trust-anchor\": %s holds no DS or DNSKEY record",
			 config_quote(anchor->path, quoted));
}

void config_resolvers_load(struct loader *loader, struct config *config)
{
	const struct config_listener *listener = asks_dns(config);
	const struct config_file *anchor = &config->dns.trust_anchor;
	if (listener != NULL && config->dns.servers == NULL)
		load_nameservers(loader, config, listener);
	if (listener != NULL && anchor->mark.line == 0)
		load_anchor(loader, config, listener);
	if (anchor->data != NULL)
		check_anchor(loader, config, listener);
}
