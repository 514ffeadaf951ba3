/* file_glob.c: file: sources with a pattern: which files are partitions.
 *
 * A partition belongs to the path under which its file was seen first; a file that was renamed is
 * found again by its inode, and is no new one (file_owner.c).
 *
 * Long because the start and the look at what is new share matches and their rules.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/sources/source_file.h"
#include "txn/base/assert.h"
#include "txn/base/bytes.h"

enum { SCAN_US = 1000000 }; /* a folder that did not change is looked through so often */

/* ---- Matches --------------------------------------------------------------------------------- */

struct match {
    char *path;
    uint64_t inode;
    int64_t size;
    bool is_link;
};

/* The regular files that match, by name. Freed by the caller. `flags`: GLOB_ERR: a folder that may
 * not be read is an error. */
static weir_status find_matches(const struct wr_file_source *source, int flags,
                                struct match **matches_out, size_t *count_out, glob_t *found,
                                struct wr_error *error)
{
    struct stat info;
    int code = glob(source->path, flags, NULL, found);
    int why = errno;
    *count_out = 0;
    *matches_out = NULL;
    if (code == GLOB_NOSPACE) {
        return wr_fail_memory(error);
    }
    if (code == GLOB_ABORTED && why != ENOENT && why != ENOTDIR) {
        return wr_fail_errno_at(error, why, __FILE__, __LINE__,
                                "source %s: cannot look for files that match %s", source->base.name,
                                source->path);
    }
    size_t count = code == 0 ? found->gl_pathc : 0;
    struct match *matches = malloc((count + 1) * sizeof *matches);
    if (!matches) {
        return wr_fail_memory(error);
    }
    *matches_out = matches;
    for (size_t i = 0; i < count; i++) {
        char *path = found->gl_pathv[i];
        if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
            continue; /* a folder, or no longer there */
        }
        struct match match = {path, (uint64_t)info.st_ino, (int64_t)info.st_size, false};
        match.is_link = lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
        matches[(*count_out)++] = match;
    }
    return WEIR_OK;
}

/* ---- At the start ---------------------------------------------------------------------------- */

struct start { /* what the store knows, and what there is */
    struct wr_file_source *source;
    const struct wr_position *const *stored;
    size_t stored_count;
    struct wr_file_identity *identities; /* of the stored; crc_bytes 0 and inode 0: none */
    const char **hints; /* where the pattern found the file of a stored one */
    bool *at_path; /* the path of a stored one has a file that is its own, or nobody's */
    struct match *matches;
    size_t match_count;
    struct match **fresh; /* matches that nobody owns */
    size_t fresh_count;
    struct wr_error *error;
};

static weir_status parse_stored(struct start *s)
{
    struct wr_arena *arena = s->source->arena;
    size_t count = s->stored_count + 1;
    s->identities = wr_arena_zalloc(arena, count * sizeof *s->identities);
    s->hints = wr_arena_zalloc(arena, count * sizeof *s->hints);
    s->at_path = wr_arena_zalloc(arena, count * sizeof *s->at_path);
    s->fresh = wr_arena_zalloc(arena, (s->match_count + 1) * sizeof *s->fresh);
    if (!s->identities || !s->hints || !s->at_path || !s->fresh) {
        return wr_fail_memory(s->error);
    }
    for (size_t i = 0; i < s->stored_count; i++) {
        const char *text = s->stored[i]->identity;
        if (text && *text && strcmp(text, "none") != 0 &&
            !wr_file_identity_parse(text, arena, &s->identities[i])) {
            return wr_fail(s->error, WEIR_FATAL, WR_EXIT_DATA,
                           "source %s: the store's identity of %s is damaged: \"%.100s\"; `weir "
                           "verify` shows what else is",
                           s->source->base.name, s->stored[i]->part, text);
        }
    }
    return WEIR_OK;
}

