/* kafka_loop.h: stream jobs written by hand against librdkafka, from topic to topic or to SQLite,
 * which weir is compared with.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_KAFKA_LOOP_H
#define BENCH_KAFKA_LOOP_H

#include "tests/bench/loop.h"

struct kafka_loop_options {
    enum loop_job job; /* LOOP_COPY or LOOP_COUNT */
    const char *brokers; /* HOST:PORT[,HOST:PORT...] */
    const char *input; /* topic */
    int64_t records; /* the loop ends after so many, from where it starts */
    const char *id; /* group.id and transactional.id */

    /* To a topic, of as many partitions as the input. */
    const char *output; /* NULL: to SQLite */
    bool exactly_once; /* in transactions; else positions are stored now and then */
    int64_t interval_ms; /* of a transaction, or of stored positions */

    /* To SQLite; exactly once. */
    const char *path, *synchronous, *vfs; /* as in struct loop_options */
    int64_t batch; /* records of a transaction */
};

struct kafka_loop_watch {
    void *data;
    void (*arrived)(void *data); /* the first records did */
    /* So many more records, of so many bytes of keys and values, are in the output for good. */
    void (*decided)(void *data, int64_t records, int64_t bytes);
};

/* Runs a job. False: `error` says what failed, in at most `size` bytes; started again with the same
 * id it goes on, exactly once if so wanted. */
bool kafka_loop_run(const struct kafka_loop_options *options, const struct kafka_loop_watch *watch,
                    char *error, size_t size);

#endif
