/* file_lines.c: the lines of one open file, a block at a time.
 *
 * Blocks are read straight into the polled arena and records point into them; a line that the block
 * cuts is read again by the next poll, so blocks are sized by what a poll uses. A line over the
 * limit is scanned without being kept, but for its beginning, a bounded piece in each poll, so
 * memory and time of a poll do not depend on the input.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sources/source_file.h"
#include "txn/base/assert.h"

enum {
    BLOCK_BYTES_MIN = 16 * 1024,
    BLOCK_BYTES_FIRST = 64 * 1024,
    SKIP_BYTES = 16 * 1024 * 1024, /* of a line over the limit, in one poll */
};

void wr_file_lines_init(struct wr_file_lines *lines)
{
    *lines = (struct wr_file_lines){.long_start = -1, .none_from = -1};
}

void wr_file_lines_fini(struct wr_file_lines *lines)
{
    free(lines->long_head);
    wr_file_lines_init(lines);
}

int64_t wr_file_lines_in(const struct wr_file_lines *lines, int64_t bytes)
{
    if (bytes <= 0 || lines->bytes == 0) {
        return bytes <= 0 ? 0 : -1;
    }
    double line = (double)lines->bytes / (double)lines->records;
    int64_t count = (int64_t)((double)bytes / line + 0.5);
    return count > 0 ? count : 1;
}

/* One poll. */
struct reading {
    struct wr_file_lines *lines;
    const struct wr_file_source *source;
    struct wr_file *file;
    struct wr_file_range *range;
    struct wr_polled *polled;
    int64_t next;
    enum wr_file_lines_found found;
    struct wr_error *error;
};

/* Reads at most `size` bytes of the range, and notices where the file ends. */
static weir_status read_some(struct reading *r, int64_t offset, void *data, size_t size,
                             size_t *got_out)
{
    struct wr_file_range *range = r->range;
    bool end = false;
    if ((int64_t)size > range->limit - offset) {
        size = (size_t)(range->limit - offset);
    }
    WR_TRY(wr_file_read(r->source, r->file, offset, data, size, got_out, &end, r->error));
    if (r->file->gzip && end) {
        range->limit = offset + (int64_t)*got_out;
        range->last = !wr_gzip_damage(r->file->gzip);
    } else if (*got_out < size) {
        r->found = WR_LINES_SHORT;
    }
    return WEIR_OK;
}

/* ---- Lines over the limit -------------------------------------------------------------------- */

static weir_status begin_long(struct reading *r, const unsigned char *block, size_t size)
{
    struct wr_file_lines *lines = r->lines;
    wr_assert_that(size, >, WR_RECORD_BYTES_MAX);
    if (!lines->long_head) {
        lines->long_head = malloc(WR_RECORD_BYTES_MAX);
        if (!lines->long_head) {
            return wr_fail_memory(r->error);
        }
    }
    memcpy(lines->long_head, block, WR_RECORD_BYTES_MAX);
    lines->long_start = r->range->from;
    lines->long_at = r->range->from + (int64_t)size;
    return WEIR_OK;
}

/* The line was scanned to its end: its beginning, for the dead letters. */
static weir_status reject_long(struct reading *r, bool newline)
{
    struct wr_file_lines *lines = r->lines;
    struct wr_polled *polled = r->polled;
    int64_t start = lines->long_start, end = lines->long_at;
    char reason[96];
    snprintf(reason, sizeof reason, "line of %" PRId64 " bytes; the limit is %d", end - start,
             WR_RECORD_BYTES_MAX);
    unsigned char *value = wr_arena_alloc(&polled->arena, WR_RECORD_BYTES_MAX);
    char *why = wr_arena_string(&polled->arena, reason);
    if (!value || !why || !wr_polled_reserve(polled, 1)) {
        return wr_fail_memory(r->error);
    }
    memcpy(value, lines->long_head, WR_RECORD_BYTES_MAX);
    r->next = end + newline;
    polled->records[0] = (weir_record){.value = {value, WR_RECORD_BYTES_MAX}};
    polled->offsets[0] = r->range->base + start;
    polled->nexts[0] = r->range->base + r->next;
    polled->rejects[0] = why;
    polled->count = 1;
    lines->records++;
    lines->bytes += r->next - start;
    free(lines->long_head);
    lines->long_head = NULL;
    lines->long_start = -1;
    return WEIR_OK;
}

