/* SPDX-License-Identifier: MIT */
/*
 * Every combination of mode, level and facts against what is written out here by hand: for each set of facts, the
 * reason at the levels that need nothing, TLS, or TLS and identity. First the facts of a client's leg, then what a
 * remote domain adds.
 */
#include "policy/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define N REASON_NONE
#define PLAIN REASON_TLS_REQUIRED
#define OLD REASON_TLS_FAILED
#define EMS REASON_NO_EMS
#define WHO REASON_PEER_UNVERIFIED
#define FACTS(encrypted_, version, ems, identity)                                                     \
	{                                                                                             \
		.encrypted = (encrypted_), .tls_version = (version), .extended_master_secret = (ems), \
		.identity_verified = (identity)                                                       \
	}

static const struct {
	struct leg_facts facts;      /* encrypted, version, extended master secret, identity */
	enum reason encrypt, verify; /* at encrypt; at verify and above. none and may take all */
} table[] = {
    {FACTS(false, 0, false, false), PLAIN, PLAIN}, {FACTS(false, 0, false, true), PLAIN, PLAIN},
    {FACTS(false, 0, true, false), PLAIN, PLAIN},  {FACTS(false, 0, true, true), PLAIN, PLAIN},
    {FACTS(false, 13, true, true), PLAIN, PLAIN},  {FACTS(false, 12, true, true), PLAIN, PLAIN},
    {FACTS(true, 0, true, true), OLD, OLD},        {FACTS(true, 0, false, false), OLD, OLD},
    {FACTS(true, 3, true, true), OLD, OLD},        {FACTS(true, 10, true, true), OLD, OLD},
    {FACTS(true, 10, false, false), OLD, OLD},     {FACTS(true, 11, true, true), OLD, OLD},
    {FACTS(true, 11, false, true), OLD, OLD},      {FACTS(true, 14, true, true), OLD, OLD},
    {FACTS(true, -1, true, true), OLD, OLD},       {FACTS(true, 12, false, false), EMS, EMS},
    {FACTS(true, 12, false, true), EMS, EMS},      {FACTS(true, 12, true, false), N, WHO},
    {FACTS(true, 12, true, true), N, N},           {FACTS(true, 13, false, false), EMS, EMS},
    {FACTS(true, 13, false, true), EMS, EMS},      {FACTS(true, 13, true, false), N, WHO},
    {FACTS(true, 13, true, true), N, N},
};

static void every_combination(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const enum reason expected[LEVEL_COUNT] = {
		    [LEVEL_NONE] = N,
		    [LEVEL_MAY] = N,
		    [LEVEL_ENCRYPT] = table[i].encrypt,
		    [LEVEL_VERIFY] = table[i].verify,
		    [LEVEL_DANE] = table[i].verify,
		    [LEVEL_DANE_ONLY] = table[i].verify,
		    [LEVEL_FINGERPRINT] = table[i].verify,
		};
		for (int level = 0; level < LEVEL_COUNT; level++) {
			struct verdict v = policy_decide(MODE_ENFORCE, (enum level)level, &table[i].facts);
			assert_int_equal(v.reason, expected[level]);
			assert_int_equal(v.allow, expected[level] == N);
			v = policy_decide(MODE_MONITOR, (enum level)level, &table[i].facts);
			assert_int_equal(v.reason, expected[level]);
			assert_true(v.allow);
		}
	}
}

/* A leg to a remote domain that is all right, but for: */
#define OUT 1 /* nothing: we opened it */
#define PLAINTEXT_LEG 2
#define NOBODY 4    /* no identity */
#define NO_SECRET 8 /* no extended master secret */
#define STRIPPED_OFFER 16
#define CHANGED 32
#define KEEP 64  /* on-certificate-change: refuse */
#define LOST 128 /* nothing is remembered of the peer */
#define ANNOUNCED 256

