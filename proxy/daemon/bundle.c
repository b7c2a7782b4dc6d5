/* SPDX-License-Identifier: MIT */
/*
 * Recording what the configuration loader reads, sealing it into a memfd, reading it back. Layout: the magic, the
 * number of files (u32), then for each file the lengths of path and content (u32 each), the path, the content. Both
 * ends are the same program on the same machine, so numbers are in its own byte order. Lengths are checked all the
 * same.
 */
#include "daemon/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define BUNDLE_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define BUNDLE_MAX (256u << 20)

static const char magic[8] = "PCBNDL1";

struct bundle_file {
	char *path;
	char *data;
	size_t len;
};

struct bundle_recorder {
	struct file_source below;
	struct bundle_file *files;
	size_t count;
};

struct bundle {
	const uint8_t *map;
	size_t size;
};

struct bundle_recorder *bundle_recorder_new(const struct file_source *below)
{
	struct bundle_recorder *recorder = mem_zalloc(sizeof(*recorder));

	recorder->below = *below;
	return recorder;
}

static char *copy_text(const void *data, size_t len)
{
	char *out = mem_alloc(len + 1);

	if (len)
		memcpy(out, data, len);
	out[len] = '\0';
	return out;
}

static char *recorder_read(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	struct bundle_recorder *recorder = ctx;
	struct bundle_file *file;
	char *data;

	for (size_t i = 0; i < recorder->count; i++) {
		if (strcmp(recorder->files[i].path, path) != 0)
			continue;
		*len_out = recorder->files[i].len;
		return copy_text(recorder->files[i].data, recorder->files[i].len);
	}
	data = recorder->below.read(recorder->below.ctx, path, secret, len_out, err);
	if (!data)
		return NULL;
	recorder->files = mem_realloc(recorder->files, (recorder->count + 1) * sizeof(*recorder->files));
	file = &recorder->files[recorder->count++];
	file->path = mem_strdup(path);
	file->data = copy_text(data, *len_out);
	file->len = *len_out;
	return data;
}

struct file_source bundle_recorder_source(struct bundle_recorder *recorder)
{
	return (struct file_source){.read = recorder_read, .ctx = recorder};
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_file(int fd, const struct bundle_file *file)
{
	uint32_t lengths[2] = {(uint32_t)strlen(file->path), (uint32_t)file->len};

	if (file->len > BUNDLE_MAX || write_all(fd, lengths, sizeof(lengths)) < 0)
		return -1;
	if (write_all(fd, file->path, lengths[0]) < 0)
		return -1;
	return write_all(fd, file->data, file->len);
}

static int write_bundle(int fd, const struct bundle_recorder *recorder)
{
	uint32_t count = (uint32_t)recorder->count;

	if (write_all(fd, magic, sizeof(magic)) < 0 || write_all(fd, &count, sizeof(count)) < 0)
		return -1;
	for (size_t i = 0; i < recorder->count; i++)
		if (write_file(fd, &recorder->files[i]) < 0)
			return -1;
	return fcntl(fd, F_ADD_SEALS, BUNDLE_SEALS);
}

int bundle_recorder_seal(struct bundle_recorder *recorder, struct errbuf *err)
{
	int fd = memfd_create("portcullis-bundle", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	if (fd < 0 || write_bundle(fd, recorder) < 0) {
		errbuf_set(err, "cannot make the configuration bundle: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

void bundle_recorder_free(struct bundle_recorder **recorder_io)
{
	struct bundle_recorder *recorder = *recorder_io;

	*recorder_io = NULL;
	if (!recorder)
		return;
	for (size_t i = 0; i < recorder->count; i++) {
		mem_wipe(recorder->files[i].data, recorder->files[i].len);
		mem_free(recorder->files[i].data);
		mem_free(recorder->files[i].path);
	}
	mem_free(recorder->files);
	mem_free(recorder);
}

/* Moves *at behind the next file; false if the lengths do not fit what is there. */
static bool next_file(const struct bundle *bundle, size_t *at, const uint8_t **path_out, uint32_t lengths_out[2])
{
	size_t left = bundle->size - *at;

	if (left < 2 * sizeof(uint32_t))
		return false;
	memcpy(lengths_out, bundle->map + *at, 2 * sizeof(uint32_t));
	left -= 2 * sizeof(uint32_t);
	if (lengths_out[0] > left || lengths_out[1] > left - lengths_out[0])
		return false;
	*path_out = bundle->map + *at + 2 * sizeof(uint32_t);
	*at += 2 * sizeof(uint32_t) + lengths_out[0] + lengths_out[1];
	return true;
}

static bool bundle_whole(const struct bundle *bundle)
{
	size_t at = sizeof(magic) + sizeof(uint32_t);
	const uint8_t *path;
	uint32_t lengths[2], count;

	if (bundle->size < at || memcmp(bundle->map, magic, sizeof(magic)) != 0)
		return false;
	memcpy(&count, bundle->map + sizeof(magic), sizeof(count));
	for (uint32_t i = 0; i < count; i++)
		if (!next_file(bundle, &at, &path, lengths))
			return false;
	return at == bundle->size;
}

struct bundle *bundle_open(int fd, struct errbuf *err)
{
	struct bundle *bundle;
	struct stat st;
	void *map;

	if ((fcntl(fd, F_GET_SEALS) & BUNDLE_SEALS) != BUNDLE_SEALS || fstat(fd, &st) < 0 || st.st_size <= 0) {
		errbuf_set(err, "the configuration bundle is not sealed");
		return NULL;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		errbuf_set(err, "cannot map the configuration bundle: %s", strerror(errno));
		return NULL;
	}
	bundle = mem_zalloc(sizeof(*bundle));
	bundle->map = map;
	bundle->size = (size_t)st.st_size;
	if (bundle_whole(bundle))
		return bundle;
	errbuf_set(err, "the configuration bundle is damaged");
	bundle_free(&bundle);
	return NULL;
}

static char *bundle_read(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	const struct bundle *bundle = ctx;
	size_t at = sizeof(magic) + sizeof(uint32_t), path_len = strlen(path);
	const uint8_t *name;
	uint32_t lengths[2];

	(void)secret;
	while (next_file(bundle, &at, &name, lengths)) {
		if (lengths[0] != path_len || memcmp(name, path, path_len) != 0)
			continue;
		*len_out = lengths[1];
		return copy_text(name + path_len, lengths[1]);
	}
	errbuf_set(err, "not in the configuration bundle");
	return NULL;
}

struct file_source bundle_source(struct bundle *bundle)
{
	return (struct file_source){.read = bundle_read, .ctx = bundle};
}

void bundle_free(struct bundle **bundle_io)
{
	struct bundle *bundle = *bundle_io;
	void *map;

	*bundle_io = NULL;
	if (!bundle)
		return;
	memcpy(&map, &bundle->map, sizeof(map));
	munmap(map, bundle->size);
	mem_free(bundle);
}
