/* SPDX-License-Identifier: MIT */
/*
 * The bundle: what was read comes back byte for byte, once, sealed; nothing else is taken for a bundle.
 */
#include "daemon/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

struct fake_disk {
	unsigned reads;
};

static char *fake_read(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	struct fake_disk *disk = ctx;

	(void)secret;
	disk->reads++;
	if (strcmp(path, "/etc/a.yaml") == 0) {
		*len_out = 6;
		return mem_strdup("mode:\n");
	}
	if (strcmp(path, "/etc/key.der") == 0) {
		*len_out = 4;
		return mem_dup("\x30\0\xff\n", 5);
	}
	if (strcmp(path, "/etc/empty") == 0) {
		*len_out = 0;
		return mem_strdup("");
	}
	errbuf_set(err, "No such file or directory");
	return NULL;
}

static int make_bundle(struct fake_disk *disk)
{
	struct file_source below = {.read = fake_read, .ctx = disk};
	struct bundle_recorder *recorder = bundle_recorder_new(&below);
	struct file_source source = bundle_recorder_source(recorder);
	static const char *const paths[] = {"/etc/a.yaml", "/etc/key.der", "/etc/empty", "/etc/key.der"};
	struct errbuf err = {.text = ""};
	size_t len;
	int fd;

	for (size_t i = 0; i < 4; i++) {
		char *data = source.read(source.ctx, paths[i], 1, &len, &err);

		assert_non_null(data);
		mem_free(data);
	}
	assert_null(source.read(source.ctx, "/etc/none", 0, &len, &err));
	assert_string_equal(err.text, "No such file or directory");
	fd = bundle_recorder_seal(recorder, &err);
	bundle_recorder_free(&recorder);
	assert_null(recorder);
	assert_true(fd >= 0);
	return fd;
}

static void expect_file(struct file_source source, const char *path, const char *data, size_t expected)
{
	struct errbuf err = {.text = ""};
	size_t len = 99;
	char *got = source.read(source.ctx, path, 0, &len, &err);

	assert_non_null(got);
	assert_int_equal(len, expected);
	assert_memory_equal(got, data, expected);
	assert_int_equal(got[len], '\0');
	mem_free(got);
}

static void test_round_trip(void **state)
{
	struct fake_disk disk = {0};
	int fd = make_bundle(&disk);
	struct errbuf err = {.text = ""};
	struct bundle *bundle = bundle_open(fd, &err);
	struct file_source source;
	size_t len;

	(void)state;
	/* Four paths of three files, and one that is not there: the second time is not read from the disk. */
	assert_int_equal(disk.reads, 4);
	assert_non_null(bundle);
	source = bundle_source(bundle);
	expect_file(source, "/etc/a.yaml", "mode:\n", 6);
	expect_file(source, "/etc/key.der", "\x30\0\xff\n", 4);
	expect_file(source, "/etc/empty", "", 0);
	assert_null(source.read(source.ctx, "/etc/a.yam", 0, &len, &err));
	assert_string_equal(err.text, "not in the configuration bundle");
	assert_null(source.read(source.ctx, "/etc/passwd", 0, &len, &err));
	assert_int_equal(disk.reads, 4);
	bundle_free(&bundle);
	close(fd);
}

static void test_seals(void **state)
{
	struct fake_disk disk = {0};
	int fd = make_bundle(&disk);

	(void)state;
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_ptr_equal(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

static struct bundle *open_bytes(const void *data, size_t len, bool seal)
{
	struct errbuf err = {.text = ""};
	struct bundle *bundle;
	int fd = memfd_create("test", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	assert_int_equal(write(fd, data, len), len);
	if (seal)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	bundle = bundle_open(fd, &err);
	if (!bundle)
		assert_true(err.text[0] != '\0');
	close(fd);
	return bundle;
}

static void test_refused(void **state)
{
	static const char none[] = "PCBNDL1\0\0\0\0\0", one[] = "PCBNDL1\0\1\0\0\0\1\0\0\0\1\0\0\0pd";
	char bad[sizeof(one)];
	struct bundle *bundle = open_bytes(none, 12, true);

	(void)state;
	assert_non_null(bundle);
	bundle_free(&bundle);
	bundle = open_bytes(one, 22, true);
	assert_non_null(bundle);
	expect_file(bundle_source(bundle), "p", "d", 1);
	bundle_free(&bundle);
	assert_null(open_bytes(none, 12, false));
	assert_null(open_bytes("PCBNDL2\0\0\0\0\0", 12, true));
	/* Cut anywhere, or with something behind. */
	for (size_t len = 1; len < 22; len++)
		assert_null(open_bytes(one, len, true));
	assert_null(open_bytes(one, 23, true));
	/* Lengths that point outside. */
	memcpy(bad, one, sizeof(bad));
	memset(bad + 12, 0xff, 4);
	assert_null(open_bytes(bad, 22, true));
	memcpy(bad, one, sizeof(bad));
	memset(bad + 16, 0xff, 4);
	assert_null(open_bytes(bad, 22, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_seals),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
