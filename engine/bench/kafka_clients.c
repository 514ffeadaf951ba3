/* kafka_clients.c: clients of librdkafka for the bench, and the children that they live in. See
 * kafka.h. They have nothing of the engine's own clients: what reads the output must not share
 * their mistakes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/bench/kafka.h"

#include <stdlib.h>
#include <string.h>

/* ---- Apart ----------------------------------------------------------------------------------- */

struct apart {
    wr_bench_work_fn work;
    void *data;
    size_t size;
};

struct outcome {
    struct wr_error error;
    unsigned char result[];
};

static int be_apart(void *data, void *result)
{
    const struct apart *apart = data;
    struct outcome *outcome = result;
    (void)apart->work(apart->data, outcome->result, &outcome->error);
    return 0;
}

weir_status wr_bench_apart(wr_bench_work_fn work, void *data, void *result, size_t size,
                           struct wr_error *error)
{
    struct apart apart = {.work = work, .data = data, .size = size};
    struct outcome *outcome = calloc(1, sizeof *outcome + size);
    if (!outcome) {
        return wr_fail_memory(error);
    }
    if (wr_bench_child(be_apart, &apart, outcome, sizeof *outcome + size, NULL, error) == WEIR_OK) {
        if (size > 0) {
            memcpy(result, outcome->result, size);
        }
        if (outcome->error.status != WEIR_OK) {
            *error = outcome->error;
        }
    }
    free(outcome);
    return error->status;
}

/* ---- Clients --------------------------------------------------------------------------------- */

weir_status wr_bench_client(struct wr_bench *bench, rd_kafka_type_t type,
                            const struct wr_bench_setting *settings, rd_kafka_t **client_out,
                            struct wr_error *error)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool good = rd_kafka_conf_set(conf, "bootstrap.servers", bench->kafka->brokers, text,
                                  sizeof text) == RD_KAFKA_CONF_OK;
    /* What goes wrong is seen where it is waited for; a broker that is killed is no news. */
    good = good && rd_kafka_conf_set(conf, "log_level", "2", text, sizeof text) == RD_KAFKA_CONF_OK;
    for (; good && settings->name; settings++) {
        good = rd_kafka_conf_set(conf, settings->name, settings->value, text, sizeof text) ==
               RD_KAFKA_CONF_OK;
    }
    *client_out = good ? rd_kafka_new(type, conf, text, sizeof text) : NULL;
    if (!*client_out) {
        rd_kafka_conf_destroy(conf);
        return wr_fail(error, WEIR_FATAL, WR_EXIT_USAGE, "cannot make a client for Kafka at %s: %s",
                       bench->kafka->brokers, text);
    }
    return WEIR_OK;
}

weir_status wr_bench_producer(struct wr_bench *bench, const char *topic, const char *linger_ms,
                              rd_kafka_t **client_out, rd_kafka_topic_t **topic_out,
                              struct wr_error *error)
{
    const struct wr_bench_setting settings[] = {
        {"enable.idempotence", "true"},
        {"linger.ms", linger_ms},
        {"batch.num.messages", "10000"},
        {"queue.buffering.max.messages", "500000"},
        {"queue.buffering.max.kbytes", "262144"},
        {"socket.nagle.disable", "true"},
        {NULL, NULL},
    };
    const struct rd_kafka_metadata *metadata = NULL;
    WR_TRY(wr_bench_client(bench, RD_KAFKA_PRODUCER, settings, client_out, error));
    *topic_out = rd_kafka_topic_new(*client_out, topic, NULL);
    /* Else the first record waits a second for it. */
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(*client_out, 0, *topic_out, &metadata, WR_BENCH_WAIT_MS);
    if (code) {
        rd_kafka_topic_destroy(*topic_out);
        rd_kafka_destroy(*client_out);
        return wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE, "cannot look at topic %s: %s", topic,
                       rd_kafka_err2str(code));
    }
    rd_kafka_metadata_destroy(metadata);
    return WEIR_OK;
}

weir_status wr_bench_reader(struct wr_bench *bench, const char *topic, int first, int last,
                            const int64_t *offsets, rd_kafka_t **client_out, struct wr_error *error)
{
    const struct wr_bench_setting settings[] = {
        {"group.id", "weir-bench"}, /* nothing is stored in it */
        {"isolation.level", "read_committed"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "error"},
        {"fetch.wait.max.ms", "10"},
        {"queued.min.messages", "1000000"},
        {"check.crcs", "true"},
        {NULL, NULL},
    };
    WR_TRY(wr_bench_client(bench, RD_KAFKA_CONSUMER, settings, client_out, error));
    rd_kafka_poll_set_consumer(*client_out);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(WR_BENCH_PARTITIONS);
    for (int i = first; i <= last; i++) {
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = offsets[i];
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(*client_out, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code) {
        rd_kafka_destroy(*client_out);
        return wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE, "cannot read topic %s: %s", topic,
                       rd_kafka_err2str(code));
    }
    return WEIR_OK;
}

enum { TRIES = 20, AGAIN_MS = 250 };

struct ends_of {
    struct wr_bench *bench;
    const char *topic;
    const char *isolation;
};

/* librdkafka keeps what a broker that comes up says of a topic for minutes, unless it asks anew. */
static void ask_anew(rd_kafka_t *client, const char *topic)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    if (rd_kafka_metadata(client, 0, handle, &metadata, WR_BENCH_WAIT_MS) == 0) {
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
}

static weir_status find_ends(void *data, void *result, struct wr_error *error)
{
    const struct ends_of *of = data;
    const struct wr_bench_setting settings[] = {{"isolation.level", of->isolation}, {NULL, NULL}};
    int64_t *ends = result, low = 0;
    rd_kafka_t *client = NULL;
    WR_TRY(wr_bench_client(of->bench, RD_KAFKA_CONSUMER, settings, &client, error));
    for (int i = 0; i < WR_BENCH_PARTITIONS && error->status == WEIR_OK; i++) {
        rd_kafka_resp_err_t code;
        int tries = 0;
        do { /* a broker that was started again may not lead yet */
            code = rd_kafka_query_watermark_offsets(client, of->topic, i, &low, &ends[i],
                                                    WR_BENCH_WAIT_MS);
            if (code) {
                rd_kafka_poll(client, AGAIN_MS);
                ask_anew(client, of->topic);
            }
        } while (code && ++tries < TRIES);
        if (code) {
            wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE, "cannot ask where topic %s ends: %s",
                    of->topic, rd_kafka_err2str(code));
        }
    }
    rd_kafka_destroy(client);
    return error->status;
}

weir_status wr_bench_ends(struct wr_bench *bench, const char *topic, bool decided,
                          int64_t ends_out[WR_BENCH_PARTITIONS], struct wr_error *error)
{
    struct ends_of of = {bench, topic, decided ? "read_committed" : "read_uncommitted"};
    return wr_bench_apart(find_ends, &of, ends_out, WR_BENCH_PARTITIONS * sizeof *ends_out, error);
}
