/* SPDX-License-Identifier: MIT */
/*
 * Replays test/transcripts/ *.txt (format: README.md there) against the negotiators and the inspector: whole, byte by
 * byte, and with every input line split at every offset. After each input the bytes and events seen must be exactly the
 * ones that the script names before its next input.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "xmpp/inspect.h"
#include "xmpp/names.h"
#include "xmpp/negotiate.h"

#include "transcript_script.h"

/* ---- running ---- */

struct run {
	const struct scenario *s;
	struct log seen;
	unsigned ids;
	struct negotiator *n;
	struct xmlstream *xs;
	struct strbuf input; /* what the parser was not given yet */
	bool closed, secured, rests;
	struct inspector *ins;
};

static enum xmlstream_step on_open(void *ctx, const struct xml_node *root, const struct xml_decl *decls, size_t count)
{
	negotiate_open(((struct run *)ctx)->n, root, decls, count);
	return XMLSTREAM_STOP;
}

static enum xmlstream_step on_element(void *ctx, const struct xml_node *element)
{
	negotiate_element(((struct run *)ctx)->n, element);
	return XMLSTREAM_STOP;
}

static enum xmlstream_step on_close(void *ctx)
{
	negotiate_close(((struct run *)ctx)->n);
	return XMLSTREAM_STOP;
}

static const struct xmlstream_handlers handlers = {on_open, on_element, on_close};

static void new_parser(struct run *r)
{
	const struct xmlstream_limits limits = {.element = r->s->limit, .depth = 16, .attributes = 64};

	xmlstream_free(&r->xs);
	r->xs = xmlstream_new(&limits, &handlers, r);
	r->closed = false;
}

static bool hosts(void *ctx, const char *domain)
{
	(void)ctx;
	return strcmp(domain, "im.example.com") == 0 || strcmp(domain, "chat.example.org") == 0;
}

static void new_id(void *ctx, char out[NEG_ID_SIZE])
{
	(void)snprintf(out, NEG_ID_SIZE, "id%u", ++((struct run *)ctx)->ids);
}

static void log_state(void *ctx, const char *from, const char *to)
{
	(void)ctx;
	assert_string_not_equal(from, to);
}

static const char *const neg_notes[] = {"note starttls-ignored", "note credentials-exposed", "note stanza-violation",
					"note starttls-injection"};
_Static_assert(ARRAY_LEN(neg_notes) == NEG_NOTE_COUNT, "note without a word");

static void log_word(struct run *r, const char *what, const char *word)
{
	char line[320];

	(void)snprintf(line, sizeof(line), "%s %s", what, word);
	log_line(&r->seen, line);
}

static void take_action(struct run *r, const struct neg_action *a)
{
	switch (a->kind) {
	case NEG_SEND:
		log_bytes(&r->seen, r->s->mode == MODE_ACCEPT ? 'I' : 'R', a->data, a->len);
		break;
	case NEG_START_TLS:
		log_line(&r->seen, "start-tls");
		break;
	case NEG_RESET_XML:
		strbuf_clear(&r->input);
		new_parser(r);
		break;
	case NEG_NOTE:
		log_line(&r->seen, neg_notes[a->note]);
		break;
	case NEG_READY:
		log_line(&r->seen, "ready");
		break;
	case NEG_NAMELESS:
		log_line(&r->seen, "nameless");
		break;
	case NEG_FAIL:
		log_word(r, "fail", reason_info(a->reason)->word);
		break;
	case NEG_ACTION_KINDS:
	default:
		fail_msg("no such action");
	}
}

static void drain(struct run *r)
{
	struct neg_action a;

	while (negotiate_next(r->n, &a))
		take_action(r, &a);
}

/* NEG-7 lets white space stand behind <starttls/>, NEG-8 nothing at all behind <proceed/>. */
static bool injected(const struct run *r)
{
	size_t blanks = r->s->mode == MODE_ACCEPT ? strspn(strbuf_text(&r->input), " \t\r\n") : 0;

	return negotiate_in_handshake(r->n) && r->input.len > blanks;
}

