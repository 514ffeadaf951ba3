/* kafka_ends.c: where the partitions of the sinks' topics end. Offsets only grow, also over a
 * crash; so an end that fell says that the topic is not the one that was sent to.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "txn/outlets/kafka_forward.h"

#define refuse(outlet, error, format, ...)                                                         \
    wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG, "sink %s: " format, (outlet)->name, __VA_ARGS__)

int64_t wr_kafka_ends_sum(const struct wr_kafka_outlet *outlet)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < outlet->partitions; i++) {
        sum += outlet->ends[i];
    }
    return sum;
}

weir_status wr_kafka_ends_fallen(const struct wr_kafka_outlet *outlet, struct wr_error *error)
{
    return refuse(outlet, error,
                  "partition %d of topic %s ended at %" PRId64 " and ends at %" PRId64
                  " now: the topic was deleted and made again during the run, or its end was cut "
                  "off. What was sent is gone from it; start with --marker-from store to send what "
                  "comes next all the same",
                  (int)outlet->fallen, outlet->topic, outlet->ends[outlet->fallen],
                  outlet->fallen_to);
}

static weir_status grow(struct wr_kafka_outlet *outlet, int32_t partitions, struct wr_error *error)
{
    if (partitions < outlet->partitions) {
        outlet->fallen = partitions;
        outlet->fallen_to = 0;
        return wr_kafka_ends_fallen(outlet, error);
    }
    if (outlet->place == WR_KAFKA_FIXED && outlet->partition >= partitions) {
        return refuse(outlet, error,
                      "topic %s has %d partitions, 0 to %d, so ?partition=%d cannot be",
                      outlet->topic, (int)partitions, (int)partitions - 1, (int)outlet->partition);
    }
    int64_t *ends = realloc(outlet->ends, (size_t)partitions * sizeof *ends);
    if (!ends) {
        return wr_fail_memory(error);
    }
    for (int32_t i = outlet->partitions; i < partitions; i++) {
        ends[i] = 0;
    }
    outlet->ends = ends;
    outlet->partitions = partitions;
    return WEIR_OK;
}

static weir_status take_ends(struct wr_kafka_outlet *outlet,
                             const rd_kafka_topic_partition_list_t *list, struct wr_error *error)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        if (at->err) {
            return wr_kafka_fail(error, at->err, "sink %s: cannot look up where topic %s ends",
                                 outlet->name, outlet->topic);
        }
        if (at->partition >= outlet->partitions || at->offset < 0) {
            continue;
        }
        bool accepted = outlet->forward->from_store && !outlet->forward->claimed;
        if (at->offset < outlet->ends[at->partition] && !accepted) {
            outlet->fallen = at->partition;
            outlet->fallen_to = at->offset;
            return wr_kafka_ends_fallen(outlet, error);
        }
        outlet->ends[at->partition] = at->offset;
    }
    return WEIR_OK;
}

static weir_status look_one(struct wr_kafka_outlet *outlet, struct wr_error *error)
{
    struct wr_kafka_forward *forward = outlet->forward;
    int32_t partitions = 0;
    WR_TRY(wr_kafka_topic(forward->client, &forward->link, outlet->topic, WR_KAFKA_CALL_MS,
                          &partitions, forward->cluster, sizeof forward->cluster, error));
    WR_TRY(grow(outlet, partitions, error));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int32_t i = 0; i < partitions; i++) {
        rd_kafka_topic_partition_list_add(list, outlet->topic, i)->offset = RD_KAFKA_OFFSET_END;
    }
    rd_kafka_resp_err_t cause = rd_kafka_offsets_for_times(forward->client, list, WR_KAFKA_CALL_MS);
    weir_status status =
        cause ? wr_kafka_fail(error, cause, "sink %s: cannot look up where topic %s ends",
                              outlet->name, outlet->topic)
              : take_ends(outlet, list, error);
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

weir_status wr_kafka_ends_look(struct wr_kafka_forward *forward, struct wr_error *error)
{
    for (struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        WR_TRY(look_one(at, error));
    }
    return WEIR_OK;
}
