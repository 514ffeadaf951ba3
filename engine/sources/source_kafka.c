/* source_kafka.c: kafka://HOST:PORT/TOPIC, a topic of Kafka: the source opened and closed, and what
 * of the seam has no file of its own. source_kafka.h names the others.
 *
 * Relies on kafka_client.h. Promises: records come out as they went in, of committed transactions
 * only; the engine's positions alone say where reading goes on, never a consumer group; while no
 * broker can be reached it waits.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/sources/source_kafka.h"

bool wr_kafka_wants(const struct wr_kafka_source *source, int32_t number)
{
    return wr_endpoint_next_partition(&source->endpoint, number) == number;
}

void wr_kafka_ring(struct wr_kafka_source *source)
{
    struct wr_kafka_bell *bell = &source->bell;
    pthread_mutex_lock(&bell->mutex);
    if (bell->ring) {
        bell->ring(bell->data);
    }
    pthread_mutex_unlock(&bell->mutex);
}

/* ---- The rest of the seam -------------------------------------------------------------------- */

static void kafka_listen(struct wr_source *base, void (*ring)(void *data), void *data)
{
    struct wr_kafka_bell *bell = &wr_kafka_source_of(base)->bell;
    pthread_mutex_lock(&bell->mutex);
    bell->ring = ring;
    bell->data = data;
    pthread_mutex_unlock(&bell->mutex);
}

static bool kafka_is_away(struct wr_source *base)
{
    const struct wr_kafka_source *source = wr_kafka_source_of(base);
    return atomic_load_explicit(&source->link.down, memory_order_relaxed) ||
           base->partition_count == 0;
}

/* What brokers told with the last records; nothing is asked. */
static int64_t kafka_lag(struct wr_source *base, const struct wr_source_partition *at)
{
    struct wr_kafka_source *source = wr_kafka_source_of(base);
    struct wr_kafka_partition *partition = (struct wr_kafka_partition *)(uintptr_t)at;
    struct wr_kafka_extent extent;
    int64_t first = -1, end = -1;
    atomic_store_explicit(&partition->decided, at->decided, memory_order_relaxed);
    if (at->next >= at->end) {
        return 0;
    }
    if (!partition->queue || rd_kafka_get_watermark_offsets(source->client, source->topic,
                                                            at->index, &first, &end) != 0) {
        end = -1;
    }
    if (end < 0) {
        if (!wr_kafka_extent_of(source, at->index, 0, &extent)) {
            return -1;
        }
        end = extent.end;
    }
    end = end < at->end ? end : at->end;
    return end > at->next ? end - at->next : 0;
}

static void kafka_close(struct wr_source *base)
{
    struct wr_kafka_source *source = wr_kafka_source_of(base);
    wr_kafka_control_stop(source);
    wr_kafka_drop_held(source);
    for (size_t i = 0; i < base->partition_count; i++) {
        struct wr_kafka_partition *partition = wr_kafka_partition_of(source->list[i]);
        if (partition->queue) {
            rd_kafka_queue_cb_event_enable(partition->queue, NULL, NULL);
            rd_kafka_queue_destroy(partition->queue);
            partition->queue = NULL;
        }
    }
    wr_kafka_client_free(source->client);
    source->client = NULL;
    free(source->control.extents);
    source->control.extents = NULL;
    pthread_cond_destroy(&source->control.for_source);
    pthread_cond_destroy(&source->control.for_control);
    pthread_mutex_destroy(&source->control.mutex);
    pthread_mutex_destroy(&source->bell.mutex);
}

static const struct wr_source_ops kafka_ops = {
    .scheme = "kafka",
    .poll = wr_kafka_poll,
    .arrange = wr_kafka_arrange,
    .discover = wr_kafka_discover,
    .seek = wr_kafka_seek,
    .bound = wr_kafka_bound,
    .lag = kafka_lag,
    .listen = kafka_listen,
    .is_away = kafka_is_away,
    .close = kafka_close,
};

/* ---- Opening --------------------------------------------------------------------------------- */

