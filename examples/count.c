/* count: how often each key came so far. Every record in gives a record out: its key, time and
 * headers, and as value the running count of that key as decimal text.
 *
 *     weir run build/examples/count.so -i in=gen:keyed?records=1000000 -o out=table:counts
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <weir.h>

static const weir_bytes only = {NULL, 0}; /* the absent slot: here a key has one value */

static void count(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)in, (void)arg;
    int64_t seen = 0;
    weir_to_i64(weir_get(ctx, only), &seen); /* nothing stored yet: stays 0 */
    seen++;
    weir_put(ctx, only, weir_i64(ctx, seen));

    char text[24];
    snprintf(text, sizeof text, "%" PRId64, seen);
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
}

WEIR_JOB(job)
{
    weir_name(job, "count");
    weir_stream *in = weir_from(job, "in", "file:in.txt");
    weir_into(weir_through(in, "count", count, NULL), "out", "log:out");
}
