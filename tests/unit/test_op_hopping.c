/* test_op_hopping.c: hopping and tumbling windows, and what all windows have in common: what they
 * take, what is late, what is refused.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/window_job.h"

#define LATE "rejected late: all windows that it would be in have closed; "

enum { DRAIN = 1, UPDATES = 2, SIDE = 4 };

struct hop_case {
    const char *what;
    int64_t size_ms, advance_ms, grace_ms, out_of_order_ms;
    unsigned how;
    const char *records, *expected;
};

static const struct hop_case cases[] = {
    {"the start is in, the end is not", 10, 10, 0, 0, 0, "a 0 x; a 9 y; a 10 z",
     "a 0..10 xy at 9; "},
    {"a drain closes what is open", 10, 10, 0, 0, DRAIN, "a 0 x; a 9 y; a 10 z",
     "a 0..10 xy at 9; a 10..20 z at 19; "},
    {"a window of nothing is not there", 10, 10, 0, 0, DRAIN, "a 0 x; a 40 y",
     "a 0..10 x at 9; a 40..50 y at 49; "},
    {"times below 0 are rounded down", 10, 10, 0, 0, DRAIN, "a -11 w; a -10 x; a -1 y; a 0 z",
     "a -20..-10 w at -11; a -10..0 xy at -1; a 0..10 z at 9; "},
    {"equal times", 10, 10, 0, 0, DRAIN, "a 3 x; a 3 y; a 3 z", "a 0..10 xyz at 9; "},
    {"keys have windows of their own", 10, 10, 0, 0, DRAIN, "a 3 x; b 3 y; a 4 z",
     "a 0..10 xz at 9; b 0..10 y at 9; "},
    {"a record out of order is in, while the window is open", 10, 10, 0, 0, DRAIN,
     "a 9 x; a 0 y; b 10 z; a 9 w", "a 0..10 xy at 9; b 10..20 z at 19; " LATE},
    {"the record that closes a window comes after it", 10, 10, 0, 0, SIDE, "a 5 x; a 10 y; a 9 z",
     "a 0..10 x at 9; late a 9 z; "},
    {"grace: open until the end + grace", 10, 10, 3, 0, SIDE, "a 5 x; b 12 y; a 9 z; b 13 w; a 9 v",
     "a 0..10 xz at 9; late a 9 v; "},
    {"disorder holds the watermark back", 10, 10, 0, 5, SIDE, "a 5 x; b 14 y; a 9 z; b 15 w; a 9 v",
     "a 0..10 xz at 9; late a 9 v; "},
    {"in each window that it overlaps", 10, 5, 0, 0, DRAIN, "a 7 x",
     "a 0..10 x at 9; a 5..15 x at 14; "},
    {"left out of those that have closed", 10, 5, 0, 0, DRAIN, "a 7 x; b 10 y; a 8 z",
     "a 0..10 x at 9; a 5..15 xz at 14; b 5..15 y at 14; b 10..20 y at 19; "},
    {"late when all have closed", 10, 5, 0, 0, SIDE, "a 4 x; b 9 y; a 4 z; b 10 w; a 4 v",
     "a -5..5 x at 4; a 0..10 xz at 9; b 0..10 y at 9; late a 4 v; "},
    {"a size that is no multiple of the advance", 10, 4, 0, 0, DRAIN, "a -1 x; a 9 y; a 10 z",
     "a -8..2 x at 1; a -4..6 x at 5; a 0..10 y at 9; a 4..14 yz at 13; a 8..18 yz at 17; "},
    {"updates tell each change", 10, 10, 0, 0, DRAIN | UPDATES,
     "a 1 x; a 2 y; b 10 z; a 3 w; a 12 v",
     "a 0..10 x at 1; a 0..10 xy was x at 2; b 10..20 z at 10; a 10..20 v at 12; " LATE},
    {"updates of windows that overlap", 10, 5, 0, 0, UPDATES, "a 7 x; a 11 y",
     "a 0..10 x at 7; a 5..15 x at 7; a 5..15 xy was x at 11; a 10..20 y at 11; "},
    {"what is in no window", 10, 10, 0, 0, DRAIN,
     "- 1 x; a 1 -; a 2305843009213693952 x; a -2305843009213693952 x",
     "rejected no key: windows are by key; rejected no value: a window has nothing to add; "
     "rejected its time is more than 73 million years from 1970: no window is there; "
     "rejected its time is more than 73 million years from 1970: no window is there; "},
    {"the largest time", 10, 10, 0, 0, DRAIN, "a 2305843009213693951 x",
     "a 2305843009213693950..2305843009213693960 x at 2305843009213693959; "},
    {"grace for ever", 10, 10, INT64_MAX, 0, DRAIN, "a 1 x; a 2305843009213693951 y; a 2 z",
     "a 0..10 xz at 9; a 2305843009213693950..2305843009213693960 y at 2305843009213693959; "},
};

static struct window_job job_of(const struct hop_case *at)
{
    struct window_job job = {weir_hopping(at->size_ms, at->advance_ms), window_job_letters(),
                             at->out_of_order_ms};
    job.windows.grace_ms = at->grace_ms;
    job.windows.emit = at->how & UPDATES ? WEIR_EMIT_UPDATES : WEIR_EMIT_CLOSED;
    job.windows.late = at->how & SIDE ? WEIR_LATE_SIDE : WEIR_LATE_REJECT;
    return job;
}

static void windows_have_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct window_job job = job_of(&cases[i]);
        window_job_gives(cases[i].what, &job, cases[i].records, cases[i].how & DRAIN,
                         cases[i].expected);
    }
}

/* weir_tumbling is weir_hopping by its size, and tells updates, as Kafka Streams does. */
static void defaults(void **state)
{
    (void)state;
    struct window_job job = {weir_tumbling(10), window_job_letters(), 0};
    window_job_gives("defaults", &job, "a 1 x; a 12 y; a 2 z", false,
                     "a 0..10 x at 1; a 10..20 y at 12; " LATE);
}

