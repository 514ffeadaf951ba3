/* file_owner.c: whose a file is, among the partitions of a pattern.
 *
 * Each file has one owner: a partition whose file at hand it is, or that has read it before and
 * remembers it in its identity (past) as long as it is there. A copy that copy-truncate makes of a
 * file is its owner's too.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <fnmatch.h>
#include <string.h>

#include "engine/sources/source_file.h"

enum { COMPARED_BYTES = 64 * 1024 };

bool wr_file_is_past(const struct wr_file_source *source, const struct wr_file *file,
                     const struct wr_file_mark *past, size_t count)
{
    struct wr_error ignored = {.status = WEIR_OK};
    for (size_t i = 0; i < count; i++) {
        bool same = false;
        if (past[i].inode == file->inode && past[i].crc_bytes > 0 &&
            wr_file_begins_as(source, file, &past[i], &same, &ignored) == WEIR_OK && same) {
            return true;
        }
    }
    return false;
}

static bool identity_has(const struct wr_file_source *source, const struct wr_file *file,
                         const struct wr_file_identity *identity)
{
    return wr_file_is_past(source, file, &identity->mark, 1) ||
           wr_file_is_past(source, file, identity->past, identity->past_count);
}

bool wr_glob_is_claimed(const struct wr_file_source *source, const struct wr_file *file,
                        const struct wr_file_part *except)
{
    for (size_t i = 0; i < source->base.partition_count; i++) {
        const struct wr_file_part *part = wr_file_part_of(source->base.partitions[i]);
        if (part != except && part->file.fd >= 0 && part->file.inode == file->inode) {
            return true;
        }
        if (wr_file_is_past(source, file, part->past, part->past_count)) {
            return true;
        }
    }
    for (size_t i = 0; i < source->left_count; i++) {
        if (identity_has(source, file, &source->left[i].identity)) {
            return true;
        }
    }
    return false;
}

bool wr_glob_is_taken(const struct wr_file_source *source, const struct wr_file_part *part,
                      const char *path)
{
    struct wr_error ignored = {.status = WEIR_OK};
    struct wr_file file;
    int why = 0;
    if (!source->is_pattern) {
        return false;
    }
    if (fnmatch(source->path, path, FNM_PATHNAME | FNM_PERIOD) == 0) {
        return true;
    }
    bool taken = wr_file_open(source, path, &file, &why, &ignored) == WEIR_OK && why == 0 &&
                 wr_glob_is_claimed(source, &file, part);
    wr_file_close(&file);
    return taken;
}

/* Whether two files are the same as far as both go, up to COMPARED_BYTES. */
static bool begin_alike(const struct wr_file_source *source, const struct wr_file *a,
                        const struct wr_file *b)
{
    unsigned char left[4096], right[sizeof left];
    struct wr_error ignored = {.status = WEIR_OK};
    for (int64_t at = 0; at < COMPARED_BYTES;) {
        size_t got_left = 0, got_right = 0;
        if (wr_file_read_disk(source, a, at, left, sizeof left, &got_left, &ignored) != WEIR_OK ||
            wr_file_read_disk(source, b, at, right, sizeof right, &got_right, &ignored) !=
                WEIR_OK) {
            return false;
        }
        size_t both = got_left < got_right ? got_left : got_right;
        if (memcmp(left, right, both) != 0) {
            return false;
        }
        if (both < sizeof left) {
            return true;
        }
        at += (int64_t)both;
    }
    return true;
}

bool wr_file_is_copy_of(const struct wr_file_source *source, const struct wr_file *file,
                        const char *path, const struct wr_file_mark *mark)
{
    const char *slash = strrchr(file->path, '/'), *end = strrchr(path, '/');
    size_t folder = (size_t)(slash - file->path);
    if (folder != (size_t)(end - path) || strncmp(file->path, path, folder) != 0 ||
        !wr_folder_is_rotated(slash + 1, end + 1) || mark->crc_bytes == 0) {
        return false;
    }
    struct wr_error ignored = {.status = WEIR_OK};
    struct wr_file original;
    int why = 0;
    bool same = false, is = false;
    if (wr_file_open(source, path, &original, &why, &ignored) == WEIR_OK && why == 0 &&
        wr_file_begins_as(source, &original, mark, &same, &ignored) == WEIR_OK && same) {
        is = begin_alike(source, file, &original); /* not truncated yet */
    } else if (wr_file_begins_as(source, file, mark, &is, &ignored) != WEIR_OK) {
        is = false;
    }
    wr_file_close(&original);
    return is;
}

bool wr_file_is_copy(const struct wr_file_source *source, const struct wr_file *file)
{
    for (size_t i = 0; i < source->base.partition_count; i++) {
        const struct wr_file_part *part = wr_file_part_of(source->base.partitions[i]);
        if (wr_file_is_copy_of(source, file, part->at.part, &part->mark)) {
            return true;
        }
    }
    return false;
}

static bool add_mark(struct wr_file_source *source, struct wr_file_part *part,
                     const struct wr_file_mark *mark)
{
    struct wr_file_mark *past =
        wr_arena_alloc(source->arena, (part->past_count + 1) * sizeof *past);
    if (!past) {
        return false;
    }
    if (part->past_count > 0) {
        memcpy(past, part->past, part->past_count * sizeof *past);
    }
    past[part->past_count++] = *mark;
    part->past = past;
    return true;
}

weir_status wr_glob_remember(struct wr_file_source *source, struct wr_file_part *part,
                             struct wr_error *error)
{
    struct wr_folder folder;
    struct wr_file_mark own = {0, 0, 0};
    if (!source->is_pattern) {
        return WEIR_OK;
    }
    WR_TRY(wr_file_look(source, &part->file, error));
    WR_TRY(wr_file_mark_of(source, &part->file, &own, error));
    weir_status status = wr_folder_read(source, part->folder, part->name, &folder, error);
    size_t kept = 0;
    for (size_t i = 0; status == WEIR_OK && i < part->past_count; i++) {
        if (wr_folder_find(&folder, part->past[i].inode)) {
            part->past[kept++] = part->past[i];
        }
    }
    if (status == WEIR_OK) {
        part->past_count = kept;
        if (!add_mark(source, part, &own)) {
            status = wr_fail_memory(error);
        }
    }
    wr_folder_free(&folder);
    return status;
}

bool wr_file_is_rotated(const struct wr_file_source *source, const struct wr_file_part *part)
{
    for (size_t i = 0; i < source->base.partition_count; i++) {
        const struct wr_file_part *other = wr_file_part_of(source->base.partitions[i]);
        if (other->file.fd >= 0 && strcmp(other->folder, part->folder) == 0 &&
            wr_folder_is_rotated(part->name, other->name)) {
            return true;
        }
    }
    return false;
}
