/* store_schema.c: the tables of a store, and telling a store from other files. docs/FORMAT.md
 * explains every column.
 *
 * The tables that every record touches (state, timer, log) declare no type for their bytes: an
 * absent key is the integer 0 there. The others are STRICT.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "txn/base/assert.h"
#include "txn/store_inner.h"

/* One statement per name, so that wr_store_name_reserved sees every name there is. */
struct table {
    int since; /* the format that brought it, as it is here */
    const char *name, *text;
    /* What a reader of an older format has instead, by the first format that can be read so; NULL:
     * it is there empty. */
    const char *stand_in;
    int own; /* formats from this one on have something of this name, which is weir's; 0: none */
};

#define NODE_TEXT                                                                                  \
    "CREATE TABLE node(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version INTEGER NOT"     \
    " NULL) STRICT"

/* A trusting connection is not asked for: json_each and max may stand in a view, json_extract and
 * ->> may not.
 *
 * What nearly every epoch changes in few rows is in its own row: columns progress (store_ledger.h)
 * and changes (fold.h). The row is the last that its transaction writes. */
static const struct table tables[] = {
    {1, "meta", "CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID", "", 1},
    {4, "epoch",
     "CREATE TABLE epoch(number INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL,"
     " records INTEGER NOT NULL, positions TEXT NOT NULL, offsets TEXT NOT NULL, progress TEXT,"
     " folded INTEGER NOT NULL DEFAULT 0, changes BLOB) STRICT",
     "CREATE TEMP VIEW epoch AS SELECT *, NULL AS progress, 0 AS folded, NULL AS changes"
     " FROM main.epoch",
     1},
    {1, "node", NODE_TEXT, "", 1},
    {1, "watermark",
     "CREATE TABLE watermark(node INTEGER, source TEXT, part TEXT,"
     " watermark_ms INTEGER, idle INTEGER NOT NULL,"
     " PRIMARY KEY(node, source, part)) STRICT, WITHOUT ROWID",
     "", 1},
    {1, "state",
     "CREATE TABLE state(node INTEGER NOT NULL, key BLOB NOT NULL, slot BLOB NOT NULL,"
     " value BLOB NOT NULL, PRIMARY KEY(node, key, slot)) WITHOUT ROWID",
     "", 1},
    {1, "timer",
     "CREATE TABLE timer(node INTEGER NOT NULL, key BLOB NOT NULL, name BLOB NOT NULL,"
     " clock INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
     " PRIMARY KEY(node, key, name)) WITHOUT ROWID",
     "", 1},
    {1, "timer_due", "CREATE INDEX timer_due ON timer(node, clock, time_ms, key, name)", "", 1},
    {1, "topic",
     "CREATE TABLE topic(id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
     " outbox INTEGER NOT NULL, partitions INTEGER NOT NULL, retain_ms INTEGER NOT NULL,"
     " retain_bytes INTEGER NOT NULL, UNIQUE(name, outbox)) STRICT",
     "", 1},
    {1, "log",
     "CREATE TABLE log(id INTEGER PRIMARY KEY, topic INTEGER NOT NULL,"
     " partition INTEGER NOT NULL, first_offset INTEGER NOT NULL, count INTEGER NOT NULL,"
     " epoch INTEGER NOT NULL, written_ms INTEGER NOT NULL, crc INTEGER NOT NULL,"
     " batch BLOB NOT NULL) STRICT",
     "", 1},
    {4, "log_seek",
     "CREATE TABLE log_seek(topic INTEGER, partition INTEGER, first_offset INTEGER,"
     " id INTEGER NOT NULL, last INTEGER AS (id + " WR_LOG_SEEK_STEP_TEXT " - 1),"
     " PRIMARY KEY(topic, partition, first_offset)) STRICT, WITHOUT ROWID",
     "CREATE TEMP VIEW log_seek AS SELECT topic, partition, first_offset, id, id AS last FROM log",
     0},
    {1, "marker",
     "CREATE TABLE marker(sink TEXT PRIMARY KEY, next INTEGER NOT NULL,"
     " length INTEGER NOT NULL, incarnation INTEGER NOT NULL, crc INTEGER NOT NULL,"
     " identity TEXT) STRICT, WITHOUT ROWID",
     "", 1},
    {1, "sink",
     "CREATE TABLE sink(name TEXT PRIMARY KEY, kind TEXT NOT NULL, uri TEXT,"
     " topic INTEGER, table_name TEXT) STRICT, WITHOUT ROWID",
     "", 1},
    {1, "reject",
     "CREATE TABLE reject(id INTEGER PRIMARY KEY AUTOINCREMENT, epoch INTEGER NOT NULL,"
     " source TEXT, part TEXT, offset INTEGER, node TEXT NOT NULL,"
     " input INTEGER NOT NULL, seq INTEGER NOT NULL, key BLOB, value BLOB,"
     " headers BLOB, time_ms INTEGER NOT NULL, timer BLOB, reason TEXT NOT NULL) STRICT",
     "", 1},
    {2, "retry", "CREATE TABLE retry(reject INTEGER PRIMARY KEY) STRICT", NULL, 2},
    {3, "progress",
     "CREATE TABLE progress(kind INTEGER, id INTEGER DEFAULT 0, partition INTEGER DEFAULT 0,"
     " source TEXT DEFAULT '', part TEXT DEFAULT '', first INTEGER NOT NULL DEFAULT 0,"
     " next INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,"
     " crc INTEGER NOT NULL DEFAULT 0, watermark_ms INTEGER, idle INTEGER NOT NULL DEFAULT 0,"
     " identity TEXT, PRIMARY KEY(kind, id, partition, source, part)) STRICT, WITHOUT ROWID",
     NULL, 3},
    {4, "progress_tail",
     "CREATE VIEW progress_tail AS SELECT max(iif(cell.key = 0, cell.value, NULL)) AS kind,"
     " max(iif(cell.key = 1, cell.value, NULL)) AS id,"
     " max(iif(cell.key = 2, cell.value, NULL)) AS partition,"
     " max(iif(cell.key = 3, cell.value, NULL)) AS source,"
     " max(iif(cell.key = 4, cell.value, NULL)) AS part,"
     " max(iif(cell.key = 5, cell.value, NULL)) AS first,"
     " max(iif(cell.key = 6, cell.value, NULL)) AS next,"
     " max(iif(cell.key = 7, cell.value, NULL)) AS bytes,"
     " max(iif(cell.key = 8, cell.value, NULL)) AS crc,"
     " max(iif(cell.key = 9, cell.value, NULL)) AS watermark_ms,"
     " max(iif(cell.key = 10, cell.value, NULL)) AS idle,"
     " max(iif(cell.key = 11, cell.value, NULL)) AS identity"
     " FROM json_each((SELECT progress FROM epoch ORDER BY number DESC LIMIT 1)) AS line,"
     " json_each(line.value) AS cell GROUP BY line.key",
     "", 0},
    {4, "progress_now",
     "CREATE VIEW progress_now AS SELECT *, 0 AS in_tail FROM progress"
     " WHERE (kind, id, partition, source, part)"
     " NOT IN (SELECT kind, id, partition, source, part FROM progress_tail)"
     " UNION ALL SELECT *, 1 FROM progress_tail",
     "CREATE TEMP VIEW progress_now AS SELECT *, 0 AS in_tail FROM progress", 0},
    {4, "position",
     "CREATE VIEW position AS SELECT source, part, next, watermark_ms, idle, identity"
     " FROM progress_now WHERE kind = 1 AND id = 0 AND partition = 0",
     "", 1},
    {4, "partition",
     "CREATE VIEW partition AS SELECT id AS topic, partition, first, next, bytes, crc"
     " FROM progress_now WHERE kind = 2 AND source = '' AND part = ''",
     "", 1},
    {4, "node_watermark",
     "CREATE VIEW node_watermark AS SELECT id AS node, watermark_ms FROM progress_now"
     " WHERE kind = 3 AND partition = 0 AND source = '' AND part = ''",
     "CREATE TEMP VIEW node_watermark AS SELECT id AS node, watermark_ms FROM node", 3},
    {4, "changelog",
     "CREATE VIEW changelog AS SELECT number AS epoch, changes AS entries FROM epoch"
     " WHERE changes IS NOT NULL"
     " AND number > (SELECT folded FROM epoch ORDER BY number DESC LIMIT 1)",
     "CREATE TEMP VIEW changelog AS SELECT 0 AS epoch, x'' AS entries WHERE 0", 3},
};
enum { TABLE_COUNT = sizeof tables / sizeof *tables };

