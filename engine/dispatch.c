/* dispatch.c: one record or one timer through the graph, depth first, and the functions of its
 * context.
 *
 * Every lasting effect goes through these functions into the filling epoch. The first failure of a
 * unit is kept in instance->failure; from then on context functions do nothing, and the epoch is
 * undone when the unit returns. Memory of a call (weir_scratch, state read from the store) comes
 * from the call arena and is given back when its function returns: calls nest as the graph does.
 *
 * Long because the walk and the functions of the context share a struct that no other file should
 * see.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/instance.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "txn/base/assert.h"

struct weir_ctx {
    struct wr_instance *instance;
    const struct wr_node *node;
    const weir_record *in; /* NULL on timers */
    const struct wr_pending *timer; /* NULL on records */
    unsigned input;
    bool effects; /* put, emitted or set a timer */
    bool rejected; /* this call's input went to the dead letters */
};

static bool failed(const struct wr_instance *instance)
{
    return instance->failure.status != WEIR_OK;
}

static void misuse(weir_ctx *ctx, const char *what)
{
    (void)wr_fail(&ctx->instance->failure, WEIR_MISUSE, WR_EXIT_BUG, "node `%s`: %s",
                  ctx->node->name, what);
}

/* ---- Through the graph ----------------------------------------------------------------------- */

static void deliver(struct wr_instance *instance, const struct wr_edge *edge,
                    const weir_record *record);

static void call(weir_ctx *ctx)
{
    struct wr_mark mark = wr_arena_mark(&ctx->instance->call);
    const char *_Atomic *calling = &ctx->instance->metrics.calling;
    const char *outer = atomic_load_explicit(calling, memory_order_relaxed);
    atomic_store_explicit(calling, ctx->node->name, memory_order_relaxed);
    ctx->node->fn(ctx, ctx->in, ctx->node->arg);
    atomic_store_explicit(calling, outer, memory_order_relaxed);
    wr_arena_release(&ctx->instance->call, mark);
}

static void run_times(struct wr_instance *instance, const struct wr_node *node,
                      const weir_record *record)
{
    weir_record timed = *record;
    timed.time_ms = node->time_fn(record, node->arg);
    if (instance->origin.part != SIZE_MAX && !instance->origin.letter) {
        wr_time_seen(instance, instance->times[node->order].timing, instance->origin.part,
                     timed.time_ms);
    }
    deliver(instance, node->out[0], &timed);
}

static void run_node(struct wr_instance *instance, const struct wr_edge *edge,
                     const weir_record *record)
{
    const struct wr_node *node = edge->to;
    if (node->kind == WR_NODE_SINK) {
        wr_sink_put(instance, node, record);
    } else if (node->kind == WR_NODE_TIMES) {
        run_times(instance, node, record);
    } else {
        weir_ctx ctx = {.instance = instance, .node = node, .in = record, .input = edge->input};
        call(&ctx);
    }
}

static void deliver(struct wr_instance *instance, const struct wr_edge *edge,
                    const weir_record *record)
{
    for (; edge && !failed(instance); edge = edge->next) {
        run_node(instance, edge, record);
    }
}

static void begin_unit(struct wr_instance *instance)
{
    instance->unit++;
    atomic_store_explicit(&instance->metrics.units, (int64_t)instance->unit, memory_order_relaxed);
    instance->unit_rejects = 0;
    instance->unit_out = 0;
    instance->unit_late = 0;
    instance->unit_bytes = wr_epoch_bytes(instance->filling);
}

void wr_dispatch_record(struct wr_instance *instance, size_t part, const weir_record *record,
                        int64_t offset, const char *reject)
{
    begin_unit(instance);
    instance->origin = (struct wr_origin){.part = part, .offset = offset};
    struct wr_node *node = instance->parts[part].node;
    const char *why = reject ? reject : wr_failures_reason(instance);
    if (why) {
        wr_rejects_add(instance, node, 0, record, (weir_bytes){NULL, 0}, why);
        return;
    }
    if (instance->times[node->order].timing) {
        wr_time_seen(instance, instance->times[node->order].timing, part, record->time_ms);
    }
    deliver(instance, node->out[0], record);
}

/* A timer's name as a dead letter keeps it: a timer without one is still no record. */
static weir_bytes name_of(const struct wr_pending *timer)
{
    return timer->name.data ? timer->name : wr_bytes("", 0);
}

