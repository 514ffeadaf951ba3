/* store_ledger.c: see store_ledger.h.
 *
 * Long because reading the rows, changing them and writing them are one subject.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/store_ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/base/json.h"
#include "txn/store_inner.h"

/* A longer tail would be a larger part of each transaction than the rows themselves. */
enum { TAIL_BYTES_MAX = 2048, IDENTITY_ROOM = 200 };

void wr_ledger_init(struct wr_ledger *ledger)
{
    *ledger = (struct wr_ledger){.loaded = false};
    wr_arena_init(&ledger->arena, 0);
}

void wr_ledger_fini(struct wr_ledger *ledger)
{
    wr_ledger_forget(ledger);
    free(ledger->rows);
    wr_map_fini(&ledger->map);
    wr_arena_fini(&ledger->arena);
    wr_buffer_fini(&ledger->positions);
    wr_buffer_fini(&ledger->offsets);
    wr_buffer_fini(&ledger->tail);
}

void wr_ledger_forget(struct wr_ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++) {
        free(ledger->rows[i]->identity);
    }
    ledger->count = ledger->in_tail = 0;
    ledger->loaded = ledger->changed = false;
    wr_map_clear(&ledger->map, 4096);
    wr_arena_reset(&ledger->arena);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static int compare_keys(const struct wr_ledger_row *a, const struct wr_ledger_row *b)
{
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    if (a->id != b->id) {
        return a->id < b->id ? -1 : 1;
    }
    if (a->partition != b->partition) {
        return a->partition < b->partition ? -1 : 1;
    }
    int order = strcmp(a->source, b->source);
    return order ? order : strcmp(a->part, b->part);
}

static uint64_t hash_of(const struct wr_ledger_row *key)
{
    uint64_t seed = (uint64_t)key->id << 16 ^ (uint64_t)(uint32_t)key->partition << 2;
    return wr_hash(seed ^ (uint64_t)key->kind, weir_text(key->source), weir_text(key->part));
}

static struct wr_ledger_row *find(const struct wr_ledger *ledger, const struct wr_ledger_row *key)
{
    uint64_t hash = hash_of(key);
    struct wr_ledger_row *row = NULL;
    for (size_t at = wr_map_first(&ledger->map, hash); (row = wr_map_at(&ledger->map, hash, &at));
         at++) {
        if (compare_keys(row, key) == 0) {
            return row;
        }
    }
    return NULL;
}

static bool has_room(struct wr_ledger *ledger)
{
    if (ledger->count < ledger->room) {
        return true;
    }
    size_t room = ledger->room ? ledger->room * 2 : 16;
    struct wr_ledger_row **rows = realloc(ledger->rows, room * sizeof(struct wr_ledger_row *));
    if (rows) {
        ledger->rows = rows;
        ledger->room = room;
    }
    return rows != NULL;
}

/* A new row with the key of this one, in its place; NULL: no memory. */
static struct wr_ledger_row *add(struct wr_ledger *ledger, const struct wr_ledger_row *key)
{
    struct wr_ledger_row *row = wr_arena_alloc(&ledger->arena, sizeof *row);
    const char *source = wr_arena_string(&ledger->arena, key->source);
    const char *part = wr_arena_string(&ledger->arena, key->part);
    if (!row || !source || !part || !has_room(ledger) || !wr_map_reserve(&ledger->map)) {
        return NULL;
    }
    *row = (struct wr_ledger_row){.kind = key->kind,
                                  .id = key->id,
                                  .partition = key->partition,
                                  .source = source,
                                  .part = part,
                                  .watermark_ms = INT64_MIN};
    size_t at = ledger->count++;
    for (; at > 0 && compare_keys(ledger->rows[at - 1], row) > 0; at--) {
        ledger->rows[at] = ledger->rows[at - 1];
    }
    ledger->rows[at] = row;
    wr_map_insert(&ledger->map, hash_of(row), row);
    return row;
}

static bool set_identity(struct wr_ledger_row *row, const char *identity)
{
    if (!identity) {
        free(row->identity);
        row->identity = NULL;
        row->identity_room = 0;
        return true;
    }
    size_t size = strlen(identity) + 1;
    if (size > row->identity_room) {
        size_t room = size > IDENTITY_ROOM ? size : IDENTITY_ROOM;
        char *larger = realloc(row->identity, room);
        if (!larger) {
            return false;
        }
        row->identity = larger;
        row->identity_room = room;
    }
    memcpy(row->identity, identity, size);
    return true;
}

