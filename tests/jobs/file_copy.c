/* file_copy.c: lines as they are, from `in` to `out`. -D fail=N fails at calls N, 2N, 4N, ... so
 * that epochs are undone and their lines read again.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <weir.h>

struct options {
    uint64_t fail, calls; /* they choose when to fail: no result depends on them */
};

static void copy(weir_ctx *ctx, const weir_record *in, void *arg)
{
    struct options *options = arg;
    if (in && options->fail && ++options->calls == options->fail) {
        options->fail *= 2;
        weir_fail(ctx, WEIR_ABORT, "as asked for by -D fail");
        return;
    }
    if (in) {
        weir_emit(ctx, in);
    }
}

WEIR_JOB(job)
{
    weir_name(job, "file_copy");
    struct options *options = weir_alloc(job, sizeof *options);
    options->fail = strtoull(weir_option(job, "fail", "0"), NULL, 10);
    weir_stream *in = weir_from(job, "in", "file:in.txt");
    weir_into(weir_through(in, "copy", copy, options), "out", "file:out.txt");
}