/* What a migration does to the tables of an older format, before the new ones and the views are
 * made. (ALTER TABLE would read the whole schema, and fail where a view of the user's does not fit
 * it.) Rows are few: of table log, which may be large, only the index is read, and freed. */
static const struct step {
    int from, to; /* for stores of these formats */
    const char *text;
} steps[] = {
    {1, 1, "CREATE TABLE retry(reject INTEGER PRIMARY KEY) STRICT"},
    {1, 2,
     "INSERT INTO progress(kind, source, part, next, watermark_ms, idle, identity)"
     " SELECT 1, source, part, next, watermark_ms, idle, identity FROM position;"
     "DROP TABLE position;"
     "INSERT INTO progress(kind, id, partition, first, next, bytes, crc)"
     " SELECT 2, topic, partition, first, next, bytes, crc FROM partition;"
     "DROP TABLE partition;"
     "INSERT INTO progress(kind, id, watermark_ms) SELECT 3, id, watermark_ms FROM node"
     " WHERE watermark_ms IS NOT NULL;"
     "CREATE TEMP TABLE older_node AS SELECT id, name, version FROM node;"
     "DROP TABLE node;" NODE_TEXT ";"
     "INSERT INTO node(id, name, version) SELECT id, name, version FROM older_node;"
     "DROP TABLE older_node"},
    {3, 3,
     "DROP VIEW position; DROP VIEW partition; DROP VIEW node_watermark; DROP TABLE changelog"},
    {1, 3,
     "CREATE TEMP TABLE older_epoch AS SELECT number, time_ms, records, positions, offsets"
     " FROM epoch; DROP TABLE epoch"},
};
static const char epoch_rows_text[] =
    "INSERT INTO epoch(number, time_ms, records, positions, offsets, folded)"
    " SELECT number, time_ms, records, positions, offsets, number FROM older_epoch ORDER BY number;"
    "DROP TABLE older_epoch";

