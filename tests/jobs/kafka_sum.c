/* kafka_sum.c: to `out` the running sum of each key's values, which are decimal numbers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <weir.h>

static const weir_bytes only = {NULL, 0};

static void add(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    char text[24] = "";
    int64_t value = 0, sum = 0;
    size_t size = in->value.size < sizeof text ? in->value.size : sizeof text - 1;
    for (size_t i = 0; i < size; i++) {
        text[i] = ((const char *)in->value.data)[i];
    }
    if (sscanf(text, "%" SCNd64, &value) != 1) {
        weir_reject(ctx, "no number");
        return;
    }
    weir_to_i64(weir_get(ctx, only), &sum); /* nothing stored yet: stays 0 */
    sum += value;
    weir_put(ctx, only, weir_i64(ctx, sum));
    snprintf(text, sizeof text, "%" PRId64, sum);
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
}

WEIR_JOB(job)
{
    weir_name(job, "kafka_sum");
    weir_stream *in = weir_from(job, "in", "file:in.txt");
    weir_into(weir_through(in, "sum", add, NULL), "out", "log:out");
}
