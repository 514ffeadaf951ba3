/* kafka_tool: an independent client of Kafka for tests and for people who look into a broker. This
 * file has its command line and what each command starts with.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/kafka/kafka_tool.h"
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const char help[] =
    "kafka_tool -b HOST:PORT [options] COMMAND\n"
    "\n"
    "  topics                          names and numbers of partitions\n"
    "  create TOPIC PARTITIONS [CONFIG=VALUE...]\n"
    "  delete TOPIC\n"
    "  add-partitions TOPIC TOTAL\n"
    "  delete-records TOPIC PARTITION OFFSET    those below OFFSET\n"
    "  produce TOPIC                   lines of JSON from stdin: key, value, headers, time_ms,\n"
    "                                  partition, as read prints them; all may be absent\n"
    "  read TOPIC                      each partition up to where it ended at the start\n"
    "  ends TOPIC                      a line of JSON a partition: low, high, and stable: the end\n"
    "                                  as a read_committed reader has it\n"
    "  group GROUP TOPIC               offsets and metadata that were committed\n"
    "  set-group GROUP TOPIC OFFSET [METADATA]  for --partition (0); OFFSET may be delete\n"
    "  delete-group GROUP\n"
    "\n"
    "  -b HOST:PORT[,...]              default: $WEIR_KAFKA\n"
    "  -X NAME=VALUE                   a property of librdkafka\n"
    "  --seconds-max N                 how long to wait for an answer (60)\n"
    "  --partition P                   of read, produce, group and set-group\n"
    "  --isolation read_committed|read_uncommitted     of read; the first is the default\n"
    "  --format json|raw               of read; raw is PARTITION, OFFSET, KEY, VALUE with tabs\n"
    "                                  between, \\N for an absent key or value\n"
    "  --count N                       produce makes N records: value 'ID filler', time_ms\n"
    "                                  1600000000000 + ID, partition ID modulo --partitions\n"
    "  --first N --keys K --size B --partitions P      of --count: first ID (0), keys (1000),\n"
    "                                  bytes of a value (100), partitions (the topic's)\n"
    "  --transaction ID                produce in transactions\n"
    "  --per-transaction N             records in each (1000)\n"
    "  --abort-every N                 each N-th is sent and aborted before it is sent again\n"
    "  --then commit|abort|leave       what becomes of the last one; leave: it stays open\n";

void tool_fail(int code, const char *format, ...)
{
    va_list values;
    fflush(stdout);
    fputs("kafka_tool: ", stderr);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    _exit(code); /* librdkafka's threads are at work, so nothing is tidied up */
}

int tool_ms_max(const struct tool *tool)
{
    return (int)tool->seconds_max * 1000;
}

int64_t tool_number(const char *text, const char *of)
{
    char *end;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end) {
        tool_fail(EX_USAGE, "%s: %s is no number", of, text);
    }
    return number;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[512];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        tool_fail(EX_USAGE, "%s", text);
    }
}

static rd_kafka_t *open_client(const struct tool *tool, rd_kafka_type_t type,
                               const char *const *settings, tool_report report)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[512];
    if (!tool->brokers) {
        tool_fail(EX_USAGE, "which broker? -b HOST:PORT");
    }
    set(conf, "bootstrap.servers", tool->brokers);
    set(conf, "socket.nagle.disable", "true");
    set(conf, "reconnect.backoff.max.ms", "500");
    for (; *settings; settings += 2) {
        set(conf, settings[0], settings[1]);
    }
    for (int i = 0; i < tool->property_count; i++) {
        char *name = strdup(tool->properties[i]), *value = name ? strchr(name, '=') : NULL;
        if (!value) {
            tool_fail(EX_USAGE, "-X %s: NAME=VALUE is needed", tool->properties[i]);
        }
        *value = 0;
        set(conf, name, value + 1);
        free(name);
    }
    if (report) {
        rd_kafka_conf_set_dr_msg_cb(conf, report);
    }
    rd_kafka_t *client = rd_kafka_new(type, conf, text, sizeof text);
    if (!client) {
        tool_fail(EX_CONFIG, "%s", text);
    }
    return client;
}

rd_kafka_t *tool_open(const struct tool *tool, rd_kafka_type_t type, const char *const *settings)
{
    return open_client(tool, type, settings, NULL);
}

rd_kafka_t *tool_open_producer(const struct tool *tool, const char *const *settings,
                               tool_report report)
{
    return open_client(tool, RD_KAFKA_PRODUCER, settings, report);
}

rd_kafka_t *tool_consumer(const struct tool *tool, const char *isolation, const char *group)
{
    /* queued.min.messages at its default makes the fetcher stop whenever so many are queued. */
    const char *const settings[] = {
        /* clang-format off */
        "group.id", group,
        "isolation.level", isolation,
        "enable.auto.commit", "false",
        "enable.partition.eof", "true",
        "auto.offset.reset", "error",
        "allow.auto.create.topics", "false",
        "fetch.wait.max.ms", "10",
        "queued.min.messages", "1000000",
        "queued.max.messages.kbytes", "65536",
        NULL,
        /* clang-format on */
    };
    rd_kafka_t *client = tool_open(tool, RD_KAFKA_CONSUMER, settings);
    rd_kafka_poll_set_consumer(client);
    return client;
}

int32_t tool_partitions(const struct tool *tool, rd_kafka_t *client, const char *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, handle, &metadata, tool_ms_max(tool));
    if (code) {
        tool_fail(EX_UNAVAILABLE, "cannot ask about topic %s: %s", topic, rd_kafka_err2str(code));
    }
    if (metadata->topics[0].err) {
        tool_fail(EX_NOINPUT, "topic %s: %s", topic, rd_kafka_err2str(metadata->topics[0].err));
    }
    int32_t count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return count;
}

