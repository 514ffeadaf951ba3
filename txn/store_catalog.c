/* store_catalog.c: what a store holds about its job: positions, watermarks, nodes, markers. See
 * store.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "txn/store_inner.h"

/* ---- Catalog --------------------------------------------------------------------------------- */

/* One list of the catalog: its query, the size of an item, and how a row fills one. */
struct list {
    const char *text;
    size_t item_bytes;
    bool (*fill)(sqlite3_stmt *row, struct wr_arena *arena, void *item);
    const char *table;
    int texts, first_text; /* columns that must be text: a damaged row may have NULL there */
    int counter; /* the column that is an offset, 0: none */
};

static bool fill_position(sqlite3_stmt *row, struct wr_arena *arena, void *item)
{
    struct wr_position *position = item;
    position->next = sqlite3_column_int64(row, 2);
    position->watermark_ms = wr_sql_column_time(row, 3);
    position->idle = sqlite3_column_int(row, 4) != 0;
    return wr_sql_column_string(row, 0, arena, &position->source) &&
           wr_sql_column_string(row, 1, arena, &position->part) &&
           wr_sql_column_string(row, 5, arena, &position->identity);
}

static bool fill_watermark(sqlite3_stmt *row, struct wr_arena *arena, void *item)
{
    struct wr_watermark *watermark = item;
    watermark->node = (uint32_t)sqlite3_column_int64(row, 0);
    watermark->watermark_ms = wr_sql_column_time(row, 3);
    watermark->idle = sqlite3_column_int(row, 4) != 0;
    return wr_sql_column_string(row, 1, arena, &watermark->source) &&
           wr_sql_column_string(row, 2, arena, &watermark->part);
}

static bool fill_node(sqlite3_stmt *row, struct wr_arena *arena, void *item)
{
    struct wr_stored_node *node = item;
    node->id = (uint32_t)sqlite3_column_int64(row, 0);
    node->version = (unsigned)sqlite3_column_int64(row, 2);
    node->watermark_ms = wr_sql_column_time(row, 3);
    node->stateful = sqlite3_column_int(row, 4) != 0;
    return wr_sql_column_string(row, 1, arena, &node->name);
}

static bool fill_marker(sqlite3_stmt *row, struct wr_arena *arena, void *item)
{
    struct wr_marker *marker = item;
    marker->next = sqlite3_column_int64(row, 1);
    marker->length = sqlite3_column_int64(row, 2);
    marker->incarnation = (uint64_t)sqlite3_column_int64(row, 3);
    marker->crc = (uint64_t)sqlite3_column_int64(row, 4);
    return wr_sql_column_string(row, 0, arena, &marker->sink) &&
           wr_sql_column_string(row, 5, arena, &marker->identity);
}

static const struct list position_list = {
    "SELECT source, part, next, watermark_ms, idle, identity FROM position ORDER BY source, part",
    sizeof(struct wr_position), fill_position, "position", 2, 0, 2};
static const struct list watermark_list = {
    "SELECT node, source, part, watermark_ms, idle FROM watermark ORDER BY node, source, part",
    sizeof(struct wr_watermark), fill_watermark, "watermark", 2, 1, 0};
static const struct list node_list = {
    "SELECT id, name, version, (SELECT watermark_ms FROM node_watermark AS own"
    " WHERE own.node = node.id), EXISTS (SELECT 1 FROM state WHERE node = node.id)"
    " OR EXISTS (SELECT 1 FROM timer WHERE node = node.id) FROM node ORDER BY id",
    sizeof(struct wr_stored_node), fill_node, "node", 1, 1, 0};
static const struct list marker_list = {
    "SELECT sink, next, length, incarnation, crc, identity FROM marker ORDER BY sink",
    sizeof(struct wr_marker), fill_marker, "marker", 1, 0, 1};

static weir_status check_row(struct wr_store *store, const struct list *list,
                               sqlite3_stmt *statement, struct wr_error *error)
{
    for (int i = list->first_text; i < list->first_text + list->texts; i++) {
        if (sqlite3_column_type(statement, i) != SQLITE_TEXT) {
            return wr_sql_broken(&store->sql, error, "a row of table %s has no %s", list->table,
                                 sqlite3_column_name(statement, i));
        }
    }
    int64_t counter = list->counter ? sqlite3_column_int64(statement, list->counter) : 0;
    if (counter < 0 || counter > WR_COUNTER_MAX) {
        return wr_sql_broken(&store->sql, error, "a row of table %s has %s %lld", list->table,
                             sqlite3_column_name(statement, list->counter), (long long)counter);
    }
    return WEIR_OK;
}

static weir_status fill_list(struct wr_store *store, const struct list *list,
                             sqlite3_stmt *statement, struct wr_arena *arena, char **items_out,
                             size_t *count_out, struct wr_error *error)
{
    size_t count = 0, room = 0;
    char *items = NULL;
    for (bool row = true;; count++) {
        WR_TRY(wr_sql_step(&store->sql, statement, &row, error));
        if (!row) {
            break;
        }
        WR_TRY(check_row(store, list, statement, error));
        if (count == room) {
            room = room ? room * 2 : 16;
            char *larger = wr_arena_zalloc(arena, room * list->item_bytes);
            if (larger && count) {
                memcpy(larger, items, count * list->item_bytes);
            }
            items = larger;
        }
        if (!items || !list->fill(statement, arena, items + count * list->item_bytes)) {
            return wr_fail_memory(error);
        }
    }
    *items_out = items;
    *count_out = count;
    return WEIR_OK;
}

static weir_status read_list(struct wr_store *store, const struct list *list,
                             struct wr_arena *arena, void *items_out, size_t *count_out,
                             struct wr_error *error)
{
    sqlite3_stmt *statement = NULL;
    char *items = NULL;
    WR_TRY(wr_sql_prepare(&store->sql, &statement, list->text, error));
    weir_status status = fill_list(store, list, statement, arena, &items, count_out, error);
    sqlite3_finalize(statement);
    memcpy(items_out, &items, sizeof items);
    return status;
}

weir_status wr_store_catalog(struct wr_store *store, struct wr_arena *arena,
                             struct wr_catalog *catalog_out, struct wr_error *error)
{
    struct wr_catalog *to = catalog_out;
    *to = (struct wr_catalog){0};
    wr_sql_doing(&store->sql, "read the job's shape from");
    WR_TRY(read_list(store, &position_list, arena, &to->positions, &to->position_count, error));
    WR_TRY(read_list(store, &watermark_list, arena, &to->watermarks, &to->watermark_count, error));
    WR_TRY(read_list(store, &node_list, arena, &to->nodes, &to->node_count, error));
    return read_list(store, &marker_list, arena, &to->markers, &to->marker_count, error);
}
