/* SPDX-License-Identifier: MIT */
/*
 * A name server in the test's own event loop, on a loopback port of its own over UDP and TCP: it answers what a table
 * says, unsigned, and counts the questions. A name that is not in the table does not exist.
 */
#ifndef TEST_UNIT_NET_DNS_SERVER_H
#define TEST_UNIT_NET_DNS_SERVER_H

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/addr.h"

enum zone_manner {
	ZONE_ANSWERS,
	ZONE_FAILS,    /* SERVFAIL */
	ZONE_SILENT,   /* no answer at all */
	ZONE_TRUNCATES /* over UDP an empty answer with TC: the whole one is to be had over TCP */
};

#define ZONE_RECORDS_MAX 40
struct zone_entry {
	const char *name; /* NULL ends the table */
	int type;         /* ns_t_any: every type */
	enum zone_manner manner;
	const char *records[ZONE_RECORDS_MAX]; /* "10 5 5269 host", an address, or "= name" for an alias */
};

struct dns_server {
	const struct zone_entry *zone;
	struct addr address;
	int udp, tcp;
	struct event *on_udp, *on_tcp;
	unsigned questions, streams;
	char asked[64][300]; /* "name type" of the first questions */
};

struct dns_packet {
	unsigned char data[8192];
	size_t len;
};

static inline void packet_put(struct dns_packet *p, const void *data, size_t len)
{
	assert_true(p->len + len <= sizeof(p->data));
	memcpy(p->data + p->len, data, len);
	p->len += len;
}

static inline void packet_put16(struct dns_packet *p, unsigned value)
{
	unsigned char bytes[2] = {(unsigned char)(value >> 8), (unsigned char)value};

	packet_put(p, bytes, 2);
}

/* Uncompressed; "" and "." are the root. */
static inline void packet_put_name(struct dns_packet *p, const char *name)
{
	while (*name && *name != '\n' && strcmp(name, ".") != 0) {
		size_t len = strcspn(name, ".");
		unsigned char byte = (unsigned char)len;

		packet_put(p, &byte, 1);
		packet_put(p, name, len);
		name += len + (name[len] == '.');
	}
	packet_put(p, "", 1);
}

static inline void packet_put_data(struct dns_packet *p, int type, const char *text)
{
	unsigned priority, weight, port;
	unsigned char address[16];
	char target[256];

	if (type == ns_t_srv) {
		assert_int_equal(sscanf(text, "%u %u %u %255s", &priority, &weight, &port, target), 4);
		packet_put16(p, priority);
		packet_put16(p, weight);
		packet_put16(p, port);
		packet_put_name(p, target);
	} else if (type == ns_t_cname) {
		packet_put_name(p, text);
	} else {
		assert_int_equal(inet_pton(type == ns_t_a ? AF_INET : AF_INET6, text, address), 1);
		packet_put(p, address, type == ns_t_a ? 4 : 16);
	}
}

static inline void packet_put_record(struct dns_packet *p, const char *name, int type, const char *text)
{
	size_t at;

	packet_put_name(p, name);
	packet_put16(p, (unsigned)type);
	packet_put16(p, ns_c_in);
	packet_put16(p, 0);
	packet_put16(p, 300);
	at = p->len;
	packet_put16(p, 0);
	packet_put_data(p, type, text);
	p->data[at] = (unsigned char)((p->len - at - 2) >> 8);
	p->data[at + 1] = (unsigned char)(p->len - at - 2);
}

static inline const struct zone_entry *zone_find(const struct zone_entry *zone, const char *name, int type,
						 bool *exists)
{
	*exists = false;
	for (; zone->name; zone++) {
		if (strcasecmp(zone->name, name) != 0)
			continue;
		*exists = true;
		if (zone->type == type || zone->type == ns_t_any)
			return zone;
	}
	return NULL;
}

/* The records of the name, along aliases. */
static inline unsigned put_answers(struct dns_packet *p, const struct zone_entry *zone, const char *name, int type,
				   int *rcode)
{
	unsigned count = 0;
	bool exists;
	const struct zone_entry *entry = zone_find(zone, name, type, &exists);

	*rcode = exists ? ns_r_noerror : ns_r_nxdomain;
	if (entry && entry->manner == ZONE_FAILS)
		*rcode = ns_r_servfail;
	for (int i = 0; entry && i < ZONE_RECORDS_MAX && entry->records[i]; i++, count++) {
		if (strncmp(entry->records[i], "= ", 2) != 0) {
			packet_put_record(p, name, type, entry->records[i]);
			continue;
		}
		packet_put_record(p, name, ns_t_cname, entry->records[i] + 2);
		count += put_answers(p, zone, entry->records[i] + 2, type, rcode);
	}
	return count;
}

/* False: no answer. */
static inline bool dns_server_answer(struct dns_server *s, const unsigned char *query, size_t len, bool stream,
				     struct dns_packet *p)
{
	char name[NS_MAXDNAME];
	ns_msg message;
	ns_rr question;
	bool exists, truncated;
	const struct zone_entry *entry;
	unsigned count = 0;
	int rcode = ns_r_noerror;

