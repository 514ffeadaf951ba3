/* deliver.c: what the delivery modes differ in: each record counted in state, and given out to a
 * topic, a file and a table, so that what was lost or repeated can be told record by record.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <weir.h>

static void tally(weir_ctx *ctx, const weir_record *in, void *arg)
{
    weir_bytes only = {NULL, 0};
    int64_t count = 0;
    char text[24];
    (void)arg;
    weir_to_i64(weir_get(ctx, only), &count);
    weir_put(ctx, only, weir_i64(ctx, count + 1));
    weir_emit(ctx, in);
    snprintf(text, sizeof text, "%" PRId64, count + 1);
    weir_record counted = weir_reply(ctx, weir_text(text));
    weir_emit_to(ctx, 1, &counted);
}

WEIR_JOB(job)
{
    weir_name(job, "deliver");
    weir_stream *tallied = weir_through(weir_from(job, "in", NULL), "tally", tally, NULL);
    weir_into(tallied, "topic", "log:topic");
    weir_into(tallied, "lines", "file:lines.txt");
    weir_into(weir_side(tallied, 1), "counts", "table:counts?key=integer&value=integer");
}
