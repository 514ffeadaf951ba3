/* top_changes.c: weir_top of a table's changes, which may take rows away again.
 *
 * State, version 2, of each key; numbers as weir_i64 unless it is said:
 *
 *   the absent slot                   the n best rows, so that most changes need no other: n and
 *                                     how many there are (4 bytes each, little-endian), and of
 *                                     each, the worst first, its number, time, sequence, its
 *                                     value's size, its value
 *   's'                               the next row's sequence
 *   'r' ~number time sequence         each row, the best first in byte order: its value
 *   'v' number hash                   where the row with a value is, the hash being the value's:
 *                                     how many rows have this number and hash, and time and
 *                                     sequence of the last of them
 *   'v' number hash i                 the others' (i from 0 on)
 *
 * Removed slots stay in memory for a while and are in a scan's way, so there is none but where a
 * row leaves the best and the next best one has to be found, which a row that got better never
 * asks for.
 *
 * Long because rows, the index of them and the list of the best are one state.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "operators/top.h"

static const weir_bytes absent = {NULL, 0};

enum {
    ROW_SLOT = 25, /* 'r', number, time, sequence */
    VALUE_SLOT = 17, /* 'v', number, hash */
    BEST_HEAD = 8,
    BEST_ROW = 32,
    PLACE = 16, /* time, sequence */
};

/* One call: what is there, and what it is to be. */
struct call {
    const struct wr_top *top;
    weir_bytes best; /* the absent slot as it is */
    int64_t sequence; /* the next row's */
    struct wr_top_row gone, came; /* value absent: none */
    size_t gone_at; /* the place of `gone` among those with its number and hash */
    struct wr_top_rows before, after;
    bool is_rank; /* one of the n best is another one now */
};

/* ---- Numbers in slots and values ------------------------------------------------------------- */

/* As weir_i64 does. Returns where the next one goes. */
static unsigned char *put_number(unsigned char *at, int64_t number)
{
    uint64_t bits = (uint64_t)number ^ (UINT64_C(1) << 63);
    for (size_t i = 0; i < 8; i++) {
        at[i] = (unsigned char)(bits >> (56 - 8 * i));
    }
    return at + 8;
}

static int64_t get_number(const unsigned char *at)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < 8; i++) {
        bits = bits << 8 | at[i];
    }
    return (int64_t)(bits ^ (UINT64_C(1) << 63));
}

static void put_count(unsigned char *at, size_t count)
{
    for (size_t i = 0; i < 4; i++) {
        at[i] = (unsigned char)(count >> (8 * i));
    }
}

static size_t get_count(const unsigned char *at)
{
    return (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

/* FNV-1a. */
static int64_t hash_of(weir_bytes value)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < value.size; i++) {
        hash = (hash ^ ((const unsigned char *)value.data)[i]) * UINT64_C(1099511628211);
    }
    return (int64_t)hash;
}

