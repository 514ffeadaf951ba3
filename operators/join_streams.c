/* join_streams.c: see weir_join_streams in weir_ops.h. Kafka Streams' KStream-KStream join, with
 * the bounds of Flink's interval join.
 *
 * A left record at l and a right one at r are a pair when l - before <= r <= l + after. So a left
 * record *reaches* `after` forward, a right one `before`, each as far back as the other reaches
 * forward. With W the watermark when a record at t comes:
 *
 *   a record is kept           while W <= t + reach + grace: some record that is not late, or by no
 *                              more than the grace, may still come and be its pair
 *   the record that came       is joined with each record of the other side that is kept and in
 *                              range, by time, then in the order they came; then it is kept itself
 *   it is rejected as late     when W > t + reach + grace + max(other side's reach, 0): nothing in
 *                              its range is kept, and nothing that may come is in it
 *   it is emitted alone        (LEFT: left ones, OUTER: both) if it has met no pair when it ceases
 *                              to be kept; at once, if it is not kept at all
 *
 * So whether two records are a pair depends on them, on their order, and on the watermark at the
 * later one; not on epochs, nor on when state is swept. A pair has the higher of the two times, a
 * record alone its own (a window behind this node needs a grace of reach + grace for those), both
 * the key and, when it is at hand, the headers of the record that came.
 *
 * An absent value is rejected. An absent key too, unless its side is emitted alone: then it is so
 * at once, whatever its time.
 *
 * State, version 1, numbers as weir_i64:
 *   the absent slot              left records kept, right ones, the next number, the last sweep set
 *   `l` or `r`, time, number     a record kept: a byte that is 1 once it has met a pair, its value;
 *                                the number has 4 bytes, the low ones
 * Timers: (`l` or `r`, time), for records that came without a pair and may end alone, when they
 * cease to be kept: takes all of this side and time away. (T), a sweep: takes away what is not kept
 * any longer at T but for those; T is rounded up, so that there are few. Timers are never moved, so
 * that all of them fire at the end of time.
 *
 * When the joiner rejects a record alone, the dead letter is the timer; the records of this key,
 * side and time stay until it is retried.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/join.h"

enum {
    GROUP_BYTES = 9, /* side, time: the slots of one side and time begin so */
    SLOT_BYTES = 13,
    KEPT_BYTES = 32,
    SWEEPS_A_SPAN = 4,
};
static const int64_t TIME_MAX = INT64_MAX - 1; /* of timers: INT64_MAX cancels */
static const int64_t SPAN_MAX = INT64_MAX / 8;
static const char letters[2] = {'l', 'r'};

struct join_streams {
    struct wr_join join;
    int64_t reach[2], grace, furthest, sweep_every;
    bool alone[2]; /* a side's records without a pair are results */
    const char *no_key, *no_value, *late;
};

/* What the absent slot says. */
struct kept {
    int64_t counts[2], next, sweep;
};

/* A record that is kept, as a scan found it. */
struct found {
    weir_bytes slot, value; /* the record's value */
    int64_t time_ms;
    unsigned side;
    bool paired; /* has met a pair */
    weir_bytes joined; /* with the record at hand, or alone */
    struct found *next;
};

struct list {
    struct found *first, **end;
    const struct join_streams *streams;
    int64_t sweep; /* of a sweep: its time */
};

/* ---- Times ----------------------------------------------------------------------------------- */

/* From this watermark on, a record is not kept. */
static int64_t end_of(const struct join_streams *streams, unsigned side, int64_t time_ms)
{
    int64_t last = wr_time_add(wr_time_add(time_ms, streams->reach[side]), streams->grace);
    return last >= TIME_MAX ? TIME_MAX : last + 1;
}

static bool is_late(const struct join_streams *streams, unsigned side, int64_t time_ms,
                    int64_t watermark_ms)
{
    int64_t other = streams->reach[1 - side] > 0 ? streams->reach[1 - side] : 0;
    int64_t last = wr_time_add(wr_time_add(time_ms, streams->reach[side]), streams->grace);
    return watermark_ms > wr_time_add(last, other);
}

