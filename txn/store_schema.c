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

#include "txn/store_inner.h"

/* One statement per name, so that wr_store_name_reserved sees every name there is. */
struct table {
    int since; /* the format that brought it */
    const char *name, *text;
};

static const struct table tables[] = {
    {1, "meta", "CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID"},
    {1, "epoch",
     "CREATE TABLE epoch(number INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL,"
     " records INTEGER NOT NULL, positions TEXT NOT NULL, offsets TEXT NOT NULL) STRICT"},
    {1, "position",
     "CREATE TABLE position(source TEXT, part TEXT, next INTEGER NOT NULL,"
     " watermark_ms INTEGER, idle INTEGER NOT NULL, identity TEXT,"
     " PRIMARY KEY(source, part)) STRICT, WITHOUT ROWID"},
    {1, "node",
     "CREATE TABLE node(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
     " version INTEGER NOT NULL, watermark_ms INTEGER) STRICT"},
    {1, "watermark",
     "CREATE TABLE watermark(node INTEGER, source TEXT, part TEXT,"
     " watermark_ms INTEGER, idle INTEGER NOT NULL,"
     " PRIMARY KEY(node, source, part)) STRICT, WITHOUT ROWID"},
    {1, "state",
     "CREATE TABLE state(node INTEGER NOT NULL, key BLOB NOT NULL, slot BLOB NOT NULL,"
     " value BLOB NOT NULL, PRIMARY KEY(node, key, slot)) WITHOUT ROWID"},
    {1, "timer",
     "CREATE TABLE timer(node INTEGER NOT NULL, key BLOB NOT NULL, name BLOB NOT NULL,"
     " clock INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
     " PRIMARY KEY(node, key, name)) WITHOUT ROWID"},
    {1, "timer_due", "CREATE INDEX timer_due ON timer(node, clock, time_ms, key, name)"},
    {1, "topic",
     "CREATE TABLE topic(id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
     " outbox INTEGER NOT NULL, partitions INTEGER NOT NULL, retain_ms INTEGER NOT NULL,"
     " retain_bytes INTEGER NOT NULL, UNIQUE(name, outbox)) STRICT"},
    {1, "partition",
     "CREATE TABLE partition(topic INTEGER, partition INTEGER,"
     " first INTEGER NOT NULL, next INTEGER NOT NULL, bytes INTEGER NOT NULL,"
     " crc INTEGER NOT NULL, PRIMARY KEY(topic, partition)) STRICT, WITHOUT ROWID"},
    {1, "log",
     "CREATE TABLE log(id INTEGER PRIMARY KEY, topic INTEGER NOT NULL,"
     " partition INTEGER NOT NULL, first_offset INTEGER NOT NULL, count INTEGER NOT NULL,"
     " epoch INTEGER NOT NULL, written_ms INTEGER NOT NULL, crc INTEGER NOT NULL,"
     " batch BLOB NOT NULL) STRICT"},
    {1, "log_offset", "CREATE UNIQUE INDEX log_offset ON log(topic, partition, first_offset)"},
    {1, "marker",
     "CREATE TABLE marker(sink TEXT PRIMARY KEY, next INTEGER NOT NULL,"
     " length INTEGER NOT NULL, incarnation INTEGER NOT NULL, crc INTEGER NOT NULL,"
     " identity TEXT) STRICT, WITHOUT ROWID"},
    {1, "sink",
     "CREATE TABLE sink(name TEXT PRIMARY KEY, kind TEXT NOT NULL, uri TEXT,"
     " topic INTEGER, table_name TEXT) STRICT, WITHOUT ROWID"},
    {1, "reject",
     "CREATE TABLE reject(id INTEGER PRIMARY KEY AUTOINCREMENT, epoch INTEGER NOT NULL,"
     " source TEXT, part TEXT, offset INTEGER, node TEXT NOT NULL,"
     " input INTEGER NOT NULL, seq INTEGER NOT NULL, key BLOB, value BLOB,"
     " headers BLOB, time_ms INTEGER NOT NULL, timer BLOB, reason TEXT NOT NULL) STRICT"},
    {2, "retry", "CREATE TABLE retry(reject INTEGER PRIMARY KEY) STRICT"},
    {3, "changelog",
     "CREATE TABLE changelog(epoch INTEGER PRIMARY KEY, entries BLOB NOT NULL) STRICT"},
};
enum { TABLE_COUNT = sizeof tables / sizeof *tables };

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

static weir_status check_name_free(struct wr_sql *sql, const struct table *table,
                                   struct wr_error *error)
{
    int64_t taken;
    WR_TRY(wr_sql_find(sql, "SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE",
                       table->name, &taken, error));
    if (!taken) {
        return WEIR_OK;
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "cannot %s %s: it has a table `%s`, a name that is weir's own since format "
                   "%d; rename it (sqlite3 %s 'ALTER TABLE %s RENAME TO ...'), and the job's "
                   "sink with it",
                   sql->doing, sql->path, table->name, table->since, sql->path, table->name);
}

weir_status wr_store_schema_migrate(struct wr_sql *sql, struct wr_error *error)
{
    int64_t format;
    WR_TRY(wr_sql_integer(sql, "PRAGMA user_version", &format, error));
    for (int i = 0; i < TABLE_COUNT; i++) {
        if (tables[i].since > format) {
            WR_TRY(check_name_free(sql, &tables[i], error));
            WR_TRY(wr_sql_exec(sql, tables[i].text, error));
        }
    }
    char text[64];
    snprintf(text, sizeof text, "PRAGMA user_version=%d", WR_STORE_FORMAT);
    return wr_sql_exec(sql, text, error);
}

weir_status wr_store_schema_stand_in(struct wr_sql *sql, struct wr_error *error)
{
    int64_t format;
    WR_TRY(wr_sql_integer(sql, "PRAGMA user_version", &format, error));
    for (int i = 0; i < TABLE_COUNT; i++) {
        if (tables[i].since > format) {
            char text[512];
            snprintf(text, sizeof text, "CREATE TEMP %s", tables[i].text + strlen("CREATE "));
            WR_TRY(wr_sql_exec(sql, text, error));
        }
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
