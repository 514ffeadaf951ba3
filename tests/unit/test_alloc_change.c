/* test_alloc_change.c: whichever allocation fails while a job starts changed, weir's or SQLite's,
 * the start ends with the code that says "try again", nothing was done, and the next start does it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/test_kit.h"
#include "tests/lib/fail_alloc.h"

enum { STEP_ONE_UNTIL = 30, RECORDS = 4 };

static const weir_bytes only = {NULL, 0};

static void count(weir_ctx *ctx, const weir_record *in, void *arg)
{
    int64_t seen = 0;
    (void)arg;
    weir_to_i64(weir_get(ctx, only), &seen);
    weir_put(ctx, only, weir_i64(ctx, seen + 1));
    weir_emit(ctx, in);
}

static weir_bytes upgrade(weir_ctx *ctx, unsigned from, weir_bytes slot, weir_bytes value,
                          void *arg)
{
    int64_t seen = 0;
    (void)from, (void)slot, (void)arg;
    weir_to_i64(value, &seen);
    return weir_i64(ctx, seen * 10);
}

static void define_old(weir_job *job)
{
    weir_stream *in = weir_from(job, "in", NULL);
    weir_into(weir_through(in, "count", count, NULL), "out", NULL);
    weir_into(weir_through(in, "gone", count, NULL), "more", NULL);
}

static void define_new(weir_job *job)
{
    weir_stream *counted = weir_through(weir_from(job, "in", NULL), "tally", count, NULL);
    weir_state(counted, 2, upgrade, NULL);
    weir_into(counted, "out", NULL);
}

static int64_t kept(weir_test *test, const char *node)
{
    int64_t seen = -1;
    weir_to_i64(weir_test_state(test, node, weir_text("k"), only), &seen);
    return seen;
}

/* The options of the changed start. */
static void ask(weir_test *test)
{
    struct wr_error error = {.status = WEIR_OK};
    assert_int_equal(wr_settings_add(&test->run.renames, "count=tally", &error), WEIR_OK);
    assert_int_equal(wr_settings_add(&test->run.drop_states, "gone=", &error), WEIR_OK);
    assert_int_equal(wr_settings_add(&test->run.rewinds, "in=earliest", &error), WEIR_OK);
}

static bool fail_nth(enum fail_alloc_of of, int64_t n, bool lasting)
{
    weir_test *test = weir_test_new(define_old, NULL);
    for (int i = 0; i < RECORDS; i++) {
        weir_test_text(test, "in", "k", "v", i);
    }
    assert_int_equal(weir_test_run(test), WEIR_OK);
    ask(test);
    fail_alloc_arm(of, n, lasting);
    if (weir_test_restart(test, define_new) != WEIR_OK) {
        fail_alloc_off();
        if (test->error.exit_code != WR_EXIT_AGAIN) {
            fail_msg("allocation %lld: %s", (long long)n, weir_test_error(test));
        }
        if (weir_test_restart(test, define_new) != WEIR_OK) {
            fail_msg("after allocation %lld: %s", (long long)n, weir_test_error(test));
        }
    }
    bool hit = fail_alloc_hit();
    fail_alloc_off();
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(kept(test, "tally"), 10 * RECORDS + RECORDS);
    assert_int_equal(weir_test_count(test, "out"), 2 * RECORDS);
    weir_test_free(test);
    return hit;
}

static int64_t next_n(int64_t n)
{
    return n < STEP_ONE_UNTIL || getenv("WEIR_LONG") ? n + 1 : n + n / 8;
}

static void of_weir(void **state)
{
    (void)state;
    for (int64_t n = 1; fail_nth(FAIL_ALLOC_WEIR, n, n % 2 == 0); n = next_n(n)) {
    }
}

static void of_sqlite(void **state)
{
    (void)state;
    for (int64_t n = 1; fail_nth(FAIL_ALLOC_SQLITE, n, n % 2 == 0); n = next_n(n)) {
    }
}

int main(void)
{
    fail_alloc_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_weir),
        cmocka_unit_test(of_sqlite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
