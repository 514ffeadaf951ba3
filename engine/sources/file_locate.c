/* file_locate.c: the file that a position is in, under whatever name it has now.
 *
 * A file that is read once must be the one at its path: the same inode, the same first bytes, and
 * not shorter than the position. Where files may be rotated (follow, patterns) it is looked for
 * under other names too: by its inode, and where that is gone or was truncated, as a copy that
 * begins with the same bytes. While files are being renamed a look may miss one that moved from one
 * name to the next meanwhile; so as long as the folder changes, it is looked through again.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "engine/sources/source_file.h"

enum {
    LOOKS_MAX = 50,
    LOOK_MS = 10, /* between two; longer than the grain of a folder's time of change */
};

weir_status wr_file_examine(const struct wr_file_source *source, struct wr_file *file,
                            const struct wr_file_identity *identity, int64_t local,
                            const char **why_out, struct wr_error *error)
{
    bool same = false;
    *why_out = NULL;
    if (file->size < identity->mark.crc_bytes) {
        *why_out = "it shrank";
        return WEIR_OK;
    }
    WR_TRY(wr_file_begins_as(source, file, &identity->mark, &same, error));
    if (!same) {
        *why_out = "its first bytes differ";
        return WEIR_OK;
    }
    if (!file->gzip) {
        *why_out = file->size < local ? "it shrank" : NULL;
        return WEIR_OK;
    }
    char ignored;
    size_t got = 0;
    bool end = false;
    if (local > 0) {
        WR_TRY(wr_file_read(source, file, local - 1, &ignored, 1, &got, &end, error));
        *why_out = got == 0 ? "it shrank" : NULL;
    }
    return WEIR_OK;
}

/* The same for a path that may hold it. */
static weir_status try_path(const struct wr_file_source *source, const char *path,
                            const struct wr_file_identity *identity, int64_t local, bool is_copy,
                            struct wr_file *file_out, bool *found_out, struct wr_error *error)
{
    int why = 0;
    const char *differs = NULL;
    *found_out = false;
    WR_TRY(wr_file_open(source, path, file_out, &why, error));
    if (why == EACCES || why == EMFILE) {
        return wr_file_refuse(source, path, why, error);
    }
    if (why != 0) {
        return WEIR_OK;
    }
    weir_status status = WEIR_OK;
    if (is_copy || file_out->inode == identity->mark.inode) {
        status = wr_file_examine(source, file_out, identity, local, &differs, error);
        *found_out = status == WEIR_OK && !differs;
    }
    if (!*found_out) {
        wr_file_close(file_out);
    }
    return status;
}

/* Under other names. */
static weir_status search(const struct wr_file_source *source, const struct wr_file_part *part,
                          const struct wr_file_identity *identity, int64_t local,
                          uint64_t path_inode, struct wr_file *file_out,
                          enum wr_file_place *place_out, bool *found_out, struct wr_error *error)
{
    struct wr_folder folder;
    *place_out = WR_FILE_RENAMED;
    *found_out = false;
    if (part->hint) {
        WR_TRY(try_path(source, part->hint, identity, local, false, file_out, found_out, error));
        if (*found_out) {
            return WEIR_OK;
        }
    }
    weir_status status = wr_folder_read(source, part->folder, part->name, &folder, error);
    const struct wr_folder_entry *entry =
        status == WEIR_OK ? wr_folder_find(&folder, identity->mark.inode) : NULL;
    if (entry) {
        status = try_path(source, entry->path, identity, local, false, file_out, found_out, error);
    }
    if (status == WEIR_OK && !*found_out && !source->gzip) {
        entry = wr_folder_copy(source, &folder, &identity->mark, local, path_inode);
        if (entry) {
            *place_out = WR_FILE_COPY;
            status =
                try_path(source, entry->path, identity, local, true, file_out, found_out, error);
        }
    }
    if (status == WEIR_OK && *found_out) {
        file_out->path = wr_arena_string(source->arena, file_out->path);
        if (!file_out->path) {
            wr_file_close(file_out);
            status = wr_fail_memory(error);
        }
    }
    wr_folder_free(&folder);
    return status;
}

/* Whether names in the folder changed since *last_ns, or just now. */
static bool is_changing(const char *folder, int64_t *last_ns)
{
    struct stat info;
    struct timespec now;
    if (stat(folder, &info) != 0 || clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return false;
    }
    int64_t before_ns = *last_ns, now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    *last_ns = wr_changed_ns(&info);
    return before_ns != *last_ns ||
           (now_ns >= *last_ns && now_ns - *last_ns < LOOK_MS * INT64_C(1000000));
}

weir_status wr_file_locate(const struct wr_file_source *source, struct wr_file_part *part,
                           const struct wr_file_identity *identity, int64_t local,
                           struct wr_file *file_out, enum wr_file_place *place_out,
                           const char **why_out, struct wr_error *error)
{
    int why = 0;
    *place_out = WR_FILE_AT_PATH;
    if (part->file.fd < 0) { /* not opened with the source */
        WR_TRY(wr_file_open(source, part->at.part, &part->file, &why, error));
    }
    *file_out = part->file;
    if (why != 0 && why != ENOENT && why != ENOTDIR) {
        return wr_file_refuse(source, part->at.part, why, error);
    }
    *why_out = why == 0 ? "it was replaced" : "it is gone";
    if (why == 0 && file_out->inode == identity->mark.inode) {
        WR_TRY(wr_file_examine(source, file_out, identity, local, why_out, error));
    }
    if (!*why_out || !(source->follow || source->is_pattern)) {
        return WEIR_OK;
    }
    const struct timespec pause = {0, LOOK_MS * 1000000L};
    struct wr_file other;
    enum wr_file_place place;
    bool found = false;
    int64_t changed_ns = INT64_MIN;
    (void)is_changing(part->folder, &changed_ns);
    for (int looks = 1;; looks++) {
        WR_TRY(search(source, part, identity, local, why == 0 ? file_out->inode : 0, &other, &place,
                      &found, error));
        if (found || looks == LOOKS_MAX || !is_changing(part->folder, &changed_ns)) {
            break;
        }
        nanosleep(&pause, NULL);
    }
    if (found) {
        *file_out = other;
        *place_out = place;
        *why_out = NULL;
    }
    return WEIR_OK;
}
