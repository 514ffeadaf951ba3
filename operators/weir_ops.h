/* weir_ops.h: operators by the names that Kafka Streams and Flink give them, one file each, built
 * on weir.h alone; each is a weir_through node (or a few), exactly-once because state and timers
 * are. docs/OPERATORS.md has a table of them all with their semantics, state and limits.
 *
 * A *stream* is records that stand for themselves. A *table's changes* are a stream too: each
 * record is what a key's value is now (absent: the row is gone), with the value that it replaces in
 * `old` (absent: there was none). Operators that keep a value for each key emit changes, and those
 * whose documentation says so take them as such: any record with an `old` is a change.
 *
 * `name` is the node's, unique in the job; an operator of several nodes names the others NAME.WORD.
 * What `arg` points to comes from weir_alloc. A function that is NULL where none is allowed, or a
 * size that makes no sense, refuses the job (weir_refuse). Functions may call weir_reject and
 * weir_fail; what they return then is not used. Thread: as in weir.h, building on the opener's, the
 * functions on the operator thread. Numbers in values are decimal text.
 *
 * Long because it is one page to look things up in.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_OPS_H
#define WEIR_OPS_H

#include <weir.h>

WEIR_BEGIN_C

/* ---- One record at a time: no state ---------------------------------------------------------- */

/* Whether a record goes on; it must depend on the record and arg alone. */
typedef bool (*weir_predicate_fn)(const weir_record *in, void *arg);
/* Keeps the records for which the predicate holds, unchanged. Of a change, the predicate is asked
 * about both values, each as a record without `old`, and not about an absent one: a row that no
 * longer passes is gone from the table of those that do. */
WEIR_EXPORT weir_stream *weir_filter(weir_stream *in, const char *name, weir_predicate_fn holds,
                                     void *arg);

/* One record for each record. `ctx` gives scratch memory, and weir_reject for what cannot be
 * mapped; the result of a call that rejected is not used. */
typedef weir_record (*weir_map_fn)(weir_ctx *ctx, const weir_record *in, void *arg);
/* Replaces each record by what fn returns; a new key is allowed, `old` is fn's own business. */
WEIR_EXPORT weir_stream *weir_map(weir_stream *in, const char *name, weir_map_fn fn, void *arg);

/* A value made from a record. Absent is a value. */
typedef weir_bytes (*weir_value_fn)(weir_ctx *ctx, const weir_record *in, void *arg);
/* Replaces the value. Of a change, `old` goes through fn too. Absent ones stay absent, and fn is
 * not asked about them. */
WEIR_EXPORT weir_stream *weir_map_values(weir_stream *in, const char *name, weir_value_fn fn,
                                         void *arg);

/* Any number of records for each: fn emits them. */
static inline weir_stream *weir_flat_map(weir_stream *in, const char *name, weir_fn fn, void *arg)
{
    return weir_through(in, name, fn, arg);
}

/* Gives each record the key that fn returns (Kafka Streams' selectKey and groupBy). All keys of a
 * job are in one store, so nothing has to be repartitioned. An absent key is one, too. Of a change,
 * fn is asked about both values, each as a record without `old`: where the row moves to another
 * key, it is taken from the old one and added to the new one: two records. */
WEIR_EXPORT weir_stream *weir_key_by(weir_stream *in, const char *name, weir_value_fn fn,
                                     void *arg);

/* Splits by predicate: a record goes to weir_side(node, i + 1) of the first holds[i] that holds,
 * and to the node's own stream when none does. Of a change that moves a row to another side, the
 * row is taken from the one where it was. 1 to 15; the array is copied. */
WEIR_EXPORT weir_stream *weir_branch(weir_stream *in, const char *name,
                                     const weir_predicate_fn *holds, unsigned count, void *arg);

/* All records of both streams; weir_with gives it more. */
WEIR_EXPORT weir_stream *weir_merge(weir_stream *in, const char *name, weir_stream *other);

/* Shows each record to fn, for logs and counters of one's own: it may see a record again after a
 * crash. */
typedef void (*weir_peek_fn)(const weir_record *in, void *arg);
WEIR_EXPORT weir_stream *weir_peek(weir_stream *in, const char *name, weir_peek_fn fn, void *arg);

/* ---- One value for each key: kept for ever, unless removed ----------------------------------- */

