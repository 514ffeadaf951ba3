/* test_op_join_as_of.c: weir_join_as_of, by hand.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/shown.h"
#include "tests/lib/steps.h"

static const char *const kinds[] = {"inner", "left"};
static int64_t keep_ms;

static void define(weir_job *job)
{
    weir_stream *left, *right;
    steps_in(job, &left, &right);
    for (unsigned kind = WEIR_INNER; kind <= WEIR_LEFT; kind++) {
        steps_out(weir_join_as_of(left, kinds[kind], right, (weir_join_kind)kind, keep_ms,
                                  steps_join, (void *)(uintptr_t)kinds[kind]),
                  kinds[kind]);
    }
}

static void check(int64_t keep, const struct steps_case *cases, size_t count)
{
    keep_ms = keep;
    steps_check(define, kinds, cases, count);
}
#define CHECK(keep, cases) check(keep, cases, sizeof cases / sizeof *cases)

static void the_version_of_that_time_counts(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        /* not before the watermark has passed the left one's time */
        {"R:a=r@10 L:a=l@20 W@20", {"", ""}},
        {"R:a=r@10 L:a=l@20 W@21", {"a=l+r@20", "a=l+r@20"}},
        /* versions on the boundary, before and after it, in any order of arrival */
        {"L:a=l@20 R:a=r@20 W@30", {"a=l+r@20", "a=l+r@20"}},
        {"L:a=l@20 W@20 R:a=r@20 W@30", {"a=l+r@20", "a=l+r@20"}},
        {"L:a=l@20 R:a=r@21 W@30", {"", "a=l+.@20"}},
        {"L:a=l@20 R:a=u@30 R:a=r@10 R:a=t@21 R:a=s@19 W@30", {"a=l+s@20", "a=l+s@20"}},
        {"R:a=r@10 R:a=s@20 R:a=t@30 L:a=l@29 L:a=m@30 L:a=n@9 L:a=o@10 W@99",
         {"a=o+r@10 a=l+s@29 a=m+t@30", "a=n+.@9 a=o+r@10 a=l+s@29 a=m+t@30"}},
        /* of two versions at one time the last to come */
        {"R:a=r@10 R:a=s@10 L:a=l@10 W@30", {"a=l+s@10", "a=l+s@10"}},
        {"R:a=r@10 R:a=t@20 R:a=s@10 L:a=l@10 W@30", {"a=l+s@10", "a=l+s@10"}},
        /* tombstones are versions */
        {"R:a=r@10 R:a@20 R:a=t@30 L:a=k@19 L:a=l@20 L:a=m@30 W@99",
         {"a=k+r@19 a=m+t@30", "a=k+r@19 a=l+.@20 a=m+t@30"}},
        {"R:a@10 R:a=r@5 L:a=l@10 W@99", {"", "a=l+.@10"}},
        /* equal times by arrival, other keys, nothing */
        {"R:a=r@1 L:a=n@5 L:a=l@5 L:a=m@5 L:a=k@4 W@9",
         {"a=k+r@4 a=n+r@5 a=l+r@5 a=m+r@5", "a=k+r@4 a=n+r@5 a=l+r@5 a=m+r@5"}},
        {"R:b=r@1 L:a=l@5 W@9", {"", "a=l+.@5"}},
        {"R:a=@1 L:a=@5 R:=@1 L:=@5 D", {"=+@5 a=+@5", "=+@5 a=+@5"}},
        {"", {"", ""}},
        {"D", {"", ""}},
        /* the ends of time */
        {"R:a=r@-9223372036854775808 L:a=l@-9223372036854775808 L:a=m@9223372036854775807 D",
         {"a=l+r@-9223372036854775808 a=m+r@9223372036854775807",
          "a=l+r@-9223372036854775808 a=m+r@9223372036854775807"}},
    };
    CHECK(0, cases);
}

/* A late left record is joined at once; late right ones change what comes after them only. */
static void late_records(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        {"R:a=r@10 W@50 L:a=l@20", {"a=l+r@20", "a=l+r@20"}},
        {"R:a=r@10 L:a=l@20 W@50 R:a=s@15 L:a=m@20", {"a=l+r@20 a=m+s@20", "a=l+r@20 a=m+s@20"}},
        {"W@50 L:a=l@49 L:a=m@50 W@51", {"", "a=l+.@49 a=m+.@50"}},
    };
    CHECK(0, cases);
}

static void absent_and_rejected(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        {"L:-=l@1 L:a@1 R:-=r@1", {"!no key !no value !no key", "-=l+.@1 !no value !no key"}},
        {"R:a=!@1 L:a=l@5 L:b=m@5 L:a=n@6 R:a=r@6 W@9", {"a=n+r@6 !loud", "b=m+.@5 a=n+r@6 !loud"}},
        {"R:a=!@1 W@9 L:a=l@5 L:b=m@5", {"!loud", "b=m+.@5 !loud"}},
    };
    CHECK(0, cases);
}