bool wr_store_name_reserved(const char *name)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        if (strcasecmp(name, tables[i].name) == 0) {
            return true;
        }
    }
    return strncasecmp(name, "sqlite_", 7) == 0;
}

weir_status wr_store_schema_create(struct wr_sql *sql, struct wr_error *error)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        WR_TRY(wr_sql_exec(sql, tables[i].text, error));
    }
    char text[128];
    snprintf(text, sizeof text, "PRAGMA application_id=%d; PRAGMA user_version=%d", WR_STORE_MARK,
             WR_STORE_FORMAT);
    return wr_sql_exec(sql, text, error);
}

static const char *text_of(const char *name)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        if (strcmp(tables[i].name, name) == 0) {
            return tables[i].text;
        }
    }
    wr_assert(false);
    return NULL;
}

static weir_status check_name_free(struct wr_sql *sql, const struct table *table, int64_t format,
                                   struct wr_error *error)
{
    int64_t taken;
    if (table->own && format >= table->own) {
        return WEIR_OK; /* it is weir's */
    }
    WR_TRY(wr_sql_find(sql, "SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE",
                       table->name, &taken, error));
    if (!taken) {
        return WEIR_OK;
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "cannot %s %s: it has a table `%s`, a name that is weir's own since format "
                   "%d; rename it (sqlite3 %s 'ALTER TABLE %s RENAME TO ...'), and the job's "
                   "sink with it",
                   sql->doing, sql->path, table->name, table->own ? table->own : table->since,
                   sql->path, table->name);
}

