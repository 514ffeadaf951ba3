/* test_op_session.c: session windows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/window_job.h"

enum { GAP_MS = 10, DRAIN = 1, UPDATES = 2 };

struct session_case {
    const char *what;
    int64_t grace_ms, out_of_order_ms;
    unsigned how;
    const char *records, *expected;
};

static const struct session_case cases[] = {
    {"both ends of the gap are in", 0, 0, DRAIN, "a 0 x; a 10 y; a 21 z",
     "a 0..20 xy at 19; a 21..31 z at 30; "},
    {"a session closes at its end, where the next one may begin", 0, 0, DRAIN,
     "a 0 x; b 10 v; a 10 y", "a 0..10 x at 9; a 10..20 y at 19; b 10..20 v at 19; "},
    {"equal times", 0, 0, DRAIN, "a 5 x; a 5 y", "a 5..15 xy at 14; "},
    {"times below 0", 0, 0, DRAIN, "a -15 x; a -5 y; a 6 z", "a -15..5 xy at 4; a 6..16 z at 15; "},
    {"earlier than the first", 0, 50, DRAIN, "a 10 x; a 5 y; a -5 z", "a -5..20 xyz at 19; "},
    {"earlier than the first by more than the gap", 0, 50, DRAIN, "a 10 x; a -1 y",
     "a -1..9 y at 8; a 10..20 x at 19; "},
    {"between first and last", 0, 50, DRAIN, "a 0 x; a 10 y; a 5 z", "a 0..20 xyz at 19; "},
    {"two become one", 0, 50, DRAIN, "a 0 x; a 15 y; a 8 z", "a 0..25 xyz at 24; "},
    {"two become one, both a gap away", 0, 50, DRAIN, "a 0 x; a 20 y; a 10 z",
     "a 0..30 xyz at 29; "},
    {"three become one, one after the other", 0, 50, DRAIN, "a 0 p; a 30 q; a 15 r; a 8 s; a 22 t",
     "a 0..40 prsqt at 39; "},
    {"others stay what they are", 0, 90, DRAIN, "a 0 p; a 90 q; a 30 r; a 60 s; a 34 t",
     "a 0..10 p at 9; a 30..44 rt at 43; a 60..70 s at 69; a 90..100 q at 99; "},
    {"keys have sessions of their own", 0, 0, DRAIN, "a 0 x; b 5 y; a 7 z",
     "b 5..15 y at 14; a 0..17 xz at 16; "},
    {"late", 0, 0, DRAIN, "a 0 x; b 50 y; a 40 z",
     "a 0..10 x at 9; b 50..60 y at 59; late a 40 z; "},
    {"not late yet", 0, 0, DRAIN, "b 50 y; a 41 z", "a 41..51 z at 50; b 50..60 y at 59; "},
    {"late, and near to an open session", 0, 0, DRAIN, "a 0 w; a 9 x; b 18 y; a 5 z",
     "a 0..19 wxz at 18; b 18..28 y at 27; "},
    {"late, and an open session begins earlier by it", 0, 0, DRAIN, "a 9 x; b 18 y; a -1 z",
     "a -1..19 xz at 18; b 18..28 y at 27; "},
    {"late, and the session has just closed", 0, 0, DRAIN, "a 9 x; b 19 y; a 2 z",
     "a 9..19 x at 18; b 19..29 y at 28; late a 2 z; "},
    {"grace: open until the end + grace", 5, 0, DRAIN, "a 0 x; b 14 y; a 10 z; b 24 w; b 25 v",
     "a 0..20 xz at 19; b 14..35 ywv at 34; "},
    {"grace: late then", 5, 0, DRAIN, "a 0 x; b 15 y; a 0 z",
     "a 0..10 x at 9; b 15..25 y at 24; late a 0 z; "},
    {"an update when it grows", 0, 0, UPDATES, "a 10 x; a 15 y",
     "a 10..20 x at 10; a 10..25 xy was x at 15; "},
    {"an update within", 0, 50, UPDATES, "a 10 x; a 20 y; a 15 z",
     "a 10..20 x at 10; a 10..30 xy was x at 20; a 10..30 xyz was xy at 15; "},
    {"an earlier start is another session", 0, 50, UPDATES, "a 10 x; a 5 y",
     "a 10..20 x at 10; a 10..20 - was x at 5; a 5..20 xy at 5; "},
    {"of two that become one, the later is gone", 0, 50, UPDATES, "a 0 x; a 15 y; a 8 z",
     "a 0..10 x at 0; a 15..25 y at 15; a 15..25 - was y at 8; a 0..25 xyz was x at 8; "},
    {"closing is no update", 0, 0, UPDATES | DRAIN, "a 0 x; b 50 y",
     "a 0..10 x at 0; b 50..60 y at 50; "},
    {"what is in no session", 0, 0, DRAIN, "- 1 x; a 1 -",
     "rejected no key: windows are by key; rejected no value: a window has nothing to add; "},
};

static struct window_job job_of(int64_t grace_ms, int64_t out_of_order_ms, unsigned how)
{
    struct window_job job = {weir_session(GAP_MS), window_job_letters(), out_of_order_ms};
    job.windows.grace_ms = grace_ms;
    job.windows.emit = how & UPDATES ? WEIR_EMIT_UPDATES : WEIR_EMIT_CLOSED;
    job.windows.late = WEIR_LATE_SIDE;
    return job;
}

static void sessions_have_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct session_case *at = &cases[i];
        struct window_job job = job_of(at->grace_ms, at->out_of_order_ms, at->how);
        window_job_gives(at->what, &job, at->records, at->how & DRAIN, at->expected);
    }
}

static weir_record by_end(weir_ctx *ctx, weir_bytes total, const weir_window *window,
                          const weir_aggregation *self)
{
    (void)self;
    weir_record out = weir_reply(ctx, total);
    out.key = weir_format(ctx, "until %d", (int)window->end_ms);
    return out;
}

/* Where the key says when a session ends, a session that grows is under another key. */
static void a_row_under_another_key_is_taken_away(void **state)
{
    (void)state;
    struct window_job job = job_of(0, 0, UPDATES);
    job.aggregation.result = by_end;
    window_job_gives("by end", &job, "a 10 x; a 15 y; a 12 z", false,
                     "until 20 ?..? x at 10; until 20 ?..? - was x at 15; "
                     "until 25 ?..? xy at 15; until 25 ?..? xyz was xy at 12; ");
}

