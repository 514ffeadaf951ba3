/* test_op_count_window.c: count windows, as Flink's countWindow.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/window_job.h"

struct count_case {
    const char *what;
    int64_t size, advance;
    const char *records, *expected;
};

static const struct count_case cases[] = {
    {"full windows, one after the other", 3, 3, "a 1 p; a 2 q; a 3 r; a 4 s; a 5 t; a 6 u; a 7 v",
     "a 1..3 pqr at 3; a 4..6 stu at 6; "},
    {"of one record", 1, 1, "a 1 p; a 2 q", "a 1..1 p at 1; a 2..2 q at 2; "},
    {"that overlap: the first ones have fewer", 4, 2,
     "a 1 p; a 2 q; a 3 r; a 4 s; a 5 t; a 6 u; a 7 v",
     "a 1..2 pq at 2; a 1..4 pqrs at 4; a 3..6 rstu at 6; "},
    {"with each record", 3, 1, "a 1 p; a 2 q; a 3 r; a 4 s",
     "a 1..1 p at 1; a 1..2 pq at 2; a 1..3 pqr at 3; a 2..4 qrs at 4; "},
    {"with gaps between them", 2, 3, "a 1 p; a 2 q; a 3 r; a 4 s; a 5 t; a 6 u",
     "a 2..3 qr at 3; a 5..6 tu at 6; "},
    {"keys count for themselves", 2, 2, "a 1 p; b 2 q; b 3 r; a 4 s",
     "b 2..3 qr at 3; a 1..4 ps at 4; "},
    {"in the order they come, never late", 2, 2, "a 9 p; b 50 x; a 3 q", "a 9..3 pq at 3; "},
    {"what is in no window", 2, 2, "- 1 x; a 1 -",
     "rejected no key: windows are by key; rejected no value: a window has nothing to add; "},
};

static void windows_have_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        const struct count_case *at = &cases[i / 2];
        struct window_job job = {weir_count_windows(at->size, at->advance), window_job_letters(),
                                 0};
        job.windows.emit = i % 2 ? WEIR_EMIT_CLOSED : WEIR_EMIT_UPDATES; /* is the same */
        window_job_gives(at->what, &job, at->records, true, at->expected);
    }
}

static void ids_count_once_in_each_window(void **state)
{
    (void)state;
    struct window_job job = {weir_count_windows(3, 3), weir_count_distinct(NULL, NULL), 0};
    window_job_gives("ids", &job, "a 1 x; a 2 x; a 3 y; a 4 x; a 5 x; a 6 x", true,
                     "a 1..3 2 at 3; a 4..6 1 at 6; ");
}

/* The one that cannot be added, not the one that fills the window. */
static void what_has_no_number_is_rejected_itself(void **state)
{
    (void)state;
    for (int64_t advance = 1; advance <= 2; advance++) {
        struct window_job job = {weir_count_windows(2, advance), weir_sum(NULL, NULL), 0};
        char *found = window_job_run(&job, "a 1 1; a 2 x; a 3 2", true);
        const char *expected =
            advance == 1 ? "a 1..1 1 at 1; a 1..3 3 at 3; rejected " : "a 1..3 3 at 3; rejected ";
        assert_memory_equal(found, expected, strlen(expected));
        assert_null(strstr(strstr(found, "rejected") + 1, "rejected"));
        free(found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_have_what_the_table_says),
        cmocka_unit_test(ids_count_once_in_each_window),
        cmocka_unit_test(what_has_no_number_is_rejected_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
