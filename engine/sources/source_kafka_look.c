/* source_kafka_look.c: one round of questions to brokers: which partitions a topic has, where each
 * begins and ends, as a reader of what is committed sees it, and, of a new source, where ?start is
 * in it. Each is asked for all partitions together. Thread: control.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "engine/sources/source_kafka.h"

enum {
    AHEAD_KBYTES = 6144, /* fetched ahead, in all; as kafka_client.c has it for one partition */
    AHEAD_KBYTES_MIN = 512,
};

/* A source with several partitions fetches less ahead of each. Nothing uses the client yet. */
static weir_status share_memory(struct wr_kafka_source *source, int32_t partitions,
                                struct wr_error *error)
{
    int read = 0;
    for (int32_t i = 0; i < partitions; i++) {
        read += wr_kafka_wants(source, i);
    }
    int each = read > 1 ? AHEAD_KBYTES / read : AHEAD_KBYTES;
    return read > 1
               ? wr_kafka_connect(source, each < AHEAD_KBYTES_MIN ? AHEAD_KBYTES_MIN : each, error)
               : WEIR_OK;
}

static weir_status check_cluster(struct wr_kafka_source *source, const char *cluster,
                                 struct wr_error *error)
{
    const char *known = source->control.cluster; /* nobody else writes it */
    if (!*known || !*cluster || strcmp(known, cluster) == 0) {
        return WEIR_OK;
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "source %s: %.300s belonged to the cluster %.40s and belongs to %.40s now; "
                   "offsets mean other records there; give the brokers of the old one (-i %s=URI), "
                   "or read the new one from its beginning with --rewind %s=earliest",
                   source->base.name, source->endpoint.brokers, known, cluster, source->base.name,
                   source->base.name);
}

/* Asks for one offset of each partition in the list; `at` is a time, or one of librdkafka's logical
 * offsets. */
static rd_kafka_resp_err_t ask_offsets(struct wr_kafka_source *source,
                                       rd_kafka_topic_partition_list_t *list, int64_t at)
{
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = at;
        list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    return rd_kafka_offsets_for_times(source->client, list, WR_KAFKA_CALL_MS);
}

static weir_status reserve(struct wr_kafka_control *control, int32_t partitions,
                           struct wr_error *error)
{
    if (partitions <= control->room) {
        return WEIR_OK;
    }
    size_t count = (size_t)partitions;
    pthread_mutex_lock(&control->mutex);
    struct wr_kafka_extent *extents = realloc(control->extents, count * sizeof *extents);
    if (extents) {
        memset(extents + control->room, 0, (count - (size_t)control->room) * sizeof *extents);
        control->extents = extents;
        control->room = partitions;
    }
    pthread_mutex_unlock(&control->mutex);
    return extents ? WEIR_OK : wr_fail_memory(error);
}

/* Whether all was answered for; partitions without a leader are asked for again. */
static bool publish(struct wr_kafka_source *source, const rd_kafka_topic_partition_list_t *first,
                    const rd_kafka_topic_partition_list_t *end,
                    const rd_kafka_topic_partition_list_t *begin)
{
    bool all = true;
    struct wr_kafka_control *control = &source->control;
    for (int i = 0; i < first->cnt; i++) {
        const rd_kafka_topic_partition_t *a = &first->elems[i], *b = &end->elems[i];
        if (a->err || b->err || a->offset < 0 || b->offset < 0) {
            all = false;
            continue;
        }
        int64_t from = source->begin.from == WR_BEGIN_EARLIEST ? a->offset
                       : source->begin.from == WR_BEGIN_OFFSET ? source->begin.value
                                                               : b->offset;
        if (begin && (begin->elems[i].err || begin->elems[i].offset < -1)) {
            all = false;
            continue;
        }
        if (begin && begin->elems[i].offset >= 0) { /* -1: there is none so late */
            from = begin->elems[i].offset;
        }
        if (begin && from > b->offset) {
            from = b->offset; /* not yet committed */
        }
        control->extents[a->partition] =
            (struct wr_kafka_extent){.known = true, a->offset, b->offset, from};
    }
    return all;
}

