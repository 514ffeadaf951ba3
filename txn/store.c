/* store.c: opening and closing a store: its lock file, recovery, generation, checkpoints. See
 * store.h; the tables are in store_schema.c, deciding in store_apply.c, reading in store_read.c.
 *
 * Opening is the same path every time, after a crash or a clean stop: SQLite recovers what its WAL
 * holds, the generation is raised. Closing writes nothing, not even a checkpoint.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "txn/base/assert.h"
#include "txn/store_inner.h"

/* SQLite truncates the WAL to this when it starts over: room for a full epoch, so that the usual
 * file is not cut and grown again each time. */
enum { WAL_BYTES_KEPT = 64 * 1024 * 1024, WAL_FRAME_HEADER_BYTES = 24 };

/* ---- Opening --------------------------------------------------------------------------------- */

static weir_status open_database(struct wr_store *store, const struct wr_store_options *options,
                                 struct wr_error *error)
{
    static const char *const sync_names[] = {"FULL", "NORMAL", "OFF"};
    WR_TRY(wr_store_vfs_open(store->env, &store->vfs, error));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                (options->create ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(store->info.path, &store->sql.db, flags, store->vfs->name);
    if (code != SQLITE_OK) {
        return wr_sql_fail(&store->sql, code, error);
    }
    WR_TRY(wr_sql_configure(&store->sql, error));
    char text[128];
    snprintf(text, sizeof text, "PRAGMA synchronous=%s; PRAGMA journal_size_limit=%d",
             sync_names[options->sync], WAL_BYTES_KEPT);
    return wr_sql_exec(&store->sql, text, error);
}

static weir_status use_wal(struct wr_store *store, struct wr_error *error)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    char mode[16] = "";
    WR_TRY(wr_sql_prepare(&store->sql, &statement, "PRAGMA journal_mode=WAL", error));
    weir_status status = wr_sql_step(&store->sql, statement, &row, error);
    if (row) {
        snprintf(mode, sizeof mode, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    if (status == WEIR_OK && strcmp(mode, "wal") != 0) {
        status = wr_fail(error, WEIR_FATAL, WR_EXIT_IO,
                         "cannot open %s: the file system does not allow a write-ahead log (mode "
                         "`%s`); put the store on a local disk",
                         store->info.path, mode);
    }
    return status;
}

static weir_status put_meta(struct wr_store *store, const char *key, const char *text,
                            int64_t number, struct wr_error *error)
{
    sqlite3_stmt *statement = NULL;
    WR_TRY(wr_sql_prepare(&store->sql, &statement,
                          "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)", error));
    wr_sql_text(statement, 1, key);
    if (text) {
        wr_sql_text(statement, 2, text);
    } else {
        wr_sql_int(statement, 2, number);
    }
    weir_status status = wr_sql_run(&store->sql, statement, error);
    sqlite3_finalize(statement);
    return status;
}

static weir_status create_tables(struct wr_store *store, const char *job, struct wr_error *error)
{
    struct wr_env *env = store->env;
    char id[33];
    snprintf(id, sizeof id, "%016" PRIx64 "%016" PRIx64, env->random(env), env->random(env));
    WR_TRY(wr_store_schema_create(&store->sql, error));
    WR_TRY(put_meta(store, "id", id, 0, error));
    WR_TRY(put_meta(store, "weir", WEIR_VERSION, 0, error));
    WR_TRY(put_meta(store, "created_ms", NULL, env->wall_ms(env), error));
    WR_TRY(put_meta(store, "job", job, 0, error));
    WR_TRY(put_meta(store, "incarnation", NULL, 0, error)); /* none opened it yet */
    return put_meta(store, "generation", NULL, 0, error);
}

/* A new store becomes one in a single transaction; a crash before its end leaves an empty file. */
static weir_status create_store(struct wr_store *store, const char *job, struct wr_error *error)
{
    char text[64];
    snprintf(text, sizeof text, "PRAGMA page_size=%d", WR_STORE_PAGE_BYTES);
    WR_TRY(wr_sql_exec(&store->sql, text, error));
    WR_TRY(use_wal(store, error));
    WR_TRY(wr_sql_exec(&store->sql, "BEGIN IMMEDIATE", error));
    return wr_store_end(store, create_tables(store, job, error), error);
}

static weir_status check_job(struct wr_store *store, const char *job, struct wr_error *error)
{
    struct wr_store_info *info = &store->info;
    WR_TRY(wr_store_meta(&store->sql, "job", info->job, sizeof info->job, error));
    WR_TRY(wr_store_meta(&store->sql, "id", info->id, sizeof info->id, error));
    if (strlen(info->id) != 32) {
        return wr_sql_broken(&store->sql, error, "it has no id");
    }
    if (job && info->job[0] && strcmp(job, info->job) != 0) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "cannot open %s: it is the store of job `%s`, and this job is `%s`; name "
                       "another store with --store, or give the job its old name back",
                       info->path, info->job, job);
    }
    if (job) {
        snprintf(info->job, sizeof info->job, "%s", job);
    }
    return WEIR_OK;
}