/* ---- The command line */

static const struct command {
    const char *name;
    void (*run)(const struct tool *tool, const char *what);
    int words_min, words_max;
} commands[] = {
    {"topics", tool_topics, 0, 0},
    {"create", tool_change_topic, 2, 100},
    {"delete", tool_change_topic, 1, 1},
    {"add-partitions", tool_change_topic, 2, 2},
    {"delete-records", tool_delete_records, 3, 3},
    {"produce", tool_produce, 1, 1},
    {"read", tool_read, 1, 1},
    {"ends", tool_ends, 1, 1},
    {"group", tool_group, 2, 2},
    {"set-group", tool_set_group, 3, 4},
    {"delete-group", tool_delete_group, 1, 1},
};

enum {
    OPTION_HELP = 1,
    OPTION_PARTITION,
    OPTION_ISOLATION,
    OPTION_FORMAT,
    OPTION_COUNT,
    OPTION_FIRST,
    OPTION_KEYS,
    OPTION_SIZE,
    OPTION_PARTITIONS,
    OPTION_TRANSACTION,
    OPTION_PER_TRANSACTION,
    OPTION_ABORT_EVERY,
    OPTION_SECONDS_MAX,
    OPTION_THEN,
};

static const struct option long_options[] = {
    {"help", no_argument, NULL, OPTION_HELP},
    {"partition", required_argument, NULL, OPTION_PARTITION},
    {"isolation", required_argument, NULL, OPTION_ISOLATION},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"first", required_argument, NULL, OPTION_FIRST},
    {"keys", required_argument, NULL, OPTION_KEYS},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"partitions", required_argument, NULL, OPTION_PARTITIONS},
    {"transaction", required_argument, NULL, OPTION_TRANSACTION},
    {"per-transaction", required_argument, NULL, OPTION_PER_TRANSACTION},
    {"abort-every", required_argument, NULL, OPTION_ABORT_EVERY},
    {"seconds-max", required_argument, NULL, OPTION_SECONDS_MAX},
    {"then", required_argument, NULL, OPTION_THEN},
    {NULL, 0, NULL, 0},
};

/* `text` as one of the words in `choices`, a list with "|" between. */
static const char *choice(const char *text, const char *choices)
{
    size_t size = strlen(text);
    for (const char *at = choices; (at = strstr(at, text)); at++) {
        if ((at == choices || at[-1] == '|') && (at[size] == 0 || at[size] == '|') && size > 0) {
            return text;
        }
    }
    tool_fail(EX_USAGE, "%s is not one of %s", text, choices);
}

static void take_option(struct tool *tool, int option)
{
    switch (option) {
    case 'b':
        tool->brokers = optarg;
        return;
    case 'X':
        if (tool->property_count == TOOL_PROPERTIES_MAX) {
            tool_fail(EX_USAGE, "more than %d properties", TOOL_PROPERTIES_MAX);
        }
        tool->properties[tool->property_count++] = optarg;
        return;
    case OPTION_HELP:
        fputs(help, stdout);
        exit(0);
    case OPTION_PARTITION:
        tool->partition = (int32_t)tool_number(optarg, "--partition");
        return;
    case OPTION_ISOLATION:
        tool->isolation = choice(optarg, "read_committed|read_uncommitted");
        return;
    case OPTION_FORMAT:
        tool->json = strcmp(choice(optarg, "json|raw"), "json") == 0;
        return;
    case OPTION_TRANSACTION:
        tool->transaction = optarg;
        return;
    case OPTION_THEN:
        tool->then = choice(optarg, "commit|abort|leave");
        return;
    case '?':
        exit(EX_USAGE);
    default:
        break;
    }
    int64_t *numbers[] = {
        [OPTION_COUNT] = &tool->count,
        [OPTION_FIRST] = &tool->first,
        [OPTION_KEYS] = &tool->keys,
        [OPTION_SIZE] = &tool->size,
        [OPTION_PARTITIONS] = &tool->partitions,
        [OPTION_PER_TRANSACTION] = &tool->per_transaction,
        [OPTION_ABORT_EVERY] = &tool->abort_every,
        [OPTION_SECONDS_MAX] = &tool->seconds_max,
    };
    *numbers[option] = tool_number(optarg, "an option");
    if (*numbers[option] < 0) {
        tool_fail(EX_USAGE, "%s: a number below 0", optarg);
    }
}

int main(int argc, char **argv)
{
    struct tool tool = {
        .brokers = getenv("WEIR_KAFKA"),
        .isolation = "read_committed",
        .then = "commit",
        .json = true,
        .partition = -1,
        .count = -1,
        .keys = 1000,
        .size = 100,
        .per_transaction = 1000,
        .seconds_max = 60,
    };
    for (int option; (option = getopt_long(argc, argv, "b:X:", long_options, NULL)) != -1;) {
        take_option(&tool, option);
    }
    if (optind == argc) {
        tool_fail(EX_USAGE, "no command; kafka_tool --help lists them");
    }
    tool.words = argv + optind + 1;
    tool.word_count = argc - optind - 1;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *command = &commands[i];
        if (strcmp(command->name, argv[optind]) == 0) {
            if (tool.word_count < command->words_min || tool.word_count > command->words_max) {
                tool_fail(EX_USAGE, "%s: not so many words; see kafka_tool --help", command->name);
            }
            command->run(&tool, command->name);
            return fflush(stdout) == 0 ? 0 : EX_IOERR;
        }
    }
    tool_fail(EX_USAGE, "no command %s; kafka_tool --help lists them", argv[optind]);
}
