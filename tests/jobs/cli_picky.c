/* cli_picky.c: refuses every record whose value begins with "no", and lets the others through.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <weir.h>

static void pick(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    if (in->value.size >= 2 && memcmp(in->value.data, "no", 2) == 0) {
        weir_reject(ctx, "it begins with no\n(two lines)");
        return;
    }
    weir_emit(ctx, in);
}

WEIR_JOB(job)
{
    weir_into(weir_through(weir_from(job, "in", NULL), "pick", pick, NULL), "out", "log:out");
}
