/* test_op_join_streams.c: weir_join_streams, by hand: each line what its header says.
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

#include "tests/lib/shown.h"
#include "tests/lib/steps.h"

static const char *const kinds[] = {"inner", "left", "outer"};

static struct {
    weir_span span;
    bool itself; /* the left input is both */
    unsigned wrong; /* more than the kind that is meant */
} now;

static void define(weir_job *job)
{
    weir_stream *left, *right;
    steps_in(job, &left, &right);
    for (unsigned kind = WEIR_INNER; kind <= WEIR_OUTER; kind++) {
        const char *name = kinds[kind];
        steps_out(weir_join_streams(left, name, now.itself ? left : right,
                                    (weir_join_kind)(kind + now.wrong), now.span, steps_join,
                                    (void *)(uintptr_t)name),
                  name);
    }
}

static void check(weir_span span, const struct steps_case *cases, size_t count)
{
    now.span = span;
    steps_check(define, kinds, cases, count);
}
#define CHECK(before, after, grace, cases)                                                         \
    check((weir_span){before, after, grace}, cases, sizeof cases / sizeof *cases)

/* right.time in [left.time - 10, left.time + 20], no grace. */
static void pairs_are_those_in_the_span(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        /* the ends are in, what is beyond is not */
        {"L:a=l@100 R:a=r@90 R:a=s@89 D", {"a=l+r@100", "a=l+r@100", "a=l+r@100 a=.+s@89"}},
        {"L:a=l@100 R:a=r@120 R:a=s@121 D", {"a=l+r@120", "a=l+r@120", "a=l+r@120 a=.+s@121"}},
        {"R:a=r@90 R:a=s@89 L:a=l@100 D", {"a=l+r@100", "a=l+r@100", "a=l+r@100 a=.+s@89"}},
        {"R:a=r@120 R:a=s@121 L:a=l@100 D", {"a=l+r@120", "a=l+r@120", "a=l+r@120 a=.+s@121"}},
        /* equal times; several on both sides; each pair once, by time, then as they came */
        {"L:a=l@5 R:a=r@5 D", {"a=l+r@5", "a=l+r@5", "a=l+r@5"}},
        {"L:a=l@5 L:a=m@5 R:a=r@5 R:a=s@5",
         {"a=l+r@5 a=m+r@5 a=l+s@5 a=m+s@5", "a=l+r@5 a=m+r@5 a=l+s@5 a=m+s@5",
          "a=l+r@5 a=m+r@5 a=l+s@5 a=m+s@5"}},
        {"L:a=n@7 L:a=m@6 L:a=l@5 R:a=r@8 D",
         {"a=l+r@8 a=m+r@8 a=n+r@8", "a=l+r@8 a=m+r@8 a=n+r@8", "a=l+r@8 a=m+r@8 a=n+r@8"}},
        /* other keys, empty keys and values */
        {"L:a=l@5 R:b=r@5 D", {"", "a=l+.@5", "b=.+r@5 a=l+.@5"}},
        {"L:=@5 R:=@6 D", {"=+@6", "=+@6", "=+@6"}},
        /* empty sides */
        {"D", {"", "", ""}},
        {"L:a=l@5 L:a=m@6 D", {"", "a=l+.@5 a=m+.@6", "a=l+.@5 a=m+.@6"}},
        {"R:a=r@5 D", {"", "", "a=.+r@5"}},
        /* the ends of time */
        {"L:a=l@-9223372036854775808 R:a=r@-9223372036854775808 D",
         {"a=l+r@-9223372036854775808", "a=l+r@-9223372036854775808",
          "a=l+r@-9223372036854775808"}},
        {"L:a=l@9223372036854775807 R:a=r@9223372036854775807 L:b=l@9223372036854775806 D",
         {"a=l+r@9223372036854775807", "a=l+r@9223372036854775807 b=l+.@9223372036854775806",
          "a=l+r@9223372036854775807 b=l+.@9223372036854775806"}},
        /* below 1970 */
        {"L:a=l@-5 R:a=r@-15 R:a=s@-16 D", {"a=l+r@-5", "a=l+r@-5", "a=l+r@-5 a=.+s@-16"}},
    };
    CHECK(10, 20, 0, cases);
}

