/* kafka_tool, the tests' own client: what its files have in common. It shares no code with weir, so
 * that a fault of weir cannot hide itself in what checks it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_KAFKA_TOOL_H
#define WEIR_TESTS_KAFKA_TOOL_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

enum { TOOL_PROPERTIES_MAX = 64 };

/* The command line. */
struct tool {
    const char *brokers;
    const char *properties[TOOL_PROPERTIES_MAX]; /* NAME=VALUE */
    int property_count;
    const char *isolation;
    const char *then; /* what becomes of the transaction: commit, abort, leave */
    const char *transaction;
    bool json;
    int32_t partition; /* -1: all, or by key */
    int64_t count, keys, size, partitions, per_transaction, abort_every, first;
    int64_t seconds_max;
    char **words; /* what is not an option, after the command */
    int word_count;
};

/* Ends the program with a text. */
_Noreturn void tool_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A client with these settings (name, value, name, value, ..., NULL), then the user's. */
rd_kafka_t *tool_open(const struct tool *tool, rd_kafka_type_t type, const char *const *settings);

typedef void (*tool_report)(rd_kafka_t *client, const rd_kafka_message_t *message, void *arg);

/* A producer that tells `report` what became of each record. */
rd_kafka_t *tool_open_producer(const struct tool *tool, const char *const *settings,
                               tool_report report);

/* A consumer that reads by position; "read_committed" or "read_uncommitted". */
rd_kafka_t *tool_consumer(const struct tool *tool, const char *isolation, const char *group);

/* How many partitions a topic has; ends the program when there is no such topic. */
int32_t tool_partitions(const struct tool *tool, rd_kafka_t *client, const char *topic);

/* Where a partition begins and ends. */
void tool_ends_of(const struct tool *tool, rd_kafka_t *client, const char *topic,
                  int32_t partition, int64_t *low, int64_t *high);

/* How long to wait for any answer. */
int tool_ms_max(const struct tool *tool);

int64_t tool_number(const char *text, const char *of);

/* The commands; `name` is what each was called by. They return when it is done. */
void tool_topics(const struct tool *tool, const char *name);
void tool_change_topic(const struct tool *tool, const char *name);
void tool_delete_records(const struct tool *tool, const char *name);
void tool_ends(const struct tool *tool, const char *name);
void tool_group(const struct tool *tool, const char *name);
void tool_set_group(const struct tool *tool, const char *name);
void tool_delete_group(const struct tool *tool, const char *name);
void tool_produce(const struct tool *tool, const char *name);
void tool_read(const struct tool *tool, const char *name);

/* A string of JSON; its bytes must be UTF-8. */
void tool_print_string(const void *data, size_t size);

/* "name":"...", or "name":null, or "name_base64":"..." where it is not UTF-8. */
void tool_print_bytes(const char *name, const void *data, size_t size);

#endif
