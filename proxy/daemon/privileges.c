/* SPDX-License-Identifier: MIT */
/*
 * Account, descriptors and limits of master, keeper and workers. Dropping is one way: it is tried whether root can be
 * had back, and if it can the process must not go on.
 */
#include "daemon/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* LeakSanitizer attaches to its own process, which a process that may not be traced cannot let it do. */
#ifdef __SANITIZE_ADDRESS__
#define DUMPABLE 1L
#else
#define DUMPABLE 0L
#endif

int account_find(const struct config *config, struct account *out, struct errbuf *err)
{
	const struct passwd *pw;

	memset(out, 0, sizeof(*out));
	if (geteuid() != 0)
		return 0;
	errno = 0;
	pw = getpwnam(config->user);
	if (!pw) {
		errbuf_set(err, "no account \"%s\" on this machine; create it: adduser --system --group %s",
			   config->user, config->user);
		return -1;
	}
	out->change = true;
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	return 0;
}

static int take_account(const struct account *account)
{
	if (setgroups(0, NULL) < 0 || setresgid(account->gid, account->gid, account->gid) < 0)
		return -1;
	if (setresuid(account->uid, account->uid, account->uid) < 0)
		return -1;
	if (account->uid != 0 && setuid(0) == 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

int privileges_drop(const struct account *account, struct errbuf *err)
{
	const struct rlimit none = {0, 0};

	if (account->change && take_account(account) < 0) {
		errbuf_set(err, "cannot take account %ld: %s", (long)account->uid, strerror(errno));
		return -1;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0 || prctl(PR_SET_DUMPABLE, DUMPABLE, 0L, 0L, 0L) < 0 ||
	    setrlimit(RLIMIT_CORE, &none) < 0) {
		errbuf_set(err, "cannot give up privileges: %s", strerror(errno));
		return -1;
	}
	return 0;
}

bool privileges_die_with(pid_t parent)
{
	return prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L) == 0 && getppid() == parent;
}

uint64_t descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			getrlimit(RLIMIT_NOFILE, &limit);
	}
	return (uint64_t)limit.rlim_cur;
}

static int compare_int(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

void descriptors_keep_only(int *keep, size_t count)
{
	unsigned first = 3;

	if (count > 0)
		qsort(keep, count, sizeof(*keep), compare_int);
	for (size_t i = 0; i < count; i++) {
		if (keep[i] < 0 || (unsigned)keep[i] < first)
			continue;
		if ((unsigned)keep[i] > first)
			close_range(first, (unsigned)keep[i] - 1, 0);
		first = (unsigned)keep[i] + 1;
	}
	close_range(first, ~0U, 0);
}
