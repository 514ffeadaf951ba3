/* session.c: windows of records that are at most a gap apart. See weir_window_by in weir_ops.h.
 *
 * A record is near to at most two open sessions, one on each side, since those are more than a gap
 * apart themselves; it makes them one. What the author's functions are asked is, as in Kafka
 * Streams, first to merge, the earlier session first, then to add the record.
 *
 * State, version 1: for each key that has open sessions, the absent slot has all of them, by start:
 *
 *     start    8 bytes, big-endian, two's complement
 *     last     LEB128: last record's time - start
 *     ids      LEB128: a time within - start: what its ids of `distinct` have as prefix, see
 *              aggregation.h. It stays when the session begins earlier, so that they need not move
 *     size     LEB128: 1 + the total's; 0: it has none
 *     total
 *
 * in one slot, because few are open at once, and reading one value is several times faster than a
 * scan; so each record costs in proportion to its key's open sessions. A timer named
 * weir_i64(start) is due when the session closes, and moves with it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "operators/windows.h"

enum { HEAD_BYTES_MAX = 8 + 10 + 10 + 10, NEAR_MAX = 2 };

static const weir_bytes absent = {NULL, 0};

struct session {
    int64_t start_ms, last_ms; /* of its first and last record */
    int64_t ids_ms; /* what its ids have as prefix */
    weir_bytes total;
    bool gone; /* not to be written: it is a part of another, or closed */
};

/* ---- The sessions of a key ------------------------------------------------------------------- */

static unsigned char *put_varint(unsigned char *at, uint64_t number)
{
    for (; number >= 0x80; number >>= 7) {
        *at++ = (unsigned char)(number | 0x80);
    }
    *at++ = (unsigned char)number;
    return at;
}

static const unsigned char *get_varint(const unsigned char *at, const unsigned char *end,
                                       uint64_t *number_out)
{
    *number_out = 0;
    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        *number_out |= (uint64_t)(*at & 0x7f) << shift;
        if (!(*at++ & 0x80)) {
            return at;
        }
    }
    return NULL;
}

static const unsigned char *decode_one(const unsigned char *at, const unsigned char *end,
                                       struct session *session)
{
    if (end - at < 8) {
        return NULL;
    }
    uint64_t start = 0, length, ids, size;
    for (size_t i = 0; i < 8; i++) {
        start = start << 8 | at[i];
    }
    at = get_varint(at + 8, end, &length);
    at = at ? get_varint(at, end, &ids) : NULL;
    at = at ? get_varint(at, end, &size) : NULL;
    if (!at || (size && size - 1 > (uint64_t)(end - at))) {
        return NULL;
    }
    session->start_ms = (int64_t)start;
    session->last_ms = (int64_t)(start + length);
    session->ids_ms = (int64_t)(start + ids);
    session->total = size ? (weir_bytes){at, (size_t)size - 1} : absent;
    session->gone = false;
    return at + session->total.size;
}

/* The key's sessions, with room for one more; NULL: the call has failed. */
static struct session *decode(weir_ctx *ctx, size_t *count_out)
{
    weir_bytes value = weir_get(ctx, absent);
    const unsigned char *at = value.data, *end = at ? at + value.size : NULL;
    size_t room = value.size / 11 + 1; /* none is shorter than 11 bytes */
    struct session *sessions = weir_scratch(ctx, room * sizeof *sessions);
    *count_out = 0;
    while (sessions && at != end) {
        at = decode_one(at, end, &sessions[(*count_out)++]);
        if (!at) {
            weir_fail(ctx, WEIR_FATAL, "the open sessions of a key cannot be read from the store");
            return NULL;
        }
    }
    return sessions;
}