/* What two sessions both have is counted once when they become one; nothing of it is left. */
static void ids_of_sessions_that_merge(void **state)
{
    (void)state;
    struct window_job job = job_of(0, 50, 0);
    job.aggregation = weir_count_distinct(NULL, NULL);
    weir_test *test = window_job_new(&job, "a 10 x; a 10 y; a 25 y; a 25 z; a 18 x; a 3 y; a 36 z");
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(weir_test_timers(test), 2);
    static const char id[] = {'\x80', 0, 0, 0, 0, 0, 0, 10, 'i', 'x'}; /* weir_i64(10) first */
    weir_bytes slot = {id, sizeof id};
    assert_non_null(weir_test_state(test, "windows", weir_text("a"), slot).data);
    assert_int_equal(weir_test_advance(test, "in", 85), WEIR_OK);
    window_job_found(test, "a 3..35 3 at 34; ");
    assert_int_equal(weir_test_drain(test), WEIR_OK);
    window_job_found(test, "a 3..35 3 at 34; a 36..46 1 at 45; ");
    assert_int_equal(weir_test_timers(test), 0);
    assert_null(weir_test_state(test, "windows", weir_text("a"), weir_text(NULL)).data);
    assert_null(weir_test_state(test, "windows", weir_text("a"), slot).data);
    weir_test_free(test);
}

/* Two sessions with many different ids, half of them in both, become one that begins earlier. */
static void many_ids_of_sessions_that_merge(void **state)
{
    (void)state;
    enum { IDS = 3000 };
    struct window_job job = job_of(0, 50, 0);
    job.aggregation = weir_count_distinct(NULL, NULL);
    weir_test *test = window_job_new(&job, "");
    for (int i = 0; i < 2 * IDS; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i % IDS + i / IDS * IDS / 2);
        weir_test_text(test, "in", "a", id, i < IDS ? 10 : 25);
    }
    window_job_push(test, "a 18 0; a 5 0");
    assert_int_equal(weir_test_drain(test), WEIR_OK);
    window_job_found(test, "a 5..35 4500 at 34; ");
    weir_test_free(test);
}

/* A key with many open sessions, and one that spans them all in the end. */
static void many_open_sessions(void **state)
{
    (void)state;
    enum { SESSIONS = 400 };
    struct window_job job = job_of(0, 1000000, 0);
    job.aggregation = weir_count();
    weir_test *test = window_job_new(&job, "");
    for (int64_t i = 0; i < SESSIONS; i++) {
        weir_test_text(test, "in", "a", "x", (i * 7 % SESSIONS) * 2 * GAP_MS - 1000);
    }
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(weir_test_timers(test), SESSIONS);
    for (int64_t i = 0; i < SESSIONS - 1; i++) {
        weir_test_text(test, "in", "a", "x", (2 * i + 1) * GAP_MS - 1000);
    }
    assert_int_equal(weir_test_drain(test), WEIR_OK);
    window_job_found(test, "a -1000..6990 799 at 6989; ");
    weir_test_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_have_what_the_table_says),
        cmocka_unit_test(a_row_under_another_key_is_taken_away),
        cmocka_unit_test(ids_of_sessions_that_merge),
        cmocka_unit_test(many_ids_of_sessions_that_merge),
        cmocka_unit_test(many_open_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
