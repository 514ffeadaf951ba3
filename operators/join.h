/* join.h: what the joins share: how one is built, what a row or a record that waits looks like in
 * state, and how the author's function is called.
 *
 * What was put can no longer be rejected, so a join first asks the joiner for all the values that a
 * call makes, and has its effects then: wr_join_value says false once the call has rejected, and
 * the join returns and does nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_JOIN_H
#define WR_JOIN_H

#include <string.h>

#include "weir_ops.h"

/* What every join knows; the first member of its own structure. */
struct wr_join {
    weir_join_kind kind;
    weir_joiner_fn fn;
    void *arg;
};

static const weir_bytes wr_absent = {NULL, 0};

/* ---- Building -------------------------------------------------------------------------------- */

/* The texts one after the other, as long as the job. */
static inline const char *wr_join_words(weir_job *job, const char *before, const char *name,
                                        const char *behind)
{
    const char *parts[] = {before, name ? name : "", behind};
    size_t size = 1;
    for (size_t i = 0; i < 3; i++) {
        size += strlen(parts[i]);
    }
    char *text = weir_alloc(job, size), *end = text;
    for (size_t i = 0; i < 3; i++) {
        size = strlen(parts[i]);
        memcpy(end, parts[i], size);
        end += size;
    }
    return text;
}

/* A structure of so many bytes that begins with a struct wr_join. Refuses the job when there is no
 * joiner, or the kind is beyond `last`, the last one that this join has. */
static inline void *wr_join_new(weir_job *job, const char *name, weir_join_kind kind,
                                weir_join_kind last, weir_joiner_fn fn, void *arg, size_t size)
{
    struct wr_join *join = weir_alloc(job, size);
    *join = (struct wr_join){kind, fn, arg};
    if (!fn) {
        weir_refuse(job, "%s: no joiner; give the function that makes a value of two records",
                    name ? name : "a join");
    }
    if ((unsigned)kind > (unsigned)last) {
        weir_refuse(job, "%s: no such kind of join here; give %s", name ? name : "a join",
                    last == WEIR_OUTER ? "WEIR_INNER, WEIR_LEFT or WEIR_OUTER"
                                       : "WEIR_INNER or WEIR_LEFT");
    }
    return join;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

/* Sums that stay at the ends of time. */
static inline int64_t wr_time_add(int64_t time_ms, int64_t add_ms)
{
    int64_t sum;
    if (__builtin_add_overflow(time_ms, add_ms, &sum)) {
        return add_ms < 0 ? INT64_MIN : INT64_MAX;
    }
    return sum;
}
static inline int64_t wr_time_sub(int64_t time_ms, int64_t sub_ms)
{
    int64_t rest;
    if (__builtin_sub_overflow(time_ms, sub_ms, &rest)) {
        return sub_ms < 0 ? INT64_MAX : INT64_MIN;
    }
    return rest;
}

/* The bytes of weir_i64, in place. */
static inline unsigned char *wr_put_i64(unsigned char *at, int64_t value)
{
    uint64_t bits = (uint64_t)value ^ UINT64_C(1) << 63;
    for (int i = 0; i < 8; i++) {
        at[i] = (unsigned char)(bits >> (56 - 8 * i));
    }
    return at + 8;
}
static inline int64_t wr_get_i64(const unsigned char *at)
{
    int64_t value = 0;
    (void)weir_to_i64((weir_bytes){at, 8}, &value);
    return value;
}

/* ---- Rows in state: time (8 bytes), value ---------------------------------------------------- */

static inline weir_bytes wr_row_pack(weir_ctx *ctx, int64_t time_ms, weir_bytes value)
{
    unsigned char *row = weir_scratch(ctx, 8 + value.size);
    if (!row) {
        return wr_absent;
    }
    unsigned char *end = wr_put_i64(row, time_ms);
    if (value.size > 0) {
        memcpy(end, value.data, value.size);
    }
    return (weir_bytes){row, 8 + value.size};
}

/* The record that a row was made of, with this key; NULL when there is none. */
static inline const weir_record *wr_row_read(weir_bytes row, weir_bytes key, weir_record *record)
{
    if (!row.data || row.size < 8) {
        return NULL;
    }
    const unsigned char *bytes = row.data;
    *record =
        (weir_record){.key = key, .value = {bytes + 8, row.size - 8}, .time_ms = wr_get_i64(bytes)};
    return record;
}

/* ---- Joining --------------------------------------------------------------------------------- */

/* Whether this kind has a result of these two, either of which may be NULL. */
static inline bool wr_join_has(const struct wr_join *join, const weir_record *left,
                               const weir_record *right)
{
    return (left && right) || (left && join->kind != WEIR_INNER) ||
           (right && join->kind == WEIR_OUTER);
}

/* Asks the joiner. False: the call has rejected. */
static inline bool wr_join_value(weir_ctx *ctx, const struct wr_join *join, const weir_record *left,
                                 const weir_record *right, weir_bytes *value_out)
{
    *value_out = join->fn(ctx, left, right, join->arg);
    return !weir_rejected(ctx);
}

/* The higher of the times of those that are there. */
static inline int64_t wr_join_time(const weir_record *left, const weir_record *right)
{
    if (!left || !right) {
        return left ? left->time_ms : right->time_ms;
    }
    return left->time_ms > right->time_ms ? left->time_ms : right->time_ms;
}

#endif
