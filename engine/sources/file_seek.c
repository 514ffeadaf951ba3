/* file_seek.c: from a stored position to the file that it is in.
 *
 * file_locate.c looks for it. When it is not to be found, missing= says what to do.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/sources/source_file.h"
#include "txn/base/assert.h"

/* ---- The file at hand ------------------------------------------------------------------------ */

weir_status wr_file_check_compression(const struct wr_file_source *source,
                                      const struct wr_file *file, struct wr_error *error)
{
    const char *found = source->as_is ? NULL : wr_file_compression(source, file);
    bool is_gzip = found && strcmp(found, "gzip") == 0;
    if (source->gzip && !is_gzip) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "source %s: %s is no gzip file%s%s; leave out compression=gzip to read its "
                       "bytes as lines",
                       source->base.name, file->path, found ? " but looks like " : "",
                       found             ? found
                       : file->size == 0 ? " (it is empty)"
                                         : "");
    }
    if (!source->gzip && found) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "source %s: %s is compressed (%s); %s, or read its bytes as they are with "
                       "?compression=none",
                       source->base.name, file->path, found,
                       is_gzip ? "add ?compression=gzip to its URI" : "decompress it first");
    }
    return WEIR_OK;
}

weir_status wr_file_enter(struct wr_file_source *source, struct wr_file_part *part,
                          const struct wr_file *file, enum wr_file_place place, int64_t local,
                          struct wr_error *error)
{
    if (part->file.fd != file->fd) {
        wr_file_close(&part->file);
        part->file = *file;
    }
    part->place = place;
    wr_file_lines_fini(&part->lines);
    part->seen_size = file->size;
    part->quiet_us = source->base.env->monotonic_us(source->base.env);
    part->rotated_us = part->settled_us = 0;
    part->listed_us = INT64_MIN / 2;
    part->refused = 0;
    part->unended = -1;
    part->final = place == WR_FILE_COPY;
    if (place == WR_FILE_COPY) { /* what it is a copy of, and where a run ends in it, stay */
        wr_assert_that(part->base, ==, part->at.next - local);
        part->limit = source->follow ? part->limit : file->size;
        return WEIR_OK;
    }
    WR_TRY(wr_file_mark_of(source, &part->file, &part->mark, error));
    part->base = part->at.next - local;
    part->limit = INT64_MAX;
    part->at.end = INT64_MAX;
    if (!source->follow && !source->gzip) {
        part->limit = file->size;
    } else if (part->until_end && file->inode == part->bound_inode) {
        part->limit = part->bound_size;
    }
    if (!source->follow && !source->gzip && place == WR_FILE_AT_PATH) {
        part->at.end = part->base + part->limit;
    }
    return wr_file_tell(source, part, source->gzip ? -1 : file->size, error);
}

void wr_file_leave(struct wr_file_part *part)
{
    wr_file_close(&part->file);
    wr_file_lines_fini(&part->lines);
    part->place = WR_FILE_AT_PATH;
    part->mark = (struct wr_file_mark){.inode = 0};
    part->base = part->at.next;
    part->limit = INT64_MAX;
    part->unended = -1;
    part->final = false;
    part->at.identity = "none";
    part->at.end = INT64_MAX;
}

/* The offset behind the last whole line. */
static weir_status whole_lines(const struct wr_file_source *source, const struct wr_file *file,
                               int64_t *offset_out, struct wr_error *error)
{
    char block[16 * 1024];
    int64_t end = file->size;
    while (end > 0) {
        int64_t start = end > (int64_t)sizeof block ? end - (int64_t)sizeof block : 0;
        size_t got = 0;
        WR_TRY(wr_file_read_disk(source, file, start, block, (size_t)(end - start), &got, error));
        while (got > 0 && block[got - 1] != '\n') {
            got--;
        }
        if (got > 0) {
            *offset_out = start + (int64_t)got;
            return WEIR_OK;
        }
        end = start;
    }
    *offset_out = 0;
    return WEIR_OK;
}

weir_status wr_file_resume_at(const struct wr_file_source *source, struct wr_file *file,
                              int64_t *local_out, struct wr_error *error)
{
    *local_out = 0;
    if (source->missing != WR_MISSING_LATEST) {
        return WEIR_OK;
    }
    if (source->follow) {
        return whole_lines(source, file, local_out, error);
    }
    *local_out = file->size;
    if (file->gzip) {
        char ignored;
        size_t got = 0;
        bool end = false;
        WR_TRY(wr_file_read(source, file, INT64_MAX / 2, &ignored, 1, &got, &end, error));
        *local_out = wr_gzip_at(file->gzip);
    }
    return WEIR_OK;
}

