/* store_change.c: see store_change.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/store_change.h"

#include <string.h>

#include "txn/base/assert.h"
#include "txn/store_inner.h"

/* ---- The transaction of a start -------------------------------------------------------------- */

static void doing(struct wr_store *store)
{
    wr_sql_doing(&store->sql, "start the job in");
}

weir_status wr_store_start_begin(struct wr_store *store, struct wr_error *error)
{
    wr_assert(!store->starting);
    doing(store);
    WR_TRY(wr_store_begin(store, error));
    weir_status status = wr_store_settle(store, error);
    if (status != WEIR_OK) {
        return wr_store_end(store, status, error);
    }
    store->starting = true;
    store->changed = 0;
    return WEIR_OK;
}

weir_status wr_store_start_end(struct wr_store *store, weir_status status, struct wr_error *error)
{
    wr_assert(store->starting);
    store->starting = false;
    doing(store);
    WR_TRY(wr_store_end(store, status, error));
    if (store->changed) {
        wr_assert_that(store->changed, ==, store->decided + 1);
        store->decided = store->info.epoch = store->changed;
        atomic_store(&store->env->epoch, store->decided);
    }
    return WEIR_OK;
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* What is kept says what a name is; the last run's graph says the rest. */
static const char names_text[] =
    "WITH graph AS MATERIALIZED (SELECT value ->> 'name' AS name, value ->> 'kind' AS kind"
    "   FROM (SELECT value AS graph FROM meta WHERE key = 'graph' AND json_valid(value)),"
    "   json_each(graph, '$.nodes')),"
    " waiting AS MATERIALIZED (SELECT node AS name, count(*) AS queued"
    "   FROM retry JOIN reject ON reject.id = retry.reject GROUP BY node),"
    " outbox AS MATERIALIZED (SELECT topic.name, partition.next - coalesce(marker.next, 0) AS "
    "unsent"
    "   FROM topic JOIN partition ON partition.topic = topic.id"
    "   LEFT JOIN marker ON marker.sink = topic.name WHERE outbox),"
    " name(name) AS (SELECT name FROM node UNION SELECT source FROM position"
    "   UNION SELECT name FROM outbox UNION SELECT sink FROM marker"
    "   UNION SELECT name FROM waiting),"
    " kept AS (SELECT name.name, coalesce(node.id, 0) AS id, graph.kind, unsent, queued,"
    "   EXISTS (SELECT 1 FROM state WHERE node = node.id)"
    "     OR EXISTS (SELECT 1 FROM timer WHERE node = node.id) AS through,"
    "   EXISTS (SELECT 1 FROM position WHERE source = name.name) AS source,"
    "   outbox.name IS NOT NULL AS sink"
    "   FROM name LEFT JOIN node USING(name) LEFT JOIN graph USING(name)"
    "   LEFT JOIN waiting USING(name) LEFT JOIN outbox USING(name))"
    " SELECT name, id, iif(through, 'through', iif(source, 'source', coalesce(kind,"
    "   iif(sink, 'sink', '')))), through OR source OR sink, coalesce(unsent, 0),"
    "   coalesce(queued, 0) FROM kept ORDER BY name";

static enum wr_stored_kind kind_of(sqlite3_stmt *row, int column)
{
    static const char *const kinds[] = {"", "source", "times", "through", "sink"};
    const char *text = (const char *)sqlite3_column_text(row, column);
    for (size_t i = 0; text && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(text, kinds[i]) == 0) {
            return (enum wr_stored_kind)i;
        }
    }
    return WR_STORED_BARE;
}

