/* SPDX-License-Identifier: MIT */
/*
 * The answer to {"command":"reload"}: {"ok":…,"text":…,"findings":["FILE:LINE:COLUMN: …"]}. Findings quote the file
 * only where the loader did, escaped and cut.
 */
#include "daemon/reload.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define TEXT_MAX 2048

/* A path need not be UTF-8, JSON must be. */
static json_t *safe_string(const char *text)
{
	char safe[TEXT_MAX * 4];

	return json_string(log_safe(safe, sizeof(safe), text, strlen(text), TEXT_MAX));
}

char *reload_answer(bool ok, const char *text, const struct diag_list *findings)
{
	json_t *answer = json_object(), *list = json_array();
	char *dumped, *out;

	for (size_t i = 0; findings && i < findings->count; i++) {
		char *line = diag_format(findings, &findings->items[i]);

		json_array_append_new(list, safe_string(line));
		mem_free(line);
	}
	json_object_set_new(answer, "ok", json_boolean(ok));
	json_object_set_new(answer, "text", safe_string(text));
	json_object_set_new(answer, "findings", list);
	dumped = json_dumps(answer, JSON_COMPACT);
	out = mem_printf("%s\n", dumped ? dumped : "{\"error\":\"internal error\"}");
	free(dumped);
	json_decref(answer);
	return out;
}

int reload_print(FILE *out, FILE *err_out, const char *json, size_t len, struct errbuf *err)
{
	json_t *answer = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *text = json_string_value(json_object_get(answer, "text"));
	const json_t *findings = json_object_get(answer, "findings");
	bool ok = json_is_true(json_object_get(answer, "ok"));

	if (error || !text) {
		errbuf_set(err, "%s", error ? error : "the answer is not one of portcullis");
		json_decref(answer);
		return -1;
	}
	for (size_t i = 0; i < json_array_size(findings); i++)
		fprintf(err_out, "%s\n", json_string_value(json_array_get(findings, i)));
	if (ok)
		fprintf(out, "reloaded: %s\n", text);
	else if (json_array_size(findings) > 0)
		fprintf(err_out, "portcullis: not reloaded, nothing has changed\n");
	else
		fprintf(err_out, "portcullis: not reloaded, nothing has changed: %s\n", text);
	json_decref(answer);
	return ok ? 0 : 1;
}
