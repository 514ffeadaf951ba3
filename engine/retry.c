/* retry.c: dead letters that `weir rejects --retry` queued, taken again at the start of a run,
 * before anything new is read, in the order of their ids.
 *
 * A letter is a unit, as a record is: it goes into the node that rejected it, with the origin that
 * it had, and moves no watermark. Its id goes with the epoch, as positions do: the transaction that
 * decides what it did deletes it, from the queue and from the dead letters. An undo takes it again.
 *
 *   sealed_last ──────▶ last ──────▶ (page) ──────▶ end of the queue
 *      decided, or       in the filling    read ahead,
 *      about to be       epoch             a page at a time
 *
 * Only a run takes letters and nothing queues any while one lives, so the queue is fixed at open.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/instance.h"
#include "txn/base/assert.h"
#include "txn/store_rows.h"

enum { PAGE_LETTERS = 64, PAGE_BYTES = 256 * 1024 };

enum column {
    COLUMN_ID,
    COLUMN_SOURCE,
    COLUMN_PART,
    COLUMN_OFFSET,
    COLUMN_NODE,
    COLUMN_INPUT,
    COLUMN_KEY,
    COLUMN_VALUE,
    COLUMN_HEADERS,
    COLUMN_TIME_MS,
    COLUMN_TIMER,
};
static const char query[] =
    "SELECT reject.id, source, part, offset, node, input, key, value, headers, time_ms, timer"
    " FROM retry JOIN reject ON reject.id = retry.reject WHERE retry.reject > ?1"
    " ORDER BY retry.reject";

/* ---- Open ------------------------------------------------------------------------------------ */

static struct wr_node *node_named(const weir_job *job, const char *name)
{
    for (size_t i = 0; name && i < job->node_count; i++) {
        if (strcmp(job->nodes[i]->name, name) == 0) {
            return job->nodes[i];
        }
    }
    return NULL;
}

/* The letters of one node, all on one input, all timers or all records. */
static weir_status check_group(struct wr_instance *instance, const struct wr_rows *rows,
                               struct wr_error *error)
{
    const char *name = wr_rows_text(rows, 0);
    const char *path = wr_store_info(instance->store)->path;
    const struct wr_node *node = node_named(instance->job, name);
    int64_t input = wr_rows_int(rows, 1), count = wr_rows_int(rows, 3);
    bool timer = wr_rows_int(rows, 2) != 0;
    const char *plural = count == 1 ? "" : "s";
    name = name ? name : "";
    if (!node || node == instance->job->rejects || (timer && node->kind != WR_NODE_THROUGH)) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "cannot take %" PRId64
                       " dead letter%s of node `%s` in %s again: job `%s` no "
                       "longer has that node; if it has a new name, give --rename %s=NEW, else "
                       "`weir rejects %s --delete --node %s`, or --keep in place of --delete",
                       count, plural, name, path, instance->job->name, name, path, name);
    }
    if (node->kind != WR_NODE_SOURCE && (input < 0 || (size_t)input >= node->input_count)) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "cannot take %" PRId64
                       " dead letter%s of node `%s` in %s again: the node no "
                       "longer has input %" PRId64 ", on which it refused what it got; see `weir "
                       "rejects %s --node %s`, and --delete what cannot be taken, or --keep it",
                       count, plural, name, path, input, path, name);
    }
    instance->retry.queued += count;
    return WEIR_OK;
}

static weir_status check_all(struct wr_instance *instance, struct wr_rows *rows,
                             struct wr_error *error)
{
    for (bool more = true;;) {
        WR_TRY(wr_rows_next(rows, &more, error));
        if (!more) {
            return WEIR_OK;
        }
        WR_TRY(check_group(instance, rows, error));
    }
}