/* Stores those that are not gone. */
static void encode(weir_ctx *ctx, const struct session *sessions, size_t count)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++) {
        room += sessions[i].gone ? 0 : HEAD_BYTES_MAX + sessions[i].total.size;
    }
    if (room == 0) {
        weir_put(ctx, absent, absent);
        return;
    }
    unsigned char *bytes = weir_scratch(ctx, room), *at = bytes;
    for (size_t i = 0; bytes && i < count; i++) {
        const struct session *session = &sessions[i];
        if (session->gone) {
            continue;
        }
        uint64_t start = (uint64_t)session->start_ms;
        for (unsigned shift = 64; shift > 0; shift -= 8) {
            *at++ = (unsigned char)(start >> (shift - 8));
        }
        at = put_varint(at, (uint64_t)session->last_ms - start);
        at = put_varint(at, (uint64_t)session->ids_ms - start);
        at = put_varint(at, session->total.data ? session->total.size + 1 : 0);
        if (session->total.size) {
            memcpy(at, session->total.data, session->total.size);
            at += session->total.size;
        }
    }
    if (bytes) {
        weir_put(ctx, absent, (weir_bytes){bytes, (size_t)(at - bytes)});
    }
}

/* ---- Records --------------------------------------------------------------------------------- */

static weir_window window_of(const struct wr_window_by *by, const struct session *session)
{
    return (weir_window){session->start_ms, session->last_ms + by->windows.size};
}

/* A record, the open sessions that it is near to, by start, and what they become. */
struct joined {
    struct session now;
    struct session *near[NEAR_MAX];
    size_t near_count;
    struct wr_aggregation_ids ids;
    weir_record gone[NEAR_MAX], out; /* WEIR_EMIT_UPDATES */
    size_t gone_count;
};

static void find_near(const weir_ctx *ctx, const struct wr_window_by *by, const weir_record *in,
                      struct session *sessions, size_t count, struct joined *joined)
{
    int64_t gap_ms = by->windows.size;
    joined->now =
        (struct session){.start_ms = in->time_ms, .last_ms = in->time_ms, .ids_ms = in->time_ms};
    for (size_t i = 0; i < count && joined->near_count < NEAR_MAX; i++) {
        struct session *session = &sessions[i];
        if (session->last_ms + gap_ms < in->time_ms || in->time_ms + gap_ms < session->start_ms ||
            wr_window_is_closed(ctx, by, session->last_ms + gap_ms)) {
            continue;
        }
        joined->near[joined->near_count++] = session;
        if (session->start_ms < joined->now.start_ms) {
            joined->now.start_ms = session->start_ms;
        }
        if (session->last_ms > joined->now.last_ms) {
            joined->now.last_ms = session->last_ms;
        }
    }
}

/* The total of all; false: the call has rejected or failed. */
static bool total_up(weir_ctx *ctx, const struct wr_window_by *by, const weir_record *in,
                     struct joined *joined)
{
    weir_bytes id;
    if (joined->near_count > 0) { /* the first: it goes on as it is */
        joined->now.ids_ms = joined->near[0]->ids_ms;
        joined->now.total = joined->near[0]->total;
    }
    joined->ids.prefix = weir_i64(ctx, joined->now.ids_ms);
    joined->ids.use = WR_USE_SESSIONS;
    if (!wr_aggregation_id(ctx, &by->aggregation, in, &id)) {
        return false;
    }
    for (size_t i = 1; i < joined->near_count; i++) {
        const struct session *near = joined->near[i];
        if (!wr_aggregation_merge(ctx, &by->aggregation, &joined->ids, near->total,
                                  weir_i64(ctx, near->ids_ms), &joined->now.total)) {
            return false;
        }
    }
    return wr_aggregation_add(ctx, &by->aggregation, &joined->ids, in, id, &joined->now.total);
}

