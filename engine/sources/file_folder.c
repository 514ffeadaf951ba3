/* file_folder.c: what lies beside a file: its rotated predecessors, and copies of it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/sources/source_file.h"
#include "txn/base/assert.h"

/* ---- Names ----------------------------------------------------------------------------------- */

/* Digits, and what stands between the parts of a date. */
static bool is_number(const char *text, size_t size)
{
    bool digits = false;
    for (size_t i = 0; i < size; i++) {
        if (!text[i] || !strchr("0123456789.-_:TZ+", text[i])) {
            return false;
        }
        digits = digits || (text[i] >= '0' && text[i] <= '9');
    }
    return digits;
}

bool wr_folder_is_rotated(const char *name, const char *base)
{
    size_t size = strlen(name), stem = strlen(base);
    if (size > stem && strncmp(name, base, stem) == 0) {
        const char *rest = name + stem;
        return strcmp(rest, ".old") == 0 || is_number(rest, size - stem);
    }
    const char *dot = strrchr(base, '.'); /* app.log: app-20240131.log, app.1.log */
    if (!dot || dot == base) {
        return false;
    }
    size_t end = strlen(dot);
    stem -= end;
    return size > stem + end && strncmp(name, base, stem) == 0 && strchr(".-_", name[stem]) &&
           strcmp(name + size - end, dot) == 0 && is_number(name + stem, size - stem - end);
}

/* N of a name that ends with .N: the more, the older. -1: it does not, or N is a date. */
static int generation(const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t size = dot ? strlen(dot + 1) : 0;
    return size > 0 && size < 6 && strspn(dot + 1, "0123456789") == size ? atoi(dot + 1) : -1;
}

int wr_folder_order(const struct wr_folder_entry *a, const struct wr_folder_entry *b)
{
    if (a->mtime_ns != b->mtime_ns) {
        return a->mtime_ns < b->mtime_ns ? -1 : 1;
    }
    int older = generation(a->name), newer = generation(b->name);
    if (older >= 0 && newer >= 0 && older != newer) {
        return older > newer ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool append(struct wr_folder *folder, const struct wr_folder_entry *entry)
{
    if (folder->count == folder->capacity) {
        size_t capacity = folder->capacity ? folder->capacity * 2 : 64;
        struct wr_folder_entry *entries =
            realloc(folder->entries, capacity * sizeof *folder->entries);
        if (!entries) {
            return false;
        }
        folder->entries = entries;
        folder->capacity = capacity;
    }
    folder->entries[folder->count++] = *entry;
    return true;
}

static char *join(struct wr_arena *arena, const char *folder, const char *name)
{
    size_t size = strlen(folder), more = strlen(name);
    char *path = wr_arena_alloc(arena, size + more + 2);
    if (path) {
        memcpy(path, folder, size);
        path[size] = '/';
        memcpy(path + size + 1, name, more + 1);
    }
    return path;
}

static weir_status read_entries(DIR *stream, const char *path, const char *base,
                                struct wr_folder *folder, struct wr_error *error)
{
    struct dirent *found;
    while ((found = readdir(stream))) {
        struct stat info;
        if (fstatat(dirfd(stream), found->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(info.st_mode)) {
            continue;
        }
        char *whole = join(&folder->arena, path, found->d_name);
        if (!whole) {
            return wr_fail_memory(error);
        }
        struct wr_folder_entry entry = {.path = whole,
                                        .name = strrchr(whole, '/') + 1,
                                        .inode = (uint64_t)info.st_ino,
                                        .size = (int64_t)info.st_size,
                                        .mtime_ns = wr_changed_ns(&info),
                                        .starts = strncmp(found->d_name, base, strlen(base)) == 0,
                                        .rotated = wr_folder_is_rotated(found->d_name, base)};
        if (!append(folder, &entry)) {
            return wr_fail_memory(error);
        }
    }
    return WEIR_OK;
}

static weir_status read_one(const struct wr_file_source *source, const char *path, const char *base,
                            struct wr_folder *folder, struct wr_error *error)
{
    DIR *stream = opendir(path);
    if (!stream && (errno == ENOENT || errno == ENOTDIR)) {
        return WEIR_OK;
    }
    if (!stream) {
        return wr_fail_errno(error, "source %s: cannot look for rotated files in %s",
                             source->base.name, path);
    }
    weir_status status = read_entries(stream, path, base, folder, error);
    closedir(stream);
    return status;
}

weir_status wr_folder_read(const struct wr_file_source *source, const char *folder,
                           const char *name, struct wr_folder *folder_out, struct wr_error *error)
{
    *folder_out = (struct wr_folder){.count = 0};
    wr_arena_init(&folder_out->arena, 0);
    WR_TRY(read_one(source, folder, name, folder_out, error));
    char *path = join(&folder_out->arena, folder, name);
    if (!path) {
        return wr_fail_memory(error);
    }
    struct stat info;
    if (lstat(path, &info) != 0 || !S_ISLNK(info.st_mode)) {
        return WEIR_OK;
    }
    char *target = realpath(path, NULL);
    weir_status status = WEIR_OK;
    if (target) {
        char *slash = strrchr(target, '/');
        *slash = '\0';
        if (strcmp(target, folder) != 0) {
            char *kept = wr_arena_string(&folder_out->arena, *target ? target : "/");
            status =
                kept ? read_one(source, kept, slash + 1, folder_out, error) : wr_fail_memory(error);
        }
        free(target);
    }
    return status;
}

void wr_folder_free(struct wr_folder *folder)
{
    free(folder->entries);
    folder->entries = NULL;
    wr_arena_fini(&folder->arena);
}

/* ---- Looking for a file ---------------------------------------------------------------------- */

const struct wr_folder_entry *wr_folder_find(const struct wr_folder *folder, uint64_t inode)
{
    for (size_t i = 0; i < folder->count; i++) {
        if (folder->entries[i].inode == inode) {
            return &folder->entries[i];
        }
    }
    return NULL;
}

const struct wr_folder_entry *wr_folder_copy(const struct wr_file_source *source,
                                             const struct wr_folder *folder,
                                             const struct wr_file_mark *mark, int64_t size,
                                             uint64_t not_inode)
{
    const struct wr_folder_entry *best = NULL;
    for (size_t i = 0; mark->crc_bytes > 0 && i < folder->count; i++) {
        const struct wr_folder_entry *entry = &folder->entries[i];
        if ((!entry->starts && !entry->rotated) || entry->inode == not_inode ||
            entry->size < size || (best && entry->mtime_ns <= best->mtime_ns)) {
            continue;
        }
        if (wr_file_path_begins_as(source, entry->path, mark)) {
            best = entry;
        }
    }
    return best;
}