weir_status wr_file_end_line(const struct wr_file_source *source, struct wr_file_part *part,
                             int64_t local, int64_t *after_out, struct wr_error *error)
{
    char around[2] = {0, 0};
    size_t got = 0;
    bool end = false;
    *after_out = local;
    part->unended = -1;
    if (local <= 0) {
        return WEIR_OK;
    }
    WR_TRY(wr_file_read(source, &part->file, local - 1, around, sizeof around, &got, &end, error));
    if (got == 0 || around[0] == '\n') {
        return WEIR_OK;
    }
    part->unended = local;
    if (got == 1) {
        return WEIR_OK;
    }
    if (around[1] == '\n') {
        *after_out = local + 1;
        return WEIR_OK;
    }
    if (source->base.rewound) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: --rewind: no line of %s starts at byte %" PRId64
                       "; give the offset of a line, or earliest",
                       source->base.name, part->file.path, local);
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                   "source %s: the last line of %s had no newline when it was read up to byte "
                   "%" PRId64 ", and has grown since; insert a newline there to read the rest as a "
                   "line of its own, or read the file again with --rewind %s=earliest",
                   source->base.name, part->file.path, local, source->base.name);
}

/* ---- Seeking --------------------------------------------------------------------------------- */

static weir_status fail_missing(const struct wr_file_source *source,
                                const struct wr_file_part *part,
                                const struct wr_file_identity *identity, int64_t local,
                                const struct wr_file *file, const char *why, struct wr_error *error)
{
    const char *name = source->base.name, *path = part->at.part;
    if (source->base.rewound && strcmp(why, "it shrank") == 0 && file->fd >= 0 &&
        file->size >= identity->mark.crc_bytes) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: --rewind: %s has only %" PRId64 " bytes, so it cannot be read "
                       "from %" PRId64 "; give a smaller offset, or earliest",
                       name, path, identity->base + file->size, identity->base + local);
    }
    if (!source->follow && !source->gzip && file->fd >= 0 && file->inode == identity->mark.inode &&
        file->size >= identity->mark.crc_bytes && file->size < local &&
        strcmp(why, "it shrank") == 0) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: %s shrank: it was read up to byte %" PRId64 " and has only "
                       "%" PRId64
                       "; put its bytes back, start once with --rewind %s=earliest, or go "
                       "on in it with ?missing=earliest (its beginning) or ?missing=latest (its "
                       "end)",
                       name, path, local, file->size, name);
    }
    return wr_fail(
        error, WEIR_FATAL, WR_EXIT_CONFIG,
        "source %s: %s is not the file that was read so far (%s)%s; put that file back, "
        "or give up what was not read of it: start once with --rewind %s=earliest, or with "
        "?missing=earliest in the input's URI, which goes on with the beginning of this "
        "one each time (?missing=latest: with its end)",
        name, path, why,
        source->follow || source->is_pattern ? ", and it is not beside it either" : "", name);
}

/* The file of the position is not to be found. */
static weir_status go_on(struct wr_file_source *source, struct wr_file_part *part,
                         const struct wr_file_identity *identity, struct wr_file *file,
                         const char *why, struct wr_error *error)
{
    int64_t local = part->at.next - identity->base;
    bool finished = source->is_pattern && identity->size >= 0 && local >= identity->size;
    if (!finished && source->missing == WR_MISSING_FAIL) {
        return fail_missing(source, part, identity, local, file, why, error);
    }
    wr_log(source->base.env, finished ? WR_LOG_DEBUG : WR_LOG_WARN,
           "source %s: %s is not the file that was read so far (%s)%s", source->base.name,
           part->at.part, why,
           finished ? ", which was read to its end"
                    : "; going on without what was not read of that one (missing=)");
    if (file->fd < 0) {
        wr_file_leave(part);
        return WEIR_OK;
    }
    local = 0;
    if (!finished) {
        WR_TRY(wr_file_resume_at(source, file, &local, error));
    }
    return wr_file_enter(source, part, file, WR_FILE_AT_PATH, local, error);
}

