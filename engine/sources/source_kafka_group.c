/* source_kafka_group.c: positions that were decided, written to the consumer group weir.JOB, so
 * that Kafka's own tools and kcat show how far a job is. Nothing reads them back, and where they
 * cannot be written nothing else changes: it is said with -v.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/sources/source_kafka.h"

/* What the group has not, or NULL. */
static rd_kafka_topic_partition_list_t *collect(struct wr_kafka_source *source)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    size_t count = atomic_load(&source->listed);
    for (size_t i = 0; i < count; i++) {
        struct wr_kafka_partition *partition = wr_kafka_partition_of(source->list[i]);
        int64_t decided = atomic_load(&partition->decided);
        if (decided < 0 || decided == partition->told) {
            continue;
        }
        list = list ? list : rd_kafka_topic_partition_list_new((int)(count - i));
        rd_kafka_topic_partition_list_add(list, source->topic, partition->base.index)->offset =
            decided;
    }
    return list;
}

static void note_told(struct wr_kafka_source *source, const rd_kafka_topic_partition_list_t *list)
{
    size_t count = atomic_load(&source->listed);
    for (size_t i = 0; i < count; i++) {
        struct wr_kafka_partition *partition = wr_kafka_partition_of(source->list[i]);
        for (int j = 0; j < list->cnt; j++) {
            if (list->elems[j].partition == partition->base.index) {
                partition->told = list->elems[j].offset;
            }
        }
    }
}

/* Asks for it, and waits for the answer on a queue of its own, so that the wait has an end. */
static rd_kafka_resp_err_t tell(struct wr_kafka_source *source,
                                const rd_kafka_topic_partition_list_t *list, int wait_ms)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(source->client);
    rd_kafka_resp_err_t cause = rd_kafka_commit_queue(source->client, list, queue, NULL, NULL);
    if (cause == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, wait_ms);
        cause = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    return cause;
}

void wr_kafka_group_tell(struct wr_kafka_source *source, int wait_ms)
{
    if (!*source->group || atomic_load(&source->link.down)) {
        return;
    }
    rd_kafka_topic_partition_list_t *list = collect(source);
    if (!list) {
        return;
    }
    rd_kafka_resp_err_t cause = tell(source, list, wait_ms);
    if (cause == RD_KAFKA_RESP_ERR_NO_ERROR) {
        note_told(source, list);
    } else {
        wr_log(source->base.env, WR_LOG_DEBUG,
               "%s: positions cannot be shown in group %s: %s; only tools that look there miss "
               "them",
               source->what, source->group, rd_kafka_err2str(cause));
    }
    rd_kafka_topic_partition_list_destroy(list);
}
