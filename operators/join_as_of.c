/* join_as_of.c: see weir_join_as_of in weir_ops.h. Flink's event-time temporal join.
 *
 * Each right record is a version of its key's row, from its time on until the time of the next one;
 * an absent value is a version too: there is no row then. Of two at the same time the one that came
 * last counts. A left record waits until the watermark has passed its time, so that every right
 * record of that time or before is there (at the watermark itself more may come), and is joined
 * with the newest version that is not newer than itself: at its own time, in the order of these
 * times, and of arrival where they are equal. One that comes when the watermark has passed it
 * already is joined at once.
 *
 * With keep_ms, a record of either side from before watermark - keep_ms is rejected as late, and a
 * version goes once no other left record can need it, that is when a later one is not newer than
 * watermark - keep_ms (so does a removal that is then the oldest). Late right records change
 * nothing that was emitted.
 *
 * An absent left value is rejected; an absent left key too (INNER), or joined with NULL (LEFT); an
 * absent right key is rejected.
 *
 * State, version 1, numbers as weir_i64:
 *   the absent slot       the newest version's time, the last sweep that was set; from the newest
 *                         each version leads to the one before, so that none has to be searched
 *   `r`, time             a version: a byte (1: has a value, 2: there is one before), the time of
 *                         that, the value
 *   `l`, time             the first left record that waits: how many do at that time, its value
 *   `l`, time, number     the others' values
 * Timers: (`l`, time) of left records that wait; (T), a sweep, rounded up so that there are few.
 * When the joiner rejects a record that waited, the dead letter is the timer, and all records of
 * this key and time stay until it is retried.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/join.h"

enum {
    GROUP_BYTES = 9, /* letter, time */
    SLOT_BYTES = 17, /* and number */
    VERSION_BYTES = 9, /* before the value */
    HAS_VALUE = 1,
    HAS_BEFORE = 2,
    SWEEPS_A_KEEP = 4,
    STEPS_MAX = 16, /* from version to version, until a scan is cheaper */
};

struct as_of {
    struct wr_join join;
    int64_t keep_ms;
    const char *no_key, *no_row_key, *no_value, *late;
};

struct version {
    int64_t time_ms, before_ms;
    bool has_before;
    weir_bytes value;
};

struct newest {
    bool any;
    int64_t time_ms, sweep_ms;
};

/* ---- State ----------------------------------------------------------------------------------- */

static weir_bytes slot_of(unsigned char at[GROUP_BYTES], char letter, int64_t time_ms)
{
    at[0] = (unsigned char)letter;
    wr_put_i64(at + 1, time_ms);
    return (weir_bytes){at, GROUP_BYTES};
}

static struct newest read_newest(weir_ctx *ctx)
{
    weir_bytes value = weir_get(ctx, wr_absent);
    const unsigned char *at = value.data;
    if (value.size != 16) {
        return (struct newest){.sweep_ms = INT64_MIN};
    }
    return (struct newest){true, wr_get_i64(at), wr_get_i64(at + 8)};
}

static void put_newest(weir_ctx *ctx, const struct newest *newest)
{
    unsigned char bytes[16];
    wr_put_i64(wr_put_i64(bytes, newest->time_ms), newest->sweep_ms);
    weir_put(ctx, wr_absent, newest->any ? (weir_bytes){bytes, sizeof bytes} : wr_absent);
}

static bool read_version(weir_ctx *ctx, int64_t time_ms, struct version *version)
{
    unsigned char slot[GROUP_BYTES];
    weir_bytes value = weir_get(ctx, slot_of(slot, 'r', time_ms));
    if (value.size < VERSION_BYTES) {
        return false;
    }
    const unsigned char *at = value.data;
    *version = (struct version){time_ms, wr_get_i64(at + 1), (at[0] & HAS_BEFORE) != 0, wr_absent};
    if (at[0] & HAS_VALUE) {
        version->value = (weir_bytes){at + VERSION_BYTES, value.size - VERSION_BYTES};
    }
    return true;
}