/* What a session does with a read while a leg is negotiated. */
static void feed_negotiator(struct run *r, const char *data, size_t len)
{
	strbuf_add(&r->input, data, len);
	while (r->input.len > 0 && !r->closed && !negotiate_is_ready(r->n) && !negotiate_is_failed(r->n) &&
	       !negotiate_in_handshake(r->n)) {
		size_t used = 0;
		enum xmlstream_result result = xmlstream_feed(r->xs, r->input.data, r->input.len, &used);

		if (result == XMLSTREAM_FAILED)
			negotiate_xml_failed(r->n, xmlstream_failure(r->xs)->reason);
		r->closed = result == XMLSTREAM_CLOSED;
		strbuf_drain(&r->input, used);
		if (injected(r))
			negotiate_injected(r->n);
		drain(r);
	}
	if (negotiate_is_failed(r->n) || negotiate_in_handshake(r->n))
		strbuf_clear(&r->input);
}

#include "transcript_inspect.h"

static void begin_negotiator(struct run *r)
{
	const struct scenario *s = r->s;
	const char *ns = s->server ? XMPP_NS_SERVER : XMPP_NS_CLIENT;
	const struct neg_accept_params accept = {.content_ns = ns,
						 .default_domain = s->default_domain[0] ? s->default_domain : NULL,
						 .direct_tls = s->direct_tls,
						 .outbound = s->outbound,
						 .hosts = hosts,
						 .is_own = hosts,
						 .new_id = new_id,
						 .log_state = log_state,
						 .ctx = r};
	const struct neg_connect_params connect = {.content_ns = ns,
						   .tls = s->starttls ? NEG_TLS_STARTTLS : NEG_TLS_NEVER,
						   .direct_tls = s->direct_tls,
						   .remote = s->remote[0] ? s->remote : NULL,
						   .first_header = s->first_header.data,
						   .first_header_len = s->first_header.len,
						   .header = s->header.data,
						   .header_len = s->header.len,
						   .strip_compression = !s->keep_compression,
						   .log_state = log_state,
						   .ctx = r};

	r->n = s->mode == MODE_ACCEPT ? negotiate_accept_new(&accept) : negotiate_connect_new(&connect);
	new_parser(r);
	drain(r);
}

static enum reason reason_from_word(const char *word, size_t len)
{
	for (int i = 0; i < REASON_COUNT; i++) {
		const char *w = reason_info((enum reason)i)->word;

		if (strlen(w) == len && strncmp(w, word, len) == 0)
			return (enum reason)i;
	}
	fail_msg("no reason called %s", word);
	return REASON_NONE;
}

static void do_refuse(struct run *r, const char *words)
{
	size_t len = strcspn(words, " ");
	enum xmpp_error as = words[len] ? xmpp_error_from_name(words + len + 1) : XMPP_ERROR_NONE;

	negotiate_refuse(r->n, reason_from_word(words, len), as);
}

/* Rested after each piece but in the run that is whole: no rest may change anything. */
static void feed_piece(struct run *r, enum step_kind kind, const char *data, size_t len)
{
	if (!r->ins) {
		feed_negotiator(r, data, len);
		return;
	}
	inspect_feed(r->ins, kind == STEP_I ? INSPECT_INITIATOR : INSPECT_RESPONDER, data, len);
	if (r->rests)
		inspect_rest(r->ins);
}

/* cut 0: whole; SIZE_MAX: byte by byte; else in two at that offset, where the line is that long. */
static void do_feed(struct run *r, const struct step *step, size_t cut)
{
	size_t len = step->data.len;
	const char *data = strbuf_text(&step->data);

	if (cut == SIZE_MAX) {
		for (size_t i = 0; i < len; i++)
			feed_piece(r, step->kind, data + i, 1);
	} else if (cut > 0 && cut < len) {
		feed_piece(r, step->kind, data, cut);
		feed_piece(r, step->kind, data + cut, len - cut);
	} else {
		feed_piece(r, step->kind, data, len);
	}
}

