/* kafka_tool produce: records from lines of JSON, or made by their number; in transactions when
 * asked for, some of which are aborted. Ends well only when all were acknowledged.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/kafka/kafka_tool.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const int64_t made_time_ms = 1600000000000;

struct bytes {
    void *data; /* NULL: absent; else from malloc */
    size_t size;
};

struct producer {
    const struct tool *tool;
    const char *topic;
    rd_kafka_t *client;
    int32_t partitions;
    struct bytes value; /* of records that are made */
    json_t *lines; /* those that are not */
    int64_t count;
};

static void reported(rd_kafka_t *client, const rd_kafka_message_t *message, void *arg)
{
    (void)client;
    (void)arg;
    if (message->err && message->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
        message->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
        tool_fail(EX_UNAVAILABLE, "a record was not delivered: %s", rd_kafka_err2str(message->err));
    }
}

static void *allocate(size_t size)
{
    void *memory = malloc(size + 1);
    if (!memory) {
        tool_fail(EX_OSERR, "out of memory");
    }
    return memory;
}

/* ---- One record */

/* `headers` become the producer's. */
static void send_record(struct producer *producer, int32_t partition, int64_t time_ms,
                        struct bytes key, struct bytes value, rd_kafka_headers_t *headers)
{
    rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = producer->topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = time_ms},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {key.data, key.size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {value.data, value.size}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    size_t count = sizeof parts / sizeof parts[0] - (headers ? 0 : 1);
    for (;;) {
        rd_kafka_error_t *error = rd_kafka_produceva(producer->client, parts, count);
        if (!error) {
            rd_kafka_poll(producer->client, 0);
            return;
        }
        if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            tool_fail(EX_DATAERR, "cannot send a record: %s", rd_kafka_error_string(error));
        }
        rd_kafka_error_destroy(error);
        rd_kafka_poll(producer->client, 10);
    }
}

/* splitmix64, so that keys come in no order. */
static uint64_t mixed(uint64_t number)
{
    number += 0x9e3779b97f4a7c15u;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
    number = (number ^ number >> 27) * 0x94d049bb133111ebu;
    return number ^ number >> 31;
}

static void send_made(struct producer *producer, int64_t index)
{
    const struct tool *tool = producer->tool;
    int64_t id = tool->first + index;
    int64_t partitions = tool->partitions ? tool->partitions : producer->partitions;
    char key[32], *value = producer->value.data;
    int key_size = snprintf(key, sizeof key, "key-%" PRIu64,
                            mixed((uint64_t)id) % (uint64_t)(tool->keys ? tool->keys : 1));
    char number[32];
    int size = snprintf(number, sizeof number, "%" PRId64 " ", id);
    memcpy(value, number, (size_t)size);
    size_t whole = (size_t)tool->size > (size_t)size ? (size_t)tool->size : (size_t)size;
    for (size_t i = (size_t)size; i < whole; i++) {
        value[i] = (char)('a' + (id + (int64_t)i) % 26);
    }
    send_record(producer, (int32_t)(tool->partition >= 0 ? tool->partition : id % partitions),
                made_time_ms + id, (struct bytes){key, (size_t)key_size},
                (struct bytes){value, whole}, NULL);
}

static struct bytes decode_base64(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char *data = allocate(strlen(text));
    size_t size = 0;
    uint32_t bits = 0;
    int held = 0;
    for (; *text && *text != '='; text++) {
        const char *digit = strchr(digits, *text);
        if (!digit) {
            tool_fail(EX_DATAERR, "%s is no base64", text);
        }
        bits = bits << 6 | (uint32_t)(digit - digits);
        held += 6;
        if (held >= 8) {
            held -= 8;
            data[size++] = (unsigned char)(bits >> held);
        }
    }
    return (struct bytes){data, size};
}

static struct bytes bytes_of(const json_t *object, const char *name)
{
    char base64[32];
    snprintf(base64, sizeof base64, "%s_base64", name);
    const json_t *value = json_object_get(object, name);
    const char *encoded = json_string_value(json_object_get(object, base64));
    if (encoded) {
        return decode_base64(encoded);
    }
    if (!value || json_is_null(value)) {
        return (struct bytes){NULL, 0};
    }
    if (!json_is_string(value)) {
        tool_fail(EX_DATAERR, "%s is no string", name);
    }
    struct bytes bytes = {allocate(json_string_length(value)), json_string_length(value)};
    memcpy(bytes.data, json_string_value(value), bytes.size);
    return bytes;
}