static weir_status read_names(struct wr_store *store, sqlite3_stmt *statement,
                              struct wr_arena *arena, struct wr_stored_name **names_out,
                              size_t *count_out, struct wr_error *error)
{
    size_t count = 0, room = 0;
    struct wr_stored_name *names = NULL;
    for (bool row = true;; count++) {
        WR_TRY(wr_sql_step(&store->sql, statement, &row, error));
        if (!row) {
            break;
        }
        if (count == room) {
            room = room ? room * 2 : 32;
            struct wr_stored_name *larger = wr_arena_alloc(arena, room * sizeof *names);
            if (larger && count) {
                memcpy(larger, names, count * sizeof *names);
            }
            names = larger;
        }
        struct wr_stored_name name = {.node = sqlite3_column_int64(statement, 1),
                                      .kind = kind_of(statement, 2),
                                      .keeps = sqlite3_column_int(statement, 3) != 0,
                                      .unsent = sqlite3_column_int64(statement, 4),
                                      .queued = sqlite3_column_int64(statement, 5)};
        if (!names || !wr_sql_column_string(statement, 0, arena, &name.name)) {
            return wr_fail_memory(error);
        }
        if (!name.name) {
            return wr_sql_broken(&store->sql, error, "a table holds NULL for a name");
        }
        names[count] = name;
    }
    *names_out = names;
    *count_out = count;
    return WEIR_OK;
}

weir_status wr_store_names(struct wr_store *store, struct wr_arena *arena,
                           struct wr_stored_name **names_out, size_t *count_out,
                           struct wr_error *error)
{
    sqlite3_stmt *statement;
    doing(store);
    WR_TRY(wr_sql_once(&store->sql, names_text, &statement, error));
    weir_status status = read_names(store, statement, arena, names_out, count_out, error);
    sqlite3_finalize(statement);
    return status;
}

weir_status wr_store_same_graph(struct wr_store *store, const char *graph, bool *same_out,
                                struct wr_error *error)
{
    int64_t same;
    doing(store);
    WR_TRY(wr_sql_find(&store->sql,
                       "SELECT (SELECT json_group_array(json(json_remove(value, '$.uri')))"
                       " FROM (SELECT value AS graph FROM meta WHERE key = 'graph' AND"
                       " json_valid(value)), json_each(graph, '$.nodes'))"
                       " = (SELECT json_group_array(json(json_remove(value, '$.uri')))"
                       " FROM json_each(?1, '$.nodes'))",
                       graph, &same, error));
    *same_out = same == 1;
    return WEIR_OK;
}

/* ---- Renaming -------------------------------------------------------------------------------- */

/* Where names stand, by what they name. */
static const struct place {
    const char *table, *column;
    unsigned kinds; /* 1 << enum wr_stored_kind */
} places[] = {
#define ANY (~0u)
#define SOURCES (1u << WR_STORED_SOURCE)
#define SINKS (1u << WR_STORED_SINK)
    {"node", "name", ANY},
    {"reject", "node", ANY},
    {"reject", "source", SOURCES},
    {"progress", "source", SOURCES},
    {"watermark", "source", SOURCES},
    {"marker", "sink", SINKS},
    {"topic", "name", SINKS},
};

static weir_status change_text(struct wr_store *store, const struct place *place,
                               const char *format, const char *first, const char *second,
                               struct wr_error *error)
{
    sqlite3_stmt *statement;
    char *text = sqlite3_mprintf(format, place->table, place->column, place->column,
                                 strcmp(place->table, "topic") == 0 ? " AND outbox" : "");
    if (!text) {
        return wr_fail_memory(error);
    }
    weir_status status = wr_sql_once(&store->sql, text, &statement, error);
    sqlite3_free(text);
    WR_TRY(status);
    wr_sql_text(statement, 1, first);
    if (second) {
        wr_sql_text(statement, 2, second);
    }
    return wr_sql_run_once(&store->sql, statement, error);
}

/* In two steps, by a name that nothing can have: so names may be swapped. */
static weir_status rename_in(struct wr_store *store, const struct place *place, bool aside,
                             const struct wr_rename *rename, struct wr_error *error)
{
    if (!(place->kinds & 1u << rename->kind)) {
        return WEIR_OK;
    }
    if (aside) {
        return change_text(store, place, "UPDATE %s SET %s = '=' || ?1 WHERE %s = ?1%s",
                           rename->from, NULL, error);
    }
    return change_text(store, place, "UPDATE %s SET %s = ?2 WHERE %s = '=' || ?1%s", rename->from,
                       rename->to, error);
}