/* The sweep that takes away what ceases to be kept at end_ms, and some before it. */
static int64_t sweep_of(const struct join_streams *streams, int64_t time_ms)
{
    int64_t end_ms = wr_time_add(wr_time_add(time_ms, streams->furthest), streams->grace);
    int64_t past = end_ms % streams->sweep_every;
    end_ms =
        wr_time_add(end_ms, streams->sweep_every - (past < 0 ? past + streams->sweep_every : past));
    return end_ms > TIME_MAX ? TIME_MAX : end_ms;
}

/* ---- State ----------------------------------------------------------------------------------- */

static struct kept read_kept(weir_ctx *ctx)
{
    weir_bytes value = weir_get(ctx, wr_absent);
    struct kept kept = {.sweep = INT64_MIN};
    if (value.size == KEPT_BYTES) {
        const unsigned char *at = value.data;
        kept = (struct kept){
            {wr_get_i64(at), wr_get_i64(at + 8)}, wr_get_i64(at + 16), wr_get_i64(at + 24)};
    }
    return kept;
}

static void put_kept(weir_ctx *ctx, const struct kept *kept)
{
    unsigned char bytes[KEPT_BYTES];
    wr_put_i64(wr_put_i64(bytes, kept->counts[0]), kept->counts[1]);
    wr_put_i64(wr_put_i64(bytes + 16, kept->next), kept->sweep);
    bool any = kept->counts[0] > 0 || kept->counts[1] > 0;
    weir_put(ctx, wr_absent, any ? (weir_bytes){bytes, sizeof bytes} : wr_absent);
}

static weir_bytes group_of(unsigned char at[GROUP_BYTES], unsigned side, int64_t time_ms)
{
    at[0] = (unsigned char)letters[side];
    wr_put_i64(at + 1, time_ms);
    return (weir_bytes){at, GROUP_BYTES};
}

static void put_record(weir_ctx *ctx, weir_bytes slot, weir_bytes value, bool paired)
{
    unsigned char *bytes = weir_scratch(ctx, 1 + value.size);
    if (bytes) {
        bytes[0] = paired;
        if (value.size > 0) {
            memcpy(bytes + 1, value.data, value.size);
        }
        weir_put(ctx, slot, (weir_bytes){bytes, 1 + value.size});
    }
}

/* Appends to a list what a scan visits; in a sweep, only what it takes away. */
static bool visit(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    struct list *list = arg;
    const unsigned char *at = slot.data, *bytes = value.data;
    if (slot.size != SLOT_BYTES || value.size < 1) {
        return true; /* nothing that this version wrote */
    }
    struct found found = {.slot = slot,
                          .value = {bytes + 1, value.size - 1},
                          .time_ms = wr_get_i64(at + 1),
                          .side = at[0] == (unsigned char)letters[1],
                          .paired = bytes[0] != 0};
    if (list->sweep != INT64_MIN &&
        (end_of(list->streams, found.side, found.time_ms) > list->sweep ||
         (list->streams->alone[found.side] && !found.paired))) {
        return true;
    }
    struct found *kept = weir_scratch(ctx, sizeof *kept);
    if (!kept) {
        return false;
    }
    *kept = found;
    *list->end = kept;
    list->end = &kept->next;
    return true;
}

/* The records of one side with times from first to last, in order. */
static void scan(weir_ctx *ctx, unsigned side, int64_t first, int64_t last, struct list *list)
{
    unsigned char from[GROUP_BYTES], to[GROUP_BYTES];
    weir_bytes lower = group_of(from, side, first), upper = group_of(to, side, last);
    if (last < INT64_MAX) {
        wr_put_i64(to + 1, last + 1);
    } else {
        to[0]++;
        upper.size = 1;
    }
    if (first <= last) {
        weir_scan(ctx, lower, upper, visit, list);
    }
}

static void start_list(struct list *list, const struct join_streams *streams)
{
    *list = (struct list){.streams = streams, .sweep = INT64_MIN};
    list->end = &list->first;
}

/* ---- A record -------------------------------------------------------------------------------- */