static weir_status raise_generation(struct wr_store *store, struct wr_error *error)
{
    struct wr_store_info *info = &store->info;
    int64_t found, written;
    WR_TRY(wr_sql_integer(&store->sql, "SELECT value FROM meta WHERE key = 'generation'", &found,
                          error));
    WR_TRY(wr_sql_integer(&store->sql, "SELECT max(number) FROM epoch", &info->epoch, error));
    WR_TRY(wr_sql_integer(&store->sql,
                          "SELECT epoch FROM log ORDER BY id DESC LIMIT 1", &written, error));
    if (info->epoch < 0 || info->epoch > WR_COUNTER_MAX || written > info->epoch) {
        return wr_sql_broken(&store->sql, error,
                             "epoch %lld wrote to it, and the newest in table epoch is %lld",
                             (long long)written, (long long)info->epoch);
    }
    if (found < 0 || found > WR_COUNTER_MAX) {
        return wr_sql_broken(&store->sql, error, "it was opened %lld times", (long long)found);
    }
    store->decided = store->large_last = info->epoch;
    atomic_store(&store->env->epoch, info->epoch);
    info->generation = found + 1;
    info->created = found == 0; /* nobody got further than making it */
    info->incarnation = store->env->random(store->env);
    WR_TRY(put_meta(store, "generation", NULL, info->generation, error));
    WR_TRY(put_meta(store, "job", info->job, 0, error));
    return put_meta(store, "incarnation", NULL, (int64_t)info->incarnation, error);
}

static weir_status begin_generation(struct wr_store *store, enum wr_store_kind kind,
                                    struct wr_error *error)
{
    if (kind == WR_STORE_OLDER) {
        int64_t format;
        WR_TRY(wr_sql_integer(&store->sql, "PRAGMA user_version", &format, error));
        if (format == 3) {
            WR_TRY(wr_store_fold_all(store, error));
        }
        WR_TRY(wr_store_schema_migrate(&store->sql, format, error));
        store->info.migrated = true;
    }
    WR_TRY(wr_store_settle(store, error));
    return raise_generation(store, error);
}

static int wal_hook(void *data, sqlite3 *db, const char *schema, int frames)
{
    (void)db;
    (void)schema;
    struct wr_store *store = data;
    store->wal_transactions = frames > store->wal_frames ? store->wal_transactions + 1 : 1;
    store->wal_frames = frames;
    store->wal_written = true;
    return SQLITE_OK;
}

static weir_status open_all(struct wr_store *store, const struct wr_store_options *options,
                            struct wr_error *error)
{
    WR_TRY(wr_store_resolve(options->path, store->info.path, error));
    WR_TRY(wr_store_check_file(store->info.path, options->create, error));
    WR_TRY(wr_store_check_names(store->info.path, error));
    WR_TRY(wr_store_lock(store->info.path, &store->lock_file, error));
    WR_TRY(open_database(store, options, error));
    enum wr_store_kind kind;
    WR_TRY(wr_store_identify(&store->sql, &kind, error));
    if (kind == WR_STORE_EMPTY) {
        if (!options->create) {
            return wr_store_fail_empty(&store->sql, error);
        }
        WR_TRY(create_store(store, options->job ? options->job : "", error));
    } else {
        WR_TRY(use_wal(store, error));
    }
    WR_TRY(wr_sql_integer(&store->sql, "PRAGMA page_size", &store->page_bytes, error));
    WR_TRY(check_job(store, options->job, error));
    sqlite3_wal_hook(store->sql.db, wal_hook, store);
    WR_FAULT(&store->env->fault, open_before_generation, error);
    WR_TRY(wr_sql_exec(&store->sql, "BEGIN IMMEDIATE", error));
    WR_TRY(wr_store_end(store, begin_generation(store, kind, error), error));
    WR_FAULT(&store->env->fault, open_after_generation, error);
    return WEIR_OK;
}

