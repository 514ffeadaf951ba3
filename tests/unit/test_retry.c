/* test_retry.c: dead letters that were queued are taken again at the next start, before anything
 * new, exactly once, with the origin that they had.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/test_kit.h"
#include "tests/lib/kit.h"
#include "tests/lib/poison.h"
#include "txn/store_rejects.h"

static struct poison *poison;

static weir_test *test_with(const weir_test_options *options)
{
    poison = poison_begin();
    weir_test *test = weir_test_new(poison_define, options);
    assert_int_equal(weir_test_status(test), WEIR_OK);
    return test;
}

static int64_t ask(weir_test *test, const char *text)
{
    struct wr_reader *reader = NULL;
    struct wr_rows *rows = NULL;
    struct wr_error error = {.status = WEIR_OK};
    bool more = false;
    assert_int_equal(wr_reader_open(&test->env, test->store, &reader, &error), WEIR_OK);
    assert_int_equal(wr_rows_open(reader, text, &rows, &error), WEIR_OK);
    assert_int_equal(wr_rows_next(rows, &more, &error), WEIR_OK);
    int64_t value = more ? wr_rows_int(rows, 0) : -1;
    wr_rows_close(rows);
    wr_reader_close(reader);
    return value;
}

static void value_is(weir_test *test, size_t index, const char *value)
{
    const weir_record *record = weir_test_record(test, "out", index);
    assert_non_null(record);
    if (!wr_bytes_equal(record->value, weir_text(value))) {
        fail_msg("out %zu: `%.*s`, expected `%s`", index, (int)record->value.size,
                 (const char *)record->value.data, value);
    }
}

static int64_t count_of(weir_test *test, const char *key)
{
    int64_t count = 0;
    weir_to_i64(weir_test_state(test, "node", weir_text(key), weir_text("n")), &count);
    return count;
}

/* Once mended, a dead letter takes effect, and is gone from the dead letters and the queue. */
static void a_letter_takes_effect_once(void **state)
{
    (void)state;
    weir_test *test = test_with(NULL);
    weir_test_text(test, "in", "k", "fine", 1);
    weir_test_text(test, "in", "k", "bad", 2);
    weir_test_text(test, "in", "l", "bad", 3);
    kit_must(test, weir_test_run(test));
    assert_int_equal(weir_test_rejects(test), 2);
    poison->mended = true;
    kit_must(test, weir_test_retry(test, NULL));
    assert_int_equal(weir_test_rejects(test), 0);
    assert_int_equal(ask(test, "SELECT count(*) FROM retry"), 0);
    assert_int_equal(weir_test_count(test, "out"), 3);
    assert_int_equal(count_of(test, "k"), 2);
    assert_string_equal(poison->last_origin, "in 0 2");
    kit_must(test, weir_test_restart(test, NULL));
    kit_must(test, weir_test_run(test));
    assert_int_equal(weir_test_count(test, "out"), 3);
    assert_int_equal(ask(test, "SELECT sum(records) FROM epoch"), 3); /* no input records */
    weir_test_free(test);
}

/* They come in the order of their ids, before what is new. */
static void letters_come_first(void **state)
{
    (void)state;
    weir_test_options options = {.epoch_records = 3};
    weir_test *test = test_with(&options);
    struct wr_reject_filter filter;
    struct wr_reject_counts counts;
    for (int i = 0; i < 200; i++) {
        weir_test_text(test, "in", "k", "bad", i);
    }
    kit_must(test, weir_test_run(test));
    wr_reject_filter_init(&filter);
    filter.first = 11;
    kit_must(test, wr_store_rejects(test->instance.store, &filter, WR_REJECTS_RETRY, &counts,
                                    &test->error));
    assert_int_equal(counts.matched, 190);
    assert_int_equal(counts.changed, 190);
    poison->mended = true;
    weir_test_text(test, "in", "k", "new", 300);
    kit_must(test, weir_test_restart(test, NULL));
    kit_must(test, weir_test_run(test));
    assert_int_equal(weir_test_count(test, "out"), 191);
    value_is(test, 190, "191 new");
    assert_int_equal(weir_test_record(test, "out", 0)->time_ms, 10);
    assert_int_equal(weir_test_record(test, "out", 189)->time_ms, 199);
    assert_int_equal(weir_test_rejects(test), 10);
    weir_test_free(test);
}

