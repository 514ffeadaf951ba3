/* file_follow.c: from one file of a path to the next: rotation.
 *
 *   renamed    path ──▶ path.1, and a new file at the path. The old one is read on for GRACE_US
 *              after there is data in the new one: its writer may still hold it. Then its last line
 *              counts without a newline, and what was rotated since comes, oldest first, and at
 *              last the file at the path.
 *   truncated  the file at the path is shorter than it was, or begins with other bytes. What was
 *              not read of it comes from a copy beside it, when there is one; then the file from 0.
 *
 * Nothing of this is kept but the position and the identity of its file, so what happened while no
 * run was there is found in the same way: from that file to the next one.
 *
 * The stream moves on only when all that was read is sealed: what is polled again after an undone
 * epoch is then always in the file at hand, and an identity is never stored with a position in
 * another file.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/sources/source_file.h"
#include "txn/base/assert.h"

enum {
    GRACE_US = 1000000,
    SETTLE_US = 500000, /* a sealed epoch is decided and forwarded by then, as a rule */
    LIST_US = 250000, /* a folder is looked through at most so often while there is nothing new */
};

static int64_t now_us(const struct wr_file_source *source)
{
    return source->base.env->monotonic_us(source->base.env);
}

/* All that was read is sealed. */
static bool is_sealed(const struct wr_file_part *part)
{
    return part->at.kept >= part->at.next;
}

bool wr_file_settled(struct wr_file_source *source, struct wr_file_part *part)
{
    if (!is_sealed(part)) {
        part->settled_us = 0;
        return false;
    }
    if (part->settled_us == 0) {
        part->settled_us = now_us(source);
    }
    return now_us(source) - part->settled_us >= SETTLE_US;
}

static bool is_bounded(const struct wr_file_source *source, const struct wr_file_part *part)
{
    return !source->follow || part->until_end;
}

static weir_status end_part(struct wr_file_part *part, enum wr_source_more *more_out)
{
    part->at.end = part->at.next;
    *more_out = WR_SOURCE_ENDED;
    return WEIR_OK;
}

/* ---- The next file --------------------------------------------------------------------------- */

struct successor {
    char path[PATH_MAX]; /* "": there is none */
    uint64_t inode;
    int64_t size;
    bool at_path;
};

static void set(struct successor *next, const char *path, uint64_t inode, int64_t size,
                bool at_path)
{
    snprintf(next->path, sizeof next->path, "%s", path);
    next->inode = inode;
    next->size = size;
    next->at_path = at_path;
}

/* The earliest file that was rotated away after the one at hand. */
static weir_status earliest_after(const struct wr_file_source *source,
                                  const struct wr_file_part *part, const struct wr_folder *folder,
                                  uint64_t path_inode, const struct wr_folder_entry **earliest_out,
                                  struct wr_error *error)
{
    const struct wr_folder_entry *here = wr_folder_find(folder, part->file.inode);
    struct stat info;
    struct wr_folder_entry gone = {.name = "~"}; /* behind names of the same time */
    if (!here) {
        if (fstat(part->file.fd, &info) != 0) {
            return wr_fail_errno(error, "source %s: cannot look at %s", source->base.name,
                                 part->file.path);
        }
        gone.mtime_ns = wr_changed_ns(&info);
        here = &gone;
    }
    bool any = here->starts && !here->rotated; /* rotated files have names of another kind here */
    *earliest_out = NULL;
    for (size_t i = 0; i < folder->count; i++) {
        const struct wr_folder_entry *entry = &folder->entries[i];
        if (!(entry->rotated || (any && entry->starts)) || entry->inode == path_inode ||
            entry->inode == part->file.inode || wr_folder_order(entry, here) <= 0 ||
            (*earliest_out && wr_folder_order(entry, *earliest_out) >= 0)) {
            continue;
        }
        bool is_copy =
            part->mark.crc_bytes > 0 && wr_file_path_begins_as(source, entry->path, &part->mark);
        if (!is_copy && !wr_file_path_is_compressed(source, entry->path) &&
            !wr_glob_is_taken(source, part, entry->path)) {
            *earliest_out = entry;
        }
    }
    return WEIR_OK;
}

static weir_status find_sibling(struct wr_file_source *source, struct wr_file_part *part,
                                uint64_t path_inode, struct successor *next, struct wr_error *error)
{
    struct wr_folder folder;
    const struct wr_folder_entry *earliest = NULL;
    weir_status status = wr_folder_read(source, part->folder, part->name, &folder, error);
    if (status == WEIR_OK) {
        status = earliest_after(source, part, &folder, path_inode, &earliest, error);
    }
    if (status == WEIR_OK && earliest) {
        set(next, earliest->path, earliest->inode, earliest->size, false);
    }
    wr_folder_free(&folder);
    return status;
}