static const struct {
	unsigned but;
	int min, is; /* TLS version */
	enum reason may, encrypt, verify;
} peers[] = {
    {0, 12, 13, N, N, N},
    {OUT, 12, 13, N, N, N},
    {PLAINTEXT_LEG, 12, 13, N, REASON_TLS_REQUIRED, REASON_TLS_REQUIRED},
    {PLAINTEXT_LEG | OUT, 12, 13, N, REASON_NO_TLS, REASON_NO_TLS},
    {NOBODY, 12, 13, N, N, REASON_PEER_UNVERIFIED},
    {NOBODY | OUT, 12, 13, N, N, REASON_REMOTE_UNVERIFIED},
    /* Versions: what was asked of this peer decides, and nothing unknown is enough. */
    {0, 13, 13, N, N, N},
    {0, 13, 12, N, REASON_WEAK_TLS, REASON_WEAK_TLS},
    {OUT, 13, 12, N, REASON_WEAK_TLS, REASON_WEAK_TLS},
    {0, 12, 12, N, N, N},
    {0, 12, 11, N, REASON_WEAK_TLS, REASON_WEAK_TLS},
    {0, 11, 11, N, N, N},
    {0, 11, 10, N, REASON_WEAK_TLS, REASON_WEAK_TLS},
    {0, 10, 10, N, N, N},
    {0, 10, 9, N, REASON_WEAK_TLS, REASON_WEAK_TLS},
    {0, 3, 3, N, REASON_WEAK_TLS, REASON_WEAK_TLS},
    {0, 10, 14, N, REASON_WEAK_TLS, REASON_WEAK_TLS},
    {0, 14, 13, N, REASON_WEAK_TLS, REASON_WEAK_TLS},
    {0, 0, 11, N, REASON_TLS_FAILED, REASON_TLS_FAILED},
    /* The extended master secret: who may be older than 1.2 may be older than it. */
    {NO_SECRET, 12, 12, N, REASON_NO_EMS, REASON_NO_EMS},
    {NO_SECRET, 10, 12, N, N, N},
    {NO_SECRET, 11, 11, N, N, N},
    {NO_SECRET, 0, 12, N, REASON_NO_EMS, REASON_NO_EMS},
    /* Stripped: fine with who is known, never with who is not, not even at may (STRIP-4). */
    {STRIPPED_OFFER | OUT, 12, 13, N, N, N},
    {STRIPPED_OFFER | OUT | NOBODY, 12, 13, REASON_STRIPPED, REASON_STRIPPED, REASON_STRIPPED},
    {STRIPPED_OFFER | OUT | PLAINTEXT_LEG, 12, 13, N, REASON_NO_TLS, REASON_NO_TLS},
    {STRIPPED_OFFER | OUT | NOBODY, 12, 11, REASON_STRIPPED, REASON_WEAK_TLS, REASON_WEAK_TLS},
    /* Announced and not there: no plaintext, not even at may (STRIP-8). */
    {ANNOUNCED | OUT, 12, 13, N, N, N},
    {ANNOUNCED | OUT | NOBODY, 12, 13, N, N, REASON_REMOTE_UNVERIFIED},
    {ANNOUNCED | OUT | PLAINTEXT_LEG, 12, 13, REASON_NO_TLS, REASON_NO_TLS, REASON_NO_TLS},
    {ANNOUNCED | PLAINTEXT_LEG, 12, 13, REASON_TLS_REQUIRED, REASON_TLS_REQUIRED, REASON_TLS_REQUIRED},
    /* A change: only where it is to be refused, and nothing verifies it. */
    {CHANGED | OUT | NOBODY, 12, 13, N, N, REASON_REMOTE_UNVERIFIED},
    {CHANGED | OUT | KEEP, 12, 13, N, N, N},
    {CHANGED | OUT | KEEP | NOBODY, 12, 13, N, REASON_CERTIFICATE_CHANGED, REASON_REMOTE_UNVERIFIED},
    {CHANGED | KEEP | NOBODY, 12, 13, N, REASON_CERTIFICATE_CHANGED, REASON_PEER_UNVERIFIED},
    {LOST | OUT | NOBODY, 12, 13, N, N, REASON_REMOTE_UNVERIFIED},
    {LOST | OUT | KEEP, 12, 13, N, N, N},
    {LOST | OUT | KEEP | NOBODY, 12, 13, N, REASON_MEMORY_UNAVAILABLE, REASON_REMOTE_UNVERIFIED},
    {LOST | CHANGED | KEEP | NOBODY, 12, 13, N, REASON_CERTIFICATE_CHANGED, REASON_PEER_UNVERIFIED},
};