/* The last value of each key (Kafka Streams' toTable), by arrival: emits changes. An absent value
 * removes the row, and emits nothing when there was none. Absent keys are rejected. */
WEIR_EXPORT weir_stream *weir_table(weir_stream *in, const char *name);

/* From when to when: of a session, its first record and `gap` after its last. */
typedef struct weir_window {
    int64_t start_ms, end_ms; /* [start, end) */
} weir_window;

/* A number of a record; false: it has none, which rejects the record. */
typedef bool (*weir_number_fn)(const weir_record *in, void *arg, int64_t *out);

/* Two values made one. */
typedef weir_bytes (*weir_reduce_fn)(weir_ctx *ctx, weir_bytes so_far, weir_bytes value, void *arg);

/* How records become one value, the total. Functions that are NULL do what is said beside them.
 * What they return is copied; weir_scratch is the place for it. They may reject the record, which
 * then has no effect at all. Made by weir_count and so on, or by hand. The structure is copied. */
typedef struct weir_aggregation weir_aggregation;
struct weir_aggregation {
    /* The total with `in` added; so_far is absent for a key without one. What is returned absent
     * leaves the key without a total. */
    weir_bytes (*add)(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                      const weir_aggregation *self);
    /* The total with `in` (the value a change replaced) taken out. Not asked for a key without a
     * total: that change is rejected. NULL: all changes are rejected. */
    weir_bytes (*subtract)(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                           const weir_aggregation *self);
    /* Two totals of one key made one, for sessions that merge. NULL: no sessions. */
    weir_bytes (*merge)(weir_ctx *ctx, weir_bytes a, weir_bytes b, const weir_aggregation *self);
    /* What is emitted for a total, which is not absent. `window` is NULL without windows. Its key
     * must not depend on `total`; its time is set afterwards. NULL: this key, `total` as it is, and
     * the record's headers, or of a window the headers window_start and window_end, in milliseconds
     * as decimal text. */
    weir_record (*result)(weir_ctx *ctx, weir_bytes total, const weir_window *window,
                          const weir_aggregation *self);
    /* Only the first record of each such id counts, exactly: a set of ids is kept beside the total
     * (where `subtract` is there: with how many have it, so that taking out the last one counts). A
     * record without an id is rejected. NULL: all count. */
    weir_value_fn distinct;
    weir_number_fn number; /* of sum, min, max, average; NULL: the value is decimal text */
    weir_reduce_fn reduce;
    void *arg; /* what distinct, number and reduce are given */
};

/* So many records. A count that came to nothing by changes is 0, and stays. */
WEIR_EXPORT weir_aggregation weir_count(void);
/* So many different ids (with id NULL: values). */
WEIR_EXPORT weir_aggregation weir_count_distinct(weir_value_fn id, void *arg);
/* Of numbers: a sum that leaves 64 bits rejects the record. min and max take no changes (a minimum
 * cannot be taken out of one). An average is an exact sum divided, with up to 17 digits; its total
 * is the text SUM/COUNT, which its `result` makes the quotient, and is gone with its last
 * record. */
WEIR_EXPORT weir_aggregation weir_sum(weir_number_fn number, void *arg);
WEIR_EXPORT weir_aggregation weir_min(weir_number_fn number, void *arg);
WEIR_EXPORT weir_aggregation weir_max(weir_number_fn number, void *arg);
WEIR_EXPORT weir_aggregation weir_average(weir_number_fn number, void *arg);
/* The first value as it is, then fn of what there is and the next value. Sessions merge by fn.
 * Takes no changes, unless you give it a `subtract`. */
WEIR_EXPORT weir_aggregation weir_reduce(weir_reduce_fn fn, void *arg);

/* One total for each key, emitted after each record as a change, at that record's time, also when
 * it is what it was. Of a change that comes in, `old` is subtracted and then the value added.
 * Absent keys, and absent values without an `old`, are rejected. So is a change of which one of the
 * two cannot be done; the total then keeps what the row was before, so check values before they
 * come into a table. */
WEIR_EXPORT weir_stream *weir_aggregate(weir_stream *in, const char *name,
                                        weir_aggregation aggregation);

/* ---- Windows: kept until they close, at end + grace <= watermark ----------------------------- */