/* Where the partitions in `list` begin and end. True: known of all of them. */
static bool ask_extents(struct wr_kafka_source *source, rd_kafka_topic_partition_list_t *list)
{
    struct wr_kafka_control *control = &source->control;
    rd_kafka_topic_partition_list_t *end = rd_kafka_topic_partition_list_copy(list);
    rd_kafka_topic_partition_list_t *begin =
        source->begin.from == WR_BEGIN_TIME ? rd_kafka_topic_partition_list_copy(list) : NULL;
    rd_kafka_resp_err_t cause = ask_offsets(source, list, RD_KAFKA_OFFSET_BEGINNING);
    if (!cause) {
        cause = ask_offsets(source, end, RD_KAFKA_OFFSET_END);
    }
    if (!cause && begin) {
        cause = ask_offsets(source, begin, source->begin.value);
    }
    bool all = false;
    if (!cause) {
        pthread_mutex_lock(&control->mutex);
        all = publish(source, list, end, begin);
        atomic_fetch_add(&control->news, 1);
        pthread_mutex_unlock(&control->mutex);
    } else {
        wr_kafka_link_check(source->client);
        wr_log(source->base.env, WR_LOG_DEBUG,
               "%s: cannot ask for the offsets of topic %s: %s; asked again", source->what,
               source->topic, rd_kafka_err2str(cause));
    }
    rd_kafka_topic_partition_list_destroy(end);
    if (begin) {
        rd_kafka_topic_partition_list_destroy(begin);
    }
    return all;
}

void wr_kafka_wake(struct wr_kafka_source *source)
{
    int32_t partitions = source->control.partitions;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int32_t i = 0; i < partitions; i++) {
        if (wr_kafka_wants(source, i)) {
            rd_kafka_topic_partition_list_add(list, source->topic, i);
        }
    }
    if (list->cnt > 0) {
        (void)ask_offsets(source, list, RD_KAFKA_OFFSET_END);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

weir_status wr_kafka_look(struct wr_kafka_source *source, struct wr_error *error)
{
    struct wr_kafka_control *control = &source->control;
    char cluster[WR_KAFKA_CLUSTER_BYTES_MAX] = "";
    int32_t partitions = 0;
    pthread_mutex_lock(&control->mutex);
    uint64_t asked = control->asked;
    bool always = asked > control->answered;
    pthread_mutex_unlock(&control->mutex);
    WR_TRY(wr_kafka_topic(source->client, &source->link, source->topic, WR_KAFKA_CALL_MS,
                          &partitions, cluster, sizeof cluster, error));
    control->gone = 0;
    WR_TRY(check_cluster(source, cluster, error));
    WR_TRY(reserve(control, partitions, error));
    if (control->partitions == 0) {
        WR_TRY(share_memory(source, partitions, error));
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int32_t i = 0; i < partitions; i++) {
        if (wr_kafka_wants(source, i) && (always || !control->extents[i].known)) {
            rd_kafka_topic_partition_list_add(list, source->topic, i);
        }
    }
    pthread_mutex_lock(&control->mutex);
    memcpy(control->cluster, *cluster ? cluster : control->cluster, sizeof control->cluster);
    control->partitions = partitions;
    pthread_mutex_unlock(&control->mutex);
    bool some = list->cnt > 0;
    bool all = !some || ask_extents(source, list);
    rd_kafka_topic_partition_list_destroy(list);
    pthread_mutex_lock(&control->mutex);
    if (all) {
        control->whole = true;
        control->answered = asked > control->answered ? asked : control->answered;
    }
    pthread_cond_broadcast(&control->for_source);
    pthread_mutex_unlock(&control->mutex);
    if (some) {
        wr_kafka_ring(source);
    }
    return WEIR_OK;
}
