/* SPDX-License-Identifier: MIT */
/*
 * Loading a configuration and answering for it. The struct is filled by the schema (config_block.c, config_value.c),
 * checked between keys (config_check.c), and immutable from then on; a configuration with any error never leaves this
 * file. The reference count is of one process and one thread.
 */
#include "policy/config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "policy/config_private.h"

char *config_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (slash == path)
		return mem_strdup("/");
	char *named = slash != NULL ? mem_strndup(path, (size_t)(slash - path)) : NULL;
	if (path[0] == '/')
		return named;
	char here[4096];
	char *result = NULL;
	if (getcwd(here, sizeof(here)) != NULL)
		result = named != NULL ? config_absolute(here, named) : mem_strdup(here);
	mem_free(named);
	return result;
}

/* It is the legacy side that connects there, in plaintext. */
static void settle_listeners(struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		struct config_listener *listener = &config->listeners[i];
		if (!listener->tls_set && listener->role >= 0 && !role_is_inbound((enum role)listener->role))
			listener->tls = LISTENER_TLS_NONE;
	}
}

static void load_text(struct config *config, const struct file_source *source, const char *data, size_t len,
		      struct diag_list *diags)
{
	struct loader loader = {.source = source, .diags = diags, .directory = config->directory};
	config_block_default(&loader, &schema_root, config);
	struct tree_node *root = tree_parse(data, len, diags);
	if (root == NULL)
		return;
	config_block_load(&loader, &schema_root, root, NULL, config);
	config_authorities_load(&loader, config);
	settle_listeners(config);
	config_peers_settle(config);
	config_resolvers_load(&loader, config);
	config_check(config, diags);
	tree_free(&root);
}

static void load_file(struct config *config, const struct file_source *source, struct diag_list *diags)
{
	struct errbuf err = {{0}};
	size_t len = 0;
	char *data = source->read(source->ctx, config->file, 0, &len, &err);
	if (data == NULL) {
		diag_add(diags, DIAG_ERROR, (struct config_mark){0, 0}, "cannot read the configuration: %s", err.text);
		return;
	}
	load_text(config, source, data, len, diags);
	mem_free(data);
}

struct config *config_read(const char *path, const struct file_source *source, struct diag_list *diags)
{
	struct config *config = mem_zalloc(sizeof(*config));
	config->refs = 1;
	config->file = mem_strdup(path);
	config->directory = config_directory(path);
	if (config->directory != NULL)
		load_file(config, source, diags);
	else
		diag_add(diags, DIAG_ERROR, (struct config_mark){0, 0}, "no working directory: %s", strerror(errno));
	diag_sort(diags);
	return config;
}

struct config *config_load(const char *path, const struct file_source *source, struct diag_list *diags)
{
	size_t before = diags->errors;
	struct config *config = config_read(path, source, diags);

	if (diags->errors > before)
		config_unref(&config);
	return config;
}

struct config *config_ref(struct config *config)
{
	config->refs++;
	return config;
}

void config_unref(struct config **config)
{
	struct config *c = *config;
	*config = NULL;
	if (c == NULL || --c->refs > 0)
		return;
	config_block_free(&schema_root, c);
	mem_free(c->file);
	mem_free(c->directory);
	mem_free(c);
}

const struct config_domain *config_find_domain(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->domain_count; i++) {
		if (strcmp(config->domains[i].name, name) == 0)
			return &config->domains[i];
	}
	return NULL;
}

const struct config_domain *config_find_server_name(const struct config *config, const char *name)
{
	const struct config_domain *found = config_find_domain(config, name);
	for (size_t i = 0; i < config->domain_count && found == NULL; i++) {
		const struct config_domain *domain = &config->domains[i];
		for (size_t k = 0; k < domain->server_name_count && found == NULL; k++) {
			if (strcmp(domain->server_names[k], name) == 0)
				found = domain;
		}
	}
	return found;
}

bool config_has_role(const struct config *config, enum role role)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		if (config->listeners[i].role == (int)role)
			return true;
	}
	return false;
}

bool config_has_peers(const struct config *config)
{
	return config_has_role(config, ROLE_S2S_INBOUND) || config_has_role(config, ROLE_S2S_OUTBOUND) ||
	       config_has_role(config, ROLE_C2S_OUTBOUND);
}

bool config_backend_may_plaintext(const struct config_domain *domain, enum role role)
{
	const struct config_backend *backend = &domain->backend;
	if (backend->tls == BACKEND_TLS_REQUIRED)
		return false;
	return backend->allow_remote_plaintext || addr_is_local(config_backend_address(domain, role));
}

struct config_domain config_domain_with(const struct config_domain *domain, size_t more)
{
	const struct config_credential *credential = &domain->more_certificates[more];
	struct config_domain one = *domain;
	one.certificate = credential->certificate;
	one.private_key = credential->private_key;
	one.ocsp_response = credential->ocsp_response;
	one.more_certificates = NULL;
	one.more_certificate_count = 0;
	return one;
}

const struct addr *config_backend_address(const struct config_domain *domain, enum role role)
{
	static const struct addr none;
	if (role == ROLE_C2S_INBOUND)
		return &domain->backend.c2s;
	return role == ROLE_S2S_INBOUND ? &domain->backend.s2s : &none;
}
