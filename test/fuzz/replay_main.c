/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over the files given, and over every file of the directories given, without a fuzzer: a crash of
 * yesterday stays a test of today. Fails where a directory is missing or has no file, so that a corpus cannot get lost
 * unseen.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads into memory of exactly the file's size, so that a sanitiser sees a read past the end. */
static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	uint8_t *data;
	size_t size;
	int result = -1;

	if (file == NULL || fstat(fileno(file), &st) != 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		if (file != NULL)
			(void)fclose(file);
		return -1;
	}
	size = (size_t)st.st_size;
	data = malloc(size > 0 ? size : 1);
	if (data != NULL && fread(data, 1, size, file) == size) {
		(void)LLVMFuzzerTestOneInput(data, size);
		result = 0;
	} else {
		fprintf(stderr, "%s: cannot be read\n", path);
	}
	free(data);
	(void)fclose(file);
	return result;
}

/* How many files were run, or -1. */
static long replay_directory(const char *path)
{
	char name[4096];
	struct dirent *entry;
	long count = 0;
	DIR *dir = opendir(path);

	if (dir == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	while (count >= 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		count = replay_file(name) == 0 ? count + 1 : -1;
	}
	(void)closedir(dir);
	if (count == 0)
		fprintf(stderr, "%s: no file in it\n", path);
	return count > 0 ? count : -1;
}

static long replay(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return replay_file(path) == 0 ? 1 : -1;
	return replay_directory(path);
}

int main(int argc, char **argv)
{
	long total = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE|DIRECTORY…\n", argv[0]);
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		long count = replay(argv[i]);

		if (count < 0)
			return 1;
		total += count;
	}
	printf("%s: %ld inputs\n", argv[0], total);
	return 0;
}
