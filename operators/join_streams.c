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
 * State, version 1: join_buckets.h; a record is marked once it has met a pair or was emitted alone.
 * Timers, never moved, so that all of them fire at the end of time: of buckets; and (`l` or `r`,
 * time), for records that came without a pair and may end alone, when they cease to be kept.
 *
 * When the joiner rejects a record alone, the dead letter is the timer; the records of this key,
 * side and time stay until it is retried. The span may change between runs, for what comes
 * then; the kind may not (what is kept has the timers of its kind).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/join_buckets.h"

enum { BUCKETS_A_SPAN = 2 };
static const int64_t SPAN_MAX = INT64_MAX / 8;

struct join_streams {
    struct wr_join join;
    int64_t reach[2], grace;
    struct wr_bucket_rule rule;
    bool alone[2]; /* a side's records without a pair are results */
    const char *no_key, *no_value, *late;
};

/* ---- Times ----------------------------------------------------------------------------------- */

/* From this watermark on, a record is not kept. */
static int64_t end_of(const struct join_streams *streams, unsigned side, int64_t time_ms)
{
    int64_t last = wr_time_add(wr_time_add(time_ms, streams->reach[side]), streams->grace);
    return last >= WR_TIMER_MAX ? WR_TIMER_MAX : last + 1;
}

static bool is_late(const struct join_streams *streams, unsigned side, int64_t time_ms,
                    int64_t watermark_ms)
{
    int64_t other = streams->reach[1 - side] > 0 ? streams->reach[1 - side] : 0;
    int64_t last = wr_time_add(wr_time_add(time_ms, streams->reach[side]), streams->grace);
    return watermark_ms > wr_time_add(last, other);
}

/* ---- A record -------------------------------------------------------------------------------- */

static void emit(weir_ctx *ctx, weir_bytes value, int64_t time_ms)
{
    weir_record out = weir_reply(ctx, value);
    out.time_ms = time_ms;
    weir_emit(ctx, &out);
}

static bool join_pair(weir_ctx *ctx, const struct join_streams *streams, unsigned side,
                      const weir_record *in, struct wr_found *found)
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

/* Keeps the record that came, with the timers that end it. */
static void keep(weir_ctx *ctx, const struct join_streams *streams, unsigned side,
                 const weir_record *in, bool paired, struct wr_buckets *buckets)
{
    struct wr_bucket *bucket = wr_buckets_at(buckets, in->time_ms);
    bool is_new = !bucket, grew;
    if (is_new) {
        bucket = wr_buckets_add(ctx, &streams->rule, buckets, in->time_ms);
    }
    wr_buckets_append(ctx, bucket, side, in, paired, &grew);
    if (is_new || grew) {
        wr_buckets_put(ctx, buckets);
    }
    if (streams->alone[side] && !paired) {
        unsigned char name[WR_GROUP_BYTES];
        weir_wake(ctx, wr_group_name(name, side, in->time_ms), end_of(streams, side, in->time_ms));
    }
}

/* What of the other side is in range and kept. */
static void find_pairs(weir_ctx *ctx, const struct join_streams *streams, unsigned side,
                       int64_t time_ms, const struct wr_buckets *buckets, struct wr_search *search)
{
    int64_t reach = streams->reach[1 - side];
    int64_t first = wr_time_sub(time_ms, reach);
    int64_t oldest = wr_time_sub(wr_time_sub(weir_watermark(ctx), reach), streams->grace);
    *search = (struct wr_search){.side = 1 - side,
                                 .first_ms = first > oldest ? first : oldest,
                                 .last_ms = wr_time_add(time_ms, streams->reach[side])};
    wr_buckets_find(ctx, buckets, search);
}