void wr_ledger_changed(struct wr_ledger *ledger, struct wr_ledger_row *row)
{
    ledger->changed = true;
    ledger->in_tail += !row->in_tail;
    row->in_tail = true;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Long tables first: with an order, rows are added at the end. */
static const char load_text[] =
    "SELECT now.kind, now.id, now.partition, now.source, now.part, now.first, now.next, now.bytes,"
    " now.crc, now.watermark_ms, now.idle, now.identity, now.in_tail,"
    " iif(topic.outbox, 'outbox:', '') || topic.name,"
    " (SELECT seek.id FROM log_seek AS seek WHERE now.kind = 2 AND seek.topic = now.id"
    "  AND seek.partition = now.partition ORDER BY seek.first_offset DESC LIMIT 1)"
    " FROM progress_now AS now LEFT JOIN topic ON now.kind = 2 AND topic.id = now.id"
    " ORDER BY 1, 2, 3, 4, 5";

static const char *text_at(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? text : "";
}

static weir_status take_row(struct wr_store *store, sqlite3_stmt *from, struct wr_error *error)
{
    struct wr_ledger *ledger = &store->ledger;
    struct wr_ledger_row key = {.kind = sqlite3_column_int(from, 0),
                                .id = sqlite3_column_int64(from, 1),
                                .partition = sqlite3_column_int(from, 2),
                                .source = text_at(from, 3),
                                .part = text_at(from, 4)};
    struct wr_ledger_row *row = add(ledger, &key);
    if (!row) {
        return wr_fail_memory(error);
    }
    row->first = sqlite3_column_int64(from, 5);
    row->next = sqlite3_column_int64(from, 6);
    row->bytes = sqlite3_column_int64(from, 7);
    row->crc = sqlite3_column_int64(from, 8);
    row->watermark_ms = wr_sql_column_time(from, 9);
    row->idle = sqlite3_column_int(from, 10) != 0;
    const char *identity = (const char *)sqlite3_column_text(from, 11);
    row->in_tail = sqlite3_column_int(from, 12) != 0;
    ledger->in_tail += row->in_tail;
    row->seek = sqlite3_column_int64(from, 14);
    /* Ids of batches are not given again while log_seek knows of them. */
    if (row->seek > 0 && row->seek < WR_COUNTER_MAX &&
        row->seek + WR_LOG_SEEK_STEP > ledger->log_id) {
        ledger->log_id = row->seek + WR_LOG_SEEK_STEP;
    }
    bool copied =
        set_identity(row, identity) && wr_sql_column_string(from, 13, &ledger->arena, &row->log);
    return copied ? WEIR_OK : wr_fail_memory(error);
}

static weir_status load_rows(struct wr_store *store, sqlite3_stmt *statement,
                             struct wr_error *error)
{
    for (bool row = true;;) {
        WR_TRY(wr_sql_step(&store->sql, statement, &row, error));
        if (!row) {
            return WEIR_OK;
        }
        WR_TRY(take_row(store, statement, error));
    }
}

weir_status wr_ledger_load(struct wr_store *store, struct wr_error *error)
{
    struct wr_ledger *ledger = &store->ledger;
    if (ledger->loaded) {
        return WEIR_OK;
    }
    wr_ledger_forget(ledger);
    int64_t newest;
    sqlite3_stmt *statement = NULL;
    WR_TRY(wr_sql_integer(&store->sql, "SELECT max(id) FROM log", &newest, error));
    WR_TRY(wr_sql_integer(&store->sql, "SELECT folded FROM epoch ORDER BY number DESC LIMIT 1",
                          &ledger->folded, error));
    if (newest > WR_COUNTER_MAX) {
        return wr_sql_broken(&store->sql, error, "a batch has id %lld", (long long)newest);
    }
    ledger->log_id = newest + 1;
    WR_TRY(wr_sql_prepare(&store->sql, &statement, load_text, error));
    weir_status status = load_rows(store, statement, error);
    sqlite3_finalize(statement);
    ledger->loaded = status == WEIR_OK;
    return status;
}

/* ---- Changing -------------------------------------------------------------------------------- */

weir_status wr_ledger_partition(struct wr_store *store, int64_t topic, int32_t partition,
                                struct wr_ledger_row **row_out, struct wr_error *error)
{
    struct wr_ledger_row key = {
        .kind = WR_LEDGER_PARTITION, .id = topic, .partition = partition, .source = "", .part = ""};
    WR_TRY(wr_ledger_load(store, error));
    struct wr_ledger_row *row = *row_out = find(&store->ledger, &key);
    if (!row) {
        return wr_sql_broken(&store->sql, error, "topic %lld has no row for its partition %d",
                             (long long)topic, (int)partition);
    }
    if (row->first < 0 || row->next < row->first || row->next > WR_COUNTER_MAX || row->bytes < 0 ||
        row->bytes > WR_COUNTER_MAX) {
        return wr_sql_broken(&store->sql, error,
                             "partition %d of topic %lld reaches from %lld to %lld, in %lld bytes",
                             (int)partition, (long long)topic, (long long)row->first,
                             (long long)row->next, (long long)row->bytes);
    }
    return WEIR_OK;
}

static weir_status find_or_add(struct wr_store *store, const struct wr_ledger_row *key,
                               struct wr_ledger_row **row_out, struct wr_error *error)
{
    WR_TRY(wr_ledger_load(store, error));
    struct wr_ledger_row *row = find(&store->ledger, key);
    bool is_new = !row;
    row = row ? row : add(&store->ledger, key);
    if (!row) {
        return wr_fail_memory(error);
    }
    if (is_new) {
        wr_ledger_changed(&store->ledger, row);
    }
    *row_out = row;
    return WEIR_OK;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

weir_status wr_ledger_position(struct wr_store *store, const struct wr_position *position,
                               struct wr_error *error)
{
    struct wr_ledger_row key = {
        .kind = WR_LEDGER_POSITION, .source = position->source, .part = position->part};
    struct wr_ledger_row *row = NULL;
    WR_TRY(find_or_add(store, &key, &row, error));
    if (row->next == position->next && row->watermark_ms == position->watermark_ms &&
        row->idle == position->idle && same_text(row->identity, position->identity)) {
        return WEIR_OK;
    }
    if (!set_identity(row, position->identity)) {
        return wr_fail_memory(error);
    }
    row->next = position->next;
    row->watermark_ms = position->watermark_ms;
    row->idle = position->idle;
    wr_ledger_changed(&store->ledger, row);
    return WEIR_OK;
}

weir_status wr_ledger_node(struct wr_store *store, const struct wr_node_watermark *node,
                           struct wr_error *error)
{
    struct wr_ledger_row key = {.kind = WR_LEDGER_NODE, .id = node->node, .source = "", .part = ""};
    struct wr_ledger_row *row = NULL;
    WR_TRY(find_or_add(store, &key, &row, error));
    if (row->watermark_ms != node->watermark_ms) {
        row->watermark_ms = node->watermark_ms;
        wr_ledger_changed(&store->ledger, row);
    }
    return WEIR_OK;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static bool put_name(struct wr_buffer *buffer, const char *text)
{
    return wr_json_put_string(buffer, weir_text(text));
}

/* Two levels of objects: source and part, topic and partition. */
static bool put_levels(struct wr_ledger *ledger, int kind, struct wr_buffer *buffer)
{
    const char *open = NULL;
    bool good = wr_json_put(buffer, "{");
    for (size_t i = 0; i < ledger->count && good; i++) {
        const struct wr_ledger_row *row = ledger->rows[i];
        if (row->kind != kind) {
            continue;
        }
        const char *name = kind == WR_LEDGER_POSITION ? row->source : row->log;
        if (!name) { /* of no topic: damage, which `weir verify` names */
            continue;
        }
        bool same = open && strcmp(open, name) == 0;
        if (!same) {
            good = wr_json_put(buffer, open ? "}," : "") && put_name(buffer, name) &&
                   wr_json_put(buffer, ":{");
        } else {
            good = wr_json_put(buffer, ",");
        }
        open = name;
        if (good && kind == WR_LEDGER_POSITION) {
            good = put_name(buffer, row->part);
        } else if (good) {
            good = wr_json_put(buffer, "\"") && wr_json_put_number(buffer, row->partition) &&
                   wr_json_put(buffer, "\"");
        }
        good = good && wr_json_put(buffer, ":") && wr_json_put_number(buffer, row->next);
    }
    return good && wr_json_put(buffer, open ? "}}" : "}");
}

/* As the columns of table progress are. */
static bool put_row(struct wr_buffer *buffer, const struct wr_ledger_row *row)
{
    bool good = wr_json_put(buffer, "[") && wr_json_put_number(buffer, row->kind) &&
                wr_json_put(buffer, ",") && wr_json_put_number(buffer, row->id) &&
                wr_json_put(buffer, ",") && wr_json_put_number(buffer, row->partition) &&
                wr_json_put(buffer, ",") && put_name(buffer, row->source) &&
                wr_json_put(buffer, ",") && put_name(buffer, row->part);
    const int64_t numbers[] = {row->first, row->next, row->bytes, row->crc};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && good; i++) {
        good = wr_json_put(buffer, ",") && wr_json_put_number(buffer, numbers[i]);
    }
    good = good && wr_json_put(buffer, ",") &&
           (row->watermark_ms == INT64_MIN ? wr_json_put(buffer, "null")
                                           : wr_json_put_number(buffer, row->watermark_ms));
    good = good && wr_json_put(buffer, row->idle ? ",1," : ",0,");
    return good &&
           (row->identity ? put_name(buffer, row->identity) : wr_json_put(buffer, "null")) &&
           wr_json_put(buffer, "]");
}

static bool put_tail(struct wr_ledger *ledger)
{
    struct wr_buffer *buffer = &ledger->tail;
    bool good = true;
    size_t count = 0;
    buffer->size = 0;
    for (size_t i = 0; i < ledger->count && good && buffer->size <= TAIL_BYTES_MAX; i++) {
        if (ledger->rows[i]->in_tail) {
            good = wr_json_put(buffer, count++ ? "," : "[") && put_row(buffer, ledger->rows[i]);
        }
    }
    return good && (count == 0 || wr_json_put(buffer, "]"));
}

/* ---- Writing --------------------------------------------------------------------------------- */

static weir_status write_row(struct wr_store *store, const struct wr_ledger_row *row,
                             struct wr_error *error)
{
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(store, WR_DO_PROGRESS,
                              "INSERT OR REPLACE INTO progress(kind, id, partition, source, part,"
                              " first, next, bytes, crc, watermark_ms, idle, identity)"
                              " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                              &statement, error));
    wr_sql_int(statement, 1, row->kind);
    wr_sql_int(statement, 2, row->id);
    wr_sql_int(statement, 3, row->partition);
    wr_sql_text(statement, 4, row->source);
    wr_sql_text(statement, 5, row->part);
    wr_sql_int(statement, 6, row->first);
    wr_sql_int(statement, 7, row->next);
    wr_sql_int(statement, 8, row->bytes);
    wr_sql_int(statement, 9, row->crc);
    wr_sql_time(statement, 10, row->watermark_ms);
    wr_sql_int(statement, 11, row->idle);
    wr_sql_text(statement, 12, row->identity);
    return wr_sql_run(&store->sql, statement, error);
}

static weir_status write_table(struct wr_store *store, struct wr_error *error)
{
    struct wr_ledger *ledger = &store->ledger;
    for (size_t i = 0; i < ledger->count; i++) {
        if (ledger->rows[i]->in_tail) {
            WR_TRY(write_row(store, ledger->rows[i], error));
            ledger->rows[i]->in_tail = false;
        }
    }
    ledger->in_tail = 0;
    ledger->tail.size = 0;
    return WEIR_OK;
}

/* The tail, or all of it in the table. */
static weir_status make_tail(struct wr_store *store, struct wr_error *error)
{
    struct wr_ledger *ledger = &store->ledger;
    if (!put_tail(ledger)) {
        return wr_fail_memory(error);
    }
    return ledger->tail.size > TAIL_BYTES_MAX ? write_table(store, error) : WEIR_OK;
}

weir_status wr_ledger_write(struct wr_store *store, struct wr_error *error)
{
    struct wr_ledger *ledger = &store->ledger;
    WR_TRY(wr_ledger_load(store, error));
    ledger->positions.size = ledger->offsets.size = 0;
    if (!put_levels(ledger, WR_LEDGER_POSITION, &ledger->positions) ||
        !put_levels(ledger, WR_LEDGER_PARTITION, &ledger->offsets)) {
        return wr_fail_memory(error);
    }
    WR_TRY(make_tail(store, error));
    ledger->changed = false;
    return WEIR_OK;
}

weir_status wr_ledger_rewrite(struct wr_store *store, struct wr_error *error)
{
    struct wr_ledger *ledger = &store->ledger;
    if (!ledger->changed) {
        return WEIR_OK;
    }
    ledger->changed = false;
    if (store->decided == 0) {
        return write_table(store, error);
    }
    WR_TRY(make_tail(store, error));
    sqlite3_stmt *statement;
    WR_TRY(wr_store_statement(store, WR_DO_EPOCH_TAIL,
                              "UPDATE epoch SET progress = ?2 WHERE number = ?1", &statement,
                              error));
    wr_sql_int(statement, 1, store->decided);
    wr_sql_text_sized(statement, 2, ledger->tail.data, ledger->tail.size);
    WR_TRY(wr_sql_run(&store->sql, statement, error));
    if (sqlite3_changes(store->sql.db) != 1) {
        return wr_sql_broken(&store->sql, error, "table epoch has no row for the last one, %lld",
                             (long long)store->decided);
    }
    return WEIR_OK;
}

weir_status wr_store_settle(struct wr_store *store, struct wr_error *error)
{
    int64_t tail;
    wr_ledger_forget(&store->ledger);
    WR_TRY(wr_sql_integer(&store->sql,
                          "SELECT progress IS NOT NULL FROM epoch ORDER BY number DESC LIMIT 1",
                          &tail, error));
    if (!tail) {
        return WEIR_OK;
    }
    return wr_sql_exec(&store->sql,
                       "INSERT OR REPLACE INTO progress SELECT * FROM progress_tail;"
                       "UPDATE epoch SET progress = NULL"
                       " WHERE number = (SELECT max(number) FROM epoch)",
                       error);
}
