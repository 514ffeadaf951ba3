/* store_define.c: making a store fit the job: nodes, topics, tables, markers; state of an older
 * version. See store.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/store_inner.h"

static weir_status define_node(struct wr_store *store, struct wr_node_definition *node,
                               struct wr_error *error)
{
    int64_t id;
    const char *find = "SELECT id FROM node WHERE name = ?1";
    WR_TRY(wr_sql_find(&store->sql, find, node->name, &id, error));
    if (id == 0) {
        sqlite3_stmt *statement;
        WR_TRY(wr_sql_once(&store->sql, "INSERT INTO node(name, version) VALUES(?1, ?2)",
                           &statement, error));
        wr_sql_text(statement, 1, node->name);
        wr_sql_int(statement, 2, node->version);
        WR_TRY(wr_sql_run_once(&store->sql, statement, error));
        WR_TRY(wr_sql_find(&store->sql, find, node->name, &id, error));
    }
    if (id <= 0 || id > UINT32_MAX) {
        return wr_sql_broken(&store->sql, error, "node `%s` has id %lld", node->name,
                             (long long)id);
    }
    node->id = (uint32_t)id;
    return WEIR_OK;
}

/* ---- Topics ---------------------------------------------------------------------------------- */

static weir_status make_topic(struct wr_store *store, struct wr_sink *sink, struct wr_error *error)
{
    sqlite3_stmt *statement;
    sink->partitions = sink->partitions > 0 ? sink->partitions : 1;
    sink->retain_ms = sink->retain_ms > 0 ? sink->retain_ms : 0;
    sink->retain_bytes = sink->retain_bytes > 0 ? sink->retain_bytes : 0;
    /* An id is never given twice: readers of other stores know a topic by it. */
    WR_TRY(wr_sql_once(&store->sql,
                       "INSERT INTO topic(id, name, outbox, partitions, retain_ms, retain_bytes)"
                       " VALUES(1 + max(coalesce((SELECT max(id) FROM topic), 0),"
                       " coalesce((SELECT value FROM meta WHERE key = 'topic'), 0)),"
                       " ?1, ?2, ?3, ?4, ?5)",
                       &statement, error));
    wr_sql_text(statement, 1, sink->topic_name);
    wr_sql_int(statement, 2, sink->kind == WR_SINK_OUTBOX);
    wr_sql_int(statement, 3, sink->partitions);
    wr_sql_int(statement, 4, sink->retain_ms);
    wr_sql_int(statement, 5, sink->retain_bytes);
    WR_TRY(wr_sql_run_once(&store->sql, statement, error));
    sink->topic = sqlite3_last_insert_rowid(store->sql.db);
    for (int32_t i = 0; i < sink->partitions; i++) {
        WR_TRY(wr_sql_run_text(&store->sql,
                               "INSERT INTO progress(kind, id, partition) VALUES(2, ?1, ?2)",
                               sink->topic, i, error));
    }
    return WEIR_OK;
}

/* sink->topic is 0 when there is none yet. */
static weir_status find_topic(struct wr_store *store, const struct wr_sink *sink,
                              struct wr_topic *topic_out, struct wr_error *error)
{
    sqlite3_stmt *statement;
    bool row;
    *topic_out = (struct wr_topic){0};
    WR_TRY(wr_sql_once(&store->sql,
                       "SELECT id, partitions, retain_ms, retain_bytes FROM topic"
                       " WHERE name = ?1 AND outbox = ?2",
                       &statement, error));
    wr_sql_text(statement, 1, sink->topic_name);
    wr_sql_int(statement, 2, sink->kind == WR_SINK_OUTBOX);
    weir_status status = wr_sql_step(&store->sql, statement, &row, error);
    if (status == WEIR_OK && row) {
        topic_out->id = sqlite3_column_int64(statement, 0);
        topic_out->partitions = sqlite3_column_int(statement, 1);
        topic_out->retain_ms = sqlite3_column_int64(statement, 2);
        topic_out->retain_bytes = sqlite3_column_int64(statement, 3);
    }
    sqlite3_finalize(statement);
    return status;
}

