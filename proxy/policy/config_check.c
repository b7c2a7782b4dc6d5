/* SPDX-License-Identifier: MIT */
/*
 * Rules between keys. Runs on what was loaded even when there were errors, so that one run shows all; a member that
 * could not be loaded (its mark is set, its value is not) is passed over instead of being reported a second time.
 */
#include <string.h>

#include "policy/config_private.h"

static bool has_role(const struct config *config, enum role role)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		if (config->listeners[i].role == (int)role)
			return true;
	}
	return false;
}

static void check_listeners(const struct config *config, struct diag_list *diags)
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

/* What lets plaintext through is said at every start, so that it is not forgotten. */
static void check_plaintext(const struct config *config, struct diag_list *diags)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		if (listener->role < 0 || listener->role >= ROLE_COUNT)
			continue; /* not loaded, and said before */
		enum level level = (enum level)config->policy.level[listener->role];
		if (listener->tls == LISTENER_TLS_NONE && !level_allows_plaintext((enum mode)config->mode, level))
			diag_add(diags, DIAG_ERROR, listener->mark,
				 "\"listeners[%zu].tls: none\" would refuse every stream: \"policy.%s\" is %s; remove "
				 "it, or set "
				 "the level to may or none",
				 i, role_name((enum role)listener->role), level_name(level));
	}
	if (config->mode == MODE_MONITOR)
		diag_add(diags, DIAG_WARNING, config->mode_mark,
			 "\"mode: monitor\" lets plaintext through: what enforce would refuse is only recorded");
	else if (level_allows_plaintext(MODE_ENFORCE, (enum level)config->policy.level[ROLE_C2S_INBOUND]))
		diag_add(diags, DIAG_WARNING, config->policy.c2s_inbound_mark,
			 "\"policy.c2s-inbound: %s\" lets plaintext through",
			 level_name((enum level)config->policy.level[ROLE_C2S_INBOUND]));
}

/* CLI-2: a network of everybody lets every client say that it is another one. */
static void check_trust(const struct config *config, struct diag_list *diags)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		for (size_t k = 0; k < listener->accept_proxy_count; k++) {
			/* IPv4 lies behind 96 bits of mapping (base/cidr.c). */
			if (listener->accept_proxy[k].bits != 0 && listener->accept_proxy[k].bits != 96)
				continue;
			diag_add(
			    diags, DIAG_WARNING, listener->mark,
			    "\"listeners[%zu].accept-proxy-protocol\" believes everybody: any client can give itself "
			    "any address; list the proxies in front only",
			    i);
			break;
		}
	}
}

/* The domain before number `at` that answers to the name, or `at` if there is none. */
static size_t earlier_owner(const struct config *config, size_t at, const char *name)
{
	for (size_t i = 0; i < at; i++) {
		const struct config_domain *domain = &config->domains[i];
		if (domain->name != NULL && strcmp(domain->name, name) == 0)
			return i;
		for (size_t k = 0; k < domain->server_name_count; k++) {
			if (strcmp(domain->server_names[k], name) == 0)
				return i;
		}
	}
	return at;
}

static bool among_own(const struct config_domain *domain, size_t at)
{
	const char *name = domain->server_names[at];
	bool same = domain->name != NULL && strcmp(domain->name, name) == 0;
	for (size_t i = 0; i < at && !same; i++)
		same = strcmp(domain->server_names[i], name) == 0;
	return same;
}

/* A name that leads to two domains would let the order in the file decide over the certificate. */
static void check_names(const struct config *config, size_t at, struct diag_list *diags)
{
	const struct config_domain *domain = &config->domains[at];
	size_t owner = domain->name != NULL ? earlier_owner(config, at, domain->name) : at;
	if (owner != at)
		diag_add(diags, DIAG_ERROR, domain->name_mark,
			 "\"domains[%zu].name\": %s already belongs to domains[%zu]", at, domain->name, owner);
	for (size_t k = 0; k < domain->server_name_count; k++) {
		const char *name = domain->server_names[k];
		owner = earlier_owner(config, at, name);
		if (owner != at)
			diag_add(diags, DIAG_ERROR, domain->mark,
				 "\"domains[%zu].server-names\": %s already belongs to domains[%zu]", at, name, owner);
		else if (among_own(domain, k))
			diag_add(diags, DIAG_ERROR, domain->mark,
				 "\"domains[%zu].server-names\": %s is given twice, or is the domain itself", at, name);
	}
}

