/* file_poll.c: one poll of one partition: where to read to, the lines, and what follows from them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "engine/sources/source_file.h"
#include "txn/base/bytes.h"

static weir_status fail_shrank(const struct wr_file_source *source, const struct wr_file_part *part,
                               struct wr_error *error)
{
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "source %s: %s shrank while it was read, from %" PRId64 " to %" PRId64
                   " bytes; put its bytes back and start again, nothing is lost",
                   source->base.name, part->file.path, part->limit, part->file.size);
}

/* After reading: whether the file still begins as it did, so that what was read is of the same
 * file. Its mark grows with it up to WR_FILE_PREFIX_BYTES. */
static weir_status check_beginning(struct wr_file_source *source, struct wr_file_part *part,
                                   bool *same_out, struct wr_error *error)
{
    unsigned char bytes[WR_FILE_PREFIX_BYTES];
    unsigned known = part->mark.crc_bytes;
    size_t size = part->file.size < (int64_t)sizeof bytes ? (size_t)part->file.size : sizeof bytes;
    size_t got = 0;
    size = size < known ? known : size;
    WR_TRY(wr_file_read_disk(source, &part->file, 0, bytes, size, &got, error));
    *same_out = got >= known && wr_crc32c(0, bytes, known) == part->mark.crc;
    if (!*same_out || part->place == WR_FILE_COPY) {
        return WEIR_OK;
    }
    if (got > known) {
        part->mark.crc = wr_crc32c(0, bytes, got);
        part->mark.crc_bytes = (unsigned)got;
    }
    return part->told.crc_bytes < got || part->told_size != part->file.size
               ? wr_file_tell(source, part, part->file.size, error)
               : WEIR_OK;
}

/* Lines were read from a file that is followed. */
static weir_status after_follow(struct wr_file_source *source, struct wr_file_part *part,
                                struct wr_polled *polled, int64_t next,
                                enum wr_file_lines_found found, enum wr_source_more *more_out,
                                struct wr_error *error)
{
    bool same = found != WR_LINES_SHORT;
    if (same) {
        WR_TRY(check_beginning(source, part, &same, error));
    }
    if (!same) {
        polled->count = 0;
        return wr_file_truncated(source, part, more_out, error);
    }
    if (found == WR_LINES_NONE) {
        return wr_file_advance(source, part, more_out, error);
    }
    if (polled->count > 0) {
        part->at.next = part->base + next;
    }
    return WEIR_OK;
}

static weir_status fail_gzip(struct wr_file_source *source, struct wr_file_part *part,
                             enum wr_source_more *more_out, struct wr_error *error)
{
    *more_out = WR_SOURCE_WAIT;
    if (!wr_file_settled(source, part)) {
        return WEIR_OK; /* first what came before is decided */
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                   "source %s: %s cannot be inflated behind byte %" PRId64
                   " of its data (%s); what "
                   "came before is processed; put the whole file in its place and start again",
                   source->base.name, part->file.path, part->at.next - part->base,
                   wr_gzip_damage(part->file.gzip));
}

/* Lines were read from a file that is read to an end. */
static weir_status after_bounded(struct wr_file_source *source, struct wr_file_part *part,
                                 const struct wr_file_range *range, struct wr_polled *polled,
                                 int64_t next, enum wr_file_lines_found found,
                                 enum wr_source_more *more_out, struct wr_error *error)
{
    if (found == WR_LINES_SHORT) {
        WR_TRY(wr_file_look(source, &part->file, error));
        return fail_shrank(source, part, error);
    }
    if (part->limit == INT64_MAX && range->limit < INT64_MAX && range->last) { /* gzip: found it */
        part->limit = range->limit;
        if (part->place == WR_FILE_AT_PATH) {
            part->at.end = part->base + part->limit;
        }
        WR_TRY(wr_file_tell(source, part, part->limit, error));
    }
    if (found == WR_LINES_SOME) {
        if (polled->count > 0) {
            part->at.next = part->base + next;
        }
        return WEIR_OK;
    }
    return range->last ? wr_file_advance(source, part, more_out, error)
                       : fail_gzip(source, part, more_out, error);
}

/* Looks at the file: where to read to. *limit_out: -1: it was truncated. */
static weir_status look(struct wr_file_source *source, struct wr_file_part *part,
                        int64_t *limit_out, struct wr_error *error)
{
    WR_TRY(wr_file_look(source, &part->file, error));
    int64_t size = part->file.size;
    *limit_out = part->limit;
    if (!source->follow) {
        return source->gzip || size >= part->limit ? WEIR_OK : fail_shrank(source, part, error);
    }
    if (size < part->seen_size) {
        *limit_out = -1;
        return WEIR_OK;
    }
    if (size > part->seen_size) {
        part->seen_size = size;
        part->quiet_us = source->base.env->monotonic_us(source->base.env);
    }
    *limit_out = size < part->limit ? size : part->limit;
    return WEIR_OK;
}

weir_status wr_file_poll(struct wr_source *base, struct wr_source_partition *partition,
                         struct wr_polled *polled, enum wr_source_more *more_out,
                         struct wr_error *error)
{
    struct wr_file_source *source = wr_file_source_of(base);
    struct wr_file_part *part = wr_file_part_of(partition);
    int64_t limit = 0, local = partition->next - part->base, next = local;
    polled->count = 0;
    *more_out = partition->next < partition->end ? WR_SOURCE_MORE : WR_SOURCE_ENDED;
    if (*more_out == WR_SOURCE_ENDED) {
        return WEIR_OK;
    }
    if (part->file.fd < 0) {
        return wr_file_first(source, part, more_out, error);
    }
    WR_TRY(look(source, part, &limit, error));
    if (limit < 0) {
        return wr_file_truncated(source, part, more_out, error);
    }
    struct wr_file_range range = {part->base, local, limit, part->final || !source->follow};
    enum wr_file_lines_found found = WR_LINES_NONE;
    if (local == part->unended && local < limit) {
        WR_TRY(wr_file_end_line(source, part, local, &range.from, error));
    }
    if (range.from < limit) {
        WR_TRY(wr_file_lines_poll(&part->lines, source, &part->file, &range, polled, &next, &found,
                                  error));
    }
    return source->follow
               ? after_follow(source, part, polled, next, found, more_out, error)
               : after_bounded(source, part, &range, polled, next, found, more_out, error);
}