/* Which stored position a file belongs to; stored_count: none. */
static size_t owner_of(const struct start *s, const struct wr_file *file, bool *is_past_out)
{
    *is_past_out = false;
    for (size_t i = 0; i < s->stored_count; i++) {
        const struct wr_file_mark *mark = &s->identities[i].mark;
        if (wr_file_is_past(s->source, file, mark, 1) ||
            (mark->inode == file->inode && mark->crc_bytes == 0)) {
            return i;
        }
    }
    *is_past_out = true;
    for (size_t i = 0; i < s->stored_count; i++) {
        const struct wr_file_identity *identity = &s->identities[i];
        if (wr_file_is_past(s->source, file, identity->past, identity->past_count) ||
            (!s->source->gzip &&
             wr_file_is_copy_of(s->source, file, s->stored[i]->part, &identity->mark))) {
            return i;
        }
    }
    return s->stored_count;
}

static size_t stored_at(const struct start *s, const char *path)
{
    for (size_t i = 0; i < s->stored_count; i++) {
        if (strcmp(s->stored[i]->part, path) == 0) {
            return i;
        }
    }
    return s->stored_count;
}

/* What a match is: a stored one's file, one that was read already, or a new one. */
static weir_status sort_match(struct start *s, struct match *match)
{
    struct wr_file file;
    int why = 0;
    bool past = false;
    struct wr_file_source plain = *s->source; /* nothing is inflated here */
    plain.gzip = false;
    WR_TRY(wr_file_open(&plain, match->path, &file, &why, s->error));
    if (why == ENOENT) {
        return WEIR_OK;
    }
    if (why != 0) {
        return wr_file_refuse(s->source, match->path, why, s->error);
    }
    size_t owner = owner_of(s, &file, &past), here = stored_at(s, match->path);
    bool compressed = s->source->follow && !s->source->as_is && wr_file_compression(&plain, &file);
    wr_file_close(&file);
    if (owner < s->stored_count) {
        if (!past && owner == here) {
            s->at_path[owner] = true;
        } else if (!past) {
            s->hints[owner] = match->path;
        }
    } else if (here < s->stored_count) {
        s->at_path[here] = true; /* its next file, or another one: seek decides */
    } else if (compressed) {
        wr_log(s->source->base.env, WR_LOG_WARN,
               "source %s: %s is compressed and is not read; a narrower pattern would leave it out",
               s->source->base.name, match->path);
    } else {
        s->fresh[s->fresh_count++] = match;
    }
    return WEIR_OK;
}

/* Links and second names of a file that matches under another name too are left out. */
static void drop_twins(struct start *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->fresh_count; i++) {
        struct match *match = s->fresh[i];
        bool twin = false;
        for (size_t j = 0; j < s->match_count && !twin; j++) {
            const struct match *other = &s->matches[j];
            twin = other != match && other->inode == match->inode &&
                   (other->is_link != match->is_link ? match->is_link : other < match);
        }
        if (!twin) {
            s->fresh[kept++] = match;
            continue;
        }
        wr_log(s->source->base.env, WR_LOG_DEBUG,
               "source %s: %s is another name of a file that matches too; it is read once",
               s->source->base.name, match->path);
    }
    s->fresh_count = kept;
}

