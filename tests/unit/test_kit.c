/* test_kit.c: the test kit: what it gives a job, what it lets a test read, and that a crash at any
 * fault point leaves what no crash would.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/kit.h"
#include "tests/lib/trial.h"
#include "txn/base/bytes.h"

/* Counts each key; emits the count, and under the key's first letter into a table. */
static void count(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const char *greeting = arg;
    int64_t number = 0;
    if (!in->key.data) {
        weir_reject(ctx, "no key");
        return;
    }
    weir_to_i64(weir_get(ctx, weir_text(NULL)), &number);
    weir_put(ctx, weir_text(NULL), weir_i64(ctx, number + 1));
    weir_wake(ctx, weir_text("t"), INT64_MAX - 1);
    char text[100];
    snprintf(text, sizeof text, "%s %lld", greeting, (long long)number + 1);
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
}

static void define(weir_job *job)
{
    const char *greeting = weir_option(job, "greeting", "count");
    weir_stream *in = weir_from(job, "in", "file:/none/of/this/is/read");
    weir_stream *node = weir_through(in, "count", count, (void *)(uintptr_t)greeting);
    weir_into(node, "out", "kafka://nowhere/topic");
    weir_into(node, "rows", "table:rows");
}

static bool is_text(weir_bytes bytes, const char *text)
{
    return wr_bytes_equal(bytes, weir_text(text));
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Records, rows, state, dead letters and timers are read as they were decided. */
static void what_was_decided_is_read(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define, NULL);
    weir_test_text(test, "in", "a", "", 1);
    weir_test_text(test, "in", NULL, "", 2);
    weir_test_text(test, "in", "a", "", 3);
    weir_test_text(test, "in", "b", "", 4);
    assert_int_equal(weir_test_count(test, "out"), 0); /* read by the next run */
    kit_must(test, weir_test_run(test));
    assert_int_equal(weir_test_count(test, "out"), 3);
    const weir_record *record = weir_test_record(test, "out", 1);
    assert_true(is_text(record->key, "a"));
    assert_true(is_text(record->value, "count 2"));
    assert_int_equal(record->time_ms, 3);
    assert_null(weir_test_record(test, "out", 3));
    assert_true(is_text(weir_test_row(test, "rows", weir_text("a")), "count 2"));
    assert_null(weir_test_row(test, "rows", weir_text("c")).data);
    int64_t number;
    weir_bytes kept = weir_test_state(test, "count", weir_text("a"), weir_text(NULL));
    assert_true(weir_to_i64(kept, &number) && number == 2);
    assert_null(weir_test_state(test, "count", weir_text("a"), weir_text("")).data);
    assert_int_equal(weir_test_rejects(test), 1);
    assert_string_equal(weir_test_reason(test, 0), "no key");
    assert_null(weir_test_reason(test, 1));
    assert_int_equal(weir_test_timers(test), 2);
    weir_test_free(test);
}

/* What was pushed outlives a crash; what was decided is not read again. */
static void input_outlives_a_crash(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define, NULL);
    weir_test_text(test, "in", "a", "", 1);
    kit_must(test, weir_test_run(test));
    weir_test_text(test, "in", "a", "", 2);
    weir_test_crash(test);
    assert_int_not_equal(weir_test_status(test), WEIR_OK);
    assert_int_not_equal(weir_test_run(test), WEIR_OK); /* only restart goes on */
    assert_int_equal(weir_test_count(test, "out"), 1); /* and reading does */
    weir_test_text(test, "in", "a", "", 3);
    kit_must(test, weir_test_restart(test, NULL));
    assert_int_equal(weir_test_count(test, "out"), 1);
    kit_must(test, weir_test_run(test));
    assert_int_equal(weir_test_count(test, "out"), 3);
    assert_true(is_text(weir_test_record(test, "out", 2)->value, "count 3"));
    weir_test_free(test);
}

/* ---- Options --------------------------------------------------------------------------------- */

/* -D reaches the job, -o sends a sink to a file, where it is appended once. */
static void settings_reach_the_job(void **state)
{
    (void)state;
    static const char *const set[] = {"-D", "greeting=hello", "-o", "out=file:kit.txt", NULL};
    weir_test_options options = {.set = set};
    unlink("kit.txt");
    weir_test *test = weir_test_new(define, &options);
    weir_test_text(test, "in", "a", "", 1);
    kit_must(test, weir_test_run(test));
    kit_must(test, weir_test_restart(test, NULL));
    weir_test_text(test, "in", "a", "", 2);
    kit_must(test, weir_test_run(test));
    char text[100] = "";
    FILE *file = fopen("kit.txt", "r");
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    assert_int_equal(size, strlen("hello 1\nhello 2\n"));
    assert_string_equal(text, "hello 1\nhello 2\n");
    weir_test_free(test);
    unlink("kit.txt");
}

/* Partitions, sizes of epochs and the cache change nothing that can be read. */
static void options_do_not_show(void **state)
{
    (void)state;
    for (int i = 0; i < 24; i++) {
        weir_test_options options = {.partitions = 1 + i % 2 * 3,
                                     .epoch_records = i / 2 % 3,
                                     .cache_bytes = i / 6 % 2 ? -1 : 0,
                                     .decide_late = i / 12};
        weir_test *test = weir_test_new(define, &options);
        for (int j = 0; j < 20; j++) {
            weir_record record = {.key = weir_text(j % 3 ? "a" : "b")};
            weir_test_push(test, "in", j % options.partitions, &record);
        }
        kit_must(test, weir_test_run(test));
        assert_int_equal(weir_test_count(test, "out"), 20);
        assert_true(is_text(weir_test_row(test, "rows", weir_text("a")), "count 13"));
        assert_true(is_text(weir_test_row(test, "rows", weir_text("b")), "count 7"));
        weir_test_free(test);
    }
}