/* A left record is kept while the watermark is at most its time + 20, a right one + 10. */
static void what_can_meet_no_pair_ends_alone(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        /* the last moment of a left record, and the first without it */
        {"L:a=l@100 W@120 R:a=r@120", {"a=l+r@120", "a=l+r@120", "a=l+r@120"}},
        {"L:a=l@100 W@121 R:a=r@120", {"", "a=l+.@100", "a=l+.@100"}},
        {"L:a=l@100 W@121 R:a=r@120 W@131", {"", "a=l+.@100", "a=l+.@100 a=.+r@120"}},
        /* and of a right one */
        {"R:a=r@100 W@110 L:a=l@110", {"a=l+r@110", "a=l+r@110", "a=l+r@110"}},
        {"R:a=r@100 W@111 L:a=l@110 W@131", {"", "a=l+.@110", "a=.+r@100 a=l+.@110"}},
        /* in the order of the times at which they cease to be kept, whatever their key */
        {"L:b=m@102 L:c=n@101 L:a=l@101 R:d=r@111 W@200",
         {"", "a=l+.@101 c=n+.@101 b=m+.@102", "a=l+.@101 c=n+.@101 d=.+r@111 b=m+.@102"}},
        /* a pair is no longer alone, whichever side came first */
        {"L:a=l@100 R:a=r@105 W@200", {"a=l+r@105", "a=l+r@105", "a=l+r@105"}},
        {"L:a=l@100 R:a=r@105 L:a=m@300 W@330",
         {"a=l+r@105", "a=l+r@105 a=m+.@300", "a=l+r@105 a=m+.@300"}},
        /* late, but what it can meet is kept: joined, and kept no more */
        {"R:a=r@100 W@105 L:a=l@84 W@200", {"a=l+r@100", "a=l+r@100", "a=l+r@100"}},
        {"L:a=l@100 W@115 R:a=r@90 W@200", {"a=l+r@100", "a=l+r@100", "a=l+r@100"}},
        /* late, with nothing that may come any more: alone at once */
        {"W@105 L:a=l@84 W@106", {"", "a=l+.@84", "a=l+.@84"}},
        /* the last time that is not too late, of both sides: 105 - 30 */
        {"W@105 L:a=l@75 R:a=r@75", {"", "a=l+.@75", "a=l+.@75 a=.+r@75"}},
        {"W@105 L:a=l@74 R:a=r@74", {"!late !late", "!late !late", "!late !late"}},
    };
    CHECK(10, 20, 0, cases);
}

static void grace_keeps_longer(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        {"L:a=l@100 W@125 R:a=r@120", {"a=l+r@120", "a=l+r@120", "a=l+r@120"}},
        {"L:a=l@100 W@126 R:a=r@120 W@136", {"", "a=l+.@100", "a=l+.@100 a=.+r@120"}},
        {"W@105 L:a=l@70", {"", "a=l+.@70", "a=l+.@70"}},
        {"W@105 L:a=l@69", {"!late", "!late", "!late"}},
    };
    CHECK(10, 20, 5, cases);
}

static void a_span_of_nothing_joins_equal_times(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        {"L:a=l@5 R:a=r@5 R:a=s@6 R:a=t@4 D", {"a=l+r@5", "a=l+r@5", "a=l+r@5 a=.+t@4 a=.+s@6"}},
        {"L:a=l@5 W@5 R:a=r@5 D", {"a=l+r@5", "a=l+r@5", "a=l+r@5"}},
        {"L:a=l@5 W@6 R:a=r@5 D", {"!late", "a=l+.@5 !late", "a=l+.@5 !late"}},
    };
    CHECK(0, 0, 0, cases);
}