static weir_status keep_topic(struct wr_store *store, struct wr_sink *sink,
                              const struct wr_topic *stored, struct wr_error *error)
{
    if (stored->partitions < 1 || stored->partitions > WR_PARTITIONS_MAX) {
        return wr_sql_broken(&store->sql, error, "topic `%s` has %d partitions", sink->topic_name,
                             (int)stored->partitions);
    }
    if (sink->partitions > 0 && sink->partitions != stored->partitions) {
        return wr_fail(
            error, WEIR_FATAL, WR_EXIT_CONFIG,
            "sink `%s`: topic `%s` of %s has %d partitions, not %d, and their number is "
            "fixed once a topic is made; leave `partitions` out, write to a new topic (-o "
            "%s=log:TOPIC), or delete this one with all its records (weir topics %.400s --delete "
            "%s --force)",
            sink->name, sink->topic_name, store->sql.path, (int)stored->partitions,
            (int)sink->partitions, sink->name, store->sql.path, sink->topic_name);
    }
    sink->topic = stored->id;
    sink->partitions = stored->partitions;
    sink->retain_ms = sink->retain_ms >= 0 ? sink->retain_ms : stored->retain_ms;
    sink->retain_bytes = sink->retain_bytes >= 0 ? sink->retain_bytes : stored->retain_bytes;
    sqlite3_stmt *statement;
    WR_TRY(wr_sql_once(&store->sql,
                       "UPDATE topic SET retain_ms = ?2, retain_bytes = ?3 WHERE id = ?1",
                       &statement, error));
    wr_sql_int(statement, 1, sink->topic);
    wr_sql_int(statement, 2, sink->retain_ms);
    wr_sql_int(statement, 3, sink->retain_bytes);
    return wr_sql_run_once(&store->sql, statement, error);
}

static weir_status take_next(struct wr_store *store, struct wr_sink *sink, int32_t partition,
                             int64_t next, struct wr_error *error)
{
    if (next < 0 || next > WR_COUNTER_MAX) {
        return wr_sql_broken(&store->sql, error, "partition %d of topic `%s` ends at offset %lld",
                             (int)partition, sink->topic_name, (long long)next);
    }
    sink->next[partition] = next;
    return WEIR_OK;
}

static weir_status load_next(struct wr_store *store, struct wr_sink *sink, struct wr_error *error)
{
    sqlite3_stmt *statement;
    bool row = true;
    int32_t count = 0;
    weir_status status = WEIR_OK;
    sink->next = wr_arena_alloc(&store->arena, (size_t)sink->partitions * sizeof *sink->next);
    if (!sink->next) {
        return wr_fail_memory(error);
    }
    WR_TRY(wr_sql_once(&store->sql,
                       "SELECT next FROM partition WHERE topic = ?1 ORDER BY partition", &statement,
                       error));
    wr_sql_int(statement, 1, sink->topic);
    while (status == WEIR_OK && row && count <= sink->partitions) {
        status = wr_sql_step(&store->sql, statement, &row, error);
        if (status == WEIR_OK && row && count++ < sink->partitions) {
            status = take_next(store, sink, count - 1, sqlite3_column_int64(statement, 0), error);
        }
    }
    sqlite3_finalize(statement);
    if (status == WEIR_OK && count != sink->partitions) {
        return wr_sql_broken(&store->sql, error,
                             "topic `%s` has %d partitions, and table partition"
                             " another number of rows for it",
                             sink->topic_name, (int)sink->partitions);
    }
    return status;
}

