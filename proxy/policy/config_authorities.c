/* SPDX-License-Identifier: MIT */
/*
 * The certificate authorities of the system, for a configuration that asks for verified TLS and names none of its own.
 * They are read here, through the loader's source, so that they travel in the bundle like every other file: a worker
 * never opens one, and OpenSSL's own default paths are never used.
 */
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "policy/config_private.h"

/* Where distributions keep them as one file; the first that can be read is taken. */
static const char *const places[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Arch */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
    "/etc/ssl/ca-bundle.pem",             /* SUSE */
    "/etc/ssl/cert.pem",                  /* Alpine */
};

/* The domain whose backend asks for them, or NULL. */
static const struct config_domain *wants_authorities(const struct config *config)
{
	for (size_t i = 0; i < config->domain_count; i++) {
		if (config->domains[i].backend.tls != BACKEND_TLS_NEVER)
			return &config->domains[i];
	}
	return NULL;
}

static bool load_place(struct loader *loader, struct config_file *file, const char *place)
{
	struct errbuf err = {{0}};
	file->data = loader->source->read(loader->source->ctx, place, 0, &file->len, &err);
	if (file->data == NULL || file->len == 0) {
		mem_free(file->data);
		file->data = NULL;
		return false;
	}
	file->path = mem_strdup(place);
	return true;
}

void config_authorities_load(struct loader *loader, struct config *config)
{
	struct config_file *file = &config->tls.ca_file;
	const struct config_domain *domain = wants_authorities(config);
	if (domain == NULL || file->mark.line != 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (load_place(loader, file, places[i]))
			return;
	}
	diag_add(loader->diags, DIAG_ERROR, domain->backend.mark,
		 "\"domains[%zu].backend.tls\" needs certificate authorities, and %s cannot be read: install "
		 "ca-certificates, or name those that signed the backend's certificate in \"tls.ca-file\"",
		 (size_t)(domain - config->domains), places[0]);
}
