/* loop.h: stream jobs written by hand against SQLite, which weir is compared with.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum loop_job { LOOP_COPY, LOOP_COUNT, LOOP_WORDCOUNT };

struct loop_record {
    const char *key, *value; /* NULL: absent */
    size_t key_size, value_size;
};

/* Where the records come from. Each function is given `data`. */
struct loop_input {
    void *data;
    /* Called once, first: the number of the record that is wanted next. */
    bool (*seek)(void *data, int64_t next);
    /* The next records, `most` at most; they stay until the next call. 0: there are no more, decide
     * what you have; -1: failed. */
    int64_t (*poll)(void *data, int64_t most, const struct loop_record **records_out);
    /* A transaction with so many records has ended. */
    void (*decided)(void *data, int64_t records);
    /* NULL: one input, whose position is the number of its records. Else one for each of
     * `partitions`, which `poll` keeps at what is wanted after what it gave; where the last run got
     * to is in it before `seek`. */
    int64_t *positions;
    int partitions;
};

struct loop_options {
    enum loop_job job;
    const char *path; /* of the database; made if it is not there, else gone on from */
    const char *synchronous; /* "full", "normal" or "off" */
    const char *vfs; /* SQLite's name of one; NULL: the default */
    int64_t batch; /* records of a transaction, 1 or more */
};

/* Runs a job to the end of its input. False: `error` says what failed, in at most `size` bytes; of
 * the transaction that was open nothing is left. */
bool loop_run(const struct loop_options *options, const struct loop_input *input, char *error,
              size_t size);

#endif
