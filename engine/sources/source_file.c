/* source_file.c: file:PATH, one record a line.
 *
 * A run ends where the file ended when it was opened, and what is appended later is read by the
 * next run; with follow=true it waits for more. With a pattern each file is a partition. See
 * source_file.h for the files behind this one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/sources/source_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "txn/base/assert.h"
#include "txn/base/bytes.h"

/* ---- The rest of the seam -------------------------------------------------------------------- */

static weir_status file_bound(struct wr_source *base, struct wr_source_partition *partition,
                              struct wr_error *error)
{
    const struct wr_file_source *source = wr_file_source_of(base);
    struct wr_file_part *part = wr_file_part_of(partition);
    struct stat info;
    (void)error;
    if (!source->follow) {
        return WEIR_OK; /* its end was fixed when it was opened */
    }
    part->until_end = true;
    if (part->file.fd >= 0 && part->place == WR_FILE_AT_PATH) {
        part->bound_inode = part->file.inode;
        part->bound_size = part->file.size;
        part->limit = part->file.size;
    } else if (stat(partition->part, &info) == 0 && S_ISREG(info.st_mode)) {
        part->bound_inode = (uint64_t)info.st_ino;
        part->bound_size = (int64_t)info.st_size;
    }
    return WEIR_OK;
}

static int64_t file_lag(struct wr_source *base, const struct wr_source_partition *partition)
{
    const struct wr_file_source *source = wr_file_source_of(base);
    const struct wr_file_part *part = wr_file_part_of(partition);
    int64_t end = source->follow ? part->seen_size : part->limit;
    if (part->file.fd < 0 || partition->next >= partition->end) {
        return 0;
    }
    return end == INT64_MAX ? -1
                            : wr_file_lines_in(&part->lines, end - (partition->next - part->base));
}

static void file_close(struct wr_source *base)
{
    struct wr_file_source *source = wr_file_source_of(base);
    for (size_t i = 0; i < base->partition_count; i++) {
        struct wr_file_part *part = wr_file_part_of(base->partitions[i]);
        wr_file_close(&part->file);
        wr_file_lines_fini(&part->lines);
        free(part->text);
        part->text = NULL;
        part->text_capacity = 0;
        part->at.identity = "none";
    }
    free(source->refused);
    source->refused = NULL;
    source->refused_capacity = source->refused_count = 0;
}

static const struct wr_source_ops path_ops = {
    .scheme = "file",
    .poll = wr_file_poll,
    .seek = wr_file_seek,
    .bound = file_bound,
    .lag = file_lag,
    .close = file_close,
};

static const struct wr_source_ops pattern_ops = {
    .scheme = "file",
    .poll = wr_file_poll,
    .arrange = wr_glob_arrange,
    .seek = wr_file_seek,
    .bound = file_bound,
    .lag = file_lag,
    .close = file_close,
};

static const struct wr_source_ops growing_ops = {
    .scheme = "file",
    .poll = wr_file_poll,
    .arrange = wr_glob_arrange,
    .discover = wr_glob_discover,
    .seek = wr_file_seek,
    .bound = file_bound,
    .lag = file_lag,
    .close = file_close,
};

/* ---- Opening --------------------------------------------------------------------------------- */

weir_status wr_file_add_part(struct wr_file_source *source, const char *path,
                             struct wr_file_part **part_out, struct wr_error *error)
{
    struct wr_source *base = &source->base;
    if (base->partition_count == source->part_capacity) {
        size_t capacity = source->part_capacity ? source->part_capacity * 2 : 1;
        struct wr_source_partition **list =
            wr_arena_alloc(source->arena, capacity * sizeof(struct wr_source_partition *));
        if (!list) {
            return wr_fail_memory(error);
        }
        if (base->partition_count > 0) {
            memcpy(list, base->partitions,
                   base->partition_count * sizeof(struct wr_source_partition *));
        }
        base->partitions = list;
        source->part_capacity = capacity;
    }
    struct wr_file_part *part = wr_arena_zalloc(source->arena, sizeof *part);
    char *own = wr_arena_string(source->arena, path);
    char *folder = wr_arena_string(source->arena, path);
    if (!part || !own || !folder) {
        return wr_fail_memory(error);
    }
    char *slash = strrchr(folder, '/');
    wr_assert(slash);
    slash[slash == folder] = '\0'; /* "/" stays */
    part->at = (struct wr_source_partition){.part = own, .index = (int32_t)base->partition_count};
    part->folder = folder;
    part->name = strrchr(own, '/') + 1;
    part->hash = wr_hash(0, wr_bytes(own, strlen(own)), (weir_bytes){NULL, 0});
    part->file.fd = -1;
    wr_file_leave(part);
    base->partitions[base->partition_count++] = &part->at;
    *part_out = part;
    return WEIR_OK;
}