typedef enum weir_emit_when {
    WEIR_EMIT_UPDATES, /* after each record, as changes (Kafka Streams' default) */
    WEIR_EMIT_CLOSED, /* once, when the window closes (suppress; Flink's default) */
} weir_emit_when;

/* A record is late when each of its windows has closed; of those that have not it is a part. */
typedef enum weir_late {
    WEIR_LATE_REJECT, /* to the dead letters */
    WEIR_LATE_SIDE, /* unchanged to weir_side(node, 1); nowhere when nobody reads that */
} weir_late;

typedef enum weir_window_kind {
    WEIR_WINDOW_HOPPING, /* tumbling too */
    WEIR_WINDOW_SLIDING,
    WEIR_WINDOW_SESSION,
    WEIR_WINDOW_COUNT,
} weir_window_kind;

/* Made by weir_tumbling and so on; grace, emit and late are then set by hand. */
typedef struct weir_windows {
    weir_window_kind kind;
    int64_t size, advance; /* milliseconds, or records */
    int64_t grace_ms; /* how much longer a window waits for late records */
    weir_emit_when emit;
    weir_late late;
} weir_windows;

/* [start, start + size), starting at multiples of `advance` since 1970 (size itself: tumbling). At
 * most 10,000 windows for each record. */
static inline weir_windows weir_hopping(int64_t size_ms, int64_t advance_ms)
{
    weir_windows windows = {WEIR_WINDOW_HOPPING, size_ms,         advance_ms, 0,
                            WEIR_EMIT_UPDATES,   WEIR_LATE_REJECT};
    return windows;
}
static inline weir_windows weir_tumbling(int64_t size_ms)
{
    return weir_hopping(size_ms, size_ms);
}
/* A window for each different set of records that are at most `difference` apart (Kafka Streams'
 * SlidingWindows): for a record at t, [t - difference, t] and, when there are any in it,
 * [t + 1, t + 1 + difference]. With both ends in, so end_ms is start + difference + 1. As in Kafka,
 * the first one of 0 <= t < difference is [0, difference]. A new window begins with what came
 * before: keeps the records' values, without headers, while a window may need them. */
static inline weir_windows weir_sliding(int64_t difference_ms)
{
    weir_windows windows = weir_hopping(difference_ms, 0);
    windows.kind = WEIR_WINDOW_SLIDING;
    return windows;
}
/* Records at most `gap` apart, both ends in: a session is [first, last + gap). A record that is
 * near enough to several makes them one; of the sessions that are gone (a session is known by its
 * start and its result's key), WEIR_EMIT_UPDATES emits that: an absent value. A late record that
 * touches an open session is a part of it. Each record costs in proportion to its key's open
 * sessions: one or two, unless grace or disorder are many times the gap. */
static inline weir_windows weir_session(int64_t gap_ms)
{
    weir_windows windows = weir_hopping(gap_ms, 0);
    windows.kind = WEIR_WINDOW_SESSION;
    return windows;
}
/* The last `size` records of a key in the order they came, each time `advance` more have come
 * (Flink's countWindow, so the first windows may have fewer); emitted then, once, whatever the
 * time: grace, emit and late make no difference. start and end are the first and last record's
 * time. Keeps `size` records' values for each key, without headers, for ever; where windows do not
 * overlap, one total until the window is full. */
static inline weir_windows weir_count_windows(int64_t size, int64_t advance)
{
    weir_windows windows = weir_hopping(size, advance);
    windows.kind = WEIR_WINDOW_COUNT;
    return windows;
}

/* One value for each key and window. Emitted at the record's time, or when it closes at end - 1,
 * whatever time the aggregation's `result` says; of several windows of a record the earliest first.
 * The watermark that counts is the node's as the records before this one moved it. Keeps a total
 * for each key and open window. Absent keys and values are rejected, and so are changes. */
WEIR_EXPORT weir_stream *weir_window_by(weir_stream *in, const char *name, weir_windows windows,
                                        weir_aggregation aggregation);

/* ---- Joins ----------------------------------------------------------------------------------- */

typedef enum weir_join_kind { WEIR_INNER, WEIR_LEFT, WEIR_OUTER } weir_join_kind;

/* The value of a joined record; left or right is NULL where a left or outer join has no match. Of
 * records that waited, key, value and time are kept, headers are not. */
typedef weir_bytes (*weir_joiner_fn)(weir_ctx *ctx, const weir_record *left,
                                     const weir_record *right, void *arg);

