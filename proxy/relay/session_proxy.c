/* SPDX-License-Identifier: MIT */
/*
 * PROXY headers of a session. In front: from the networks of accept-proxy-protocol a header must come before anything
 * else, and the client it names takes the place of the socket's peer in limits, records and everything behind; from
 * anywhere else the bytes of a header are the client's own, and no beginning of a stream. Behind: the backend is told
 * in the first bytes of its connection.
 * Invariant: while s->proxy is set nothing of the client has been looked at.
 */
#include "relay/session_private.h"

#include <assert.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/proxy_protocol.h"
#include "tls/client.h"

/* No header of ours is longer: the server name and the common name have at most 255 bytes each. */
#define HEADER_MAX 2048

/* Connections whose client is not known (yet) are counted together and held to the total only. */
static const struct addr_key behind_proxies = {.bytes = {[15] = 3}};
/* So is the legacy side, all of whose streams have one address; spokes among them. */
static const struct addr_key legacy_side = {.bytes = {[15] = 4}};

void session_proxy_expect(struct session *s)
{
	if (!role_is_inbound(s->role)) {
		s->limit_key = legacy_side;
		return;
	}
	for (size_t i = 0; i < s->listener->accept_proxy_count && s->proxy == NULL; i++) {
		if (!cidr_contains(&s->listener->accept_proxy[i], &s->peer))
			continue;
		s->proxy = proxy_parser_new();
		s->limit_key = behind_proxies;
	}
}

enum shared_admit session_proxy_admit(struct session *s)
{
	const struct engine_params *p = &s->engine->p;
	return s->proxy != NULL || !role_is_inbound(s->role)
		   ? shared_admit_uncounted(p->shared, p->worker, &s->limit_key)
		   : shared_admit(p->shared, p->worker, &s->limit_key);
}

static bool is_network_address(const struct addr *a)
{
	uint8_t bytes[16];
	return addr_bytes(a, bytes);
}

/* The limit of addresses is the client's, not the proxy's. False: it has too many. */
static bool count_client(struct session *s)
{
	const struct engine_params *p = &s->engine->p;
	struct addr_key key = addr_limit_key(&s->peer);
	if (!s->admitted)
		return true;
	if (shared_move(p->shared, p->worker, &s->limit_key, &key) != SHARED_ADMIT)
		return false;
	s->limit_key = key;
	return true;
}

/*
 * A header that names no network address (LOCAL, UNKNOWN, a Unix socket at the proxy) leaves the connection what it is:
 * the proxy's own.
 */
static bool believe(struct session *s, const struct proxy_header *header)
{
	char proxy[ADDR_TEXT_SIZE], client[ADDR_TEXT_SIZE];
	bool told = is_network_address(&header->source);
	addr_text(&s->peer, proxy);
	addr_text(&header->source, client);
	log_debug("stream %s: the PROXY header of %s names %s", s->id, proxy, told ? client : "no client");
	if (!told)
		return true;
	s->peer = header->source;
	s->reached = mem_dup(&header->destination, sizeof(header->destination));
	if (count_client(s))
		return true;
	session_close(s, REASON_CONNECTION_LIMIT, NULL);
	return false;
}

bool session_proxy_input(struct session *s, const char **data, size_t *len)
{
	size_t used = 0;
	if (s->proxy == NULL)
		return true;
	enum proxy_result result = proxy_parser_feed(s->proxy, *data, *len, &used);
	*data += used;
	*len -= used;
	if (result == PROXY_MORE)
		return false;
	if (result == PROXY_MALFORMED) {
		session_close(s, REASON_PROXY_HEADER, proxy_parser_why(s->proxy));
		return false;
	}
	bool welcome = believe(s, proxy_parser_header(s->proxy));
	proxy_parser_free(&s->proxy);
	return welcome && *len > 0;
}

bool session_proxy_cut(struct session *s)
{
	/* Who connects and leaves without a word (a health check, a scan) has broken off nothing. */
	if (s->proxy == NULL || s->state != SESSION_FIRST_BYTE || !proxy_parser_begun(s->proxy))
		return false;
	session_close(s, REASON_PROXY_HEADER, "the connection ended in the middle of it");
	return true;
}

static void put_v2(const struct session *s, struct strbuf *out, const struct addr *destination)
{
	struct proxy_tlvs tlvs = {0};
	struct tls_client client;
	char version[16];
	if (s->tls[LEG_ACCEPT] == NULL) {
		proxy_header_write_v2(out, &s->peer, destination, &tlvs);
		return;
	}
	tls_client_read(&client, leg_ssl(s->leg[LEG_ACCEPT]));
	snprintf(version, sizeof(version), "TLSv%s", s->tls[LEG_ACCEPT]->version);
	tlvs.alpn = s->tls[LEG_ACCEPT]->alpn;
	tlvs.authority = s->tls[LEG_ACCEPT]->server_name;
	tlvs.tls_version = version;
	tlvs.cipher = s->tls[LEG_ACCEPT]->cipher;
	tlvs.client_certificate = client.presented;
	tlvs.full_handshake = !s->tls[LEG_ACCEPT]->resumed;
	tlvs.client_verified = client.verified;
	tlvs.client_name = client.common_name;
	proxy_header_write_v2(out, &s->peer, destination, &tlvs);
}

void session_proxy_announce(struct session *s)
{
	int version = s->domain->backend.proxy_protocol;
	struct addr own;
	struct strbuf header;
	if (version == PROXY_PROTOCOL_NONE)
		return;
	leg_own_address(s->leg[LEG_ACCEPT], &own);
	const struct addr *destination = s->reached != NULL ? s->reached : &own;
	strbuf_init(&header, HEADER_MAX);
	if (version == PROXY_PROTOCOL_V1)
		proxy_header_write_v1(&header, &s->peer, destination);
	else
		put_v2(s, &header, destination);
	assert(!header.overflow);
	leg_send(s->leg[LEG_CONNECT], header.data, header.len);
	strbuf_fini(&header);
}

void session_proxy_free(struct session *s)
{
	proxy_parser_free(&s->proxy);
	mem_free(s->reached);
	s->reached = NULL;
}