static void do_end(struct run *r, const char *words)
{
	enum inspect_side side = words[0] == 'I' ? INSPECT_INITIATOR : INSPECT_RESPONDER;

	inspect_end(r->ins, side, reason_from_word(words + 2, strlen(words + 2)));
}

static void do_step(struct run *r, const struct step *step, size_t cut)
{
	const char *text = strbuf_text(&step->data);

	switch (step->kind) {
	case STEP_BEGIN:
		break;
	case STEP_I:
	case STEP_R:
		do_feed(r, step, cut);
		break;
	case STEP_TLS:
		negotiate_secured(r->n, text);
		break;
	case STEP_TIMEOUT:
	case STEP_BEGUN:
		negotiate_timeout(r->n, step->kind == STEP_BEGUN);
		break;
	case STEP_REFUSE:
		do_refuse(r, text);
		break;
	case STEP_END:
		do_end(r, text);
		break;
	case STEP_DECIDE:
		inspect_pair_decide(r->ins, pair_from_word(text));
		break;
	default:
		fail_msg("no such step");
	}
	if (r->n)
		drain(r);
}

static void starttls_words(const struct neg_starttls *f, struct strbuf *out)
{
	static const char *const answers[] = {"none", "proceed", "failure", "error", "closed", "silence", "garbage"};
	_Static_assert(ARRAY_LEN(answers) == NEG_ANSWERS, "answer without a word");
	const struct {
		bool is;
		const char *word;
	} words[] = {{f->sent, "sent "},         {f->features, "features "}, {f->advertised, "advertised "},
		     {f->required, "required "}, {f->mangled, "mangled "},   {f->version, "version "},
		     {f->differs, "differs "}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		strbuf_puts(out, words[i].is ? words[i].word : "");
	strbuf_puts(out, answers[f->answer]);
}

static void features_words(const struct features *f, struct strbuf *out)
{
	strbuf_puts(out, f == NULL ? "none" : f->dialback ? "dialback" : f->iq_auth ? "iq-auth" : "others");
}

static void check_asked(struct run *r, const struct asked *a, int line)
{
	struct strbuf seen;

	strbuf_init(&seen, 1024);
	if (strcmp(a->question, "starttls") == 0)
		starttls_words(negotiate_starttls(r->n), &seen);
	else if (strcmp(a->question, "features") == 0)
		features_words(negotiate_features(r->n), &seen);
	else if (strcmp(a->question, "domain") == 0)
		strbuf_puts(&seen, negotiate_domain(r->n));
	else if (strcmp(a->question, "local") == 0)
		strbuf_puts(&seen, negotiate_local(r->n));
	else if (strcmp(a->question, "id") == 0)
		strbuf_puts(&seen, negotiate_own_id(r->n));
	else if (strcmp(a->question, "error") == 0)
		strbuf_puts(&seen, xmpp_error_name(negotiate_peer_error(r->n)));
	else
		fail_msg("no question %s", a->question);
	if (strcmp(strbuf_text(&seen), a->answer) != 0)
		fail_msg("%s: %s: behind line %d: %s is \"%s\", not \"%s\"", r->s->file, r->s->name, line, a->question,
			 strbuf_text(&seen), a->answer);
	strbuf_fini(&seen);
}

static void check_step(struct run *r, const struct step *step, size_t cut)
{
	const struct scenario *s = r->s;
	const char *seen = strbuf_text(&r->seen.text), *expect = strbuf_text(&step->expect.text);

	if (strcmp(seen, expect) != 0)
		fail_msg("%s: %s: behind line %d, split at %zd\nexpected:\n%s\nseen:\n%s", s->file, s->name, step->line,
			 (ssize_t)cut, expect, seen);
	if (step->state[0] && strcmp(step->state, negotiate_state(r->n)) != 0)
		fail_msg("%s: %s: behind line %d: state %s, not %s", s->file, s->name, step->line,
			 negotiate_state(r->n), step->state);
	for (size_t i = 0; i < step->asked_count; i++)
		check_asked(r, &step->asked[i], step->line);
	if (step->wants && inspect_wants(r->ins, INSPECT_INITIATOR) != (step->wants == 'f'))
		fail_msg("%s: %s: behind line %d, split at %zd: initiator is %s", s->file, s->name, step->line,
			 (ssize_t)cut, step->wants == 'f' ? "held" : "free");
}

static void run_scenario(const struct scenario *s, size_t cut)
{
	struct run r = {.s = s, .rests = cut > 0};

	strbuf_init(&r.input, TEXT_MAX);
	if (s->mode == MODE_INSPECT)
		begin_inspector(&r);
	strbuf_init(&r.seen.text, TEXT_MAX);
	if (s->mode != MODE_INSPECT)
		begin_negotiator(&r);
	for (size_t i = 0; i < s->steps; i++) {
		do_step(&r, &s->step[i], cut);
		check_step(&r, &s->step[i], cut);
		strbuf_clear(&r.seen.text);
		r.seen.channel = 0;
	}
	inspect_free(&r.ins);
	negotiate_free(&r.n);
	xmlstream_free(&r.xs);
	strbuf_fini(&r.input);
	strbuf_fini(&r.seen.text);
}

static size_t scenarios, runs;

static void run_all_splits(const struct scenario *s)
{
	size_t longest = 0;

	for (size_t i = 0; i < s->steps; i++)
		if (s->step[i].data.len > longest)
			longest = s->step[i].data.len;
	run_scenario(s, 0);
	scenarios++;
	runs++;
	if (s->no_split)
		return;
	run_scenario(s, SIZE_MAX);
	for (size_t cut = 1; cut < longest && longest < 4096; cut++, runs++)
		run_scenario(s, cut);
}

/* ---- files ---- */

static void read_line(struct scenario *s, char *text, const char *file, int line)
{
	char word[64];
	size_t len = strcspn(text, " ");
	const char *rest = text[len] ? text + len + 1 : "";

	(void)snprintf(word, sizeof(word), "%.*s", (int)len, text);
	if (text[0] == '\0' || text[0] == '#')
		return;
	if (strcmp(word, "let") == 0) {
		let_add(rest);
	} else if (strcmp(word, "scenario") == 0) {
		if (s->steps > 0)
			run_all_splits(s);
		scenario_fini(s);
		scenario_init(s, file, rest);
	} else if (s->steps == 0) {
		fail_msg("%s:%d: before the first scenario", file, line);
	} else if (!read_param(s, word, rest) && !read_input(s, word, rest, line)) {
		read_expectation(s, word, rest, text);
	}
}

static void run_file(const char *dir, const char *file)
{
	char *path = mem_printf("%s/%s", dir, file);
	FILE *f = fopen(path, "r");
	struct scenario *s = mem_zalloc(sizeof(*s));
	char *text = NULL;
	size_t size = 0;

	if (!f)
		fail_msg("cannot open %s", path);
	for (int line = 1; getline(&text, &size, f) >= 0; line++) {
		text[strcspn(text, "\n")] = '\0';
		read_line(s, text, file, line);
	}
	if (s->steps > 0)
		run_all_splits(s);
	scenario_fini(s);
	mem_free(s);
	(void)fclose(f);
	free(text);
	mem_free(path);
}

static int is_script(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 4 && strcmp(entry->d_name + len - 4, ".txt") == 0;
}

static const char *directory(void)
{
	const char *dir = getenv("TRANSCRIPTS");

	return dir ? dir : "test/transcripts";
}

static void test_every_transcript(void **state)
{
	struct dirent **entries;
	int count = scandir(directory(), &entries, is_script, alphasort);

	(void)state;
	assert_true(count > 0);
	run_file(directory(), "common.inc");
	for (int i = 0; i < count; i++) {
		run_file(directory(), entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	for (size_t i = 0; i < let_count; i++)
		mem_free(lets[i].value);
	print_message("%zu scenarios, %zu runs\n", scenarios, runs);
	assert_true(scenarios > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_transcript)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
