/* look.c: see look.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/look.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "txn/changelog.h"
#include "txn/store_rows.h"

enum { SHOWN_BYTES_MAX = 24 };

/* ---- Lines ----------------------------------------------------------------------------------- */

void look_bytes(FILE *out, weir_bytes bytes)
{
    const unsigned char *at = bytes.data;
    if (!at) {
        fputs(" -", out);
        return;
    }
    fputs(" '", out);
    for (size_t i = 0; i < bytes.size && i < SHOWN_BYTES_MAX; i++) {
        fprintf(out, at[i] > ' ' && at[i] < 0x7f && at[i] != '\'' ? "%c" : "\\%02x", at[i]);
    }
    if (bytes.size > SHOWN_BYTES_MAX) {
        fprintf(out, "..%zu..%016" PRIx64, bytes.size, wr_hash(0, bytes, (weir_bytes){NULL, 0}));
    }
    fputc('\'', out);
}

void look_record(FILE *out, const char *topic, int32_t partition, int64_t offset,
                 const weir_record *record)
{
    fprintf(out, "record %s %d %" PRId64 " %" PRId64, topic, (int)partition, offset,
            record->time_ms);
    look_bytes(out, record->key);
    look_bytes(out, record->value);
    for (size_t i = 0; i < record->header_count; i++) {
        fprintf(out, " %s=", record->headers[i].name);
        look_bytes(out, record->headers[i].value);
    }
    fputc('\n', out);
}

/* ---- A store --------------------------------------------------------------------------------- */

struct look {
    struct wr_env env;
    struct wr_reader *reader;
    struct wr_arena arena;
    struct wr_error *error;
    FILE *out;
};

/* Prints the rows of a query: a word, then each column; those named `b` as bytes. */
static weir_status print_rows(struct look *look, const char *word, const char *text)
{
    struct wr_rows *rows = NULL;
    bool more = false;
    weir_status status = wr_rows_open(look->reader, text, &rows, look->error);
    while (status == WEIR_OK && (status = wr_rows_next(rows, &more, look->error)) == WEIR_OK &&
           more) {
        fputs(word, look->out);
        for (int i = 0; i < wr_rows_columns(rows); i++) {
            if (strcmp(wr_rows_name(rows, i), "b") == 0) {
                look_bytes(look->out, wr_rows_bytes(rows, i));
            } else {
                const char *shown = wr_rows_text(rows, i);
                fprintf(look->out, " %s", shown ? shown : "-");
            }
        }
        fputc('\n', look->out);
    }
    wr_rows_close(rows);
    return status;
}

static weir_status print_batch(struct look *look, const struct wr_topic *topic, int32_t partition,
                               int64_t *offset, bool *more_out)
{
    weir_bytes bytes;
    WR_TRY(wr_reader_batch(look->reader, topic->id, partition, *offset, &look->arena, &bytes,
                           look->error));
    *more_out = bytes.data != NULL;
    struct wr_batch_reader batch;
    if (!bytes.data) {
        return WEIR_OK;
    }
    WR_TRY(wr_batch_open(bytes, &batch, look->error));
    for (bool inside = true; inside;) {
        weir_record record;
        WR_TRY(wr_batch_next(&batch, &look->arena, &record, offset, &inside, look->error));
        if (inside) {
            look_record(look->out, topic->name, partition, (*offset)++, &record);
        }
    }
    return WEIR_OK;
}

static weir_status print_topics(struct look *look)
{
    struct wr_topic *topics = NULL;
    size_t count = 0;
    for (int outbox = 0; outbox < 2; outbox++) {
        WR_TRY(wr_reader_topics(look->reader, NULL, outbox, &look->arena, &topics, &count,
                                look->error));
        for (size_t i = 0; i < count; i++) {
            for (int32_t j = 0; topics[i].outbox == outbox && j < topics[i].partitions; j++) {
                int64_t offset = 0;
                bool more = true;
                while (more) {
                    WR_TRY(print_batch(look, &topics[i], j, &offset, &more));
                }
            }
        }
    }
    return WEIR_OK;
}

static weir_status print_tables(struct look *look)
{
    struct wr_rows *rows = NULL;
    bool more = false;
    WR_TRY(wr_rows_open(look->reader, "SELECT table_name FROM sink WHERE table_name IS NOT NULL",
                        &rows, look->error));
    weir_status status;
    while ((status = wr_rows_next(rows, &more, look->error)) == WEIR_OK && more) {
        char text[256], word[128];
        const char *name = wr_rows_text(rows, 0);
        snprintf(word, sizeof word, "row %.64s", name);
        snprintf(text, sizeof text,
                 "SELECT CAST(key AS BLOB) AS b, CAST(value AS BLOB) AS b FROM \"%.64s\"", name);
        status = print_rows(look, word, text);
        if (status != WEIR_OK) {
            break;
        }
    }
    wr_rows_close(rows);
    return status;
}

/* ---- State: the table, and what the changelog has on top of it ------------------------------- */

static weir_status replay(struct look *look, struct wr_cache *cache)
{
    weir_bytes changes = {NULL, 0};
    int64_t epoch = 0;
    do {
        WR_TRY(wr_reader_changelog(look->reader, &epoch, &look->arena, &changes, look->error));
        WR_TRY(changes.data ? wr_changelog_replay(changes, cache, look->error) : WEIR_OK);
    } while (changes.data);
    return WEIR_OK;
}