static void emit(weir_ctx *ctx, weir_bytes value, int64_t time_ms)
{
    weir_record out = weir_reply(ctx, value);
    out.time_ms = time_ms;
    weir_emit(ctx, &out);
}

static bool join_pair(weir_ctx *ctx, const struct join_streams *streams, unsigned side,
                      const weir_record *in, struct found *found)
{
    weir_record other = {.key = in->key, .value = found->value, .time_ms = found->time_ms};
    return wr_join_value(ctx, &streams->join, side ? &other : in, side ? in : &other,
                         &found->joined);
}

static bool join_alone(weir_ctx *ctx, const struct join_streams *streams, unsigned side,
                       const weir_record *record, weir_bytes *value_out)
{
    return wr_join_value(ctx, &streams->join, side ? NULL : record, side ? record : NULL,
                         value_out);
}

/* Keeps the record that came, with the timer that takes it away again. */
static void keep(weir_ctx *ctx, const struct join_streams *streams, unsigned side,
                 const weir_record *in, bool paired, struct kept *kept)
{
    unsigned char slot[SLOT_BYTES], number[8], sweep[8];
    weir_bytes group = group_of(slot, side, in->time_ms);
    memcpy(slot + GROUP_BYTES, wr_put_i64(number, kept->next++) - 4, 4);
    put_record(ctx, (weir_bytes){slot, sizeof slot}, in->value, paired);
    kept->counts[side]++;
    int64_t sweep_ms = sweep_of(streams, in->time_ms);
    if (streams->alone[side] && !paired) {
        weir_wake(ctx, group, end_of(streams, side, in->time_ms));
    } else if (sweep_ms != kept->sweep) {
        kept->sweep = sweep_ms;
        wr_put_i64(sweep, sweep_ms);
        weir_wake(ctx, (weir_bytes){sweep, sizeof sweep}, sweep_ms);
    }
    put_kept(ctx, kept);
}

/* What of the other side is in range and kept. */
static void find_pairs(weir_ctx *ctx, const struct join_streams *streams, unsigned side,
                       int64_t time_ms, struct list *list)
{
    int64_t reach = streams->reach[1 - side];
    int64_t first = wr_time_sub(time_ms, reach);
    int64_t oldest = wr_time_sub(wr_time_sub(weir_watermark(ctx), reach), streams->grace);
    scan(ctx, 1 - side, first > oldest ? first : oldest, wr_time_add(time_ms, streams->reach[side]),
         list);
}

static void run_record(weir_ctx *ctx, const weir_record *in, const struct join_streams *streams)
{
    unsigned side = weir_input(ctx);
    bool kept_now = weir_watermark(ctx) < end_of(streams, side, in->time_ms);
    struct list pairs;
    struct kept kept = read_kept(ctx);
    start_list(&pairs, streams);
    if (kept.counts[1 - side] > 0) {
        find_pairs(ctx, streams, side, in->time_ms, &pairs);
    }
    for (struct found *found = pairs.first; found; found = found->next) {
        if (!join_pair(ctx, streams, side, in, found)) {
            return;
        }
    }
    weir_bytes alone = wr_absent;
    bool alone_now = !pairs.first && !kept_now && streams->alone[side];
    if (alone_now && !join_alone(ctx, streams, side, in, &alone)) {
        return;
    }
    if (kept_now) {
        keep(ctx, streams, side, in, pairs.first != NULL, &kept);
    }
    for (struct found *found = pairs.first; found; found = found->next) {
        if (streams->alone[1 - side] && !found->paired) {
            put_record(ctx, found->slot, found->value, true);
        }
        emit(ctx, found->joined, found->time_ms > in->time_ms ? found->time_ms : in->time_ms);
    }
    if (alone_now) {
        emit(ctx, alone, in->time_ms);
    }
}

/* ---- A timer --------------------------------------------------------------------------------- */

