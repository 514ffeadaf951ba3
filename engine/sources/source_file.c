/* source_file.c: file:PATH, one record a line. The position is a byte offset; a run ends where the
 * file ended when it was opened, and what is appended later is read by the next run.
 *
 * Blocks are read straight into the polled arena and records point into them; a line that the block
 * cuts is read again by the next poll, so blocks are sized by what a poll uses. A line over the
 * limit is scanned without being kept, a bounded piece in each poll, so memory and time of a poll
 * do not depend on the input.
 *
 * The identity is "inode:I;crc:C:L": the inode, and the CRC32C of the first L bytes, L the size up
 * to 1 KiB. A file that has grown still matches: the CRC is compared over the L that was stored.
 *
 * Long because reading, positions and opening share one struct that no other file should see.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/sources/source.h"
#include "txn/base/assert.h"
#include "txn/base/bytes.h"

enum {
    IDENTITY_BYTES = 1024, /* of the file, that make its identity */
    BLOCK_BYTES_MIN = 16 * 1024,
    BLOCK_BYTES_FIRST = 64 * 1024,
    SKIP_BYTES = 16 * 1024 * 1024, /* of a line over the limit, in one poll */
};

struct file_source {
    struct wr_source base;
    struct wr_source_partition partition, *only;
    const char *path;
    int fd;
    uint64_t inode;
    char identity[64];
    int64_t records, bytes; /* read by this run */
    size_t line_bytes; /* of the last poll, on average */
    int64_t long_start, long_at; /* a line over the limit: where it starts (-1: none), is scanned to
                                  */
};

static struct file_source *file_of(struct wr_source *source)
{
    return (struct file_source *)source;
}

/* Reads exactly `size` bytes: the file is known to have them, else it shrank. */
static weir_status read_at(const struct file_source *file, int64_t offset, void *data, size_t size,
                           struct wr_error *error)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got =
            pread(file->fd, (char *)data + done, size - done, (off_t)(offset + (int64_t)done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return wr_fail_errno(error, "source %s: cannot read %s at byte %" PRId64,
                                 file->base.name, file->path, offset);
        }
        if (got == 0) {
            return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                           "source %s: %s shrank while it was read: it ends before byte %" PRId64
                           "; put its bytes back and start again, nothing is lost",
                           file->base.name, file->path, offset + (int64_t)size);
        }
        done += (size_t)got;
    }
    return WEIR_OK;
}

/* ---- Polling --------------------------------------------------------------------------------- */

static weir_status check_size(const struct file_source *file, struct wr_error *error)
{
    struct stat now;
    if (fstat(file->fd, &now) != 0) {
        return wr_fail_errno(error, "source %s: cannot look at %s", file->base.name, file->path);
    }
    if (now.st_size < file->partition.end) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: %s shrank while it was read, from %" PRId64 " to %" PRId64
                       " bytes; put its bytes back and start again, nothing is lost",
                       file->base.name, file->path, file->partition.end, (int64_t)now.st_size);
    }
    return WEIR_OK;
}

static void add(struct wr_polled *polled, const unsigned char *line, size_t size, int64_t offset,
                int64_t next)
{
    size_t i = polled->count++;
    polled->records[i] = (weir_record){.value = {line, size}};
    polled->offsets[i] = offset;
    polled->nexts[i] = next;
}

/* The lines of a block of `size` bytes that starts at the position. `last`: the run ends with it,
 * so its last line counts without a newline too. */
static weir_status split(struct file_source *file, const unsigned char *block, size_t size,
                         bool last, struct wr_polled *polled, struct wr_error *error)
{
    size_t room = size < WR_POLL_RECORDS_MAX ? size : WR_POLL_RECORDS_MAX;
    if (!wr_polled_reserve(polled, room)) {
        return wr_fail_memory(error);
    }
    int64_t start = file->partition.next;
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
    file->partition.next = start + (at - block);
    file->line_bytes = (size_t)(at - block) / polled->count + 1;
    file->records += (int64_t)polled->count;
    file->bytes += at - block;
    return WEIR_OK;
}

