/* SPDX-License-Identifier: MIT */
/* Files from the disk: bytes as they are, and a word for everything that is no readable regular file of bounded size.
 */
#include "policy/files.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static char directory[64];

static const char *path_of(const char *name)
{
	static char path[128];
	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void put(const char *name, const void *data, size_t len)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static char *get(const char *name, size_t *len, struct errbuf *err)
{
	struct file_source source = file_source_disk();
	*err = (struct errbuf){{0}};
	return source.read(source.ctx, path_of(name), 1, len, err);
}

static void assert_refused(const char *name, const char *why)
{
	struct errbuf err;
	size_t len = 0;
	assert_null(get(name, &len, &err));
	assert_string_equal(err.text, why);
}

static int make_directory(void **state)
{
	(void)state;
	(void)snprintf(directory, sizeof(directory), "/tmp/test_files.XXXXXX");
	return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
	(void)state;
	static const char *const names[] = {"bytes", "empty", "fifo", "full", "over", "link"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(path_of(names[i]));
	return rmdir(directory);
}

static void reads_every_byte(void **state)
{
	(void)state;
	struct errbuf err;
	size_t len = 0;
	put("bytes", "a\0b\n", 4);
	char *data = get("bytes", &len, &err);
	assert_non_null(data);
	assert_int_equal(len, 4);
	assert_memory_equal(data, "a\0b\n\0", 5);
	mem_free(data);
	put("empty", "", 0);
	data = get("empty", &len, &err);
	assert_non_null(data);
	assert_int_equal(len, 0);
	assert_int_equal(data[0], 0);
	mem_free(data);
}

/* Certificates are links to where the client of the authority puts them. */
static void follows_links(void **state)
{
	(void)state;
	struct errbuf err;
	size_t len = 0;
	assert_int_equal(symlink("bytes", path_of("link")), 0);
	char *data = get("link", &len, &err);
	assert_non_null(data);
	assert_int_equal(len, 4);
	mem_free(data);
}

static void says_what_is_wrong(void **state)
{
	(void)state;
	assert_refused("nothing", "No such file or directory");
	assert_refused(".", "Is a directory");
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	assert_refused("fifo", "not a regular file");
}

static void stops_at_a_mebibyte(void **state)
{
	(void)state;
	struct errbuf err;
	size_t len = 0, size = 1024 * 1024;
	char *big = mem_zalloc(size + 1);
	put("full", big, size);
	put("over", big, size + 1);
	mem_free(big);
	char *data = get("full", &len, &err);
	assert_non_null(data);
	assert_int_equal(len, size);
	mem_free(data);
	assert_refused("over", "larger than 1048576 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_every_byte),
	    cmocka_unit_test(follows_links),
	    cmocka_unit_test(says_what_is_wrong),
	    cmocka_unit_test(stops_at_a_mebibyte),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
