/* SPDX-License-Identifier: MIT */
/* Reads transcript scripts (test/transcripts/README.md) for test_transcripts.c, the only file that includes this. */
#ifndef TEST_XMPP_TRANSCRIPT_SCRIPT_H
#define TEST_XMPP_TRANSCRIPT_SCRIPT_H

#define STEPS_MAX 64
#define LETS_MAX 256
#define PAIRS_MAX 8
#define TEXT_MAX (4u * 1024u * 1024u)

enum step_kind { STEP_BEGIN, STEP_I, STEP_R, STEP_TLS, STEP_TIMEOUT, STEP_BEGUN, STEP_REFUSE, STEP_END, STEP_DECIDE };
enum mode { MODE_ACCEPT, MODE_CONNECT, MODE_INSPECT };

struct log {
	struct strbuf text;
	char channel; /* of the line being added to: 'I', 'R' or 0 */
};

struct step {
	enum step_kind kind;
	int line;
	struct strbuf data; /* bytes, or the word of a directive */
	struct log expect;
	char wants; /* 'h' held, 'f' free, 0 not asked */
	char state[24];
	struct asked {
		char question[64], answer[160];
	} asked[4]; /* of the negotiator */
	size_t asked_count;
};

/* What the session says of a pair of domains, or by which id the responder knows a stream. */
struct answer {
	char what[160];
	char answer[64];
};

struct scenario {
	char file[64], name[96];
	enum mode mode;
	bool server, direct_tls, starttls, no_split, keep_compression;
	bool outbound;
	char default_domain[64], remote[64];
	char domain[64], from[64]; /* of the inspected header: to, and between servers from */
	bool far_is_remote;
	struct answer pair[PAIRS_MAX], known[PAIRS_MAX];
	size_t pairs, ids;
	struct strbuf header, first_header;
	unsigned attempts, idle;
	size_t limit, stanza;
	bool monitor;
	char *refused[4];
	size_t refused_count;
	struct step step[STEPS_MAX];
	size_t steps;
};

struct let {
	char name[32];
	char *value;
};

static struct let lets[LETS_MAX];
static size_t let_count;

/* ---- the log both sides of the comparison are written with ---- */

static void log_line(struct log *log, const char *text)
{
	strbuf_printf(&log->text, "%s%s", log->text.len > 0 ? "\n" : "", text);
	log->channel = 0;
}

static void log_bytes(struct log *log, char channel, const void *data, size_t len)
{
	if (log->channel != channel) {
		char open[4] = {'<', channel, ' ', 0};

		log_line(log, open);
		log->channel = channel;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = ((const unsigned char *)data)[i];

		if (c >= 0x20 && c < 0x7f)
			strbuf_add(&log->text, &c, 1);
		else
			strbuf_printf(&log->text, "\\x%02x", c);
	}
}

/* ---- reading scripts ---- */

static const char *let_value(const char *name, size_t len)
{
	for (size_t i = 0; i < let_count; i++)
		if (strlen(lets[i].name) == len && strncmp(lets[i].name, name, len) == 0)
			return lets[i].value;
	fail_msg("unknown ${%.*s}", (int)len, name);
	return "";
}

static const char *expand_escape(struct strbuf *out, const char *at)
{
	unsigned value;
	char c;

	if (at[1] == 'x' && sscanf(at + 2, "%2x", &value) == 1) {
		c = (char)value;
		strbuf_add(out, &c, 1);
		return at + 4;
	}
	c = at[1] == 'n' ? '\n' : at[1] == 'r' ? '\r' : at[1] == 't' ? '\t' : at[1];
	strbuf_add(out, &c, 1);
	return at + 2;
}

static void expand(struct strbuf *out, const char *text)
{
	unsigned count;

	while (*text) {
		const char *close = strchr(text, '}');
		char c;

		if (*text == '\\') {
			text = expand_escape(out, text);
		} else if (strncmp(text, "${", 2) == 0 && close) {
			expand(out, let_value(text + 2, (size_t)(close - text - 2)));
			text = close + 1;
		} else if (sscanf(text, "{%c*%u}", &c, &count) == 2) {
			for (unsigned i = 0; i < count; i++)
				strbuf_add(out, &c, 1);
			text = close + 1;
		} else {
			strbuf_add(out, text++, 1);
		}
	}
}

static void let_add(const char *rest)
{
	const char *space = strchr(rest, ' ');

	assert_non_null(space);
	assert_true(let_count < LETS_MAX);
	(void)snprintf(lets[let_count].name, sizeof(lets[0].name), "%.*s", (int)(space - rest), rest);
	lets[let_count++].value = mem_strdup(space + 1);
}

static struct step *add_step(struct scenario *s, enum step_kind kind, int line, const char *rest)
{
	assert_true(s->steps < STEPS_MAX);
	struct step *step = &s->step[s->steps++];

	memset(step, 0, sizeof(*step));
	step->kind = kind;
	step->line = line;
	strbuf_init(&step->data, TEXT_MAX);
	strbuf_init(&step->expect.text, TEXT_MAX);
	expand(&step->data, rest);
	return step;
}

static void add_refused(struct scenario *s, const char *name)
{
	assert_true(s->refused_count < ARRAY_LEN(s->refused));
	s->refused[s->refused_count++] = mem_strdup(name);
}

/* "FROM TO WORD" and "ID OURS": the last word is the answer to what stands before it. */
static void add_answer(struct answer *list, size_t *count, const char *rest)
{
	const char *last = strrchr(rest, ' ');

	assert_non_null(last);
	assert_true(*count < PAIRS_MAX);
	(void)snprintf(list[*count].what, sizeof(list->what), "%.*s", (int)(last - rest), rest);
	(void)snprintf(list[(*count)++].answer, sizeof(list->answer), "%s", last + 1);
}

