/* model.c: see model.h. Nothing here is clever, so that it is right. Long because it is easier to
 * trust in one piece.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/look.h"
#include "txn/base/arena.h"
#include "txn/base/bytes.h"

struct slot {
    int node;
    weir_bytes key, slot, value;
};
struct timer {
    int node;
    weir_bytes key, name;
    bool clock;
    int64_t time_ms;
};
struct output { /* of a sink, in order */
    int node;
    weir_record record;
};
struct refusal {
    int node, source;
    int64_t offset;
    unsigned input, seq;
    weir_record record;
    weir_bytes timer;
    const char *why;
};

#define LIST(type)                                                                                 \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count, capacity;                                                                    \
    }

struct model {
    const struct graph *graph;
    struct wr_arena arena;
    int order[GRAPH_NODES_MAX]; /* graph order */
    int64_t watermark[GRAPH_NODES_MAX];
    int64_t seen[GRAPH_NODES_MAX][GRAPH_NODES_MAX]; /* SOURCE, TIMES: by source */
    int64_t next[GRAPH_NODES_MAX]; /* of each source */
    LIST(struct slot) slots;
    LIST(struct timer) timers;
    LIST(struct output) outputs;
    LIST(struct refusal) refusals;
    int64_t clock_ms;
    bool draining;
    int source; /* of the record at hand, -1: a timer */
    int64_t offset;
    unsigned seq;
};

/* What a context is here. */
struct call {
    struct model *model;
    int node;
    const weir_record *in;
    const struct timer *timer;
    unsigned input;
};

#define ADD(list, ...)                                                                             \
    do {                                                                                           \
        if ((list).count == (list).capacity) {                                                     \
            (list).capacity = (list).capacity * 2 + 64;                                            \
            (list).items = realloc((list).items, (list).capacity * sizeof *(list).items);          \
        }                                                                                          \
        (list).items[(list).count++] = __VA_ARGS__;                                                \
    } while (0)

static weir_bytes keep(struct model *model, weir_bytes bytes)
{
    weir_bytes copy;
    return wr_arena_copy(&model->arena, bytes, &copy) ? copy : (weir_bytes){NULL, 0};
}

static weir_record keep_record(struct model *model, const weir_record *record)
{
    weir_record copy = *record;
    copy.key = keep(model, record->key);
    copy.value = keep(model, record->value);
    return copy; /* headers are the input's, which outlive the model */
}

static struct call *call_of(const weir_ctx *ctx)
{
    return (struct call *)(uintptr_t)ctx;
}

/* ---- What a call is about -------------------------------------------------------------------- */

static weir_bytes call_key(const weir_ctx *ctx)
{
    return call_of(ctx)->in ? call_of(ctx)->in->key : call_of(ctx)->timer->key;
}

static int64_t call_time(const weir_ctx *ctx)
{
    return call_of(ctx)->in ? call_of(ctx)->in->time_ms : call_of(ctx)->timer->time_ms;
}

static int64_t call_watermark(const weir_ctx *ctx)
{
    return call_of(ctx)->model->watermark[call_of(ctx)->node];
}

static unsigned call_input(const weir_ctx *ctx)
{
    return call_of(ctx)->input;
}

static weir_bytes call_timer(const weir_ctx *ctx)
{
    return call_of(ctx)->timer ? call_of(ctx)->timer->name : (weir_bytes){NULL, 0};
}

static void call_origin(const weir_ctx *ctx, const char **source, int32_t *partition,
                        int64_t *offset)
{
    const struct model *model = call_of(ctx)->model;
    *source = model->source < 0 ? NULL : model->graph->nodes[model->source].name;
    *partition = model->source < 0 ? -1 : 0;
    *offset = model->source < 0 ? -1 : model->offset;
}

