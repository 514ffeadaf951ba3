/* file_open.c: one open file: its bytes, and what it is known by.
 *
 * The identity is text, "inode:I;crc:C:L", with what applies of ";size:N", ";base:B",
 * ";compression:gzip" and ";past:I:C:L,..." behind it: the inode, the CRC32C of the first L bytes,
 * L the size up to 1 KiB. A file that has grown still matches: the CRC is compared over the L that
 * was stored.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/sources/source_file.h"
#include "txn/base/assert.h"
#include "txn/base/bytes.h"

/* ---- Opening --------------------------------------------------------------------------------- */

/* As many files as the system lets this process have. */
static bool raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) {
        return false;
    }
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static int open_for_reading(const char *path)
{
    const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = open(path, flags);
    return fd < 0 && errno == EMFILE && raise_limit() ? open(path, flags) : fd;
}

weir_status wr_file_open(const struct wr_file_source *source, const char *path,
                         struct wr_file *file_out, int *why_out, struct wr_error *error)
{
    struct stat found;
    *file_out = (struct wr_file){.path = path, .fd = -1};
    *why_out = 0;
    if (stat(path, &found) != 0) { /* looks first: opening a FIFO or a device can have effects */
        *why_out = errno;
        return WEIR_OK;
    }
    if (!S_ISREG(found.st_mode)) {
        *why_out = S_ISDIR(found.st_mode) ? EISDIR : ESPIPE;
        return WEIR_OK;
    }
    file_out->fd = open_for_reading(path);
    if (file_out->fd < 0 || fstat(file_out->fd, &found) != 0) {
        *why_out = errno;
        wr_file_close(file_out);
        return WEIR_OK;
    }
    file_out->inode = (uint64_t)found.st_ino;
    file_out->size = (int64_t)found.st_size;
    posix_fadvise(file_out->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* advice: errors do not matter */
    if (source->gzip) {
        file_out->gzip = wr_gzip_new(file_out->fd);
        if (!file_out->gzip) {
            wr_file_close(file_out);
            return wr_fail_memory(error);
        }
    }
    return WEIR_OK;
}

weir_status wr_file_refuse(const struct wr_file_source *source, const char *path, int why,
                           struct wr_error *error)
{
    const char *name = source->base.name;
    switch (why) {
    case EISDIR:
        return wr_fail(error, WEIR_FATAL, WR_EXIT_NO_INPUT,
                       "source %s: %s is a directory; name a file in it, or all of them: "
                       "file:DIRECTORY/*",
                       name, path);
    case ESPIPE:
        return wr_fail(error, WEIR_FATAL, WR_EXIT_NO_INPUT,
                       "source %s: %s is no regular file, so it cannot be read again from a "
                       "position after a crash; write its lines into a file and read that",
                       name, path);
    case EMFILE:
    case ENFILE:
        return wr_fail_native(error, WEIR_FATAL, WR_EXIT_CONFIG, why,
                              "source %s: cannot open %s: too many open files; raise the limit "
                              "(ulimit -n) above the number of files that are read",
                              name, path);
    case ENOTDIR:
        why = ENOENT;
        break;
    default:
        break;
    }
    return wr_fail_errno_at(error, why, __FILE__, __LINE__,
                            "source %s: cannot open %s (check the path and its permissions, or "
                            "name another file with -i %s=file:PATH)",
                            name, path, name);
}

void wr_file_close(struct wr_file *file)
{
    wr_gzip_free(file->gzip);
    file->gzip = NULL;
    if (file->fd >= 0) {
        close(file->fd);
        file->fd = -1;
    }
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

weir_status wr_file_look(const struct wr_file_source *source, struct wr_file *file,
                         struct wr_error *error)
{
    struct stat now;
    if (fstat(file->fd, &now) != 0) {
        return wr_fail_errno(error, "source %s: cannot look at %s", source->base.name, file->path);
    }
    file->size = (int64_t)now.st_size;
    return WEIR_OK;
}

weir_status wr_file_read_disk(const struct wr_file_source *source, const struct wr_file *file,
                              int64_t offset, void *data, size_t size, size_t *got_out,
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
                                 source->base.name, file->path, offset);
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    *got_out = done;
    return WEIR_OK;
}

weir_status wr_file_read(const struct wr_file_source *source, struct wr_file *file, int64_t offset,
                         void *data, size_t size, size_t *got_out, bool *end_out,
                         struct wr_error *error)
{
    if (file->gzip) {
        return wr_gzip_read(source, file, offset, data, size, got_out, end_out, error);
    }
    *end_out = false;
    return wr_file_read_disk(source, file, offset, data, size, got_out, error);
}

/* ---- Marks ----------------------------------------------------------------------------------- */

weir_status wr_file_mark_of(const struct wr_file_source *source, const struct wr_file *file,
                            struct wr_file_mark *mark_out, struct wr_error *error)
{
    unsigned char bytes[WR_FILE_PREFIX_BYTES];
    size_t got = 0, size = sizeof bytes;
    size = file->size < (int64_t)size ? (size_t)file->size : size; /* no more than was looked at */
    WR_TRY(wr_file_read_disk(source, file, 0, bytes, size, &got, error));
    *mark_out = (struct wr_file_mark){file->inode, wr_crc32c(0, bytes, got), (unsigned)got};
    return WEIR_OK;
}

weir_status wr_file_begins_as(const struct wr_file_source *source, const struct wr_file *file,
                              const struct wr_file_mark *mark, bool *same_out,
                              struct wr_error *error)
{
    unsigned char bytes[WR_FILE_PREFIX_BYTES];
    size_t got = 0;
    wr_assert_that(mark->crc_bytes, <=, sizeof bytes);
    WR_TRY(wr_file_read_disk(source, file, 0, bytes, mark->crc_bytes, &got, error));
    *same_out = got == mark->crc_bytes && wr_crc32c(0, bytes, got) == mark->crc;
    return WEIR_OK;
}

bool wr_file_path_begins_as(const struct wr_file_source *source, const char *path,
                            const struct wr_file_mark *mark)
{
    struct wr_file_source plain = {.base.name = source->base.name};
    struct wr_error ignored = {.status = WEIR_OK};
    struct wr_file file;
    int why;
    bool same = false;
    if (wr_file_open(&plain, path, &file, &why, &ignored) == WEIR_OK && why == 0 &&
        wr_file_begins_as(&plain, &file, mark, &same, &ignored) != WEIR_OK) {
        same = false;
    }
    wr_file_close(&file);
    return same;
}

const char *wr_file_compression(const struct wr_file_source *source, const struct wr_file *file)
{
    static const struct {
        const char *name;
        unsigned char magic[10];
        size_t size, gap; /* gap: this byte may be any */
    } known[] = {
        {"gzip", {0x1f, 0x8b, 8}, 3, 99},
        {"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, 99},
        {"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, 99},
        {"bzip2", {'B', 'Z', 'h', 0, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59}, 10, 3},
    };
    struct wr_error ignored = {.status = WEIR_OK};
    unsigned char bytes[10];
    size_t got = 0;
    if (wr_file_read_disk(source, file, 0, bytes, sizeof bytes, &got, &ignored) != WEIR_OK) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t same = 0;
        while (same < known[i].size && same < got &&
               (same == known[i].gap || bytes[same] == known[i].magic[same])) {
            same++;
        }
        if (same == known[i].size) {
            return known[i].name;
        }
    }
    return NULL;
}

bool wr_file_path_is_compressed(const struct wr_file_source *source, const char *path)
{
    struct wr_file_source plain = {.base.name = source->base.name};
    struct wr_error ignored = {.status = WEIR_OK};
    struct wr_file file;
    int why;
    bool is = wr_file_open(&plain, path, &file, &why, &ignored) == WEIR_OK && why == 0 &&
              wr_file_compression(&plain, &file);
    wr_file_close(&file);
    return is;
}

/* ---- Identities ------------------------------------------------------------------------------ */

static const char *after(const char *text, const char *word)
{
    size_t size = strlen(word);
    return text && strncmp(text, word, size) == 0 ? text + size : NULL;
}

/* Digits up to one of the ends; NULL: there are none, or too many. */
static const char *parse_number(const char *text, int base, uint64_t max, uint64_t *value_out)
{
    char *end = NULL;
    if (!text || strspn(text, base == 16 ? "0123456789abcdef" : "0123456789") == 0) {
        return NULL;
    }
    errno = 0;
    unsigned long long value = strtoull(text, &end, base);
    bool fits = errno == 0 && value <= max;
    *value_out = fits ? value : 0;
    return fits ? end : NULL;
}

/* I SEPARATOR C:L. */
static const char *parse_mark(const char *text, const char *separator, struct wr_file_mark *mark)
{
    uint64_t inode = 0, crc = 0, size = 0;
    text = after(parse_number(text, 10, UINT64_MAX, &inode), separator);
    text = after(parse_number(text, 16, UINT32_MAX, &crc), ":");
    text = parse_number(text, 10, WR_FILE_PREFIX_BYTES, &size);
    *mark = (struct wr_file_mark){inode, (uint32_t)crc, (unsigned)size};
    return text;
}

static const char *parse_past(const char *text, struct wr_arena *arena,
                              struct wr_file_identity *identity)
{
    size_t count = 1;
    for (const char *at = text; *at; at++) {
        count += *at == ',';
    }
    identity->past = wr_arena_alloc(arena, count * sizeof *identity->past);
    if (!identity->past) {
        return NULL;
    }
    for (;;) {
        text = parse_mark(text, ":", &identity->past[identity->past_count++]);
        if (!text || *text != ',') {
            return text;
        }
        text++;
    }
}

bool wr_file_identity_parse(const char *text, struct wr_arena *arena,
                            struct wr_file_identity *identity_out)
{
    struct wr_file_identity identity = {.size = -1};
    uint64_t value = 0;
    text = parse_mark(after(text, "inode:"), ";crc:", &identity.mark);
    while (text && *text) {
        const char *part;
        if ((part = after(text, ";size:"))) {
            text = parse_number(part, 10, WR_COUNTER_MAX, &value);
            identity.size = (int64_t)value;
        } else if ((part = after(text, ";base:"))) {
            bool negative = *part == '-';
            text = parse_number(part + negative, 10, WR_COUNTER_MAX, &value);
            identity.base = negative ? -(int64_t)value : (int64_t)value;
        } else if ((part = after(text, ";compression:gzip"))) {
            text = part;
            identity.gzip = true;
        } else if ((part = after(text, ";past:")) && !identity.past) {
            text = parse_past(part, arena, &identity);
        } else {
            return false;
        }
    }
    *identity_out = identity;
    return text != NULL;
}

weir_status wr_file_tell(struct wr_file_source *source, struct wr_file_part *part, int64_t size,
                         struct wr_error *error)
{
    const struct wr_file_mark *mark = &part->mark;
    size_t room = 160 + part->past_count * 48, used = 0;
    if (room > part->text_capacity) {
        char *grown = realloc(part->text, room);
        if (!grown) {
            return wr_fail_memory(error);
        }
        part->text = grown;
        part->text_capacity = room;
    }
    char *text = part->text;
#define ADD(...) (used += (size_t)snprintf(text + used, room - used, __VA_ARGS__))
    ADD("inode:%" PRIu64 ";crc:%08" PRIx32 ":%u", mark->inode, mark->crc, mark->crc_bytes);
    if (size >= 0) {
        ADD(";size:%" PRId64, size);
    }
    if (part->base != 0) {
        ADD(";base:%" PRId64, part->base);
    }
    if (source->gzip) {
        ADD(";compression:gzip");
    }
    for (size_t i = 0; i < part->past_count; i++) {
        mark = &part->past[i];
        ADD("%s%" PRIu64 ":%08" PRIx32 ":%u", i ? "," : ";past:", mark->inode, mark->crc,
            mark->crc_bytes);
    }
#undef ADD
    wr_assert_that(used, <, room);
    part->at.identity = text;
    part->told = part->mark;
    part->told_size = size;
    return WEIR_OK;
}