/* Up to format 2 the last epoch was in meta as well. */
static weir_status drop_last_epoch(struct wr_sql *sql, struct wr_error *error)
{
    int64_t last, newest;
    WR_TRY(wr_sql_integer(sql, "SELECT value FROM meta WHERE key = 'epoch'", &last, error));
    WR_TRY(wr_sql_integer(sql, "SELECT max(number) FROM epoch", &newest, error));
    if (last != newest) {
        return wr_sql_broken(sql, error,
                             "meta says that epoch %lld was the last one, the newest in table "
                             "epoch is %lld",
                             (long long)last, (long long)newest);
    }
    return wr_sql_exec(sql, "DELETE FROM meta WHERE key = 'epoch'", error);
}

/* One row of log_seek in so many of log, as appending makes them. The index gives both columns. */
static weir_status fill_seek(struct wr_sql *sql, sqlite3_stmt *from, sqlite3_stmt *to,
                             struct wr_error *error)
{
    int64_t topic = -1, partition = -1, seek = 0;
    for (bool row = true;;) {
        WR_TRY(wr_sql_step(sql, from, &row, error));
        if (!row) {
            return WEIR_OK;
        }
        int64_t id = sqlite3_column_int64(from, 3);
        if (sqlite3_column_int64(from, 0) == topic && sqlite3_column_int64(from, 1) == partition &&
            id >= seek && id - seek < WR_LOG_SEEK_STEP) {
            continue;
        }
        topic = sqlite3_column_int64(from, 0);
        partition = sqlite3_column_int64(from, 1);
        seek = id;
        wr_sql_int(to, 1, topic);
        wr_sql_int(to, 2, partition);
        wr_sql_int(to, 3, sqlite3_column_int64(from, 2));
        wr_sql_int(to, 4, seek);
        WR_TRY(wr_sql_run(sql, to, error));
    }
}

static weir_status move_index(struct wr_sql *sql, struct wr_error *error)
{
    sqlite3_stmt *from = NULL, *to = NULL;
    weir_status status = wr_sql_prepare(sql, &from,
                                        "SELECT topic, partition, first_offset, id FROM log"
                                        " INDEXED BY log_offset ORDER BY 1, 2, 3",
                                        error);
    if (status == WEIR_OK) {
        status = wr_sql_prepare(sql, &to,
                                "INSERT INTO log_seek(topic, partition, first_offset, id)"
                                " VALUES(?1, ?2, ?3, ?4)",
                                error);
    }
    if (status == WEIR_OK) {
        status = fill_seek(sql, from, to, error);
    }
    sqlite3_finalize(from);
    sqlite3_finalize(to);
    WR_TRY(status);
    return wr_sql_exec(sql, "DROP INDEX log_offset", error);
}

weir_status wr_store_schema_migrate(struct wr_sql *sql, int64_t format, struct wr_error *error)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        WR_TRY(tables[i].since > format ? check_name_free(sql, &tables[i], format, error)
                                        : WEIR_OK);
    }
    if (format < 3) {
        WR_TRY(wr_sql_exec(sql, text_of("progress"), error));
    }
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (steps[i].from <= format && format <= steps[i].to) {
            WR_TRY(wr_sql_exec(sql, steps[i].text, error));
        }
    }
    for (int i = 0; i < TABLE_COUNT; i++) {
        if (tables[i].since > format && tables[i].since > 3) {
            WR_TRY(wr_sql_exec(sql, tables[i].text, error));
        }
    }
    WR_TRY(wr_sql_exec(sql, epoch_rows_text, error));
    if (format < 3) {
        WR_TRY(drop_last_epoch(sql, error));
    }
    WR_TRY(move_index(sql, error));
    char text[64];
    snprintf(text, sizeof text, "PRAGMA user_version=%d", WR_STORE_FORMAT);
    return wr_sql_exec(sql, text, error);
}

