/* test_failures.c: what fails is counted by origin; with --on-error reject exactly that origin
 * becomes a dead letter, and all else takes effect.
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
#include "tests/lib/poison.h"

static const char *const rejecting[] = {"--on-error", "reject", NULL};

static weir_test *test_of(const weir_test_options *options)
{
    weir_test *test = weir_test_new(poison_define, options);
    assert_int_equal(weir_test_status(test), WEIR_OK);
    return test;
}

static void must_run(weir_test *test)
{
    if (weir_test_run(test) != WEIR_OK) {
        fail_msg("%s", weir_test_error(test));
    }
}

static int64_t count_of_k(weir_test *test)
{
    int64_t count = 0;
    weir_to_i64(weir_test_state(test, "node", weir_text("k"), weir_text("n")), &count);
    return count;
}

/* By default the fifth failure of one origin stops the run, naming it and the other way. */
static void a_poison_stops_the_run(void **state)
{
    (void)state;
    struct poison *poison = poison_begin();
    weir_test *test = test_of(NULL);
    weir_test_text(test, "in", "k", "fine", 1);
    weir_test_text(test, "in", "k", "poison", 2);
    assert_int_equal(weir_test_run(test), WEIR_FATAL);
    assert_int_equal(test->error.exit_code, WR_EXIT_DATA);
    assert_int_equal(poison->failed, 5);
    assert_non_null(strstr(weir_test_error(test), "source `in`, partition 0, offset 1 failed 5"));
    assert_non_null(strstr(weir_test_error(test), "--on-error reject"));
    assert_int_equal(weir_test_rejects(test), 0);
    weir_test_free(test);
}

/* However epochs fall, each poison is one dead letter, and every other record counts once. */
static void each_poison_is_rejected(void **state)
{
    (void)state;
    static const weir_test_options options[] = {
        {.set = rejecting},
        {.set = rejecting, .epoch_records = 1},
        {.set = rejecting, .epoch_records = 7},
        {.set = rejecting, .epoch_records = 7, .decide_late = true, .cache_bytes = -1},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct poison *poison = poison_begin();
        weir_test *test = test_of(&options[i]);
        for (int n = 0; n < 60; n++) {
            weir_test_text(test, "in", "k", n % 10 == 3 || n % 10 == 4 ? "poison" : "fine", n);
        }
        must_run(test);
        assert_int_equal(weir_test_rejects(test), 12);
        assert_int_equal(poison->failed, 12 * 5);
        assert_int_equal(count_of_k(test), 48);
        assert_int_equal(weir_test_count(test, "out"), 48);
        assert_string_equal(weir_test_reason(test, 0), "node `node`: poison as asked");
        assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
        must_run(test); /* nothing comes again */
        assert_int_equal(weir_test_rejects(test), 12);
        assert_int_equal(count_of_k(test), 48);
        weir_test_free(test);
    }
}

/* A failing timer is rejected like a record, and others of its node fire. */
static void a_failing_timer_is_rejected(void **state)
{
    (void)state;
    poison_begin();
    weir_test_options options = {.set = rejecting};
    weir_test *test = test_of(&options);
    weir_test_text(test, "in", "k", "wake poison", 1);
    weir_test_text(test, "in", "k", "wake fine", 1);
    weir_test_text(test, "in", "l", "wake poison", 1);
    weir_test_text(test, "in", "l", "wake", 1);
    weir_test_text(test, "in", "k", "on", 100);
    must_run(test);
    assert_int_equal(weir_test_rejects(test), 2);
    assert_int_equal(weir_test_timers(test), 0);
    assert_int_equal(weir_test_count(test, "out"), 3);
    weir_test_free(test);
}

/* An origin's count lasts until it has passed, whatever else fails in between. */
static void no_origin_is_forgotten(void **state)
{
    (void)state;
    struct poison *poison = poison_begin();
    weir_test_options options = {.set = rejecting};
    weir_test *test = test_of(&options);
    for (int n = 0; n < 300; n++) {
        weir_test_text(test, "in", "k", n == 150 ? "poison" : "flaky 4", n);
    }
    must_run(test);
    assert_int_equal(poison->failed, 299 * 4 + 5);
    assert_int_equal(weir_test_rejects(test), 1);
    assert_int_equal(count_of_k(test), 299);
    weir_test_free(test);
}

/* What many failures cost grows with their number, not with its square. */
static void many_poisons_cost_little(void **state)
{
    (void)state;
    struct poison *poison = poison_begin();
    weir_test_options options = {.set = rejecting};
    weir_test *test = test_of(&options);
    for (int n = 0; n < 2000; n++) {
        weir_test_text(test, "in", "k", n % 10 ? "fine" : "poison", n);
    }
    must_run(test);
    assert_int_equal(weir_test_rejects(test), 200);
    assert_in_range(poison->calls, 2000, 2000 * 8);
    weir_test_free(test);
}

/* Only a counted failure can be rejected. */
static void fatal_stops_all_the_same(void **state)
{
    (void)state;
    poison_begin();
    weir_test_options options = {.set = rejecting};
    weir_test *test = test_of(&options);
    weir_test_text(test, "in", "k", "fatal", 1);
    assert_int_equal(weir_test_run(test), WEIR_FATAL);
    assert_non_null(strstr(weir_test_error(test), "fatal as asked"));
    weir_test_free(test);
}

/* A unit that alone is over the limit of bytes is such a failure. */
static void a_unit_that_is_too_large_is_rejected(void **state)
{
    (void)state;
    poison_begin();
    weir_test_options options = {.set = rejecting};
    weir_test *test = test_of(&options);
    weir_test_text(test, "in", "k", "huge", 1);
    weir_test_text(test, "in", "k", "fine", 2);
    must_run(test);
    assert_int_equal(weir_test_rejects(test), 1);
    assert_non_null(strstr(weir_test_reason(test, 0), "over the limit of"));
    assert_int_equal(weir_test_count(test, "out"), 1);
    weir_test_free(test);
}

/* Killed while it rejects: what comes out in the end is the same. */
static void a_crash_while_rejecting_changes_nothing(void **state)
{
    (void)state;
    static const char *const points[] = {"reject_before_undo", "reject_after_unit",
                                         "undo_before_replay", "decide_after_logs",
                                         "decide_before_end",  "decide_after_end"};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        for (int count = 1; count <= 3; count++) {
            poison_begin();
            weir_test_options options = {.set = rejecting, .epoch_records = 5};
            weir_test *test = test_of(&options);
            for (int n = 0; n < 30; n++) {
                weir_test_text(test, "in", "k", n % 10 == 3 ? "poison" : "fine", n);
            }
            assert_true(weir_test_crash_at(test, points[i], count));
            assert_int_equal(weir_test_run(test), WEIR_FATAL);
            assert_true(weir_test_crashed(test));
            assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
            must_run(test);
            assert_int_equal(weir_test_rejects(test), 3);
            assert_int_equal(count_of_k(test), 27);
            assert_int_equal(weir_test_count(test, "out"), 27);
            weir_test_free(test);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poison_stops_the_run),
        cmocka_unit_test(each_poison_is_rejected),
        cmocka_unit_test(a_failing_timer_is_rejected),
        cmocka_unit_test(no_origin_is_forgotten),
        cmocka_unit_test(many_poisons_cost_little),
        cmocka_unit_test(fatal_stops_all_the_same),
        cmocka_unit_test(a_unit_that_is_too_large_is_rejected),
        cmocka_unit_test(a_crash_while_rejecting_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
