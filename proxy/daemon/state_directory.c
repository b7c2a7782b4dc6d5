/* SPDX-License-Identifier: MIT */
/*
 * Checking and making state-directory. The master does it, with the rights that it still has; who opens the database in
 * it is the keeper, with those of the account, and has the last word: access lists and the like are not guessed here.
 */
#include "daemon/state_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static const struct config_mark whole_file;

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !slash ? mem_strdup(".") : slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

static bool may_write(const char *path, const struct stat *st, const struct account *account)
{
	if (!account->change)
		return access(path, W_OK | X_OK) == 0;
	if (account->uid == 0)
		return true;
	if (st->st_uid == account->uid)
		return (st->st_mode & S_IWUSR) != 0;
	return (st->st_mode & (st->st_gid == account->gid ? S_IWGRP : S_IWOTH)) != 0;
}

static void check_parent(const char *path, struct diag_list *diags)
{
	char *parent = parent_of(path);

	if (access(parent, F_OK) < 0)
		diag_add(diags, DIAG_ERROR, whole_file, "state-directory: neither %s nor %s exists: mkdir -p %s", path,
			 parent, parent);
	else if (access(parent, W_OK) < 0)
		diag_add(diags, DIAG_ERROR, whole_file,
			 "state-directory: no right to make %s: start as root, or name a path this account may write",
			 path);
	mem_free(parent);
}

void state_directory_check(const struct config *config, const struct account *account, struct diag_list *diags)
{
	const char *path = config->state_directory;
	struct stat st;

	if (!config_has_peers(config))
		return;
	if (stat(path, &st) < 0)
		check_parent(path, diags);
	else if (!S_ISDIR(st.st_mode))
		diag_add(diags, DIAG_ERROR, whole_file, "state-directory: %s is no directory", path);
	else if (st.st_mode & S_IWOTH)
		diag_add(diags, DIAG_ERROR, whole_file,
			 "state-directory: everybody may write in %s, and so change what is remembered: chmod o-w %s",
			 path, path);
	else if (!may_write(path, &st, account))
		diag_add(diags, DIAG_WARNING, whole_file,
			 "state-directory: account \"%s\" may not write in %s: chown %s %s", config->user, path,
			 config->user, path);
}

static int give(const char *path, const struct account *account)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), result;

	if (fd < 0)
		return -1;
	result = fchown(fd, account->uid, account->gid);
	close(fd);
	return result;
}

int state_directory_make(const struct config *config, const struct account *account, struct errbuf *err)
{
	const char *path = config->state_directory;

	if (!config_has_peers(config))
		return 0;
	if (mkdir(path, 0700) < 0) {
		if (errno == EEXIST)
			return 0;
	} else if (!account->change || give(path, account) == 0) {
		return 0;
	}
	errbuf_set(err, "cannot make state-directory %s: %s", path, strerror(errno));
	return -1;
}
