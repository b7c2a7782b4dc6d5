/* SPDX-License-Identifier: MIT */
/* Socket addresses as configuration writes them and records show them. Numeric only: no name is ever resolved here. */
#ifndef PROXY_BASE_ADDR_H
#define PROXY_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct addr {
	socklen_t len; /* 0: no address */
	struct sockaddr_storage ss;
};

/*
 * "127.0.0.1:5222", "[::1]:5222" or "unix:PATH" (path at most 107 bytes). Port 1..65535 (0 is refused unless
 * allow_port_0). Returns 0, or -1 with one of the texts explaining it in *why_out (static).
 */
int addr_parse(struct addr *out, const char *text, bool allow_port_0, const char **why_out);
void addr_from_sockaddr(struct addr *out, const struct sockaddr *sa, socklen_t len);
/* The numeric host without brackets (an IPv4-mapped IPv6 address as plain IPv4), "unix:PATH" or "" ; ADDR_TEXT_SIZE is
 * always enough. */
#define ADDR_TEXT_SIZE 120
void addr_host(const struct addr *a, char out[ADDR_TEXT_SIZE]);
/* HOST:PORT with brackets where needed. */
void addr_text(const struct addr *a, char out[ADDR_TEXT_SIZE]);
uint16_t addr_port(const struct addr *a); /* 0 for a Unix socket */
bool addr_is_unix(const struct addr *a);
/* 127/8, ::1, ::ffff:127/104 and Unix sockets. */
bool addr_is_local(const struct addr *a);
bool addr_is_any(const struct addr *a);
/* The address as 16 bytes, IPv4 as mapped IPv6; false where there are none (a Unix socket). */
bool addr_bytes(const struct addr *a, uint8_t out[16]);
/* Same family, host and port (or path). */
bool addr_equal(const struct addr *a, const struct addr *b);
/* Would both addresses contend for one port: equal, or one is the any-address that covers the other ([::] takes IPv4
 * too). */
bool addr_clashes(const struct addr *a, const struct addr *b);

/* A network: 16 bytes of address (IPv4 mapped) and how many of its bits count (0..128). */
struct cidr {
	uint8_t bytes[16];
	unsigned bits;
};
int cidr_parse(struct cidr *out, const char *text, const char **why_out); /* "10.0.0.0/8", "::1", host bits must be 0 */
bool cidr_contains(const struct cidr *net, const struct addr *a);

/* The key by which limits count a client: its IPv4 address, or the /64 of its IPv6 address. Never all zero bytes for a
 * real address. */
struct addr_key {
	uint8_t bytes[16];
};
struct addr_key addr_limit_key(const struct addr *a);

#endif
