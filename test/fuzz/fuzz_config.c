/* SPDX-License-Identifier: MIT */
/*
 * The configuration loader on any bytes. Files come from memory only: a path in the input must never reach the disk.
 * Whatever loads must hold what the rest of the program relies on without asking again.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "policy/config.h"
#include "policy/config_peek.h"
#include "policy/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

static char *memory_read(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	const struct input *input = ctx;
	(void)secret;
	static const char resolvers[] = "nameserver 127.0.0.1\n";
	static const char anchor[] =
	    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n";
	const uint8_t *from = (const uint8_t *)"certificate";
	size_t len = 11;
	if (strstr(path, "resolv.conf") != NULL) {
		from = (const uint8_t *)resolvers;
		len = strlen(resolvers);
	} else if (strstr(path, "root.key") != NULL) {
		from = (const uint8_t *)anchor;
		len = strlen(anchor);
	} else if (strcmp(path, "/fuzz/portcullis.yaml") == 0) {
		from = input->data;
		len = input->size;
	} else if (strstr(path, "missing") != NULL) {
		errbuf_set(err, "No such file or directory");
		return NULL;
	}
	char *copy = mem_alloc(len + 1);
	memcpy(copy, from, len);
	copy[len] = '\0';
	*len_out = len;
	return copy;
}

static void check_listener(const struct config *config, const struct config_listener *listener)
{
	assert(listener->role >= 0 && listener->role < ROLE_COUNT && listener->address.len > 0);
	assert(config->domain_count > 0 || listener->role == ROLE_C2S_OUTBOUND);
	if (role_is_inbound((enum role)listener->role)) {
		assert(listener->intercept == INTERCEPT_NONE && listener->next_hop == NEXT_HOP_DNS);
		assert(listener->accept_from_count == 0);
		assert(
		    listener->tls != LISTENER_TLS_NONE ||
		    level_allows_plaintext((enum mode)config->mode, (enum level)config->policy.level[listener->role]));
	} else {
		assert(listener->tls == LISTENER_TLS_NONE && listener->accept_proxy_count == 0);
		assert(listener->next_hop == NEXT_HOP_DNS || listener->intercept == INTERCEPT_REDIRECT);
	}
}

static void check_backend(const struct config *config, const struct config_domain *domain, enum role role)
{
	const struct addr *address = config_backend_address(domain, role);
	if (address->len == 0)
		return;
	assert(addr_is_local(address) || domain->backend.allow_remote_plaintext ||
	       domain->backend.tls == BACKEND_TLS_REQUIRED);
	assert(!config_has_role(config, role) ||
	       (domain->certificate.data != NULL && domain->private_key.data != NULL));
	assert(domain->backend.tls != BACKEND_TLS_REQUIRED || !config_backend_may_plaintext(domain, role));
}

static void check_domain(const struct config *config, const struct config_domain *domain)
{
	assert(config_find_domain(config, domain->name) == domain);
	assert((domain->certificate.data != NULL) == (domain->private_key.data != NULL));
	for (size_t k = 0; k < domain->more_certificate_count; k++) {
		const struct config_domain one = config_domain_with(domain, k);
		assert(one.certificate.data != NULL && one.private_key.data != NULL && one.private_key.secret);
	}
	check_backend(config, domain, ROLE_C2S_INBOUND);
	check_backend(config, domain, ROLE_S2S_INBOUND);
	assert(domain->backend.tls == BACKEND_TLS_NEVER || config->tls.ca_file.len > 0);
}

static void check_peer(const struct config *config, const struct config_peer *rule)
{
	struct peer_policy policy;
	assert(rule->level >= -1 && rule->level < LEVEL_COUNT);
	assert((rule->level == LEVEL_FINGERPRINT) == (rule->fingerprint_count > 0));
	assert((rule->connect_host != NULL) == (rule->connect_port != 0));
	assert((rule->until_text != NULL) == (rule->until != INT64_MAX) && rule->until > 0);
	assert(rule->tls.profile >= 0 && rule->tls.profile < TLS_PROFILE_COUNT);
	assert(rule->tls.min_rsa_bits >= 2048 && rule->tls.min_ec_bits >= 256);
	assert(policy_min_tls(&rule->tls) >= 10);
	for (int role = ROLE_C2S_INBOUND; role < ROLE_COUNT; role++) {
		policy_for_peer(&policy, config, (enum role)role, rule->domain, 0);
		assert(policy.level < LEVEL_COUNT);
		/* No exception without an excuse. */
		assert(!policy.weak || !config_has_role(config, (enum role)role) ||
		       (policy.rule->reason != NULL && policy.rule->until_text != NULL));
	}
}

static void check_loaded(const struct config *config)
{
	assert(config->listener_count > 0);
	assert(config->mode >= 0 && config->mode < MODE_COUNT);
	for (size_t i = 0; i < config->listener_count; i++)
		check_listener(config, &config->listeners[i]);
	for (size_t i = 0; i < config->domain_count; i++)
		check_domain(config, &config->domains[i]);
	for (size_t i = 0; i < config->peer_count; i++)
		check_peer(config, &config->peers[i]);
	assert(!config_has_peers(config) || config->tls.ca_file.len > 0);
	assert(!config_needs_dns(config) || (config->dns.server_count > 0 && config->dns.trust_anchor.len > 0));
	assert(config->limits.unauthenticated_stanza >= 10000);
	assert(config->tls.min_version == 0 || config->tls.min_version >= 12);
	assert(config->tls.profile != TLS_PROFILE_COMPAT);
	assert(config->user != NULL && config->state_directory[0] == '/' && config->admin.socket[0] == '/');
}

static void check_findings(const struct diag_list *diags)
{
	for (size_t i = 0; i < diags->count; i++) {
		assert(diags->items[i].mark.line > 0 && diags->items[i].mark.column > 0);
		char *text = diag_format(diags, &diags->items[i]);
		for (const char *p = text; *p != '\0'; p++)
			assert((unsigned char)*p >= 0x20);
		mem_free(text);
	}
}

/* What may not even be YAML is looked through for the control socket: absolute, or nothing. */
static void check_peek(const struct file_source *source)
{
	char *path = config_peek_socket("/fuzz/portcullis.yaml", source);
	assert(path == NULL || path[0] == '/');
	mem_free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {.data = data, .size = size};
	struct file_source source = {.read = memory_read, .ctx = &input};
	struct diag_list diags;
	diag_init(&diags, "portcullis.yaml");
	struct config *config = config_load("/fuzz/portcullis.yaml", &source, &diags);
	assert((config != NULL) == (diags.errors == 0));
	if (config != NULL) {
		check_loaded(config);
		config_check_dates(config, 1806537599, &diags);
	}
	check_findings(&diags);
	check_peek(&source);
	config_unref(&config);
	diag_fini(&diags);
	return 0;
}
