/* test_review_table.c: numbers that are one key of a table, however they are written.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <weir.h>
#include <weir_test.h>

static void define(weir_job *job)
{
    weir_into(weir_from(job, "in", NULL), "reals", "table:reals?key=real");
}

/* SQLite holds 0 and -0 for one key: the last one must win, also within an epoch, where rows are
 * applied in key order. */
static void zero_and_minus_zero_are_one_key(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define, NULL);
    weir_test_text(test, "in", "-0.0", "first", 1);
    weir_test_text(test, "in", "0", "second", 2);
    weir_test_text(test, "in", "-0", "last", 3);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    weir_bytes value = weir_test_row(test, "reals", weir_text("0.0"));
    assert_non_null(value.data);
    assert_int_equal(value.size, 4);
    assert_memory_equal(value.data, "last", 4);
    weir_test_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_and_minus_zero_are_one_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
