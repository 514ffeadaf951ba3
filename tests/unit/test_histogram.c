/* test_histogram.c: counts of times, and the quantiles read from them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "txn/base/histogram.h"

/* Without a measurement there is nothing to divide by. */
static void nothing_measured_is_zero(void **state)
{
    (void)state;
    struct wr_histogram times = {.highest = 0};
    assert_true(wr_histogram_us(&times, 0.5) == 0);
    assert_true(wr_histogram_us(&times, 0.99) == 0);
}

/* One value at any magnitude comes back within 3.2 percent. */
static void any_value_is_near(void **state)
{
    (void)state;
    for (int64_t us = 1; us < (INT64_C(1) << 34); us += us / 7 + 1) {
        struct wr_histogram times = {.highest = 0};
        wr_histogram_add(&times, us, 1);
        double found = wr_histogram_us(&times, 0.5);
        double wrong = found > (double)us ? found - (double)us : (double)us - found;
        assert_true(wrong <= 0.032 * (double)us);
    }
}

/* What is out of range falls into the first and the last bucket, not outside. */
static void extremes_are_kept(void **state)
{
    (void)state;
    struct wr_histogram times = {.highest = 0};
    wr_histogram_add(&times, -5, 1);
    wr_histogram_add(&times, 0, 1);
    assert_true(wr_histogram_us(&times, 0.99) == 0);
    wr_histogram_add(&times, INT64_MAX, 1);
    assert_true(wr_histogram_us(&times, 0.99) > 3e10);
}

/* Of 99 fast and one slow, the median and the 99th percentile are fast, the maximum is slow. */
static void quantiles_split_where_they_say(void **state)
{
    (void)state;
    struct wr_histogram times = {.highest = 0};
    for (int i = 0; i < 99; i++) {
        wr_histogram_add(&times, 2000, 1);
    }
    wr_histogram_add(&times, 1000000, 1);
    assert_true(wr_histogram_us(&times, 0.5) < 2100);
    assert_true(wr_histogram_us(&times, 0.99) < 2100);
    assert_true(wr_histogram_us(&times, 1.0) > 960000);
    wr_histogram_add(&times, 1000000, 1);
    assert_true(wr_histogram_us(&times, 0.99) > 960000);
}

/* Many at once, and two histograms as one. */
static void counts_add_up(void **state)
{
    (void)state;
    struct wr_histogram times = {.highest = 0}, more = {.highest = 0};
    wr_histogram_add(&times, 10, 999);
    wr_histogram_add(&more, 5000, 1);
    wr_histogram_merge(&times, &more);
    assert_int_equal(wr_histogram_count(&times), 1000);
    assert_int_equal(wr_histogram_highest_us(&times), 5000);
    assert_true(wr_histogram_us(&times, 0.999) == 10);
    assert_true(wr_histogram_us(&times, 1.0) > 4800 && wr_histogram_us(&times, 1.0) <= 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_measured_is_zero),
        cmocka_unit_test(any_value_is_near),
        cmocka_unit_test(extremes_are_kept),
        cmocka_unit_test(quantiles_split_where_they_say),
        cmocka_unit_test(counts_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