static void nothing(weir_job *job)
{
    (void)job;
}

/* A job that does not build is told by its status; with one that does the kit goes on. */
static void a_bad_job_is_reported(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(nothing, NULL);
    assert_int_equal(weir_test_status(test), WEIR_MISUSE);
    assert_non_null(strstr(weir_test_error(test), "no source"));
    assert_int_equal(weir_test_run(test), WEIR_MISUSE);
    assert_int_equal(weir_test_advance(test, "in", 1), WEIR_MISUSE);
    assert_int_equal(weir_test_clock(test, 1), WEIR_MISUSE);
    assert_int_equal(weir_test_drain(test), WEIR_MISUSE);
    kit_must(test, weir_test_restart(test, define));
    kit_must(test, weir_test_run(test));
    weir_test_free(test);
}

/* Several live side by side, and each takes its folder with it. */
static void kits_do_not_meet(void **state)
{
    (void)state;
    enum { KITS = 5 };
    weir_test *tests[KITS];
    char paths[KITS][200];
    for (int i = 0; i < KITS; i++) {
        tests[i] = weir_test_new(define, NULL);
        snprintf(paths[i], sizeof paths[i], "%s", weir_test_store(tests[i]));
        for (int j = 0; j <= i; j++) {
            weir_test_text(tests[i], "in", "a", "", j);
        }
    }
    for (int i = 0; i < KITS; i++) {
        kit_must(tests[i], weir_test_run(tests[i]));
    }
    for (int i = 0; i < KITS; i++) {
        assert_int_equal(weir_test_count(tests[i], "out"), i + 1);
        assert_int_equal(access(paths[i], F_OK), 0);
        weir_test_free(tests[i]);
        assert_int_not_equal(access(paths[i], F_OK), 0);
        *strrchr(paths[i], '/') = '\0';
        assert_int_not_equal(access(paths[i], F_OK), 0);
    }
}

/* ---- Fault points ---------------------------------------------------------------------------- */

/* Points that the trial does not pass: those of a graceful stop, of sources that are not its own,
 * of failing origins and of dead letters taken again (test_failures.c, test_retry.c). */
static bool is_elsewhere(const char *point)
{
    return strcmp(point, "stop_before_end") == 0 || strncmp(point, "log_", 4) == 0 ||
           strncmp(point, "deliver_", 8) == 0 || strncmp(point, "reject_", 7) == 0 ||
           strncmp(point, "retry_", 6) == 0 || strncmp(point, "kafka_", 6) == 0 ||
           strncmp(point, "sql_", 4) == 0;
}

/* One trial that crashes at the count-th passing of a point, after a crash at another one if there
 * is one before. False: the point was not passed so often. */
static bool crash_at(const char *before, const char *point, int passing, const char *expected)
{
    struct trial *trial = trial_new(TRIAL_LARGE);
    weir_test *test = trial_test(trial);
    bool crashed = false;
    assert_true(weir_test_crash_at(test, before ? before : point, before ? 1 : passing));
    while (trial_go_on(trial) != WEIR_OK) {
        assert_true(weir_test_crashed(test));
        assert_non_null(strstr(trial_error(trial)->text, before ? before : point));
        crashed = !before;
        if (before) {
            weir_test_crash_at(test, point, passing);
            before = NULL;
        }
        if (trial_recover(trial) != WEIR_OK) {
            assert_true(weir_test_crashed(test));
            crashed = true;
            assert_int_equal(trial_recover(trial), WEIR_OK);
        }
    }
    trial_must_equal(trial, expected, point, passing);
    trial_free(trial);
    return crashed;
}

/* Wherever it crashes, it goes on to leave what it leaves undisturbed. Points of starting and of
 * cutting a file back are passed after another crash. */
static void a_crash_at_any_fault_point_leaves_no_trace(void **state)
{
    (void)state;
    char *expected = trial_undisturbed(TRIAL_LARGE);
    for (int number = 0; weir_test_fault(number); number++) {
        const char *point = weir_test_fault(number);
        int most = getenv("WEIR_LONG") ? 1000 : 3, passing = 1;
        while (passing <= most && crash_at(NULL, point, passing, expected)) {
            passing++;
        }
        bool after = crash_at("forward_after_sync", point, 1, expected);
        bool passed = passing > 1 || after;
        if (passed == is_elsewhere(point)) {
            fail_msg("fault point %s was %spassed", point, passed ? "" : "not ");
        }
    }
    free(expected);
}

/* A name that is no fault point is told so. */
static void an_unknown_fault_point_is_refused(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define, NULL);
    assert_false(weir_test_crash_at(test, "decide_before", 1));
    assert_false(weir_test_crash_at(test, "", 1));
    weir_test_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_decided_is_read),
        cmocka_unit_test(input_outlives_a_crash),
        cmocka_unit_test(settings_reach_the_job),
        cmocka_unit_test(options_do_not_show),
        cmocka_unit_test(a_bad_job_is_reported),
        cmocka_unit_test(kits_do_not_meet),
        cmocka_unit_test(a_crash_at_any_fault_point_leaves_no_trace),
        cmocka_unit_test(an_unknown_fault_point_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