/* The line over the limit that was scanned to its end: its first WR_RECORD_BYTES_MAX bytes, for the
 * dead letters. */
static weir_status reject_long(struct file_source *file, int64_t line_end, int64_t next,
                               struct wr_polled *polled, struct wr_error *error)
{
    int64_t start = file->long_start;
    char reason[96];
    snprintf(reason, sizeof reason, "line of %" PRId64 " bytes; the limit is %d", line_end - start,
             WR_RECORD_BYTES_MAX);
    unsigned char *value = wr_arena_alloc(&polled->arena, WR_RECORD_BYTES_MAX);
    char *why = wr_arena_string(&polled->arena, reason);
    if (!value || !why || !wr_polled_reserve(polled, 1)) {
        return wr_fail_memory(error);
    }
    WR_TRY(read_at(file, start, value, WR_RECORD_BYTES_MAX, error));
    add(polled, value, WR_RECORD_BYTES_MAX, start, next);
    polled->rejects[0] = why;
    file->partition.next = next;
    file->long_start = -1;
    file->records++;
    file->bytes += next - start;
    return WEIR_OK;
}

static weir_status skip_long(struct file_source *file, struct wr_polled *polled,
                             struct wr_error *error)
{
    struct wr_mark mark = wr_arena_mark(&polled->arena);
    unsigned char *block = wr_arena_alloc(&polled->arena, WR_POLL_BYTES_MAX);
    if (!block) {
        return wr_fail_memory(error);
    }
    int64_t end = file->partition.end;
    int64_t stop = end - file->long_at > SKIP_BYTES ? file->long_at + SKIP_BYTES : end;
    const unsigned char *newline = NULL;
    while (file->long_at < stop) {
        size_t size = WR_POLL_BYTES_MAX;
        if ((int64_t)size > stop - file->long_at) {
            size = (size_t)(stop - file->long_at);
        }
        WR_TRY(read_at(file, file->long_at, block, size, error));
        newline = memchr(block, '\n', size);
        if (newline) {
            file->long_at += newline - block;
            break;
        }
        file->long_at += (int64_t)size;
    }
    wr_arena_release(&polled->arena, mark);
    if (newline || file->long_at == end) {
        return reject_long(file, file->long_at, file->long_at + (newline != NULL), polled, error);
    }
    return WEIR_OK;
}

/* What a poll will use, by the length of the lines so far. */
static size_t block_bytes(const struct file_source *file)
{
    if (file->line_bytes == 0) {
        return BLOCK_BYTES_FIRST;
    }
    size_t bytes = file->line_bytes * (WR_POLL_RECORDS_MAX + WR_POLL_RECORDS_MAX / 16);
    return bytes < BLOCK_BYTES_MIN     ? BLOCK_BYTES_MIN
           : bytes > WR_POLL_BYTES_MAX ? (size_t)WR_POLL_BYTES_MAX
                                       : bytes;
}

static weir_status file_poll(struct wr_source *source, struct wr_source_partition *partition,
                             struct wr_polled *polled, enum wr_source_more *more_out,
                             struct wr_error *error)
{
    struct file_source *file = file_of(source);
    int64_t left = partition->end - partition->next;
    polled->count = 0;
    *more_out = left > 0 ? WR_SOURCE_MORE : WR_SOURCE_ENDED;
    if (left <= 0) {
        return WEIR_OK;
    }
    WR_TRY(check_size(file, error));
    if (file->long_start == partition->next) {
        return skip_long(file, polled, error);
    }
    size_t size = block_bytes(file);
    for (;;) {
        bool last = (int64_t)size >= left;
        size = last ? (size_t)left : size;
        struct wr_mark mark = wr_arena_mark(&polled->arena);
        unsigned char *block = wr_arena_alloc(&polled->arena, size);
        if (!block) {
            return wr_fail_memory(error);
        }
        WR_TRY(read_at(file, partition->next, block, size, error));
        bool has_line = memchr(block, '\n', size) != NULL;
        if (has_line || (last && size <= WR_RECORD_BYTES_MAX)) {
            return split(file, block, size, last, polled, error);
        }
        wr_arena_release(&polled->arena, mark);
        if (size > WR_RECORD_BYTES_MAX) {
            file->long_start = partition->next;
            file->long_at = partition->next + (int64_t)size;
            return skip_long(file, polled, error);
        }
        size = size * 2 > WR_RECORD_BYTES_MAX ? (size_t)WR_RECORD_BYTES_MAX + 1 : size * 2;
    }
}