/* There is no identity to compare with: the file at the path, from `local` on. */
static weir_status seek_path(struct wr_file_source *source, struct wr_file_part *part,
                             int64_t local, struct wr_error *error)
{
    int why = 0;
    if (part->file.fd < 0) {
        WR_TRY(wr_file_open(source, part->at.part, &part->file, &why, error));
    }
    if (source->follow && (why == ENOENT || why == ENOTDIR)) {
        wr_file_leave(part);
        return WEIR_OK;
    }
    if (why != 0) {
        return wr_file_refuse(source, part->at.part, why, error);
    }
    WR_TRY(wr_file_enter(source, part, &part->file, WR_FILE_AT_PATH, local, error));
    struct wr_file_identity identity = {.mark = part->mark};
    const char *differs = NULL;
    WR_TRY(wr_file_examine(source, &part->file, &identity, local, &differs, error));
    return differs ? fail_missing(source, part, &identity, local, &part->file, differs, error)
                   : WEIR_OK;
}

static weir_status fail_damaged(const struct wr_file_source *source,
                                const struct wr_file_part *part, const struct wr_position *stored,
                                struct wr_error *error)
{
    if (stored->next < 0 || !stored->identity) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "source %s: the store's position in %s is damaged: %" PRId64
                       "; `weir verify` shows what else is",
                       source->base.name, part->at.part, stored->next);
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                   "source %s: the store's identity of %s is damaged: \"%.100s\"; "
                   "`weir verify` shows what else is",
                   source->base.name, part->at.part, stored->identity);
}

/* A stored position with an identity. */
static weir_status seek_stored(struct wr_file_source *source, struct wr_file_part *part,
                               const struct wr_position *stored, struct wr_error *error)
{
    struct wr_file_identity identity;
    if (!wr_file_identity_parse(stored->identity, source->arena, &identity)) {
        return fail_damaged(source, part, stored, error);
    }
    int64_t local = stored->next - identity.base;
    if (local < 0 && source->base.rewound) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: --rewind: byte %" PRId64 " of %s is in a file that was rotated "
                       "away; the first that can be read is %" PRId64 ", or earliest",
                       source->base.name, stored->next, part->at.part, identity.base);
    }
    if (local < 0) {
        return fail_damaged(source, part, stored, error);
    }
    if (identity.gzip != source->gzip) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: %s was read %s so far; give the same compression=, or start "
                       "once with --rewind %s=earliest",
                       source->base.name, part->at.part,
                       identity.gzip ? "with compression=gzip" : "without compression=gzip",
                       source->base.name);
    }
    part->past = identity.past;
    part->past_count = identity.past_count;
    struct wr_file file;
    enum wr_file_place place;
    const char *why = NULL;
    WR_TRY(wr_file_locate(source, part, &identity, local, &file, &place, &why, error));
    if (why) {
        return go_on(source, part, &identity, &file, why, error);
    }
    part->mark = identity.mark;
    part->base = identity.base;
    if (place == WR_FILE_COPY) {
        part->limit = INT64_MAX;
        part->at.end = INT64_MAX;
        WR_TRY(wr_file_tell(source, part, identity.size, error));
    }
    return wr_file_enter(source, part, &file, place, local, error);
}

weir_status wr_file_seek(struct wr_source *base, struct wr_source_partition *partition,
                         const struct wr_position *stored, struct wr_error *error)
{
    struct wr_file_source *source = wr_file_source_of(base);
    struct wr_file_part *part = wr_file_part_of(partition);
    if (stored && stored->next < 0) {
        return fail_damaged(source, part, stored, error);
    }
    partition->next = stored ? stored->next : 0;
    if (!stored || !stored->identity || strcmp(stored->identity, "none") == 0) {
        bool counts = stored && !stored->identity;
        WR_TRY(seek_path(source, part, counts ? partition->next : 0, error));
    } else {
        WR_TRY(seek_stored(source, part, stored, error));
    }
    if (part->file.fd < 0) {
        return WEIR_OK;
    }
    WR_TRY(wr_file_check_compression(source, &part->file, error));
    int64_t local = partition->next - part->base, after = local;
    if (local < part->limit) {
        WR_TRY(wr_file_end_line(source, part, local, &after, error));
    }
    if (after > local) {
        partition->next += after - local;
        part->unended = -1;
    }
    return WEIR_OK;
}
