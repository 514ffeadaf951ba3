/* review_deep.c: as many nodes in a row as there may be, each with 8 KiB on the stack.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <weir.h>

static void pass(weir_ctx *ctx, const weir_record *in, void *arg)
{
    char large[8192];
    (void)arg;
    memset(large, in ? 'x' : 'y', sizeof large);
    weir_record out = *in;
    out.value = (weir_bytes){large, 1};
    weir_emit(ctx, &out);
}

WEIR_JOB(job)
{
    weir_stream *at = weir_from(job, "in", "file:in.txt");
    for (int i = 0; i < 1022; i++) {
        char name[32];
        snprintf(name, sizeof name, "pass-%d", i);
        at = weir_through(at, name, pass, NULL);
    }
    weir_into(at, "out", "file:out.txt");
}
