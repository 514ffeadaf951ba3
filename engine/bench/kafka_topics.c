/* kafka_topics.c: the bench's topics, and clients for them. See kafka.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/bench/kafka.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/sources/source.h"
#include "txn/base/assert.h"

enum {
    SETTLE_MS = 20, /* between two looks whether a topic is there */
    POLL_MS = 5,
    RECORDS_PER_MS = 1000, /* so many records have the same time */
    TELL_RECORDS = 4096, /* between two looks at what was acknowledged */
};

/* ---- Topics ---------------------------------------------------------------------------------- */

void wr_bench_topic_uri(const struct wr_bench *bench, const char *topic, char *uri, size_t size)
{
    snprintf(uri, size, "kafka://%s/%s", bench->kafka->brokers, topic);
}

struct naming {
    struct wr_bench *bench;
    const char *name;
};

/* Of the answer to one request. */
static rd_kafka_resp_err_t created(rd_kafka_event_t *event, const char **why_out)
{
    size_t count = 0;
    const rd_kafka_CreateTopics_result_t *answer = rd_kafka_event_CreateTopics_result(event);
    *why_out = rd_kafka_event_error_string(event);
    if (!answer || rd_kafka_event_error(event)) {
        return rd_kafka_event_error(event);
    }
    const rd_kafka_topic_result_t **topics = rd_kafka_CreateTopics_result_topics(answer, &count);
    rd_kafka_resp_err_t code =
        count == 1 ? rd_kafka_topic_result_error(topics[0]) : RD_KAFKA_RESP_ERR__FAIL;
    const char *text = count == 1 ? rd_kafka_topic_result_error_string(topics[0]) : NULL;
    *why_out = text ? text : rd_kafka_err2str(code);
    return code;
}

static weir_status create(rd_kafka_t *client, const char *name, struct wr_error *error)
{
    char text[256];
    const char *why = NULL;
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(name, WR_BENCH_PARTITIONS, -1, text, sizeof text);
    rd_kafka_NewTopic_set_config(topic, "retention.ms", "-1");
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WR_BENCH_WAIT_MS);
    if (!event) {
        wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE,
                "no broker answered when topic %s was to be "
                "made",
                name);
    } else if (created(event, &why)) {
        wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE, "cannot make topic %s: %s", name, why);
    }
    if (event) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    return error->status;
}

/* Until each partition has a leader: who asks earlier waits for a second. */
static weir_status await(rd_kafka_t *client, const char *name, struct wr_error *error)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    int partitions = 0;
    for (int waited = 0; partitions < WR_BENCH_PARTITIONS && waited < WR_BENCH_WAIT_MS;) {
        const struct rd_kafka_metadata *metadata = NULL;
        partitions = 0;
        if (rd_kafka_metadata(client, 0, topic, &metadata, WR_BENCH_WAIT_MS) == 0) {
            for (int i = 0; i < metadata->topics[0].partition_cnt; i++) {
                partitions += metadata->topics[0].partitions[i].leader >= 0;
            }
            rd_kafka_metadata_destroy(metadata);
        }
        if (partitions < WR_BENCH_PARTITIONS) {
            rd_kafka_poll(client, SETTLE_MS);
            waited += SETTLE_MS;
        }
    }
    rd_kafka_topic_destroy(topic);
    return partitions == WR_BENCH_PARTITIONS
               ? WEIR_OK
               : wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE,
                         "topic %s was made, and cannot be written to after %d s", name,
                         WR_BENCH_WAIT_MS / 1000);
}

static weir_status make_topic(void *data, void *result, struct wr_error *error)
{
    const struct naming *naming = data;
    const struct wr_bench_setting none[] = {{NULL, NULL}};
    rd_kafka_t *client = NULL;
    (void)result;
    WR_TRY(wr_bench_client(naming->bench, RD_KAFKA_PRODUCER, none, &client, error));
    if (create(client, naming->name, error) == WEIR_OK) {
        await(client, naming->name, error);
    }
    rd_kafka_destroy(client);
    return error->status;
}

weir_status wr_bench_topic_new(struct wr_bench *bench, char name_out[WR_BENCH_TOPIC_MAX],
                               struct wr_error *error)
{
    struct wr_bench_kafka *kafka = bench->kafka;
    struct naming naming = {bench, name_out};
    snprintf(name_out, WR_BENCH_TOPIC_MAX, "weir-bench-%08" PRIx32 "-%d", kafka->name,
             ++kafka->topics);
    return wr_bench_apart(make_topic, &naming, NULL, 0, error);
}

static weir_status remove_topic(void *data, void *result, struct wr_error *error)
{
    const struct naming *naming = data;
    const struct wr_bench_setting none[] = {{NULL, NULL}};
    rd_kafka_t *client = NULL;
    (void)result;
    WR_TRY(wr_bench_client(naming->bench, RD_KAFKA_PRODUCER, none, &client, error));
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(naming->name);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteTopics(client, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WR_BENCH_WAIT_MS);
    if (!event || rd_kafka_event_error(event)) {
        wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE, "topic %s is left behind: %s", naming->name,
                event ? rd_kafka_event_error_string(event) : "no broker answered");
    }
    if (event) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteTopic_destroy(topic);
    rd_kafka_destroy(client);
    return error->status;
}

