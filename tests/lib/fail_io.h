/* fail_io.h: a VFS of SQLite, over its default one, in which the n-th call of a kind fails, and
 * which can pull the plug: what was written and not synced is then lost, kept or torn, write by
 * write, at random. One thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_FAIL_IO_H
#define TEST_FAIL_IO_H

#include <stdbool.h>
#include <stdint.h>

enum fail_io_call {
    FAIL_IO_READ,
    FAIL_IO_WRITE,
    FAIL_IO_SYNC,
    FAIL_IO_TRUNCATE,
    FAIL_IO_OPEN,
    FAIL_IO_SIZE,
    FAIL_IO_SHARE, /* mapping the WAL's index */
    FAIL_IO_CALLS
};

enum fail_io_how {
    FAIL_IO_ERROR, /* nothing is done, an I/O error returned */
    FAIL_IO_FULL, /* WRITE: the disk is full */
    FAIL_IO_HALF, /* WRITE: half of it is written, then an error */
};

/* Becomes SQLite's default VFS. */
void fail_io_init(void);
/* The n-th such call from now fails; when lasting, everything does from then on. */
void fail_io_arm(enum fail_io_call call, enum fail_io_how how, int64_t n, bool lasting);
void fail_io_off(void);
bool fail_io_hit(void);

/* From now on, writes are remembered until they are synced. */
void fail_io_record(bool recording);
/* The power is cut, once the files are closed: each remembered write is lost, kept or torn. */
void fail_io_cut(uint64_t *random);

#endif
