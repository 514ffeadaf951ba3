/* store.h: the one database file of a job, and the only module that speaks to SQLite.
 * docs/FORMAT.md has every table. Kept small enough that another database could stand behind it:
 * open and recover, read state, apply a write set in one transaction, read a log.
 *
 * One read-write connection (struct wr_store), used by the thread that opens it and then by the
 * decide thread alone; any number of read-only ones (struct wr_reader), each for one thread.
 *
 * Errors: BUSY is retried inside (a foreign writer is waited for up to 10 s, then 75); FULL, IOERR
 * and CORRUPT stop at once (74, 74, 65) and are never retried: the process starts again from the
 * file. A read-only directory is 77, a file that is no store 65, a newer format or another job's
 * store 78, memory 75.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_STORE_H
#define WR_STORE_H

#include "txn/epoch.h"

struct wr_store;
struct wr_reader;

enum wr_sync { WR_SYNC_FULL, WR_SYNC_NORMAL, WR_SYNC_OFF };

struct wr_store_options {
    const char *path;
    const char *job; /* refused with 78 when the store is another job's; NULL: whichever it is */
    bool create; /* else a missing store is 66 */
    enum wr_sync sync;
    int64_t wal_bytes_max;
};

/* What the store is, set by open. */
struct wr_store_info {
    char path[WR_URI_BYTES_MAX]; /* absolute */
    char job[WR_NAME_BYTES_MAX + 1];
    char id[33]; /* 128 random bits in hex, made with the store */
    bool created, migrated; /* migrated: it had an older format */
    int64_t epoch; /* the last decided, 0: none */
    int64_t generation; /* ours: one more than what was found */
    uint64_t incarnation;
};

/* Takes the lock file PATH.lock (else 75, with the holder's pid), opens or creates the file,
 * recovers, checks format and job, raises the generation, draws an incarnation. */
weir_status wr_store_open(struct wr_env *env, const struct wr_store_options *options,
                          struct wr_store **store_out, struct wr_error *error);
/* Rolls back what is open and releases the lock; writes nothing that matters. NULL is ignored. */
void wr_store_close(struct wr_store *store);
const struct wr_store_info *wr_store_info(const struct wr_store *store);

/* ---- The job's shape ------------------------------------------------------------------------- */

struct wr_stored_node {
    const char *name;
    uint32_t id;
    unsigned version;
    int64_t watermark_ms;
    bool stateful; /* it has rows in state or timer */
};

struct wr_marker {
    const char *sink;
    int64_t next; /* the next log offset to send */
    int64_t length; /* of the outside file, -1: has none */
    uint64_t incarnation, crc;
    const char *identity; /* of the outside: device and inode; NULL: none yet */
};

/* What a store holds about its job, all in the arena. */
struct wr_catalog {
    struct wr_position *positions;
    size_t position_count;
    struct wr_watermark *watermarks;
    size_t watermark_count;
    struct wr_stored_node *nodes;
    size_t node_count;
    struct wr_marker *markers;
    size_t marker_count;
};
weir_status wr_store_catalog(struct wr_store *store, struct wr_arena *arena,
                             struct wr_catalog *catalog_out, struct wr_error *error);

/* A node of the job as it is now. wr_store_define gives the id. */
struct wr_node_definition {
    const char *name;
    unsigned version;
    uint32_t id;
};
struct wr_definition {
    struct wr_node_definition *nodes;
    size_t node_count;
    struct wr_sink *sinks; /* topic, partitions and next are set */
    size_t sink_count;
    const char *graph; /* JSON text of the job's graph, kept in meta for inspect */
    const char *options; /* JSON text: delivery, sync, each source's and sink's URI */
};
/* Makes nodes, topics, tables and markers that are missing, in one transaction; what the job no
 * longer has stays (the caller has refused what must not go), and so does the version of a node
 * that is there (wr_store_upgrade moves it). 78 when a topic has another number of partitions than
 * asked for, or a table other columns; 64 when a table's name is one of weir's own, and when a
 * statement of an sql: sink is wrong or does what it may not. Their setup is run. The sinks stay
 * where they are until the store is closed.
 *
 * Sinks: partitions 0 stands for as many as there are, or one; retain_ms and retain_bytes -1 for
 * what is stored, or for ever. `next` points into the store's memory, valid until it is closed. An
 * epoch's sinks must be these, in the same order. */
weir_status wr_store_define(struct wr_store *store, struct wr_definition *definition,
                            struct wr_error *error);