static weir_status find_next(struct wr_file_source *source, struct wr_file_part *part,
                             struct successor *next, struct wr_error *error)
{
    struct stat info;
    bool there = stat(part->at.part, &info) == 0 && S_ISREG(info.st_mode);
    uint64_t inode = there ? (uint64_t)info.st_ino : 0;
    next->path[0] = '\0';
    if (there && inode == part->file.inode) {
        return WEIR_OK; /* it was not rotated */
    }
    if (source->follow || !source->is_pattern) {
        int64_t now = now_us(source);
        if (!is_bounded(source, part) && !part->final && now - part->listed_us < LIST_US) {
            return WEIR_OK;
        }
        part->listed_us = now;
        WR_TRY(find_sibling(source, part, inode, next, error));
    }
    if (!next->path[0] && there) {
        set(next, part->at.part, inode, (int64_t)info.st_size, true);
    }
    return WEIR_OK;
}

/* The file at hand is complete. */
static bool is_complete(struct wr_file_source *source, struct wr_file_part *part,
                        const struct successor *next)
{
    if (is_bounded(source, part) || !next->at_path) {
        return true;
    }
    if (next->size == 0) {
        return false; /* the writer may not have opened it yet */
    }
    if (part->place == WR_FILE_COPY) {
        return true;
    }
    int64_t now = now_us(source);
    if (part->rotated_us == 0) {
        part->rotated_us = now;
    }
    return now - part->rotated_us >= GRACE_US && now - part->quiet_us >= GRACE_US;
}

static void warn_refused(const struct wr_file_source *source, struct wr_file_part *part,
                         const char *path, int why)
{
    if (why != ENOENT && why != ENOTDIR && why != part->refused) {
        part->refused = why;
        wr_log(source->base.env, WR_LOG_WARN,
               "source %s: cannot open %s (%s); it is tried again until it can be read",
               source->base.name, path, strerror(why));
    }
}

static weir_status move_on(struct wr_file_source *source, struct wr_file_part *part,
                           const struct successor *next, enum wr_source_more *more_out,
                           struct wr_error *error)
{
    struct wr_file file;
    int why = 0;
    const char *path = next->at_path ? part->at.part : next->path;
    WR_TRY(wr_file_open(source, path, &file, &why, error));
    if (why != 0 && why != ENOENT && is_bounded(source, part)) {
        return wr_file_refuse(source, path, why, error);
    }
    if (why != 0) {
        warn_refused(source, part, path, why);
        return WEIR_OK;
    }
    bool claimed = source->is_pattern && wr_glob_is_claimed(source, &file, part);
    if (file.inode != next->inode || claimed) { /* renamed in between, or another partition's */
        wr_file_close(&file);
        return claimed && is_bounded(source, part) ? end_part(part, more_out) : WEIR_OK;
    }
    wr_log(source->base.env, WR_LOG_DEBUG, "source %s: %s is read to its end; going on with %s",
           source->base.name, part->file.path, path);
    weir_status status = wr_glob_remember(source, part, error);
    file.path = next->at_path ? path : wr_arena_string(source->arena, path);
    if (status == WEIR_OK && !file.path) {
        status = wr_fail_memory(error);
    }
    if (status != WEIR_OK) {
        wr_file_close(&file);
        return status;
    }
    *more_out = WR_SOURCE_MORE;
    return wr_file_enter(source, part, &file, next->at_path ? WR_FILE_AT_PATH : WR_FILE_RENAMED, 0,
                         error);
}

/* A pattern takes a rotated file in as a partition of its own: it is complete when it is quiet,
 * since its writer has gone on with the file that it is called after. */
static weir_status end_rotated(struct wr_file_source *source, struct wr_file_part *part,
                               enum wr_source_more *more_out, struct wr_error *error)
{
    int64_t local = part->at.next - part->base, ignored;
    int64_t end = part->seen_size < part->limit ? part->seen_size : part->limit;
    if (local >= end) {
        bool counted = part->final;
        part->final = false;
        return counted ? wr_file_end_line(source, part, local, &ignored, error) : WEIR_OK;
    }
    bool quiet = part->until_end || now_us(source) - part->quiet_us >= GRACE_US;
    if (!part->final && quiet && local != part->unended && wr_file_is_rotated(source, part)) {
        part->final = true;
        *more_out = WR_SOURCE_MORE;
    }
    return WEIR_OK;
}

