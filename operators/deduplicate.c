/* deduplicate.c: see weir_deduplicate in weir_ops.h.
 *
 * State, version 1: of each key a slot for each id that was seen, named by it (without an id
 * function: the absent slot), with 0 bytes in it. A timer of the same name removes it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "weir_ops.h"

struct deduplicate {
    weir_value_fn id;
    void *arg;
    int64_t ttl_ms;
};

/* What is remembered of a record; false: it was rejected. */
static bool slot_of(weir_ctx *ctx, const weir_record *in, const struct deduplicate *once,
                    weir_bytes *slot_out)
{
    weir_bytes slot = {NULL, 0};
    if (once->id) {
        slot = once->id(ctx, in, once->arg);
        if (weir_rejected(ctx)) {
            return false;
        }
    }
    if (once->id ? !slot.data : !in->key.data) {
        weir_reject(ctx, once->id ? "no id: the first record of each id passes"
                                  : "no key: the first record of each key passes");
        return false;
    }
    *slot_out = slot;
    return true;
}

static void run_deduplicate(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct deduplicate *once = arg;
    if (!in) {
        weir_put(ctx, weir_timer(ctx), (weir_bytes){NULL, 0});
        return;
    }
    weir_bytes slot;
    if (!slot_of(ctx, in, once, &slot) || weir_get(ctx, slot).data) {
        return;
    }
    int64_t until = INT64_MAX;
    bool ends = once->ttl_ms > 0 && !__builtin_add_overflow(in->time_ms, once->ttl_ms, &until);
    if (!ends || until > weir_watermark(ctx)) {
        weir_put(ctx, slot, (weir_bytes){"", 0});
    }
    if (ends && until > weir_watermark(ctx)) {
        weir_wake(ctx, slot, until);
    }
    weir_emit(ctx, in);
}

weir_stream *weir_deduplicate(weir_stream *in, const char *name, weir_value_fn id, void *arg,
                              int64_t ttl_ms)
{
    weir_job *job = weir_job_of(in);
    struct deduplicate *once = weir_alloc(job, sizeof *once);
    *once = (struct deduplicate){id, arg, ttl_ms};
    weir_stream *node = weir_through(in, name, run_deduplicate, once);
    weir_state(node, 1, NULL, NULL);
    if (ttl_ms < 0) {
        weir_refuse(job, "%s: a time to live of %lld ms; give 0 (for ever) or more", name,
                    (long long)ttl_ms);
    }
    return node;
}
