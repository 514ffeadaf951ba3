/* kit_rows.c: rows changed as text says, and such text made up. See kit_store.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/kit_store_inner.h"
#include "txn/log.h"

/* ---- Changing rows --------------------------------------------------------------------------- */

/* The next word of a line; empty at its end. */
static void take_word(const char **at, char word[FUZZ_NAME_BYTES])
{
    *at += strspn(*at, " ");
    size_t size = strcspn(*at, " ");
    snprintf(word, FUZZ_NAME_BYTES, "%.*s", (int)(size < FUZZ_NAME_BYTES ? size : FUZZ_NAME_BYTES),
             *at);
    *at += size;
}

static unsigned some_index(const char *word, unsigned count)
{
    unsigned sum = 0;
    for (; *word; word++) {
        sum = sum * 31 + (unsigned char)*word;
    }
    return sum % count;
}

static const struct fuzz_table *find_table(const char *word)
{
    unsigned table_count;
    const struct fuzz_table *tables = fuzz_tables(&table_count);
    for (unsigned i = 0; i < table_count; i++) {
        if (strcmp(tables[i].name, word) == 0) {
            return &tables[i];
        }
    }
    return &tables[some_index(word, table_count)];
}

static const char *find_column(const struct fuzz_table *table, const char *word)
{
    for (unsigned i = 0; i < table->column_count; i++) {
        if (strcmp(table->columns[i], word) == 0) {
            return table->columns[i];
        }
    }
    return table->columns[some_index(word, table->column_count)];
}

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* \xHH in place; gives the size. */
static size_t unescape(char *text)
{
    char *to = text;
    for (const char *at = text; *at;) {
        bool coded = at[0] == '\\' && at[1] == 'x' && digit_of(at[2]) >= 0 && digit_of(at[3]) >= 0;
        *to++ = (char)(coded ? digit_of(at[2]) * 16 + digit_of(at[3]) : *at);
        at += coded ? 4 : 1;
    }
    *to = '\0';
    return (size_t)(to - text);
}

/* COUNT FIRST-OFFSET BYTES: a batch of those bytes whose header is as it must be. */
static void bind_batch(sqlite3_stmt *statement, char *value, size_t size)
{
    char *rest = value;
    unsigned long count = strtoul(rest, &rest, 10);
    long long first = strtoll(rest, &rest, 10);
    rest += *rest == ' ';
    size_t body = size - (size_t)(rest - value), whole = WR_BATCH_HEADER_BYTES + body;
    unsigned char *batch = calloc(1, whole);
    fuzz_check(batch);
    batch[0] = WR_BATCH_FORMAT;
    wr_u64_put(batch + 8, (uint64_t)first);
    wr_u32_put(batch + 16, (uint32_t)count);
    wr_u32_put(batch + 20, (uint32_t)body);
    memcpy(batch + WR_BATCH_HEADER_BYTES, rest, body);
    wr_u32_put(batch + WR_BATCH_CRC_AT, wr_crc32c(0, batch + 8, whole - 8));
    sqlite3_bind_blob(statement, 1, batch, (int)whole, SQLITE_TRANSIENT);
    free(batch);
}

static void bind_value(sqlite3_stmt *statement, char kind, char *value)
{
    size_t size = unescape(value);
    switch (kind) {
    case 'i':
        sqlite3_bind_int64(statement, 1, strtoll(value, NULL, 10));
        break;
    case 'r':
        sqlite3_bind_double(statement, 1, strtod(value, NULL));
        break;
    case 't':
    case 'a':
        sqlite3_bind_text(statement, 1, value, (int)size, SQLITE_TRANSIENT);
        break;
    case 'b':
        sqlite3_bind_blob(statement, 1, value, (int)size, SQLITE_TRANSIENT);
        break;
    case 'B':
        bind_batch(statement, value, size);
        break;
    default:
        break; /* stays NULL */
    }
}

static int64_t rows_of(sqlite3 *db, const struct fuzz_table *table)
{
    char text[128];
    snprintf(text, sizeof text, "SELECT count(*) FROM \"%s\"", table->name);
    sqlite3_stmt *statement = fuzz_database_prepare(db, text);
    int64_t count = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return count;
}

/* One line; what SQLite refuses (a second row of the same key) changes nothing. */
static void edit_line(sqlite3 *db, const char *line)
{
    char word[FUZZ_NAME_BYTES], text[512];
    take_word(&line, word);
    const struct fuzz_table *table = find_table(word);
    take_word(&line, word);
    const char *column = find_column(table, word);
    take_word(&line, word);
    int64_t row = strtoll(word, NULL, 10), rows = rows_of(db, table);
    take_word(&line, word);
    if (rows == 0) {
        return;
    }
    row = (row < 0 ? 0 : row) % rows;
    if (word[0] == 'd') {
        snprintf(text, sizeof text, "DELETE FROM \"%s\"", table->name);
    } else {
        snprintf(text, sizeof text, "UPDATE OR IGNORE \"%s\" SET \"%s\" = %s%s%s?1", table->name,
                 column, word[0] == 'a' ? "\"" : "", word[0] == 'a' ? column : "",
                 word[0] == 'a' ? "\" || " : "");
    }
    size_t used = strlen(text);
    const char *key = table->key[0] ? table->key : "rowid";
    snprintf(text + used, sizeof text - used,
             " WHERE (%s) IN (SELECT %s FROM \"%s\" LIMIT 1 OFFSET %lld)", key, key, table->name,
             (long long)row);
    sqlite3_stmt *statement = fuzz_database_prepare(db, text);
    char *value = strdup(*line == ' ' ? line + 1 : line);
    fuzz_check(value);
    if (word[0] != 'd') {
        bind_value(statement, word[0], value);
    }
    sqlite3_step(statement);
    sqlite3_finalize(statement);
    free(value);
}

