/* store_apply_tables.c: the rows of table sinks, upserted in key order. See store_inner.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/store_inner.h"

enum { ROWS = 32 /* of one statement; see store_apply_state.c */, NUMBER_TEXT_MAX = 64 };

/* ---- Tables ---------------------------------------------------------------------------------- */

static bool to_integer(weir_bytes bytes, int64_t *value_out)
{
    char text[NUMBER_TEXT_MAX], *end;
    if (bytes.size == 0 || bytes.size >= sizeof text) {
        return false;
    }
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    errno = 0;
    *value_out = strtoll(text, &end, 10);
    return errno == 0 && end == text + bytes.size;
}

static bool to_real(weir_bytes bytes, double *value_out)
{
    char text[NUMBER_TEXT_MAX], *end;
    if (bytes.size == 0 || bytes.size >= sizeof text) {
        return false;
    }
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    *value_out = strtod(text, &end);
    return end == text + bytes.size && isfinite(*value_out);
}

/* Binds present bytes as the column's type; false when they are no number, which the sink's node
 * has rejected already. */
static bool bind_column(sqlite3_stmt *statement, int at, enum wr_column type, weir_bytes bytes)
{
    int64_t integer;
    double real;
    switch (type) {
    case WR_COLUMN_INTEGER:
        if (!to_integer(bytes, &integer)) {
            return false;
        }
        wr_sql_int(statement, at, integer);
        return true;
    case WR_COLUMN_REAL:
        if (!to_real(bytes, &real)) {
            return false;
        }
        sqlite3_bind_double(statement, at, real);
        return true;
    case WR_COLUMN_AUTO:
    case WR_COLUMN_TEXT:
        if (type == WR_COLUMN_TEXT || wr_bytes_is_text(bytes)) {
            sqlite3_bind_text64(statement, at, bytes.data, bytes.size, SQLITE_STATIC, SQLITE_UTF8);
            return true;
        }
        break;
    case WR_COLUMN_BLOB:
        break;
    }
    wr_sql_bytes(statement, at, bytes);
    return true;
}

static weir_status fail_column(struct wr_store *store, const struct wr_sink *sink,
                               struct wr_error *error)
{
    return wr_fail(error, WEIR_FATAL, WR_EXIT_BUG,
                   "cannot %s %s: a row for table `%s` is not of its columns' types, and was not "
                   "rejected; this is a bug in weir: report it",
                   store->sql.doing, store->sql.path, sink->table);
}

static weir_status prepare_put(struct wr_store *store, const struct wr_sink *sink, int rows,
                               sqlite3_stmt **statement, struct wr_error *error)
{
    if (*statement) {
        return WEIR_OK;
    }
    sqlite3_str *text = sqlite3_str_new(store->sql.db);
    sqlite3_str_appendf(text, "INSERT INTO \"%w\"(key, value) VALUES", sink->table);
    for (int row = 0; row < rows; row++) {
        sqlite3_str_appendf(text, "%s(?%d,?%d)", row ? "," : "", 2 * row + 1, 2 * row + 2);
    }
    sqlite3_str_appendall(text, " ON CONFLICT(key) DO UPDATE SET value = excluded.value");
    char *sql = sqlite3_str_finish(text);
    weir_status status =
        sql ? wr_sql_prepare(&store->sql, statement, sql, error) : wr_fail_memory(error);
    sqlite3_free(sql);
    return status;
}

static weir_status put_rows(struct wr_store *store, const struct wr_sink *sink,
                            sqlite3_stmt *statement, const struct wr_row *const *rows, int count,
                            struct wr_error *error)
{
    for (int i = 0; i < count; i++) {
        if (!bind_column(statement, 2 * i + 1, sink->key_type, rows[i]->key) ||
            !bind_column(statement, 2 * i + 2, sink->value_type, rows[i]->value)) {
            return fail_column(store, sink, error);
        }
    }
    return wr_sql_run(&store->sql, statement, error);
}

static weir_status remove_row(struct wr_store *store, const struct wr_sink *sink,
                              sqlite3_stmt **statement, const struct wr_row *row,
                              struct wr_error *error)
{
    if (!*statement) {
        char *text = sqlite3_mprintf("DELETE FROM \"%w\" WHERE key = ?1", sink->table);
        weir_status status =
            text ? wr_sql_prepare(&store->sql, statement, text, error) : wr_fail_memory(error);
        sqlite3_free(text);
        WR_TRY(status);
    }
    if (!bind_column(*statement, 1, sink->key_type, row->key)) {
        return fail_column(store, sink, error);
    }
    return wr_sql_run(&store->sql, *statement, error);
}

static void row_parts(const void *item, weir_bytes *key_out, weir_bytes *second_out)
{
    *key_out = ((const struct wr_row *)item)->key;
    *second_out = (weir_bytes){NULL, 0};
}

/* In the order that the table has: of numbers by value, of other keys by byte. */
static void order_rows(struct wr_store *store, const struct wr_sink *sink, size_t count)
{
    if (sink->key_type != WR_COLUMN_INTEGER) {
        wr_sort_prefix(&store->sorter, 0, count, row_parts);
        wr_sort(&store->sorter, 0, count, row_parts);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t value = 0; /* what is no number is found when it is bound */
        (void)to_integer(((const struct wr_row *)store->sorter.items[i].item)->key, &value);
        store->sorter.items[i].prefix = (uint64_t)value ^ 0x8000000000000000u;
    }
    wr_sort(&store->sorter, 0, count, NULL);
}

static weir_status apply_table(struct wr_store *store, const struct wr_sink *sink,
                               const struct wr_epoch_sink *write,
                               struct wr_table_statements *statements, struct wr_error *error)
{
    size_t count = 0;
    for (const struct wr_row *row = write->row_list; row; row = row->next) {
        wr_assert_that(count, <, store->sorter.capacity);
        wr_assert(row->key.data);
        store->sorter.items[count++].item = row;
    }
    wr_assert_that(count, ==, write->row_count);
    order_rows(store, sink, count);
    const struct wr_row *group[ROWS];
    int grouped = 0;
    for (size_t i = 0; i < count; i++) {
        const struct wr_row *row = store->sorter.items[i].item;
        if (!row->value.data) {
            WR_TRY(remove_row(store, sink, &statements->remove, row, error));
            continue;
        }
        group[grouped++] = row;
        if (grouped == ROWS) {
            WR_TRY(prepare_put(store, sink, ROWS, &statements->put_many, error));
            WR_TRY(put_rows(store, sink, statements->put_many, group, ROWS, error));
            grouped = 0;
        }
    }
    for (int i = 0; i < grouped; i++) {
        WR_TRY(prepare_put(store, sink, 1, &statements->put, error));
        WR_TRY(put_rows(store, sink, statements->put, group + i, 1, error));
    }
    return WEIR_OK;
}

weir_status wr_store_apply_tables(struct wr_store *store, const struct wr_epoch *epoch,
                                  struct wr_error *error)
{
    wr_assert_that(epoch->sink_count, ==, store->sink_count); /* as wr_store_define got them */
    for (size_t i = 0; i < epoch->sink_count; i++) {
        if (epoch->sink[i].row_list) {
            wr_assert_that(epoch->sinks[i].kind, ==, WR_SINK_TABLE);
            WR_TRY(apply_table(store, &epoch->sinks[i], &epoch->sink[i], &store->tables[i], error));
        }
    }
    return WEIR_OK;
}