static void print_slot(struct look *look, const char *node, weir_bytes key, weir_bytes slot,
                       weir_bytes value)
{
    fprintf(look->out, "state %s", node);
    look_bytes(look->out, key);
    look_bytes(look->out, slot);
    look_bytes(look->out, value);
    fputc('\n', look->out);
}

static weir_status print_table_state(struct look *look, struct wr_cache *cache)
{
    struct wr_rows *rows = NULL;
    bool more = false;
    weir_status status = wr_rows_open(
        look->reader, "SELECT id, name, key, slot, value FROM state JOIN node ON id = node", &rows,
        look->error);
    while (status == WEIR_OK && (status = wr_rows_next(rows, &more, look->error)) == WEIR_OK &&
           more) {
        uint32_t node = (uint32_t)wr_rows_int(rows, 0);
        weir_bytes key = wr_rows_bytes(rows, 2), slot = wr_rows_bytes(rows, 3);
        if (!wr_cache_find(cache, node, key, slot, wr_hash(node, key, slot))) {
            print_slot(look, wr_rows_text(rows, 1), key, slot, wr_rows_bytes(rows, 4));
        }
    }
    wr_rows_close(rows);
    return status;
}

static weir_status print_changes(struct look *look, const struct wr_cache *cache)
{
    struct wr_rows *rows = NULL;
    bool more = false;
    WR_TRY(wr_rows_open(look->reader, "SELECT name FROM node WHERE id = ?1", &rows, look->error));
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < cache->dirty_count; i++) {
        const struct wr_cached *entry = cache->dirty[i];
        wr_rows_again(rows);
        wr_rows_bind_int(rows, 1, entry->node);
        status = wr_rows_next(rows, &more, look->error);
        if (status == WEIR_OK && more && wr_cached_value(entry).data) {
            print_slot(look, wr_rows_text(rows, 0), wr_cached_key(entry), wr_cached_slot(entry),
                       wr_cached_value(entry));
        }
    }
    wr_rows_close(rows);
    return status;
}

static weir_status print_state(struct look *look)
{
    struct wr_cache cache;
    wr_cache_init(&cache, 0);
    weir_status status = replay(look, &cache);
    if (status == WEIR_OK) {
        status = print_table_state(look, &cache);
    }
    if (status == WEIR_OK) {
        status = print_changes(look, &cache);
    }
    wr_cache_fini(&cache);
    return status;
}

static weir_status print_store(struct look *look)
{
    WR_TRY(print_rows(look, "position", "SELECT source, part, next FROM position WHERE next > 0"));
    WR_TRY(print_state(look));
    WR_TRY(print_rows(look, "timer",
                      "SELECT node.name, key AS b, timer.name AS b, "
                      "CASE clock WHEN 0 THEN 'event' ELSE 'clock' END, time_ms FROM timer "
                      "JOIN node ON id = node"));
    WR_TRY(print_topics(look));
    WR_TRY(print_tables(look));
    return print_rows(look, "reject",
                      "SELECT row_number() OVER (ORDER BY id) - 1, source, offset, node, input, "
                      "seq, time_ms, key AS b, value AS b, "
                      "timer AS b, reason FROM reject");
}

static char *look_with(const char *path, weir_status (*print)(struct look *look),
                       struct wr_error *error)
{
    struct look look = {.error = error};
    char *text = NULL;
    size_t size = 0;
    wr_env_init(&look.env);
    wr_arena_init(&look.arena, 0);
    look.out = open_memstream(&text, &size);
    weir_status status = wr_reader_open(&look.env, path, &look.reader, error);
    if (status == WEIR_OK) {
        status = print(&look);
    }
    wr_reader_close(look.reader);
    wr_arena_fini(&look.arena);
    fclose(look.out);
    if (status != WEIR_OK) {
        free(text);
        return NULL;
    }
    look_sort(text);
    return text;
}

char *look_store(const char *path, struct wr_error *error)
{
    return look_with(path, print_store, error);
}

static weir_status print_check(struct look *look)
{
    return print_rows(look, "", "PRAGMA integrity_check");
}

char *look_check(const char *path, struct wr_error *error)
{
    return look_with(path, print_check, error);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static int by_text(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

void look_sort(char *text)
{
    size_t count = 0, size = strlen(text);
    for (const char *at = text; (at = strchr(at, '\n')); at++) {
        count++;
    }
    char *copy = strdup(text), **lines = calloc(count + 1, sizeof *lines), *rest = copy;
    for (size_t i = 0; i < count; i++) {
        lines[i] = strsep(&rest, "\n");
    }
    qsort(lines, count, sizeof *lines, by_text);
    char *at = text;
    for (size_t i = 0; i < count; i++) {
        at += snprintf(at, size + 1 - (size_t)(at - text), "%s\n", lines[i]);
    }
    free(lines);
    free(copy);
}

const char *look_difference(const char *expected, const char *found)
{
    static char text[1200];
    const char *left = expected, *right = found;
    for (;;) {
        size_t left_size = strcspn(left, "\n"), right_size = strcspn(right, "\n");
        if (left_size != right_size || strncmp(left, right, left_size) != 0 || !*left) {
            snprintf(text, sizeof text, "expected: %.*s\n   found: %.*s", (int)left_size,
                     *left ? left : "(the end)", (int)right_size, *right ? right : "(the end)");
            return text;
        }
        left += left_size + (left[left_size] == '\n');
        right += right_size + (right[right_size] == '\n');
    }
}