static void run_record(weir_ctx *ctx, const weir_record *in, const struct join_streams *streams)
{
    unsigned side = weir_input(ctx);
    bool kept = weir_watermark(ctx) < end_of(streams, side, in->time_ms);
    struct wr_buckets buckets;
    struct wr_search pairs;
    if (!wr_buckets_read(ctx, &buckets)) {
        return;
    }
    find_pairs(ctx, streams, side, in->time_ms, &buckets, &pairs);
    for (size_t i = 0; i < pairs.count; i++) {
        if (!join_pair(ctx, streams, side, in, pairs.sorted[i])) {
            return;
        }
    }
    weir_bytes alone = wr_absent;
    bool alone_now = pairs.count == 0 && !kept && streams->alone[side];
    if (alone_now && !join_alone(ctx, streams, side, in, &alone)) {
        return;
    }
    if (kept) {
        keep(ctx, streams, side, in, pairs.count > 0, &buckets);
    }
    for (size_t i = 0; streams->alone[1 - side] && i < pairs.count; i++) {
        if (!wr_found_is_marked(pairs.sorted[i])) {
            wr_found_mark(ctx, pairs.sorted[i]);
        }
    }
    wr_chunks_put(ctx, pairs.chunks);
    for (size_t i = 0; i < pairs.count; i++) {
        int64_t other_ms = pairs.sorted[i]->time_ms;
        emit(ctx, pairs.sorted[i]->joined, other_ms > in->time_ms ? other_ms : in->time_ms);
    }
    if (alone_now) {
        emit(ctx, alone, in->time_ms);
    }
}

/* ---- Timers ---------------------------------------------------------------------------------- */

/* The records of a side and time that have met no pair, at the time from which they cannot. */
static void end_alone(weir_ctx *ctx, const struct join_streams *streams, struct wr_buckets *buckets)
{
    weir_bytes name = weir_timer(ctx);
    int64_t time_ms = wr_get_i64((const unsigned char *)name.data + 1);
    struct wr_search ends = {
        .side = wr_group_side(name), .first_ms = time_ms, .last_ms = time_ms, .single = true};
    wr_buckets_find(ctx, buckets, &ends);
    for (size_t i = 0; i < ends.count; i++) {
        struct wr_found *found = ends.sorted[i];
        weir_record record = {.key = weir_key(ctx), .value = found->value, .time_ms = time_ms};
        if (!join_alone(ctx, streams, ends.side, &record, &found->joined)) {
            return;
        }
    }
    for (size_t i = 0; i < ends.count; i++) {
        wr_found_mark(ctx, ends.sorted[i]);
    }
    wr_chunks_put(ctx, ends.chunks);
    struct wr_bucket *bucket = wr_buckets_at(buckets, time_ms);
    if (bucket && weir_watermark(ctx) >= wr_bucket_end(&streams->rule, bucket)) {
        wr_buckets_drop(ctx, streams->alone, buckets,
                        bucket); /* a dead letter taken again: it stayed */
    }
    for (size_t i = 0; i < ends.count; i++) {
        emit(ctx, ends.sorted[i]->joined, time_ms);
    }
}

static void run_timer(weir_ctx *ctx, const struct join_streams *streams)
{
    weir_bytes name = weir_timer(ctx);
    struct wr_buckets buckets;
    if (!wr_buckets_read(ctx, &buckets)) {
        return;
    }
    if (name.size == WR_GROUP_BYTES) {
        end_alone(ctx, streams, &buckets);
        return;
    }
    int64_t first_ms = wr_get_i64(name.data);
    for (size_t i = 0; i < buckets.count; i++) {
        struct wr_bucket *bucket = &buckets.items[i];
        if (bucket->first_ms != first_ms) {
            continue;
        }
        if (wr_bucket_end(&streams->rule, bucket) > weir_time(ctx)) { /* the span has grown */
            weir_wake(ctx, name, wr_bucket_end(&streams->rule, bucket));
        } else {
            wr_buckets_drop(ctx, streams->alone, &buckets, bucket);
        }
        return;
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
    streams->rule.after_ms =
        (span.after_ms > span.before_ms ? span.after_ms : span.before_ms) + span.grace_ms;
    streams->rule.width_ms = (span.before_ms + span.after_ms + span.grace_ms) / BUCKETS_A_SPAN + 1;
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