void wr_dispatch_timer(struct wr_instance *instance, struct wr_node *node,
                       const struct wr_pending *timer)
{
    begin_unit(instance);
    instance->origin = (struct wr_origin){.part = SIZE_MAX,
                                          .offset = -1,
                                          .node = node,
                                          .key = timer->key,
                                          .name = timer->name,
                                          .time_ms = timer->time_ms};
    const char *why = wr_failures_reason(instance);
    if (why) {
        weir_record record = {.key = timer->key, .time_ms = timer->time_ms};
        wr_rejects_add(instance, node, 0, &record, name_of(timer), why);
        return;
    }
    weir_ctx ctx = {.instance = instance, .node = node, .timer = timer};
    call(&ctx);
}

static void run_letter(struct wr_instance *instance, const struct wr_letter *letter)
{
    struct wr_node *node = letter->node;
    const weir_record *record = &letter->record;
    if (letter->timer) {
        struct wr_pending timer = {
            .key = record->key, .name = letter->name, .time_ms = record->time_ms};
        weir_ctx ctx = {.instance = instance, .node = node, .timer = &timer};
        call(&ctx);
    } else if (node->kind == WR_NODE_SOURCE) {
        deliver(instance, node->out[0], record);
    } else {
        struct wr_edge edge = {.to = node, .input = letter->input};
        run_node(instance, &edge, record);
    }
}

void wr_dispatch_letter(struct wr_instance *instance, const struct wr_letter *letter)
{
    begin_unit(instance);
    instance->origin = (struct wr_origin){
        .part = letter->part_index, .offset = letter->offset, .letter = letter};
    const char *why = wr_failures_reason(instance);
    if (why) {
        weir_bytes name = letter->timer && !letter->name.data ? wr_bytes("", 0) : letter->name;
        wr_rejects_add(instance, letter->node, letter->input, &letter->record, name, why);
        return;
    }
    if (letter->timer) {
        instance->origin.node = letter->node;
        instance->origin.key = letter->record.key;
        instance->origin.name = letter->name;
        instance->origin.time_ms = letter->record.time_ms;
    }
    run_letter(instance, letter);
}

/* ---- Upgrade --------------------------------------------------------------------------------- */

struct upgrade {
    struct wr_instance *instance;
    const struct wr_node *node;
    unsigned from_version;
};

/* The function sees the key at hand, and scratch; it may not act. */
static weir_status upgrade_slot(void *data, weir_bytes key, weir_bytes slot, weir_bytes value,
                                weir_bytes *value_out, struct wr_error *error)
{
    const struct upgrade *upgrade = data;
    struct wr_instance *instance = upgrade->instance;
    wr_arena_reset(&instance->call);
    struct wr_pending at = {.key = key};
    weir_ctx ctx = {.instance = instance, .node = upgrade->node, .timer = &at, .rejected = true};
    *value_out = upgrade->node->upgrade(&ctx, upgrade->from_version, slot, value,
                                        upgrade->node->upgrade_arg);
    if (failed(instance)) {
        *error = instance->failure;
        return error->status;
    }
    return WEIR_OK;
}

weir_status wr_dispatch_upgrade(struct wr_instance *instance, const struct wr_node *node,
                                const struct wr_stored_node *stored, struct wr_error *error)
{
    struct upgrade data = {instance, node, stored->version};
    instance->origin = (struct wr_origin){.part = SIZE_MAX, .offset = -1, .node = node};
    wr_log(instance->env, WR_LOG_NOTICE, "upgrading the state of node `%s` from version %u to %u",
           node->name, stored->version, node->version);
    return wr_store_upgrade(instance->store, stored->id, node->version, upgrade_slot, &data, error);
}

/* ---- What a call is about -------------------------------------------------------------------- */

weir_bytes weir_key(const weir_ctx *ctx)
{
    return ctx->in ? ctx->in->key : ctx->timer->key;
}

int64_t weir_time(const weir_ctx *ctx)
{
    return ctx->in ? ctx->in->time_ms : ctx->timer->time_ms;
}

int64_t weir_watermark(const weir_ctx *ctx)
{
    const struct wr_node_time *times = ctx->instance->times;
    return times ? times[ctx->node->order].watermark_ms : INT64_MIN;
}

unsigned weir_input(const weir_ctx *ctx)
{
    return ctx->input;
}

weir_bytes weir_timer(const weir_ctx *ctx)
{
    return ctx->timer ? ctx->timer->name : (weir_bytes){NULL, 0};
}

