/* SPDX-License-Identifier: MIT */
/* The directory of peer memory: only where it is needed, only if just it is missing, and for one account alone. */
#include "daemon/state_directory.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char top[] = "/tmp/portcullis-state-XXXXXX";
static char path[64], user[] = "somebody";
static struct config_listener listener = {.role = ROLE_S2S_OUTBOUND};
static struct config config = {.state_directory = path, .user = user, .listeners = &listener, .listener_count = 1};
static struct account account;

static void expect(size_t errors, const char *text)
{
	struct diag_list diags;

	diag_init(&diags, "p.yaml");
	state_directory_check(&config, &account, &diags);
	assert_int_equal(diags.errors, errors);
	assert_int_equal(diags.count, text ? 1 : 0);
	if (text)
		assert_string_equal(diags.items[0].text, text);
	diag_fini(&diags);
}

static void test_made(void **state)
{
	struct errbuf err = {.text = ""};
	mode_t mask = umask(0);
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/state", top);
	account = (struct account){.change = false};
	expect(0, NULL);
	assert_int_equal(state_directory_make(&config, &account, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	/* There already: left as it is. */
	assert_int_equal(chmod(path, 0750), 0);
	assert_int_equal(state_directory_make(&config, &account, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	expect(0, NULL);
	rmdir(path);
	/* No remote domains, no directory. */
	listener.role = ROLE_C2S_INBOUND;
	assert_int_equal(state_directory_make(&config, &account, &err), 0);
	assert_int_equal(access(path, F_OK), -1);
	listener.role = ROLE_S2S_OUTBOUND;
	umask(mask);
}

static void test_given(void **state)
{
	struct errbuf err = {.text = ""};
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		return;
	account = (struct account){.change = true, .uid = 65534, .gid = 65533};
	assert_int_equal(state_directory_make(&config, &account, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(st.st_gid, 65533);
	expect(0, NULL);
	assert_int_equal(chown(path, 0, 0), 0);
	assert_int_equal(chmod(path, 0755), 0);
	{
		char text[256];

		snprintf(text, sizeof(text),
			 "state-directory: account \"somebody\" may not write in %s: chown somebody %s", path, path);
		expect(0, text);
	}
	rmdir(path);
}

static void test_bad(void **state)
{
	struct errbuf err = {.text = ""};
	char text[256];
	int fd;

	(void)state;
	account = (struct account){.change = false};
	snprintf(path, sizeof(path), "%s/none/state", top);
	snprintf(text, sizeof(text), "state-directory: neither %s nor %s/none exists: mkdir -p %s/none", path, top,
		 top);
	expect(1, text);
	assert_int_equal(state_directory_make(&config, &account, &err), -1);
	snprintf(text, sizeof(text), "cannot make state-directory %s: No such file or directory", path);
	assert_string_equal(err.text, text);
	listener.role = ROLE_C2S_INBOUND;
	expect(0, NULL);
	listener.role = ROLE_S2S_INBOUND;
	snprintf(path, sizeof(path), "%s/file", top);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	snprintf(text, sizeof(text), "state-directory: %s is no directory", path);
	expect(1, text);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 01777), 0);
	snprintf(text, sizeof(text),
		 "state-directory: everybody may write in %s, and so change what is remembered: chmod o-w %s", path,
		 path);
	expect(1, text);
	rmdir(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_made),
	    cmocka_unit_test(test_given),
	    cmocka_unit_test(test_bad),
	};
	int failed;

	if (!mkdtemp(top))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(top);
	return failed;
}
