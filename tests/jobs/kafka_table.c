/* kafka_table.c: each line to `out` as it is, and to the table `table` with itself as key.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <weir.h>

static void key(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_record out = *in;
    out.key = in->value;
    weir_emit(ctx, &out);
}

WEIR_JOB(job)
{
    weir_name(job, "kafka_table");
    weir_stream *in = weir_from(job, "in", "file:in.txt");
    weir_into(in, "out", "log:out");
    weir_into(weir_through(in, "key", key, NULL), "table", "table:t");
}
