/* weir_test.h: a test kit for jobs. It runs a job in the test's own thread, on the real path (write
 * set, one SQLite transaction, log), in a temporary folder that goes away with it; records, event
 * time and the clock come from the test, and it can crash at every fault point.
 *
 *     weir_test *test = weir_test_new(weir_define, NULL);
 *     weir_test_text(test, "in", "key", "value", 1000);
 *     weir_test_run(test);
 *     assert(weir_test_count(test, "out") == 1);
 *     weir_test_free(test);
 *
 * Sources read what the test pushes, whatever their URIs say; `table:` sinks are tables, `sql:`
 * sinks run their files, all others become embedded topics, unless an output is set in the options.
 * Link with libweir and compile the job into the test. One thread; several kits may live side by
 * side.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_H
#define WEIR_TEST_H

#include <weir.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_test weir_test;

typedef struct weir_test_options {
    int partitions; /* of each source; 0: 1 */
    int64_t epoch_records; /* units of one epoch; 0: as many as there are */
    int64_t cache_bytes; /* -1: none; 0: the default */
    const char *const *set; /* "-D name=value" and "-o name=URI" as pairs of texts, NULL-ended:
                               {"-D", "gap=10", "-o", "out=file:out.txt", NULL}; and
                               "--on-error", "--rejects", "--rejects-max" with their values */
    bool decide_late; /* a sealed epoch stays undecided while the next one fills, as with threads */
} weir_test_options;

/* Opens the job on a new store. Never NULL (a process without memory for it ends); a job that does
 * not build is reported by weir_test_status. options NULL: the defaults. */
WEIR_EXPORT weir_test *weir_test_new(void (*define)(weir_job *), const weir_test_options *options);
/* Ends it and removes the folder. */
WEIR_EXPORT void weir_test_free(weir_test *test);

/* WEIR_OK, or how the instance failed; the text says why. After a failure only restart and free go
 * on. */
WEIR_EXPORT weir_status weir_test_status(const weir_test *test);
WEIR_EXPORT const char *weir_test_error(const weir_test *test);
WEIR_EXPORT const char *weir_test_store(const weir_test *test); /* path of the store */

/* Adds a record to a source; it is read by the next run. The bytes are copied. Like a Kafka topic,
 * the input outlives crashes. */
WEIR_EXPORT void weir_test_push(weir_test *test, const char *source, int partition,
                                const weir_record *record);
WEIR_EXPORT void weir_test_text(weir_test *test, const char *source, const char *key,
                                const char *value, int64_t time_ms); /* NULL: absent */

/* Processes what was pushed, fires what is due, decides it. */
WEIR_EXPORT weir_status weir_test_run(weir_test *test);
/* Moves the event time of all partitions of a source to time_ms, as a record with it would, and
 * runs. */
WEIR_EXPORT weir_status weir_test_advance(weir_test *test, const char *source, int64_t time_ms);
/* Says that this source has been read to its end, as a file may be, and runs: it holds no watermark
 * back any more. A later push to it is a mistake. */
WEIR_EXPORT weir_status weir_test_end(weir_test *test, const char *source);
/* Moves the wall clock on, and runs. */
WEIR_EXPORT weir_status weir_test_clock(weir_test *test, int64_t milliseconds);
/* Moves the watermark to the end of time, and runs. */
WEIR_EXPORT weir_status weir_test_drain(weir_test *test);

/* The count-th passing of this fault point from now on crashes the instance. False: no such point.
 * Names are in docs/TESTING.md; weir_test_fault lists them, from 0 (NULL after the
 * last). */
WEIR_EXPORT bool weir_test_crash_at(weir_test *test, const char *fault_point, int count);
WEIR_EXPORT const char *weir_test_fault(int number);
WEIR_EXPORT bool weir_test_crashed(const weir_test *test);
/* Drops the instance as a kill would, nothing flushed. */
WEIR_EXPORT void weir_test_crash(weir_test *test);
/* Opens the job again on the same store (after a crash or without one), with `define` if it is not
 * NULL. */
WEIR_EXPORT weir_status weir_test_restart(weir_test *test, void (*define)(weir_job *));

/* Decided records of a sink that is an embedded topic, partition by partition, in order. What is
 * returned stays valid until weir_test_free. NULL past the end. */
WEIR_EXPORT size_t weir_test_count(weir_test *test, const char *sink);
WEIR_EXPORT const weir_record *weir_test_record(weir_test *test, const char *sink, size_t index);
/* The value beside a key in a table sink, as text; absent when there is no row. */
WEIR_EXPORT weir_bytes weir_test_row(weir_test *test, const char *sink, weir_bytes key);
/* What a query on the store gives, decided: the first column of the first row, as text; absent when
 * there is no row, or it is NULL. For tables that sql: sinks keep. */
WEIR_EXPORT weir_bytes weir_test_query(weir_test *test, const char *sql);
/* Decided state of a node. */
WEIR_EXPORT weir_bytes weir_test_state(weir_test *test, const char *node, weir_bytes key,
                                       weir_bytes slot);
/* Decided dead letters: how many, and the reason of one. */
WEIR_EXPORT size_t weir_test_rejects(weir_test *test);
WEIR_EXPORT const char *weir_test_reason(weir_test *test, size_t index);
/* Runs, queues the dead letters of a node (NULL: all) as `weir rejects --retry` does, opens the job
 * again, and runs. */
WEIR_EXPORT weir_status weir_test_retry(weir_test *test, const char *node);
WEIR_EXPORT int64_t weir_test_timers(weir_test *test); /* pending, decided */

#ifdef __cplusplus
}
#endif
#endif
