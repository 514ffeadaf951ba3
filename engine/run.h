/* run.h: one instance of a job: open, fill, decide, forward, stop. Two drivers use it: loop.c with
 * threads
 * (`weir run`), and the test kit, which calls the same steps one after the other.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_RUN_H
#define WR_RUN_H

#include "engine/job.h"
#include "engine/metrics.h"
#include "txn/delivery.h"
#include "txn/kafka.h"

struct wr_instance;

/* Watches a run from within its process: what `weir bench` measures with. */
struct wr_observer {
    /* The instance is open; its threads start next. Thread: main. */
    void (*started)(void *data, const struct wr_instance *instance);
    /* An epoch with so many input records was decided just now. Thread: decide. */
    void (*decided)(void *data, const struct wr_instance *instance, int64_t records);
    /* The first input of the run was read. Thread: operator. NULL: not wanted. */
    void (*arrived)(void *data, const struct wr_instance *instance);
    /* Outside sinks have more for good than before, at the end all. Thread: forward; decide where
     * output goes around the logs. NULL: not wanted. */
    void (*forwarded)(void *data, const struct wr_instance *instance);
    /* Every thread has ended; the instance is still open. Thread: main. */
    void (*ended)(void *data, const struct wr_instance *instance);
    void *data;
};

struct wr_run_options {
    const char *store; /* NULL: NAME.weir in the working directory */
    struct wr_settings inputs, outputs, defines;
    enum wr_delivery delivery;
    enum wr_sync sync;
    int64_t epoch_records, epoch_ms; /* 0: not given, adaptive */
    int64_t positions_ms, forward_ms;
    int64_t cache_bytes, wal_bytes_max;
    bool until_end, drain, check;
    bool reject_failures; /* --on-error reject: what fails five times becomes a dead letter */
    const char *rejects; /* URI of a sink that dead letters go to as well; NULL: none */
    int64_t rejects_max; /* dead letters that a store holds before the run stops */
    struct wr_settings renames; /* OLD=NEW of nodes, sources and sinks */
    struct wr_settings drop_states; /* names of nodes; the values are empty */
    struct wr_settings rewinds; /* SOURCE=earliest|OFFSET */
    const char *stats; /* file, "-" for standard output, NULL: none */
    int verbosity; /* -q: -1, -v: 1 */
    const struct wr_observer *observer; /* NULL: none */
    struct wr_kafka_properties kafka; /* -X */
    bool marker_from_store; /* a Kafka sink whose marker is gone goes on from the store's */
};
/* Fills in the defaults of the design. */
void wr_run_options_init(struct wr_run_options *options);
void wr_run_options_fini(struct wr_run_options *options);

/* Runs a job until its inputs end or a signal stops it; returns the exit code, after printing the
 * error if any. `name` is the job's default name. The whole of `weir run` but for options and
 * loading (loop.c). With options->check: builds the graph, prints inputs, outputs, options and
 * state, runs nothing. */
int wr_run(struct wr_env *env, const char *name, void (*define)(weir_job *),
           struct wr_run_options *options);

#endif
