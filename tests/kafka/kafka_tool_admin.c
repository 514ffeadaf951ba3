/* kafka_tool: topics, ends of partitions, offsets of groups.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/kafka/kafka_tool.h"
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* ---- Asking an administrator's client */

struct admin {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
    const struct tool *tool;
};

static void admin_open(struct admin *admin, const struct tool *tool)
{
    const char *const settings[] = {NULL};
    char text[256];
    admin->tool = tool;
    admin->client = tool_open(tool, RD_KAFKA_PRODUCER, settings);
    admin->queue = rd_kafka_queue_new(admin->client);
    admin->options = rd_kafka_AdminOptions_new(admin->client, RD_KAFKA_ADMIN_OP_ANY);
    if (rd_kafka_AdminOptions_set_request_timeout(admin->options, tool_ms_max(tool), text,
                                                  sizeof text)) {
        tool_fail(EX_SOFTWARE, "%s", text);
    }
}

static void admin_close(struct admin *admin)
{
    rd_kafka_AdminOptions_destroy(admin->options);
    rd_kafka_queue_destroy(admin->queue);
    rd_kafka_destroy(admin->client);
}

/* What a request came to; its caller destroys it. */
static rd_kafka_event_t *admin_event(struct admin *admin)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(admin->queue, tool_ms_max(admin->tool));
    if (!event || rd_kafka_event_error(event)) {
        tool_fail(EX_UNAVAILABLE, "%s", event ? rd_kafka_event_error_string(event) : "no answer");
    }
    return event;
}

static void need_group(const rd_kafka_group_result_t **results, size_t count)
{
    const rd_kafka_error_t *error = count == 1 ? rd_kafka_group_result_error(results[0]) : NULL;
    if (count != 1 || error) {
        tool_fail(1, "group: %s", error ? rd_kafka_error_string(error) : "no result");
    }
}

static void need_topic(const rd_kafka_topic_result_t **results, size_t count)
{
    if (count != 1 || rd_kafka_topic_result_error(results[0])) {
        const char *text = count == 1 ? rd_kafka_topic_result_error_string(results[0]) : NULL;
        tool_fail(1, "topic %s: %s", count == 1 ? rd_kafka_topic_result_name(results[0]) : "?",
                  text ? text : "no result");
    }
}

/* Every partition has a leader: who asks now finds the topic. */
static bool is_ready(const struct admin *admin, const char *topic, int64_t partitions)
{
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(admin->client, 1, NULL, &metadata, tool_ms_max(admin->tool))) {
        return false;
    }
    int64_t ready = 0;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *one = &metadata->topics[i];
        for (int j = 0; strcmp(one->topic, topic) == 0 && j < one->partition_cnt; j++) {
            ready += one->partitions[j].leader >= 0;
        }
    }
    rd_kafka_metadata_destroy(metadata);
    return ready == partitions;
}

static void wait_until_ready(const struct admin *admin, const char *topic, int64_t partitions)
{
    for (int i = 0; !is_ready(admin, topic, partitions); i++) {
        if (i > tool_ms_max(admin->tool) / 10) {
            tool_fail(EX_UNAVAILABLE, "topic %s never got its partitions", topic);
        }
        usleep(10000);
    }
}

/* ---- Topics */

void tool_topics(const struct tool *tool, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    const char *const settings[] = {NULL};
    rd_kafka_t *client = tool_open(tool, RD_KAFKA_PRODUCER, settings);
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 1, NULL, &metadata, tool_ms_max(tool));
    if (code) {
        tool_fail(EX_UNAVAILABLE, "%s: %s", name, rd_kafka_err2str(code));
    }
    for (int i = 0; i < metadata->topic_cnt; i++) {
        printf("%s %d\n", metadata->topics[i].topic, metadata->topics[i].partition_cnt);
    }
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_destroy(client);
}

static rd_kafka_event_t *create(struct admin *admin, const struct tool *tool, int64_t partitions)
{
    char text[256];
    rd_kafka_NewTopic_t *one =
        rd_kafka_NewTopic_new(tool->words[0], (int)partitions, 1, text, sizeof text);
    if (!one) {
        tool_fail(EX_USAGE, "%s", text);
    }
    for (int i = 2; i < tool->word_count; i++) {
        char *value = strchr(tool->words[i], '=');
        if (!value) {
            tool_fail(EX_USAGE, "%s: CONFIG=VALUE is needed", tool->words[i]);
        }
        *value = 0;
        rd_kafka_NewTopic_set_config(one, tool->words[i], value + 1);
    }
    rd_kafka_CreateTopics(admin->client, &one, 1, admin->options, admin->queue);
    rd_kafka_NewTopic_destroy(one);
    rd_kafka_event_t *event = admin_event(admin);
    size_t count;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    need_topic(results, count);
    return event;
}

