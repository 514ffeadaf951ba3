/* window_job.h: a job of one windowed aggregate, and what came out of it as text, for the tests of
 * windows.
 *
 * Records are text too: `KEY TIME VALUE`, separated by semicolons; `-` is an absent key or value.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_WINDOW_JOB_H
#define TEST_WINDOW_JOB_H

#include <weir_ops.h>
#include <weir_test.h>

struct window_job {
    weir_windows windows;
    weir_aggregation aggregation;
    int64_t out_of_order_ms;
};

/* What window_job_define makes from now on. */
void window_job_set(const struct window_job *job);
void window_job_define(weir_job *job);
/* A kit for this job, with these records pushed. */
weir_test *window_job_new(const struct window_job *job, const char *records);

/* Values, one after the other in the order they came: what a window has can be seen. */
weir_aggregation window_job_letters(void);

void window_job_push(weir_test *test, const char *records);

/* What came out, each followed by a semicolon and a blank: first results, `KEY START..END VALUE`
 * (or `-`), with ` was OLD` where they replace one, and ` at TIME`; then `late KEY TIME VALUE`,
 * then `rejected REASON`. Free it. */
char *window_job_text(weir_test *test);

/* All of it: these records, and --drain if that is asked for. */
char *window_job_run(const struct window_job *job, const char *records, bool drain);

/* What came out so far is this text. */
void window_job_found(weir_test *test, const char *expected);
/* What a run gives is this text; a failure says `what` it was about. */
void window_job_gives(const char *what, const struct window_job *job, const char *records,
                      bool drain, const char *expected);

#endif