static weir_record call_reply(const weir_ctx *ctx, weir_bytes value)
{
    weir_record record = {.key = call_key(ctx), .value = value, .time_ms = call_time(ctx)};
    if (call_of(ctx)->in) {
        record.headers = call_of(ctx)->in->headers;
        record.header_count = call_of(ctx)->in->header_count;
    }
    return record;
}

/* ---- State and timers ------------------------------------------------------------------------ */

static struct slot *find_slot(const struct model *model, int node, weir_bytes key, weir_bytes slot)
{
    for (size_t i = 0; i < model->slots.count; i++) {
        struct slot *at = &model->slots.items[i];
        if (at->node == node && wr_bytes_equal(at->slot, slot) && wr_bytes_equal(at->key, key)) {
            return at;
        }
    }
    return NULL;
}

static weir_bytes call_get(weir_ctx *ctx, weir_bytes slot)
{
    const struct call *call = call_of(ctx);
    const struct slot *found = find_slot(call->model, call->node, call_key(ctx), slot);
    return found ? found->value : (weir_bytes){NULL, 0};
}

static void call_put(weir_ctx *ctx, weir_bytes slot, weir_bytes value)
{
    const struct call *call = call_of(ctx);
    struct model *model = call->model;
    struct slot *found = find_slot(model, call->node, call_key(ctx), slot);
    if (!value.data && found) {
        *found = model->slots.items[--model->slots.count];
    } else if (found) {
        found->value = keep(model, value);
    } else if (value.data) {
        ADD(model->slots, (struct slot){call->node, keep(model, call_key(ctx)), keep(model, slot),
                                        keep(model, value)});
    }
}

static int by_slot(const void *left, const void *right)
{
    const struct slot *a = left, *b = right;
    return wr_bytes_compare(a->slot, b->slot);
}

static void call_scan(weir_ctx *ctx, weir_bytes from, weir_bytes to, weir_visit_fn visit, void *arg)
{
    const struct call *call = call_of(ctx);
    const struct model *model = call->model;
    struct slot *found = calloc(model->slots.count + 1, sizeof *found);
    size_t count = 0;
    for (size_t i = 0; i < model->slots.count; i++) {
        const struct slot *at = &model->slots.items[i];
        if (at->node == call->node && wr_bytes_equal(at->key, call_key(ctx)) &&
            (!from.data || wr_bytes_compare(at->slot, from) >= 0) &&
            (!to.data || wr_bytes_compare(at->slot, to) < 0)) {
            found[count++] = *at;
        }
    }
    qsort(found, count, sizeof *found, by_slot);
    for (size_t i = 0; i < count && visit(ctx, found[i].slot, found[i].value, arg); i++) {
    }
    free(found);
}

static void set_timer(weir_ctx *ctx, weir_bytes name, bool clock, int64_t time_ms)
{
    const struct call *call = call_of(ctx);
    struct model *model = call->model;
    weir_bytes key = call_key(ctx);
    if (model->draining && time_ms != INT64_MAX && call->timer) {
        return; /* a firing at the end of time */
    }
    for (size_t i = 0; i < model->timers.count; i++) {
        struct timer *at = &model->timers.items[i];
        if (at->node == call->node && wr_bytes_equal(at->key, key) &&
            wr_bytes_equal(at->name, name)) {
            *at = model->timers.items[--model->timers.count];
            break;
        }
    }
    if (time_ms != INT64_MAX) {
        ADD(model->timers,
            (struct timer){call->node, keep(model, key), keep(model, name), clock, time_ms});
    }
}

static void call_wake(weir_ctx *ctx, weir_bytes name, int64_t time_ms)
{
    set_timer(ctx, name, false, time_ms);
}

static void call_wake_clock(weir_ctx *ctx, weir_bytes name, int64_t delay_ms)
{
    set_timer(ctx, name, true, call_of(ctx)->model->clock_ms + delay_ms);
}

static void no_trouble(weir_ctx *ctx, uint64_t digest)
{
    (void)ctx;
    (void)digest;
}

/* ---- Through the graph ----------------------------------------------------------------------- */

