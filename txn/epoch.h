/* epoch.h: the write set of one epoch: everything its units did, in memory, until it is decided.
 *
 *          wr_epoch_begin         wr_epoch_seal         wr_deliverer_decide
 *   EMPTY ───────────────▶ FILLING ─────────────▶ SEALED ─────────────────▶ DECIDED
 *                           │  ▲                                               │
 *             wr_epoch_undo └──┘◀──────────────────────────────────────────────┘
 *                                 wr_epoch_begin, once the operator thread has dropped it
 *
 * Invariants (1, 2 and 10 are exactly-once's; delivery.c states each other mode's weaker form):
 *  1. Positions, watermarks, state, timers, tables, logs and rejects of an epoch become durable in
 *     one SQLite transaction or not at all.
 *  2. Every reader's snapshot of the store is an exact cut: its outputs are those of the inputs
 *     below its positions.
 *  3. A sealed epoch is immutable. An operator's lasting effects go through its context.
 *  4. A forwarder sends only what is decided, in log order, and moves its marker in the same
 *     outside transaction or, where the outside has none, can cut it back to the marker.
 *  5. The marker is read only after older producers are fenced and no earlier send is in doubt;
 *     nothing is sent, and no output to that sink decided, before it was checked.
 *  6. A log is trimmed only below a marker that is known, or by retention that no forwarder of this
 *     store needs.
 *  7. One process per store (flock on a lock file beside it). A generation row, raised at each
 *     open, is checked in each transaction.
 *  8. One read-write connection per store, and it alone checkpoints. Others are read-only with
 *     wal_autocheckpoint=0, and end each snapshot within a second; but for a backup, whose one
 *     snapshot lasts as long as its copy, while the WAL grows.
 *  9. Everything that must be atomic is in one database file.
 * 10. Every input record is processed, rejected whole, or not yet read; each rejecting call leaves
 *     one dead letter and no other effect.
 *
 * Thread: filled by the operator thread; read by the decide thread once sealed; dropped by the
 * operator thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_EPOCH_H
#define WR_EPOCH_H

#include <string.h>

#include "txn/base/arena.h"
#include "txn/base/env.h"
#include "txn/base/map.h"
#include "txn/log.h"

enum wr_sink_kind {
    WR_SINK_NULL,
    WR_SINK_TABLE,
    WR_SINK_LOG, /* an embedded topic */
    WR_SINK_OUTBOX, /* the single-partition log of an outside sink */
    WR_SINK_SQL, /* statements of the user's */
};

enum wr_note { WR_NOTE_NONE, WR_NOTE_KEYLESS, WR_NOTE_ALL };

enum wr_column {
    WR_COLUMN_AUTO,
    WR_COLUMN_TEXT,
    WR_COLUMN_INTEGER,
    WR_COLUMN_REAL,
    WR_COLUMN_BLOB
};

/* The text of an sql: sink, by section. */
enum wr_sql_section { WR_SQL_SETUP, WR_SQL_RECORD, WR_SQL_BATCH, WR_SQL_SECTIONS };
struct wr_sql_text {
    const char *path;
    const char *section[WR_SQL_SECTIONS]; /* NULL: it has none of this name */
    int line[WR_SQL_SECTIONS]; /* of the file, where the section's text begins */
};

/* What txn knows of a sink. Owned by the engine; fixed after start but for `next`. */
struct wr_sink {
    const char *name, *uri;
    enum wr_sink_kind kind;
    const char *topic_name; /* LOG: from the URI; OUTBOX: the sink's name */
    const char *table; /* TABLE */
    enum wr_column key_type, value_type;
    const struct wr_sql_text *sql; /* SQL */
    int64_t topic; /* id in the store, set by wr_store_define */
    int32_t partitions; /* LOG, OUTBOX; as stored after wr_store_define */
    int64_t retain_ms, retain_bytes; /* LOG, 0: for ever */
    /* OUTBOX: which records say from which partition of a source they came (WR_HEADER_SOURCE). */
    enum wr_note note;
    int64_t
        *next; /* per partition: the next offset to give, as of the start of the filling epoch */
};

/* One slot of state as this epoch leaves it. One block: this, then key, slot and the first value:
 * there are as many as keys in an epoch, and each is looked for with every record of its key. Sizes
 * UINT32_MAX: absent; value absent: removed. */
struct wr_entry {
    struct wr_entry *next; /* all entries of the epoch, newest first */
    struct wr_entry **forward; /* skip list in order of node, key, slot; NULL: not indexed */
    unsigned char *value, *spare; /* two buffers: what a get returned in this unit stays */
    uint32_t value_capacity, spare_capacity, value_size;
    uint32_t unit; /* of the last put, its low 32 bits: an epoch has fewer */
    uint32_t node, key_size, slot_size;
    unsigned char data[];
};

