/* test_example_fraud.c: how a job is tested with the kit: examples/fraud.c, compiled into its test,
 * with crashes in the middle of the pattern. In a project of your own it is <weir_test.h>, and any
 * test framework.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/weir_test.h"

#include "examples/fraud.c"

/* A line of the input; all go to one source, in order. */
static void pay(weir_test *test, const char *line)
{
    weir_test_text(test, "payments", NULL, line, 0);
}

/* There are so many alerts, and the last one is of this card. */
static void alerts_are(weir_test *test, size_t count, const char *card)
{
    assert_int_equal(weir_test_count(test, "alerts"), count);
    if (count > 0) {
        weir_bytes key = weir_test_record(test, "alerts", count - 1)->key;
        assert_int_equal(key.size, strlen(card));
        assert_memory_equal(key.data, card, key.size);
    }
}

static void small_then_large(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(weir_define, NULL);
    pay(test, "1000,ann,50");
    pay(test, "2000,bob,60000");
    assert_int_equal(weir_test_run(test), WEIR_OK);
    alerts_are(test, 0, NULL);
    pay(test, "61000,ann,60000");
    assert_int_equal(weir_test_run(test), WEIR_OK);
    alerts_are(test, 1, "ann");
    assert_int_equal(weir_test_timers(test), 0);
    weir_test_free(test);
}

/* Records push event time on; so does weir_test_advance, without one. */
static void a_minute_is_forgotten(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(weir_define, NULL);
    pay(test, "1000,ann,50");
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(weir_test_advance(test, "payments", 61000), WEIR_OK);
    assert_non_null(weir_test_state(test, "look", weir_text("ann"), absent).data);
    pay(test, "61001,bob,100");
    pay(test, "61001,ann,60000");
    assert_int_equal(weir_test_run(test), WEIR_OK);
    alerts_are(test, 0, NULL);
    assert_null(weir_test_state(test, "look", weir_text("ann"), absent).data);
    weir_test_free(test);
}

/* Crashed before it is decided, the alert comes once; after it was decided, too. */
static void crashes(void **state)
{
    (void)state;
    static const char *const points[] = {"decide_before_end", "decide_after_end"};
    for (size_t i = 0; i < 2; i++) {
        weir_test *test = weir_test_new(weir_define, NULL);
        pay(test, "1000,ann,50");
        assert_int_equal(weir_test_run(test), WEIR_OK);
        pay(test, "2000,ann,60000");
        assert_true(weir_test_crash_at(test, points[i], 1));
        (void)weir_test_run(test);
        assert_true(weir_test_crashed(test));
        assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
        assert_int_equal(weir_test_run(test), WEIR_OK);
        alerts_are(test, 1, "ann");
        weir_test_free(test);
    }
}

/* Limits come from options, as with -D; what is refused is a dead letter with a reason. */
static void options_and_rejects(void **state)
{
    (void)state;
    static const char *const set[] = {"-D", "large=700", "-D", "small=10", NULL};
    weir_test *test = weir_test_new(weir_define, &(weir_test_options){.set = set});
    pay(test, "1000,ann,9");
    pay(test, "1000,ann,701");
    pay(test, "one payment");
    pay(test, "999,ann,9");
    assert_int_equal(weir_test_run(test), WEIR_OK);
    alerts_are(test, 1, "ann");
    assert_int_equal(weir_test_rejects(test), 2);
    assert_string_equal(weir_test_reason(test, 0), "the line is not TIME_MS,CARD,CENTS");
    assert_string_equal(weir_test_reason(test, 1), "earlier than a payment before it");
    weir_test_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_then_large),
        cmocka_unit_test(a_minute_is_forgotten),
        cmocka_unit_test(crashes),
        cmocka_unit_test(options_and_rejects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