static void refuse(const struct call *call, const weir_record *record, weir_bytes timer,
                   const char *why)
{
    struct model *model = call->model;
    ADD(model->refusals,
        (struct refusal){call->node, model->source, model->offset, call->input, model->seq++,
                         keep_record(model, record), keep(model, timer), why});
}

static void call_reject(weir_ctx *ctx, const char *why)
{
    const struct call *call = call_of(ctx);
    weir_record timer = {.key = call_key(ctx), .time_ms = call_time(ctx)};
    weir_bytes name = call_timer(ctx);
    if (call->timer && !name.data) {
        name = (weir_bytes){"", 0};
    }
    refuse(call, call->in ? call->in : &timer, name, why);
}

static void call_emit_to(weir_ctx *ctx, unsigned side, const weir_record *out);

static const struct api api = {
    call_key,    call_time,  call_watermark,  call_input,  call_timer,
    call_origin, call_reply, call_emit_to,    call_get,    call_put,
    call_scan,   call_wake,  call_wake_clock, call_reject, no_trouble,
};

static void run_program(struct call *call)
{
    if (!program_run(&call->model->graph->nodes[call->node].program, &api, (weir_ctx *)call,
                     call->in)) {
        abort(); /* the model's own mistake */
    }
}

static void deliver(struct model *model, int from, unsigned side, const weir_record *record);

static void see(struct model *model, int timing, int source, int64_t time_ms)
{
    int64_t watermark_ms = time_ms - model->graph->nodes[timing].out_of_order_ms;
    if (watermark_ms > model->seen[timing][source]) {
        model->seen[timing][source] = watermark_ms;
    }
}

static void arrive(struct model *model, const struct graph_edge *edge, const weir_record *record)
{
    const struct graph_node *node = &model->graph->nodes[edge->to];
    struct call call = {model, edge->to, record, NULL, edge->input};
    weir_record timed = *record;
    switch (node->kind) {
    case GRAPH_TIMES:
        timed.time_ms = model_time(record);
        if (model->source >= 0) {
            see(model, edge->to, model->source, timed.time_ms);
        }
        deliver(model, edge->to, 0, &timed);
        break;
    case GRAPH_THROUGH:
        run_program(&call);
        break;
    case GRAPH_TABLE:
        if (!record->key.data) {
            refuse(&call, record, (weir_bytes){NULL, 0},
                   "the key is absent, and a table needs one");
            break;
        }
        /* fall through */
    case GRAPH_LOG:
        ADD(model->outputs, (struct output){edge->to, keep_record(model, record)});
        break;
    case GRAPH_SOURCE:
        break;
    }
}

static void deliver(struct model *model, int from, unsigned side, const weir_record *record)
{
    for (int i = 0; i < model->graph->edge_count; i++) {
        const struct graph_edge *edge = &model->graph->edges[i];
        if (edge->from == from && edge->side == side) {
            arrive(model, edge, record);
        }
    }
}

static void call_emit_to(weir_ctx *ctx, unsigned side, const weir_record *out)
{
    deliver(call_of(ctx)->model, call_of(ctx)->node, side, out);
}

/* ---- Time ------------------------------------------------------------------------------------ */

int64_t model_time(const weir_record *record)
{
    return record->time_ms + (int64_t)(record->value.size % 7) - 3;
}

bool graph_reaches(const struct graph *graph, int from, int to)
{
    if (from == to) {
        return true;
    }
    for (int i = 0; i < graph->edge_count; i++) {
        if (graph->edges[i].from == from && graph_reaches(graph, graph->edges[i].to, to)) {
            return true;
        }
    }
    return false;
}

