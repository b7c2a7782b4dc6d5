/* SPDX-License-Identifier: MIT */
/*
 * Rules between keys: listeners, levels and TLS here, domains in config_check_domains.c, peers in config_check_peers.c.
 * Runs on what was loaded even when there were errors, so that one run shows all; a member that could not be loaded
 * (its mark is set, its value is not) is passed over instead of being reported a second time.
 */
#include <string.h>

#include "policy/config_private.h"

static void check_addresses(const struct config *config, struct diag_list *diags)
{
	char text[ADDR_TEXT_SIZE];
	for (size_t i = 1; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		for (size_t k = 0; k < i && listener->address.len > 0; k++) {
			const struct addr *earlier = &config->listeners[k].address;
			if (earlier->len == 0 || !addr_clashes(earlier, &listener->address))
				continue;
			addr_text(earlier, text);
			diag_add(diags, DIAG_ERROR, listener->address_mark,
				 "\"listeners[%zu].address\" is taken: listeners[%zu] listens on %s", i, k, text);
			break;
		}
	}
}

static bool is_outbound(const struct config_listener *listener)
{
	return listener->role >= 0 && !role_is_inbound((enum role)listener->role);
}

/* Given, but not to be read: that has its error already. */
static bool is_faulty(const struct config_mark *mark, const struct diag_list *diags)
{
	return mark->line != 0 && diag_has_error_at(diags, *mark);
}

static void check_outbound(const struct config_listener *listener, size_t at, struct diag_list *diags)
{
	static const char *const words[] = {"auto", "starttls", "direct", "none"};
	const char *role = role_name((enum role)listener->role);
	if (listener->tls != LISTENER_TLS_NONE && !is_faulty(&listener->tls_mark, diags))
		diag_add(
		    diags, DIAG_ERROR, listener->tls_mark,
		    "\"listeners[%zu].tls: %s\": on %s it is the legacy side that connects, and TLS with it is not "
		    "available in this version: remove the key",
		    at, words[listener->tls], role);
	if (listener->accept_proxy_count > 0)
		diag_add(
		    diags, DIAG_ERROR, listener->mark,
		    "\"listeners[%zu].accept-proxy-protocol\" is for inbound roles: on %s no proxy stands before the "
		    "legacy side",
		    at, role);
	if (listener->next_hop == NEXT_HOP_ORIGINAL_DESTINATION && listener->intercept == INTERCEPT_NONE &&
	    !is_faulty(&listener->intercept_mark, diags))
		diag_add(
		    diags, DIAG_ERROR, listener->next_hop_mark,
		    "\"listeners[%zu].next-hop: original-destination\" needs \"intercept: redirect\": without it no "
		    "connection has one",
		    at);
}

static void check_inbound(const struct config *config, const struct config_listener *listener, size_t at,
			  struct diag_list *diags)
{
	if (listener->accept_from_count > 0)
		diag_add(diags, DIAG_ERROR, listener->mark,
			 "\"listeners[%zu].accept-from\" is for outbound roles: %s is for everybody", at,
			 role_name((enum role)listener->role));
	enum level level = (enum level)config->policy.level[listener->role];
	const char *role = role_name((enum role)listener->role);
	if (listener->tls == LISTENER_TLS_NONE && !level_allows_plaintext((enum mode)config->mode, level))
		diag_add(
		    diags, DIAG_ERROR, listener->mark,
		    "\"listeners[%zu].tls: none\" would refuse every stream: \"policy.%s\" is %s; remove it, or set "
		    "the level to may or none",
		    at, role, level_name(level));
	if (listener->intercept != INTERCEPT_NONE)
		diag_add(
		    diags, DIAG_ERROR, listener->intercept_mark,
		    "\"listeners[%zu].intercept: redirect\" is for outbound roles: on %s streams go to the backend of "
		    "their domain",
		    at, role);
	if (listener->next_hop != NEXT_HOP_DNS)
		diag_add(
		    diags, DIAG_ERROR, listener->next_hop_mark,
		    "\"listeners[%zu].next-hop: original-destination\" is for outbound roles: on %s streams go to the "
		    "backend of their domain",
		    at, role);
}

static void check_listeners(const struct config *config, struct diag_list *diags)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		if (is_outbound(listener))
			check_outbound(listener, i, diags);
		else if (listener->role >= 0) /* else not loaded, and said before */
			check_inbound(config, listener, i, diags);
	}
}

/* What lets plaintext through is said at every start, so that it is not forgotten. */
static void check_plaintext(const struct config *config, struct diag_list *diags)
{
	if (config->mode == MODE_MONITOR) {
		diag_add(diags, DIAG_WARNING, config->mode_mark,
			 "\"mode: monitor\" lets plaintext through: what enforce would refuse is only recorded");
		return;
	}
	for (int role = 0; role < ROLE_COUNT; role++) {
		enum level level = (enum level)config->policy.level[role];
		if (level_allows_plaintext(MODE_ENFORCE, level))
			diag_add(diags, DIAG_WARNING, config->policy.level_mark[role],
				 "\"policy.%s: %s\" lets plaintext through", role_name((enum role)role),
				 level_name(level));
	}
}

/* CERT-17, RFC 7590 section 3.4: a client that cannot verify its service has nobody to do it but us. Rules for peers
 * are in config_check_peers.c. */
static void check_clients_service(const struct config *config, struct diag_list *diags)
{
	enum level level = (enum level)config->policy.level[ROLE_C2S_OUTBOUND];
	if (config_has_role(config, ROLE_C2S_OUTBOUND) && !level_needs_identity(level))
		diag_add(diags, DIAG_WARNING, config->policy.level_mark[ROLE_C2S_OUTBOUND],
			 "\"policy.c2s-outbound: %s\" gives the passwords of clients to whoever answers for their "
			 "service, with any certificate: set it to verify (RFC 7590 section 3.4)",
			 level_name(level));
}

/* Everybody? IPv4 lies behind 96 bits of mapping (base/cidr.c). */
static bool is_everybody(const struct cidr *nets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (nets[i].bits == 0 || nets[i].bits == 96)
			return true;
	return false;
}

/* CLI-2: a network of everybody lets every client say that it is another one; or, outbound, speak as our own domains.
 */
static void check_trust(const struct config *config, struct diag_list *diags)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		if (is_everybody(listener->accept_proxy, listener->accept_proxy_count))
			diag_add(
			    diags, DIAG_WARNING, listener->mark,
			    "\"listeners[%zu].accept-proxy-protocol\" believes everybody: any client can give itself "
			    "any address; list the proxies in front only",
			    i);
		if (is_everybody(listener->accept_from, listener->accept_from_count))
			diag_add(diags, DIAG_WARNING, listener->mark,
				 "\"listeners[%zu].accept-from\" lets everybody speak as your domains, with their "
				 "certificates; list the legacy servers only",
				 i);
	}
}

static void check_client_certificate(const struct config *config, struct diag_list *diags)
{
	if (config->tls.client_certificate == CLIENT_CERTIFICATE_REQUIRE && config_has_role(config, ROLE_C2S_INBOUND))
		diag_add(
		    diags, DIAG_WARNING, config->tls.client_certificate_mark,
		    "\"tls.client-certificate: require\" locks every client out that has no certificate: there is a "
		    "c2s-inbound listener");
}

void config_check(const struct config *config, struct diag_list *diags)
{
	check_addresses(config, diags);
	check_listeners(config, diags);
	check_plaintext(config, diags);
	check_clients_service(config, diags);
	check_trust(config, diags);
	check_client_certificate(config, diags);
	config_check_domains(config, diags);
	config_check_peers(config, diags);
}
