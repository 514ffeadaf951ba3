/* store_inner.h: what the store's files share about an open store and a reader.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_STORE_INNER_H
#define WR_STORE_INNER_H

#include <stdatomic.h>

#include "txn/changelog.h"
#include "txn/sort.h"
#include "txn/store.h"
#include "txn/store_ledger.h"
#include "txn/store_rows.h"
#include "txn/store_sql.h"

/* ---- Files by name (store_file.c) ------------------------------------------------------------ */

/* The absolute path of a store without symbolic links; 66 when its directory is missing. */
weir_status wr_store_resolve(const char *path, char out[WR_URI_BYTES_MAX], struct wr_error *error);
weir_status wr_store_check_file(const char *path, bool create, struct wr_error *error);
/* Refuses to write to a file that has several names. */
weir_status wr_store_check_names(const char *path, struct wr_error *error);
/* Takes PATH.lock; 75 with the holder's pid. The descriptor is set also on failure, -1: none. */
weir_status wr_store_lock(const char *store_path, int *file_out, struct wr_error *error);

/* ---- The VFS under a store, which counts and gathers (store_vfs.c) --------------------------- */

struct wr_store_vfs {
    sqlite3_vfs vfs;
    char name[32];
    struct wr_env *env;
    atomic_llong fsyncs, fsync_us, bytes_written;
    long wal_restarts; /* times that the WAL was written from its start */
    bool counts_only; /* set before a file is opened: nothing is gathered, as without it */
};
/* Registered over the default VFS of this moment. */
weir_status wr_store_vfs_open(struct wr_env *env, struct wr_store_vfs **vfs_out,
                              struct wr_error *error);
void wr_store_vfs_close(struct wr_store_vfs *vfs); /* NULL is ignored */

/* ---- Tables (store_schema.c) ----------------------------------------------------------------- */

/* Makes all tables of an empty database, in the transaction that is open. */
weir_status wr_store_schema_create(struct wr_sql *sql, struct wr_error *error);

/* Brings a store of an older format to this one, in the transaction that is open. What its
 * changelog has to say is in table `state` already. */
weir_status wr_store_schema_migrate(struct wr_sql *sql, int64_t format, struct wr_error *error);
/* For a reader of an older format: what that lacks is there as an empty temporary table. */
weir_status wr_store_schema_stand_in(struct wr_sql *sql, struct wr_error *error);

enum wr_store_kind { WR_STORE_EMPTY, WR_STORE_OLDER, WR_STORE_OURS };
/* What the database is. 65: not weir's; 78: a newer format. Reads only. */
weir_status wr_store_identify(struct wr_sql *sql, enum wr_store_kind *kind_out,
                              struct wr_error *error);
/* For a reader of an EMPTY one: there is no store yet, 65. */
weir_status wr_store_fail_empty(struct wr_sql *sql, struct wr_error *error);
/* Reads one text of `meta` into a buffer; empty when it is missing. */
weir_status wr_store_meta(struct wr_sql *sql, const char *key, char *text, size_t size,
                          struct wr_error *error);

/* ---- The store ------------------------------------------------------------------------------- */

enum wr_store_statement {
    WR_DO_BEGIN,
    WR_DO_END,
    WR_DO_GENERATION,
    WR_DO_STATE_PUT,
    WR_DO_STATE_PUT_MANY,
    WR_DO_STATE_PUT_PLAIN_MANY,
    WR_DO_STATE_REMOVE,
    WR_DO_CHANGES_TRIM,
    WR_DO_TIMER_PUT,
    WR_DO_TIMER_REMOVE,
    WR_DO_PROGRESS,
    WR_DO_LOG_APPEND,
    WR_DO_LOG_OLDEST,
    WR_DO_LOG_REMOVE,
    WR_DO_LOG_SEEK,
    WR_DO_LOG_SEEK_TRIM,
    WR_DO_MARKER_PUT,
    WR_DO_MARKER_TOPIC,
    WR_DO_REJECT,
    WR_DO_WATERMARK_PUT,
    WR_DO_EPOCH,
    WR_DO_EPOCH_TAIL,
    WR_DO_EPOCH_TRIM,
    WR_DO_DELIVERY,
    WR_DO_RETRIED,
    WR_DO_RETRIED_REJECT,
    WR_DO_TELL_BEGIN,
    WR_DO_TELL_END,
    WR_DO_TELL_UNDO,
    WR_DO_COUNT
};

/* The statements of one table sink, prepared when first used. */
struct wr_table_statements {
    sqlite3_stmt *put, *put_many, *remove;
};

