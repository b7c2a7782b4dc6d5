/* SPDX-License-Identifier: MIT */
/* Finds passwords in plaintext elements, so that the record can say they were exposed. Looks, keeps nothing. */
#include "xmpp/credentials.h"

#include <string.h>

#include "xmpp/names.h"

bool credentials_plain_mechanism(const char *mechanism)
{
	return mechanism && (strcmp(mechanism, "PLAIN") == 0 || strcmp(mechanism, "LOGIN") == 0 ||
			     strcmp(mechanism, "X-OAUTH2") == 0 || strcmp(mechanism, "OAUTHBEARER") == 0);
}

/* A payload of "=" is empty (RFC 6120 section 6.4.2). */
static bool has_payload(const struct xml_node *holder)
{
	return holder && holder->text_len > 0 && strcmp(holder->text, "=") != 0;
}

bool credentials_in(const struct xml_node *element)
{
	const struct xml_node *query;

	if (xml_node_is(element, XMPP_NS_SASL, "auth"))
		return credentials_plain_mechanism(xml_node_attr(element, "mechanism")) && has_payload(element);
	if (xml_node_is(element, XMPP_NS_SASL2, "authenticate"))
		return credentials_plain_mechanism(xml_node_attr(element, "mechanism")) &&
		       has_payload(xml_node_child(element, XMPP_NS_SASL2, "initial-response"));
	query = xml_node_child(element, XMPP_NS_IQ_AUTH, "query");
	if (!query)
		query = xml_node_child(element, XMPP_NS_IQ_REGISTER, "query");
	return query && xml_node_child(query, query->ns, "password");
}