/* right.time in [left.time + 5, left.time + 10]: later, and only later. */
static void bounds_may_be_negative(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        {"L:a=l@100 R:a=q@104 R:a=r@105 R:a=s@110 R:a=t@111 D",
         {"a=l+r@105 a=l+s@110", "a=l+r@105 a=l+s@110", "a=l+r@105 a=l+s@110 a=.+q@104 a=.+t@111"}},
        {"R:a=q@104 R:a=r@105 R:a=s@110 R:a=t@111 L:a=l@100 D",
         {"a=l+r@105 a=l+s@110", "a=l+r@105 a=l+s@110", "a=l+r@105 a=l+s@110 a=.+q@104 a=.+t@111"}},
        /* a right record is kept while the watermark is at most its time - 5 */
        {"R:a=r@105 W@100 L:a=l@100", {"a=l+r@105", "a=l+r@105", "a=l+r@105"}},
        {"R:a=r@105 W@101 L:a=l@100 D", {"", "a=l+.@100", "a=.+r@105 a=l+.@100"}},
        /* a left one may be late and still meet what comes on time */
        {"W@110 L:a=l@100 R:a=r@110", {"a=l+r@110", "a=l+r@110", "a=l+r@110"}},
        {"W@110 L:a=l@99", {"!late", "!late", "!late"}},
        {"W@110 R:a=r@105", {"", "", "a=.+r@105"}},
        {"W@110 R:a=r@104", {"!late", "!late", "!late"}},
    };
    CHECK(-5, 10, 0, cases);
    static const struct steps_case mirrored[] = {
        {"L:a=l@100 R:a=q@96 R:a=r@95 R:a=s@90 R:a=t@89 D",
         {"a=l+r@100 a=l+s@100", "a=l+r@100 a=l+s@100", "a=l+r@100 a=l+s@100 a=.+t@89 a=.+q@96"}},
    };
    CHECK(10, -5, 0, mirrored);
}

static void absent_keys_and_values(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        {"L:-=l@5 R:-=r@5", {"!no key !no key", "-=l+.@5 !no key", "-=l+.@5 -=.+r@5"}},
        {"L:a@5 R:a@5 L:-@5",
         {"!no value !no value !no value", "!no value !no value !no value",
          "!no value !no value !no value"}},
        {"W@100 L:-=l@5", {"!no key", "-=l+.@5", "-=l+.@5"}},
    };
    CHECK(10, 10, 0, cases);
}

/* The joiner rejects the record that came; one that waited, with its timer, and no other. */
static void the_joiner_may_reject(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        {"L:a=l@5 R:a=!@5 R:a=r@6 D", {"a=l+r@6 !loud", "a=l+r@6 !loud", "a=l+r@6 !loud"}},
        {"L:a=!@5 L:a=l@6 D", {"", "a=l+.@6 !loud", "a=l+.@6 !loud"}},
        {"W@26 L:a=!@5 D", {"!late", "!late", "!late"}},
        {"W@25 L:a=!@5 D", {"", "!loud", "!loud"}},
    };
    CHECK(10, 10, 0, cases);
}

static weir_bytes join_all(weir_ctx *ctx, const weir_record *left, const weir_record *right,
                           void *arg)
{
    (void)ctx, (void)arg;
    return left ? left->value : right->value;
}

static void define_mended(weir_job *job)
{
    weir_stream *left, *right;
    steps_in(job, &left, &right);
    for (unsigned kind = WEIR_INNER; kind <= WEIR_OUTER; kind++) {
        steps_out(weir_join_streams(left, kinds[kind], right, (weir_join_kind)kind, now.span,
                                    join_all, NULL),
                  kinds[kind]);
    }
}

/* A record that was rejected when it ended alone is still there when that is taken again, however
 * late; then nothing of it is left. */
static void what_was_rejected_may_be_taken_again(void **state)
{
    (void)state;
    now.span = (weir_span){10, 10, 0};
    weir_test *test = weir_test_new(define, NULL);
    steps_take(test, "R:a=!@4 L:a=!@100 W@5000 L:a=k@5000 W@6000");
    assert_int_equal(weir_test_rejects(test), 3); /* left: one; outer: both */
    assert_int_equal(weir_test_restart(test, define_mended), WEIR_OK);
    assert_int_equal(weir_test_retry(test, NULL), WEIR_OK);
    assert_int_equal(weir_test_rejects(test), 0);
    assert_int_equal(weir_test_timers(test), 0);
    for (int i = 0; i < 3; i++) {
        assert_null(weir_test_state(test, kinds[i], weir_text("a"), weir_text(NULL)).data);
    }
    char *answer = steps_answer(test, "outer");
    assert_string_equal(answer, "a=k+.@5000 a=!@4 a=!@100");
    free(answer);
    weir_test_free(test);
}

