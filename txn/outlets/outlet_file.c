/* outlet_file.c: file:PATH, each value and a newline appended to a file, exactly once.
 *
 *   check: open, lock, compare with the marker, cut back ──▶ send* ──▶ settle: write, fdatasync
 *                                                              ▲                     │
 *                                                              └─── marker decided ◀─┘
 *
 * The marker says how long the file is, which file it is (device and inode) and what stands before
 * its end. What is longer than the marker was never decided and is cut back; a file that is
 * shorter, or has other bytes before the marker, was touched by someone else and is never cut.
 *
 * The bytes are known by two CRC32C, so that a check reads at most 32 MiB however long the file is:
 * the high half of marker.crc is that of the last whole window of 16 MiB (0: there is none yet),
 * the low half that of the window being filled. Windows start at multiples of 16 MiB.
 *
 * The data is synced before its marker is decided also with --sync normal: the marker may well
 * survive a power cut, and lines that it counts must be there then. With --sync off nothing is.
 *
 * The inode decides which file it is; the device number alone does not, because it changes with the
 * next mount of an overlay, btrfs or network file system. Length and CRC have to agree then.
 *
 * Long because the file, its marker and its check are one protocol.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "txn/base/assert.h"
#include "txn/base/bytes.h"
#include "txn/outlets/outlet.h"

enum { BUFFER_BYTES = 1024 * 1024, WINDOW_BYTES = 16 * 1024 * 1024 };

struct file_outlet {
    struct wr_outlet base;
    char *path;
    bool appends, stream, checked, failed, dirty;
    enum wr_sync sync;
    int fd; /* -1 before check */
    struct stat found; /* as opened */
    int64_t length; /* of the file, without what is buffered */
    uint32_t crc_whole, crc_part;
    struct wr_buffer buffer;
    char identity[64];
};

static struct file_outlet *file_of(struct wr_outlet *outlet)
{
    return (struct file_outlet *)outlet;
}

#define touched(file, error, format, ...)                                                          \
    wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG, "sink %s: %s " format, (file)->base.sink,           \
            (file)->path, __VA_ARGS__)

/* With the sink's name. */
#define PUT_BACK                                                                                   \
    "put the file back as weir left it, or start once with --drop-state %s and a new file, which " \
    "forgets this one and what was not yet forwarded to it"

/* ---- What stands in the file ----------------------------------------------------------------- */

/* Counts bytes that follow the ones counted so far. */
static void count_bytes(struct file_outlet *file, const unsigned char *at, size_t size)
{
    while (size > 0) {
        size_t step = (size_t)(WINDOW_BYTES - file->length % WINDOW_BYTES);
        step = step < size ? step : size;
        file->crc_part = wr_crc32c(file->crc_part, at, step);
        file->length += (int64_t)step;
        if (file->length % WINDOW_BYTES == 0) {
            file->crc_whole = file->crc_part;
            file->crc_part = 0;
        }
        at += step;
        size -= step;
    }
}

static uint64_t crc_of(const struct file_outlet *file)
{
    return (uint64_t)file->crc_whole << 32 | file->crc_part;
}

/* Counts the file's bytes below `length`, from the window before the last on. */
static weir_status count_file(struct file_outlet *file, int64_t length, struct wr_error *error)
{
    int64_t window = length / WINDOW_BYTES;
    file->length = window > 0 ? (window - 1) * WINDOW_BYTES : 0;
    file->crc_whole = file->crc_part = 0;
    wr_assert_that(file->buffer.size, ==, 0);
    while (file->length < length) {
        size_t size = BUFFER_BYTES;
        if ((int64_t)size > length - file->length) {
            size = (size_t)(length - file->length);
        }
        ssize_t got = pread(file->fd, file->buffer.data, size, (off_t)file->length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return wr_fail_errno(error, "sink %s: cannot read %s", file->base.sink, file->path);
        }
        if (got == 0) {
            return touched(file, error, "shrank while it was checked; " PUT_BACK, file->base.sink);
        }
        count_bytes(file, file->buffer.data, (size_t)got);
    }
    return WEIR_OK;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static weir_status fail_write(struct file_outlet *file, int cause, struct wr_error *error)
{
    const char *advice = cause == ENOSPC || cause == EDQUOT || cause == EFBIG
                             ? "; free space and start again, nothing is lost"
                         : cause == EPIPE ? " (its reader went away); start again, nothing is lost"
                                          : "; start again, nothing is lost";
    return wr_fail_native(error, WEIR_FATAL, WR_EXIT_IO, cause, "sink %s: cannot write to %s: %s%s",
                          file->base.sink, file->path, strerror(cause), advice);
}

/* Appends to a regular file, at the length that weir knows it has. */
static weir_status append(struct file_outlet *file, const unsigned char *data, size_t size,
                          struct wr_error *error)
{
    struct stat now;
    if (fstat(file->fd, &now) != 0) {
        return fail_write(file, errno, error);
    }
    if (now.st_size != file->length) {
        return touched(file, error,
                       "has %" PRId64 " bytes and weir wrote %" PRId64
                       ": someone else writes to it or cut it; " PUT_BACK,
                       (int64_t)now.st_size, file->length, file->base.sink);
    }
    file->dirty = true;
    while (size > 0) {
        ssize_t wrote = pwrite(file->fd, data, size, (off_t)file->length);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote < 0) {
            return fail_write(file, errno, error);
        }
        count_bytes(file, data, (size_t)wrote);
        data += wrote;
        size -= (size_t)wrote;
    }
    return WEIR_OK;
}