static rd_kafka_headers_t *headers_of(const json_t *line)
{
    const json_t *list = json_object_get(line, "headers");
    if (json_array_size(list) == 0) {
        return NULL;
    }
    rd_kafka_headers_t *headers = rd_kafka_headers_new(json_array_size(list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        struct bytes name = bytes_of(one, "name"), value = bytes_of(one, "value");
        if (!name.data) {
            tool_fail(EX_DATAERR, "a header without a name");
        }
        rd_kafka_header_add(headers, name.data, (ssize_t)name.size, value.data,
                            (ssize_t)value.size);
        free(name.data);
        free(value.data);
    }
    return headers;
}

static void send_line(struct producer *producer, const json_t *line)
{
    const json_t *partition = json_object_get(line, "partition");
    struct bytes key = bytes_of(line, "key"), value = bytes_of(line, "value");
    send_record(producer,
                json_is_integer(partition) ? (int32_t)json_integer_value(partition)
                                           : producer->tool->partition,
                json_integer_value(json_object_get(line, "time_ms")), key, value, headers_of(line));
    free(key.data);
    free(value.data);
}

/* ---- All of them */

static void read_lines(struct producer *producer)
{
    char *text = NULL;
    size_t size = 0;
    ssize_t length;
    producer->lines = json_array();
    while ((length = getline(&text, &size, stdin)) > 0) {
        json_error_t error;
        json_t *line = json_loadb(text, (size_t)length, JSON_ALLOW_NUL, &error);
        if (!json_is_object(line)) {
            tool_fail(EX_DATAERR, "line %zu: %s", json_array_size(producer->lines) + 1,
                      line ? "no object" : error.text);
        }
        json_array_append_new(producer->lines, line);
    }
    free(text);
    producer->count = (int64_t)json_array_size(producer->lines);
}

static void send_some(struct producer *producer, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++) {
        if (producer->lines) {
            send_line(producer, json_array_get(producer->lines, (size_t)i));
        } else {
            send_made(producer, i);
        }
    }
    rd_kafka_resp_err_t code = rd_kafka_flush(producer->client, tool_ms_max(producer->tool));
    if (code) {
        tool_fail(EX_UNAVAILABLE, "records were not acknowledged: %s", rd_kafka_err2str(code));
    }
}

static void need(rd_kafka_error_t *error, const char *doing)
{
    if (error) {
        tool_fail(EX_UNAVAILABLE, "cannot %s: %s", doing, rd_kafka_error_string(error));
    }
}

/* `then` is what becomes of it. */
static void send_in_transaction(struct producer *producer, int64_t from, int64_t to,
                                const char *then)
{
    need(rd_kafka_begin_transaction(producer->client), "begin");
    send_some(producer, from, to);
    if (strcmp(then, "commit") == 0) {
        need(rd_kafka_commit_transaction(producer->client, tool_ms_max(producer->tool)), "commit");
    } else if (strcmp(then, "abort") == 0) {
        need(rd_kafka_abort_transaction(producer->client, tool_ms_max(producer->tool)), "abort");
    }
}

static void send_all(struct producer *producer)
{
    const struct tool *tool = producer->tool;
    int64_t step = tool->per_transaction > 0 ? tool->per_transaction : 1;
    need(rd_kafka_init_transactions(producer->client, tool_ms_max(tool)),
         "begin with transactions");
    for (int64_t from = 0, number = 1; from < producer->count; from += step, number++) {
        int64_t to = from + step < producer->count ? from + step : producer->count;
        if (tool->abort_every > 0 && number % tool->abort_every == 0) {
            send_in_transaction(producer, from, to, "abort");
        }
        send_in_transaction(producer, from, to, to == producer->count ? tool->then : "commit");
    }
}

void tool_produce(const struct tool *tool, const char *name)
{
    const char *kind = tool->transaction ? "transactional.id" : "enable.idempotence";
    const char *const settings[] = {
        /* clang-format off */
        kind, tool->transaction ? tool->transaction : "true",
        "partitioner", "murmur2_random",
        "linger.ms", "2",
        NULL,
        /* clang-format on */
    };
    struct producer producer = {.tool = tool, .topic = tool->words[0], .count = tool->count};
    if (tool->abort_every > 0 && !tool->transaction) {
        tool_fail(EX_USAGE, "%s: --abort-every needs --transaction", name);
    }
    if (tool->count < 0) {
        read_lines(&producer);
    }
    producer.value.data = allocate((size_t)tool->size + 32);
    producer.client = tool_open_producer(tool, settings, reported);
    producer.partitions = tool_partitions(tool, producer.client, producer.topic);
    if (tool->transaction) {
        send_all(&producer);
    } else {
        send_some(&producer, 0, producer.count);
    }
    free(producer.value.data);
    json_decref(producer.lines);
    if (tool->transaction && strcmp(tool->then, "leave") == 0) {
        fflush(stdout);
        _exit(0); /* as a crash would: destroying the client would abort it */
    }
    rd_kafka_destroy(producer.client);
}
