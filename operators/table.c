/* table.c: see weir_table in weir_ops.h.
 *
 * State, version 1: of each key the absent slot has its value, as it came.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "weir_ops.h"

static const weir_bytes only = {NULL, 0}; /* the absent slot: a key has one value */

static void run_table(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    if (!in->key.data) {
        weir_reject(ctx, "no key: a table has one row for each key");
        return;
    }
    weir_record out = *in;
    out.old = weir_get(ctx, only);
    if (out.value.data || out.old.data) {
        weir_put(ctx, only, out.value);
        weir_emit(ctx, &out);
    }
}

weir_stream *weir_table(weir_stream *in, const char *name)
{
    weir_stream *node = weir_through(in, name, run_table, NULL);
    weir_state(node, 1, NULL, NULL);
    return node;
}
