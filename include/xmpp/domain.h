/* SPDX-License-Identifier: MIT */
/* Domains and addresses in the one form in which they are compared, looked up and shown. */
#ifndef PROXY_XMPP_DOMAIN_H
#define PROXY_XMPP_DOMAIN_H

#include <stdbool.h>

#define XMPP_DOMAIN_SIZE 256
#define XMPP_JID_SIZE 1024

/*
 * Loads what IDNA needs; else the first name that is not plain ASCII does. It stands in ICU's library, so no file is
 * opened then or later. False: it cannot be had, and such names are refused.
 */
bool domain_init(void);

/*
 * The one form of a domain (CERT-5): A-labels in lower case (UTS 46, not transitional, STD3 rules, by ICU), without one
 * trailing dot; an address literal as inet_ntop writes it, IPv6 without brackets (CERT-6). text must be a bare domain:
 * no '@', no '/'. False (out = "") for anything that is no domain: empty, a label over 63 bytes, over 255 in all,
 * characters that IDNA forbids, a last label of digits alone where the whole is no IPv4 address.
 */
bool domain_normalise(const char *text, char out[XMPP_DOMAIN_SIZE]);
/* Is a normalised domain an address literal? */
bool domain_is_address(const char *domain);

/* The domain of a JID by RFC 7622 section 3.1's order (cut at the first '/', then the first '@'), as
 * domain_normalise gives it. Returns false (out = "") when there is none. */
bool jid_domain(const char *jid, char out[XMPP_DOMAIN_SIZE]);
/* The bare JID (no resource), domain normalised as above, localpart as it is; false when malformed or over
 * XMPP_JID_SIZE-1 bytes. */
bool jid_bare(const char *jid, char out[XMPP_JID_SIZE]);

#endif