/* A stored position whose path has no file of its own: whether it is a partition. */
static weir_status is_still_there(struct start *s, size_t i, bool *is_out)
{
    struct wr_file_source *source = s->source;
    const struct wr_position *stored = s->stored[i];
    const struct wr_file_identity *identity = &s->identities[i];
    int64_t local = stored->next - identity->base;
    *is_out = s->at_path[i] || s->hints[i];
    if (*is_out || (stored->identity && strcmp(stored->identity, "none") == 0)) {
        return WEIR_OK;
    }
    struct wr_file_part *part;
    struct wr_file file = {.fd = -1};
    enum wr_file_place place;
    const char *why = NULL;
    size_t count = source->base.partition_count;
    WR_TRY(wr_file_add_part(source, stored->part, &part, s->error)); /* only to look */
    source->base.partition_count = count;
    weir_status status =
        wr_file_locate(source, part, identity, local, &file, &place, &why, s->error);
    if (file.fd != part->file.fd) {
        wr_file_close(&file);
    }
    wr_file_close(&part->file);
    if (status != WEIR_OK || !why) {
        *is_out = status == WEIR_OK;
        return status;
    }
    bool finished = identity->size >= 0 && local >= identity->size;
    if (!finished && source->missing == WR_MISSING_FAIL) {
        return wr_fail(
            s->error, WEIR_FATAL, WR_EXIT_CONFIG,
            "source %s: %s was read up to byte %" PRId64 ", not to its end, and is not "
            "among the files that match %s any more; put it back, give the old input "
            "(-i %s=URI), or give up what was not read of it: with ?missing=earliest (or "
            "latest), or, to read all again, --rewind %s=earliest",
            source->base.name, stored->part, local, source->path, source->base.name,
            source->base.name);
    }
    wr_log(source->base.env, finished ? WR_LOG_DEBUG : WR_LOG_WARN, "source %s: %s is gone%s",
           source->base.name, stored->part,
           finished ? "; it was read to its end"
                    : " and was not read to its end; going on without it (missing=)");
    return WEIR_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static weir_status add_parts(struct start *s, const char **paths, size_t count)
{
    struct wr_file_source *source = s->source;
    if (count > WR_PARTITIONS_MAX) {
        return wr_fail(s->error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: %zu files match %s; the limit is %d; use a narrower pattern, or "
                       "several sources",
                       source->base.name, count, source->path, WR_PARTITIONS_MAX);
    }
    qsort(paths, count, sizeof *paths, by_name);
    for (size_t i = 0; i < count; i++) {
        struct wr_file_part *part;
        size_t known = stored_at(s, paths[i]);
        WR_TRY(wr_file_add_part(source, paths[i], &part, s->error));
        if (known < s->stored_count && s->hints[known]) {
            part->hint = wr_arena_string(source->arena, s->hints[known]);
            if (!part->hint) {
                return wr_fail_memory(s->error);
            }
        }
    }
    return WEIR_OK;
}

static weir_status choose_parts(struct start *s)
{
    struct wr_file_source *source = s->source;
    size_t room = s->stored_count + s->fresh_count + 1, count = 0;
    const char **paths = wr_arena_alloc(source->arena, room * sizeof *paths);
    source->left = wr_arena_alloc(source->arena, room * sizeof *source->left);
    if (!paths || !source->left) {
        return wr_fail_memory(s->error);
    }
    for (size_t i = 0; i < s->stored_count; i++) {
        bool is = false;
        WR_TRY(is_still_there(s, i, &is));
        if (is) {
            paths[count++] = s->stored[i]->part;
        } else {
            source->left[source->left_count++] =
                (struct wr_file_left){s->stored[i]->part, s->identities[i], s->stored[i]->next};
        }
    }
    for (size_t i = 0; i < s->fresh_count; i++) {
        paths[count++] = s->fresh[i]->path;
    }
    if (count == 0 && s->match_count == 0 && !source->follow) {
        return wr_fail(s->error, WEIR_FATAL, WR_EXIT_NO_INPUT,
                       "source %s: no file matches %s; check the pattern, or wait for files with "
                       "?follow=true",
                       source->base.name, source->path);
    }
    return add_parts(s, paths, count);
}

weir_status wr_glob_arrange(struct wr_source *base, const struct wr_position *const *stored,
                            size_t count, struct wr_error *error)
{
    struct wr_file_source *source = wr_file_source_of(base);
    struct start s = {.source = source, .stored = stored, .stored_count = count, .error = error};
    glob_t found = {.gl_pathc = 0};
    weir_status status = find_matches(source, GLOB_ERR, &s.matches, &s.match_count, &found, error);
    if (status == WEIR_OK) {
        status = parse_stored(&s);
    }
    for (size_t i = 0; status == WEIR_OK && i < s.match_count; i++) {
        status = sort_match(&s, &s.matches[i]);
    }
    if (status == WEIR_OK) {
        drop_twins(&s);
        status = choose_parts(&s);
    }
    free(s.matches);
    globfree(&found);
    return status;
}

/* ---- While it runs --------------------------------------------------------------------------- */

/* Says once, for each file, why it is not read. */
static weir_status refuse_once(struct wr_file_source *source, const struct match *match,
                               const char *why, struct wr_error *error)
{
    for (size_t i = 0; i < source->refused_count; i++) {
        if (source->refused[i] == match->inode) {
            return WEIR_OK;
        }
    }
    if (source->refused_count == source->refused_capacity) {
        size_t capacity = source->refused_capacity ? source->refused_capacity * 2 : 16;
        uint64_t *refused = realloc(source->refused, capacity * sizeof *refused);
        if (!refused) {
            return wr_fail_memory(error);
        }
        source->refused = refused;
        source->refused_capacity = capacity;
    }
    source->refused[source->refused_count++] = match->inode;
    wr_log(source->base.env, WR_LOG_WARN, "source %s: %s is not read: %s", source->base.name,
           match->path, why);
    return WEIR_OK;
}

static bool is_known(const struct wr_file_source *source, const struct match *match)
{
    uint64_t hash = wr_hash(0, wr_bytes(match->path, strlen(match->path)), (weir_bytes){NULL, 0});
    for (size_t i = 0; i < source->base.partition_count; i++) {
        const struct wr_file_part *part = wr_file_part_of(source->base.partitions[i]);
        if ((part->hash == hash && strcmp(part->at.part, match->path) == 0) ||
            (part->file.fd >= 0 && part->file.inode == match->inode)) {
            return true;
        }
    }
    return false;
}

/* A partition for a new file, behind what the store has of an earlier one with its path. */
static weir_status add_new(struct wr_file_source *source, const char *path,
                           const struct wr_file *file, struct wr_error *error)
{
    struct wr_file_part *part;
    if (source->base.partition_count == WR_PARTITIONS_MAX) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: %s would be partition %d; the limit is %d; start again to leave "
                       "out those whose files are gone, or use a narrower pattern",
                       source->base.name, path, WR_PARTITIONS_MAX + 1, WR_PARTITIONS_MAX);
    }
    WR_TRY(wr_file_add_part(source, path, &part, error));
    for (size_t i = 0; i < source->left_count; i++) {
        if (strcmp(source->left[i].path, path) == 0) {
            part->at.next = source->left[i].next;
            part->past = source->left[i].identity.past;
            part->past_count = source->left[i].identity.past_count;
        }
    }
    part->file = *file;
    part->file.path = part->at.part;
    return wr_file_enter(source, part, &part->file, WR_FILE_AT_PATH, 0, error);
}