static void a_stream_may_join_itself(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        {"L:a=l@100 L:a=m@110 L:a=n@111", {"a=l+l@100 a=m+l@110 a=m+m@110 a=n+m@111 a=n+n@111"}},
    };
    now.itself = true;
    CHECK(10, 0, 0, cases);
    now.itself = false;
}

/* What is not kept any longer is not there either, nor a timer for it. */
static void nothing_is_left_behind(void **state)
{
    (void)state;
    weir_bytes a = weir_text("a"), none = {NULL, 0};
    now.span = (weir_span){10, 20, 5};
    weir_test *test = weir_test_new(define, NULL);
    steps_take(test, "L:a=l@100 R:a=r@100 L:a=m@103 R:b=s@104 L:c=t@50");
    assert_true(weir_test_timers(test) > 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(weir_test_state(test, kinds[i], a, none).size, 24);
    }
    steps_take(test, "W@150"); /* half the span later than the last one is not kept */
    assert_int_equal(weir_test_timers(test), 0);
    for (int i = 0; i < 3; i++) {
        assert_null(weir_test_state(test, kinds[i], a, none).data);
    }
    weir_test_free(test);
}

/* Where no watermark ends them, buckets are not as many as times; all pairs are found, and all of
 * it goes in the end. */
static void many_times_without_a_watermark(void **state)
{
    (void)state;
    enum { TIMES = 1000 };
    weir_bytes a = weir_text("a"), none = {NULL, 0};
    now.span = (weir_span){0, 0, 0};
    weir_test *test = weir_test_new(define, NULL);
    char *expected = calloc(TIMES, 16), *end = expected;
    assert_non_null(expected);
    for (int64_t i = 0; i < TIMES; i++) {
        steps_push(test, false, a, weir_text("l"), i * 7 % TIMES - TIMES / 2);
    }
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_true(weir_test_state(test, "inner", a, none).size < TIMES * 24 / 2);
    for (int64_t i = 0; i < TIMES; i++) {
        int64_t time_ms = TIMES / 2 - 1 - i;
        steps_push(test, true, a, weir_text("r"), time_ms);
        end += sprintf(end, i ? " a=l+r@%d" : "a=l+r@%d", (int)time_ms);
    }
    assert_int_equal(weir_test_drain(test), WEIR_OK);
    for (int i = 0; i < 3; i++) {
        char *answer = steps_answer(test, kinds[i]);
        assert_string_equal(answer, expected);
        free(answer);
        assert_null(weir_test_state(test, kinds[i], a, none).data);
    }
    assert_int_equal(weir_test_timers(test), 0);
    free(expected);
    weir_test_free(test);
}

static void refused(weir_span span, const char *why)
{
    now.span = span;
    shown_refused(define, why);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    refused((weir_span){10, -11, 0}, "inner: no span from 10 ms before to -11 ms after");
    refused((weir_span){10, 10, -1}, "-1 ms of grace");
    refused((weir_span){INT64_MAX, 1, 0}, "inner: no span");
    refused((weir_span){INT64_MIN, 1, 0}, "inner: no span");
    now.wrong = 3;
    refused((weir_span){1, 1, 0}, "inner: no such kind of join");
    now.wrong = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_those_in_the_span),
        cmocka_unit_test(what_can_meet_no_pair_ends_alone),
        cmocka_unit_test(grace_keeps_longer),
        cmocka_unit_test(a_span_of_nothing_joins_equal_times),
        cmocka_unit_test(bounds_may_be_negative),
        cmocka_unit_test(absent_keys_and_values),
        cmocka_unit_test(the_joiner_may_reject),
        cmocka_unit_test(what_was_rejected_may_be_taken_again),
        cmocka_unit_test(a_stream_may_join_itself),
        cmocka_unit_test(nothing_is_left_behind),
        cmocka_unit_test(many_times_without_a_watermark),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
