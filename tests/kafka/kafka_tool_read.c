/* kafka_tool read: each partition from its first record up to where it ended when the reader
 * started, by position: an end that is no record (a control record, an aborted one) is an end too.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/kafka/kafka_tool.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* ---- JSON */

/* The length of the UTF-8 character that begins here, 0 when none does. */
static size_t character(const unsigned char *at, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (length == 1) {
        return 1;
    }
    if (length == 0 || at[0] > 0xf4 || length > size) {
        return 0;
    }
    uint32_t code = at[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (at[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least[length] || code > 0x10ffff || surrogate ? 0 : length;
}

static bool is_utf8(const unsigned char *data, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t length = character(data + i, size - i);
        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

void tool_print_string(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    putchar_unlocked('"');
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] < 0x20 || bytes[i] == 0x7f) {
            printf("\\u%04x", bytes[i]);
        } else {
            if (bytes[i] == '"' || bytes[i] == '\\') {
                putchar_unlocked('\\');
            }
            putchar_unlocked(bytes[i]);
        }
    }
    putchar_unlocked('"');
}

static void print_base64(const unsigned char *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    putchar_unlocked('"');
    for (size_t i = 0; i < size; i += 3) {
        size_t rest = size - i;
        uint32_t bits = (uint32_t)data[i] << 16 | (rest > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (rest > 2 ? data[i + 2] : 0u);
        putchar_unlocked(digits[bits >> 18]);
        putchar_unlocked(digits[bits >> 12 & 63]);
        putchar_unlocked(rest > 1 ? digits[bits >> 6 & 63] : '=');
        putchar_unlocked(rest > 2 ? digits[bits & 63] : '=');
    }
    putchar_unlocked('"');
}

void tool_print_bytes(const char *name, const void *data, size_t size)
{
    if (!data) {
        printf("\"%s\":null", name);
    } else if (is_utf8(data, size)) {
        printf("\"%s\":", name);
        tool_print_string(data, size);
    } else {
        printf("\"%s_base64\":", name);
        print_base64(data, size);
    }
}

static void print_headers(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;
    printf("\"headers\":[");
    if (!rd_kafka_message_headers(message, &headers)) {
        for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &size); i++) {
            printf("%s{", i ? "," : "");
            tool_print_bytes("name", name, strlen(name));
            printf(",");
            tool_print_bytes("value", value, size);
            printf("}");
        }
    }
    printf("]");
}

static void print_json(const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    printf("{\"partition\":%d,\"offset\":%" PRId64 ",\"time_ms\":%" PRId64 ",", message->partition,
           message->offset, rd_kafka_message_timestamp(message, &type));
    tool_print_bytes("key", message->key, message->key_len);
    printf(",");
    tool_print_bytes("value", message->payload, message->len);
    printf(",");
    print_headers(message);
    printf("}\n");
}

/* ---- Raw */

static void print_raw_bytes(const void *data, size_t size, char after)
{
    if (data) {
        fwrite(data, 1, size, stdout);
    } else {
        fputs("\\N", stdout);
    }
    putchar_unlocked(after);
}

static void print_raw(const rd_kafka_message_t *message)
{
    printf("%d\t%" PRId64 "\t", message->partition, message->offset);
    print_raw_bytes(message->key, message->key_len, '\t');
    print_raw_bytes(message->payload, message->len, '\n');
}

/* ---- Reading */

struct ends {
    int64_t *end; /* by partition; 0 once it was reached */
    int32_t left;
};

static void reached(struct ends *ends, int32_t partition)
{
    if (ends->end[partition] > 0) {
        ends->end[partition] = 0;
        ends->left--;
    }
}

/* Starts reading what there is, and notes where it ends. */
static void start(const struct tool *tool, rd_kafka_t *client, const char *topic, struct ends *ends)
{
    int32_t partitions = tool_partitions(tool, client, topic);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    *ends = (struct ends){calloc((size_t)partitions, sizeof *ends->end), 0};
    if (!ends->end) {
        tool_fail(EX_OSERR, "out of memory");
    }
    for (int32_t i = 0; i < partitions; i++) {
        int64_t low, high;
        if (tool->partition >= 0 && tool->partition != i) {
            continue;
        }
        tool_ends_of(tool, client, topic, i, &low, &high);
        if (low < high) {
            rd_kafka_topic_partition_list_add(list, topic, i)->offset = low;
            ends->end[i] = high;
            ends->left++;
        }
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(client, list);
    if (code) {
        tool_fail(EX_SOFTWARE, "assign: %s", rd_kafka_err2str(code));
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void take(const struct tool *tool, const rd_kafka_message_t *message, struct ends *ends)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (message->offset >= ends->end[message->partition]) {
            reached(ends, message->partition);
        }
        return;
    }
    if (message->err) {
        tool_fail(EX_UNAVAILABLE, "read: %s", rd_kafka_message_errstr(message));
    }
    if (message->offset < ends->end[message->partition]) {
        (tool->json ? print_json : print_raw)(message);
    }
    if (message->offset + 1 >= ends->end[message->partition]) {
        reached(ends, message->partition);
    }
}

void tool_read(const struct tool *tool, const char *name)
{
    enum { BATCH = 4096 };
    rd_kafka_message_t *messages[BATCH];
    struct ends ends;
    rd_kafka_t *client = tool_consumer(tool, tool->isolation, name);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
    start(tool, client, tool->words[0], &ends);
    for (int idle = 0; ends.left > 0;) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, 200, messages, BATCH);
        for (ssize_t i = 0; i < count; i++) {
            take(tool, messages[i], &ends);
            rd_kafka_message_destroy(messages[i]);
        }
        idle = count > 0 ? 0 : idle + 1;
        if (idle > tool_ms_max(tool) / 200) {
            tool_fail(EX_UNAVAILABLE, "%s %s: nothing came for %d s", name, tool->words[0],
                      tool_ms_max(tool) / 1000);
        }
    }
    free(ends.end);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
}
