/* branch.c: see weir_branch in weir_ops.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "weir_ops.h"

enum { BRANCHES_MAX = 15 }; /* a node's sides but for its own stream */

static const weir_bytes absent = {NULL, 0};

struct branch {
    weir_predicate_fn holds[BRANCHES_MAX];
    unsigned count;
    void *arg;
};

static unsigned side_of(const struct branch *branch, const weir_record *in)
{
    for (unsigned i = 0; i < branch->count; i++) {
        if (branch->holds[i](in, branch->arg)) {
            return i + 1;
        }
    }
    return 0;
}

/* A row that is on another side now is taken from the one where it was. */
static void run_change(weir_ctx *ctx, const weir_record *in, const struct branch *branch)
{
    weir_record before = *in, after = *in;
    before.value = in->old;
    before.old = after.old = absent;
    unsigned from = side_of(branch, &before);
    unsigned to = in->value.data ? side_of(branch, &after) : from;
    if (from == to) {
        weir_emit_to(ctx, to, in);
        return;
    }
    before.value = absent;
    before.old = in->old;
    weir_emit_to(ctx, from, &before);
    weir_emit_to(ctx, to, &after);
}

static void run_branch(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct branch *branch = arg;
    if (in->old.data) {
        run_change(ctx, in, branch);
    } else {
        weir_emit_to(ctx, side_of(branch, in), in);
    }
}

weir_stream *weir_branch(weir_stream *in, const char *name, const weir_predicate_fn *holds,
                         unsigned count, void *arg)
{
    weir_job *job = weir_job_of(in);
    struct branch *branch = weir_alloc(job, sizeof *branch);
    weir_stream *node = weir_through(in, name, run_branch, branch);
    branch->arg = arg;
    if (!holds || count < 1 || count > BRANCHES_MAX) {
        weir_refuse(job, "%s: %u branches; give 1 to %d", name, holds ? count : 0, BRANCHES_MAX);
        return node;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!holds[i]) {
            weir_refuse(job, "%s: branch %u has no function", name, i + 1);
            return node;
        }
        branch->holds[i] = holds[i];
    }
    branch->count = count;
    return node;
}
