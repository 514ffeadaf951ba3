/* test_store_rejects.c: choosing dead letters, queueing and deleting them, in one transaction.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/test_kit.h"
#include "tests/lib/poison.h"
#include "txn/store_rejects.h"

/* Dead letters 1 to 6: offsets 0 to 5; the even ids are the table's, the others the node's. */
static weir_test *six_letters(void)
{
    poison_begin();
    weir_test *test = weir_test_new(poison_define, NULL);
    for (int i = 0; i < 6; i++) {
        weir_test_text(test, "in", "k", i % 2 ? "number x" : "bad", i);
    }
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(weir_test_rejects(test), 6);
    return test;
}

static struct wr_reject_counts act(weir_test *test, const struct wr_reject_filter *filter,
                                   enum wr_reject_act what)
{
    struct wr_reject_counts counts;
    if (wr_store_rejects(test->instance.store, filter, what, &counts, &test->error) != WEIR_OK) {
        fail_msg("%s", weir_test_error(test));
    }
    return counts;
}

static void counts_are(struct wr_reject_counts counts, int64_t matched, int64_t queued,
                       int64_t changed)
{
    assert_int_equal(counts.matched, matched);
    assert_int_equal(counts.queued, queued);
    assert_int_equal(counts.changed, changed);
    assert_int_equal(counts.cut, 0);
}

/* Each part of the filter narrows it; all of them together too. */
static void filters_choose(void **state)
{
    (void)state;
    weir_test *test = six_letters();
    struct wr_reject_filter filter;
    wr_reject_filter_init(&filter);
    filter.node = "numbers";
    counts_are(act(test, &filter, WR_REJECTS_RETRY), 3, 0, 3);
    filter.number = 2;
    counts_are(act(test, &filter, WR_REJECTS_KEEP), 2, 2, 2);
    filter.source = "nowhere";
    counts_are(act(test, &filter, WR_REJECTS_RETRY), 0, 0, 0);
    filter.source = "in";
    filter.first = 5;
    counts_are(act(test, &filter, WR_REJECTS_RETRY), 1, 1, 0);
    wr_reject_filter_init(&filter);
    filter.reason = "as asked";
    filter.last = 3;
    counts_are(act(test, &filter, WR_REJECTS_RETRY), 2, 0, 2);
    wr_reject_filter_init(&filter);
    counts_are(act(test, &filter, WR_REJECTS_KEEP), 6, 3, 3);
    weir_test_free(test);
}

/* What is deleted leaves the queue too, so the next run has nothing to miss. */
static void deleting_takes_off_the_queue(void **state)
{
    (void)state;
    weir_test *test = six_letters();
    struct wr_reject_filter filter;
    wr_reject_filter_init(&filter);
    counts_are(act(test, &filter, WR_REJECTS_RETRY), 6, 0, 6);
    filter.node = "node";
    counts_are(act(test, &filter, WR_REJECTS_DELETE), 3, 3, 3);
    assert_int_equal(weir_test_rejects(test), 3);
    assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
    assert_int_equal(test->instance.retry.queued, 3);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(weir_test_rejects(test), 3); /* refused again */
    weir_test_free(test);
}

/* A store that somebody else has opened since is left alone. */
static void who_was_overtaken_changes_nothing(void **state)
{
    (void)state;
    weir_test *test = six_letters();
    struct wr_reject_filter filter;
    struct wr_reject_counts counts;
    wr_reject_filter_init(&filter);
    struct wr_store_info *info =
        (struct wr_store_info *)(uintptr_t)wr_store_info(test->instance.store);
    info->generation--;
    assert_int_equal(
        wr_store_rejects(test->instance.store, &filter, WR_REJECTS_DELETE, &counts, &test->error),
        WEIR_FATAL);
    assert_int_equal(test->error.exit_code, WR_EXIT_AGAIN);
    assert_int_equal(weir_test_rejects(test), 6);
    weir_test_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_choose),
        cmocka_unit_test(deleting_takes_off_the_queue),
        cmocka_unit_test(who_was_overtaken_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
