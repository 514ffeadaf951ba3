/* steps.h: what an operator of two inputs does, as a line of text and the line that it answers: for
 * tables of cases that are checked by hand. Steps, with blanks between them:
 *
 *     L:KEY=VALUE@TIME     a record of the left input; R: of the right one
 *     L:KEY@TIME           with an absent value; KEY `-` is an absent key
 *     W@TIME               the watermark moves there; nothing else moves it
 *     D                    the watermark moves to the end of time
 *     X                    a crash, and a restart
 *
 * and what came out: KEY=VALUE@TIME, with <OLD before the @ when a change says what it replaces,
 * KEY@TIME for an absent value; then !REASON for each dead letter, in their order, of each reason
 * what is before the first colon.
 *
 * A job may have several operators that get the same: each is told by its name, which is its sink's
 * too, and is in the reason of what it rejects.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef STEPS_H
#define STEPS_H

#include <weir_ops.h>
#include <weir_test.h>

/* The two inputs; to be called by the job, which hands each result to steps_out. */
void steps_in(weir_job *job, weir_stream **left_out, weir_stream **right_out);
/* The same, with a watermark that follows the records; the side is in the first header's name. */
void steps_in_order(weir_job *job, int64_t out_of_order_ms, weir_stream **left_out,
                    weir_stream **right_out);
void steps_out(weir_stream *results, const char *name);

/* Either value, `.` for none, with a `+` between them; rejects when one of them is `!`. The
 * argument is the operator's name. */
weir_bytes steps_join(weir_ctx *ctx, const weir_record *left, const weir_record *right, void *arg);
/* Rejects with WHY: NAME. */
void steps_reject(weir_ctx *ctx, const char *why, const char *name);

/* Pushes a record of the left input, or of the right one, and runs nothing. */
void steps_push(weir_test *test, bool right, weir_bytes key, weir_bytes value, int64_t time_ms);
/* Pushes what the steps say and runs after each. */
void steps_take(weir_test *test, const char *steps);
/* What came out so far, to be freed. */
char *steps_answer(weir_test *test, const char *name);

enum { STEPS_ANSWERS_MAX = 3 };
struct steps_case {
    const char *steps;
    const char *answers[STEPS_ANSWERS_MAX]; /* of the operator at that place; NULL: not asked */
};
/* On a new kit for this job: takes the steps, drops the kit, and fails unless the answers are
 * these; twice, the second time without a cache and with a crash after one of the steps. */
void steps_check(void (*define)(weir_job *), const char *const *names,
                 const struct steps_case *cases, size_t count);

#endif
