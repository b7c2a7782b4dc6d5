/* SPDX-License-Identifier: MIT */
/*
 * Rules about the local domains: whose name is whose, what a listener needs of them, and where their backends are. A
 * domain is served for clients, for servers, or both, as its backend says: a component has no clients.
 */
#include <string.h>

#include "base/array.h"
#include "policy/config_private.h"

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

static const struct {
	enum role role;
	const char *key, *who, *article, *example;
} inbound[] = {
    {ROLE_C2S_INBOUND, "c2s", "clients", "a", "127.0.0.1:15222"},
    {ROLE_S2S_INBOUND, "s2s", "servers", "an", "127.0.0.1:15269"},
};

static const struct config_mark *backend_mark(const struct config_domain *domain, size_t which)
{
	return inbound[which].role == ROLE_C2S_INBOUND ? &domain->backend.c2s_mark : &domain->backend.s2s_mark;
}

/* Is there a listener of that role, and does the domain say where its streams go (if only in vain)? */
static bool is_served(const struct config *config, const struct config_domain *domain, size_t which)
{
	return config_has_role(config, inbound[which].role) && backend_mark(domain, which)->line != 0;
}

/* The listeners that speak TLS for the domain: by its backends, or any if it has none yet. ARRAY_LEN: nobody. */
static size_t find_speaker(const struct config *config, const struct config_domain *domain)
{
	for (size_t i = 0; i < ARRAY_LEN(inbound); i++) {
		if (is_served(config, domain, i))
			return i;
	}
	for (size_t i = 0; i < ARRAY_LEN(inbound); i++) {
		if (config_has_role(config, inbound[i].role) && !config_has_role(config, ROLE_S2S_OUTBOUND))
			return i;
	}
	return ARRAY_LEN(inbound);
}

static void check_no_certificate(const struct config *config, size_t at, struct diag_list *diags)
{
	const struct config_domain *domain = &config->domains[at];
	size_t speaker = find_speaker(config, domain);
	if (speaker < ARRAY_LEN(inbound))
		diag_add(diags, DIAG_ERROR, domain->mark,
			 "\"domains[%zu]\" needs \"certificate\" and \"private-key\": %s %s listener speaks TLS for it",
			 at, inbound[speaker].article, role_name(inbound[speaker].role));
	else if (config_has_role(config, ROLE_S2S_OUTBOUND))
		diag_add(diags, DIAG_WARNING, domain->mark,
			 "\"domains[%zu]\" has no \"certificate\": other servers are shown none, and can tell who is "
			 "calling "
			 "by dialback only",
			 at);
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
	else
		check_no_certificate(config, at, diags);
}

/* Equal, or a loopback port that an any-address listens on. */
size_t config_find_loop(const struct config *config, const struct addr *to, bool outbound_only)
{
	size_t i = 0;
	for (; i < config->listener_count; i++) {
		const struct addr *address = &config->listeners[i].address;
		bool passed_by = outbound_only && role_is_inbound((enum role)config->listeners[i].role);
		if (address->len == 0 || passed_by)
			continue;
		if (addr_equal(to, address) || (addr_is_local(to) && addr_clashes(to, address)))
			break;
	}
	return i;
}

static void check_backend_address(const struct config *config, size_t at, size_t which, struct diag_list *diags)
{
	const struct config_domain *domain = &config->domains[at];
	const struct addr *address = config_backend_address(domain, inbound[which].role);
	const char *key = inbound[which].key;
	char text[ADDR_TEXT_SIZE];
	addr_text(address, text);
	size_t loop = config_find_loop(config, address, false);
	if (loop < config->listener_count)
		diag_add(diags, DIAG_ERROR, *backend_mark(domain, which),
			 "\"domains[%zu].backend.%s\": %s is where listeners[%zu] listens: the proxy would connect to "
			 "itself",
			 at, key, text, loop);
	/* TLS-25: the hop behind us is as much part of the path as the one before (RFC 6120 section 13.4). */
	if (domain->backend.tls != BACKEND_TLS_REQUIRED && !config_backend_may_plaintext(domain, inbound[which].role))
		diag_add(
		    diags, DIAG_ERROR, *backend_mark(domain, which),
		    "\"domains[%zu].backend.%s\": plaintext to %s, which is neither on loopback nor a Unix socket: "
		    "put the proxy on that host, set \"tls: required\", or set \"allow-remote-plaintext: true\" if the "
		    "network between is yours",
		    at, key, text);
}

/* Nobody could be led anywhere. With s2s-outbound listeners, it may be a domain that only calls others. */
static void check_no_backend(const struct config *config, size_t at, struct diag_list *diags)
{
	const struct config_domain *domain = &config->domains[at];
	struct config_mark mark = domain->backend.mark.line != 0 ? domain->backend.mark : domain->mark;
	for (size_t i = 0; i < ARRAY_LEN(inbound); i++) {
		if (!config_has_role(config, inbound[i].role))
			continue;
		if (config_has_role(config, ROLE_S2S_OUTBOUND))
			diag_add(diags, DIAG_WARNING, mark,
				 "\"domains[%zu]\" has no \"backend.%s\": the %s listener takes nobody for it", at,
				 inbound[i].key, role_name(inbound[i].role));
		else
			diag_add(
			    diags, DIAG_ERROR, mark,
			    "\"domains[%zu]\" needs \"backend.%s\": where the legacy server takes the %s of the %s "
			    "listener (example: \"%s\")",
			    at, inbound[i].key, inbound[i].who, role_name(inbound[i].role), inbound[i].example);
	}
}

static void check_backend(const struct config *config, size_t at, struct diag_list *diags)
{
	const struct config_domain *domain = &config->domains[at];
	bool served = false;
	for (size_t i = 0; i < ARRAY_LEN(inbound); i++) {
		served = served || is_served(config, domain, i);
		if (config_backend_address(domain, inbound[i].role)->len > 0)
			check_backend_address(config, at, i, diags);
	}
	if (!served)
		check_no_backend(config, at, diags);
	else if (!is_served(config, domain, 1) && config_has_role(config, ROLE_S2S_INBOUND))
		diag_add(diags, DIAG_WARNING, domain->backend.mark,
			 "\"domains[%zu]\" has no \"backend.s2s\": the s2s-inbound listener takes nobody for it", at);
}

/* Every role but c2s-outbound acts for a domain of ours. */
static void check_missing(const struct config *config, struct diag_list *diags)
{
	for (size_t i = 0; i < config->listener_count && config->domains_mark.line == 0; i++) {
		const struct config_listener *listener = &config->listeners[i];
		if (listener->role == ROLE_C2S_OUTBOUND || listener->role < 0)
			continue;
		diag_add(diags, DIAG_ERROR, listener->mark,
			 "\"listeners[%zu].role: %s\" needs \"domains\": the local domains that it is for", i,
			 role_name((enum role)listener->role));
		return;
	}
}

void config_check_domains(const struct config *config, struct diag_list *diags)
{
	check_missing(config, diags);
	for (size_t i = 0; i < config->domain_count; i++) {
		check_names(config, i, diags);
		check_certificate(config, i, diags);
		check_backend(config, i, diags);
	}
}
