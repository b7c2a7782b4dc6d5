/* SPDX-License-Identifier: MIT */
/* Does an element carry a password, or what is as good as one, for everybody to read who sees its bytes? */
#ifndef PROXY_XMPP_CREDENTIALS_H
#define PROXY_XMPP_CREDENTIALS_H

#include <stdbool.h>

#include "xmpp/xmlstream.h"

/* Mechanisms whose payload is the password itself; NULL is none. */
bool credentials_plain_mechanism(const char *mechanism);
/*
 * A SASL or SASL2 request of such a mechanism with a payload, or a jabber:iq:auth or jabber:iq:register query with a
 * <password/>. element is a first-level element read with XMLSTREAM_TREE.
 */
bool credentials_in(const struct xml_node *element);

#endif