/* Rewrites every slot of a node's state through `upgrade`, in one transaction that also sets the
 * node's version. `upgrade` sets *value_out (absent: the slot goes); what it returns stays valid
 * until its next call. */
typedef weir_status (*wr_store_upgrade_fn)(void *data, weir_bytes key, weir_bytes slot,
                                           weir_bytes value, weir_bytes *value_out,
                                           struct wr_error *error);
weir_status wr_store_upgrade(struct wr_store *store, uint32_t node, unsigned version,
                             wr_store_upgrade_fn upgrade, void *data, struct wr_error *error);

/* Deletes a topic (not an outbox) and all its records. 64 when there is none of this name. */
weir_status wr_store_drop_topic(struct wr_store *store, const char *name, struct wr_error *error);

/* Whether a table, index or view has this name by weir's own doing; SQLite ignores case. */
bool wr_store_name_reserved(const char *name);

/* ---- Deciding -------------------------------------------------------------------------------- */

/* What one transaction makes last. */
struct wr_apply {
    const struct wr_epoch *epoch; /* sealed: its effects and its own row; NULL: none */
    bool no_outboxes; /* what goes outside went there already: not into its log */
    const struct wr_progress *progress; /* positions, watermarks, retried; NULL: none */
    const struct wr_marker *markers; /* each outbox is trimmed below its marker */
    size_t marker_count;
    const char *delivery; /* kept in meta from the first transaction on; NULL: exactly-once */
    bool lazy; /* no sync of its own: the one after it brings both to the disk, in order */
};
/* In one transaction: checks the generation (75: overtaken), writes state, timers, tables, logs,
 * rejects, positions, watermarks, the epoch's own row, markers. Thread: decide. */
weir_status wr_store_apply(struct wr_store *store, const struct wr_apply *apply,
                           struct wr_error *error);

/* What the store holds of dead letters, and how many it may (-1: any number): an epoch with which
 * statements would make it hold more is not decided (65). Before the first epoch. */
void wr_store_limit_rejects(struct wr_store *store, int64_t held, int64_t max);
/* Dead letters that statements of sql: sinks made in epochs that this store has decided since it
 * was opened. Thread: any. */
int64_t wr_store_sql_rejects(const struct wr_store *store);
/* A statement of a user's: its sink, file and line. */
struct wr_telling {
    const char *sink, *file;
    int line;
};
/* The one that runs just now, NULL: none does. Thread: any. */
const struct wr_telling *wr_store_telling(const struct wr_store *store);

/* Brings table `state` up to date and empties the changelog, in a transaction of its own, or in
 * that of a start: for starts of a changed job, and the end of a run. The dirty entries of `cache`
 * are all that the changelog has to say; NULL: it is read back. (store_fold.c) */
struct wr_cache;
weir_status wr_store_fold(struct wr_store *store, struct wr_cache *cache, struct wr_error *error);

/* Topics are trimmed by age also while no epoch comes: how long that can wait in milliseconds
 * (INT64_MAX: no topic of the job has a retain_ms), and doing it; a transaction only when there is
 * something to trim. Thread: decide. */
int64_t wr_store_retain_due_ms(const struct wr_store *store);
weir_status wr_store_retain(struct wr_store *store, struct wr_error *error);

/* Fails with 66 when the store's name is no longer that of the file that is open: what is decided
 * from then on would be found by nobody. Thread: decide. */
weir_status wr_store_check_there(struct wr_store *store, struct wr_error *error);

/* Passive checkpoint once the WAL is over WR_WAL_BYTES_CHECKPOINT; warns over WR_WAL_BYTES_WARN
 * (or half of wal_bytes_max), fails with 75 over wal_bytes_max. Thread: decide, after the epoch was
 * handed back. */
weir_status wr_store_checkpoint(struct wr_store *store, struct wr_error *error);

/* The WAL is several times larger than wished: checkpoint before the epoch is handed back, while
 * the operator thread has no snapshot that keeps the WAL from starting over. Thread: decide. */
bool wr_store_is_behind(const struct wr_store *store);

struct wr_store_stats {
    int64_t fsyncs, fsync_us, bytes_written; /* by this process, counted in the VFS */
    int64_t store_bytes, wal_bytes;
};
/* Thread: any (atomic counters). */
void wr_store_stats(const struct wr_store *store, struct wr_store_stats *stats_out);

/* ---- Backup (store_backup.c) ----------------------------------------------------------------- */

struct wr_backup {
    int64_t epoch; /* the last decided one in it */
    int64_t bytes;
};
/* Called now and then; false stops the backup (75). */
typedef bool (*wr_backup_progress)(void *data, int64_t done_bytes, int64_t total_bytes);