static bool is_there(weir_test *test, const char *slot, size_t size)
{
    return weir_test_state(test, "windows", weir_text("a"), (weir_bytes){slot, size}).data != NULL;
}

/* A closed window leaves neither a total nor ids nor a timer. */
static void nothing_is_left(void **state)
{
    (void)state;
    static const char total[] = {'\x80', 0, 0, 0, 0, 0, 0, 0, 'i', 'x'}; /* weir_i64(0) first */
    struct window_job job = {weir_tumbling(10), weir_count_distinct(NULL, NULL), 0};
    job.windows.emit = WEIR_EMIT_CLOSED;
    weir_test *test = window_job_new(&job, "a 1 x; a 2 y; a 3 x");
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_true(is_there(test, total, 8));
    assert_true(is_there(test, total, 10));
    assert_int_equal(weir_test_timers(test), 1);
    assert_int_equal(weir_test_advance(test, "in", 10), WEIR_OK);
    window_job_found(test, "a 0..10 2 at 9; ");
    assert_false(is_there(test, total, 8));
    assert_false(is_there(test, total, 10));
    assert_int_equal(weir_test_timers(test), 0);
    weir_test_free(test);
}

/* A table's change would have to be taken out again. */
static void a_change_is_rejected(void **state)
{
    (void)state;
    struct window_job job = {weir_tumbling(10), window_job_letters(), 0};
    weir_test *test = window_job_new(&job, "");
    weir_record change = {.key = weir_text("a"), .value = weir_text("x"), .old = weir_text("y")};
    weir_test_push(test, "in", 0, &change);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(weir_test_rejects(test), 1);
    assert_string_equal(weir_test_reason(test, 0),
                        "a table's change: windows are of records that stand for themselves");
    weir_test_free(test);
}

/* What add rejects changes none of its windows. */
static void a_record_without_a_number_is_rejected_whole(void **state)
{
    (void)state;
    struct window_job job = {weir_hopping(10, 5), weir_sum(NULL, NULL), 0};
    job.windows.emit = WEIR_EMIT_CLOSED;
    char *found = window_job_run(&job, "a 7 5; a 8 x; a 9 6", true);
    assert_non_null(strstr(found, "a 0..10 11 at 9; a 5..15 11 at 14; rejected "));
    free(found);
}

static weir_record by_start(weir_ctx *ctx, weir_bytes total, const weir_window *window,
                            const weir_aggregation *self)
{
    (void)self;
    weir_record out = weir_reply(ctx, total);
    if (total.size > 2) {
        weir_reject(ctx, "too long");
    }
    out.key = weir_format(ctx, "from %d to %d", (int)window->start_ms, (int)window->end_ms);
    return out;
}

