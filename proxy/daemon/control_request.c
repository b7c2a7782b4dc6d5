/* SPDX-License-Identifier: MIT */
/*
 * Reading a control request and writing an error answer. Requests come from whoever may open a socket of mode 0600;
 * they are read as strictly as anything else: one object, no duplicate member, nothing behind it.
 */
#include "daemon/control_server.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/mem.h"

static const char *const command_names[] = {
    [CONTROL_STATUS] = "status", [CONTROL_STREAMS] = "streams", [CONTROL_RELOAD] = "reload"};
_Static_assert(ARRAY_LEN(command_names) == CONTROL_COUNT, "command without a name");

static enum control_command find_command(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(command_names); i++)
		if (strcmp(name, command_names[i]) == 0)
			return (enum control_command)i;
	return CONTROL_INVALID;
}

enum control_command control_parse(const char *line, size_t len, struct errbuf *err)
{
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(request, "command"));
	enum control_command command = find_command(name);
	char safe[64];

	if (!request)
		errbuf_set(err, "the request is not a JSON object");
	else if (!name)
		errbuf_set(err, "the request has no \"command\"");
	else if (command == CONTROL_INVALID)
		errbuf_set(err, "unknown command \"%s\"", log_safe(safe, sizeof(safe), name, strlen(name), 32));
	json_decref(request);
	return command;
}

char *control_error_json(const char *text)
{
	json_t *answer = json_pack("{s:s}", "error", text);
	char *dumped = json_dumps(answer, JSON_COMPACT);
	char *out = mem_strdup(dumped ? dumped : "{\"error\":\"internal error\"}");

	free(dumped);
	json_decref(answer);
	return out;
}
