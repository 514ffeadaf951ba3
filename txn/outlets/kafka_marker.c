/* kafka_marker.c: the marker of a sink: a committed offset of the group weir.STORE-ID.SINK on
 * partition 0 of the sink's own topic. Its offset is the next log offset; its metadata is
 *
 *   1 INCARNATION CRC ENDS        16 hex digits, 8 hex digits, decimal
 *
 * INCARNATION is that of the process that sent it, CRC the running CRC of the log below it, ENDS
 * the sum of the topic's partition ends as known when it was sent. The group has no members:
 * offsets are committed in transactions only.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/outlets/kafka_forward.h"

enum { METADATA_MAX = 80 };

#define refuse(outlet, error, format, ...)                                                         \
    wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG, "sink %s: " format, (outlet)->name, __VA_ARGS__)

/* ---- Reading --------------------------------------------------------------------------------- */

static bool parse(const char *text, size_t size, struct wr_kafka_marker *marker)
{
    char copy[METADATA_MAX];
    int read = 0;
    if (!text || size >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    return sscanf(copy, "1 %16" SCNx64 " %8" SCNx32 " %18" SCNd64 "%n", &marker->incarnation,
                  &marker->at.crc, &marker->ends, &read) == 3 &&
           (size_t)read == size;
}

static weir_status take_partition(struct wr_kafka_outlet *outlet,
                                  const rd_kafka_topic_partition_t *partition,
                                  struct wr_error *error)
{
    struct wr_kafka_marker *found = &outlet->found;
    if (partition->err) {
        return wr_kafka_fail(error, partition->err, "sink %s: cannot read its marker, group %s",
                             outlet->name, outlet->group);
    }
    *found = (struct wr_kafka_marker){.found = partition->offset >= 0};
    if (!found->found) {
        return WEIR_OK;
    }
    found->at.next = partition->offset;
    if (!parse(partition->metadata, partition->metadata_size, found)) {
        return refuse(outlet, error,
                      "its marker, the committed offset of group %s on topic %s, is %" PRId64
                      " but was not set by weir; another program changed it. Delete the group's "
                      "offset and start with --marker-from store, which may send again what was "
                      "sent last",
                      outlet->group, outlet->topic, found->at.next);
    }
    return WEIR_OK;
}

static weir_status take_result(struct wr_kafka_outlet *outlet, rd_kafka_event_t *event,
                               struct wr_error *error)
{
    rd_kafka_resp_err_t cause = rd_kafka_event_error(event);
    size_t count = 0;
    if (cause) {
        return wr_kafka_fail(error, cause, "sink %s: cannot read its marker, group %s (%.200s)",
                             outlet->name, outlet->group, rd_kafka_event_error_string(event));
    }
    const rd_kafka_ListConsumerGroupOffsets_result_t *result =
        rd_kafka_event_ListConsumerGroupOffsets_result(event);
    const rd_kafka_group_result_t **groups =
        rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count);
    const rd_kafka_error_t *refused = count == 1 ? rd_kafka_group_result_error(groups[0]) : NULL;
    if (refused || count != 1) {
        return wr_kafka_fail(
            error, refused ? rd_kafka_error_code(refused) : RD_KAFKA_RESP_ERR__BAD_MSG,
            "sink %s: cannot read its marker, group %s", outlet->name, outlet->group);
    }
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(groups[0]);
    outlet->found = (struct wr_kafka_marker){.found = false};
    for (int i = 0; list && i < list->cnt; i++) {
        if (list->elems[i].partition == 0 && strcmp(list->elems[i].topic, outlet->topic) == 0) {
            return take_partition(outlet, &list->elems[i], error);
        }
    }
    return WEIR_OK;
}

/* Read-committed ("stable"): while a transaction that has this marker is open, an older value would
 * be answered otherwise. */
static weir_status ask(struct wr_kafka_outlet *outlet, rd_kafka_queue_t *queue, int timeout_ms,
                       struct wr_error *error)
{
    rd_kafka_t *client = outlet->forward->client;
    char text[200];
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, outlet->topic, 0);
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(outlet->group, list);
    rd_kafka_error_t *refused = rd_kafka_AdminOptions_set_require_stable_offsets(options, 1);
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof text);
    rd_kafka_AdminOptions_set_opaque(options, outlet);
    if (!refused) {
        rd_kafka_ListConsumerGroupOffsets(client, &request, 1, options, queue);
    }
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_AdminOptions_destroy(options);
    return refused ? wr_kafka_fail_error(error, refused, "sink %s: cannot ask for its marker",
                                         outlet->name)
                   : WEIR_OK;
}

static weir_status read_all(struct wr_kafka_forward *forward, rd_kafka_queue_t *queue,
                            int timeout_ms, struct wr_error *error)
{
    size_t asked = 0;
    for (struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        WR_TRY(ask(at, queue, timeout_ms, error));
        asked++;
    }
    for (; asked > 0; asked--) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
        if (!event) {
            return wr_kafka_fail(error, RD_KAFKA_RESP_ERR__TIMED_OUT, "%s: cannot read markers",
                                 forward->what);
        }
        weir_status status = take_result(rd_kafka_event_opaque(event), event, error);
        rd_kafka_event_destroy(event);
        WR_TRY(status);
    }
    return WEIR_OK;
}

weir_status wr_kafka_markers_read(struct wr_kafka_forward *forward, int timeout_ms,
                                  struct wr_error *error)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(forward->client);
    weir_status status = read_all(forward, queue, timeout_ms, error);
    rd_kafka_queue_destroy(queue);
    return status;
}

/* ---- Sending --------------------------------------------------------------------------------- */

rd_kafka_error_t *wr_kafka_marker_send(struct wr_kafka_outlet *outlet, int timeout_ms)
{
    char metadata[METADATA_MAX];
    wr_assert_that(outlet->marked.next, >=, 0); /* a negative one would be dropped without a word */
    int size =
        snprintf(metadata, sizeof metadata, "1 %016" PRIx64 " %08" PRIx32 " %" PRId64,
                 outlet->forward->incarnation, outlet->marked.crc, wr_kafka_ends_sum(outlet));
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new(outlet->group);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *partition =
        rd_kafka_topic_partition_list_add(list, outlet->topic, 0);
    partition->offset = outlet->marked.next;
    partition->metadata = metadata;
    partition->metadata_size = (size_t)size;
    rd_kafka_error_t *refused =
        rd_kafka_send_offsets_to_transaction(outlet->forward->client, list, group, timeout_ms);
    partition->metadata = NULL; /* ours, not the list's */
    partition->metadata_size = 0;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_group_metadata_destroy(group);
    return refused;
}