/* Copies the store as it is at this moment into a new file, synced, whole or not there at all. Jobs
 * may go on writing; meanwhile the store's WAL cannot start over. 66: no store; 64: `file` exists
 * or is one of the store's own; 74: disk full; 75: another backup to the same file. */
weir_status wr_store_backup(struct wr_env *env, const char *store, const char *file,
                            wr_backup_progress progress, void *data, struct wr_backup *result_out,
                            struct wr_error *error);

/* ---- Reading --------------------------------------------------------------------------------- */

/* A read-only connection. A snapshot begins with the first read and lasts until wr_reader_end. 66
 * when there is no store at path. */
weir_status wr_reader_open(struct wr_env *env, const char *path, struct wr_reader **reader_out,
                           struct wr_error *error);
void wr_reader_close(struct wr_reader *reader);
void wr_reader_end(struct wr_reader *reader);

/* One slot of state; absent when there is none. The value is copied into the arena. */
weir_status wr_reader_get(struct wr_reader *reader, uint32_t node, weir_bytes key, weir_bytes slot,
                          struct wr_arena *arena, weir_bytes *value_out, struct wr_error *error);

/* The first row of the changelog after epoch *epoch, which becomes its epoch; changes absent: there
 * is none. Copied into the arena and not yet checked: wr_changelog_open does that. */
weir_status wr_reader_changelog(struct wr_reader *reader, int64_t *epoch, struct wr_arena *arena,
                                weir_bytes *changes_out, struct wr_error *error);
/* The error for such a row: `why` is what is wrong with it. */
weir_status wr_reader_fail_changelog(struct wr_reader *reader, int64_t epoch,
                                     const struct wr_error *why, struct wr_error *error);
/* How many changes of each node all rows hold, a slot once for each epoch that changed it. */
struct wr_node_changes {
    uint32_t node;
    int64_t changes;
};
weir_status wr_reader_count_changes(struct wr_reader *reader, struct wr_arena *arena,
                                    struct wr_node_changes **counts_out, size_t *count_out,
                                    struct wr_error *error);
/* Whether table `state` has a row. */
weir_status wr_reader_has_state(struct wr_reader *reader, bool *has_out, struct wr_error *error);

struct wr_slot {
    weir_bytes slot, value;
};
/* Up to `max` slots of node and key in order, from `from` on (after it when `after`; from the first
 * when from_set is false, so that the absent slot can be named), below `to` (absent: open). Copied
 * into the arena. */
struct wr_range {
    uint32_t node;
    weir_bytes key, from, to;
    bool from_set, after;
};
weir_status wr_reader_scan(struct wr_reader *reader, const struct wr_range *range, size_t max,
                           struct wr_arena *arena, struct wr_slot *slots_out, size_t *count_out,
                           struct wr_error *error);

/* Up to `max` timers of node and clock in order of (time, key, name), after the given one (NULL:
 * from the first). Copied into the arena; `hash` is set, `next` is NULL. */
weir_status wr_reader_timers(struct wr_reader *reader, uint32_t node, bool clock,
                             const struct wr_timer *after, size_t max, struct wr_arena *arena,
                             struct wr_timer *timers_out, size_t *count_out,
                             struct wr_error *error);

struct wr_topic {
    const char *name;
    int64_t id;
    int32_t partitions;
    bool outbox;
    int64_t retain_ms, retain_bytes;
};
/* 75 when a process with another generation has opened the store since. */
weir_status wr_reader_check_generation(struct wr_reader *reader, int64_t generation,
                                       struct wr_error *error);
/* All topics, or the one with this name (count 0: there is none). */
weir_status wr_reader_topics(struct wr_reader *reader, const char *name, bool outbox,
                             struct wr_arena *arena, struct wr_topic **topics_out,
                             size_t *count_out, struct wr_error *error);
/* First kept and next offset of a partition that the topic has, and bytes kept. */
struct wr_extent {
    int64_t first, next, bytes;
};
weir_status wr_reader_extent(struct wr_reader *reader, int64_t topic, int32_t partition,
                             struct wr_extent *extent_out, struct wr_error *error);
/* The batch that holds `offset`, or the first after it; bytes absent when there is none yet. Copied
 * into the arena and not yet checked: wr_batch_open does that. */
weir_status wr_reader_batch(struct wr_reader *reader, int64_t topic, int32_t partition,
                            int64_t offset, struct wr_arena *arena, weir_bytes *bytes_out,
                            struct wr_error *error);

#endif