/* Rejected again it is a new dead letter with the old origin; the old one goes. */
static void rejected_again(void **state)
{
    (void)state;
    static const char *const set[] = {"--rejects-max", "2", NULL};
    weir_test_options options = {.set = set};
    weir_test *test = test_with(&options);
    weir_test_text(test, "in", "k", "fine", 1);
    weir_test_text(test, "in", "k", "bad", 2);
    weir_test_text(test, "in", "k", "number x", 3);
    kit_must(test, weir_test_run(test));
    assert_int_equal(ask(test, "SELECT max(id) FROM reject"), 2);
    kit_must(test, weir_test_retry(test, NULL)); /* there is room for as many as go */
    assert_int_equal(weir_test_rejects(test), 2);
    assert_int_equal(ask(test, "SELECT min(id) FROM reject"), 3);
    assert_int_equal(ask(test, "SELECT offset FROM reject WHERE id = 3 AND source = 'in' AND"
                               " part = '0' AND node = 'node' AND seq = 0"),
                     1);
    assert_int_equal(ask(test, "SELECT offset FROM reject WHERE id = 4 AND node = 'numbers'"), 2);
    assert_int_equal(ask(test, "SELECT count(*) FROM retry"), 0);
    weir_test_free(test);
}

/* A timer fires again, with its key, name and time; it sets no other off, and moves no time. */
static void a_timer_fires_again(void **state)
{
    (void)state;
    weir_test *test = test_with(NULL);
    weir_test_text(test, "in", "k", "wake bad", 1);
    weir_test_text(test, "in", "l", "wake fine", 50);
    kit_must(test, weir_test_run(test));
    assert_int_equal(weir_test_rejects(test), 1);
    assert_int_equal(weir_test_timers(test), 1);
    poison->mended = true;
    kit_must(test, weir_test_retry(test, NULL));
    assert_int_equal(weir_test_rejects(test), 0);
    assert_int_equal(weir_test_count(test, "out"), 1);
    value_is(test, 0, "fired bad");
    assert_string_equal(poison->last_origin, "(none) -1 -1");
    const weir_record *fired = weir_test_record(test, "out", 0);
    assert_true(wr_bytes_equal(fired->key, weir_text("k")));
    assert_int_equal(fired->time_ms, 11);
    assert_int_equal(weir_test_timers(test), 1);
    weir_test_free(test);
}

/* A letter's time is past or future: no watermark follows it. */
static void no_watermark_moves(void **state)
{
    (void)state;
    static const char *const set[] = {"--on-error", "reject", NULL};
    weir_test_options options = {.set = set};
    weir_test *test = test_with(&options);
    weir_test_text(test, "in", "k", "wake fine", 1);
    weir_test_text(test, "in", "k", "poison", 1000); /* nor does it when it is rejected */
    kit_must(test, weir_test_run(test));
    assert_int_equal(weir_test_timers(test), 1);
    poison->mended = true;
    kit_must(test, weir_test_retry(test, "in"));
    assert_int_equal(weir_test_rejects(test), 0);
    assert_int_equal(weir_test_timers(test), 1);
    value_is(test, 0, "1 poison");
    weir_test_free(test);
}

/* A letter that fails is counted like any origin: it stops the run, which names it, or is rejected
 * again for that. */