weir_status wr_store_open(struct wr_env *env, const struct wr_store_options *options,
                          struct wr_store **store_out, struct wr_error *error)
{
    *store_out = NULL;
    struct wr_store *store = calloc(1, sizeof *store);
    if (!store) {
        return wr_fail_memory(error);
    }
    store->env = env;
    store->lock_file = -1;
    store->sync = options->sync;
    store->wal_restarts = -1; /* no checkpoint yet */
    store->rejects_max = -1;
    store->wal_bytes_max =
        options->wal_bytes_max > 0 ? options->wal_bytes_max : WR_WAL_BYTES_MAX_DEFAULT;
    store->sql.path = store->info.path;
    wr_arena_init(&store->arena, 0);
    wr_arena_init(&store->scratch, 64 * 1024);
    wr_ledger_init(&store->ledger);
    wr_sql_doing(&store->sql, "open");
    weir_status status = open_all(store, options, error);
    if (status != WEIR_OK) {
        wr_store_close(store);
        return status;
    }
    *store_out = store;
    return WEIR_OK;
}

void wr_store_close(struct wr_store *store)
{
    if (!store) {
        return;
    }
    wr_sql_close(&store->sql); /* rolls back what is open */
    wr_store_vfs_close(store->vfs);
    if (store->lock_file >= 0) {
        close(store->lock_file); /* the file stays: deleting it would race with the next opener */
    }
    wr_arena_fini(&store->arena);
    wr_arena_fini(&store->scratch);
    free(store->tables);
    wr_sorter_fini(&store->sorter);
    wr_buffer_fini(&store->changes);
    wr_buffer_fini(&store->json);
    wr_ledger_fini(&store->ledger);
    free(store);
}

const struct wr_store_info *wr_store_info(const struct wr_store *store)
{
    return &store->info;
}

/* ---- Checkpoints and figures ----------------------------------------------------------------- */

static int64_t wal_bytes(const struct wr_store *store, int frames)
{
    return frames * (store->page_bytes + WAL_FRAME_HEADER_BYTES);
}

static int64_t checkpoint_bytes(const struct wr_store *store)
{
    int64_t bytes = wal_bytes(store, store->wal_frames);
    bool small = bytes <= store->wal_transactions * WR_WAL_BYTES_SMALL;
    return small ? WR_WAL_BYTES_CHECKPOINT_SMALL : WR_WAL_BYTES_CHECKPOINT;
}

