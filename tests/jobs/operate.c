/* operate.c: records pass through a node that hangs or asks for a retry at a chosen record, until
 * there is a file `go` in the working directory: -D hang=OFFSET or -D retry=OFFSET.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <weir.h>

struct operate {
    int64_t hang, retry; /* -1: never */
};

static void pass(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct operate *operate = arg;
    const struct timespec wait = {0, 20000000};
    const char *source;
    int32_t partition;
    int64_t offset;
    weir_origin(ctx, &source, &partition, &offset);
    while (offset == operate->hang && access("go", F_OK) != 0) {
        nanosleep(&wait, NULL);
    }
    if (offset == operate->retry && access("go", F_OK) != 0) {
        weir_fail(ctx, WEIR_RETRY, "the service is away");
        return;
    }
    weir_emit(ctx, in);
}

WEIR_JOB(job)
{
    struct operate *operate = weir_alloc(job, sizeof *operate);
    const char *hang = weir_option(job, "hang", "-1"), *retry = weir_option(job, "retry", "-1");
    if (operate) {
        operate->hang = strtoll(hang, NULL, 10);
        operate->retry = strtoll(retry, NULL, 10);
    }
    weir_stream *in = weir_from(job, "in", "gen:keyed");
    weir_into(weir_through(in, "passes", pass, operate), "out", "log:out");
}
