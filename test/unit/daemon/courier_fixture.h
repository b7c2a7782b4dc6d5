/* SPDX-License-Identifier: MIT */
/* A courier, and the keeper's end of its channel. */
#ifndef TEST_UNIT_DAEMON_COURIER_FIXTURE_H
#define TEST_UNIT_DAEMON_COURIER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/courier.h"
#include "daemon/message.h"

struct fixture {
	struct shared_keeper keeper;
	struct shared_slot slot;
	struct courier *courier;
	struct audit_trail trail;
	int keeper_fd;
	unsigned wakes, told_ok, told_lost;
	uint8_t buffer[MESSAGE_SIZE_MAX];
	struct message got;
};

static struct fixture f;

static inline void wake(void *ctx)
{
	((struct fixture *)ctx)->wakes++;
}

static inline void done(void *ctx, bool ok)
{
	struct fixture *fixture = ctx;

	if (ok)
		fixture->told_ok++;
	else
		fixture->told_lost++;
}

static inline void connect_keeper(void)
{
	int pair[2];

	assert_int_equal(message_pair(pair), 0);
	if (f.keeper_fd >= 0)
		close(f.keeper_fd);
	f.keeper_fd = pair[1];
	courier_attach(f.courier, pair[0]);
}

static inline void begin(bool refuse, size_t max_records, size_t max_bytes)
{
	struct courier_params params = {.id_prefix = "0123abcd.w2.7",
					.incarnation = 7,
					.keeper = &f.keeper,
					.slot = &f.slot,
					.refuse = refuse,
					.max_records = max_records,
					.max_bytes = max_bytes,
					.wake = wake,
					.ctx = &f};

	memset(&f, 0, sizeof(f));
	f.keeper_fd = -1;
	f.courier = courier_new(&params);
	f.trail = courier_trail(f.courier);
	connect_keeper();
}

static inline void end(void)
{
	courier_free(&f.courier);
	assert_null(f.courier);
	if (f.keeper_fd >= 0)
		close(f.keeper_fd);
}

static inline uint64_t submit(void)
{
	struct audit_record record;

	audit_record_init(&record);
	record.action = "stream-closed";
	record.outcome = AUDIT_SUCCESS;
	return f.trail.submit(f.trail.ctx, &record, done, &f);
}

/* The keeper reads one record: its number, or 0 when none is there. */
static inline uint64_t keeper_reads(void)
{
	char id[64];

	if (message_receive(f.keeper_fd, &f.got, f.buffer, NULL) != MESSAGE_OK)
		return 0;
	assert_int_equal(f.got.type, MESSAGE_RECORD);
	assert_int_equal(f.got.incarnation, 7);
	snprintf(id, sizeof(id), "\"id\":\"0123abcd.w2.7.%u\"", (unsigned)f.got.number);
	assert_non_null(memmem(f.got.payload, f.got.len, id, strlen(id)));
	return f.got.number;
}

static inline void keeper_acknowledges(uint64_t number, uint32_t incarnation)
{
	struct message m = {.type = MESSAGE_WRITTEN, .incarnation = incarnation, .number = number};

	assert_int_equal(message_send(f.keeper_fd, &m, -1), MESSAGE_OK);
	assert_true(courier_read(f.courier));
}

#endif
