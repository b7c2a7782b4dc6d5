/* SPDX-License-Identifier: MIT */
/*
 * Finding the control socket and asking it. Whoever asks may not be allowed to read private keys, and needs none for
 * this: the files a configuration names are taken as empty here. Of a configuration that is not valid just now, which
 * `reload` is there to tell about, the socket's name is still looked for.
 */
#include "cli/ask.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "daemon/control.h"
#include "policy/config.h"
#include "policy/config_peek.h"

#define SOCKET_DEFAULT "/run/portcullis/control.sock"

struct only_config {
	struct file_source disk;
	const char *path;
};

static char *read_only_config(void *ctx, const char *path, int secret, size_t *len_out, struct errbuf *err)
{
	const struct only_config *source = ctx;

	if (strcmp(path, source->path) == 0)
		return source->disk.read(source->disk.ctx, path, secret, len_out, err);
	*len_out = 1;
	return mem_strdup("\n");
}

static char *socket_of_config(const char *path)
{
	struct only_config only = {.disk = file_source_disk(), .path = path};
	struct file_source source = {.read = read_only_config, .ctx = &only};
	struct config *config;
	struct diag_list diags;
	char *out = NULL;

	diag_init(&diags, path);
	config = config_load(path, &source, &diags);
	if (config) {
		out = mem_strdup(config->admin.socket);
		config_unref(&config);
	}
	diag_fini(&diags);
	return out ? out : config_peek_socket(path, &source);
}

/* The caller frees; NULL when it was said what is wrong. */
static char *find_socket(const struct cli_args *args)
{
	char *path;

	if (args->socket)
		return mem_strdup(args->socket);
	if (!args->config_said && access(args->config, F_OK) < 0)
		return mem_strdup(SOCKET_DEFAULT);
	path = socket_of_config(args->config);
	if (!path)
		fprintf(stderr,
			"portcullis: %s cannot be read, or is not valid and names no control socket:\n"
			"run `portcullis check -c %s`, or name the socket with --socket\n",
			args->config, args->config);
	return path;
}

int cli_ask(const struct cli_args *args, const char *request, uint64_t wait_ms, cli_print_fn *print)
{
	char *path = find_socket(args), *answer;
	struct errbuf err = {.text = ""};
	int status = CLI_CANNOT;
	size_t len = 0;

	if (!path)
		return CLI_CANNOT;
	answer = control_ask(path, request, wait_ms, &len, &err);
	if (answer) {
		int said = print(stdout, answer, len, &err);
		status = said == 0 ? CLI_OK : said > 0 ? CLI_BAD : CLI_CANNOT;
	}
	if (*err.text)
		fprintf(stderr, "portcullis: %s\n", err.text);
	mem_free(answer);
	mem_free(path);
	return status;
}
