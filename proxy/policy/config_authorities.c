/* SPDX-License-Identifier: MIT */
/*
 * The certificate authorities of the system, for a configuration that asks for verified TLS and names none of its own.
 * They are read here, through the loader's source, so that they travel in the bundle like every other file: a worker
 * never opens one, and OpenSSL's own default paths are never used.
 */
#include <stdio.h>

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

/* Who asks for them: a domain's backend, or a listener of a role with remote domains, whose certificates are judged at
 * every level, if only for the record. The key is put into words; false: nobody. */
static bool wants_authorities(const struct config *config, struct config_mark *mark_out, char key[KEY_PATH_SIZE])
{
	for (size_t i = 0; i < config->domain_count; i++) {
		if (config->domains[i].backend.tls == BACKEND_TLS_NEVER)
			continue;
		*mark_out = config->domains[i].backend.mark;
		(void)snprintf(key, KEY_PATH_SIZE, "\"domains[%zu].backend.tls\"", i);
		return true;
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		int role = config->listeners[i].role;
		if (role < 0 || role == ROLE_C2S_INBOUND)
			continue;
		*mark_out = config->listeners[i].mark;
		(void)snprintf(key, KEY_PATH_SIZE, "\"listeners[%zu].role: %s\"", i, role_name((enum role)role));
		return true;
	}
	return false;
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
	struct config_mark mark;
	char key[KEY_PATH_SIZE];
	if (file->mark.line != 0 || !wants_authorities(config, &mark, key))
		return;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (load_place(loader, file, places[i]))
			return;
	}
	diag_add(loader->diags, DIAG_ERROR, mark,
		 "%s needs certificate authorities, and %s cannot be read: install ca-certificates, or name those to "
		 "trust in \"tls.ca-file\"",
		 key, places[0]);
}