void wr_bench_topic_remove(struct wr_bench *bench, const char *name)
{
    struct wr_error error = {.status = WEIR_OK};
    struct naming naming = {bench, name};
    if (wr_bench_apart(remove_topic, &naming, NULL, 0, &error) != WEIR_OK &&
        error.native != EINTR) {
        wr_log(bench->env, WR_LOG_WARN, "%s", error.text);
    }
}

/* ---- The input ------------------------------------------------------------------------------- */

struct filling {
    struct wr_bench *bench;
    const struct wr_bench_cell *cell;
    const char *topic;
    rd_kafka_t *client;
    rd_kafka_topic_t *handle;
    int64_t sent, from_ms;
};

/* By key, as Kafka's own clients place records. */
static weir_status put(struct filling *filling, const weir_record *record, struct wr_error *error)
{
    int64_t time_ms = filling->from_ms + filling->sent / RECORDS_PER_MS;
    int32_t partition = wr_partition_of(record->key, WR_BENCH_PARTITIONS);
    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_producev(
            filling->client, RD_KAFKA_V_RKT(filling->handle), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_KEY(record->key.data, record->key.size),
            RD_KAFKA_V_VALUE((void *)record->value.data, record->value.size),
            RD_KAFKA_V_TIMESTAMP(time_ms), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            break;
        }
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            return wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE, "cannot fill topic %s: %s",
                           filling->topic, rd_kafka_err2str(code));
        }
        rd_kafka_poll(filling->client, POLL_MS);
    }
    if (++filling->sent % TELL_RECORDS == 0) {
        rd_kafka_poll(filling->client, 0);
    }
    return WEIR_OK;
}

static weir_status put_all(struct filling *filling, struct wr_source *source,
                           struct wr_polled *polled, struct wr_error *error)
{
    enum wr_source_more more = WR_SOURCE_MORE;
    while (more != WR_SOURCE_ENDED) {
        wr_arena_reset(&polled->arena);
        WR_TRY(source->ops->poll(source, source->partitions[0], polled, &more, error));
        for (size_t i = 0; i < polled->count; i++) {
            WR_TRY(put(filling, &polled->records[i], error));
        }
    }
    rd_kafka_resp_err_t code = rd_kafka_flush(filling->client, 10 * WR_BENCH_WAIT_MS);
    return code ? wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE, "cannot fill topic %s: %s",
                          filling->topic, rd_kafka_err2str(code))
                : WEIR_OK;
}

static weir_status generate(struct filling *filling, struct wr_error *error)
{
    struct wr_arena arena;
    struct wr_endpoint endpoint;
    struct wr_source *source = NULL;
    struct wr_polled polled = {.count = 0};
    const struct wr_bench_cell *cell = filling->cell;
    char uri[WR_URI_BYTES_MAX];
    snprintf(uri, sizeof uri, "gen:keyed?keys=%" PRId64 "&size=%" PRId64 "&records=%" PRId64,
             cell->keys, cell->value_bytes, cell->records);
    wr_arena_init(&arena, 0);
    wr_arena_init(&polled.arena, (size_t)2 * WR_POLL_BYTES_MAX);
    weir_status status = wr_endpoint_parse(uri, true, &arena, &endpoint, error);
    if (status == WEIR_OK) {
        status = wr_source_open(filling->bench->env, "in", &endpoint, &arena, &source, error);
    }
    if (status == WEIR_OK) {
        status = put_all(filling, source, &polled, error);
    }
    if (source) {
        source->ops->close(source);
    }
    wr_arena_fini(&polled.arena);
    wr_arena_fini(&arena);
    return status;
}

static weir_status fill(void *data, void *result, struct wr_error *error)
{
    struct filling *filling = data;
    struct wr_env *env = filling->bench->env;
    (void)result;
    filling->from_ms = env->wall_ms(env) - filling->cell->records / RECORDS_PER_MS;
    WR_TRY(wr_bench_producer(filling->bench, filling->topic, "20", &filling->client,
                             &filling->handle, error));
    (void)generate(filling, error);
    rd_kafka_topic_destroy(filling->handle);
    rd_kafka_destroy(filling->client);
    return error->status;
}

weir_status wr_bench_topic_fill(struct wr_bench *bench, const struct wr_bench_cell *cell,
                                struct wr_error *error)
{
    struct wr_bench_kafka *kafka = bench->kafka;
    struct filling filling = {.bench = bench, .cell = cell, .topic = kafka->input};
    wr_assert(cell->records > 0);
    if (kafka->input[0] && kafka->records == cell->records && kafka->keys == cell->keys &&
        kafka->value_bytes == cell->value_bytes) {
        return WEIR_OK;
    }
    if (kafka->input[0]) {
        wr_bench_topic_remove(bench, kafka->input);
        kafka->input[0] = '\0';
    }
    WR_TRY(wr_bench_topic_new(bench, kafka->input, error));
    WR_TRY(wr_bench_apart(fill, &filling, NULL, 0, error));
    kafka->records = cell->records;
    kafka->keys = cell->keys;
    kafka->value_bytes = cell->value_bytes;
    return WEIR_OK;
}