/* What a node's inputs let its watermark be. */
static int64_t target_of(const struct model *model, int node)
{
    const struct graph *graph = model->graph;
    int64_t lowest = INT64_MAX;
    bool timing = graph->nodes[node].kind == GRAPH_SOURCE || graph->nodes[node].kind == GRAPH_TIMES;
    for (int i = 0; timing && !model->draining && i < graph->node_count; i++) {
        if (graph->nodes[i].kind == GRAPH_SOURCE && graph_reaches(graph, i, node) &&
            model->seen[node][i] < lowest) {
            lowest = model->seen[node][i];
        }
    }
    for (int i = 0; !timing && i < graph->edge_count; i++) {
        if (graph->edges[i].to == node && model->watermark[graph->edges[i].from] < lowest) {
            lowest = model->watermark[graph->edges[i].from];
        }
    }
    return lowest > model->watermark[node] ? lowest : model->watermark[node];
}

/* By (time, key, name). */
static int compare_timers(const struct timer *a, const struct timer *b)
{
    if (a->time_ms != b->time_ms) {
        return a->time_ms < b->time_ms ? -1 : 1;
    }
    int order = wr_bytes_compare(a->key, b->key);
    return order ? order : wr_bytes_compare(a->name, b->name);
}

/* Fires the first due timer of a node: of the event time up to the target, or of the clock. */
static bool fire_first(struct model *model, int node, bool clock, int64_t target_ms)
{
    struct timer *first = NULL;
    for (size_t i = 0; i < model->timers.count; i++) {
        struct timer *at = &model->timers.items[i];
        bool due = at->node == node && at->clock == clock && at->time_ms <= target_ms;
        if (due && (!first || compare_timers(at, first) < 0)) {
            first = at;
        }
    }
    if (!first) {
        return false;
    }
    struct timer timer = *first;
    *first = model->timers.items[--model->timers.count];
    model->source = -1;
    model->offset = -1;
    model->seq = 0;
    struct call call = {.model = model, .node = node, .timer = &timer};
    run_program(&call);
    return true;
}

static void advance(struct model *model)
{
    for (int i = 0; i < model->graph->node_count; i++) {
        int node = model->order[i];
        int64_t target_ms = target_of(model, node);
        while (fire_first(model, node, false, target_ms) ||
               (model->draining && fire_first(model, node, true, INT64_MAX))) {
        }
        model->watermark[node] = target_ms;
    }
}

/* Watermarks move as far as they can, then one timer of the clock fires, and so on. */
static void settle(struct model *model)
{
    bool fired = true;
    while (fired) {
        advance(model);
        fired = false;
        for (int i = 0; i < model->graph->node_count && !fired; i++) {
            fired = fire_first(model, model->order[i], true, model->clock_ms);
        }
    }
}

/* ---- Driving --------------------------------------------------------------------------------- */

/* Inputs before outputs, otherwise as defined. */
static void sort_nodes(struct model *model)
{
    const struct graph *graph = model->graph;
    bool placed[GRAPH_NODES_MAX] = {false};
    for (int count = 0; count < graph->node_count; count++) {
        for (int node = 0; node < graph->node_count; node++) {
            bool ready = !placed[node];
            for (int i = 0; i < graph->edge_count; i++) {
                ready = ready && (graph->edges[i].to != node || placed[graph->edges[i].from]);
            }
            if (ready) {
                placed[node] = true;
                model->order[count] = node;
                break;
            }
        }
    }
}

struct model *model_new(struct graph *graph)
{
    struct model *model = calloc(1, sizeof *model);
    model->graph = graph;
    wr_arena_init(&model->arena, 0);
    model->clock_ms = MODEL_CLOCK_START_MS;
    sort_nodes(model);
    for (int i = 0; i < graph->node_count; i++) {
        model->watermark[i] = INT64_MIN;
        for (int j = 0; j < graph->node_count; j++) {
            model->seen[i][j] = INT64_MIN;
        }
    }
    return model;
}

void model_free(struct model *model)
{
    wr_arena_fini(&model->arena);
    free(model->slots.items);
    free(model->timers.items);
    free(model->outputs.items);
    free(model->refusals.items);
    free(model);
}