static rd_kafka_event_t *remove_topic(struct admin *admin, const struct tool *tool)
{
    rd_kafka_DeleteTopic_t *one = rd_kafka_DeleteTopic_new(tool->words[0]);
    rd_kafka_DeleteTopics(admin->client, &one, 1, admin->options, admin->queue);
    rd_kafka_DeleteTopic_destroy(one);
    rd_kafka_event_t *event = admin_event(admin);
    size_t count;
    const rd_kafka_topic_result_t **results =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    need_topic(results, count);
    return event;
}

static rd_kafka_event_t *add_partitions(struct admin *admin, const struct tool *tool,
                                        int64_t partitions)
{
    char text[256];
    rd_kafka_NewPartitions_t *one =
        rd_kafka_NewPartitions_new(tool->words[0], (size_t)partitions, text, sizeof text);
    if (!one) {
        tool_fail(EX_USAGE, "%s", text);
    }
    rd_kafka_CreatePartitions(admin->client, &one, 1, admin->options, admin->queue);
    rd_kafka_NewPartitions_destroy(one);
    rd_kafka_event_t *event = admin_event(admin);
    size_t count;
    const rd_kafka_topic_result_t **results = rd_kafka_CreatePartitions_result_topics(
        rd_kafka_event_CreatePartitions_result(event), &count);
    need_topic(results, count);
    return event;
}

void tool_change_topic(const struct tool *tool, const char *name)
{
    struct admin admin;
    int64_t partitions = 0;
    rd_kafka_event_t *event;
    admin_open(&admin, tool);
    if (tool->word_count > 1) {
        partitions = tool_number(tool->words[1], "partitions");
    }
    if (strcmp(name, "create") == 0) {
        event = create(&admin, tool, partitions);
    } else if (strcmp(name, "delete") == 0) {
        event = remove_topic(&admin, tool);
    } else {
        event = add_partitions(&admin, tool, partitions);
    }
    rd_kafka_event_destroy(event);
    wait_until_ready(&admin, tool->words[0], partitions);
    admin_close(&admin);
}

static void need_partition(const rd_kafka_topic_partition_list_t *list, const char *what)
{
    for (int i = 0; i < list->cnt; i++) {
        if (list->elems[i].err) {
            tool_fail(1, "%s: %s [%d]: %s", what, list->elems[i].topic, list->elems[i].partition,
                      rd_kafka_err2str(list->elems[i].err));
        }
    }
}

void tool_delete_records(const struct tool *tool, const char *name)
{
    struct admin admin;
    admin_open(&admin, tool);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    int32_t partition = (int32_t)tool_number(tool->words[1], "partition");
    rd_kafka_topic_partition_list_add(list, tool->words[0], partition)->offset =
        tool_number(tool->words[2], "offset");
    rd_kafka_DeleteRecords_t *one = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(admin.client, &one, 1, admin.options, admin.queue);
    rd_kafka_DeleteRecords_destroy(one);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_event_t *event = admin_event(&admin);
    need_partition(
        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event)), name);
    rd_kafka_event_destroy(event);
    admin_close(&admin);
}

/* What a broker answers, or its client says, until it leads its partitions again. */
static bool comes_back(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
           code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == RD_KAFKA_RESP_ERR__TRANSPORT;
}

/* librdkafka keeps what a broker once said of a topic, such as that it has no partitions while the
 * broker still comes up, and asks again only after minutes, unless it is told to. */