/* keep 100: nothing is asked for that is older than the watermark - 100. */
static void versions_are_kept_for_a_while(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        {"R:a=r@1000 W@5000 L:a=l@4900 L:a=m@4899", {"a=l+r@4900 !late", "a=l+r@4900 !late"}},
        {"W@5000 R:a=r@4900 R:a=s@4899 L:a=l@4950", {"a=l+r@4950 !late", "a=l+r@4950 !late"}},
        /* the one that held 100 ago is needed, whatever its age */
        {"R:a=q@1 R:a=r@1000 R:a=s@4950 W@5000 L:a=l@4949 L:a=m@4950",
         {"a=l+r@4949 a=m+s@4950", "a=l+r@4949 a=m+s@4950"}},
        /* a row that was removed stays so */
        {"R:a=r@1000 R:a@2000 W@5000 L:a=l@4949", {"", "a=l+.@4949"}},
        {"R:a=r@1000 R:a@2000 W@5000 R:a=s@4910 L:a=l@4909 L:a=m@4911",
         {"a=m+s@4911", "a=l+.@4909 a=m+s@4911"}},
        /* those who wait find theirs */
        {"R:a=r@4000 R:a=s@4800 L:a=l@4799 L:a=m@4800 W@9999",
         {"a=l+r@4799 a=m+s@4800", "a=l+r@4799 a=m+s@4800"}},
    };
    CHECK(100, cases);
    static const struct steps_case least[] = {
        {"R:a=r@4998 R:a=s@4999 R:a=t@5000 W@5000 L:a=l@4999 L:a=m@5000 L:a=n@4998 W@5001",
         {"a=l+s@4999 a=m+t@5000 !late", "a=l+s@4999 a=m+t@5000 !late"}},
    };
    CHECK(1, least);
}

static weir_bytes slot_of(char letter, int64_t time_ms)
{
    static unsigned char slot[9];
    uint64_t bits = (uint64_t)time_ms ^ UINT64_C(1) << 63;
    slot[0] = (unsigned char)letter;
    for (int i = 0; i < 8; i++) {
        slot[1 + i] = (unsigned char)(bits >> (56 - 8 * i));
    }
    return (weir_bytes){slot, sizeof slot};
}

static bool has(weir_test *test, char letter, int64_t time_ms)
{
    return weir_test_state(test, "left", weir_text("a"), slot_of(letter, time_ms)).data != NULL;
}

static void what_is_not_needed_goes(void **state)
{
    (void)state;
    keep_ms = 100;
    weir_test *test = weir_test_new(define, NULL);
    steps_take(test, "R:a=r@10 R:a=s@20 R:a=t@30 R:a@40 R:a=u@5 L:a=l@25");
    assert_true(has(test, 'r', 10) && has(test, 'r', 5) && has(test, 'l', 25));
    steps_take(test, "W@133"); /* what held at 33 is needed */
    assert_true(has(test, 'r', 30) && !has(test, 'l', 25));
    steps_take(test, "W@170"); /* a fourth of the time later than need be */
    assert_true(!has(test, 'r', 30) && !has(test, 'r', 10) && !has(test, 'r', 5));
    assert_false(has(test, 'r', 40)); /* no row, as if there had never been one */
    assert_null(weir_test_state(test, "left", weir_text("a"), weir_text(NULL)).data);
    assert_int_equal(weir_test_timers(test), 0);
    steps_take(test, "R:a=v@200 W@1000");
    assert_true(has(test, 'r', 200)); /* the newest stays */
    assert_int_equal(weir_test_timers(test), 0);
    weir_test_free(test);
}

/* Of many versions, those of long ago are found too, wherever they are: in the epoch at hand, in
 * the store, next to each other or far apart. */
static void one_of_many_versions(void **state)
{
    (void)state;
    enum { VERSIONS = 60, WORDS = 80 };
    static const int64_t apart[] = {1, 10000};
    for (size_t i = 0; i < sizeof apart / sizeof *apart; i++) {
        char steps[VERSIONS * WORDS] = "", expected[VERSIONS * WORDS] = "";
        char *end = steps, *expected_end = expected;
        for (int64_t j = 0; j < VERSIONS; j++) {
            int64_t number = j * 7 % VERSIONS;
            end += sprintf(end, "R:a=%d@%lld ", (int)number, (long long)(number * apart[i]));
        }
        for (int64_t j = 0; j < VERSIONS - 1; j++) {
            int64_t number = j * 11 % (VERSIONS - 1), time_ms = (number + 1) * apart[i] - 1;
            end += sprintf(end, "L:a=%c@%lld ", 'l', (long long)time_ms);
            time_ms = (j + 1) * apart[i] - 1;
            expected_end += sprintf(expected_end, j ? " a=l+%d@%lld" : "a=l+%d@%lld", (int)j,
                                    (long long)time_ms);
        }
        sprintf(end, "D");
        const struct steps_case one = {steps, {expected, expected}};
        check(0, &one, 1);
    }
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    keep_ms = -1;
    shown_refused(define, "inner: versions cannot be kept for -1 ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_of_that_time_counts),
        cmocka_unit_test(late_records),
        cmocka_unit_test(absent_and_rejected),
        cmocka_unit_test(versions_are_kept_for_a_while),
        cmocka_unit_test(what_is_not_needed_goes),
        cmocka_unit_test(one_of_many_versions),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