static weir_status put(struct file_outlet *file, const void *data, size_t size,
                       struct wr_error *error)
{
    weir_status status = WEIR_OK;
    if (file->stream) {
        int cause = wr_outlet_write(file->fd, data, size);
        status = cause ? fail_write(file, cause, error) : WEIR_OK;
    } else {
        status = append(file, data, size, error);
    }
    file->failed = status != WEIR_OK;
    return status;
}

static weir_status flush(struct file_outlet *file, struct wr_error *error)
{
    size_t size = file->buffer.size;
    file->buffer.size = 0;
    return size ? put(file, file->buffer.data, size, error) : WEIR_OK;
}

static weir_status file_send(struct wr_outlet *outlet, const weir_record *record, int64_t offset,
                             struct wr_error *error)
{
    struct file_outlet *file = file_of(outlet);
    (void)offset;
    wr_assert(file->checked);
    wr_assert(!file->failed);
    size_t size = record->value.size;
    if (file->buffer.size + size + 1 > BUFFER_BYTES) {
        WR_TRY(flush(file, error));
    }
    if (size + 1 > BUFFER_BYTES) {
        WR_TRY(put(file, record->value.data, size, error));
        size = 0;
    }
    unsigned char *at = wr_buffer_extend(&file->buffer, size + 1);
    wr_assert(at != NULL); /* reserved by open */
    if (size) {
        memcpy(at, record->value.data, size);
    }
    at[size] = '\n';
    return WEIR_OK;
}

static weir_status file_flush(struct wr_outlet *outlet, struct wr_error *error)
{
    return flush(file_of(outlet), error);
}

static weir_status sync_file(struct file_outlet *file, struct wr_error *error)
{
    struct stat now;
    if (stat(file->path, &now) != 0 || now.st_ino != file->found.st_ino ||
        now.st_dev != file->found.st_dev) {
        return touched(file, error, "was removed or replaced while weir wrote to it; " PUT_BACK,
                       file->base.sink);
    }
    if (file->sync != WR_SYNC_OFF && fdatasync(file->fd) != 0) {
        return wr_fail_errno(error,
                             "sink %s: cannot sync %s; start again when its disk is well, nothing "
                             "is lost",
                             file->base.sink, file->path);
    }
    file->dirty = false;
    return WEIR_OK;
}

static weir_status file_settle(struct wr_outlet *outlet, struct wr_marker *marker,
                               struct wr_error *error)
{
    struct file_outlet *file = file_of(outlet);
    wr_assert(file->checked);
    wr_assert(!file->failed);
    WR_TRY(flush(file, error));
    if (!file->stream && file->dirty) {
        weir_status status = sync_file(file, error);
        file->failed = status != WEIR_OK;
        WR_TRY(status);
    }
    marker->length = file->stream ? -1 : file->length;
    marker->crc = file->stream ? 0 : crc_of(file);
    marker->identity = file->identity;
    return WEIR_OK;
}

/* ---- Checking -------------------------------------------------------------------------------- */

static weir_status cut(struct file_outlet *file, int64_t length, struct wr_error *error)
{
    WR_FAULT(&file->base.env->fault, cut_before, error);
    if (ftruncate(file->fd, (off_t)length) != 0 ||
        (file->sync != WR_SYNC_OFF && fsync(file->fd) != 0)) {
        return wr_fail_errno(error, "sink %s: cannot cut %s back to %" PRId64 " bytes",
                             file->base.sink, file->path, length);
    }
    WR_FAULT(&file->base.env->fault, cut_after, error);
    /* Said aloud, because what someone else appended meanwhile looks the same. */
    wr_log(file->base.env, WR_LOG_NOTICE,
           "sink %s: %s cut back from %" PRId64 " to %" PRId64 " bytes, what was decided",
           file->base.sink, file->path, (int64_t)file->found.st_size, length);
    return WEIR_OK;
}