/* A name that a job once had, and of which nothing is kept but that. */
static weir_status make_room(struct wr_store *store, const char *name, struct wr_error *error)
{
    int64_t id;
    WR_TRY(wr_sql_find(&store->sql, "SELECT id FROM node WHERE name = ?1", name, &id, error));
    WR_TRY(wr_sql_run_text(&store->sql, "DELETE FROM watermark WHERE node = ?1", id, 0, error));
    WR_TRY(wr_sql_run_text(&store->sql, "DELETE FROM progress WHERE kind = 3 AND id = ?1", id, 0,
                           error));
    return wr_sql_run_text(&store->sql, "DELETE FROM node WHERE id = ?1", id, 0, error);
}

weir_status wr_store_rename(struct wr_store *store, const struct wr_rename *renames, size_t count,
                            struct wr_error *error)
{
    enum { PLACES = sizeof places / sizeof *places };
    wr_assert(store->starting);
    wr_sql_doing(&store->sql, "rename what is kept in");
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < PLACES; j++) {
            WR_TRY(rename_in(store, &places[j], true, &renames[i], error));
        }
    }
    for (size_t i = 0; i < count; i++) {
        WR_TRY(make_room(store, renames[i].to, error));
        for (size_t j = 0; j < PLACES; j++) {
            WR_TRY(rename_in(store, &places[j], false, &renames[i], error));
        }
    }
    return WEIR_OK;
}

/* ---- Forgetting ------------------------------------------------------------------------------ */

/* Runs a DELETE with a text or (NULL) a number as parameter, and counts the rows. */
static weir_status remove_rows(struct wr_store *store, const char *text, const char *name,
                               int64_t id, int64_t *count_out, struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_sql_once(&store->sql, text, &statement, error));
    if (name) {
        wr_sql_text(statement, 1, name);
    } else {
        wr_sql_int(statement, 1, id);
    }
    WR_TRY(wr_sql_run_once(&store->sql, statement, error));
    *count_out = sqlite3_changes(store->sql.db);
    return WEIR_OK;
}

static weir_status forget_node(struct wr_store *store, const struct wr_stored_name *name,
                               unsigned version, struct wr_forgotten *forgotten,
                               struct wr_error *error)
{
    int64_t ignored;
    WR_TRY(remove_rows(store, "DELETE FROM state WHERE node = ?1", NULL, name->node,
                       &forgotten->slots, error));
    WR_TRY(remove_rows(store, "DELETE FROM timer WHERE node = ?1", NULL, name->node,
                       &forgotten->timers, error));
    if (version > 0) {
        return wr_sql_run_text(&store->sql, "UPDATE node SET version = ?2 WHERE id = ?1",
                               name->node, version, error);
    }
    WR_TRY(remove_rows(store,
                       "DELETE FROM retry WHERE reject IN (SELECT id FROM reject WHERE node = ?1)",
                       name->name, 0, &forgotten->queued, error));
    WR_TRY(remove_rows(store, "DELETE FROM watermark WHERE node = ?1", NULL, name->node, &ignored,
                       error));
    WR_TRY(remove_rows(store, "DELETE FROM progress WHERE kind = 3 AND id = ?1", NULL, name->node,
                       &ignored, error));
    return remove_rows(store, "DELETE FROM node WHERE id = ?1", NULL, name->node, &ignored, error);
}

static weir_status forget_outbox(struct wr_store *store, const char *name, struct wr_error *error)
{
    int64_t topic, ignored;
    WR_TRY(wr_sql_find(&store->sql, "SELECT id FROM topic WHERE name = ?1 AND outbox", name, &topic,
                       error));
    WR_TRY(remove_rows(store, "DELETE FROM marker WHERE sink = ?1", name, 0, &ignored, error));
    return topic ? wr_store_remove_topic(store, topic, error) : WEIR_OK;
}

weir_status wr_store_forget(struct wr_store *store, const struct wr_stored_name *name,
                            unsigned version, struct wr_forgotten *forgotten_out,
                            struct wr_error *error)
{
    int64_t ignored;
    struct wr_forgotten *forgotten = forgotten_out;
    *forgotten = (struct wr_forgotten){.unsent = name->unsent};
    wr_assert(store->starting);
    wr_sql_doing(&store->sql, "forget what is kept of `%s` in", name->name);
    WR_TRY(forget_node(store, name, version, forgotten, error));
    WR_TRY(remove_rows(store, "DELETE FROM progress WHERE kind = 1 AND source = ?1", name->name, 0,
                       &forgotten->positions, error));
    WR_TRY(remove_rows(store, "DELETE FROM watermark WHERE source = ?1", name->name, 0, &ignored,
                       error));
    return forget_outbox(store, name->name, error);
}