void weir_origin(const weir_ctx *ctx, const char **source, int32_t *partition, int64_t *offset)
{
    const struct wr_origin *origin = &ctx->instance->origin;
    const struct wr_part *part =
        origin->part == SIZE_MAX ? NULL : &ctx->instance->parts[origin->part];
    if (source) {
        const char *past = origin->letter ? origin->letter->source : NULL;
        *source = part ? part->node->name : past;
    }
    if (partition) {
        *partition = part ? part->at->index : -1;
    }
    if (offset) {
        *offset = origin->offset;
    }
}

weir_record weir_reply(const weir_ctx *ctx, weir_bytes value)
{
    weir_record record = {.key = weir_key(ctx), .value = value, .time_ms = weir_time(ctx)};
    if (ctx->in) {
        record.headers = ctx->in->headers;
        record.header_count = ctx->in->header_count;
    }
    return record;
}

/* ---- Effects --------------------------------------------------------------------------------- */

/* Whether a call may have an effect now; marks that it has. */
static bool may_act(weir_ctx *ctx)
{
    if (failed(ctx->instance)) {
        return false;
    }
    if (!ctx->instance->filling) {
        misuse(ctx, "an upgrade function returns the new value and does nothing else");
        return false;
    }
    if (ctx->rejected) {
        misuse(ctx, "an emit, put or wake after weir_reject in the same call; reject last, alone");
        return false;
    }
    ctx->effects = true;
    size_t bytes = wr_epoch_bytes(ctx->instance->filling) - ctx->instance->unit_bytes;
    if (bytes > WR_UNIT_BYTES_MAX) {
        (void)wr_fail(&ctx->instance->failure, WEIR_ABORT, WR_EXIT_DATA,
                      "node `%s`: one record's effects are over the limit of %d bytes",
                      ctx->node->name, WR_UNIT_BYTES_MAX);
        return false;
    }
    return true;
}

void weir_emit(weir_ctx *ctx, const weir_record *out)
{
    weir_emit_to(ctx, 0, out);
}

void weir_emit_to(weir_ctx *ctx, unsigned side, const weir_record *out)
{
    if (!may_act(ctx)) {
        return;
    }
    if (side >= WR_SIDES_MAX || !out) {
        misuse(ctx, out ? "weir_emit_to: there are sides 0 to 15" : "weir_emit without a record");
        return;
    }
    for (size_t i = 0; i < out->header_count; i++) {
        if (!out->headers || !out->headers[i].name) {
            misuse(ctx, "weir_emit of a record with a header that is NULL or has no name");
            return;
        }
    }
    deliver(ctx->instance, ctx->node->out[side], out);
}

static bool check_state_key(weir_ctx *ctx, weir_bytes slot)
{
    if (!ctx->instance->filling) {
        misuse(ctx, "an upgrade function may use weir_key, weir_i64 and weir_scratch, no state");
        return false;
    }
    if (weir_key(ctx).size + slot.size > WR_STATE_KEY_BYTES_MAX) {
        (void)wr_fail(&ctx->instance->failure, WEIR_ABORT, WR_EXIT_DATA,
                      "node `%s`: a key and slot (or timer name) of %zu bytes; the limit is %d",
                      ctx->node->name, weir_key(ctx).size + slot.size, WR_STATE_KEY_BYTES_MAX);
        return false;
    }
    return true;
}

weir_bytes weir_get(weir_ctx *ctx, weir_bytes slot)
{
    struct wr_instance *instance = ctx->instance;
    weir_bytes value = {NULL, 0};
    if (!failed(instance) && check_state_key(ctx, slot) &&
        wr_state_get(&instance->state, ctx->node->id, weir_key(ctx), slot, &instance->call, &value,
                     &instance->failure) != WEIR_OK) {
        return (weir_bytes){NULL, 0};
    }
    return value;
}

void weir_put(weir_ctx *ctx, weir_bytes slot, weir_bytes value)
{
    if (!may_act(ctx) || !check_state_key(ctx, slot)) {
        return;
    }
    struct wr_instance *instance = ctx->instance;
    weir_bytes key = weir_key(ctx);
    if (value.size > WR_UNIT_BYTES_MAX) {
        (void)wr_fail(&instance->failure, WEIR_ABORT, WR_EXIT_DATA,
                      "node `%s`: a state value of %zu bytes; the limit is %d", ctx->node->name,
                      value.size, WR_UNIT_BYTES_MAX);
        return;
    }
    (void)wr_epoch_put(instance->filling, ctx->node->id, key, slot,
                       wr_hash(ctx->node->id, key, slot), value, instance->unit,
                       &instance->failure);
}