weir_status wr_store_schema_stand_in(struct wr_sql *sql, struct wr_error *error)
{
    int64_t format;
    WR_TRY(wr_sql_integer(sql, "PRAGMA user_version", &format, error));
    for (int i = 0; i < TABLE_COUNT; i++) {
        const struct table *table = &tables[i];
        char text[1024];
        if (table->since <= format) {
            continue;
        }
        if (table->since == WR_STORE_FORMAT && table->own > 1 && table->own <= format) {
            continue; /* what that format has of this name is read in the same way */
        }
        snprintf(text, sizeof text, "CREATE TEMP %s", table->text + strlen("CREATE "));
        WR_TRY(wr_sql_exec(sql, table->stand_in ? table->stand_in : text, error));
    }
    return WEIR_OK;
}

weir_status wr_store_meta(struct wr_sql *sql, const char *key, char *text, size_t size,
                          struct wr_error *error)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    text[0] = '\0';
    WR_TRY(wr_sql_prepare(sql, &statement, "SELECT value FROM meta WHERE key = ?1", error));
    wr_sql_text(statement, 1, key);
    weir_status status = wr_sql_step(sql, statement, &row, error);
    if (row) {
        const char *value = (const char *)sqlite3_column_text(statement, 0);
        snprintf(text, size, "%s", value ? value : "");
    }
    sqlite3_finalize(statement);
    return status;
}

static weir_status fail_newer(struct wr_sql *sql, int64_t format, struct wr_error *error)
{
    char maker[64];
    struct wr_error ignored = {.status = WEIR_OK};
    if (wr_store_meta(sql, "weir", maker, sizeof maker, &ignored) != WEIR_OK || !maker[0]) {
        snprintf(maker, sizeof maker, "a newer version");
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "cannot %s %s: its format is %lld, and this weir, version %s, knows formats up "
                   "to %d; use weir %s, which made it, or one that is newer",
                   sql->doing, sql->path, (long long)format, WEIR_VERSION, WR_STORE_FORMAT, maker);
}

weir_status wr_store_fail_empty(struct wr_sql *sql, struct wr_error *error)
{
    return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                   "cannot %s %s: it is empty, as a store is whose making a crash cut short; run "
                   "its job, which makes it",
                   sql->doing, sql->path);
}

weir_status wr_store_identify(struct wr_sql *sql, enum wr_store_kind *kind_out,
                              struct wr_error *error)
{
    int64_t mark, format, objects;
    WR_TRY(wr_sql_integer(sql, "PRAGMA application_id", &mark, error));
    WR_TRY(wr_sql_integer(sql, "PRAGMA user_version", &format, error));
    if (mark == WR_STORE_MARK && format > WR_STORE_FORMAT) {
        return fail_newer(sql, format, error);
    }
    if (mark == WR_STORE_MARK && format > 0) {
        *kind_out = format < WR_STORE_FORMAT ? WR_STORE_OLDER : WR_STORE_OURS;
        return WEIR_OK;
    }
    WR_TRY(wr_sql_integer(sql, "SELECT count(*) FROM sqlite_schema", &objects, error));
    if (mark == 0 && format == 0 && objects == 0) {
        *kind_out = WR_STORE_EMPTY;
        return WEIR_OK;
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                   "cannot %s %s: it is an SQLite database, but not a store of weir's; name the "
                   "right file with --store, or one that does not exist yet",
                   sql->doing, sql->path);
}
