/* SPDX-License-Identifier: MIT */
/*
 * STARTTLS where plaintext may go on too (level may, mode monitor): the legs had been joined so that the client could
 * see the backend's own features, and now it wants TLS. The backend leg of the plaintext stream is thrown away; inside
 * TLS everything begins anew (NEG-9). Done in a loop turn of its own, because a leg may not be freed in its own
 * callback.
 */
#include "relay/session_private.h"

#include <event2/event.h>

#include "base/clock.h"
#include "base/mem.h"
#include "xmpp/reply.h"

void session_upgrade_later(struct session *s, bool clean)
{
	s->upgrade_due = true;
	s->upgrade_clean = clean;
	leg_read(s->leg[LEG_ACCEPT], false);
	leg_read(s->leg[LEG_CONNECT], false);
	s->next_upgrade = s->engine->upgrades;
	s->engine->upgrades = s;
	event_active(s->engine->reaper, EV_TIMEOUT, 0);
}

static void forget_backend(struct session *s)
{
	leg_free(&s->leg[LEG_CONNECT]);
	s->leg_closed[LEG_CONNECT] = true;
	inspect_free(&s->inspector);
	mem_free(s->tls[LEG_CONNECT]);
	s->tls[LEG_CONNECT] = NULL;
	s->without_tls = false;
	s->domain = NULL;
	session_remote_free(s);
	s->half_closed_ms = 0;
	s->peer_ended = false;
	s->watch_ms = 0;
	s->answered[LEG_ACCEPT] = s->answered[LEG_CONNECT] = false;
}

void session_upgrade(struct session *s)
{
	struct leg *leg = s->leg[LEG_ACCEPT];
	if (s->state != SESSION_RELAY)
		return;
	s->upgrade_due = false;
	if (!s->upgrade_clean || leg_has_unread(leg)) {
		session_record(s, "starttls-injection", 3, REASON_STARTTLS_INJECTION, NULL);
		session_close(s, REASON_STARTTLS_INJECTION, NULL);
		return;
	}
	struct ssl_st *ssl = session_accept_tls(s, s->domain->name);
	forget_backend(s);
	if (ssl == NULL) {
		session_close(s, REASON_INTERNAL, "cannot make a TLS context");
		return;
	}
	s->starttls = STARTTLS_NEGOTIATED;
	s->accepted_ms = clock_ms();
	session_accept_begin(s, true);
	struct strbuf proceed;
	strbuf_init(&proceed, 256);
	reply_proceed(&proceed);
	leg_send(leg, proceed.data, proceed.len);
	strbuf_fini(&proceed);
	leg_start_tls(leg, ssl, NULL, 0);
}