weir_status wr_store_check_there(struct wr_store *store, struct wr_error *error)
{
    int moved = 0;
    if (sqlite3_file_control(store->sql.db, NULL, SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK ||
        !moved) {
        return WEIR_OK;
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_NO_INPUT,
                   "stopped: %s was removed, renamed or replaced while this run used it; if it has "
                   "another name now, give it back its own (its -wal file goes by that), else "
                   "restore a backup",
                   store->info.path);
}

bool wr_store_is_behind(const struct wr_store *store)
{
    return wal_bytes(store, store->wal_frames) > 4 * checkpoint_bytes(store);
}

/* A WAL that was copied back starts over with the next transaction, unless a reader is in it. So it
 * is kept from that, whatever its size, when it did not start over since the last checkpoint
 * although that one copied all of it, or when this one could not. */
static weir_status check_wal(struct wr_store *store, int frames, bool whole, struct wr_error *error)
{
    int64_t bytes = wal_bytes(store, frames);
    if (!store->wal_written) { /* no transaction since the last time, so it had no occasion */
        store->wal_whole = store->wal_whole || whole;
        return WEIR_OK;
    }
    store->wal_written = false;
    bool same = store->wal_restarts == store->vfs->wal_restarts;
    bool held = same && (!whole || store->wal_whole);
    int64_t warn = WR_WAL_BYTES_WARN < store->wal_bytes_max / 2 ? WR_WAL_BYTES_WARN
                                                                : store->wal_bytes_max / 2;
    store->wal_warned = store->wal_warned && same; /* it started over: the next time is news */
    store->wal_whole = whole;
    store->wal_restarts = store->vfs->wal_restarts;
    if (held && bytes > warn && !store->wal_warned) {
        store->wal_warned = true;
        wr_log(store->env, WR_LOG_WARN,
               "the write-ahead log of %s has grown to %" PRId64 " MiB, because a program that "
               "reads the store keeps a snapshot open; end it (an idle sqlite3 shell; a "
               "backup ends by itself)",
               store->info.path, bytes / (1024 * 1024));
    }
    if (held && bytes > store->wal_bytes_max) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_AGAIN,
                       "stopped: the write-ahead log of %s has grown to %" PRId64
                       " bytes, over --wal-max %" PRId64 ", because a program that reads the store "
                       "keeps a snapshot open; end it and start again, nothing is lost",
                       store->info.path, bytes, store->wal_bytes_max);
    }
    return WEIR_OK;
}

/* The operator thread's own snapshot is in the way until it has taken the epoch back, which is
 * within a batch: worth a wait once the WAL is twice as large as wished, unless that was in vain
 * the last time. */
static int copy_wal(struct wr_store *store, int *frames_out, int *copied_out)
{
    enum { TRIES = 10 };
    for (int try = 1;; try++) {
        int code = sqlite3_wal_checkpoint_v2(store->sql.db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                             frames_out, copied_out);
        bool whole = code == SQLITE_OK && *copied_out >= *frames_out;
        bool busy = code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY;
        if (whole || !busy || store->wal_held || try == TRIES ||
            wal_bytes(store, *frames_out) < 2 * checkpoint_bytes(store)) {
            store->wal_held = busy && !whole && (store->wal_held || try == TRIES);
            return busy ? SQLITE_OK : code;
        }
        sqlite3_sleep(1);
    }
}

weir_status wr_store_checkpoint(struct wr_store *store, struct wr_error *error)
{
    if (wal_bytes(store, store->wal_frames) < checkpoint_bytes(store)) {
        return WEIR_OK;
    }
    wr_sql_doing(&store->sql, "checkpoint");
    WR_FAULT(&store->env->fault, checkpoint_before, error);
    int frames = store->wal_frames, copied = 0;
    int64_t from_us = store->env->monotonic_us(store->env);
    int code = copy_wal(store, &frames, &copied);
    if (code != SQLITE_OK) {
        return wr_sql_fail(&store->sql, code, error);
    }
    int64_t now_us = store->env->monotonic_us(store->env);
    if (now_us - store->checkpoint_said_us >= 1000000) {
        store->checkpoint_said_us = now_us;
        wr_log(store->env, WR_LOG_DEBUG, "checkpoint: %d of %d pages copied in %" PRId64 " ms",
               copied, frames, (now_us - from_us) / 1000);
    }
    WR_FAULT(&store->env->fault, checkpoint_after, error);
    return check_wal(store, frames, copied >= frames, error);
}

static int64_t file_bytes(const char *path, const char *suffix)
{
    char full[WR_URI_BYTES_MAX + 8];
    struct stat info;
    snprintf(full, sizeof full, "%s%s", path, suffix);
    return stat(full, &info) == 0 ? info.st_size : 0;
}

void wr_store_stats(const struct wr_store *store, struct wr_store_stats *stats_out)
{
    const struct wr_store_vfs *vfs = store->vfs;
    *stats_out = (struct wr_store_stats){
        .fsyncs = atomic_load_explicit(&vfs->fsyncs, memory_order_relaxed),
        .fsync_us = atomic_load_explicit(&vfs->fsync_us, memory_order_relaxed),
        .bytes_written = atomic_load_explicit(&vfs->bytes_written, memory_order_relaxed),
        .store_bytes = file_bytes(store->info.path, ""),
        .wal_bytes = file_bytes(store->info.path, "-wal"),
    };
}
