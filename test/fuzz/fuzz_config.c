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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

static char *memory_read(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	const struct input *input = ctx;
	(void)secret;
	const uint8_t *from = (const uint8_t *)"certificate";
	size_t len = 11;
	if (strcmp(path, "/fuzz/portcullis.yaml") == 0) {
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

static void check_loaded(const struct config *config)
{
	assert(config->listener_count > 0 && config->domain_count > 0);
	assert(config->mode == MODE_ENFORCE && config->policy.level[ROLE_C2S_INBOUND] == LEVEL_ENCRYPT);
	for (size_t i = 0; i < config->listener_count; i++)
		assert(config->listeners[i].role == ROLE_C2S_INBOUND && config->listeners[i].address.len > 0);
	for (size_t i = 0; i < config->domain_count; i++) {
		const struct config_domain *domain = &config->domains[i];
		assert(config_find_domain(config, domain->name) == domain);
		assert(domain->certificate.data != NULL && domain->private_key.data != NULL);
		for (size_t k = 0; k < domain->more_certificate_count; k++) {
			const struct config_domain one = config_domain_with(domain, k);
			assert(one.certificate.data != NULL && one.private_key.data != NULL && one.private_key.secret);
		}
		assert(domain->backend.c2s.len > 0 && domain->backend.s2s.len == 0);
		assert(addr_is_local(&domain->backend.c2s) || domain->backend.allow_remote_plaintext ||
		       domain->backend.tls == BACKEND_TLS_REQUIRED);
		assert(domain->backend.tls == BACKEND_TLS_NEVER || config->tls.ca_file.len > 0);
		assert(domain->backend.tls != BACKEND_TLS_REQUIRED ||
		       !config_backend_may_plaintext(domain, ROLE_C2S_INBOUND));
	}
	assert(config->limits.unauthenticated_stanza >= 10000);
	assert(config->tls.min_version == 0 || config->tls.min_version >= 12);
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
	if (config != NULL)
		check_loaded(config);
	check_findings(&diags);
	check_peek(&source);
	config_unref(&config);
	diag_fini(&diags);
	return 0;
}
