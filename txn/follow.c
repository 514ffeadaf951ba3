/* follow.c: see follow.h. That nobody wrote is told by SQLite's data_version, which a reader gets
 * from shared memory without reading a page; so asking often is cheap.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/follow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "txn/base/assert.h"
#include "txn/store_rows.h"

/* How often a path is looked at whether it is still the file that is open. */
enum { CHECK_US = 1000000 };

/* ---- Opening --------------------------------------------------------------------------------- */

static weir_status read_store_id(struct wr_follow *follow, struct wr_error *error)
{
    struct wr_rows *rows = NULL;
    bool more = false;
    WR_TRY(wr_rows_open(follow->reader, "SELECT value FROM meta WHERE key = 'id'", &rows, error));
    weir_status status = wr_rows_next(rows, &more, error);
    if (status == WEIR_OK && more) {
        const char *id = wr_rows_text(rows, 0);
        snprintf(follow->store_id, sizeof follow->store_id, "%s", id ? id : "");
    }
    wr_reader_end(follow->reader);
    wr_rows_close(rows);
    return status;
}

static weir_status note_file(struct wr_follow *follow, const char *path, struct wr_error *error)
{
    struct stat found;
    char *real = realpath(path, NULL);
    if (!real || stat(real, &found) != 0) {
        free(real);
        return wr_fail_errno(error, "cannot open the store %s", path);
    }
    snprintf(follow->path, sizeof follow->path, "%s", real);
    free(real);
    follow->device = (uint64_t)found.st_dev;
    follow->inode = (uint64_t)found.st_ino;
    return WEIR_OK;
}

static const char batch_text[] = "SELECT log.first_offset, count, crc, batch FROM " WR_LOG_ROWS(
    "?1", "?2") " WHERE seek.first_offset <= ?3 AND log.first_offset <= ?3"
                " ORDER BY seek.first_offset DESC, log.id DESC LIMIT 2";

weir_status wr_follow_open(struct wr_env *env, struct wr_reader *reader, const char *path,
                           const struct wr_topic *topic, struct wr_arena *arena,
                           struct wr_follow *follow, struct wr_error *error)
{
    *follow = (struct wr_follow){.env = env, .reader = reader, .topic = *topic, .version = -1};
    wr_assert_that(topic->partitions, >, 0);
    follow->extents = wr_arena_zalloc(arena, (size_t)topic->partitions * sizeof *follow->extents);
    if (!follow->extents) {
        return wr_fail_memory(error);
    }
    WR_TRY(note_file(follow, path, error));
    WR_TRY(read_store_id(follow, error));
    WR_TRY(wr_rows_open(reader, "PRAGMA data_version", &follow->version_rows, error));
    WR_TRY(wr_rows_open(reader,
                        "SELECT at.partition, at.first, at.next, at.bytes FROM topic"
                        " JOIN partition AS at ON at.topic = topic.id"
                        " WHERE topic.id = ?1 AND topic.name = ?2 ORDER BY at.partition",
                        &follow->extent_rows, error));
    WR_TRY(wr_rows_open(reader, batch_text, &follow->batch_rows, error));
    return wr_follow_look(follow, true, NULL, error);
}

void wr_follow_close(struct wr_follow *follow)
{
    wr_rows_close(follow->version_rows);
    wr_rows_close(follow->extent_rows);
    wr_rows_close(follow->batch_rows);
    follow->version_rows = follow->extent_rows = follow->batch_rows = NULL;
}

weir_status wr_follow_find(struct wr_reader *reader, const char *name, struct wr_arena *arena,
                           struct wr_topic *topic_out, char *names, size_t size,
                           struct wr_error *error)
{
    struct wr_topic *topics = NULL;
    size_t count = 0, used = 0;
    *topic_out = (struct wr_topic){.name = NULL};
    WR_TRY(wr_reader_topics(reader, NULL, false, arena, &topics, &count, error));
    wr_reader_end(reader);
    snprintf(names, size, "none");
    for (size_t i = 0; i < count; i++) {
        if (topics[i].outbox) {
            continue;
        }
        if (strcmp(topics[i].name, name) == 0) {
            *topic_out = topics[i];
        }
        if (used < size) {
            used += (size_t)snprintf(names + used, size - used, "%s%s", used ? ", " : "",
                                     topics[i].name);
        }
    }
    return WEIR_OK;
}

/* ---- Looking --------------------------------------------------------------------------------- */

/* A store that was restored from a backup is another file at the same path: the one that is open
 * would never change again. What is gone stays gone, whoever of the lookers saw it first. */
static void check_file(struct wr_follow *follow)
{
    struct stat found;
    int64_t now_us = follow->env->monotonic_us(follow->env);
    if (follow->gone || now_us - follow->checked_us < CHECK_US) {
        return;
    }
    follow->checked_us = now_us;
    follow->gone = stat(follow->path, &found) != 0 || (uint64_t)found.st_dev != follow->device ||
                   (uint64_t)found.st_ino != follow->inode;
}

static weir_status read_version(struct wr_follow *follow, int64_t *version_out,
                                struct wr_error *error)
{
    bool more;
    wr_rows_again(follow->version_rows);
    WR_TRY(wr_rows_next(follow->version_rows, &more, error));
    *version_out = more ? wr_rows_int(follow->version_rows, 0) : -1;
    return WEIR_OK;
}

