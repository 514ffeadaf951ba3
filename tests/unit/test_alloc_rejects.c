/* test_alloc_rejects.c: whichever allocation fails while a job rejects what fails, and while it
 * takes dead letters again, the run ends with the code that says "try again", and in the end each
 * record took effect once or is one dead letter.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/test_kit.h"
#include "tests/lib/fail_alloc.h"
#include "tests/lib/poison.h"

enum { STEP_ONE_UNTIL = 60, RECORDS = 12, DEAD = 6 };

static const char *const set[] = {"--on-error", "reject", "--rejects", "log:dead", NULL};

static int64_t next_n(int64_t n)
{
    return n < STEP_ONE_UNTIL || getenv("WEIR_LONG") ? n + 1 : n + n / 12;
}

/* Goes on after a failure, which must be one of memory. */
static void recover(weir_test *test, int64_t n)
{
    fail_alloc_off();
    if (test->error.exit_code != WR_EXIT_AGAIN) {
        fail_msg("allocation %lld: %s", (long long)n, weir_test_error(test));
    }
    assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
}

static weir_test *full_test(void)
{
    weir_test_options options = {.set = set, .epoch_records = 3};
    weir_test *test = weir_test_new(poison_define, &options);
    for (int i = 0; i < RECORDS; i++) {
        const char *value = i % 4 == 1 ? "poison" : i % 4 == 2 ? "bad" : "fine";
        weir_test_text(test, "in", "k", value, i);
    }
    return test;
}

/* The n-th allocation fails while it rejects, or (`again`) while it takes them again. */
static bool fail_nth(int64_t n, bool lasting, bool again)
{
    struct poison *poison = poison_begin();
    weir_test *test = full_test();
    if (!again) {
        fail_alloc_arm(FAIL_ALLOC_WEIR, n, lasting);
    }
    if (weir_test_run(test) != WEIR_OK) {
        recover(test, n);
        assert_int_equal(weir_test_run(test), WEIR_OK);
    }
    fail_alloc_off();
    assert_int_equal(weir_test_rejects(test), DEAD);
    assert_int_equal(weir_test_count(test, "rejects"), DEAD);
    assert_int_equal(weir_test_count(test, "out"), RECORDS - DEAD);
    poison->mended = true;
    if (again) {
        fail_alloc_arm(FAIL_ALLOC_WEIR, n, lasting);
    }
    if (weir_test_retry(test, NULL) != WEIR_OK) {
        recover(test, n);
        assert_int_equal(weir_test_retry(test, NULL), WEIR_OK);
    }
    fail_alloc_off();
    assert_int_equal(weir_test_rejects(test), 0);
    assert_int_equal(weir_test_count(test, "rejects"), DEAD);
    assert_int_equal(weir_test_count(test, "out"), RECORDS);
    bool hit = fail_alloc_hit();
    weir_test_free(test);
    return hit;
}

static void while_rejecting(void **state)
{
    (void)state;
    for (int64_t n = 1; fail_nth(n, n % 2 == 0, false); n = next_n(n)) {
    }
}

static void while_taking_them_again(void **state)
{
    (void)state;
    for (int64_t n = 1; fail_nth(n, n % 2 == 0, true); n = next_n(n)) {
    }
}

int main(void)
{
    fail_alloc_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(while_rejecting),
        cmocka_unit_test(while_taking_them_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
