/* file_gzip.c: the data of a gzip file, read by its uncompressed offsets. The only file that names
 * zlib.
 *
 * A window of what was inflated last is kept, from the offset that was asked for last: polls go
 * forward, and read the line again that the last block cut. What lies before it is inflated again
 * from the start of the file: after an undone epoch, and once at the start of a run.
 *
 * A file may have several members, one after the other, and zeros behind the last one, as gzip
 * itself allows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "engine/sources/source_file.h"
#include "txn/base/assert.h"

enum { IN_BYTES = 64 * 1024, STEP_BYTES = 256 * 1024, GZIP_ONLY = 15 + 16 };

struct wr_gzip {
    int fd; /* the file's */
    z_stream z;
    bool open; /* z is */
    bool between; /* a member has ended, the next one has not begun */
    bool padding; /* zeros have come behind a member */
    bool pending; /* there may be output that had no room, without more input */
    bool ended; /* there is nothing behind the window */
    const char *damage; /* why, when it is not the end */
    int64_t in_at; /* of the file: what is read next */
    int64_t start; /* offset of the window */
    unsigned char *window;
    size_t size, capacity;
    unsigned char in[IN_BYTES];
};

struct wr_gzip *wr_gzip_new(int fd)
{
    struct wr_gzip *gzip = calloc(1, sizeof *gzip);
    if (gzip) {
        gzip->fd = fd;
    }
    return gzip;
}

void wr_gzip_free(struct wr_gzip *gzip)
{
    if (gzip) {
        if (gzip->open) {
            inflateEnd(&gzip->z);
        }
        free(gzip->window);
        free(gzip);
    }
}

const char *wr_gzip_damage(const struct wr_gzip *gzip)
{
    return gzip->damage;
}

int64_t wr_gzip_at(const struct wr_gzip *gzip)
{
    return gzip->start + (int64_t)gzip->size;
}

static weir_status start_over(struct wr_gzip *gzip, struct wr_error *error)
{
    if (gzip->open) {
        inflateEnd(&gzip->z);
    }
    memset(&gzip->z, 0, sizeof gzip->z);
    gzip->open = inflateInit2(&gzip->z, GZIP_ONLY) == Z_OK;
    gzip->between = gzip->padding = gzip->pending = gzip->ended = false;
    gzip->damage = NULL;
    gzip->in_at = 0;
    gzip->start = 0;
    gzip->size = 0;
    return gzip->open ? WEIR_OK : wr_fail_memory(error);
}

static void end(struct wr_gzip *gzip, const char *damage)
{
    gzip->ended = true;
    gzip->damage = damage;
}

static weir_status take_input(struct wr_gzip *gzip, const struct wr_file_source *source,
                              const struct wr_file *file, struct wr_error *error)
{
    size_t got = 0;
    WR_TRY(wr_file_read_disk(source, file, gzip->in_at, gzip->in, IN_BYTES, &got, error));
    gzip->in_at += (int64_t)got;
    gzip->z.next_in = gzip->in;
    gzip->z.avail_in = (uInt)got;
    if (got == 0) {
        end(gzip, gzip->between ? NULL : "it is truncated");
    }
    return WEIR_OK;
}

/* Behind a member: another one, or zeros up to the end. */
static void next_member(struct wr_gzip *gzip)
{
    while (gzip->z.avail_in > 0 && *gzip->z.next_in == 0) {
        gzip->padding = true;
        gzip->z.next_in++;
        gzip->z.avail_in--;
    }
    if (gzip->z.avail_in == 0) {
        return;
    }
    if (gzip->padding || *gzip->z.next_in != 0x1f) {
        end(gzip, "there is something else behind its compressed data");
        return;
    }
    inflateReset(&gzip->z);
    gzip->between = false;
}

/* Inflates up to `room` bytes behind the window. */
static weir_status inflate_some(struct wr_gzip *gzip, size_t room, struct wr_error *error)
{
    z_stream *z = &gzip->z;
    z->next_out = gzip->window + gzip->size;
    z->avail_out = (uInt)room;
    int code = inflate(z, Z_NO_FLUSH);
    gzip->size += room - z->avail_out;
    gzip->pending = code == Z_OK && z->avail_out == 0;
    switch (code) {
    case Z_OK:
    case Z_BUF_ERROR: /* it wants more input */
        return WEIR_OK;
    case Z_STREAM_END:
        gzip->between = true;
        return WEIR_OK;
    case Z_MEM_ERROR:
        return wr_fail_memory(error);
    default:
        end(gzip, z->msg ? z->msg : "its compressed data is damaged");
        return WEIR_OK;
    }
}

static weir_status reserve(struct wr_gzip *gzip, size_t capacity, struct wr_error *error)
{
    if (capacity > gzip->capacity) {
        unsigned char *window = realloc(gzip->window, capacity);
        if (!window) {
            return wr_fail_memory(error);
        }
        gzip->window = window;
        gzip->capacity = capacity;
    }
    return WEIR_OK;
}

/* Extends the window up to `to`, or to the end of the data. Without `keep` only its last byte is
 * of use. */
static weir_status extend(struct wr_gzip *gzip, const struct wr_file_source *source,
                          const struct wr_file *file, int64_t to, bool keep, struct wr_error *error)
{
    while (!gzip->ended && gzip->start + (int64_t)gzip->size < to) {
        if (!keep) {
            gzip->start += (int64_t)gzip->size;
            gzip->size = 0;
        }
        int64_t left = to - gzip->start - (int64_t)gzip->size;
        size_t room = left < STEP_BYTES ? (size_t)left : (size_t)STEP_BYTES;
        WR_TRY(reserve(gzip, gzip->size + room, error));
        if (gzip->z.avail_in == 0 && !gzip->pending) {
            WR_TRY(take_input(gzip, source, file, error));
        }
        if (gzip->between && !gzip->ended) {
            next_member(gzip);
        }
        if (!gzip->between && !gzip->ended) {
            WR_TRY(inflate_some(gzip, room, error));
        }
    }
    return WEIR_OK;
}

weir_status wr_gzip_read(const struct wr_file_source *source, struct wr_file *file, int64_t offset,
                         void *data, size_t size, size_t *got_out, bool *end_out,
                         struct wr_error *error)
{
    struct wr_gzip *gzip = file->gzip;
    if (!gzip->open || offset < gzip->start) {
        WR_TRY(start_over(gzip, error));
    }
    WR_TRY(extend(gzip, source, file, offset, false, error));
    int64_t behind = gzip->start + (int64_t)gzip->size - offset; /* of the window, from offset on */
    if (behind < 0) {
        behind = 0; /* the data ends before `offset` */
    } else {
        if (behind > 0) {
            memmove(gzip->window, gzip->window + gzip->size - behind, (size_t)behind);
        }
        gzip->start = offset;
        gzip->size = (size_t)behind;
        /* One byte more, to know whether this is the end. */
        WR_TRY(extend(gzip, source, file, offset + (int64_t)size + 1, true, error));
        behind = (int64_t)gzip->size;
    }
    *got_out = behind < (int64_t)size ? (size_t)behind : size;
    if (*got_out > 0) {
        memcpy(data, gzip->window, *got_out);
    }
    *end_out = gzip->ended && (int64_t)*got_out == behind;
    return WEIR_OK;
}