/* The path, absolute. In a pattern what is special in the working directory's name is escaped. */
static char *absolute_path(const struct wr_endpoint *endpoint, struct wr_arena *arena)
{
    if (!endpoint->pattern || endpoint->pattern[0] == '/') {
        return wr_path_absolute(endpoint->pattern ? endpoint->pattern : endpoint->path, arena);
    }
    char *here = wr_path_absolute(".", arena);
    char *path =
        here ? wr_arena_alloc(arena, 2 * strlen(here) + strlen(endpoint->pattern) + 2) : NULL;
    char *to = path;
    for (const char *at = here; path && *at; at++) {
        if (strchr("*?[]\\", *at)) {
            *to++ = '\\';
        }
        *to++ = *at;
    }
    if (!path) {
        return NULL;
    }
    *to++ = '/';
    memcpy(to, endpoint->pattern, strlen(endpoint->pattern) + 1);
    return wr_path_absolute(path, arena);
}

/* The folder of the path or pattern, and of what the path is a link to. None, so that the source is
 * polled, where that is not known. */
static weir_status watch(struct wr_file_source *source, struct wr_error *error)
{
    struct stat info;
    struct wr_source_watch *watches = wr_arena_alloc(source->arena, 2 * sizeof *watches);
    char *folder = wr_arena_string(source->arena, source->path);
    if (!watches || !folder) {
        return wr_fail_memory(error);
    }
    char *slash = strrchr(folder, '/');
    slash[slash == folder] = '\0';
    bool varies = source->is_pattern && strpbrk(folder, "*?[\\");
    if (!source->follow || varies || stat(folder, &info) != 0 || !S_ISDIR(info.st_mode)) {
        return WEIR_OK;
    }
    size_t count = 0;
    watches[count++] = (struct wr_source_watch){folder, NULL};
    if (!source->is_pattern && lstat(source->path, &info) == 0 && S_ISLNK(info.st_mode)) {
        char *target = realpath(source->path, NULL);
        char *own = wr_arena_string(source->arena, target ? target : "/");
        free(target);
        if (!own) {
            return wr_fail_memory(error);
        }
        slash = strrchr(own, '/');
        slash[slash == own] = '\0';
        watches[count++] = (struct wr_source_watch){own, NULL};
    }
    source->base.watches = watches;
    source->base.watch_count = count;
    return WEIR_OK;
}

/* The one partition of a path. */
static weir_status open_path(struct wr_file_source *source, struct wr_error *error)
{
    struct wr_file_part *part;
    struct wr_file file;
    int why = 0;
    WR_TRY(wr_file_add_part(source, source->path, &part, error));
    if (source->follow) {
        return WEIR_OK; /* it may not be there yet, or be another file: seek looks for it */
    }
    WR_TRY(wr_file_open(source, part->at.part, &file, &why, error));
    if (why != 0) {
        return wr_file_refuse(source, part->at.part, why, error);
    }
    return wr_file_enter(source, part, &file, WR_FILE_AT_PATH, 0, error);
}

static bool has(const struct wr_endpoint *endpoint, const char *name, const char *value)
{
    const char *given = wr_endpoint_parameter(endpoint, name);
    return given && strcmp(given, value) == 0;
}

weir_status wr_source_file_open(struct wr_env *env, const char *name,
                                const struct wr_endpoint *endpoint, struct wr_arena *arena,
                                struct wr_source **source_out, struct wr_error *error)
{
    struct wr_file_source *source = wr_arena_zalloc(arena, sizeof *source);
    if (!source) {
        return wr_fail_memory(error);
    }
    source->arena = arena;
    source->follow = has(endpoint, "follow", "true");
    source->gzip = has(endpoint, "compression", "gzip");
    source->as_is = has(endpoint, "compression", "none");
    source->is_pattern = endpoint->pattern != NULL;
    source->missing = has(endpoint, "missing", "earliest") ? WR_MISSING_EARLIEST
                      : has(endpoint, "missing", "latest") ? WR_MISSING_LATEST
                                                           : WR_MISSING_FAIL;
    source->base = (struct wr_source){.ops = !source->is_pattern ? &path_ops
                                             : source->follow    ? &growing_ops
                                                                 : &pattern_ops,
                                      .env = env,
                                      .name = name,
                                      .bounded = !source->follow};
    source->path = absolute_path(endpoint, arena);
    if (!source->path) {
        return wr_fail_memory(error);
    }
    weir_status status = watch(source, error);
    if (status == WEIR_OK && !source->is_pattern) {
        status = open_path(source, error);
    }
    if (status != WEIR_OK) {
        file_close(&source->base);
        return status;
    }
    *source_out = &source->base;
    return WEIR_OK;
}