/* Lines beyond the marker stay; half a line at the end, cut short by a crash, goes: its record
 * comes again, and must not hang on to it. */
static weir_status keep_lines(struct file_outlet *file, int64_t marked, struct wr_error *error)
{
    int64_t size = (int64_t)file->found.st_size, end = size, whole = marked;
    while (whole == marked && end > marked) {
        size_t step = end - marked < BUFFER_BYTES ? (size_t)(end - marked) : BUFFER_BYTES;
        ssize_t got = pread(file->fd, file->buffer.data, step, (off_t)(end - (int64_t)step));
        if (got != (ssize_t)step) {
            return wr_fail_errno(error, "sink %s: cannot read %s", file->base.sink, file->path);
        }
        end -= (int64_t)step;
        while (step > 0 && file->buffer.data[step - 1] != '\n') {
            step--;
        }
        whole = step > 0 ? end + (int64_t)step : marked;
    }
    WR_TRY(count_file(file, whole, error));
    return whole < size ? cut(file, whole, error) : WEIR_OK;
}

/* A file that this store has not written to yet. */
static weir_status check_new(struct file_outlet *file, struct wr_error *error)
{
    if (file->found.st_size > 0 && !file->appends) {
        return touched(file, error,
                       "has %" PRId64 " bytes that this store has not written; name another file, "
                       "empty it, write file:...?append=true to append to it, or, if it is the "
                       "sink that has a new name, start once with --rename OLD=%s",
                       (int64_t)file->found.st_size, file->base.sink);
    }
    return count_file(file, (int64_t)file->found.st_size, error);
}

/* A file that the marker says was written to. */
static weir_status check_known(struct file_outlet *file, const struct wr_marker *marker,
                               struct wr_error *error)
{
    uint64_t device, inode;
    int read = 0;
    if (sscanf(marker->identity, "dev:%" SCNu64 ";inode:%" SCNu64 "%n", &device, &inode, &read) !=
            2 ||
        marker->identity[read]) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "sink %s: the store's identity of its file is damaged: \"%.100s\"; "
                       "`weir verify` shows what else is",
                       file->base.sink, marker->identity);
    }
    int64_t size = (int64_t)file->found.st_size;
    if (inode != (uint64_t)file->found.st_ino && (size > 0 || marker->length > 0)) {
        return touched(file, error,
                       "is not the file that %" PRId64
                       " bytes were forwarded to: it was replaced (inode %" PRIu64
                       ", expected %" PRIu64 "); " PUT_BACK,
                       marker->length, (uint64_t)file->found.st_ino, inode, file->base.sink);
    }
    if (size < marker->length) {
        return touched(file, error,
                       "has %" PRId64 " bytes, and %" PRId64 " were forwarded to it; " PUT_BACK,
                       size, marker->length, file->base.sink);
    }
    WR_TRY(count_file(file, marker->length, error));
    if (crc_of(file) != marker->crc) {
        return touched(file, error,
                       "has other bytes than were forwarded to it (CRC %016" PRIx64
                       " up to byte %" PRId64 ", expected %016" PRIx64 "); " PUT_BACK,
                       crc_of(file), marker->length, marker->crc, file->base.sink);
    }
    if (size > marker->length && file->base.keeps) {
        return keep_lines(file, marker->length, error);
    }
    return size > marker->length ? cut(file, marker->length, error) : WEIR_OK;
}

/* A new file's name must survive a power cut as its lines do. */
static weir_status sync_folder(struct file_outlet *file, struct wr_error *error)
{
    char *copy = strdup(file->path);
    if (!copy) {
        return wr_fail_memory(error);
    }
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int cause = folder < 0 || (fsync(folder) != 0 && errno != EINVAL) ? errno : 0;
    if (folder >= 0) {
        close(folder);
    }
    free(copy);
    errno = cause;
    return cause ? wr_fail_errno(error, "sink %s: cannot sync the folder of %s", file->base.sink,
                                 file->path)
                 : WEIR_OK;
}

static weir_status open_regular(struct file_outlet *file, bool create, struct wr_error *error)
{
    file->fd = open(file->path, O_RDWR | O_CLOEXEC | O_NOCTTY | (create ? O_CREAT : 0), 0666);
    if (file->fd < 0 || fstat(file->fd, &file->found) != 0) {
        return wr_fail_errno(error, "sink %s: cannot open %s", file->base.sink, file->path);
    }
    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            return wr_fail_errno(error, "sink %s: cannot lock %s", file->base.sink, file->path);
        }
        return wr_fail(error, WEIR_FATAL, WR_EXIT_AGAIN,
                       "sink %s: another sink or another weir is writing to %s; wait until it "
                       "ends, or name another file",
                       file->base.sink, file->path);
    }
    /* Once more: its writer may have had the lock until now. */
    if (fstat(file->fd, &file->found) != 0) {
        return wr_fail_errno(error, "sink %s: cannot look at %s", file->base.sink, file->path);
    }
    snprintf(file->identity, sizeof file->identity, "dev:%" PRIu64 ";inode:%" PRIu64,
             (uint64_t)file->found.st_dev, (uint64_t)file->found.st_ino);
    return create && file->sync != WR_SYNC_OFF ? sync_folder(file, error) : WEIR_OK;
}