static weir_status define_topic(struct wr_store *store, struct wr_sink *sink,
                                struct wr_error *error)
{
    struct wr_topic stored;
    wr_assert_that(sink->partitions, <=, WR_PARTITIONS_MAX);
    WR_TRY(find_topic(store, sink, &stored, error));
    WR_TRY(stored.id ? keep_topic(store, sink, &stored, error) : make_topic(store, sink, error));
    WR_TRY(load_next(store, sink, error));
    if (sink->kind != WR_SINK_OUTBOX) {
        return WEIR_OK;
    }
    sqlite3_stmt *statement;
    WR_TRY(wr_sql_once(&store->sql,
                       "INSERT INTO marker(sink, next, length, incarnation, crc, identity)"
                       " VALUES(?1, 0, -1, 0, 0, NULL) ON CONFLICT DO NOTHING",
                       &statement, error));
    wr_sql_text(statement, 1, sink->name);
    return wr_sql_run_once(&store->sql, statement, error);
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static const char *column_type(enum wr_column column)
{
    static const char *const names[] = {"", "TEXT", "INTEGER", "REAL", "BLOB"};
    return names[column];
}

/* "key TYPE, value TYPE" as table_info tells it; empty when there is no such table. */
static weir_status table_shape(struct wr_store *store, const char *table, char *shape, size_t size,
                               struct wr_error *error)
{
    sqlite3_stmt *statement;
    bool row;
    shape[0] = '\0';
    WR_TRY(
        wr_sql_once(&store->sql,
                    "SELECT group_concat(name || ' ' || upper(type) || iif(pk, ' PRIMARY KEY', ''),"
                    " ', ') FROM (SELECT * FROM pragma_table_info(?1) ORDER BY cid)",
                    &statement, error));
    wr_sql_text(statement, 1, table);
    weir_status status = wr_sql_step(&store->sql, statement, &row, error);
    if (status == WEIR_OK && row && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        snprintf(shape, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    return status;
}

static weir_status make_table(struct wr_store *store, const struct wr_sink *sink,
                              struct wr_error *error)
{
    char *text =
        sqlite3_mprintf("CREATE TABLE \"%w\"(key %s PRIMARY KEY NOT NULL, value %s)"
                        " WITHOUT ROWID",
                        sink->table, column_type(sink->key_type), column_type(sink->value_type));
    if (!text) {
        return wr_fail_memory(error);
    }
    weir_status status = wr_sql_exec(&store->sql, text, error);
    sqlite3_free(text);
    return status;
}

static weir_status define_table(struct wr_store *store, const struct wr_sink *sink,
                                struct wr_error *error)
{
    char shape[256], wanted[128];
    int64_t taken;
    if (wr_store_name_reserved(sink->table)) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "sink `%s`: `%s` is the name of a table of weir's own; give the table "
                       "another name",
                       sink->name, sink->table);
    }
    WR_TRY(table_shape(store, sink->table, shape, sizeof shape, error));
    WR_TRY(wr_sql_find(&store->sql,
                       "SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE"
                       " AND type <> 'table'",
                       sink->table, &taken, error));
    if (!shape[0] && !taken) {
        return make_table(store, sink, error);
    }
    snprintf(wanted, sizeof wanted, "key %s PRIMARY KEY, value %s", column_type(sink->key_type),
             column_type(sink->value_type));
    if (taken || strcmp(shape, wanted) != 0) {
        return wr_fail(
            error, WEIR_FATAL, WR_EXIT_CONFIG,
            "sink `%s`: %.400s has `%s` already, and it is %s(%s) instead of (%s); write to "
            "a new table (-o %s=table:NAME), or drop that one (sqlite3 %.400s 'DROP %s "
            "\"%s\"', while no job runs)",
            sink->name, store->sql.path, sink->table, taken ? "an index or view " : "a table ",
            shape, wanted, sink->name, store->sql.path, taken ? "INDEX or VIEW" : "TABLE",
            sink->table);
    }
    return WEIR_OK;
}

/* ---- All of it ------------------------------------------------------------------------------- */

/* `shown`: it is a job's, and belongs into table sink. */
static weir_status define_sink(struct wr_store *store, struct wr_sink *sink, bool shown,
                               struct wr_error *error)
{
    static const char *const kinds[] = {"null", "table", "log", "outbox", "sql"};
    bool has_topic = sink->kind == WR_SINK_LOG || sink->kind == WR_SINK_OUTBOX;
    if (has_topic) {
        WR_TRY(define_topic(store, sink, error));
    } else if (sink->kind == WR_SINK_TABLE) {
        WR_TRY(define_table(store, sink, error));
    }
    if (!shown) {
        return WEIR_OK;
    }
    sqlite3_stmt *statement;
    WR_TRY(wr_sql_once(&store->sql,
                       "INSERT OR REPLACE INTO sink(name, kind, uri, topic, table_name)"
                       " VALUES(?1, ?2, ?3, ?4, ?5)",
                       &statement, error));
    wr_sql_text(statement, 1, sink->name);
    wr_sql_text(statement, 2, kinds[sink->kind]);
    wr_sql_text(statement, 3, sink->uri);
    wr_sql_time(statement, 4, has_topic ? sink->topic : INT64_MIN);
    wr_sql_text(statement, 5, sink->kind == WR_SINK_TABLE ? sink->table : NULL);
    return wr_sql_run_once(&store->sql, statement, error);
}

static weir_status define_text(struct wr_store *store, const char *key, const char *text,
                               struct wr_error *error)
{
    if (!text) {
        return WEIR_OK;
    }
    sqlite3_stmt *statement;
    WR_TRY(wr_sql_once(&store->sql, "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)",
                       &statement, error));
    wr_sql_text(statement, 1, key);
    wr_sql_text(statement, 2, text);
    return wr_sql_run_once(&store->sql, statement, error);
}

static weir_status define_all(struct wr_store *store, struct wr_definition *definition,
                              struct wr_error *error)
{
    for (size_t i = 0; i < definition->node_count; i++) {
        WR_TRY(define_node(store, &definition->nodes[i], error));
    }
    if (definition->graph) { /* table sink shows the job as it is now */
        WR_TRY(wr_sql_exec(&store->sql, "DELETE FROM sink", error));
    }
    for (size_t i = 0; i < definition->sink_count; i++) {
        WR_TRY(define_sink(store, &definition->sinks[i], definition->graph != NULL, error));
    }
    WR_TRY(define_text(store, "graph", definition->graph, error));
    return define_text(store, "options", definition->options, error);
}

static weir_status forget_tables(struct wr_store *store, size_t sink_count, struct wr_error *error)
{
    for (size_t i = 0; store->tables && i < store->sink_count; i++) {
        sqlite3_finalize(store->tables[i].put);
        sqlite3_finalize(store->tables[i].put_many);
        sqlite3_finalize(store->tables[i].remove);
    }
    for (size_t i = 0; store->told && i < store->sink_count; i++) {
        for (int j = 0; j < WR_SQL_SECTIONS; j++) {
            wr_told_forget(&store->told[i], (enum wr_sql_section)j);
        }
    }
    store->told = NULL; /* in the store's arena */
    free(store->tables);
    store->sink_count = 0;
    store->tables = calloc(sink_count + 1, sizeof *store->tables);
    if (!store->tables) {
        return wr_fail_memory(error);
    }
    store->sink_count = sink_count;
    return WEIR_OK;
}

weir_status wr_store_define(struct wr_store *store, struct wr_definition *definition,
                            struct wr_error *error)
{
    wr_sql_doing(&store->sql, "define the job in");
    WR_TRY(forget_tables(store, definition->sink_count, error));
    store->sinks = definition->sinks;
    WR_TRY(wr_store_begin(store, error));
    weir_status status = wr_store_settle(store, error);
    if (status == WEIR_OK) {
        status = define_all(store, definition, error);
    }
    if (status == WEIR_OK) {
        status = wr_store_define_sql(store, error);
    }
    return wr_store_end(store, status, error);
}