static inline weir_bytes wr_sized(const unsigned char *at, uint32_t size)
{
    return size == UINT32_MAX ? (weir_bytes){NULL, 0} : (weir_bytes){at, size};
}
static inline uint32_t wr_sized_bytes(uint32_t size)
{
    return size == UINT32_MAX ? 0 : size;
}
/* Copies a part to where it belongs; its size, as it is kept. */
static inline uint32_t wr_sized_put(unsigned char *at, weir_bytes from)
{
    if (from.size) {
        memcpy(at, from.data, from.size);
    }
    return from.data ? (uint32_t)from.size : UINT32_MAX;
}
static inline weir_bytes wr_entry_key(const struct wr_entry *entry)
{
    return wr_sized(entry->data, entry->key_size);
}
static inline weir_bytes wr_entry_slot(const struct wr_entry *entry)
{
    return wr_sized(entry->data + wr_sized_bytes(entry->key_size), entry->slot_size);
}
static inline weir_bytes wr_entry_value(const struct wr_entry *entry)
{
    return wr_sized(entry->value, entry->value_size);
}

/* One slot as table `state` gets it: this, then key, slot and value. */
struct wr_fold_copy {
    struct wr_fold_copy *next; /* in key order */
    uint32_t node, key_size, slot_size, value_size;
    unsigned char data[];
};

/* One timer as this epoch leaves it. time_ms INT64_MAX: cancelled or fired. */
struct wr_timer {
    struct wr_timer *next;
    uint64_t hash;
    weir_bytes key, name;
    int64_t time_ms;
    uint32_t node;
    bool clock; /* wall clock instead of event time */
};

/* One row of a table sink, the last value of its key. */
struct wr_row {
    struct wr_row *next;
    uint64_t hash;
    weir_bytes key, value;
    uint32_t value_capacity;
};

/* Where a record of a sink comes from. */
struct wr_from {
    const char *source, *part; /* NULL where a timer made it; they last as long as the epoch */
    int64_t offset; /* -1 then */
};

/* One record of an sql: sink. Those of all such sinks are one list, in the order in which they
 * came, so that what their statements find does not depend on where epochs end. */
struct wr_told {
    struct wr_told *next;
    size_t sink;
    uint64_t unit; /* in which it came */
    unsigned seq; /* of this unit and sink, from 0 */
    struct wr_from from;
    weir_record record;
};

struct wr_reject {
    struct wr_reject *next; /* in order */
    const char *source, *part, *node, *reason; /* source, part NULL on timers */
    int64_t offset; /* -1 on timers */
    unsigned input, seq; /* seq: of this origin and node, from 0 */
    weir_record record;
    weir_bytes timer; /* absent on records */
};

struct wr_position {
    const char *source, *part;
    int64_t next, watermark_ms; /* watermark INT64_MIN: none yet */
    bool idle;
    const char *identity;
};

/* A watermark of a weir_times node for one partition, where it is not the source's own. */
struct wr_watermark {
    uint32_t node;
    const char *source, *part;
    int64_t watermark_ms;
    bool idle;
};

struct wr_node_watermark {
    uint32_t node;
    int64_t watermark_ms;
};

/* How far the inputs were read: the half of a write set that is not effects. */
struct wr_progress {
    struct wr_position *positions;
    size_t position_count;
    struct wr_watermark *watermarks;
    size_t watermark_count;
    struct wr_node_watermark *nodes;
    size_t node_count;
    const int64_t *retried; /* dead letters that were taken again: they go, and leave the queue */
    size_t retried_count;
};

struct wr_epoch_sink {
    struct wr_map rows; /* TABLE: wr_row by key */
    struct wr_row *row_list;
    size_t row_count;
    struct wr_batch **open; /* LOG, OUTBOX: per partition, NULL: none yet in this epoch */
    struct wr_batch *batches, **batches_end; /* in the order they were begun */
    int64_t *appended; /* per partition, records of this epoch */
    struct wr_told *told; /* SQL: the last record */
};

enum wr_epoch_phase { WR_EPOCH_EMPTY, WR_EPOCH_FILLING, WR_EPOCH_SEALED, WR_EPOCH_DECIDED };