static bool is_same(weir_bytes a, weir_bytes b)
{
    return (a.data != NULL) == (b.data != NULL) && a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* What there is to say: the session that goes on by its start, and under the same key, has changed;
 * the others are gone. */
static bool tell(weir_ctx *ctx, const struct wr_window_by *by, const weir_record *in,
                 struct joined *joined)
{
    const weir_aggregation *aggregation = &by->aggregation;
    weir_window window = window_of(by, &joined->now);
    if (!wr_aggregation_change(ctx, aggregation, joined->now.total, absent, &window, in->time_ms,
                               &joined->out)) {
        return false;
    }
    for (size_t i = 0; i < joined->near_count; i++) {
        weir_window was = window_of(by, joined->near[i]);
        weir_record *gone = &joined->gone[joined->gone_count];
        if (!wr_aggregation_change(ctx, aggregation, absent, joined->near[i]->total, &was,
                                   in->time_ms, gone)) {
            return false;
        }
        if (was.start_ms == window.start_ms && joined->out.value.data &&
            is_same(gone->key, joined->out.key)) {
            joined->out.old = gone->old;
        } else if (wr_aggregation_is_change(gone)) {
            joined->gone_count++;
        }
    }
    return true;
}

/* Moves the timers, and puts the session in the place of those that it was made from. */
static void keep(weir_ctx *ctx, const struct wr_window_by *by, struct session *sessions,
                 size_t count, const struct joined *joined)
{
    const struct session *now = &joined->now;
    bool timed = false;
    for (size_t i = 0; i < joined->near_count; i++) {
        struct session *near = joined->near[i];
        near->gone = true;
        if (near->start_ms != now->start_ms) {
            weir_wake(ctx, weir_i64(ctx, near->start_ms), INT64_MAX);
        } else {
            timed = near->last_ms == now->last_ms;
        }
    }
    if (!timed) {
        weir_wake(ctx, weir_i64(ctx, now->start_ms),
                  window_of(by, now).end_ms + by->windows.grace_ms);
    }
    size_t at = count;
    for (; at > 0 && sessions[at - 1].start_ms > now->start_ms; at--) {
        sessions[at] = sessions[at - 1];
    }
    sessions[at] = *now;
    encode(ctx, sessions, count + 1);
}

static void add_record(weir_ctx *ctx, const struct wr_window_by *by, const weir_record *in)
{
    size_t count;
    struct joined joined = {.near_count = 0};
    struct session *sessions = wr_window_takes(ctx, in) ? decode(ctx, &count) : NULL;
    if (!sessions) {
        return;
    }
    find_near(ctx, by, in, sessions, count, &joined);
    if (joined.near_count == 0 && wr_window_is_closed(ctx, by, in->time_ms + by->windows.size)) {
        wr_window_late(ctx, by, in);
        return;
    }
    if (!total_up(ctx, by, in, &joined) ||
        (wr_window_tells_updates(by) && !tell(ctx, by, in, &joined))) {
        return;
    }
    wr_aggregation_keep(ctx, &joined.ids);
    keep(ctx, by, sessions, count, &joined);
    for (size_t i = 0; i < joined.gone_count; i++) {
        weir_emit(ctx, &joined.gone[i]);
    }
    if (wr_aggregation_is_change(&joined.out)) {
        weir_emit(ctx, &joined.out);
    }
}

/* ---- Closing --------------------------------------------------------------------------------- */

static void close_session(weir_ctx *ctx, const struct wr_window_by *by)
{
    weir_bytes name = weir_timer(ctx);
    int64_t start_ms;
    size_t count;
    struct session *sessions = weir_to_i64(name, &start_ms) ? decode(ctx, &count) : NULL;
    struct session *closed = NULL;
    for (size_t i = 0; sessions && i < count; i++) {
        if (sessions[i].start_ms == start_ms) {
            closed = &sessions[i];
        }
    }
    if (!closed) {
        return;
    }
    weir_window window = window_of(by, closed);
    weir_record out = {.value = absent};
    if (!wr_window_tells_updates(by) &&
        !wr_aggregation_change(ctx, &by->aggregation, closed->total, absent, &window,
                               window.end_ms - 1, &out)) {
        return;
    }
    closed->gone = true;
    encode(ctx, sessions, count);
    wr_aggregation_forget(ctx, &by->aggregation, weir_i64(ctx, closed->ids_ms));
    if (wr_aggregation_is_change(&out)) {
        weir_emit(ctx, &out);
    }
}

void wr_window_session(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct wr_window_by *by = arg;
    if (in) {
        add_record(ctx, by, in);
    } else {
        close_session(ctx, by);
    }
}
