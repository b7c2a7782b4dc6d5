/* SPDX-License-Identifier: MIT */
/*
 * Every combination of mode, level and facts against what is written out here by hand: for each set of facts, the
 * reason at the levels that need nothing, TLS, or TLS and identity.
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
#define WHO REASON_INTERNAL

static const struct {
	struct leg_facts facts;      /* encrypted, version, extended master secret, identity */
	enum reason encrypt, verify; /* at encrypt; at verify and above. none and may take all */
} table[] = {
    {{false, 0, false, false}, PLAIN, PLAIN}, {{false, 0, false, true}, PLAIN, PLAIN},
    {{false, 0, true, false}, PLAIN, PLAIN},  {{false, 0, true, true}, PLAIN, PLAIN},
    {{false, 13, true, true}, PLAIN, PLAIN},  {{false, 12, true, true}, PLAIN, PLAIN},
    {{true, 0, true, true}, OLD, OLD},        {{true, 0, false, false}, OLD, OLD},
    {{true, 3, true, true}, OLD, OLD},        {{true, 10, true, true}, OLD, OLD},
    {{true, 10, false, false}, OLD, OLD},     {{true, 11, true, true}, OLD, OLD},
    {{true, 11, false, true}, OLD, OLD},      {{true, 14, true, true}, OLD, OLD},
    {{true, -1, true, true}, OLD, OLD},       {{true, 12, false, false}, EMS, EMS},
    {{true, 12, false, true}, EMS, EMS},      {{true, 12, true, false}, N, WHO},
    {{true, 12, true, true}, N, N},           {{true, 13, false, false}, EMS, EMS},
    {{true, 13, false, true}, EMS, EMS},      {{true, 13, true, false}, N, WHO},
    {{true, 13, true, true}, N, N},
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

static void assert_refused(enum mode mode, enum level level, const struct leg_facts *facts)
{
	struct verdict v = policy_decide(mode, level, facts);
	assert_false(v.allow);
	assert_int_equal(v.reason, REASON_INTERNAL);
}

static void what_nobody_knows_is_refused(void **state)
{
	(void)state;
	const struct leg_facts best = {true, 13, true, true};
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
	    {{false, 0, false, false}, false, true, false}, {{false, 0, false, true}, false, true, false},
	    {{true, 13, true, false}, false, true, true},   {{true, 13, true, true}, true, true, true},
	    {{true, 12, false, true}, true, true, true},    {{true, 11, true, true}, false, false, false},
	    {{true, 0, true, true}, false, false, false},
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
	    cmocka_unit_test(what_nobody_knows_is_refused),
	    cmocka_unit_test(the_leg_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