static void ask_anew(const struct tool *tool, rd_kafka_t *client, const char *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    if (rd_kafka_metadata(client, 0, handle, &metadata, tool_ms_max(tool)) == 0) {
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
}

void tool_ends_of(const struct tool *tool, rd_kafka_t *client, const char *topic, int32_t partition,
                  int64_t *low, int64_t *high)
{
    /* A broker that has just come back does not lead its partitions at once. */
    for (int tries = 10 * (int)tool->seconds_max;; tries--) {
        rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(client, topic, partition, low,
                                                                    high, tool_ms_max(tool));
        if (!code) {
            return;
        }
        if (tries <= 0 || !comes_back(code)) {
            tool_fail(EX_UNAVAILABLE, "cannot ask for the end of %s [%d]: %s", topic, partition,
                      rd_kafka_err2str(code));
        }
        usleep(100000);
        ask_anew(tool, client, topic);
    }
}

void tool_ends(const struct tool *tool, const char *name)
{
    const char *topic = tool->words[0];
    rd_kafka_t *all = tool_consumer(tool, "read_uncommitted", name);
    rd_kafka_t *stable = tool_consumer(tool, "read_committed", name);
    int32_t partitions = tool_partitions(tool, all, topic);
    for (int32_t i = 0; i < partitions; i++) {
        int64_t low, high, last;
        tool_ends_of(tool, stable, topic, i, &low, &last);
        tool_ends_of(tool, all, topic, i, &low, &high);
        printf("{\"partition\":%d,\"low\":%lld,\"high\":%lld,\"stable\":%lld}\n", i, (long long)low,
               (long long)high, (long long)last);
    }
    rd_kafka_destroy(all);
    rd_kafka_destroy(stable);
}

/* ---- Groups */

void tool_group(const struct tool *tool, const char *name)
{
    rd_kafka_t *client = tool_consumer(tool, "read_committed", tool->words[0]);
    int32_t partitions = tool_partitions(tool, client, tool->words[1]);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int32_t i = 0; i < partitions; i++) {
        if (tool->partition < 0 || tool->partition == i) {
            rd_kafka_topic_partition_list_add(list, tool->words[1], i);
        }
    }
    rd_kafka_resp_err_t code = rd_kafka_committed(client, list, tool_ms_max(tool));
    if (code) {
        tool_fail(EX_UNAVAILABLE, "%s %s: %s", name, tool->words[0], rd_kafka_err2str(code));
    }
    need_partition(list, name);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &list->elems[i];
        printf("{\"partition\":%d,\"offset\":", one->partition);
        if (one->offset < 0) {
            printf("null,\"metadata\":null}\n");
        } else {
            printf("%lld,", (long long)one->offset);
            tool_print_bytes("metadata", one->metadata ? one->metadata : "", one->metadata_size);
            printf("}\n");
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(client);
}

static void delete_offset(const struct tool *tool, const rd_kafka_topic_partition_list_t *list)
{
    struct admin admin;
    admin_open(&admin, tool);
    rd_kafka_DeleteConsumerGroupOffsets_t *one =
        rd_kafka_DeleteConsumerGroupOffsets_new(tool->words[0], list);
    rd_kafka_DeleteConsumerGroupOffsets(admin.client, &one, 1, admin.options, admin.queue);
    rd_kafka_DeleteConsumerGroupOffsets_destroy(one);
    rd_kafka_event_t *event = admin_event(&admin);
    size_t count;
    const rd_kafka_group_result_t **results = rd_kafka_DeleteConsumerGroupOffsets_result_groups(
        rd_kafka_event_DeleteConsumerGroupOffsets_result(event), &count);
    need_group(results, count);
    need_partition(rd_kafka_group_result_partitions(results[0]), "delete");
    rd_kafka_event_destroy(event);
    admin_close(&admin);
}

void tool_set_group(const struct tool *tool, const char *name)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(
        list, tool->words[1], tool->partition < 0 ? 0 : tool->partition);
    if (strcmp(tool->words[2], "delete") == 0) {
        delete_offset(tool, list);
    } else {
        rd_kafka_t *client = tool_consumer(tool, "read_committed", tool->words[0]);
        one->offset = tool_number(tool->words[2], "offset");
        if (tool->word_count > 3) {
            one->metadata = strdup(tool->words[3]); /* freed with the list */
            one->metadata_size = strlen(tool->words[3]);
        }
        rd_kafka_resp_err_t code = rd_kafka_commit(client, list, 0);
        if (code) {
            tool_fail(1, "%s %s: %s", name, tool->words[0], rd_kafka_err2str(code));
        }
        need_partition(list, name);
        rd_kafka_destroy(client);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

void tool_delete_group(const struct tool *tool, const char *name)
{
    struct admin admin;
    (void)name;
    admin_open(&admin, tool);
    rd_kafka_DeleteGroup_t *one = rd_kafka_DeleteGroup_new(tool->words[0]);
    rd_kafka_DeleteGroups(admin.client, &one, 1, admin.options, admin.queue);
    rd_kafka_DeleteGroup_destroy(one);
    rd_kafka_event_t *event = admin_event(&admin);
    size_t count;
    const rd_kafka_group_result_t **results =
        rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
    need_group(results, count);
    rd_kafka_event_destroy(event);
    admin_close(&admin);
}