weir_status wr_kafka_connect(struct wr_kafka_source *source, int kilobytes, struct wr_error *error)
{
    char ahead[16], ahead_name[] = "queued.max.messages.kbytes";
    char again_name[] = "fetch.error.backoff.ms", again[] = "10";
    const struct wr_kafka_properties *given = source->properties;
    size_t count = given ? given->count : 0;
    struct wr_kafka_properties all = {.items = calloc(count + 2, sizeof *all.items)};
    if (!all.items) {
        return wr_fail_memory(error);
    }
    snprintf(ahead, sizeof ahead, "%d", kilobytes);
    /* So long nothing is fetched, too, once as much is there as was asked for. The user's own come
     * later, and win. */
    all.items[all.count++] = (struct wr_kafka_property){NULL, again_name, again};
    if (kilobytes > 0) {
        all.items[all.count++] = (struct wr_kafka_property){NULL, ahead_name, ahead};
    }
    for (size_t i = 0; i < count; i++) {
        all.items[all.count++] = given->items[i];
    }
    rd_kafka_t *client = NULL; /* until there is another one, that which there is stays */
    struct wr_kafka_client_options options = {.role = WR_KAFKA_CONSUMER,
                                              .endpoint = source->base.name,
                                              .brokers = source->endpoint.brokers,
                                              .id = *source->group ? source->group : NULL,
                                              .properties = &all,
                                              .link = &source->link};
    weir_status status = wr_kafka_client_new(&options, &client, error);
    free(all.items);
    WR_TRY(status);
    wr_kafka_client_free(source->client);
    source->client = client;
    return WEIR_OK;
}

static bool init_locks(struct wr_kafka_source *source)
{
    pthread_condattr_t attributes;
    bool good = pthread_condattr_init(&attributes) == 0 &&
                pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&source->control.for_control, &attributes) == 0 &&
                pthread_cond_init(&source->control.for_source, &attributes) == 0 &&
                pthread_mutex_init(&source->control.mutex, NULL) == 0 &&
                pthread_mutex_init(&source->bell.mutex, NULL) == 0;
    pthread_condattr_destroy(&attributes);
    return good;
}

static enum wr_kafka_missing missing_of(const struct wr_endpoint *endpoint)
{
    const char *given = wr_endpoint_parameter(endpoint, "missing");
    return !given || strcmp(given, "fail") == 0 ? WR_KAFKA_MISSING_FAIL
           : strcmp(given, "earliest") == 0     ? WR_KAFKA_MISSING_EARLIEST
                                                : WR_KAFKA_MISSING_LATEST;
}

weir_status wr_source_kafka_open(struct wr_env *env, const char *name,
                                 const struct wr_endpoint *endpoint, const char *job,
                                 const struct wr_kafka_properties *properties,
                                 struct wr_arena *arena, struct wr_source **source_out,
                                 struct wr_error *error)
{
    struct wr_kafka_source *source = wr_arena_zalloc(arena, sizeof *source);
    if (!source || !init_locks(source)) {
        return wr_fail_memory(error);
    }
    source->base = (struct wr_source){
        .ops = &kafka_ops, .env = env, .name = name, .leaps = true, .partitions = source->list};
    source->arena = arena;
    source->endpoint = *endpoint;
    source->topic = endpoint->path;
    source->begin = wr_endpoint_begin(endpoint);
    source->missing = missing_of(endpoint);
    source->properties = properties;
    source->batch = WR_POLL_RECORDS_MAX;
    snprintf(source->what, sizeof source->what, "source %s", name);
    if (job) {
        snprintf(source->group, sizeof source->group, "weir.%s", job);
    }
    source->link = (struct wr_kafka_link){
        .env = env, .what = source->what, .brokers = source->endpoint.brokers};
    weir_status status = wr_kafka_connect(source, 0, error);
    if (status != WEIR_OK) {
        kafka_close(&source->base);
        return status;
    }
    *source_out = &source->base;
    return WEIR_OK;
}