	assert_int_equal(ns_initparse(query, (int)len, &message), 0);
	assert_int_equal(ns_parserr(&message, ns_s_qd, 0, &question), 0);
	(void)snprintf(name, sizeof(name), "%s", ns_rr_name(question));
	if (s->questions < 64)
		(void)snprintf(s->asked[s->questions], sizeof(s->asked[0]), "%.280s %d", name, ns_rr_type(question));
	s->questions++;
	entry = zone_find(s->zone, name, ns_rr_type(question), &exists);
	if (entry && entry->manner == ZONE_SILENT)
		return false;
	truncated = entry && entry->manner == ZONE_TRUNCATES && !stream;
	p->len = 0;
	packet_put16(p, ns_msg_id(message));
	packet_put16(p, 0x8180 | (truncated ? 0x200 : 0));
	packet_put16(p, 1);
	packet_put16(p, 0);
	packet_put16(p, 0);
	packet_put16(p, 0);
	packet_put_name(p, name);
	packet_put16(p, ns_rr_type(question));
	packet_put16(p, ns_c_in);
	if (!truncated)
		count = put_answers(p, s->zone, name, ns_rr_type(question), &rcode);
	p->data[3] = (unsigned char)(0x80 | rcode);
	p->data[6] = (unsigned char)(count >> 8);
	p->data[7] = (unsigned char)count;
	return true;
}

static inline void dns_server_on_udp(evutil_socket_t fd, short what, void *ctx)
{
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	unsigned char query[2048];
	struct dns_packet p;
	ssize_t len = recvfrom(fd, query, sizeof(query), 0, (struct sockaddr *)&from, &from_len);

	(void)what;
	if (len > 0 && dns_server_answer(ctx, query, (size_t)len, false, &p))
		(void)sendto(fd, p.data, p.len, 0, (struct sockaddr *)&from, from_len);
}

/* One question a connection, which has come whole by the time it is read: the loop is ours. */
static inline void dns_server_on_tcp(evutil_socket_t listening, short what, void *ctx)
{
	struct dns_server *s = ctx;
	unsigned char query[2048], length[2];
	struct dns_packet p;
	int fd = accept(listening, NULL, NULL);
	size_t len;

	(void)what;
	if (fd < 0)
		return;
	s->streams++;
	if (recv(fd, length, 2, MSG_WAITALL) == 2) {
		len = (size_t)length[0] << 8 | length[1];
		assert_true(len <= sizeof(query));
		assert_int_equal(recv(fd, query, len, MSG_WAITALL), (ssize_t)len);
		if (dns_server_answer(s, query, len, true, &p)) {
			length[0] = (unsigned char)(p.len >> 8);
			length[1] = (unsigned char)p.len;
			(void)send(fd, length, 2, MSG_NOSIGNAL | MSG_MORE);
			(void)send(fd, p.data, p.len, MSG_NOSIGNAL);
		}
	}
	close(fd);
}

/* Opens both sockets on one port; whoever took the TCP one of a port that UDP got makes for another try. */
static inline bool dns_server_bind(struct dns_server *s)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);

	s->udp = socket(AF_INET, SOCK_DGRAM, 0);
	s->tcp = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(s->udp, (const struct sockaddr *)&in, len) == 0 &&
	    getsockname(s->udp, (struct sockaddr *)&in, &len) == 0 &&
	    bind(s->tcp, (const struct sockaddr *)&in, len) == 0 && listen(s->tcp, 16) == 0) {
		addr_from_sockaddr(&s->address, (const struct sockaddr *)&in, len);
		return true;
	}
	close(s->udp);
	close(s->tcp);
	return false;
}

static inline void dns_server_start(struct dns_server *s, struct event_base *base, const struct zone_entry *zone)
{
	int tries = 20;

	memset(s, 0, sizeof(*s));
	s->zone = zone;
	while (!dns_server_bind(s))
		assert_true(--tries > 0);
	s->on_udp = event_new(base, s->udp, EV_READ | EV_PERSIST, dns_server_on_udp, s);
	s->on_tcp = event_new(base, s->tcp, EV_READ | EV_PERSIST, dns_server_on_tcp, s);
	event_add(s->on_udp, NULL);
	event_add(s->on_tcp, NULL);
}

static inline void dns_server_stop(struct dns_server *s)
{
	event_free(s->on_udp);
	event_free(s->on_tcp);
	close(s->udp);
	close(s->tcp);
}

static inline bool dns_server_was_asked(const struct dns_server *s, const char *name, int type)
{
	char text[300];

	(void)snprintf(text, sizeof(text), "%s %d", name, type);
	for (unsigned i = 0; i < s->questions && i < 64; i++)
		if (strcasecmp(s->asked[i], text) == 0)
			return true;
	return false;
}

#endif