static void a_letter_that_fails(void **state)
{
    (void)state;
    static const char *const set[] = {"--on-error", "reject", NULL};
    weir_test_options options = {.set = set};
    weir_test *test = test_with(&options);
    weir_test_text(test, "in", "k", "poison", 1);
    weir_test_text(test, "in", "k", "flaky 5", 2);
    kit_must(test, weir_test_run(test));
    assert_int_equal(weir_test_rejects(test), 2);
    kit_must(test, weir_test_retry(test, NULL)); /* the flaky one passes now, the other does not */
    assert_int_equal(weir_test_rejects(test), 1);
    assert_int_equal(poison->failed, 15);
    assert_int_equal(ask(test, "SELECT offset FROM reject WHERE id = 3 AND node = 'in'"), 0);
    test->run.reject_failures = false;
    assert_int_equal(weir_test_retry(test, NULL), WEIR_FATAL);
    assert_non_null(strstr(weir_test_error(test), "dead letter 3, taken again failed 5 times"));
    assert_int_equal(ask(test, "SELECT count(*) FROM retry"), 1);
    test->run.reject_failures = true;
    kit_must(test, weir_test_restart(test, NULL));
    kit_must(test, weir_test_run(test));
    assert_int_equal(ask(test, "SELECT max(id) FROM reject"), 4);
    assert_int_equal(weir_test_rejects(test), 1);
    weir_test_free(test);
}

/* The job must have the node that is to get it. */
static void the_node_is_gone(void **state)
{
    (void)state;
    weir_test *test = test_with(NULL);
    weir_test_text(test, "in", NULL, "bad", 1); /* no state is kept: only the letter minds */
    kit_must(test, weir_test_run(test));
    test->define = poison_define_renamed;
    assert_int_equal(weir_test_retry(test, NULL), WEIR_FATAL);
    assert_int_equal(test->error.exit_code, WR_EXIT_CONFIG);
    assert_non_null(strstr(weir_test_error(test), "--rename node=NEW"));
    assert_non_null(strstr(weir_test_error(test), "--delete --node node"));
    poison->mended = true;
    kit_must(test, weir_test_restart(test, poison_define));
    kit_must(test, weir_test_run(test));
    assert_int_equal(weir_test_rejects(test), 0);
    weir_test_free(test);
}

/* A run over 40 letters, every third of them bad still, some of them flaky, to be killed. */
static weir_test *forty_letters(bool late)
{
    static const char *const set[] = {"--on-error", "reject", NULL};
    weir_test_options options = {.epoch_records = 3, .set = set, .decide_late = late};
    weir_test *test = test_with(&options);
    for (int i = 0; i < 40; i++) {
        const char *value = i % 3 == 0 ? "number x" : i % 10 == 1 ? "flaky 7" : "bad";
        weir_test_text(test, "in", "k", value, i);
    }
    kit_must(test, weir_test_run(test));
    assert_int_equal(weir_test_rejects(test), 40);
    poison->mended = true;
    return test;
}

/* Killed at any point while it takes letters again: each has its effect once, in the end. */
static void a_crash_while_retrying_changes_nothing(void **state)
{
    (void)state;
    static const char *const points[] = {
        "open_after_generation", "fill_first_unit",  "fill_after_seal",   "undo_before_replay",
        "retry_after_unit",      "retry_last_unit",  "decide_after_logs", "decide_after_positions",
        "decide_before_end",     "decide_after_end", "drop_before",       "drop_after"};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        for (int count = 1; count <= 7; count += 3) {
            weir_test *test = forty_letters(count == 4);
            assert_true(weir_test_crash_at(test, points[i], count));
            weir_status status = weir_test_retry(test, NULL);
            assert_int_equal(status, weir_test_crashed(test) ? WEIR_FATAL : WEIR_OK);
            assert_true(count > 1 || weir_test_crashed(test));
            kit_must(test, weir_test_restart(test, NULL));
            kit_must(test, weir_test_run(test));
            assert_int_equal(ask(test, "SELECT count(*) FROM retry"), 0);
            assert_int_equal(weir_test_rejects(test), 14);
            assert_int_equal(count_of(test, "k"), 26);
            assert_int_equal(weir_test_count(test, "out"), 26);
            weir_test_free(test);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_takes_effect_once),
        cmocka_unit_test(letters_come_first),
        cmocka_unit_test(rejected_again),
        cmocka_unit_test(a_timer_fires_again),
        cmocka_unit_test(no_watermark_moves),
        cmocka_unit_test(a_letter_that_fails),
        cmocka_unit_test(the_node_is_gone),
        cmocka_unit_test(a_crash_while_retrying_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
