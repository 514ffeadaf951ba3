/* lines.c: see lines.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "txn/base/assert.h"

enum { READ_BYTES = 1 << 18 };

bool wr_lines_init(struct wr_lines *lines, int fd, size_t line_max)
{
    *lines = (struct wr_lines){.fd = fd, .line_max = line_max};
    lines->capacity = line_max + 1 + 2 * READ_BYTES;
    lines->buffer = malloc(lines->capacity);
    return lines->buffer != NULL;
}

void wr_lines_fini(struct wr_lines *lines)
{
    free(lines->buffer);
    lines->buffer = NULL;
}

size_t wr_lines_rest(const struct wr_lines *lines)
{
    return lines->size - lines->at;
}

/* Room for a read behind what is there; the start of a line moves to the front. */
static void make_room(struct wr_lines *lines)
{
    if (lines->capacity - lines->size >= READ_BYTES) {
        return;
    }
    size_t rest = wr_lines_rest(lines);
    memmove(lines->buffer, lines->buffer + lines->at, rest);
    lines->scanned -= lines->at;
    lines->size = rest;
    lines->at = 0;
    wr_assert_that(lines->capacity - lines->size, >=, READ_BYTES);
}

int wr_lines_read(struct wr_lines *lines, int timeout_ms)
{
    struct pollfd input = {lines->fd, POLLIN, 0};
    int ready = poll(&input, 1, timeout_ms);
    if (ready == 0 || (ready < 0 && errno == EINTR)) {
        return 0;
    }
    if (ready < 0) {
        return errno;
    }
    make_room(lines);
    ssize_t got = read(lines->fd, lines->buffer + lines->size, READ_BYTES);
    if (got < 0) {
        return errno == EINTR || errno == EAGAIN ? 0 : errno;
    }
    lines->size += (size_t)got;
    lines->ended = got == 0;
    return 0;
}

bool wr_lines_next(struct wr_lines *lines, weir_bytes *line_out)
{
    const unsigned char *start = lines->buffer + lines->at, *end = lines->buffer + lines->size;
    const unsigned char *from = lines->buffer + lines->scanned;
    const unsigned char *newline = from < end ? memchr(from, '\n', (size_t)(end - from)) : NULL;
    if (!newline && (!lines->ended || start == end)) {
        lines->scanned = lines->size;
        return false;
    }
    const unsigned char *stop = newline ? newline : end;
    *line_out = (weir_bytes){start, (size_t)(stop - start)};
    lines->at = (size_t)(stop - lines->buffer) + (newline ? 1 : 0);
    lines->scanned = lines->at;
    return true;
}
