/* lines.h: lines from a file descriptor that may be slow, a terminal or a pipe.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_LINES_H
#define WR_LINES_H

#include "engine/weir.h"

struct wr_lines {
    int fd;
    unsigned char *buffer; /* what was read and not yet given: [at, size) */
    size_t at, size, scanned, capacity;
    size_t line_max;
    bool ended;
};

/* Lines up to line_max bytes can be read. False: no memory. */
bool wr_lines_init(struct wr_lines *lines, int fd, size_t line_max);
void wr_lines_fini(struct wr_lines *lines);

/* Waits up to timeout_ms for input (-1: for ever) and reads some; 0, or errno. Every whole line
 * must have been taken, and the rest must not be over line_max. Sets `ended` at the end of the
 * input. */
int wr_lines_read(struct wr_lines *lines, int timeout_ms);
/* The next line, without its newline, valid until the next read; after the end also the last one
 * that has no newline. False: there is no whole line. */
bool wr_lines_next(struct wr_lines *lines, weir_bytes *line_out);
/* Bytes of the line that is not yet whole. */
size_t wr_lines_rest(const struct wr_lines *lines);

#endif