/* ---- Positions ------------------------------------------------------------------------------- */

static weir_status prefix_crc(const struct file_source *file, size_t size, uint32_t *crc_out,
                              struct wr_error *error)
{
    unsigned char bytes[IDENTITY_BYTES];
    wr_assert_that(size, <=, sizeof bytes);
    WR_TRY(read_at(file, 0, bytes, size, error));
    *crc_out = wr_crc32c(0, bytes, size);
    return WEIR_OK;
}

/* Another file at this path, or another beginning? */
static weir_status check_identity(const struct file_source *file, const char *stored,
                                  struct wr_error *error)
{
    uint64_t inode;
    uint32_t crc, now = 0;
    unsigned size;
    int read = 0;
    if (sscanf(stored, "inode:%" SCNu64 ";crc:%" SCNx32 ":%u%n", &inode, &crc, &size, &read) != 3 ||
        stored[read] || size > IDENTITY_BYTES) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "source %s: the store's identity of %s is damaged: \"%.100s\"; "
                       "`weir verify` shows what else is",
                       file->base.name, file->path, stored);
    }
    const char *why = inode != file->inode         ? "it was replaced"
                      : file->partition.end < size ? "it shrank"
                                                   : NULL;
    if (!why) {
        WR_TRY(prefix_crc(file, size, &now, error));
        if (now == crc) {
            return WEIR_OK;
        }
        why = "its first bytes differ";
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "source %s: %s is not the file that was read so far (%s); put that file back, "
                   "or read this one into a new store",
                   file->base.name, file->path, why);
}

/* The position is behind a last line that had no newline, and there is more now: its newline, or
 * has the line grown? */
static weir_status step_over_newline(const struct file_source *file, int64_t *next,
                                     struct wr_error *error)
{
    char around[2];
    if (*next == 0 || *next >= file->partition.end) {
        return WEIR_OK;
    }
    WR_TRY(read_at(file, *next - 1, around, sizeof around, error));
    if (around[0] == '\n') {
        return WEIR_OK;
    }
    if (around[1] == '\n') {
        ++*next;
        return WEIR_OK;
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                   "source %s: the last line of %s had no newline when it was read up to byte "
                   "%" PRId64 ", and has grown since; insert a newline there to read the rest as a "
                   "line of its own, or read the file into a new store",
                   file->base.name, file->path, *next);
}

static weir_status file_seek(struct wr_source *source, struct wr_source_partition *partition,
                             const struct wr_position *stored, struct wr_error *error)
{
    struct file_source *file = file_of(source);
    int64_t next = stored ? stored->next : 0;
    file->long_start = -1;
    if (stored && stored->identity) {
        WR_TRY(check_identity(file, stored->identity, error));
    }
    if (next < 0) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "source %s: the store's position in %s is damaged: %" PRId64
                       "; `weir verify` shows what else is",
                       source->name, file->path, next);
    }
    if (next > partition->end) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: %s shrank: it was read up to byte %" PRId64
                       " and has only %" PRId64 "; put its bytes back, or read it into a new store",
                       source->name, file->path, next, partition->end);
    }
    WR_TRY(step_over_newline(file, &next, error));
    partition->next = next;
    return WEIR_OK;
}

/* A file: source is bounded: open has fixed the end. */
static weir_status file_bound(struct wr_source *source, struct wr_source_partition *partition,
                              struct wr_error *error)
{
    (void)source;
    (void)error;
    wr_assert_that(partition->end, <, INT64_MAX);
    return WEIR_OK;
}

