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
#include "memory/peer.h"

static const struct {
	const char *name;
	bool domain; /* it needs one */
} commands[] = {
    [CONTROL_STATUS] = {"status", false},
    [CONTROL_STREAMS] = {"streams", false},
    [CONTROL_RELOAD] = {"reload", false},
    [CONTROL_PEERS_LIST] = {"peers-list", false},
    [CONTROL_PEERS_SHOW] = {"peers-show", true},
    [CONTROL_PEERS_ACCEPT] = {"peers-accept", true},
    [CONTROL_PEERS_FORGET] = {"peers-forget", true},
};
_Static_assert(ARRAY_LEN(commands) == CONTROL_COUNT, "command without a name");

static enum control_command find_command(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return (enum control_command)i;
	return CONTROL_INVALID;
}

/* No member, or one that is a fingerprint. */
static bool take_sha256(struct control_request *out, const json_t *member)
{
	const char *text = json_string_value(member);

	if (!member || out->command != CONTROL_PEERS_ACCEPT)
		return true;
	if (!text || !peer_digest_valid(text))
		return false;
	memcpy(out->sha256, text, sizeof(out->sha256));
	return true;
}

bool control_parse(struct control_request *out, const char *line, size_t len, struct errbuf *err)
{
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(request, "command"));
	const char *domain = json_string_value(json_object_get(request, "domain"));
	enum control_command command = find_command(name);
	bool well = false;
	char safe[64];

	memset(out, 0, sizeof(*out));
	out->command = command;
	if (!request)
		errbuf_set(err, "the request is not a JSON object");
	else if (!name)
		errbuf_set(err, "the request has no \"command\"");
	else if (command == CONTROL_INVALID)
		errbuf_set(err, "unknown command \"%s\"", log_safe(safe, sizeof(safe), name, strlen(name), 32));
	else if (commands[command].domain && !domain)
		errbuf_set(err, "\"%s\" needs a \"domain\"", name);
	else if (commands[command].domain && !domain_normalise(domain, out->domain))
		errbuf_set(err, "\"%s\" is no domain",
			   log_safe(safe, sizeof(safe), domain, strlen(domain), sizeof(safe)));
	else if (!take_sha256(out, json_object_get(request, "sha256")))
		errbuf_set(err, "\"sha256\" is no fingerprint: 64 digits 0-9 a-f");
	else
		well = true;
	json_decref(request);
	return well;
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