static weir_status skip_long(struct reading *r)
{
    struct wr_file_lines *lines = r->lines;
    struct wr_file_range *range = r->range;
    struct wr_mark mark = wr_arena_mark(&r->polled->arena);
    unsigned char *block = wr_arena_alloc(&r->polled->arena, WR_POLL_BYTES_MAX);
    if (!block) {
        return wr_fail_memory(r->error);
    }
    int64_t budget = SKIP_BYTES;
    const unsigned char *newline = NULL;
    while (!newline && budget > 0 && lines->long_at < range->limit) {
        size_t got = 0;
        WR_TRY(read_some(r, lines->long_at, block, WR_POLL_BYTES_MAX, &got));
        newline = memchr(block, '\n', got);
        lines->long_at += newline ? newline - block : (int64_t)got;
        budget -= (int64_t)got;
        if (r->found == WR_LINES_SHORT) {
            return WEIR_OK;
        }
    }
    wr_arena_release(&r->polled->arena, mark);
    if (newline || (lines->long_at >= range->limit && range->last)) {
        return reject_long(r, newline != NULL);
    }
    r->found = lines->long_at >= range->limit ? WR_LINES_NONE : WR_LINES_SOME;
    return WEIR_OK;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void add(struct wr_polled *polled, const unsigned char *line, size_t size, int64_t offset,
                int64_t next)
{
    size_t i = polled->count++;
    polled->records[i] = (weir_record){.value = {line, size}};
    polled->offsets[i] = offset;
    polled->nexts[i] = next;
}

/* The lines of a block of `size` bytes that starts at range->from. `last`: its last line counts
 * without a newline too. */
static weir_status split(struct reading *r, const unsigned char *block, size_t size, bool last)
{
    struct wr_polled *polled = r->polled;
    size_t room = size < WR_POLL_RECORDS_MAX ? size : WR_POLL_RECORDS_MAX;
    if (!wr_polled_reserve(polled, room)) {
        return wr_fail_memory(r->error);
    }
    int64_t start = r->range->base + r->range->from;
    const unsigned char *at = block, *end = block + size;
    while (at < end && polled->count < room) {
        const unsigned char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline && !last) {
            break;
        }
        const unsigned char *after = newline ? newline + 1 : end;
        add(polled, at, (size_t)((newline ? newline : end) - at), start + (at - block),
            start + (after - block));
        at = after;
    }
    wr_assert_that(polled->count, >, 0);
    r->next = r->range->from + (at - block);
    r->lines->line_bytes = (size_t)(at - block) / polled->count + 1;
    r->lines->records += (int64_t)polled->count;
    r->lines->bytes += at - block;
    return WEIR_OK;
}

/* What a poll will use, by the length of the lines so far. */
static size_t block_bytes(const struct wr_file_lines *lines)
{
    if (lines->line_bytes == 0) {
        return BLOCK_BYTES_FIRST;
    }
    size_t bytes = lines->line_bytes * (WR_POLL_RECORDS_MAX + WR_POLL_RECORDS_MAX / 16);
    return bytes < BLOCK_BYTES_MIN     ? BLOCK_BYTES_MIN
           : bytes > WR_POLL_BYTES_MAX ? (size_t)WR_POLL_BYTES_MAX
                                       : bytes;
}

static weir_status read_block(struct reading *r)
{
    struct wr_file_range *range = r->range;
    size_t size = block_bytes(r->lines);
    for (;;) {
        struct wr_mark mark = wr_arena_mark(&r->polled->arena);
        int64_t left = range->limit - range->from;
        size = (int64_t)size > left ? (size_t)left : size;
        unsigned char *block = wr_arena_alloc(&r->polled->arena, size);
        size_t got = 0;
        if (!block) {
            return wr_fail_memory(r->error);
        }
        WR_TRY(read_some(r, range->from, block, size, &got));
        if (r->found == WR_LINES_SHORT) {
            return WEIR_OK;
        }
        bool ends = range->from + (int64_t)got == range->limit, last = ends && range->last;
        if (memchr(block, '\n', got) || (last && got > 0 && got <= WR_RECORD_BYTES_MAX)) {
            return split(r, block, got, last);
        }
        if (got > WR_RECORD_BYTES_MAX) {
            WR_TRY(begin_long(r, block, got));
            wr_arena_release(&r->polled->arena, mark);
            return skip_long(r);
        }
        wr_arena_release(&r->polled->arena, mark);
        if (ends) {
            r->found = WR_LINES_NONE;
            return WEIR_OK;
        }
        size = size * 2 > WR_RECORD_BYTES_MAX ? (size_t)WR_RECORD_BYTES_MAX + 1 : size * 2;
    }
}

weir_status wr_file_lines_poll(struct wr_file_lines *lines, const struct wr_file_source *source,
                               struct wr_file *file, struct wr_file_range *range,
                               struct wr_polled *polled, int64_t *next_out,
                               enum wr_file_lines_found *found_out, struct wr_error *error)
{
    struct reading r = {lines, source, file, range, polled, range->from, WR_LINES_SOME, error};
    wr_assert_that(range->from, <, range->limit);
    bool known = lines->none_from == range->from && lines->none_to == range->limit && !range->last;
    if (known) {
        r.found = WR_LINES_NONE;
    } else if (lines->long_start == range->from && lines->long_at <= range->limit) {
        WR_TRY(skip_long(&r));
    } else {
        WR_TRY(read_block(&r));
    }
    if (r.found == WR_LINES_NONE) {
        lines->none_from = range->from;
        lines->none_to = range->limit;
    }
    *next_out = r.next;
    *found_out = r.found;
    return WEIR_OK;
}