static void put_version(weir_ctx *ctx, const struct version *version)
{
    unsigned char slot[GROUP_BYTES];
    unsigned char *bytes = weir_scratch(ctx, VERSION_BYTES + version->value.size);
    if (!bytes) {
        return;
    }
    bytes[0] = (unsigned char)((version->value.data ? HAS_VALUE : 0) |
                               (version->has_before ? HAS_BEFORE : 0));
    wr_put_i64(bytes + 1, version->before_ms);
    if (version->value.size > 0) {
        memcpy(bytes + VERSION_BYTES, version->value.data, version->value.size);
    }
    weir_put(ctx, slot_of(slot, 'r', version->time_ms),
             (weir_bytes){bytes, VERSION_BYTES + version->value.size});
}

static void drop_version(weir_ctx *ctx, int64_t time_ms)
{
    unsigned char slot[GROUP_BYTES];
    weir_put(ctx, slot_of(slot, 'r', time_ms), wr_absent);
}

static bool stop_at(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    (void)ctx, (void)value;
    int64_t *time_ms = arg;
    *time_ms = wr_get_i64((const unsigned char *)slot.data + 1);
    return false;
}

/* Makes *after, a version after time_ms, the oldest of these. Those of the nearest times are asked
 * for first, since a scan costs what its range has. */
static bool find_after(weir_ctx *ctx, int64_t time_ms, struct version *after)
{
    unsigned char from[GROUP_BYTES], to[GROUP_BYTES];
    uint64_t distance = (uint64_t)after->time_ms - (uint64_t)time_ms;
    uint64_t reach = distance >> 16 | 1;
    int64_t found_ms = after->time_ms;
    while (reach < distance && found_ms == after->time_ms) {
        weir_scan(ctx, slot_of(from, 'r', time_ms + 1),
                  slot_of(to, 'r', (int64_t)((uint64_t)time_ms + reach + 1)), stop_at, &found_ms);
        reach = reach > distance >> 2 ? distance : reach << 2;
    }
    if (found_ms == after->time_ms) {
        weir_scan(ctx, slot_of(from, 'r', time_ms + 1), slot_of(to, 'r', after->time_ms), stop_at,
                  &found_ms);
    }
    return found_ms == after->time_ms || read_version(ctx, found_ms, after);
}

/* The newest version that is not newer than time_ms, and the one after it; false: there is none.
 * Mostly it is one of the last few; otherwise it is looked for by a scan. */
static bool find_version(weir_ctx *ctx, const struct newest *newest, int64_t time_ms,
                         struct version *version, struct version *after, bool *has_after)
{
    *has_after = false;
    if (!newest->any || !read_version(ctx, newest->time_ms, version)) {
        return false;
    }
    for (int steps = 0; version->time_ms > time_ms; steps++) {
        *after = *version;
        *has_after = true;
        if (steps == STEPS_MAX && !find_after(ctx, time_ms, after)) {
            return false;
        }
        if (!after->has_before || !read_version(ctx, after->before_ms, version)) {
            return false;
        }
    }
    return true;
}

/* ---- The right side -------------------------------------------------------------------------- */

/* Has what came before this version swept once the watermark is keep_ms beyond it. */
static void set_sweep(weir_ctx *ctx, const struct as_of *as_of, int64_t time_ms,
                      struct newest *newest)
{
    int64_t every = as_of->keep_ms / SWEEPS_A_KEEP + 1;
    int64_t sweep_ms = wr_time_add(time_ms, as_of->keep_ms);
    int64_t past = sweep_ms % every;
    sweep_ms = wr_time_add(sweep_ms, every - (past < 0 ? past + every : past));
    sweep_ms = sweep_ms == INT64_MAX ? INT64_MAX - 1 : sweep_ms;
    if (sweep_ms != newest->sweep_ms || sweep_ms <= weir_watermark(ctx)) {
        unsigned char name[8];
        wr_put_i64(name, sweep_ms);
        weir_wake(ctx, (weir_bytes){name, sizeof name}, sweep_ms);
        newest->sweep_ms = sweep_ms;
    }
}

