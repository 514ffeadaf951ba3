/* test_timers.c: what an operator's timers do: one per key and name, moved, cancelled, changed to
 * the other clock, in order, once, over undone epochs and crashes.
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

#include "engine/weir_test.h"
#include "txn/base/bytes.h"

static int troubles; /* so many firings fail before they do not */

/* A record's value says what to do: pairs of a time and a name, `e` before event time, `c` before a
 * delay on the clock, `x` before what is cancelled. */
static void obey(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    if (!in) {
        char text[100];
        snprintf(text, sizeof text, "%.*s.%s%.*s %lld", (int)weir_key(ctx).size,
                 (const char *)weir_key(ctx).data, weir_timer(ctx).data ? "" : "-",
                 (int)weir_timer(ctx).size, (const char *)weir_timer(ctx).data,
                 (long long)weir_time(ctx));
        weir_record out = weir_reply(ctx, weir_text(text));
        weir_emit(ctx, &out);
        if (troubles > 0) {
            troubles--;
            weir_fail(ctx, WEIR_RETRY, "trouble");
        }
        return;
    }
    char what, name[16];
    long long number;
    int taken;
    for (const char *at = in->value.data;
         at && sscanf(at, " %c%lld %15s%n", &what, &number, name, &taken) == 3; at += taken) {
        weir_bytes timer = weir_text(strcmp(name, "-") == 0 ? NULL : name);
        timer = strcmp(name, "''") == 0 ? weir_text("") : timer;
        if (what == 'c') {
            weir_wake_clock(ctx, timer, number);
        } else {
            weir_wake(ctx, timer, what == 'x' ? INT64_MAX : number);
        }
    }
}

static void define(weir_job *job)
{
    weir_into(weir_through(weir_from(job, "in", NULL), "n", obey, NULL), "out", NULL);
}

static void tell(weir_test *test, const char *key, const char *orders)
{
    char text[400]; /* its NUL belongs to the value */
    snprintf(text, sizeof text, "%s", orders);
    weir_record record = {.key = weir_text(key), .value = wr_bytes(text, strlen(text) + 1)};
    weir_test_push(test, "in", 0, &record);
    if (weir_test_run(test) != WEIR_OK) {
        fail_msg("%s", weir_test_error(test));
    }
}

static void advance(weir_test *test, int64_t time_ms)
{
    if (weir_test_advance(test, "in", time_ms) != WEIR_OK) {
        fail_msg("%s", weir_test_error(test));
    }
}

/* All that fired so far, separated by commas. */
static void fired(weir_test *test, const char *expected)
{
    char text[2000] = "";
    size_t count = weir_test_count(test, "out");
    for (size_t i = 0; i < count; i++) {
        const weir_record *record = weir_test_record(test, "out", i);
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%s%.*s", i ? ", " : "", (int)record->value.size,
                 (const char *)record->value.data);
    }
    assert_string_equal(text, expected);
}

static weir_test *test_new(void)
{
    return weir_test_new(define, NULL);
}

/* By time, then key, then name; absent names first, then empty ones. */
static void they_fire_in_order(void **state)
{
    (void)state;
    weir_test *test = test_new();
    tell(test, "b", "e20 z e10 z e10 y e10 '' e10 -");
    tell(test, "a", "e20 z e30 a");
    advance(test, 9);
    fired(test, "");
    advance(test, 25);
    fired(test, "b.- 10, b. 10, b.y 10, b.z 10, a.z 20");
    assert_int_equal(weir_test_timers(test), 1);
    weir_test_free(test);
}

/* Setting a timer again moves it; INT64_MAX cancels it; the same name of another key is another
 * timer. */
static void one_for_each_key_and_name(void **state)
{
    (void)state;
    weir_test *test = test_new();
    tell(test, "a", "e10 t e10 u e10 v");
    tell(test, "b", "e10 t");
    tell(test, "a", "e30 t x0 u e5 v x0 never");
    advance(test, 20);
    fired(test, "a.v 5, b.t 10");
    advance(test, 40);
    fired(test, "a.v 5, b.t 10, a.t 30");
    assert_int_equal(weir_test_timers(test), 0);
    weir_test_free(test);
}

/* A time that the watermark has passed is due at once, after the record. */
static void the_past_is_due_at_once(void **state)
{
    (void)state;
    weir_test *test = test_new();
    advance(test, 100);
    tell(test, "a", "e100 now e-9223372036854775808 first e101 later");
    fired(test, "a.first -9223372036854775808, a.now 100");
    weir_test_free(test);
}

