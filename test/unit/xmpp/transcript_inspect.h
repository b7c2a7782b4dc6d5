/* SPDX-License-Identifier: MIT */
/* The inspector under a transcript: what it does is written down as words; the session's answers are the script's. */
#ifndef TEST_XMPP_TRANSCRIPT_INSPECT_H
#define TEST_XMPP_TRANSCRIPT_INSPECT_H

/* The inspector's own stream id is random: 32 hex digits behind id=' become a star. */
static void log_reply(struct run *r, char channel, const char *data, size_t len)
{
	const char *id = memmem(data, len, " id='", 5);

	if (id && strspn(id + 5, "0123456789abcdef") == 32) {
		size_t before = (size_t)(id + 5 - data);

		log_bytes(&r->seen, channel, data, before);
		log_bytes(&r->seen, channel, "*", 1);
		data += before + 32;
		len -= before + 32;
	}
	log_bytes(&r->seen, channel, data, len);
}

static void op_pass(void *ctx, enum inspect_side from, const void *data, size_t len)
{
	assert_true(len > 0);
	log_bytes(&((struct run *)ctx)->seen, from == INSPECT_INITIATOR ? 'R' : 'I', data, len);
}

static void op_reply(void *ctx, enum inspect_side to, const void *data, size_t len)
{
	log_reply(ctx, to == INSPECT_INITIATOR ? 'I' : 'R', data, len);
}

static const char *const ins_notes[] = {"note channel-binding", "note stanza-violation", "note identity-mismatch",
					"note starttls-cut",    "note compression-cut",  "note credentials-exposed",
					"note steering",        "note mechanism-refused"};
_Static_assert(ARRAY_LEN(ins_notes) == INSPECT_NOTE_COUNT, "note without a word");

static void op_note(void *ctx, enum inspect_note note)
{
	log_line(&((struct run *)ctx)->seen, ins_notes[note]);
}

static void op_authenticated(void *ctx, const char *method, const char *identity)
{
	char line[256];

	(void)snprintf(line, sizeof(line), "%s %s", method, identity[0] ? identity : "-");
	log_word(ctx, "auth", line);
}

static void op_closed(void *ctx, enum inspect_side side)
{
	log_word(ctx, "closed", side == INSPECT_INITIATOR ? "I" : "R");
}

static void op_blind(void *ctx)
{
	log_line(&((struct run *)ctx)->seen, "blind");
}

static void op_fail(void *ctx, enum inspect_side culprit, enum reason reason)
{
	log_word(ctx, culprit == INSPECT_INITIATOR ? "fail I" : "fail R", reason_info(reason)->word);
}

static enum inspect_pair pair_from_word(const char *word)
{
	static const char *const words[] = {[INSPECT_PAIR_ALLOW] = "allow",
					    [INSPECT_PAIR_WAIT] = "wait",
					    [INSPECT_PAIR_NOT_HOSTED] = "not-hosted",
					    [INSPECT_PAIR_NOT_AUTHORIZED] = "not-authorized",
					    [INSPECT_PAIR_OWN] = "own",
					    [INSPECT_PAIR_NOT_OURS] = "not-ours"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i], word) == 0)
			return (enum inspect_pair)i;
	fail_msg("nobody says %s of a pair", word);
	return INSPECT_PAIR_NOT_AUTHORIZED;
}

static enum inspect_pair op_pair(void *ctx, const char *from, const char *to)
{
	struct run *r = ctx;
	char what[300];
	const char *answer;

	(void)snprintf(what, sizeof(what), "%s %s", from, to);
	log_word(r, "pair", what);
	answer = find_answer(r->s->pair, r->s->pairs, what);
	return answer ? pair_from_word(answer) : INSPECT_PAIR_ALLOW;
}

static void op_proven(void *ctx, const char *from, const char *to, bool external)
{
	char what[300];

	(void)snprintf(what, sizeof(what), "%s %s%s", from, to, external ? " external" : "");
	log_word(ctx, "proven", what);
}

static void op_unproven(void *ctx, const char *from, const char *to, enum reason reason)
{
	char what[300];

	(void)snprintf(what, sizeof(what), "%s %s %s", from, to, reason_info(reason)->word);
	log_word(ctx, "unproven", what);
}

static bool op_translate(void *ctx, const char *id, const char *from, const char *to, char out[INSPECT_ID_SIZE])
{
	struct run *r = ctx;
	char what[160];
	const char *known;

	(void)snprintf(what, sizeof(what), "%s %s %s", id, from, to);
	known = find_answer(r->s->known, r->s->ids, what);
	if (known)
		(void)snprintf(out, INSPECT_ID_SIZE, "%s", known);
	return known != NULL;
}

static const struct inspect_ops ops = {.pass = op_pass,
				       .reply = op_reply,
				       .note = op_note,
				       .authenticated = op_authenticated,
				       .closed = op_closed,
				       .pair = op_pair,
				       .proven = op_proven,
				       .unproven = op_unproven,
				       .translate = op_translate,
				       .blind = op_blind,
				       .fail = op_fail};

static void begin_inspector(struct run *r)
{
	const struct inspect_params params = {
	    .content_ns = r->s->server ? XMPP_NS_SERVER : XMPP_NS_CLIENT,
	    .domain = r->s->domain,
	    .remote_from = r->s->from[0] ? r->s->from : NULL,
	    .remote = r->s->far_is_remote,
	    .unauthenticated_limit = r->s->limit,
	    .stanza_limit = r->s->stanza,
	    .depth = 16,
	    .auth_attempts = r->s->attempts,
	    .strip_compression = !r->s->keep_compression,
	    .idle_seconds = r->s->idle,
	    .mechanisms_refused = r->s->refused,
	    .mechanisms_refused_count = r->s->refused_count,
	    .monitor = r->s->monitor,
	    .initiator_header = r->s->header.data,
	    .initiator_header_len = r->s->header.len,
	    .ops = &ops,
	    .ctx = r,
	};

	r->ins = inspect_new(&params);
}

#endif