static void add_version(weir_ctx *ctx, const weir_record *in, const struct as_of *as_of)
{
    struct newest newest = read_newest(ctx);
    struct version before = {0}, after = {0}, now = {.time_ms = in->time_ms, .value = in->value};
    bool has_after;
    bool found = find_version(ctx, &newest, in->time_ms, &before, &after, &has_after);
    if (found && before.time_ms == in->time_ms) {
        now.has_before = before.has_before;
        now.before_ms = before.before_ms;
    } else {
        now.has_before = found;
        now.before_ms = found ? before.time_ms : 0;
        if (has_after) {
            after.has_before = true;
            after.before_ms = now.time_ms;
            put_version(ctx, &after);
        } else {
            newest.any = true;
            newest.time_ms = now.time_ms;
        }
    }
    put_version(ctx, &now);
    if (as_of->keep_ms > 0 && (has_after || now.has_before || !now.value.data)) {
        set_sweep(ctx, as_of, has_after ? after.time_ms : now.time_ms, &newest);
    }
    put_newest(ctx, &newest);
}

static void sweep(weir_ctx *ctx, const struct as_of *as_of)
{
    struct newest newest = read_newest(ctx);
    struct version version, after;
    bool has_after;
    if (!find_version(ctx, &newest, wr_time_sub(weir_time(ctx), as_of->keep_ms), &version, &after,
                      &has_after)) {
        return;
    }
    struct version gone = version;
    while (gone.has_before && read_version(ctx, gone.before_ms, &gone)) {
        drop_version(ctx, gone.time_ms);
    }
    if (version.value.data) {
        if (version.has_before) {
            version.has_before = false;
            put_version(ctx, &version);
        }
        return;
    }
    drop_version(ctx, version.time_ms); /* no row, as without it */
    if (has_after) {
        after.has_before = false;
        put_version(ctx, &after);
    } else {
        newest.any = false;
        put_newest(ctx, &newest);
    }
}

/* ---- The left side --------------------------------------------------------------------------- */

/* The row as it was at that time; NULL when there was none. */
static const weir_record *row_at(weir_ctx *ctx, int64_t time_ms, weir_record *row)
{
    struct newest newest = read_newest(ctx);
    struct version version, after;
    bool has_after;
    if (!find_version(ctx, &newest, time_ms, &version, &after, &has_after) || !version.value.data) {
        return NULL;
    }
    *row = (weir_record){.key = weir_key(ctx), .value = version.value, .time_ms = version.time_ms};
    return row;
}

static void join_now(weir_ctx *ctx, const weir_record *in, const struct as_of *as_of)
{
    weir_record row, out = *in;
    const weir_record *right = in->key.data ? row_at(ctx, in->time_ms, &row) : NULL;
    if (wr_join_has(&as_of->join, in, right) &&
        wr_join_value(ctx, &as_of->join, in, right, &out.value)) {
        out.old = wr_absent;
        weir_emit(ctx, &out);
    }
}

static void hold(weir_ctx *ctx, const weir_record *in)
{
    unsigned char slot[SLOT_BYTES];
    weir_bytes group = slot_of(slot, 'l', in->time_ms);
    weir_bytes first = weir_get(ctx, group);
    if (first.size < 8) {
        weir_put(ctx, group, wr_row_pack(ctx, 1, in->value));
        weir_wake(ctx, group, in->time_ms >= INT64_MAX - 2 ? INT64_MAX - 1 : in->time_ms + 1);
        return;
    }
    int64_t count = wr_get_i64(first.data);
    weir_bytes value = {(const unsigned char *)first.data + 8, first.size - 8};
    weir_put(ctx, group, wr_row_pack(ctx, count + 1, value));
    wr_put_i64(slot + GROUP_BYTES, count);
    weir_put(ctx, (weir_bytes){slot, SLOT_BYTES}, in->value);
}