/* A timer is on one clock at a time. */
static void a_timer_changes_its_clock(void **state)
{
    (void)state;
    weir_test *test = test_new();
    tell(test, "a", "e10 t c10 u");
    tell(test, "a", "c20 t e20 u");
    advance(test, 15);
    assert_int_equal(weir_test_clock(test, 15), WEIR_OK);
    fired(test, "");
    assert_int_equal(weir_test_timers(test), 2);
    advance(test, 20);
    assert_int_equal(weir_test_clock(test, 5), WEIR_OK);
    fired(test, "a.u 20, a.t 1000000020");
    weir_test_free(test);
}

/* Delays below zero are none; one beyond the end of time is that far away. */
static void odd_delays(void **state)
{
    (void)state;
    weir_test *test = test_new();
    tell(test, "a", "c-5 below c0 none c9223372036854775806 far");
    fired(test, "a.below 1000000000, a.none 1000000000");
    assert_int_equal(weir_test_timers(test), 1);
    assert_int_equal(weir_test_clock(test, INT64_C(1) << 50), WEIR_OK);
    assert_int_equal(weir_test_timers(test), 1);
    weir_test_free(test);
}

/* Timers survive a crash; what became due meanwhile fires at the start. */
static void they_survive_a_crash(void **state)
{
    (void)state;
    weir_test *test = test_new();
    tell(test, "a", "e10 t c10 u e30 v");
    weir_test_crash(test);
    assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
    assert_int_equal(weir_test_clock(test, 10), WEIR_OK);
    fired(test, "a.u 1000000010");
    advance(test, 20);
    weir_test_crash(test);
    assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
    tell(test, "a", "e25 w x0 v");
    advance(test, 40);
    fired(test, "a.u 1000000010, a.t 10, a.w 25");
    weir_test_free(test);
}

/* Taken up again after the crash that was armed, if it came. */
static void mend(weir_test *test, weir_status status)
{
    if (status != WEIR_OK) {
        assert_true(weir_test_crashed(test));
        assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
    }
}

/* A firing that is undone or cut off fires again, and once. Every fault point is tried. */
static void an_undone_firing_fires_again_once(void **state)
{
    (void)state;
    for (int number = 0; weir_test_fault(number); number++) {
        weir_test_options options = {.epoch_records = 1 + number % 3, .decide_late = number % 2};
        weir_test *test = weir_test_new(define, &options);
        tell(test, "a", "e10 t e20 t2 e30 t3 c5 u");
        troubles = number % 4;
        weir_test_crash_at(test, weir_test_fault(number), 2);
        mend(test, weir_test_advance(test, "in", 30));
        mend(test, weir_test_advance(test, "in", 30));
        fired(test, "a.t 10, a.t2 20, a.t3 30");
        mend(test, weir_test_clock(test, 5));
        assert_int_equal(weir_test_clock(test, 0), WEIR_OK);
        fired(test, "a.t 10, a.t2 20, a.t3 30, a.u 1000000005");
        assert_int_equal(weir_test_timers(test), 0);
        weir_test_free(test);
    }
}

/* A timer that is set and cancelled, or moved, in an epoch that is then undone, is as it was. */
static void setting_is_undone_too(void **state)
{
    (void)state;
    weir_test_options options = {.epoch_records = 1000};
    weir_test *test = weir_test_new(define, &options);
    tell(test, "a", "e10 t e20 u");
    troubles = 1;
    weir_record record = {.key = weir_text("a"), .value = wr_bytes("e50 t x0 u e1 v", 16)};
    weir_test_push(test, "in", 0, &record); /* sets them, then v fails, and all is done again */
    record.time_ms = 5;
    record.value = wr_bytes("e40 u", 6);
    weir_test_push(test, "in", 0, &record);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(troubles, 0);
    fired(test, "a.v 1");
    advance(test, 100);
    fired(test, "a.v 1, a.u 40, a.t 50");
    weir_test_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_fire_in_order),
        cmocka_unit_test(one_for_each_key_and_name),
        cmocka_unit_test(the_past_is_due_at_once),
        cmocka_unit_test(a_timer_changes_its_clock),
        cmocka_unit_test(odd_delays),
        cmocka_unit_test(they_survive_a_crash),
        cmocka_unit_test(an_undone_firing_fires_again_once),
        cmocka_unit_test(setting_is_undone_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