static struct leg_facts facts_of(size_t row)
{
	unsigned but = peers[row].but;
	return (struct leg_facts){
	    .encrypted = !(but & PLAINTEXT_LEG),
	    .tls_version = peers[row].is,
	    .extended_master_secret = !(but & NO_SECRET),
	    .identity_verified = !(but & NOBODY),
	    .min_version = peers[row].min,
	    .stripped = but & STRIPPED_OFFER,
	    .changed = but & CHANGED,
	    .refuse_change = but & KEEP,
	    .memory_missing = but & LOST,
	    .announced = but & ANNOUNCED,
	    .outbound = but & OUT,
	};
}

static void assert_levels(size_t row, const enum reason expected[LEVEL_COUNT])
{
	const struct leg_facts facts = facts_of(row);
	for (int level = 0; level < LEVEL_COUNT; level++) {
		struct verdict v = policy_decide(MODE_ENFORCE, (enum level)level, &facts);
		if (v.reason != expected[level])
			fail_msg("row %zu, level %d: reason %d", row, level, (int)v.reason);
		assert_int_equal(v.allow, expected[level] == N);
		v = policy_decide(MODE_MONITOR, (enum level)level, &facts);
		assert_int_equal(v.reason, expected[level]);
		assert_true(v.allow);
	}
}

static void remote_domains(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		const enum reason expected[LEVEL_COUNT] = {
		    [LEVEL_NONE] = N,
		    [LEVEL_MAY] = peers[i].may,
		    [LEVEL_ENCRYPT] = peers[i].encrypt,
		    [LEVEL_VERIFY] = peers[i].verify,
		    [LEVEL_DANE] = peers[i].verify,
		    [LEVEL_DANE_ONLY] = peers[i].verify,
		    [LEVEL_FINGERPRINT] = peers[i].verify,
		};
		assert_levels(i, expected);
	}
}

static void assert_refused(enum mode mode, enum level level, const struct leg_facts *facts)
{
	struct verdict v = policy_decide(mode, level, facts);
	assert_false(v.allow);
	assert_int_equal(v.reason, REASON_INTERNAL);
}

static void what_nobody_knows_is_refused(void **state)
{
	(void)state;
	const struct leg_facts best = FACTS(true, 13, true, true);
	assert_refused(MODE_ENFORCE, LEVEL_COUNT, &best);
	assert_refused(MODE_MONITOR, LEVEL_COUNT, &best);
	assert_refused(MODE_ENFORCE, (enum level) - 1, &best);
	assert_refused(MODE_COUNT, LEVEL_ENCRYPT, &best);
	assert_refused((enum mode) - 1, LEVEL_NONE, &best);
	assert_refused(MODE_ENFORCE, LEVEL_ENCRYPT, NULL);
	assert_refused(MODE_MONITOR, LEVEL_NONE, NULL);
}

/* What the leg to the legacy server must be, by backend.tls; nothing known is refused. */
static void the_leg_behind(void **state)
{
	(void)state;
	static const struct {
		struct leg_facts facts;
		bool required, opportunistic, remote; /* allowed where plaintext may be, and where it may not */
	} rows[] = {
	    {FACTS(false, 0, false, false), false, true, false}, {FACTS(false, 0, false, true), false, true, false},
	    {FACTS(true, 13, true, false), false, true, true},   {FACTS(true, 13, true, true), true, true, true},
	    {FACTS(true, 12, false, true), true, true, true},    {FACTS(true, 11, true, true), false, false, false},
	    {FACTS(true, 0, true, true), false, false, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict required = policy_decide_backend(true, true, &rows[i].facts);
		struct verdict local = policy_decide_backend(false, true, &rows[i].facts);
		struct verdict remote = policy_decide_backend(false, false, &rows[i].facts);
		assert_int_equal(required.allow, rows[i].required);
		assert_int_equal(required.reason, rows[i].required ? REASON_NONE : REASON_BACKEND_TLS);
		assert_int_equal(local.allow, rows[i].opportunistic);
		assert_int_equal(remote.allow, rows[i].remote);
	}
	assert_false(policy_decide_backend(false, true, NULL).allow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_combination),
	    cmocka_unit_test(remote_domains),
	    cmocka_unit_test(what_nobody_knows_is_refused),
	    cmocka_unit_test(the_leg_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