weir_status wr_file_advance(struct wr_file_source *source, struct wr_file_part *part,
                            enum wr_source_more *more_out, struct wr_error *error)
{
    struct successor next;
    bool here = part->place == WR_FILE_AT_PATH;
    *more_out = WR_SOURCE_WAIT;
    if (!source->follow && here) {
        return end_part(part, more_out);
    }
    next.path[0] = '\0';
    if (!part->until_end || part->limit == INT64_MAX) {
        WR_TRY(find_next(source, part, &next, error));
    }
    if (!next.path[0]) {
        if (source->is_pattern && source->follow && here) {
            WR_TRY(end_rotated(source, part, more_out, error));
        }
        return is_bounded(source, part) && *more_out == WR_SOURCE_WAIT ? end_part(part, more_out)
                                                                       : WEIR_OK;
    }
    if (!part->final) {
        part->final = is_complete(source, part, &next);
        if (part->final) {
            *more_out = WR_SOURCE_MORE; /* its last line counts now */
        }
        return WEIR_OK;
    }
    if (!is_complete(source, part, &next) || !is_sealed(part)) {
        return WEIR_OK;
    }
    return move_on(source, part, &next, more_out, error);
}

/* ---- Truncation ------------------------------------------------------------------------------ */

static weir_status enter_copy(struct wr_file_source *source, struct wr_file_part *part,
                              bool *found_out, struct wr_error *error)
{
    struct wr_folder folder;
    struct wr_file file;
    int why = 0;
    int64_t local = part->at.next - part->base;
    *found_out = false;
    weir_status status = wr_folder_read(source, part->folder, part->name, &folder, error);
    const struct wr_folder_entry *entry =
        status == WEIR_OK ? wr_folder_copy(source, &folder, &part->mark, local, part->file.inode)
                          : NULL;
    if (entry) {
        const char *path = wr_arena_string(source->arena, entry->path);
        status = path ? wr_file_open(source, path, &file, &why, error) : wr_fail_memory(error);
        *found_out = status == WEIR_OK && why == 0;
    }
    wr_folder_free(&folder);
    if (!*found_out) {
        return status;
    }
    wr_log(source->base.env, WR_LOG_DEBUG, "source %s: %s was truncated; its rest is read from %s",
           source->base.name, part->file.path, file.path);
    return wr_file_enter(source, part, &file, WR_FILE_COPY, local, error);
}

static weir_status fail_truncated(const struct wr_file_source *source,
                                  const struct wr_file_part *part, struct wr_error *error)
{
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "source %s: %s was truncated or written anew when %" PRId64 " bytes of it had "
                   "not been read, and no copy of it is beside it; put one there (%s.1) and start "
                   "again, or give them up: ?missing=earliest goes on with what is there now, "
                   "?missing=latest with its end",
                   source->base.name, part->at.part, part->seen_size - (part->at.next - part->base),
                   part->name);
}

weir_status wr_file_truncated(struct wr_file_source *source, struct wr_file_part *part,
                              enum wr_source_more *more_out, struct wr_error *error)
{
    bool found = false, unread = part->seen_size > part->at.next - part->base;
    *more_out = WR_SOURCE_WAIT;
    if (part->place != WR_FILE_COPY) {
        WR_TRY(enter_copy(source, part, &found, error));
    }
    if (found) {
        *more_out = WR_SOURCE_MORE;
        return WEIR_OK;
    }
    if (unread && source->missing == WR_MISSING_FAIL) {
        return wr_file_settled(source, part) ? fail_truncated(source, part, error) : WEIR_OK;
    }
    if (!unread && part->until_end && part->limit < INT64_MAX) {
        return end_part(part, more_out);
    }
    if (!is_sealed(part)) {
        return WEIR_OK;
    }
    wr_log(source->base.env, WR_LOG_WARN,
           "source %s: %s was truncated or written anew, and no copy of it is beside it: %s",
           source->base.name, part->file.path,
           unread ? "what had not been read of it is lost (missing=)"
                  : "what was written to it just before that is lost");
    struct wr_file file;
    int why = 0;
    int64_t local = 0;
    WR_TRY(wr_file_open(source, part->at.part, &file, &why, error));
    if (why != 0) {
        wr_file_leave(part);
        return WEIR_OK;
    }
    if (unread) {
        WR_TRY(wr_file_resume_at(source, &file, &local, error));
    }
    *more_out = WR_SOURCE_MORE;
    return wr_file_enter(source, part, &file, WR_FILE_AT_PATH, local, error);
}

/* ---- The first file -------------------------------------------------------------------------- */

weir_status wr_file_first(struct wr_file_source *source, struct wr_file_part *part,
                          enum wr_source_more *more_out, struct wr_error *error)
{
    struct wr_file file;
    int why = 0;
    *more_out = WR_SOURCE_WAIT;
    if (is_bounded(source, part)) {
        return end_part(part, more_out);
    }
    WR_TRY(wr_file_open(source, part->at.part, &file, &why, error));
    if (why != 0) {
        warn_refused(source, part, part->at.part, why);
        return WEIR_OK;
    }
    if (source->is_pattern && wr_glob_is_claimed(source, &file, part)) {
        wr_file_close(&file);
        return WEIR_OK;
    }
    *more_out = WR_SOURCE_MORE;
    return wr_file_enter(source, part, &file, WR_FILE_AT_PATH, 0, error);
}