static weir_status fail_extent(const struct wr_follow *follow, int64_t partition,
                               struct wr_error *error)
{
    return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                   "%s is damaged: table partition has a row for partition %lld of topic %s that "
                   "cannot be; `weir verify` shows what else is wrong",
                   follow->path, (long long)partition, follow->topic.name);
}

static weir_status read_extents(struct wr_follow *follow, struct wr_error *error)
{
    struct wr_rows *rows = follow->extent_rows;
    bool more = true;
    int32_t count = 0;
    wr_rows_again(rows);
    wr_rows_bind_int(rows, 1, follow->topic.id);
    wr_rows_bind_text(rows, 2, follow->topic.name);
    for (;; count++) {
        WR_TRY(wr_rows_next(rows, &more, error));
        if (!more) {
            break;
        }
        struct wr_extent extent = {.first = wr_rows_int(rows, 1),
                                   .next = wr_rows_int(rows, 2),
                                   .bytes = wr_rows_int(rows, 3)};
        if (wr_rows_int(rows, 0) != count || count >= follow->topic.partitions ||
            extent.first < 0 || extent.next < extent.first || extent.next > WR_COUNTER_MAX ||
            extent.bytes < 0) {
            return fail_extent(follow, wr_rows_int(rows, 0), error);
        }
        follow->extents[count] = extent;
    }
    if (count > 0 && count < follow->topic.partitions) {
        return fail_extent(follow, count, error);
    }
    follow->gone = follow->gone || count == 0;
    return WEIR_OK;
}

static weir_status look(struct wr_follow *follow, bool always, bool *changed_out,
                        struct wr_error *error)
{
    int64_t version;
    WR_TRY(read_version(follow, &version, error));
    *changed_out = always || version != follow->version;
    if (!*changed_out) {
        check_file(follow);
        return WEIR_OK;
    }
    WR_TRY(read_extents(follow, error));
    follow->version = version;
    return WEIR_OK;
}

weir_status wr_follow_look(struct wr_follow *follow, bool always, bool *changed_out,
                           struct wr_error *error)
{
    bool changed = false;
    weir_status status = look(follow, always, &changed, error);
    wr_reader_end(follow->reader);
    if (changed_out) {
        *changed_out = changed;
    }
    return status;
}

/* ---- Batches --------------------------------------------------------------------------------- */

enum { FIRST, COUNT, CRC, BATCH };

/* Whether the row's batch ends there; a damaged row may say anything. */
static bool ends_at(const struct wr_rows *rows, int64_t offset)
{
    int64_t end;
    return !__builtin_add_overflow(wr_rows_int(rows, FIRST), wr_rows_int(rows, COUNT), &end) &&
           end == offset;
}

/* The batch that holds the offset, and the row before it for its running CRC. */
static weir_status read_batch(struct wr_follow *follow, int64_t offset, struct wr_arena *arena,
                              struct wr_followed *found, struct wr_error *error)
{
    struct wr_rows *rows = follow->batch_rows;
    bool more;
    WR_TRY(wr_rows_next(rows, &more, error));
    int64_t count = more ? wr_rows_int(rows, COUNT) : 0;
    found->first = more ? wr_rows_int(rows, FIRST) : 0;
    if (count <= 0 || count > UINT32_MAX || found->first < 0 || offset - found->first >= count) {
        return WEIR_OK;
    }
    found->next = found->first + count;
    found->crc_next = (uint32_t)wr_rows_int(rows, CRC);
    if (!wr_arena_copy(arena, wr_rows_bytes(rows, BATCH), &found->bytes)) {
        return wr_fail_memory(error);
    }
    WR_TRY(wr_rows_next(rows, &more, error));
    found->crc_first_known = found->first == 0 || (more && ends_at(rows, found->first));
    found->crc_first =
        found->first > 0 && found->crc_first_known ? (uint32_t)wr_rows_int(rows, CRC) : 0;
    return WEIR_OK;
}

static void bind_batch(struct wr_follow *follow, int32_t partition, int64_t offset)
{
    wr_assert(partition >= 0 && partition < follow->topic.partitions);
    wr_rows_again(follow->batch_rows);
    wr_rows_bind_int(follow->batch_rows, 1, follow->topic.id);
    wr_rows_bind_int(follow->batch_rows, 2, partition);
    wr_rows_bind_int(follow->batch_rows, 3, offset);
}

weir_status wr_follow_batch(struct wr_follow *follow, int32_t partition, int64_t offset,
                            struct wr_arena *arena, struct wr_followed *found_out,
                            struct wr_error *error)
{
    *found_out = (struct wr_followed){.bytes = {NULL, 0}};
    bind_batch(follow, partition, offset);
    weir_status status = read_batch(follow, offset, arena, found_out, error);
    wr_reader_end(follow->reader);
    return status;
}

weir_status wr_follow_compare(struct wr_follow *follow, int32_t partition, int64_t offset,
                              uint32_t crc, enum wr_same *same_out, struct wr_error *error)
{
    struct wr_rows *rows = follow->batch_rows;
    bool more;
    *same_out = WR_SAME_TRIMMED;
    if (offset <= 0) {
        *same_out = WR_SAME_YES;
        return WEIR_OK;
    }
    bind_batch(follow, partition, offset - 1);
    weir_status status = wr_rows_next(rows, &more, error);
    if (status == WEIR_OK && more) {
        bool same = ends_at(rows, offset) && (uint32_t)wr_rows_int(rows, CRC) == crc;
        *same_out = same ? WR_SAME_YES : WR_SAME_NO;
    }
    wr_reader_end(follow->reader);
    return status;
}
