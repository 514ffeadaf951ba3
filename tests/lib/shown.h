/* shown.h: what operators do, as text: a job under test reads records from lines, and each record
 * that it emits becomes a line, its `old` included; so a case is two texts.
 *
 *     static void define(weir_job *job)
 *     {
 *         shown_out(weir_table(shown_in(job, 0), "table"));
 *     }
 *     shown_check(define, "k a @1\nk b @2\n", "k ->a @1\nk a>b @2\n");
 *
 * A line in is KEY VALUE @TIME, `-` for an absent key or value, '' for an empty one; VALUE may be
 * OLD>NEW, which makes a change. `^TIME` moves the watermark to TIME, `$` to the end of time. A
 * line out is KEY OLD>NEW @TIME, then NAME=VALUE for each header; #2 before it: from the second
 * stream of weir_with. Dead letters follow, each as `! REASON`.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_SHOWN_H
#define TEST_SHOWN_H

#include <weir_test.h>

/* Source `in`, with event times that may be out of order by so much. */
weir_stream *shown_in(weir_job *job, int64_t out_of_order_ms);
/* Node `shown` into sink `out`; other streams are added to it by weir_with. */
weir_stream *shown_out(weir_stream *stream);

/* Runs the lines, all in one go or (`step`) each by itself, crashing as options and `crash` say:
 *   SHOWN_NO_CRASH   never
 *   SHOWN_CRASH      after each line, what was decided stays
 *   SHOWN_FAULTS     at a fault point after each line, another each time
 * Returns what came out, to be freed. The first failure ends the test. */
enum shown_crash { SHOWN_NO_CRASH, SHOWN_CRASH, SHOWN_FAULTS };
char *shown_run(void (*define)(weir_job *), const char *lines, const weir_test_options *options,
                bool step, enum shown_crash crash);

/* The lines give `expected`, however epochs fall, without a cache, and with a crash at each record.
 */
void shown_check(void (*define)(weir_job *), const char *lines, const char *expected);

/* The lines give `expected` in one run: for what can only depend on the values. */
void shown_values(void (*define)(weir_job *), const char *lines, const char *expected);

/* Runs the lines with an epoch size, a cache and crashes at random. To be freed. */
char *shown_random(void (*define)(weir_job *), const char *lines, uint64_t *random);

/* The job is refused with a text that contains this. */
void shown_refused(void (*define)(weir_job *), const char *text);

#endif