static bool given(const struct config_file *file)
{
	return file->mark.line != 0;
}

static void check_certificate(const struct config *config, size_t at, struct diag_list *diags)
{
	const struct config_domain *domain = &config->domains[at];
	if (given(&domain->certificate) && !given(&domain->private_key))
		diag_add(diags, DIAG_ERROR, domain->certificate.mark,
			 "\"domains[%zu].certificate\" needs \"private-key\"", at);
	if (given(&domain->private_key) && !given(&domain->certificate))
		diag_add(diags, DIAG_ERROR, domain->private_key.mark,
			 "\"domains[%zu].private-key\" needs \"certificate\"", at);
	if (given(&domain->certificate) || given(&domain->private_key))
		return;
	if (domain->more_certificate_count > 0)
		diag_add(diags, DIAG_ERROR, domain->more_certificates[0].mark,
			 "\"domains[%zu].more-certificates\" needs \"certificate\" and \"private-key\" first", at);
	if (given(&domain->ocsp_response))
		diag_add(diags, DIAG_ERROR, domain->ocsp_response.mark,
			 "\"domains[%zu].ocsp-response\" needs \"certificate\" and \"private-key\"", at);
	else if (has_role(config, ROLE_C2S_INBOUND))
		diag_add(
		    diags, DIAG_ERROR, domain->mark,
		    "\"domains[%zu]\" needs \"certificate\" and \"private-key\": a c2s-inbound listener speaks TLS "
		    "for it",
		    at);
}

/* Would a connection to the backend come back to us? Equal, or a loopback port that an any-address listens on. */
static bool is_loop(const struct addr *backend, const struct addr *listener)
{
	if (listener->len == 0)
		return false;
	return addr_equal(backend, listener) || (addr_is_local(backend) && addr_clashes(backend, listener));
}

static void check_backend_address(const struct config *config, size_t at, struct diag_list *diags)
{
	const struct config_backend *backend = &config->domains[at].backend;
	char text[ADDR_TEXT_SIZE];
	addr_text(&backend->c2s, text);
	for (size_t i = 0; i < config->listener_count; i++) {
		if (!is_loop(&backend->c2s, &config->listeners[i].address))
			continue;
		diag_add(diags, DIAG_ERROR, backend->c2s_mark,
			 "\"domains[%zu].backend.c2s\": %s is where listeners[%zu] listens: the proxy would connect to "
			 "itself",
			 at, text, i);
		break;
	}
	/* TLS-25: the hop behind us is as much part of the path as the one before (RFC 6120 section 13.4). */
	if (backend->tls != BACKEND_TLS_REQUIRED &&
	    !config_backend_may_plaintext(&config->domains[at], ROLE_C2S_INBOUND))
		diag_add(
		    diags, DIAG_ERROR, backend->c2s_mark,
		    "\"domains[%zu].backend.c2s\": plaintext to %s, which is neither on loopback nor a Unix socket: "
		    "put the proxy on that host, set \"tls: required\", or set \"allow-remote-plaintext: true\" if the "
		    "network between is yours",
		    at, text);
}

static void check_backend(const struct config *config, size_t at, struct diag_list *diags)
{
	const struct config_domain *domain = &config->domains[at];
	if (domain->backend.c2s.len > 0) {
		check_backend_address(config, at, diags);
	} else if (domain->backend.c2s_mark.line == 0 && has_role(config, ROLE_C2S_INBOUND)) {
		struct config_mark mark = domain->backend.mark.line != 0 ? domain->backend.mark : domain->mark;
		diag_add(diags, DIAG_ERROR, mark,
			 "\"domains[%zu]\" needs \"backend.c2s\": where the legacy server takes the clients of the "
			 "c2s-inbound listener (example: \"127.0.0.1:15222\")",
			 at);
	}
}

void config_check(const struct config *config, struct diag_list *diags)
{
	check_listeners(config, diags);
	check_plaintext(config, diags);
	check_trust(config, diags);
	for (size_t i = 0; i < config->domain_count; i++) {
		check_names(config, i, diags);
		check_certificate(config, i, diags);
		check_backend(config, i, diags);
	}
}
