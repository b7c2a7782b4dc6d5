/* SPDX-License-Identifier: MIT */
/*
 * Checks that need the machine and not only the text of the configuration: who may read a private key, whether the
 * account exists, whether audit log and control socket have a place. Each finding names the key's line and the remedy.
 */
#include "daemon/preflight.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "daemon/privileges.h"
#include "daemon/state_directory.h"
#include "tls/check.h"

static void check_key_file(const struct config_file *key, struct diag_list *diags)
{
	struct stat st;

	if (!key->path || stat(key->path, &st) < 0)
		return;
	if (st.st_mode & S_IRWXO)
		diag_add(diags, DIAG_ERROR, key->mark,
			 "private key %s is open to every account of this machine: chmod o-rwx %s", key->path,
			 key->path);
}

static void check_keys(const struct config *config, struct diag_list *diags)
{
	for (size_t i = 0; i < config->domain_count; i++) {
		const struct config_domain *domain = &config->domains[i];

		check_key_file(&domain->private_key, diags);
		for (size_t k = 0; k < domain->more_certificate_count; k++)
			check_key_file(&domain->more_certificates[k].private_key, diags);
	}
	check_key_file(&config->audit.signing_key, diags);
}

/* The directory part of path ("." if it has none); the caller frees. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return mem_strdup(".");
	return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

static bool may_write(const struct stat *st, const struct account *account)
{
	if (account->uid == 0)
		return true;
	if (st->st_uid == account->uid)
		return (st->st_mode & S_IWUSR) != 0;
	if (st->st_gid == account->gid)
		return (st->st_mode & S_IWGRP) != 0;
	return (st->st_mode & S_IWOTH) != 0;
}

static void check_audit_directory(const struct config *config, const struct account *account, const char *directory,
				  struct diag_list *diags)
{
	struct config_mark mark = config->audit.output_mark;
	struct stat st, file;

	if (stat(directory, &st) < 0 || !S_ISDIR(st.st_mode))
		diag_add(diags, DIAG_ERROR, mark, "the audit log's directory %s does not exist: mkdir -p %s", directory,
			 directory);
	else if (stat(config->audit.file_path, &file) == 0 && S_ISDIR(file.st_mode))
		diag_add(diags, DIAG_ERROR, mark, "the audit log %s is a directory: name a file in it",
			 config->audit.file_path);
	else if (access(config->audit.file_path, F_OK) < 0 && access(directory, W_OK) < 0)
		diag_add(diags, DIAG_ERROR, mark, "the audit log cannot be made in %s: %s", directory, strerror(errno));
	else if (access(config->audit.file_path, F_OK) == 0 && access(config->audit.file_path, W_OK) < 0)
		diag_add(diags, DIAG_ERROR, mark, "the audit log %s cannot be written: %s", config->audit.file_path,
			 strerror(errno));
	else if (account->change && !may_write(&st, account))
		diag_add(diags, DIAG_WARNING, mark,
			 "account \"%s\" may not make files in %s: a rotation must make the new audit log itself, or "
			 "chown %s %s",
			 config->user, directory, config->user, directory);
}

static void check_audit(const struct config *config, const struct account *account, struct diag_list *diags)
{
	char *directory;

	if (config->audit.output != AUDIT_FILE)
		return;
	directory = directory_of(config->audit.file_path);
	check_audit_directory(config, account, directory, diags);
	mem_free(directory);
}

/* The last directory may be missing: it is made (in /run nothing outlives a boot). */
static void check_admin(const struct config *config, struct diag_list *diags)
{
	static const struct config_mark whole_file;
	char *directory = directory_of(config->admin.socket), *parent = directory_of(directory);

	if (access(directory, F_OK) < 0 && access(parent, F_OK) < 0)
		diag_add(diags, DIAG_ERROR, whole_file, "admin.socket: neither %s nor %s exists: mkdir -p %s",
			 directory, parent, directory);
	else if (access(directory, F_OK) == 0 ? access(directory, W_OK) < 0 : access(parent, W_OK) < 0)
		diag_add(diags, DIAG_ERROR, whole_file,
			 "admin.socket: no right to make %s: start as root, or name a path this account may write",
			 config->admin.socket);
	mem_free(directory);
	mem_free(parent);
}

static void check_machine(const struct config *config, struct diag_list *diags)
{
	struct account account;
	struct errbuf err = {.text = ""};

	if (account_find(config, &account, &err) < 0)
		diag_add(diags, DIAG_ERROR, config->user_mark, "user: %s", err.text);
	else if (account.change && account.uid == 0)
		diag_add(diags, DIAG_WARNING, config->user_mark,
			 "user: \"%s\" is root: workers keep every privilege; name an account of their own",
			 config->user);
	check_audit(config, &account, diags);
	check_admin(config, diags);
	state_directory_check(config, &account, diags);
}

struct config *preflight(const char *path, const struct file_source *source, struct diag_list *diags)
{
	struct config *config = config_read(path, source, diags);
	/* What is wrong with the text must not hide what is wrong with the certificates; where text was wrong, though,
	 * defaults stand for values, of which nothing is to be said. */
	bool sound = diags->errors == 0;

	config_check_dates(config, clock_real_us() / 1000000, diags);
	tls_check(config, clock_real_us() / 1000000, diags);
	check_keys(config, diags);
	if (sound)
		check_machine(config, diags);
	if (diags->errors > 0)
		config_unref(&config);
	return config;
}

void preflight_print(FILE *out, struct diag_list *diags)
{
	diag_sort(diags);
	for (size_t i = 0; i < diags->count; i++) {
		char *line = diag_format(diags, &diags->items[i]);

		fprintf(out, "%s\n", line);
		mem_free(line);
	}
}