static bool is_same(weir_bytes a, weir_bytes b)
{
    return a.data && b.data && a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* What the author's functions see of one of a change's two values. */
static weir_record one_of(const weir_record *in, weir_bytes value)
{
    weir_record one = *in;
    one.value = value;
    one.old = absent;
    return one;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static weir_bytes row_slot(unsigned char at[ROW_SLOT], const struct wr_top_row *row)
{
    at[0] = 'r';
    put_number(put_number(put_number(at + 1, ~row->number), row->time_ms), row->sequence);
    return (weir_bytes){at, ROW_SLOT};
}

static struct wr_top_row row_of(weir_bytes slot, weir_bytes value)
{
    const unsigned char *at = slot.data;
    return (struct wr_top_row){~get_number(at + 1), get_number(at + 9), get_number(at + 17), value};
}

/* Whether a row stands before another. */
static bool is_before(const struct wr_top_row *a, const struct wr_top_row *b)
{
    if (a->number != b->number) {
        return a->number > b->number;
    }
    return a->time_ms != b->time_ms ? a->time_ms < b->time_ms : a->sequence < b->sequence;
}

static bool is_row(const struct wr_top_row *a, const struct wr_top_row *b)
{
    return a->number == b->number && a->time_ms == b->time_ms && a->sequence == b->sequence;
}

/* ---- The rows of one number and hash: a stack ------------------------------------------------ */

static weir_bytes value_slot(unsigned char at[VALUE_SLOT + 8], const struct wr_top_row *row)
{
    at[0] = 'v';
    put_number(put_number(at + 1, row->number), hash_of(row->value));
    return (weir_bytes){at, VALUE_SLOT};
}

static weir_bytes value_slot_at(unsigned char at[VALUE_SLOT + 8], const struct wr_top_row *row,
                                size_t index)
{
    (void)value_slot(at, row);
    put_number(at + VALUE_SLOT, (int64_t)index);
    return (weir_bytes){at, VALUE_SLOT + 8};
}

/* How many there are, and the place of the last. */
static size_t stack_of(weir_ctx *ctx, const struct wr_top_row *row, weir_bytes *last_out)
{
    unsigned char slot[VALUE_SLOT + 8];
    weir_bytes stack = weir_get(ctx, value_slot(slot, row));
    if (stack.size != 8 + PLACE) {
        return 0;
    }
    *last_out = (weir_bytes){(const unsigned char *)stack.data + 8, PLACE};
    return (size_t)get_number(stack.data);
}

static void put_stack(weir_ctx *ctx, const struct wr_top_row *row, size_t count, weir_bytes last)
{
    unsigned char slot[VALUE_SLOT + 8], stack[8 + PLACE];
    put_number(stack, (int64_t)count);
    memcpy(stack + 8, last.data, PLACE);
    weir_put(ctx, value_slot(slot, row), (weir_bytes){stack, sizeof stack});
}

static void push(weir_ctx *ctx, const struct wr_top_row *row)
{
    unsigned char slot[VALUE_SLOT + 8], place[PLACE];
    weir_bytes last;
    size_t count = stack_of(ctx, row, &last);
    put_number(put_number(place, row->time_ms), row->sequence);
    if (count > 0) {
        weir_put(ctx, value_slot_at(slot, row, count - 1), last);
    }
    put_stack(ctx, row, count + 1, (weir_bytes){place, PLACE});
}

/* The last one takes the place of the one that goes. */
static void take(weir_ctx *ctx, const struct wr_top_row *row, size_t index)
{
    unsigned char slot[VALUE_SLOT + 8];
    weir_bytes last;
    size_t count = stack_of(ctx, row, &last);
    if (count < 2) {
        weir_put(ctx, value_slot(slot, row), absent);
        return;
    }
    weir_bytes below = weir_get(ctx, value_slot_at(slot, row, count - 2));
    if (below.size != PLACE) {
        return; /* the read failed: the epoch will be undone */
    }
    if (index + 2 < count) {
        weir_put(ctx, value_slot_at(slot, row, index), last);
        last = below;
    } else if (index + 1 == count) {
        last = below;
    }
    weir_put(ctx, value_slot_at(slot, row, count - 2), absent);
    put_stack(ctx, row, count - 1, last);
}

/* Finds the row of a change's old value; false: rejected. */
static bool find_old(weir_ctx *ctx, struct call *call, const weir_record *in)
{
    weir_record one = one_of(in, in->old);
    struct wr_top_row row = {.value = in->old};
    unsigned char slot[VALUE_SLOT + 8];
    weir_bytes place = absent;
    if (!wr_number_of(ctx, call->top->number, call->top->arg, &one, &row.number)) {
        return false;
    }
    for (size_t i = stack_of(ctx, &row, &place); i > 0; i--) {
        if (place.size == PLACE) {
            row.time_ms = get_number(place.data);
            row.sequence = get_number((const unsigned char *)place.data + 8);
            if (is_same(weir_get(ctx, row_slot(slot, &row)), in->old)) {
                call->gone = row;
                call->gone_at = i - 1;
                return true;
            }
        }
        place = i > 1 ? weir_get(ctx, value_slot_at(slot, &row, i - 2)) : absent;
    }
    weir_reject(ctx, "a change of what was not here: its old value is no row");
    return false;
}

/* ---- The best -------------------------------------------------------------------------------- */

static const unsigned char *unpack_row(const unsigned char *at, struct wr_top_row *row)
{
    size_t size = (size_t)get_number(at + 24);
    *row = (struct wr_top_row){
        get_number(at), get_number(at + 8), get_number(at + 16), {at + BEST_ROW, size}};
    return at + BEST_ROW + size;
}

/* Whether what is kept is the list of as many as are asked for now. */
static bool is_kept(const struct call *call)
{
    return call->best.size >= BEST_HEAD && get_count(call->best.data) == call->top->n;
}

/* The worst of n best; false: all rows are among the best. */
static bool worst_of(const struct call *call, struct wr_top_row *worst_out)
{
    const unsigned char *at = call->best.data;
    if (!is_kept(call) || get_count(at + 4) < call->top->n) {
        return false;
    }
    (void)unpack_row(at + BEST_HEAD, worst_out);
    return true;
}

struct search {
    const struct call *call;
    struct wr_top_rows rows;
    size_t most;
};

static bool visit(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    (void)ctx;
    struct search *search = arg;
    if (slot.size == ROW_SLOT) {
        struct wr_top_row row = row_of(slot, value);
        if (!search->call || !search->call->gone.value.data || !is_row(&row, &search->call->gone)) {
            search->rows.items[search->rows.count++] = row;
        }
    }
    return search->rows.count < search->most;
}

/* The best rows before the change; room for one more is behind them. False: no memory. */
static bool read_best(weir_ctx *ctx, struct call *call)
{
    struct wr_top_rows *before = &call->before;
    const unsigned char *at = call->best.data;
    size_t count = is_kept(call) ? get_count(at + 4) : call->top->n;
    struct search search = {
        NULL, {weir_scratch(ctx, (count + 1) * sizeof *before->items), 0}, count};
    if (!search.rows.items) {
        return false;
    }
    if (is_kept(call)) {
        search.rows.count = count;
        at += BEST_HEAD;
        for (size_t i = count; i > 0; i--) {
            at = unpack_row(at, &search.rows.items[i - 1]);
        }
    } else {
        weir_scan(ctx, (weir_bytes){"r", 1}, (weir_bytes){"s", 1}, visit, &search);
    }
    *before = search.rows;
    return true;
}

/* Appends the best row that is not in the list, if there is one: there is room. */
static void refill(weir_ctx *ctx, struct call *call)
{
    unsigned char from[ROW_SLOT + 1] = "r";
    size_t size = 1;
    struct wr_top_row next;
    struct search search = {call, {&next, 0}, 1};
    if (call->after.count > 0) {
        (void)row_slot(from, &call->after.items[call->after.count - 1]);
        from[ROW_SLOT] = 0; /* just behind it */
        size = sizeof from;
    }
    weir_scan(ctx, (weir_bytes){from, size}, (weir_bytes){"s", 1}, visit, &search);
    if (search.rows.count > 0) {
        call->after.items[call->after.count++] = next;
    }
}

/* The best rows after the change, if they are others. False: no memory. */
static bool rank(weir_ctx *ctx, struct call *call)
{
    struct wr_top_row worst;
    bool full = worst_of(call, &worst), went = call->gone.value.data, came = call->came.value.data;
    if (full && (!went || is_before(&worst, &call->gone)) &&
        (!came || is_before(&worst, &call->came))) {
        return true;
    }
    if (!read_best(ctx, call)) {
        return false;
    }
    struct wr_top_rows before = call->before;
    full = before.count == call->top->n;
    call->after.items = weir_scratch(ctx, (before.count + 1) * sizeof *before.items);
    for (size_t i = 0; call->after.items && i < before.count; i++) {
        if (!went || !is_row(&before.items[i], &call->gone)) {
            call->after.items[call->after.count++] = before.items[i];
        }
    }
    /* A row that got better stays before all that are not in the list. */
    if (call->after.items && full && call->after.count < before.count &&
        (!came || is_before(&call->gone, &call->came))) {
        refill(ctx, call);
    }
    call->is_rank = true;
    return call->after.items &&
           (!came || wr_top_insert(ctx, call->top, call->after, &call->came, &call->after));
}

static void keep_best(weir_ctx *ctx, const struct call *call)
{
    size_t size = BEST_HEAD, count = call->after.count;
    for (size_t i = 0; i < count; i++) {
        size += BEST_ROW + call->after.items[i].value.size;
    }
    unsigned char *best = weir_scratch(ctx, size), *at = best;
    if (!best) {
        return;
    }
    put_count(at, call->top->n);
    put_count(at + 4, count);
    at += BEST_HEAD;
    for (size_t i = count; i > 0; i--) {
        const struct wr_top_row *row = &call->after.items[i - 1];
        at = put_number(put_number(put_number(at, row->number), row->time_ms), row->sequence);
        at = put_number(at, (int64_t)row->value.size);
        if (row->value.size) {
            memcpy(at, row->value.data, row->value.size);
        }
        at += row->value.size;
    }
    weir_put(ctx, absent, count > 0 ? (weir_bytes){best, size} : absent);
}

/* ---- A change -------------------------------------------------------------------------------- */

static const char *wrong_with(const weir_record *in)
{
    if (!in->key.data) {
        return "no key: the best rows of each key are kept";
    }
    return in->value.data || in->old.data ? NULL : "no value: there is no row";
}

/* What is asked of the author and of state. False: rejected, or no memory. */
static bool look(weir_ctx *ctx, struct call *call, const weir_record *in,
                 struct wr_top_changes *changes)
{
    weir_record now = one_of(in, in->value);
    if (in->old.data && !find_old(ctx, call, in)) {
        return false;
    }
    call->best = weir_get(ctx, absent);
    if (in->value.data) {
        call->came = (struct wr_top_row){.time_ms = in->time_ms, .value = in->value};
        (void)weir_to_i64(weir_get(ctx, weir_text("s")), &call->came.sequence);
        if (!wr_number_of(ctx, call->top->number, call->top->arg, &now, &call->came.number)) {
            return false;
        }
    }
    return rank(ctx, call) && wr_top_compare(ctx, call->top, call->before, call->after, changes);
}

void wr_top_of_changes(weir_ctx *ctx, const weir_record *in, void *arg)
{
    struct call call = {.top = arg};
    struct wr_top_changes changes;
    unsigned char slot[ROW_SLOT];
    const char *wrong = wrong_with(in);
    if (wrong) {
        weir_reject(ctx, wrong);
        return;
    }
    if (!look(ctx, &call, in, &changes)) {
        return;
    }
    if (call.gone.value.data) {
        weir_put(ctx, row_slot(slot, &call.gone), absent);
        take(ctx, &call.gone, call.gone_at);
    }
    if (call.came.value.data) {
        weir_put(ctx, row_slot(slot, &call.came), call.came.value);
        weir_put(ctx, weir_text("s"), weir_i64(ctx, call.came.sequence + 1));
        push(ctx, &call.came);
    }
    if (call.is_rank) {
        keep_best(ctx, &call);
    }
    wr_top_emit(ctx, &changes);
}
