/* test_op_sliding.c: sliding windows, as Kafka Streams' SlidingWindows.
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

enum { DRAIN = 1, UPDATES = 2 };

struct slide_case {
    const char *what;
    int64_t difference_ms, grace_ms, out_of_order_ms;
    unsigned how;
    const char *records, *expected;
};

static const struct slide_case cases[] = {
    {"the example of Kafka's own documentation", 5000, 0, 0, DRAIN, "a 8000 A; a 9200 B; a 12400 C",
     "a 3000..8001 A at 8000; a 4200..9201 AB at 9200; a 7400..12401 ABC at 12400; "
     "a 8001..13002 BC at 13001; a 9201..14202 C at 14201; "},
    {"the same, out of order", 5000, 0, 9000, DRAIN, "a 12400 C; a 8000 A; a 9200 B",
     "a 3000..8001 A at 8000; a 4200..9201 AB at 9200; a 7400..12401 CAB at 12400; "
     "a 8001..13002 CB at 13001; a 9201..14202 C at 14201; "},
    {"equal times have the same windows", 10, 0, 0, DRAIN, "a 20 x; a 20 y", "a 10..21 xy at 20; "},
    {"as far apart as may be", 10, 0, 0, DRAIN, "a 20 x; a 30 y",
     "a 10..21 x at 20; a 20..31 xy at 30; a 21..32 y at 31; "},
    {"too far apart: the right window is the other's left one", 10, 0, 0, DRAIN, "a 20 x; a 31 y",
     "a 10..21 x at 20; a 21..32 y at 31; "},
    {"a right window of nothing is not there", 10, 0, 0, DRAIN, "a 20 x; a 32 y",
     "a 10..21 x at 20; a 22..33 y at 32; "},
    {"out of order", 10, 0, 50, DRAIN, "a 20 x; a 15 y",
     "a 5..16 y at 15; a 10..21 xy at 20; a 16..27 x at 26; "},
    {"between two", 10, 0, 50, DRAIN, "a 20 x; a 26 y; a 23 z",
     "a 10..21 x at 20; a 13..24 xz at 23; a 16..27 xyz at 26; a 21..32 yz at 31; "
     "a 24..35 y at 34; "},
    {"a difference of 0", 0, 0, 0, DRAIN, "a 5 x; a 5 y; a 6 z", "a 5..6 xy at 5; a 6..7 z at 6; "},
    {"early ones share the window from 0", 10, 0, 0, DRAIN, "a 3 x; a 7 y",
     "a 0..11 xy at 10; a 4..15 y at 14; "},
    {"an early one out of order", 10, 0, 50, DRAIN, "a 7 y; a 3 x",
     "a 0..11 yx at 10; a 4..15 y at 14; "},
    {"0 is early, the difference is not", 10, 0, 50, DRAIN, "a 10 x; a 0 y",
     "a 0..11 xy at 10; a 1..12 x at 11; "},
    {"times below 0 are like others", 10, 0, 0, DRAIN, "a -5 x; a 3 y",
     "a -15..-4 x at -5; a -4..7 y at 6; a 0..11 y at 10; "},
    {"below 0, and the window from 0", 10, 0, 0, DRAIN, "a -1 x; a 3 y",
     "a -11..0 x at -1; a 0..11 y at 10; "},
    {"keys have windows of their own", 10, 0, 0, DRAIN, "a 20 x; b 21 y",
     "a 10..21 x at 20; b 11..22 y at 21; "},
    {"left out of the windows that have closed", 10, 0, 0, DRAIN, "a 20 x; b 21 y; a 19 z",
     "a 10..21 x at 20; b 11..22 y at 21; a 20..31 x at 30; "},
    {"what is in no window now may be in a later one", 10, 0, 0, DRAIN,
     "a 20 x; b 30 y; a 20 z; a 30 w",
     "a 10..21 x at 20; a 20..31 xzw at 30; b 20..31 y at 30; a 21..32 w at 31; "},
    {"late when the last window that could have it has closed", 10, 0, 0, DRAIN,
     "a 20 x; b 31 y; a 20 z", "a 10..21 x at 20; b 21..32 y at 31; late a 20 z; "},
    {"grace", 10, 5, 0, DRAIN, "a 20 x; b 25 y; a 20 z; b 26 v; a 15 w",
     "a 10..21 xz at 20; b 15..26 y at 25; a 16..27 xz at 26; b 16..27 yv at 26; "
     "b 26..37 v at 36; "},
    {"updates", 10, 0, 0, UPDATES, "a 20 x; a 30 y; a 30 z",
     "a 10..21 x at 20; a 21..32 y at 30; a 20..31 xy at 30; a 20..31 xyz was xy at 30; "
     "a 21..32 yz was y at 30; "},
    {"an update tells a right window", 10, 0, 50, UPDATES, "a 20 x; a 15 y",
     "a 10..21 x at 20; a 10..21 xy was x at 15; a 5..16 y at 15; a 16..27 x at 15; "},
    {"what is in no window", 10, 0, 0, DRAIN, "- 1 x; a 1 -",
     "rejected no key: windows are by key; rejected no value: a window has nothing to add; "},
};

static struct window_job job_of(const struct slide_case *at)
{
    struct window_job job = {weir_sliding(at->difference_ms), window_job_letters(),
                             at->out_of_order_ms};
    job.windows.grace_ms = at->grace_ms;
    job.windows.emit = at->how & UPDATES ? WEIR_EMIT_UPDATES : WEIR_EMIT_CLOSED;
    job.windows.late = WEIR_LATE_SIDE;
    return job;
}

static void windows_have_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct window_job job = job_of(&cases[i]);
        window_job_gives(cases[i].what, &job, cases[i].records, cases[i].how & DRAIN,
                         cases[i].expected);
    }
}

/* A window that is made later has the ids of what it begins with; nothing is left of it. */
static void ids_of_a_window_made_later(void **state)
{
    (void)state;
    struct window_job job = {weir_sliding(10), weir_count_distinct(NULL, NULL), 0};
    job.windows.emit = WEIR_EMIT_CLOSED;
    weir_test *test = window_job_new(&job, "a 20 x; a 22 x; a 24 y; a 28 x");
    assert_int_equal(weir_test_drain(test), WEIR_OK);
    window_job_found(test, "a 10..21 1 at 20; a 12..23 1 at 22; a 14..25 2 at 24; "
                           "a 18..29 2 at 28; a 21..32 2 at 31; a 23..34 2 at 33; "
                           "a 25..36 1 at 35; ");
    assert_int_equal(weir_test_timers(test), 0);
    weir_test_free(test);
}

/* What cannot be added is rejected when it comes, even when no window has it yet. */
static void what_has_no_number_is_rejected_itself(void **state)
{
    (void)state;
    struct window_job job = {weir_sliding(10), weir_sum(NULL, NULL), 0};
    job.windows.emit = WEIR_EMIT_CLOSED;
    char *found = window_job_run(&job, "b 30 1; a 20 x; a 30 2", true);
    assert_memory_equal(found, "a 20..31 2 at 30; b 20..31 1 at 30; rejected ", 45);
    assert_null(strstr(strstr(found, "rejected") + 1, "rejected"));
    free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_have_what_the_table_says),
        cmocka_unit_test(ids_of_a_window_made_later),
        cmocka_unit_test(what_has_no_number_is_rejected_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