void fuzz_store_edit(const char *text)
{
    fuzz_store_restore();
    sqlite3 *db = fuzz_database_open();
    fuzz_database_do(db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN");
    while (*text) {
        size_t size = strcspn(text, "\n");
        char *line = fuzz_string(text, size);
        if (*line && strncmp(line, "--", 2) != 0) {
            edit_line(db, line);
        }
        free(line);
        text += size + (text[size] == '\n');
    }
    fuzz_database_do(db, "COMMIT");
    fuzz_database_close(db);
    fuzz_store_wal();
}

/* ---- Making up edits ------------------------------------------------------------------------- */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
#pragma weak LLVMFuzzerMutate /* libFuzzer's; replay.c has no use for it */

static unsigned draw(unsigned *state, unsigned limit)
{
    *state = *state * 1664525 + 1013904223;
    return (*state >> 8) % limit;
}

static const char *const numbers[] = {
    "0",
    "1",
    "-1",
    "2",
    "7",
    "40",
    "255",
    "4096",
    "4097",
    "2147483647",
    "-2147483648",
    "2147483648",
    "4294967295",
    "4294967296",
    "4611686018427387903",
    "4611686018427387904",
    "9223372036854775000",
    "9223372036854775807",
    "-9223372036854775807",
    "-9223372036854775808",
};
static const char *const others[] = {
    "",
    "x",
    "in",
    "tally",
    "topic",
    "out",
    "0",
    "1",
    "\\xff",
    "\\x00",
    "a\\x00b",
    "\"",
    "\\x0a",
    "\\x01\\x01a\\x00",
    "1 0 \\x02k\\x03vv\\x00\\x00",
    "9 9 \\x00\\x00\\x00\\x00",
    "{}",
    "{\"in\":{\"0\":1}}",
    "{\"topic\":{\"0\":-1}}",
    "[[[[",
    "12345678",
    "\\x80\\x00\\x00\\x00\\x00\\x00\\x00\\x05",
    "inode:1;crc:00000000:0",
    ";base:-9223372036854775807",
    ";base:9223372036854775807",
    ";size:9223372036854775807",
    ";size:1",
    ";base:5",
    ";past:1:0:0",
    ";past:1:0:0,2:0:0",
    ";compression:gzip",
    ";from:9223372036854775807:00000000",
    ";to:9223372036854775807:00000000",
    ";from:-1:0",
    ";from:1:ffffffff",
    ";to:2:0",
    "store:0123456789abcdef0123456789abcdef;topic:1",
    "dev:1;inode:1",
};

static const char *const options[] = {
    "--delivery=at-most-once",
    "--delivery=at-least-once",
    "--delivery=exactly-once",
    "--on-error=reject",
    "--on-error=stop",
    "--rejects=log:dead",
    "--rejects=table:dead",
    "--rejects-max=1",
    "--rewind=in=earliest",
    "--rewind=lines=earliest",
    "--rewind=far=2",
    "--rewind=in=0",
    "--rename=tally=refuse",
    "--rename=old=tally",
    "--drop-state=tally",
    "--drop-state=gone",
    "--drain",
    "--epoch-records=1",
};

static void make_line(unsigned *state, char *line, size_t size)
{
    if (draw(state, 6) == 0) {
        snprintf(line, size, "%s", options[draw(state, sizeof options / sizeof *options)]);
        return;
    }
    unsigned table_count;
    const struct fuzz_table *tables = fuzz_tables(&table_count);
    const struct fuzz_table *table = &tables[draw(state, table_count)];
    const char *column = table->columns[draw(state, table->column_count)];
    char kind = "iiiiiiiirttabbnndBa"[draw(state, 19)];
    bool number = kind == 'i' || (kind == 't' && draw(state, 4) == 0);
    const char *value = number ? numbers[draw(state, sizeof numbers / sizeof *numbers)]
                               : others[draw(state, sizeof others / sizeof *others)];
    if (number && draw(state, 4) == 0) {
        snprintf(line, size, "%s %s %u %c %d", table->name, column, draw(state, 20), kind,
                 (int)draw(state, 120) - 20);
    } else {
        snprintf(line, size, "%s %s %u %c %s", table->name, column, draw(state, 20), kind, value);
    }
}

size_t fuzz_store_mutate(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    char line[256];
    unsigned state = seed, choice = draw(&state, 8);
    if (choice < 3) {
        return LLVMFuzzerMutate(data, size, max);
    }
    make_line(&state, line, sizeof line);
    size_t added = strlen(line) + 1;
    size_t kept = choice < 5 ? 0 : size; /* alone, or behind what is there */
    if (kept + added > max) {
        return LLVMFuzzerMutate(data, size, max);
    }
    memcpy(data + kept, line, added - 1);
    data[kept + added - 1] = '\n';
    return kept + added;
}