static int64_t file_lag(struct wr_source *source, const struct wr_source_partition *partition)
{
    const struct file_source *file = file_of(source);
    int64_t left = partition->end - partition->next;
    if (left <= 0 || file->bytes == 0) {
        return left <= 0 ? 0 : -1;
    }
    double line = (double)file->bytes / (double)file->records;
    int64_t lines = (int64_t)((double)left / line + 0.5);
    return lines > 0 ? lines : 1;
}

static void file_close(struct wr_source *source)
{
    struct file_source *file = file_of(source);
    if (file->fd >= 0) {
        close(file->fd);
        file->fd = -1;
    }
}

static const struct wr_source_ops file_ops = {
    .scheme = "file",
    .poll = file_poll,
    .seek = file_seek,
    .bound = file_bound,
    .lag = file_lag,
    .close = file_close,
};

/* ---- Opening --------------------------------------------------------------------------------- */

static weir_status fail_open(const struct file_source *file, struct wr_error *error)
{
    return wr_fail_errno(error,
                         "source %s: cannot open %s (check the path and its permissions, or name "
                         "another file with -i %s=file:PATH)",
                         file->base.name, file->path, file->base.name);
}

/* Looks before it opens: opening a FIFO or a device can have effects. */
static weir_status open_file(struct file_source *file, struct wr_error *error)
{
    struct stat found;
    if (stat(file->path, &found) != 0) {
        return fail_open(file, error);
    }
    if (S_ISREG(found.st_mode)) {
        file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (file->fd < 0 || fstat(file->fd, &found) != 0) {
            return fail_open(file, error);
        }
    }
    if (S_ISDIR(found.st_mode)) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_NO_INPUT,
                       "source %s: %s is a directory; name a file in it", file->base.name,
                       file->path);
    }
    if (!S_ISREG(found.st_mode)) {
        return wr_fail(
            error, WEIR_FATAL, WR_EXIT_NO_INPUT,
            "source %s: %s is no regular file, so it cannot be read again from a "
            "position after a crash; write its lines into a file and read that",
            file->base.name, file->path);
    }
    file->inode = (uint64_t)found.st_ino;
    file->partition.end = (int64_t)found.st_size;
    return WEIR_OK;
}

weir_status wr_source_file_open(struct wr_env *env, const char *name,
                                const struct wr_endpoint *endpoint, struct wr_arena *arena,
                                struct wr_source **source_out, struct wr_error *error)
{
    struct file_source *file = wr_arena_zalloc(arena, sizeof *file);
    if (!file) {
        return wr_fail_memory(error);
    }
    file->base = (struct wr_source){.ops = &file_ops,
                                    .env = env,
                                    .name = name,
                                    .bounded = true,
                                    .partitions = &file->only,
                                    .partition_count = 1};
    file->only = &file->partition;
    file->fd = -1;
    file->long_start = -1;
    file->path = wr_path_absolute(endpoint->path, arena);
    if (!file->path) {
        return wr_fail_memory(error);
    }
    uint32_t crc = 0;
    size_t size = 0;
    weir_status status = open_file(file, error);
    if (status == WEIR_OK) {
        size = file->partition.end < IDENTITY_BYTES ? (size_t)file->partition.end : IDENTITY_BYTES;
        status = prefix_crc(file, size, &crc, error);
    }
    if (status != WEIR_OK) {
        file_close(&file->base);
        return status;
    }
    posix_fadvise(file->fd, 0, 0,
                  POSIX_FADV_SEQUENTIAL); /* only advice: an error does not matter */
    snprintf(file->identity, sizeof file->identity, "inode:%" PRIu64 ";crc:%08" PRIx32 ":%zu",
             file->inode, crc, size);
    file->partition.part = file->path;
    file->partition.identity = file->identity;
    *source_out = &file->base;
    return WEIR_OK;
}