/* right.time within [left.time - before, left.time + after], both ends in; either may be negative,
 * as long as before + after is not (Flink's interval join: before = -lower, after = upper). */
typedef struct weir_span {
    int64_t before_ms, after_ms, grace_ms;
} weir_span;

/* Pairs of the same key within the span, each once, when the later of the two comes, at the higher
 * of their times. A left record is kept while the watermark is at most its time + after + grace, a
 * right one + before + grace, and a record that comes meets what is kept. Left and outer: what has
 * met no pair by then is emitted alone, at its own time; a window behind this needs that much grace
 * for it. What can meet nothing that is kept, and nothing that may come on time, is rejected as
 * late (watermark > time + before + after + grace, where neither is negative). Absent keys:
 * rejected, or emitted alone where the kind says so; absent values are rejected. */
WEIR_EXPORT weir_stream *weir_join_streams(weir_stream *left, const char *name, weir_stream *right,
                                           weir_join_kind kind, weir_span span, weir_joiner_fn fn,
                                           void *arg);

/* Each record of the stream with the table's value for its key as it is then. INNER or LEFT. The
 * right side's records are changes or plain values, the last of each key is kept for ever (an
 * absent value removes it); they emit nothing. The stream's absent values are rejected, its absent
 * keys too (INNER), or joined with NULL (LEFT); the table's absent keys are rejected. */
WEIR_EXPORT weir_stream *weir_join_table(weir_stream *left, const char *name, weir_stream *table,
                                         weir_join_kind kind, weir_joiner_fn fn, void *arg);

/* Two tables: the joined rows as a table, so it emits changes whenever either side's row changes,
 * at the higher of their times; an absent value when no row is left. Either side's records are
 * changes or plain values: what a row was is known here. Keeps both tables for ever. Absent keys
 * are rejected. */
WEIR_EXPORT weir_stream *weir_join_tables(weir_stream *left, const char *name, weir_stream *right,
                                          weir_join_kind kind, weir_joiner_fn fn, void *arg);

/* Two tables, where fn `foreign` of a left row (which has a value) gives the key of its right row
 * (absent: none). The result has the left row's key, and changes with either row; a row that gets
 * another foreign key gives one change. INNER or LEFT. Keeps both for ever, and of left rows the
 * foreign key once more. Absent keys are rejected. Nodes NAME.LEFT, NAME.RIGHT and NAME. */
WEIR_EXPORT weir_stream *weir_join_foreign(weir_stream *left, const char *name, weir_stream *right,
                                           weir_join_kind kind, weir_value_fn foreign,
                                           weir_joiner_fn fn, void *arg);

/* Each left record with the right record of its key that was the newest at the left one's time,
 * that time included (Flink's temporal join); absent right values are versions too, without a row.
 * Emitted once the watermark is beyond that time, so that right records out of order count; a left
 * record that is late is joined at once. INNER or LEFT. Keeps left records until then; of the right
 * ones with keep_ms 0 all, for ever, else those that a left record no older than watermark -
 * keep_ms can need, and rejects what is older on either side. Absent keys: rejected, left ones
 * joined with NULL (LEFT); absent left values are rejected. */
WEIR_EXPORT weir_stream *weir_join_as_of(weir_stream *left, const char *name, weir_stream *right,
                                         weir_join_kind kind, int64_t keep_ms, weir_joiner_fn fn,
                                         void *arg);

/* weir_join_table with a bounded table that is read first: left records wait, in state and in their
 * order, until the input behind `table` has been read to its end (and, as timers do, until the left
 * input has a watermark: each of its partitions a record, or weir_times an idle_ms). What later
 * runs find in that input is taken as it comes. Nodes NAME.LEFT, NAME.TABLE, NAME.WAIT and NAME. */
WEIR_EXPORT weir_stream *weir_lookup(weir_stream *left, const char *name, weir_stream *table,
                                     weir_join_kind kind, weir_joiner_fn fn, void *arg);

/* Each record with the first row that a query finds in an SQLite database, which is opened for the
 * first record, to be read only, and asked for each (:key, :value, :time_ms are bound, the first
 * two as text, or as a blob where they are no UTF-8; a relative path is the working directory's).
 * `right` has the first column as value, NULL as absent, numbers as text. INNER or LEFT. What the
 * database says then is what counts: it may change between two asks. A query that fails for a
 * record rejects it; a database that is locked is waited for; what cannot be opened or prepared
 * stops the run. Keeps no state. */