weir_status wr_store_has_forgotten(struct wr_store *store, const char *name, bool *has_out,
                                   struct wr_error *error)
{
    int64_t has;
    doing(store);
    WR_TRY(wr_sql_find(&store->sql,
                       "SELECT 1 FROM (SELECT value AS changes FROM meta WHERE key = 'changes'"
                       "   AND json_valid(value)), json_each(changes) AS change,"
                       " json_each(iif(change.type = 'object', change.value, '{}'), '$.dropped')"
                       " AS gone WHERE gone.value = ?1",
                       name, &has, error));
    *has_out = has != 0;
    return WEIR_OK;
}

/* ---- Rewinding ------------------------------------------------------------------------------- */

static weir_status move_positions(struct wr_store *store, const char *source, int64_t offset,
                                  struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_sql_once(&store->sql,
                       offset < 0 ? "DELETE FROM progress WHERE kind = 1 AND source = ?1"
                                  : "UPDATE progress SET next = ?2, watermark_ms = NULL, idle = 0"
                                    " WHERE kind = 1 AND source = ?1",
                       &statement, error));
    wr_sql_text(statement, 1, source);
    if (offset >= 0) {
        wr_sql_int(statement, 2, offset);
    }
    return wr_sql_run_once(&store->sql, statement, error);
}

weir_status wr_store_rewind(struct wr_store *store, const char *source, int64_t offset,
                            const char *const *nodes, size_t node_count, struct wr_error *error)
{
    int64_t ignored;
    wr_assert(store->starting);
    wr_sql_doing(&store->sql, "rewind source `%s` in", source);
    WR_TRY(move_positions(store, source, offset, error));
    WR_TRY(
        remove_rows(store, "DELETE FROM watermark WHERE source = ?1", source, 0, &ignored, error));
    for (size_t i = 0; i < node_count; i++) {
        WR_TRY(remove_rows(store,
                           "DELETE FROM progress WHERE kind = 3 AND id ="
                           " (SELECT id FROM node WHERE name = ?1)",
                           nodes[i], 0, &ignored, error));
    }
    return remove_rows(store, "DELETE FROM progress WHERE kind = 3 AND watermark_ms = ?1", NULL,
                       INT64_MAX, &ignored, error);
}

/* ---- What was changed ------------------------------------------------------------------------ */

enum { CHANGES_MAX = 100 }; /* that meta tells of */

weir_status wr_store_note_change(struct wr_store *store, const char *what, struct wr_error *error)
{
    int64_t now_ms = store->env->wall_ms(store->env), ignored;
    wr_assert(store->starting && store->changed == 0);
    doing(store);
    char *change =
        sqlite3_mprintf("{\"epoch\":%lld,\"time_ms\":%lld%s%s}", (long long)store->decided + 1,
                        (long long)now_ms, what[0] ? "," : "", what);
    if (!change) {
        return wr_fail_memory(error);
    }
    weir_status status = remove_rows(
        store,
        "INSERT OR REPLACE INTO meta(key, value) VALUES('changes', json_insert(coalesce("
        "(SELECT value FROM meta WHERE key = 'changes' AND json_valid(value)"
        " AND json_type(value) = 'array'), '[]'), '$[#]', json(?1)))",
        change, 0, &ignored, error);
    sqlite3_free(change);
    WR_TRY(status);
    WR_TRY(remove_rows(store,
                       "UPDATE meta SET value = json_remove(value, '$[0]') WHERE key = 'changes'"
                       " AND json_array_length(value) > ?1",
                       NULL, CHANGES_MAX, &ignored, error));
    WR_TRY(wr_store_apply_row(store, store->decided + 1, 0, now_ms, error));
    store->changed = store->decided + 1;
    return WEIR_OK;
}
