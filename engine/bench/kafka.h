/* kafka.h: `weir bench --kafka`: what jobs between Kafka topics cost, and what one gets for it.
 *
 *   kafka.c            the broker: somebody's, or one of the bench's own, by a script
 *   kafka_topics.c     topics made, filled as fast as it goes, removed
 *   kafka_cell.c       a run over the input topic, from its first record to its last: of a weir
 *                      job by cell.c, of a loop by hand (tests/bench/kafka_loop.c)
 *   kafka_latency.c    an open loop: records arrive at a rate, and are waited for at the other end
 *   kafka_kills.c      weir killed, and the broker where it is the bench's
 *   kafka_read.c       what a reader of the output finds, against what the input implies
 *
 * All topics are the bench's own: `weir-bench-` and a random number in front, removed at the end.
 * They have PARTITIONS partitions, and retention for ever. One of them is the input of all runs;
 * each run has a new one for its output.
 *
 * Whatever uses librdkafka does so in a child of its own (wr_bench_apart): the parent forks, and a
 * process that forks must have no threads.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_KAFKA_H
#define WR_BENCH_KAFKA_H

#include "engine/bench/compare.h"
#include "engine/bench/kills.h"
#include "txn/kafka_client.h"

enum {
    WR_BENCH_PARTITIONS = 4,
    WR_BENCH_TOPIC_MAX = 64, /* bytes of a name */
    WR_BENCH_WAIT_MS = 30000, /* for a broker */
};

/* The sink of a job that writes into its store: partitions as the input's, so that each has an
 * order that its input implies. */
#define WR_BENCH_LOG "log:out?partitions=4"

struct wr_bench_kafka {
    char brokers[WR_URI_BYTES_MAX]; /* HOST:PORT[,HOST:PORT...] */
    char script[WR_URI_BYTES_MAX]; /* that started the broker; empty: it is somebody's */
    char folder[WR_URI_BYTES_MAX + 16]; /* of that broker */
    uint32_t name; /* in all topics' names */
    int topics; /* made so far */
    char input[WR_BENCH_TOPIC_MAX]; /* the topic that is read; empty: none yet */
    int64_t records, keys, value_bytes; /* in it */
};

/* ---- The broker (kafka.c) -------------------------------------------------------------------- */

/* `where` with a slash in it is a script that starts a broker (SCRIPT up FOLDER 0, which prints
 * HOST:PORT), kills it (SCRIPT kill FOLDER), starts it again (SCRIPT start FOLDER) and stops it
 * (SCRIPT down FOLDER); else it is HOST:PORT of one that runs. 69: it cannot be reached. */
weir_status wr_bench_kafka_open(struct wr_bench *bench, const char *where,
                                struct wr_bench_kafka *kafka_out, struct wr_error *error);
/* Removes the input, stops the broker. Also after a failed open. */
void wr_bench_kafka_close(struct wr_bench *bench);
/* kill -9; and started again: it answers when that returns. */
weir_status wr_bench_kafka_end(struct wr_bench *bench, struct wr_error *error);
weir_status wr_bench_kafka_again(struct wr_bench *bench, struct wr_error *error);

/* ---- Topics (kafka_topics.c) ----------------------------------------------------------------- */

/* Makes one, under a new name, and waits until it can be written to. */
weir_status wr_bench_topic_new(struct wr_bench *bench, char name_out[WR_BENCH_TOPIC_MAX],
                               struct wr_error *error);
/* One that is not removed costs disk, nothing else: it is said, and no error. */
void wr_bench_topic_remove(struct wr_bench *bench, const char *name);
/* Sees to it that the input has the cell's records: its generator's, in their order, by key. */
weir_status wr_bench_topic_fill(struct wr_bench *bench, const struct wr_bench_cell *cell,
                                struct wr_error *error);

struct wr_bench_setting {
    const char *name, *value;
};
/* A client of librdkafka with these properties, up to a name NULL. In a child. */
weir_status wr_bench_client(struct wr_bench *bench, rd_kafka_type_t type,
                            const struct wr_bench_setting *settings, rd_kafka_t **client_out,
                            struct wr_error *error);
/* A producer that is quick, and the topic for it. */
weir_status wr_bench_producer(struct wr_bench *bench, const char *topic, const char *linger_ms,
                              rd_kafka_t **client_out, rd_kafka_topic_t **topic_out,
                              struct wr_error *error);
/* A reader of a topic's partitions from `first` to `last`, read_committed, each from
 * offsets[partition], which may be RD_KAFKA_OFFSET_BEGINNING; ends of partitions are told. */
weir_status wr_bench_reader(struct wr_bench *bench, const char *topic, int first, int last,
                            const int64_t *offsets, rd_kafka_t **client_out,
                            struct wr_error *error);
/* Where a topic ends now; `decided`: as a read_committed reader sees it. */
weir_status wr_bench_ends(struct wr_bench *bench, const char *topic, bool decided,
                          int64_t ends_out[WR_BENCH_PARTITIONS], struct wr_error *error);

/* ---- Runs ------------------------------------------------------------------------------------ */

/* Does `work` in a child; its result and its error come back. */
typedef weir_status (*wr_bench_work_fn)(void *data, void *result, struct wr_error *error);
weir_status wr_bench_apart(wr_bench_work_fn work, void *data, void *result, size_t size,
                           struct wr_error *error);

/* `kafka://BROKERS/TOPIC`. */
void wr_bench_topic_uri(const struct wr_bench *bench, const char *topic, char *uri, size_t size);

/* One run of a cell of kind WEIR or LOOP*. (kafka_cell.c) */
weir_status wr_bench_kafka_run(struct wr_bench *bench, const struct wr_bench_cell *cell,
                               struct wr_bench_run *run_out, struct wr_error *error);
/* One at `cell->rate`: run_out->latency is from when each record was meant to be sent to when a
 * read_committed reader had what became of it. Of one partition's records. (kafka_latency.c) */
weir_status wr_bench_kafka_lag(struct wr_bench *bench, const struct wr_bench_cell *cell,
                               struct wr_bench_run *run_out, struct wr_error *error);
/* As wr_bench_kill; the broker is killed `broker_kills` times as well. `recovery` is from a restart
 * to the first new record that a reader sees. (kafka_kills.c) */
weir_status wr_bench_kafka_kill(struct wr_bench *bench, const struct wr_bench_cell *cell,
                                int64_t kills, int64_t broker_kills,
                                struct wr_bench_damage *damage_out, struct wr_error *error);
/* What a reader of `output` finds, against what `input` implies: every record, and of a job that
 * counts each of its counts. `output` NULL: it is in the store `store`, in topic job->output.
 * (kafka_read.c) */
weir_status wr_bench_kafka_compare(struct wr_bench *bench, const struct wr_bench_job *job,
                                   const char *input, const char *output, const char *store,
                                   struct wr_difference *difference_out, struct wr_error *error);

#endif