weir_status wr_retry_open(struct wr_instance *instance, struct wr_error *error)
{
    struct wr_retry *retry = &instance->retry;
    struct wr_rows *groups = NULL;
    wr_arena_init(&retry->arena, PAGE_BYTES);
    WR_TRY(wr_rows_open(instance->reader,
                        "SELECT node, input, timer IS NOT NULL, count(*) FROM retry JOIN reject ON"
                        " reject.id = retry.reject GROUP BY 1, 2, 3",
                        &groups, error));
    weir_status status = check_all(instance, groups, error);
    wr_rows_close(groups);
    if (status == WEIR_OK && retry->queued > 0) {
        status = wr_rows_open(instance->reader, query, &retry->rows, error);
    }
    wr_reader_end(instance->reader);
    return status;
}

void wr_retry_close(struct wr_instance *instance)
{
    struct wr_retry *retry = &instance->retry;
    wr_rows_close(retry->rows);
    free(retry->taken);
    wr_arena_fini(&retry->arena);
    *retry = (struct wr_retry){0};
}

/* ---- Reading letters ------------------------------------------------------------------------- */

static size_t find_part(const struct wr_instance *instance, const struct wr_letter *letter)
{
    for (size_t i = 0; letter->source && i < instance->part_count; i++) {
        const struct wr_part *part = &instance->parts[i];
        if (strcmp(part->node->name, letter->source) == 0 && letter->part &&
            strcmp(part->at->part, letter->part) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool copy_text(struct wr_arena *arena, const char *text, const char **copy_out)
{
    *copy_out = text ? wr_arena_string(arena, text) : NULL;
    return !text || *copy_out;
}

static weir_status read_letter(struct wr_instance *instance, struct wr_letter *letter,
                               struct wr_error *error)
{
    struct wr_retry *retry = &instance->retry;
    const struct wr_rows *rows = retry->rows;
    struct wr_arena *arena = &retry->arena;
    weir_bytes headers;
    *letter = (struct wr_letter){.id = wr_rows_int(rows, COLUMN_ID),
                                 .node = node_named(instance->job, wr_rows_text(rows, COLUMN_NODE)),
                                 .offset = -1,
                                 .input = (unsigned)wr_rows_int(rows, COLUMN_INPUT),
                                 .timer = !wr_rows_null(rows, COLUMN_TIMER),
                                 .record.time_ms = wr_rows_int(rows, COLUMN_TIME_MS)};
    wr_assert(letter->node); /* wr_retry_open saw to it */
    if (!wr_rows_null(rows, COLUMN_OFFSET)) {
        letter->offset = wr_rows_int(rows, COLUMN_OFFSET);
    }
    if (!copy_text(arena, wr_rows_text(rows, COLUMN_SOURCE), &letter->source) ||
        !copy_text(arena, wr_rows_text(rows, COLUMN_PART), &letter->part) ||
        !wr_arena_copy(arena, wr_rows_bytes(rows, COLUMN_KEY), &letter->record.key) ||
        !wr_arena_copy(arena, wr_rows_bytes(rows, COLUMN_VALUE), &letter->record.value) ||
        !wr_arena_copy(arena, wr_rows_bytes(rows, COLUMN_TIMER), &letter->name) ||
        !wr_arena_copy(arena, wr_rows_bytes(rows, COLUMN_HEADERS), &headers)) {
        return wr_fail_memory(error);
    }
    letter->part_index = find_part(instance, letter);
    if (letter->timer && letter->name.size == 0) {
        letter->name = (weir_bytes){NULL, 0}; /* so is a timer without a name kept */
    }
    if (headers.data && wr_headers_decode(headers, arena, &letter->record, error) != WEIR_OK) {
        char text[WR_ERROR_TEXT_MAX];
        struct wr_error cause = *error;
        snprintf(text, sizeof text, "%s", cause.text);
        wr_error_clear(error);
        return wr_fail(error, cause.status, cause.exit_code,
                       "cannot take dead letter %" PRId64 " again: %.600s; delete it with `weir "
                       "rejects STORE --delete --id %" PRId64 "`",
                       letter->id, text, letter->id);
    }
    return WEIR_OK;
}

static weir_status read_page(struct wr_instance *instance, struct wr_error *error)
{
    struct wr_retry *retry = &instance->retry;
    bool more = true;
    wr_arena_reset(&retry->arena);
    retry->count = 0;
    retry->at = 0;
    retry->letters = wr_arena_alloc(&retry->arena, PAGE_LETTERS * sizeof *retry->letters);
    if (!retry->letters) {
        return wr_fail_memory(error);
    }
    wr_rows_again(retry->rows);
    wr_rows_bind_int(retry->rows, 1, retry->last);
    while (retry->count < PAGE_LETTERS && wr_arena_bytes(&retry->arena) < PAGE_BYTES) {
        WR_TRY(wr_rows_next(retry->rows, &more, error));
        if (!more) {
            break;
        }
        WR_TRY(read_letter(instance, &retry->letters[retry->count], error));
        retry->count++;
    }
    wr_rows_again(retry->rows);
    retry->ended = retry->count == 0;
    return WEIR_OK;
}

/* ---- Taking them ----------------------------------------------------------------------------- */

weir_status wr_retry_next(struct wr_instance *instance, const struct wr_letter **letter_out,
                          struct wr_error *error)
{
    struct wr_retry *retry = &instance->retry;
    *letter_out = NULL;
    if (retry->at == retry->count && wr_retry_pending(retry)) {
        WR_TRY(read_page(instance, error));
        if (retry->ended) {
            WR_FAULT(&instance->env->fault, retry_last_unit, error);
        }
    }
    if (retry->at < retry->count) {
        *letter_out = &retry->letters[retry->at];
        wr_assert_that((*letter_out)->id, >, retry->last);
    }
    return WEIR_OK;
}

weir_status wr_retry_take(struct wr_instance *instance, const struct wr_letter *letter,
                          struct wr_error *error)
{
    struct wr_retry *retry = &instance->retry;
    if (retry->taken_count == retry->taken_capacity) {
        size_t capacity = retry->taken_capacity ? retry->taken_capacity * 2 : PAGE_LETTERS;
        int64_t *taken = realloc(retry->taken, capacity * sizeof *taken);
        if (!taken) {
            return wr_fail_memory(error);
        }
        retry->taken = taken;
        retry->taken_capacity = capacity;
    }
    retry->taken[retry->taken_count++] = letter->id;
    return WEIR_OK;
}

weir_status wr_retry_passed(struct wr_instance *instance, struct wr_error *error)
{
    struct wr_retry *retry = &instance->retry;
    wr_assert_that(retry->at, <, retry->count);
    wr_assert_that(retry->taken_count, >, 0);
    wr_assert_that(retry->taken[retry->taken_count - 1], ==, retry->letters[retry->at].id);
    retry->last = retry->letters[retry->at++].id;
    WR_FAULT(&instance->env->fault, retry_after_unit, error);
    return WEIR_OK;
}

void wr_retry_undo(struct wr_instance *instance)
{
    struct wr_retry *retry = &instance->retry;
    retry->last = retry->sealed_last;
    retry->taken_count = 0;
    retry->count = 0; /* the page is read again */
    retry->at = 0;
    retry->ended = false;
}

weir_status wr_retry_seal(struct wr_instance *instance, struct wr_error *error)
{
    struct wr_retry *retry = &instance->retry;
    struct wr_epoch *epoch = instance->filling;
    if (retry->taken_count == 0) {
        return WEIR_OK;
    }
    size_t bytes = retry->taken_count * sizeof *retry->taken;
    int64_t *ids = wr_arena_alloc(&epoch->arena, bytes);
    if (!ids) {
        return wr_fail_memory(error);
    }
    memcpy(ids, retry->taken, bytes);
    epoch->progress.retried = ids;
    epoch->progress.retried_count = retry->taken_count;
    retry->sealed_last = retry->last;
    retry->taken_count = 0;
    return WEIR_OK;
}