/* What a parameter of a user's statement is bound to. */
enum wr_told_value {
    WR_TOLD_KEY,
    WR_TOLD_VALUE,
    WR_TOLD_TIME,
    WR_TOLD_SOURCE,
    WR_TOLD_PARTITION,
    WR_TOLD_OFFSET,
    WR_TOLD_HEADERS,
    WR_TOLD_RECORDS,
    WR_TOLD_COUNT,
};

/* One statement of an sql: sink. */
struct wr_told_statement {
    struct wr_told_statement *next; /* of its section, in order */
    struct wr_telling at;
    enum wr_sql_section section;
    sqlite3_stmt *statement;
    const char *text;
    size_t size;
    int parameters;
    const enum wr_told_value *values; /* by parameter, from 0 */
};
struct wr_told_sink {
    struct wr_told_statement *section[WR_SQL_SECTIONS];
};

/* Whose statement is being prepared or run, for the authorizer (store_guard.c). */
enum wr_guard_who { WR_GUARD_WEIR, WR_GUARD_SETUP, WR_GUARD_RECORD, WR_GUARD_BATCH };
struct wr_guard {
    enum wr_guard_who who;
    bool changes_table; /* the statement at hand drops or alters a table that it may */
    bool denied;
    char why[256]; /* what it did first that it may not */
};

struct wr_store {
    struct wr_sql sql;
    struct wr_env *env;
    struct wr_store_info info; /* fixed once open: any thread may read it */
    int64_t decided; /* the last epoch */
    bool starting; /* between wr_store_start_begin and _end */
    int64_t changed; /* the epoch that a change of the job made in it, 0: none */
    struct wr_store_vfs *vfs;
    int lock_file; /* of PATH.lock, -1: none */
    int64_t wal_bytes_max;
    enum wr_sync sync;
    const char *delivery; /* as meta has it, once a transaction of this run wrote it */
    int64_t page_bytes; /* as it was made */
    int wal_frames; /* after the last transaction, by SQLite's hook */
    int64_t wal_transactions; /* that wrote them, by this process */
    long wal_restarts; /* as of the last checkpoint */
    bool wal_written; /* a transaction ended since the last checkpoint */
    bool wal_whole; /* the last checkpoint copied all of it */
    bool wal_held; /* waiting for readers did not help the last time */
    bool wal_warned;
    int64_t checkpoint_said_us; /* when the last line about one was logged */
    struct wr_arena arena; /* sinks' `next`, table names: until close */
    struct wr_arena scratch; /* of one transaction */
    sqlite3_stmt *statement[WR_DO_COUNT];
    const struct wr_sink *sinks; /* the job's, once defined */
    int64_t retain_at_ms; /* when the age of their batches is looked at next */
    struct wr_table_statements *tables; /* by index of sink */
    struct wr_told_sink *told; /* by index of sink; NULL: no sql: sinks */
    struct wr_guard guard;
    _Atomic(const struct wr_told_statement *) telling; /* which one runs, NULL: none */
    struct wr_buffer json; /* for their parameters */
    int64_t rejects_held, rejects_max; /* as of the last epoch; max -1: no limit */
    int64_t told_rejects; /* dead letters that statements made in the transaction at hand */
    _Atomic int64_t sql_rejects; /* and in those that ended */
    size_t sink_count;
    struct wr_sorter sorter; /* a write set is applied in key order */
    struct wr_buffer changes; /* of state, packed: of the epoch at hand */
    /* Epochs with changes that take room: of those that table state has, from which to which one
     * there may be some. */
    int64_t large_first, large_last;
    struct wr_ledger ledger;
    unsigned data_version; /* after the last transaction, by SQLite's count */
    int64_t seen; /* the generation in the file as of then; 0: not known */
};

/* A statement of the store, prepared when first used. */
static inline weir_status wr_store_statement(struct wr_store *store, enum wr_store_statement which,
                                             const char *text, sqlite3_stmt **statement_out,
                                             struct wr_error *error)
{
    weir_status status = WEIR_OK;
    if (!store->statement[which]) {
        status = wr_sql_prepare(&store->sql, &store->statement[which], text, error);
    }
    *statement_out = store->statement[which];
    return status;
}

/* BEGIN IMMEDIATE, and the check that no other process has opened the store since (75). After a
 * failure nothing is open. Between wr_store_start_begin and _end: takes part in that transaction,
 * and so does wr_store_end. */
weir_status wr_store_begin(struct wr_store *store, struct wr_error *error);
/* Ends the transaction: for good when status is WEIR_OK, else undone. Returns the status, or the
 * failure of the end itself. */
weir_status wr_store_end(struct wr_store *store, weir_status status, struct wr_error *error);

/* Steps of wr_store_apply (store_apply_state.c, _tables.c, _logs.c), within its transaction. */
/* Before it: memory to sort in. */
weir_status wr_store_reserve(struct wr_store *store, const struct wr_epoch *epoch,
                             struct wr_error *error);