WEIR_EXPORT weir_stream *weir_lookup_sqlite(weir_stream *in, const char *name, const char *file,
                                            const char *query, weir_join_kind kind,
                                            weir_joiner_fn fn, void *arg);

/* ---- Others ---------------------------------------------------------------------------------- */

/* Lets the first record of each id of a key pass, and forgets the id once the watermark has reached
 * that record's time + ttl (0: never); where it has already, the record passes and nothing is kept.
 * id NULL: the key alone. With ids, records without a key are one key's. Absent ids are rejected,
 * and without ids absent keys. */
WEIR_EXPORT weir_stream *weir_deduplicate(weir_stream *in, const char *name, weir_value_fn id,
                                          void *arg, int64_t ttl_ms);

/* What a ranked row (key, value and time of a record that came; headers are not kept) is emitted
 * as; NULL: key KEY/RANK, the value as it came, the header rank. The key must be another for each
 * rank, and not depend on the row; the time is set afterwards. rank 1 is the best. */
typedef weir_record (*weir_ranked_fn)(weir_ctx *ctx, const weir_record *row, int64_t rank,
                                      void *arg);
/* The n (1 to 10,000) best rows of each key, the highest number first, then the earliest time, then
 * the first to come: a table of KEY and RANK, so it emits changes for each rank whose row is
 * another now, and an absent value for a rank that is empty again, at the time of the record that
 * did it. number NULL: the value is decimal text. From a stream, n rows are kept for each key, for
 * ever; from a table's changes (`changes`), which may take rows away again, all of them, and what
 * `old` takes away is a row of the same value. Absent keys, absent values without an `old`, and
 * changes where none are expected are rejected. */
WEIR_EXPORT weir_stream *weir_top(weir_stream *in, const char *name, int64_t n, bool changes,
                                  weir_number_fn number, weir_ranked_fn ranked, void *arg);

/* The number of -D name=value, else the fallback. What is no whole number from min to max, as
 * decimal text, refuses the job. */
WEIR_EXPORT int64_t weir_option_i64(weir_job *job, const char *name, int64_t fallback, int64_t min,
                                    int64_t max);

/* ---- Values as text and JSON ----------------------------------------------------------------- */

/* Text as printf writes it, in this call's memory; absent when memory ran out. */
WEIR_EXPORT weir_bytes weir_format(weir_ctx *ctx, const char *format, ...) WEIR_PRINTF(2, 3);

/* A parsed JSON value, in this call's memory. All functions take NULL for a value that is not there
 * and then find nothing, so that reading a field of a field needs one check at the end. */
typedef struct weir_json weir_json;
/* The text stays where it is while the value is used (of records and state it does). NULL: it is
 * not one JSON value with nothing after it (RFC 8259), in UTF-8, surrogates in pairs; it is nested
 * deeper than 64; or there is no memory. */
WEIR_EXPORT const weir_json *weir_json_parse(weir_ctx *ctx, weir_bytes text);
/* A member of an object (of several with this name, the last), an item of an array, how many it
 * has (0 for what is no array or object). Members and items are looked for one by one. */
WEIR_EXPORT const weir_json *weir_json_field(const weir_json *object, const char *name);
WEIR_EXPORT const weir_json *weir_json_item(const weir_json *array, size_t index);
WEIR_EXPORT size_t weir_json_size(const weir_json *value);
/* The text of a string; absent for all else. */
WEIR_EXPORT weir_bytes weir_json_text(const weir_json *value);
/* A number; false, and *out unchanged, for all else, and for what is no whole number of 64 bits
 * (12.0 and 1e3 are), or too large for a double. */
WEIR_EXPORT bool weir_json_i64(const weir_json *value, int64_t *out);
WEIR_EXPORT bool weir_json_double(const weir_json *value, double *out);
WEIR_EXPORT bool weir_json_bool(const weir_json *value, bool *out);
/* A JSON string of these bytes, quoted and escaped; null when absent. They must be UTF-8: other
 * bytes become U+FFFD. */
WEIR_EXPORT weir_bytes weir_json_quote(weir_ctx *ctx, weir_bytes text);

WEIR_END_C

#endif
