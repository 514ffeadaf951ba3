/* test_op_table.c: weir_table: the last value of each key, and the changes it emits.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <weir_ops.h>

#include "tests/lib/shown.h"

static void define(weir_job *job)
{
    shown_out(weir_table(shown_in(job, 100), "table"));
}

static void the_last_value_of_each_key_by_arrival_is_its_row(void **state)
{
    (void)state;
    shown_check(define, "k a @5\nj b @6\nk c @3\nk c @9\nk '' @10\nk d @11\n",
                "k ->a @5\nj ->b @6\nk a>c @3\nk c>c @9\nk c>'' @10\nk ''>d @11\n");
}

static void an_absent_value_removes_the_row_once(void **state)
{
    (void)state;
    shown_check(define, "k - @1\nk a @2\nk - @3\nk - @4\nk b @5\n",
                "k ->a @2\nk a>- @3\nk ->b @5\n");
}

static void an_absent_key_is_rejected_and_an_empty_one_is_a_key(void **state)
{
    (void)state;
    shown_check(define, "- a @1\n'' a @2\n- - @3\n'' b @4\n",
                "'' ->a @2\n'' a>b @4\n"
                "! no key: a table has one row for each key\n"
                "! no key: a table has one row for each key\n");
}

/* What a change says about its old value is another table's. */
static void a_table_of_changes_has_olds_of_its_own(void **state)
{
    (void)state;
    shown_check(define, "k a>b @1\nk x>c @2\nk c>- @3\nk a>- @4\n",
                "k ->b @1\nk b>c @2\nk c>- @3\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_value_of_each_key_by_arrival_is_its_row),
        cmocka_unit_test(an_absent_value_removes_the_row_once),
        cmocka_unit_test(an_absent_key_is_rejected_and_an_empty_one_is_a_key),
        cmocka_unit_test(a_table_of_changes_has_olds_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