static weir_status look_at(struct wr_file_source *source, const struct match *match,
                           struct wr_error *error)
{
    struct wr_file file;
    int why = 0;
    WR_TRY(wr_file_open(source, match->path, &file, &why, error));
    if (why == ENOENT) {
        return WEIR_OK;
    }
    if (why != 0) {
        return refuse_once(source, match, strerror(why), error);
    }
    weir_status status = WEIR_OK;
    if (!source->as_is && wr_file_compression(source, &file)) {
        status = refuse_once(source, match, "it is compressed", error);
    } else if (!wr_glob_is_claimed(source, &file, NULL) && !wr_file_is_copy(source, &file)) {
        return add_new(source, match->path, &file, error);
    }
    wr_file_close(&file);
    return status;
}

/* Whether the folder may have changed since it was looked through. */
static bool is_time(struct wr_file_source *source)
{
    struct stat info;
    int64_t now = source->base.env->monotonic_us(source->base.env), mtime_ns = -1;
    if (source->base.watch_count > 0 && stat(source->base.watches[0].directory, &info) == 0) {
        mtime_ns = wr_changed_ns(&info);
    }
    if (mtime_ns >= 0 && mtime_ns == source->scanned_mtime_ns &&
        now - source->scanned_us < SCAN_US) {
        return false;
    }
    source->scanned_us = now;
    source->scanned_mtime_ns = mtime_ns;
    return true;
}

weir_status wr_glob_discover(struct wr_source *base, struct wr_error *error)
{
    struct wr_file_source *source = wr_file_source_of(base);
    struct match *matches = NULL;
    glob_t found = {.gl_pathc = 0};
    size_t count = 0;
    if (!is_time(source)) {
        return WEIR_OK;
    }
    weir_status status = find_matches(source, 0, &matches, &count, &found, error);
    for (size_t i = 0; status == WEIR_OK && i < count; i++) {
        if (matches[i].size > 0 && !is_known(source, &matches[i])) {
            status = look_at(source, &matches[i], error);
        }
    }
    free(matches);
    globfree(&found);
    return status;
}
