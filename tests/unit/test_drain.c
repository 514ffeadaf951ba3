/* test_drain.c: the end of time: every timer fires, none for ever.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <weir_test.h>

/* Timer `a` sets `b`, and `b` sets `a`; each firing is said. */
static void ping_pong(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    if (in) {
        weir_wake(ctx, weir_text("a"), weir_time(ctx) + 10);
        return;
    }
    bool is_a = *(const char *)weir_timer(ctx).data == 'a';
    weir_wake(ctx, weir_text(is_a ? "b" : "a"), weir_time(ctx) + 10);
    weir_record out = weir_reply(ctx, weir_timer(ctx));
    weir_emit(ctx, &out);
}

static void define(weir_job *job)
{
    weir_into(weir_through(weir_from(job, "in", NULL), "n", ping_pong, NULL), "out", NULL);
}

/* What a firing sets at the end of time is dropped: it would go on for ever. */
static void timers_that_set_each_other_end(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define, NULL);
    weir_test_text(test, "in", "x", "1", 0);
    weir_test_text(test, "in", "y", "1", 0);
    assert_int_equal(weir_test_drain(test), WEIR_OK);
    assert_int_equal(weir_test_count(test, "out"), 2);
    assert_int_equal(weir_test_timers(test), 0);
    weir_test_free(test);
}

static void without_a_drain_they_go_on_as_time_does(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define, NULL);
    weir_test_text(test, "in", "x", "1", 0);
    assert_int_equal(weir_test_advance(test, "in", 35), WEIR_OK);
    assert_int_equal(weir_test_count(test, "out"), 3); /* at 10, 20, 30 */
    assert_int_equal(weir_test_timers(test), 1);
    weir_test_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_that_set_each_other_end),
        cmocka_unit_test(without_a_drain_they_go_on_as_time_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