static void run_timer(weir_ctx *ctx, const struct join_streams *streams)
{
    weir_bytes name = weir_timer(ctx);
    const unsigned char *at = name.data;
    struct list gone;
    struct kept kept = read_kept(ctx);
    start_list(&gone, streams);
    if (name.size == GROUP_BYTES) {
        int64_t time_ms = wr_get_i64(at + 1);
        scan(ctx, at[0] == (unsigned char)letters[1], time_ms, time_ms, &gone);
    } else {
        gone.sweep = weir_time(ctx);
        for (unsigned side = 0; side < 2; side++) {
            int64_t last = wr_time_sub(gone.sweep, streams->reach[side]);
            scan(ctx, side, INT64_MIN, wr_time_sub(last, streams->grace), &gone);
        }
    }
    for (struct found *found = gone.first; found; found = found->next) {
        weir_record record = {
            .key = weir_key(ctx), .value = found->value, .time_ms = found->time_ms};
        if (streams->alone[found->side] && !found->paired &&
            !join_alone(ctx, streams, found->side, &record, &found->joined)) {
            return;
        }
    }
    for (struct found *found = gone.first; found; found = found->next) {
        kept.counts[found->side]--;
        weir_put(ctx, found->slot, wr_absent);
    }
    if (gone.first) {
        put_kept(ctx, &kept);
    }
    for (struct found *found = gone.first; found; found = found->next) {
        if (streams->alone[found->side] && !found->paired) {
            emit(ctx, found->joined, found->time_ms);
        }
    }
}

static void run_join_streams(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct join_streams *streams = arg;
    if (!in) {
        run_timer(ctx, streams);
        return;
    }
    unsigned side = weir_input(ctx);
    weir_bytes value;
    if (!in->value.data || (!in->key.data && !streams->alone[side])) {
        weir_reject(ctx, in->value.data ? streams->no_key : streams->no_value);
    } else if (!in->key.data) {
        if (join_alone(ctx, streams, side, in, &value)) {
            emit(ctx, value, in->time_ms);
        }
    } else if (is_late(streams, side, in->time_ms, weir_watermark(ctx))) {
        weir_reject(ctx, streams->late);
    } else {
        run_record(ctx, in, streams);
    }
}

/* ---- Building -------------------------------------------------------------------------------- */

static bool is_span(weir_span span)
{
    const int64_t all[] = {span.before_ms, span.after_ms, span.grace_ms};
    for (size_t i = 0; i < 3; i++) {
        if (all[i] > SPAN_MAX || all[i] < -SPAN_MAX) {
            return false;
        }
    }
    return span.before_ms + span.after_ms >= 0 && span.grace_ms >= 0;
}

weir_stream *weir_join_streams(weir_stream *left, const char *name, weir_stream *right,
                               weir_join_kind kind, weir_span span, weir_joiner_fn fn, void *arg)
{
    weir_job *job = weir_job_of(left);
    struct join_streams *streams =
        wr_join_new(job, name, kind, WEIR_OUTER, fn, arg, sizeof *streams);
    if (!is_span(span)) {
        weir_refuse(job,
                    "%s: no span from %lld ms before to %lld ms after, with %lld ms of grace; "
                    "before + after and grace must be 0 or more",
                    name ? name : "a join", (long long)span.before_ms, (long long)span.after_ms,
                    (long long)span.grace_ms);
        span = (weir_span){0, 0, 0};
    }
    streams->reach[0] = span.after_ms;
    streams->reach[1] = span.before_ms;
    streams->grace = span.grace_ms;
    streams->furthest = span.after_ms > span.before_ms ? span.after_ms : span.before_ms;
    streams->sweep_every = (span.before_ms + span.after_ms + span.grace_ms) / SWEEPS_A_SPAN + 1;
    streams->alone[0] = kind != WEIR_INNER;
    streams->alone[1] = kind == WEIR_OUTER;
    streams->no_key = wr_join_words(job, "no key: ", name, " joins by key");
    streams->no_value = wr_join_words(job, "no value: ", name, " has nothing to join");
    streams->late = wr_join_words(job, "late: all that ", name, " could join it with is gone");
    weir_stream *node = weir_through(left, name, run_join_streams, streams);
    weir_with(node, right);
    weir_state(node, 1, NULL, NULL);
    return node;
}
