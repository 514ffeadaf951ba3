/* outlet.h: the seam to what lies outside the store: a file, standard output, later Kafka. The
 * forwarder (txn/forward.c) drives it: open → check → settle → (send* → settle)* → close. The first
 * settle sends nothing: it says what the outside is, so that a new sink's marker (its file, and the
 * length it starts from) is decided before the first record goes out. After an error an outlet
 * takes nothing more: the run stops and the next one checks. Thread: forward, but for open and
 * check, which run before the threads start.
 *
 * Each record becomes its value and a newline; the key is not written, and an absent value is an
 * empty line, so that a line stands for each record.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_OUTLET_H
#define WR_OUTLET_H

#include "txn/store.h"

struct wr_outlet;

struct wr_outlet_ops {
    const char *scheme; /* "file", "stdout" */
    /* Sends one record (in log order); may buffer up to 1 MiB. */
    weir_status (*send)(struct wr_outlet *outlet, const weir_record *record, int64_t offset,
                        struct wr_error *error);
    /* What is buffered goes out, and can be read there. */
    weir_status (*flush)(struct wr_outlet *outlet, struct wr_error *error);
    /* Everything sent is outside for good (fdatasync); sets the marker's length, crc and identity
     * (the outlet's memory). */
    weir_status (*settle)(struct wr_outlet *outlet, struct wr_marker *marker,
                          struct wr_error *error);
    /* What is outside is cut back to the marker, or the run stops because it was touched. A marker
     * without identity is a sink that has never sent. */
    weir_status (*check)(struct wr_outlet *outlet, const struct wr_marker *marker,
                         struct wr_error *error);
    void (*close)(struct wr_outlet *outlet);
    /* "exactly-once: ..." or "at-least-once: ..., because ..." for the first lines and inspect. */
    const char *(*guarantee)(const struct wr_outlet *outlet);
};

struct wr_outlet { /* the first member of each outlet's own struct */
    const struct wr_outlet_ops *ops;
    struct wr_env *env;
    const char *sink;
    bool keeps; /* set before check: what is longer than the marker stays, but for half a line */
};

/* Writes all of it, waiting where it must; 0 or errno. EPIPE comes without a SIGPIPE. */
int wr_outlet_write(int fd, const void *data, size_t size);

/* file:PATH. `append`: a non-empty file of a new store is the base instead of an error. A FIFO or
 * device is at-least-once. The file is opened (and made) by check. */
weir_status wr_outlet_file_open(struct wr_env *env, const char *sink, const char *path, bool append,
                                enum wr_sync sync, struct wr_outlet **outlet_out,
                                struct wr_error *error);
weir_status wr_outlet_stdout_open(struct wr_env *env, const char *sink,
                                  struct wr_outlet **outlet_out, struct wr_error *error);

#endif