struct wr_epoch {
    enum wr_epoch_phase phase;
    int64_t number;
    struct wr_arena arena;
    struct wr_map state;
    struct wr_entry *entries;
    size_t entry_count, entry_bytes; /* bytes: of keys, slots and first values, about */
    struct wr_entry *index; /* head of the skip list, NULL: none */
    bool indexed;
    struct wr_map timers;
    struct wr_timer *timer_list;
    size_t timer_count;
    struct wr_sink *sinks; /* the engine's */
    struct wr_epoch_sink *sink;
    size_t sink_count;
    struct wr_batch *spare; /* batches to use again */
    size_t batch_bytes, batch_records;
    struct wr_reject *rejects, **rejects_end;
    size_t reject_count;
    struct wr_told *told, **told_end;
    size_t told_count;
    struct wr_progress progress; /* filled in when the epoch is sealed */
    struct wr_fold_copy *folds, **folds_end; /* slots that it brings into table state: fold.h */
    size_t fold_count;
    int64_t folded_upto; /* changes of epochs up to this are in that table then; 0: nothing new */
    int64_t records_in; /* units of records in it */
    uint64_t random; /* of the skip list */
};

weir_status wr_epoch_init(struct wr_epoch *epoch, struct wr_sink *sinks, size_t sink_count,
                          struct wr_error *error);
void wr_epoch_fini(struct wr_epoch *epoch);

/* EMPTY or DECIDED → FILLING, empty. */
void wr_epoch_begin(struct wr_epoch *epoch, int64_t number);
/* FILLING → FILLING, empty: the write set is thrown away. */
void wr_epoch_undo(struct wr_epoch *epoch);
/* FILLING → SEALED: finishes the batches and moves each sink's `next`. The engine has set positions
 * and watermarks. */
void wr_epoch_seal(struct wr_epoch *epoch);

/* Whether deciding it would change the store. */
bool wr_epoch_is_empty(const struct wr_epoch *epoch);
/* Bytes of the write set, as WR_EPOCH_BYTES_MAX counts them. */
static inline size_t wr_epoch_bytes(const struct wr_epoch *epoch)
{
    return wr_arena_bytes(&epoch->arena) + epoch->batch_bytes;
}

/* State. hash = wr_hash(node, key, slot). */
struct wr_entry *wr_epoch_find(const struct wr_epoch *epoch, uint32_t node, weir_bytes key,
                               weir_bytes slot, uint64_t hash);
/* `unit` numbers the unit at hand: a value put in an earlier unit may be overwritten in place. */
weir_status wr_epoch_put(struct wr_epoch *epoch, uint32_t node, weir_bytes key, weir_bytes slot,
                         uint64_t hash, weir_bytes value, uint64_t unit, struct wr_error *error);
/* Below, at, or above (node, key, slot) in the order in which entries are scanned and applied. */
int wr_entry_compare(const struct wr_entry *entry, uint32_t node, weir_bytes key, weir_bytes slot);
/* Copies a value into `buffer` when it has the capacity, else into a new one of the arena. */
bool wr_epoch_value(struct wr_arena *arena, weir_bytes value, void *buffer, uint32_t *capacity,
                    weir_bytes *value_out);
/* The entries of node and key with a slot in [from, to), in order: the first one; the next by
 * wr_epoch_next. Absent bounds are open. Makes the index when there is none (so not on a sealed
 * epoch that was never indexed: wr_epoch_index before it is sealed). */
weir_status wr_epoch_index(struct wr_epoch *epoch, struct wr_error *error);
const struct wr_entry *wr_epoch_first(const struct wr_epoch *epoch, uint32_t node, weir_bytes key,
                                      weir_bytes from);
const struct wr_entry *wr_epoch_next(const struct wr_entry *entry);

/* Timers. hash = wr_hash(node, key, name). */
struct wr_timer *wr_epoch_timer_find(const struct wr_epoch *epoch, uint32_t node, weir_bytes key,
                                     weir_bytes name, uint64_t hash);
weir_status wr_epoch_timer(struct wr_epoch *epoch, uint32_t node, weir_bytes key, weir_bytes name,
                           uint64_t hash, bool clock, int64_t time_ms, struct wr_error *error);

/* Outputs. wr_epoch_append gives the record's offset where offset_out is not NULL. */
weir_status wr_epoch_row(struct wr_epoch *epoch, size_t sink, weir_bytes key, weir_bytes value,
                         struct wr_error *error);
weir_status wr_epoch_append(struct wr_epoch *epoch, size_t sink, int32_t partition,
                            const weir_record *record, struct wr_error *error);
/* Copies the record for an sql: sink. */
weir_status wr_epoch_tell(struct wr_epoch *epoch, size_t sink, const struct wr_from *from,
                          uint64_t unit, const weir_record *record, struct wr_error *error);
/* Copies what the dead letter holds. */
weir_status wr_epoch_reject(struct wr_epoch *epoch, const struct wr_reject *reject,
                            struct wr_error *error);

#endif
