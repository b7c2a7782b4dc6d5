/* SPDX-License-Identifier: MIT */
/* The beginning of a stream that a remote server opens to us, in servers_world.h. */
#ifndef TEST_UNIT_RELAY_VISITOR_H
#define TEST_UNIT_RELAY_VISITOR_H

#include "servers_world.h"

#define VISITOR "192.0.2.9:40000"

/* False: the handshake failed. */
static inline bool visitor_secures(struct world *w, const struct cert *cert, int max_version)
{
	end_send(w, &w->near, STARTTLS);
	end_saw(w, &w->near, PROCEED);
	end_secure(&w->near, false, cert, max_version);
	for (int i = 0; i < 40 && !SSL_is_init_finished(w->near.ssl); i++) {
		ERR_clear_error();
		SSL_do_handshake(w->near.ssl);
		turns(w);
	}
	return SSL_is_init_finished(w->near.ssl);
}

/* It claims to be somebody before TLS, shows a certificate (NULL: none) and says inside TLS who it is. */
static inline void visitor_at(struct world *w, const char *claim, const struct cert *cert, int max_version,
			      const char *header)
{
	connect_from(w, INBOUND, VISITOR);
	end_send(w, &w->near, claim);
	AWAIT(w, strstr(strbuf_text(&w->near.seen), FEATURES(REQUIRED)) != NULL);
	strbuf_clear(&w->near.seen);
	assert_true(visitor_secures(w, cert, max_version));
	end_send(w, &w->near, header);
}

static inline void visitor_begins(struct world *w, const struct cert *cert, const char *header)
{
	visitor_at(w, VISITOR_HEADER(REMOTE), cert, 0, header);
}

/* The backend has got the visitor's header and answers it. */
static inline void backend_greets(struct world *w, const char *header)
{
	end_saw(w, &w->far, header);
	end_send(w, &w->far, BACKEND_HEADER FEATURES(DIALBACK));
	end_saw(w, &w->near, BACKEND_HEADER FEATURES(DIALBACK LIMITS));
}

static inline void visitor_joins(struct world *w, const struct cert *cert, const char *from)
{
	char *header = from != NULL ? mem_printf(VISITOR_HEADER("%s"), from)
				    : mem_strdup(HEADER_OF(" to='" LOCAL "' version='1.0'"));
	visitor_begins(w, cert, header);
	backend_greets(w, header);
	mem_free(header);
}

#endif