weir_status wr_store_apply_state(struct wr_store *store, const struct wr_epoch *epoch,
                                 struct wr_error *error);
/* Slots into table `state`, in key order. */
weir_status wr_store_put_state(struct wr_store *store, const struct wr_folded *folds, size_t count,
                               struct wr_error *error);
weir_status wr_store_apply_timers(struct wr_store *store, const struct wr_epoch *epoch,
                                  struct wr_error *error);
weir_status wr_store_apply_tables(struct wr_store *store, const struct wr_epoch *epoch,
                                  struct wr_error *error);
weir_status wr_store_apply_logs(struct wr_store *store, const struct wr_epoch *epoch,
                                bool no_outboxes, int64_t now_ms, struct wr_error *error);
/* Runs the statements of sql: sinks (store_apply_sql.c). */
weir_status wr_store_apply_sql(struct wr_store *store, const struct wr_epoch *epoch,
                               struct wr_error *error);
weir_status wr_store_apply_reject(struct wr_store *store, int64_t epoch,
                                  const struct wr_reject *reject, struct wr_error *error);
/* Trims one partition by the sink's retention. */
weir_status wr_store_trim_old(struct wr_store *store, const struct wr_sink *sink, int32_t partition,
                              int64_t now_ms, struct wr_error *error);
weir_status wr_store_apply_marker(struct wr_store *store, const struct wr_marker *marker,
                                  struct wr_error *error);
/* The epoch's own row: positions and offsets as they are now, what it changed in state, and up to
 * which epoch table state has that. */
weir_status wr_store_apply_row(struct wr_store *store, int64_t number, int64_t records,
                               int64_t now_ms, struct wr_error *error);
/* Brings all that the changelog says into table `state`, in the transaction that is open. */
weir_status wr_store_fold_all(struct wr_store *store, struct wr_error *error);

/* A topic or outbox with all its records, in the transaction that is open (store_upgrade.c). */
weir_status wr_store_remove_topic(struct wr_store *store, int64_t topic, struct wr_error *error);

/* ---- Statements of the user's (store_define_sql.c, store_guard.c) ---------------------------- */

/* Runs every setup, then prepares what records and batches are told by, in the transaction that is
 * open. */
weir_status wr_store_define_sql(struct wr_store *store, struct wr_error *error);
/* Finalizes a section's statements. */
void wr_told_forget(struct wr_told_sink *told, enum wr_sql_section section);
/* Prepares one statement as its section may; 64: SQLite or the guard refuses it. `tail_out`
 * NULL: it was prepared before, and a refusal is 78. */
weir_status wr_told_prepare(struct wr_store *store, struct wr_told_statement *told,
                            const char **tail_out, struct wr_error *error);
/* Runs it to its end; the result code is SQLITE_DONE when it was right. Not reset after a failure.
 */
int wr_told_run(struct wr_store *store, const struct wr_told_statement *told);
/* Whether a failure of this code is the doing of the statement and what it was given. */
bool wr_told_is_to_blame(int code);
/* `what` of a statement, with its place and its text. */
weir_status wr_told_fail(const struct wr_told_statement *told, enum wr_exit exit_code,
                         const char *what, struct wr_error *error);
/* The statement rolled the whole transaction back: 78. */
weir_status wr_told_fail_rolled_back(const struct wr_told_statement *told, struct wr_error *error);

/* From here on SQLite asks wr_guard whether a statement may do what it does. All statements of the
 * connection are prepared anew, once. */
weir_status wr_guard_begin(struct wr_store *store, struct wr_error *error);

/* ---- Readers (store_read.c) ------------------------------------------------------------------ */

enum wr_reader_statement {
    WR_READ_BEGIN,
    WR_READ_END,
    WR_READ_GET,
    WR_READ_SCAN, /* four: after, and bounded */
    WR_READ_SCAN_AFTER,
    WR_READ_SCAN_TO,
    WR_READ_SCAN_AFTER_TO,
    WR_READ_TIMERS,
    WR_READ_TIMERS_AFTER,
    WR_READ_TOPICS,
    WR_READ_TOPIC,
    WR_READ_EXTENT,
    WR_READ_BATCH_AT,
    WR_READ_BATCH_AFTER,
    WR_READ_CHANGELOG,
    WR_READ_COUNT
};

struct wr_reader {
    struct wr_sql sql;
    char path[WR_URI_BYTES_MAX];
    bool open; /* a snapshot is, or will be with the next read */
    sqlite3_stmt *statement[WR_READ_COUNT];
};

/* Begins the snapshot unless there is one. */
weir_status wr_reader_begin(struct wr_reader *reader, struct wr_error *error);
#endif
