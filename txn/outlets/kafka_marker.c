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

/* The producer cannot be asked: a broker that is not the group's coordinator any more, or not yet,
 * would end the process (librdkafka #5040, ListConsumerGroupOffsets on a client without a group).
 * So each marker has a reader, a client of its group, until all are read. */
static weir_status make_reader(struct wr_kafka_outlet *outlet, struct wr_error *error)
{
    struct wr_kafka_forward *forward = outlet->forward;
    struct wr_kafka_client_options options = {.role = WR_KAFKA_MARKERS,
                                              .endpoint = outlet->name,
                                              .brokers = forward->brokers,
                                              .id = outlet->group,
                                              .properties = forward->properties,
                                              .link = &forward->link};
    return outlet->reader ? WEIR_OK : wr_kafka_client_new(&options, &outlet->reader, error);
}

/* Read-committed: while a transaction that has this marker is open, an older value would be
 * answered otherwise. */
static weir_status ask(struct wr_kafka_outlet *outlet, int timeout_ms, struct wr_error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *marker = rd_kafka_topic_partition_list_add(list, outlet->topic, 0);
    rd_kafka_resp_err_t cause = rd_kafka_committed(outlet->reader, list, timeout_ms);
    weir_status status =
        cause ? wr_kafka_fail(error, cause, "sink %s: cannot read its marker, group %s",
                              outlet->name, outlet->group)
              : take_partition(outlet, marker, error);
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

weir_status wr_kafka_markers_read(struct wr_kafka_forward *forward, int timeout_ms,
                                  struct wr_error *error)
{
    for (struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        WR_TRY(make_reader(at, error));
    }
    for (struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        wr_kafka_forward_call(forward, timeout_ms);
        WR_TRY(ask(at, timeout_ms, error));
    }
    wr_kafka_readers_free(forward);
    return WEIR_OK;
}

void wr_kafka_readers_free(struct wr_kafka_forward *forward)
{
    for (struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        wr_kafka_client_free(at->reader);
        at->reader = NULL;
    }
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
