/* test_op_lookup.c: weir_lookup, by hand, with a crash after each step: left records wait until the
 * table's input is read to its end, and go on in the order they came.
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

#include "tests/lib/kit.h"
#include "tests/lib/steps.h"

static weir_join_kind kind;

static void define(weir_job *job)
{
    weir_stream *left = weir_from(job, "left", NULL);
    weir_stream *table = weir_from(job, "table", NULL);
    steps_out(weir_lookup(left, "join", table, kind, steps_join, NULL), "join");
}

static void answers(weir_test *test, const char *expected)
{
    char *answer = steps_answer(test, "join");
    assert_string_equal(answer, expected);
    free(answer);
}

static void restart(weir_test *test, bool crash)
{
    if (crash) {
        weir_test_crash(test);
        kit_must(test, weir_test_restart(test, NULL));
    }
}

/* Keys in another order than they came; one record with headers, an absent key and an old value. */
static void push_left(weir_test *test, bool crash)
{
    static const char *const lines[][2] = {{"b", "1"}, {"a", "2"}, {"c", "3"}, {"b", "4"}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        weir_test_text(test, "left", lines[i][0], lines[i][1], 10 * (int64_t)i);
        kit_must(test, weir_test_run(test));
        restart(test, crash);
    }
    const weir_header headers[] = {{"one", {"1", 1}}, {"none", {NULL, 0}}, {"empty", {"", 0}}};
    weir_record record = {
        .key = {"a", 1}, .value = {"", 0}, .time_ms = -7, .headers = headers, .header_count = 3};
    weir_test_push(test, "left", 0, &record);
    kit_must(test, weir_test_run(test));
    restart(test, crash);
}

static void left_records_wait_for_the_tables_end(void **state)
{
    (void)state;
    kind = WEIR_LEFT;
    for (int crash = 0; crash < 2; crash++) {
        weir_test_options options = {.epoch_records = 1, .cache_bytes = crash ? -1 : 0};
        weir_test *test = weir_test_new(define, &options);
        push_left(test, crash);
        weir_test_text(test, "table", "a", "x", 5);
        weir_test_text(test, "table", "b", "y", 6);
        weir_test_text(test, "table", "a", "z", 4);
        kit_must(test, weir_test_run(test));
        restart(test, crash);
        answers(test, "");
        kit_must(test, weir_test_end(test, "table"));
        restart(test, crash);
        kit_must(test, weir_test_run(test));
        const char *waited = "b=1+y@0 a=2+z@10 c=3+.@20 b=4+y@30 a=+z@-7";
        answers(test, waited);
        const weir_record *last = weir_test_record(test, "out.join", 4);
        assert_int_equal(last->header_count, 3);
        assert_string_equal(last->headers[0].name, "one");
        assert_memory_equal(last->headers[0].value.data, "1", 1);
        assert_null(last->headers[1].value.data);
        assert_non_null(last->headers[2].value.data);
        assert_int_equal(weir_test_timers(test), 0);

        /* from then on they go through as they come */
        weir_test_text(test, "left", "a", "5", 50);
        weir_test_text(test, "left", NULL, "6", 1);
        kit_must(test, weir_test_run(test));
        restart(test, crash);
        char expected[200];
        snprintf(expected, sizeof expected, "%s a=5+z@50 -=6+.@1", waited);
        answers(test, expected);
        weir_test_free(test);
    }
}

static void an_empty_table_ends_too(void **state)
{
    (void)state;
    kind = WEIR_INNER;
    weir_test *test = weir_test_new(define, NULL);
    weir_test_text(test, "left", "a", "1", 1);
    weir_test_text(test, "left", NULL, "2", 2);
    weir_test_text(test, "left", "a", NULL, 3);
    kit_must(test, weir_test_run(test));
    answers(test, "");
    kit_must(test, weir_test_end(test, "table"));
    answers(test, "!no key !no value");
    weir_test_free(test);
}

static void nothing_waits_for_a_table_that_was_there_first(void **state)
{
    (void)state;
    kind = WEIR_INNER;
    weir_test *test = weir_test_new(define, NULL);
    weir_test_text(test, "table", "a", "x", 1);
    kit_must(test, weir_test_end(test, "table"));
    weir_test_text(test, "left", "a", "1", 2); /* the first one: its time is not known before it */
    weir_test_text(test, "left", "a", "2", 2);
    kit_must(test, weir_test_run(test));
    answers(test, "a=1+x@2 a=2+x@2");
    weir_test_free(test);
}

/* At the end of time nothing can come any more, from the table neither. */
static void a_drain_lets_all_go(void **state)
{
    (void)state;
    kind = WEIR_LEFT;
    weir_test *test = weir_test_new(define, NULL);
    weir_test_text(test, "left", "b", "1", 1);
    weir_test_text(test, "left", "a", "2", 1);
    kit_must(test, weir_test_run(test));
    kit_must(test, weir_test_drain(test));
    answers(test, "b=1+.@1 a=2+.@1");
    weir_test_free(test);
}

static void what_is_pushed_to_an_ended_source_is_a_mistake(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define, NULL);
    kit_must(test, weir_test_end(test, "table"));
    weir_test_text(test, "table", "a", "1", 1);
    assert_int_equal(weir_test_status(test), WEIR_MISUSE);
    assert_non_null(strstr(weir_test_error(test), "`table` was ended"));
    weir_test_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(left_records_wait_for_the_tables_end),
        cmocka_unit_test(an_empty_table_ends_too),
        cmocka_unit_test(nothing_waits_for_a_table_that_was_there_first),
        cmocka_unit_test(a_drain_lets_all_go),
        cmocka_unit_test(what_is_pushed_to_an_ended_source_is_a_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