struct visit {
    weir_ctx *ctx;
    weir_visit_fn fn;
    void *arg;
};

static bool visit_slot(void *data, weir_bytes slot, weir_bytes value)
{
    struct visit *visit = data;
    return visit->fn(visit->ctx, slot, value, visit->arg) && !failed(visit->ctx->instance);
}

void weir_scan(weir_ctx *ctx, weir_bytes from, weir_bytes to, weir_visit_fn visit, void *arg)
{
    struct wr_instance *instance = ctx->instance;
    if (failed(instance) || !check_state_key(ctx, from)) {
        return;
    }
    struct visit data = {ctx, visit, arg};
    (void)wr_state_scan(&instance->state, ctx->node->id, weir_key(ctx), from, to, &instance->call,
                        visit_slot, &data, &instance->failure);
}

static void wake(weir_ctx *ctx, weir_bytes timer, bool clock, int64_t time_ms)
{
    if (may_act(ctx) && check_state_key(ctx, timer)) {
        (void)wr_time_wake(ctx->instance, (struct wr_node *)(uintptr_t)ctx->node, weir_key(ctx),
                           timer, clock, time_ms, &ctx->instance->failure);
    }
}

void weir_wake(weir_ctx *ctx, weir_bytes timer, int64_t time_ms)
{
    wake(ctx, timer, false, time_ms);
}

void weir_wake_clock(weir_ctx *ctx, weir_bytes timer, int64_t delay_ms)
{
    int64_t now_ms = ctx->instance->env->wall_ms(ctx->instance->env);
    if (delay_ms < 0) {
        delay_ms = 0;
    }
    bool cancel = delay_ms == INT64_MAX;
    int64_t time_ms = delay_ms >= INT64_MAX - now_ms ? INT64_MAX - 1 : now_ms + delay_ms;
    wake(ctx, timer, true, cancel ? INT64_MAX : time_ms);
}

void weir_reject(weir_ctx *ctx, const char *why)
{
    if (failed(ctx->instance)) {
        return;
    }
    if (ctx->effects || ctx->rejected || !ctx->instance->filling) {
        misuse(ctx, "weir_reject after a put, emit, wake or reject of the same call; check first");
        return;
    }
    ctx->rejected = true;
    weir_record timer = {.key = weir_key(ctx), .time_ms = weir_time(ctx)};
    weir_bytes name = ctx->timer ? name_of(ctx->timer) : (weir_bytes){NULL, 0};
    wr_rejects_add(ctx->instance, ctx->node, ctx->input, ctx->in ? ctx->in : &timer, name, why);
}

bool weir_rejected(const weir_ctx *ctx)
{
    return ctx->rejected;
}

void weir_fail(weir_ctx *ctx, weir_status status, const char *format, ...)
{
    if (failed(ctx->instance)) {
        return;
    }
    char text[WR_ERROR_TEXT_MAX / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (status == WEIR_OK) {
        misuse(ctx, "weir_fail with WEIR_OK");
        return;
    }
    (void)wr_fail(&ctx->instance->failure, status,
                  status == WEIR_MISUSE ? WR_EXIT_BUG : WR_EXIT_DATA, "node `%s`: %s",
                  ctx->node->name, text);
}

/* ---- Helpers --------------------------------------------------------------------------------- */

void *weir_scratch(weir_ctx *ctx, size_t size)
{
    void *memory = wr_arena_alloc(&ctx->instance->call, size);
    if (!memory) {
        (void)wr_fail_memory(&ctx->instance->failure);
    }
    return memory;
}

weir_bytes weir_i64(weir_ctx *ctx, int64_t value)
{
    unsigned char *at = wr_arena_alloc(&ctx->instance->call, 8);
    if (!at) {
        (void)wr_fail_memory(&ctx->instance->failure);
        return (weir_bytes){NULL, 0};
    }
    wr_i64_put(at, value);
    return wr_bytes(at, 8);
}

bool weir_to_i64(weir_bytes bytes, int64_t *out)
{
    if (!bytes.data || bytes.size != 8) {
        return false;
    }
    *out = wr_i64_get(bytes.data);
    return true;
}