static weir_status check_stream(struct file_outlet *file, const struct wr_marker *marker,
                                struct wr_error *error)
{
    if (S_ISDIR(file->found.st_mode)) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_IO, "sink %s: %s is a directory; name a file",
                       file->base.sink, file->path);
    }
    if (marker->identity && marker->length > 0) {
        return touched(file, error,
                       "is no regular file, and %" PRId64 " bytes were forwarded to one; " PUT_BACK,
                       marker->length, file->base.sink);
    }
    /* Non-blocking, or a FIFO without a reader would stop the start here. */
    file->fd = open(file->path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file->fd < 0 && errno == ENXIO) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE,
                       "sink %s: nobody reads %s; start its reader first", file->base.sink,
                       file->path);
    }
    if (file->fd < 0) {
        return wr_fail_errno(error, "sink %s: cannot open %s", file->base.sink, file->path);
    }
    snprintf(file->identity, sizeof file->identity, "stream");
    file->stream = true;
    return WEIR_OK;
}

static weir_status file_check(struct wr_outlet *outlet, const struct wr_marker *marker,
                              struct wr_error *error)
{
    struct file_outlet *file = file_of(outlet);
    wr_assert_that(file->fd, ==, -1);
    bool is_known = marker->identity && marker->length >= 0;
    bool is_missing = stat(file->path, &file->found) != 0;
    if (is_missing && errno != ENOENT) {
        return wr_fail_errno(error, "sink %s: cannot look at %s", outlet->sink, file->path);
    }
    if (is_missing && is_known && marker->length > 0) {
        return touched(file, error,
                       "is missing, and %" PRId64 " bytes were forwarded to it; " PUT_BACK,
                       marker->length, file->base.sink);
    }
    file->stream = false;
    if (!is_missing && !S_ISREG(file->found.st_mode)) {
        WR_TRY(check_stream(file, marker, error));
    } else {
        WR_TRY(open_regular(file, is_missing, error));
        WR_TRY(is_known ? check_known(file, marker, error) : check_new(file, error));
    }
    file->checked = true;
    return WEIR_OK;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void file_close(struct wr_outlet *outlet)
{
    struct file_outlet *file = file_of(outlet);
    if (file->fd >= 0) {
        close(file->fd);
    }
    wr_buffer_fini(&file->buffer);
    free(file->path);
    free(file);
}

static const char *file_guarantee(const struct wr_outlet *outlet)
{
    const struct file_outlet *file = (const struct file_outlet *)outlet;
    if (file->stream) {
        return "at-least-once: not a regular file, so it cannot be cut back and a crash may repeat "
               "its last lines";
    }
    switch (file->sync) {
    case WR_SYNC_FULL:
        break;
    case WR_SYNC_NORMAL:
        return "exactly-once: cut back to the forwarded length after a crash; a power cut may take "
               "back lines already written (sync normal)";
    case WR_SYNC_OFF:
        return "exactly-once after a kill: cut back to the forwarded length; a power cut may "
               "damage it (sync off)";
    }
    return "exactly-once: synced, and cut back to the forwarded length after a crash";
}

static const struct wr_outlet_ops file_ops = {
    .scheme = "file",
    .send = file_send,
    .flush = file_flush,
    .settle = file_settle,
    .check = file_check,
    .close = file_close,
    .guarantee = file_guarantee,
};

weir_status wr_outlet_file_open(struct wr_env *env, const char *sink, const char *path, bool append,
                                enum wr_sync sync, struct wr_outlet **outlet_out,
                                struct wr_error *error)
{
    struct file_outlet *file = calloc(1, sizeof *file);
    if (!file) {
        return wr_fail_memory(error);
    }
    file->base = (struct wr_outlet){.ops = &file_ops, .env = env, .sink = sink};
    file->appends = append;
    file->sync = sync;
    file->fd = -1;
    file->path = strdup(path);
    if (!file->path || !wr_buffer_reserve(&file->buffer, BUFFER_BYTES)) {
        file_close(&file->base);
        return wr_fail_memory(error);
    }
    struct stat found; /* for the guarantee; check looks again */
    file->stream = stat(path, &found) == 0 && !S_ISREG(found.st_mode);
    *outlet_out = &file->base;
    return WEIR_OK;
}
