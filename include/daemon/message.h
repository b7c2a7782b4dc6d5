/* SPDX-License-Identifier: MIT */
/*
 * What master, keeper and workers say to each other: one SOCK_SEQPACKET datagram a message, a small fixed header and a
 * payload. Both ends are the same program, so the header is in the machine's own byte order.
 */
#ifndef PROXY_DAEMON_MESSAGE_H
#define PROXY_DAEMON_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#define MESSAGE_HEADER_SIZE 24
#define MESSAGE_PAYLOAD_MAX 65536
#define MESSAGE_SIZE_MAX (MESSAGE_HEADER_SIZE + MESSAGE_PAYLOAD_MAX)

enum message_type {
	MESSAGE_NONE,
	MESSAGE_READY,        /* child to master: set up */
	MESSAGE_FAILED,       /* child to master: cannot start; payload: why */
	MESSAGE_ACCEPT,       /* master to worker: take connections from now on */
	MESSAGE_DRAIN,        /* master to worker */
	MESSAGE_REOPEN,       /* master to keeper: log rotation */
	MESSAGE_CHANNEL,      /* master to both: a record channel comes along as a descriptor; number: slot */
	MESSAGE_STREAMS,      /* master to worker: number: the question */
	MESSAGE_STREAMS_PART, /* worker to master: payload: JSON objects with commas between */
	MESSAGE_STREAMS_END,  /* worker to master */
	MESSAGE_RECORD,       /* courier to keeper: payload: the record's JSON */
	MESSAGE_OBSERVATION,  /* courier to keeper, numbered with the records: payload: struct peer_observation */
	MESSAGE_WRITTEN,      /* keeper to courier: everything up to number is in the log, or in peer memory */
	MESSAGE_PEER_ASK,     /* courier to keeper: number: the question; payload: struct peer_question */
	MESSAGE_PEER_KNOWN, /* keeper to courier: number: to which; payload: struct peer_memory, or none: cannot say */
	MESSAGE_PEERS,      /* master to keeper: number: the question; payload: struct peers_question */
	MESSAGE_PEERS_ANSWER, /* keeper to master: number: to which; payload: struct peers_answer and its text */
	/* A reload; number: which one, except in LISTENER. */
	MESSAGE_LISTENER, /* master to worker, before PREPARE: a new socket comes along; number: of the new listeners */
	MESSAGE_PREPARE,  /* master to worker: make everything of the bundle that comes along, and change nothing; to
			     keeper: open peer memory in the directory that is the payload */
	MESSAGE_PREPARED, /* to master: it can */
	MESSAGE_UNFIT,    /* to master: it cannot; payload: why */
	MESSAGE_COMMIT,   /* master to worker: new streams take what was prepared */
	MESSAGE_COMMITTED, /* worker to master: they do */
	MESSAGE_ABORT,     /* master to worker: forget what was prepared */
	MESSAGE_SETTINGS,  /* master to keeper: payload: struct keeper_settings */
	MESSAGE_COUNT
};

struct message {
	enum message_type type;
	uint32_t incarnation;
	uint64_t number;
	const void *payload;
	size_t len;
};

void message_encode_header(const struct message *m, uint8_t out[MESSAGE_HEADER_SIZE]);
/* Of a whole datagram; payload then points into data. 0, or -1: no message of ours. */
int message_decode(struct message *out, const void *data, size_t len);

/* A connected pair of non-blocking, close-on-exec message sockets; 0, or -1 with errno. */
int message_pair(int pair_out[2]);

enum message_result { MESSAGE_OK, MESSAGE_AGAIN, MESSAGE_GONE };
/* pass_fd: a descriptor that goes along (a copy of it), or -1. Never blocks. */
enum message_result message_send(int fd, const struct message *m, int pass_fd);
/*
 * buffer: MESSAGE_SIZE_MAX bytes, which out->payload points into. *fd_out is the descriptor that came along (the
 * caller's now) or -1; fd_out NULL: none is expected, one that comes is closed.
 */
enum message_result message_receive(int fd, struct message *out, void *buffer, int *fd_out);

#endif