/* An author's result gets the window, and may give another key; the time is the window's. */
static void a_result_is_the_authors(void **state)
{
    (void)state;
    struct window_job job = {weir_tumbling(10), window_job_letters(), 0};
    job.windows.emit = WEIR_EMIT_CLOSED;
    job.windows.grace_ms = 7;
    job.aggregation.result = by_start;
    window_job_gives("by start", &job, "a 1 x; a 12 y", true,
                     "from 0 to 10 ?..? x at 9; from 10 to 20 ?..? y at 19; ");
}

/* A result that rejects leaves the window as it was: of a record nothing is added; what closes is a
 * dead letter, and a retry tries it again. */
static void a_result_may_reject(void **state)
{
    (void)state;
    struct window_job job = {weir_tumbling(10), window_job_letters(), 0};
    job.aggregation.result = by_start;
    window_job_gives("a result that rejects", &job, "a 1 x; a 2 y; a 3 z", true,
                     "from 0 to 10 ?..? x at 1; from 0 to 10 ?..? xy was x at 2; "
                     "rejected too long; ");
    job.windows.emit = WEIR_EMIT_CLOSED;
    weir_test *test = window_job_new(&job, "a 1 x; a 2 y; a 3 z; b 10 v; a 4 w");
    assert_int_equal(weir_test_run(test), WEIR_OK);
    window_job_found(test, "rejected too long; " LATE);
    job.aggregation.result = NULL;
    window_job_set(&job);
    assert_int_equal(weir_test_retry(test, "windows"), WEIR_OK);
    window_job_found(test, "a 0..10 xyz at 9; " LATE);
    weir_test_free(test);
}

struct refused {
    weir_windows windows;
    const char *why;
};

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    weir_windows grace = weir_tumbling(10), emit = grace, late = grace, kind = grace;
    grace.grace_ms = -1;
    emit.emit = 7;
    late.late = 7;
    kind.kind = 7;
    const struct refused refused[] = {
        {weir_tumbling(0), "windows: a window's size is 1 millisecond or more"},
        {weir_tumbling(-1), "windows: a window's size is 1 millisecond or more"},
        {weir_tumbling(INT64_MAX), "windows: a window's size is 1 millisecond or more"},
        {weir_hopping(10, 0), "and it advances by 1 to its size"},
        {weir_hopping(10, 11), "and it advances by 1 to its size"},
        {weir_hopping(10001, 1), "a record is in at most 10000 windows; advance by more"},
        {weir_session(0), "a session's gap is 1 millisecond or more"},
        {weir_session(INT64_MAX), "a session's gap is 1 millisecond or more"},
        {weir_sliding(-1), "difference is negative or too large"},
        {weir_count_windows(0, 1), "a count window has 1 to 1000000 records"},
        {weir_count_windows(1, 0), "and advances by 1 or more"},
        {grace, "the grace period is negative; give 0 milliseconds or more"},
        {emit, "emit and late are each one of the two that weir_ops.h has"},
        {late, "emit and late are each one of the two that weir_ops.h has"},
        {kind, "there is no such kind of windows; use weir_tumbling and so on"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct window_job job = {refused[i].windows, window_job_letters(), 0};
        char *found = window_job_run(&job, "", false);
        if (!strstr(found, refused[i].why)) {
            fail_msg("not refused by `%s`: `%s`", refused[i].why, found);
        }
        free(found);
    }
    struct window_job job = {weir_hopping(10000, 1), window_job_letters(), 0};
    job.windows.emit = WEIR_EMIT_CLOSED;
    weir_test *test = window_job_new(&job, "a 0 x");
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(weir_test_timers(test), 10000);
    weir_test_free(test);
}

static void an_aggregation_must_have_what_it_takes(void **state)
{
    (void)state;
    struct window_job job = {weir_tumbling(10), {.add = NULL}, 0};
    char *found = window_job_run(&job, "", false);
    assert_non_null(strstr(found, "no function `add`"));
    free(found);
    job = (struct window_job){weir_session(10), window_job_letters(), 0};
    job.aggregation.merge = NULL;
    found = window_job_run(&job, "", false);
    assert_non_null(strstr(found, "no function `merge`"));
    free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_have_what_the_table_says),
        cmocka_unit_test(defaults),
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(a_change_is_rejected),
        cmocka_unit_test(a_record_without_a_number_is_rejected_whole),
        cmocka_unit_test(a_result_is_the_authors),
        cmocka_unit_test(a_result_may_reject),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(an_aggregation_must_have_what_it_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