void model_push(struct model *model, int source, const weir_record *record)
{
    model->source = source;
    model->offset = model->next[source]++;
    model->seq = 0;
    see(model, source, source, record->time_ms);
    deliver(model, source, 0, record);
    settle(model);
}

void model_advance(struct model *model, int source, int64_t time_ms)
{
    for (int i = 0; i < model->graph->node_count; i++) {
        enum graph_kind kind = model->graph->nodes[i].kind;
        if ((kind == GRAPH_SOURCE || kind == GRAPH_TIMES) &&
            graph_reaches(model->graph, source, i)) {
            see(model, i, source, time_ms);
        }
    }
    settle(model);
}

void model_clock(struct model *model, int64_t milliseconds)
{
    model->clock_ms += milliseconds;
    settle(model);
}

void model_drain(struct model *model)
{
    model->draining = true;
    settle(model);
}

/* ---- As text --------------------------------------------------------------------------------- */

static void dump_refusal(const struct model *model, size_t number, FILE *out)
{
    const struct refusal *at = &model->refusals.items[number];
    const struct graph_node *nodes = model->graph->nodes;
    fprintf(out, "reject %zu %s", number, at->source < 0 ? "-" : nodes[at->source].name);
    fprintf(out, at->source < 0 ? " -" : " %" PRId64, at->offset);
    fprintf(out, " %s %u %u %" PRId64, nodes[at->node].name, at->input, at->seq,
            at->record.time_ms);
    look_bytes(out, at->record.key);
    look_bytes(out, at->record.value);
    look_bytes(out, at->timer);
    fprintf(out, " %s\n", at->why);
}

/* A table keeps the last value of each key. */
static void dump_output(const struct model *model, size_t number, int64_t *offsets, FILE *out)
{
    const struct output *at = &model->outputs.items[number];
    const struct graph_node *node = &model->graph->nodes[at->node];
    if (node->kind == GRAPH_LOG) {
        look_record(out, node->name, 0, offsets[at->node]++, &at->record);
        return;
    }
    bool last = at->record.value.data != NULL;
    for (size_t i = number + 1; i < model->outputs.count; i++) {
        const struct output *later = &model->outputs.items[i];
        last =
            last && (later->node != at->node || !wr_bytes_equal(later->record.key, at->record.key));
    }
    if (last) {
        fprintf(out, "row %s", node->name);
        look_bytes(out, at->record.key);
        look_bytes(out, at->record.value);
        fputc('\n', out);
    }
}

char *model_dump(const struct model *model)
{
    const struct graph_node *nodes = model->graph->nodes;
    int64_t offsets[GRAPH_NODES_MAX] = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    for (int i = 0; i < model->graph->node_count; i++) {
        if (nodes[i].kind == GRAPH_SOURCE && model->next[i]) {
            fprintf(out, "position %s 0 %" PRId64 "\n", nodes[i].name, model->next[i]);
        }
    }
    for (size_t i = 0; i < model->slots.count; i++) {
        const struct slot *at = &model->slots.items[i];
        fprintf(out, "state %s", nodes[at->node].name);
        look_bytes(out, at->key);
        look_bytes(out, at->slot);
        look_bytes(out, at->value);
        fputc('\n', out);
    }
    for (size_t i = 0; i < model->timers.count; i++) {
        const struct timer *at = &model->timers.items[i];
        fprintf(out, "timer %s", nodes[at->node].name);
        look_bytes(out, at->key);
        look_bytes(out, at->name);
        fprintf(out, " %s %" PRId64 "\n", at->clock ? "clock" : "event", at->time_ms);
    }
    for (size_t i = 0; i < model->outputs.count; i++) {
        dump_output(model, i, offsets, out);
    }
    for (size_t i = 0; i < model->refusals.count; i++) {
        dump_refusal(model, i, out);
    }
    fclose(out);
    look_sort(text);
    return text;
}