/* All left records of one key and time. */
static void end_wait(weir_ctx *ctx, const struct as_of *as_of)
{
    unsigned char slot[SLOT_BYTES];
    int64_t time_ms = wr_get_i64((const unsigned char *)weir_timer(ctx).data + 1);
    weir_bytes group = slot_of(slot, 'l', time_ms);
    weir_record left, row;
    weir_bytes first = weir_get(ctx, group);
    if (!wr_row_read(first, weir_key(ctx), &left)) {
        return;
    }
    int64_t count = left.time_ms; /* where a row has its time */
    const weir_record *right = row_at(ctx, time_ms, &row);
    bool has = wr_join_has(&as_of->join, &left, right);
    weir_bytes *values = weir_scratch(ctx, (size_t)count * sizeof *values);
    if (!values) {
        return;
    }
    left.time_ms = time_ms;
    for (int64_t i = 0; has && i < count; i++) {
        if (i > 0) {
            wr_put_i64(slot + GROUP_BYTES, i);
            left.value = weir_get(ctx, (weir_bytes){slot, SLOT_BYTES});
        }
        if (!wr_join_value(ctx, &as_of->join, &left, right, &values[i])) {
            return;
        }
    }
    weir_put(ctx, group, wr_absent);
    for (int64_t i = 1; i < count; i++) {
        wr_put_i64(slot + GROUP_BYTES, i);
        weir_put(ctx, (weir_bytes){slot, SLOT_BYTES}, wr_absent);
    }
    for (int64_t i = 0; has && i < count; i++) {
        weir_record out = weir_reply(ctx, values[i]);
        out.time_ms = time_ms;
        weir_emit(ctx, &out);
    }
}

static bool is_late(weir_ctx *ctx, const weir_record *in, const struct as_of *as_of)
{
    return as_of->keep_ms > 0 && in->time_ms < wr_time_sub(weir_watermark(ctx), as_of->keep_ms);
}

static void run_left(weir_ctx *ctx, const weir_record *in, const struct as_of *as_of)
{
    if (!in->value.data || (!in->key.data && as_of->join.kind == WEIR_INNER)) {
        weir_reject(ctx, in->value.data ? as_of->no_key : as_of->no_value);
    } else if (in->key.data && is_late(ctx, in, as_of)) {
        weir_reject(ctx, as_of->late);
    } else if (in->key.data && in->time_ms >= weir_watermark(ctx)) {
        hold(ctx, in);
    } else {
        join_now(ctx, in, as_of);
    }
}

static void run_as_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct as_of *as_of = arg;
    if (!in && weir_timer(ctx).size == GROUP_BYTES) {
        end_wait(ctx, as_of);
    } else if (!in) {
        sweep(ctx, as_of);
    } else if (weir_input(ctx) == 0) {
        run_left(ctx, in, as_of);
    } else if (!in->key.data) {
        weir_reject(ctx, as_of->no_row_key);
    } else if (is_late(ctx, in, as_of)) {
        weir_reject(ctx, as_of->late);
    } else {
        add_version(ctx, in, as_of);
    }
}

weir_stream *weir_join_as_of(weir_stream *left, const char *name, weir_stream *right,
                             weir_join_kind kind, int64_t keep_ms, weir_joiner_fn fn, void *arg)
{
    weir_job *job = weir_job_of(left);
    struct as_of *as_of = wr_join_new(job, name, kind, WEIR_LEFT, fn, arg, sizeof *as_of);
    if (keep_ms < 0) {
        weir_refuse(job, "%s: versions cannot be kept for %lld ms; give 0 (for ever) or more",
                    name ? name : "a join", (long long)keep_ms);
    }
    as_of->keep_ms = keep_ms;
    as_of->no_key = wr_join_words(job, "no key: ", name, " joins by key");
    as_of->no_row_key = wr_join_words(job, "no key: ", name, " keeps versions by key");
    as_of->no_value = wr_join_words(job, "no value: ", name, " has nothing to join");
    as_of->late = wr_join_words(job, "late: ", name, " keeps no versions of its time any longer");
    weir_stream *node = weir_through(left, name, run_as_of, as_of);
    weir_with(node, right);
    weir_state(node, 1, NULL, NULL);
    return node;
}