static const char *find_answer(const struct answer *list, size_t count, const char *what)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].what, what) == 0)
			return list[i].answer;
	return NULL;
}

static bool read_inspect_param(struct scenario *s, const char *word, const char *rest)
{
	if (strcmp(word, "domain") == 0)
		(void)snprintf(s->domain, sizeof(s->domain), "%s", rest);
	else if (strcmp(word, "from") == 0)
		(void)snprintf(s->from, sizeof(s->from), "%s", rest);
	else if (strcmp(word, "far-is-remote") == 0)
		s->far_is_remote = true;
	else if (strcmp(word, "say") == 0)
		add_answer(s->pair, &s->pairs, rest);
	else if (strcmp(word, "known-as") == 0)
		add_answer(s->known, &s->ids, rest);
	else
		return false;
	return true;
}

static bool read_param(struct scenario *s, const char *word, const char *rest)
{
	if (strcmp(word, "mode") == 0)
		s->mode = strcmp(rest, "accept") == 0    ? MODE_ACCEPT
			  : strcmp(rest, "connect") == 0 ? MODE_CONNECT
							 : MODE_INSPECT;
	else if (strcmp(word, "server") == 0)
		s->server = true;
	else if (strcmp(word, "direct-tls") == 0)
		s->direct_tls = true;
	else if (strcmp(word, "starttls") == 0)
		s->starttls = true;
	else if (strcmp(word, "outbound") == 0)
		s->outbound = true;
	else if (strcmp(word, "remote") == 0)
		(void)snprintf(s->remote, sizeof(s->remote), "%s", rest);
	else if (strcmp(word, "first-header") == 0)
		expand(&s->first_header, rest);
	else if (strcmp(word, "split") == 0)
		s->no_split = strcmp(rest, "never") == 0;
	else if (strcmp(word, "keep-compression") == 0)
		s->keep_compression = true;
	else if (strcmp(word, "default-domain") == 0)
		(void)snprintf(s->default_domain, sizeof(s->default_domain), "%s", rest);
	else if (strcmp(word, "attempts") == 0)
		s->attempts = (unsigned)strtoul(rest, NULL, 10);
	else if (strcmp(word, "limit") == 0)
		s->limit = strtoul(rest, NULL, 10);
	else if (strcmp(word, "idle") == 0)
		s->idle = (unsigned)strtoul(rest, NULL, 10);
	else if (strcmp(word, "monitor") == 0)
		s->monitor = true;
	else if (strcmp(word, "refuse-mechanism") == 0)
		add_refused(s, rest);
	else if (strcmp(word, "stanza") == 0)
		s->stanza = strtoul(rest, NULL, 10);
	else if (strcmp(word, "header") == 0)
		strbuf_clear(&s->header), expand(&s->header, rest);
	else
		return read_inspect_param(s, word, rest);
	return true;
}

static const struct {
	const char *word;
	enum step_kind kind;
} inputs[] = {
    {"I>", STEP_I},
    {"R>", STEP_R},
    {"tls", STEP_TLS},
    {"timeout", STEP_TIMEOUT},
    {"timeout-begun", STEP_BEGUN},
    {"refuse", STEP_REFUSE},
    {"end", STEP_END},
    {"decide", STEP_DECIDE},
};

static bool read_input(struct scenario *s, const char *word, const char *rest, int line)
{
	for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
		if (strcmp(word, inputs[i].word) == 0) {
			add_step(s, inputs[i].kind, line, rest);
			return true;
		}
	}
	return false;
}

static void add_asked(struct step *step, const char *question, const char *answer)
{
	assert_true(step->asked_count < ARRAY_LEN(step->asked));
	struct asked *a = &step->asked[step->asked_count++];

	(void)snprintf(a->question, sizeof(a->question), "%s", question);
	(void)snprintf(a->answer, sizeof(a->answer), "%s", answer);
}

static void read_expectation(struct scenario *s, const char *word, const char *rest, const char *whole)
{
	struct step *step = &s->step[s->steps - 1];
	struct strbuf bytes;

	if (strcmp(word, "<I") == 0 || strcmp(word, "<R") == 0) {
		strbuf_init(&bytes, TEXT_MAX);
		expand(&bytes, rest);
		log_bytes(&step->expect, word[1], bytes.data, bytes.len);
		strbuf_fini(&bytes);
	} else if (strcmp(word, "held") == 0 || strcmp(word, "free") == 0) {
		step->wants = word[0];
	} else if (strcmp(word, "state") == 0) {
		(void)snprintf(step->state, sizeof(step->state), "%s", rest);
	} else if (strncmp(word, "expect-", 7) == 0) {
		add_asked(step, word + 7, rest);
	} else {
		log_line(&step->expect, whole);
	}
}

static void scenario_init(struct scenario *s, const char *file, const char *name)
{
	memset(s, 0, sizeof(*s));
	(void)snprintf(s->file, sizeof(s->file), "%s", file);
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	s->attempts = 3;
	s->limit = 16384;
	s->stanza = 65536;
	(void)snprintf(s->domain, sizeof(s->domain), "im.example.com");
	strbuf_init(&s->header, TEXT_MAX);
	strbuf_init(&s->first_header, TEXT_MAX);
	expand(&s->header, "${OPEN}");
	add_step(s, STEP_BEGIN, 0, "");
}

static void scenario_fini(struct scenario *s)
{
	for (size_t i = 0; i < s->steps; i++) {
		strbuf_fini(&s->step[i].data);
		strbuf_fini(&s->step[i].expect.text);
	}
	for (size_t i = 0; i < s->refused_count; i++)
		mem_free(s->refused[i]);
	strbuf_fini(&s->header);
	strbuf_fini(&s->first_header);
}

#endif
