/* inspect.c: `weir inspect`: what is in a store, for people or as one JSON object.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/inspect.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/cli/cli.h"
#include "txn/kafka.h"

enum option_id { OPTION_JSON, OPTION_PROPERTY, OPTION_HELP };

static const struct wr_option options[] = {
    {"json", '\0', NULL, OPTION_JSON},
    {"property", 'X', "[NAME:]PROPERTY=VALUE", OPTION_PROPERTY},
    {"help", 'h', NULL, OPTION_HELP},
    {NULL, '\0', NULL, 0},
};

/* clang-format off */
static const char help[] =
"Says what is in a store: the job and its graph, the last decided epoch, how far\n"
"each input was read, watermarks, state and timers of each node, topics, what is\n"
"still to be copied outside, dead letters, and for each sink what is guaranteed\n"
"and why. Works while a job runs on the store, and changes nothing. Of a job that\n"
"reads or writes Kafka it asks the brokers, for two seconds at most, where topics\n"
"end and which markers the sinks have there.\n"
"\n"
"      --json        the same as one JSON object\n"
"  -X, --property [NAME:]PROPERTY=VALUE\n"
"                    a property of librdkafka, as for weir run\n"
"\n"
"Examples\n"
"  weir inspect wordcount.weir\n"
"  weir inspect wordcount.weir --json | jq '.inputs[].next'\n";
/* clang-format on */

struct inspect {
    struct wr_operands operands;
    bool json;
    struct wr_kafka_properties kafka;
};

/* ---- Values ---------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static int64_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void print_time(int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000 - (time_ms % 1000 < 0));
    struct tm parts;
    char text[64];
    if (gmtime_r(&seconds, &parts) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts)) {
        printf("%s.%03d UTC", text, (int)((time_ms % 1000 + 1000) % 1000));
    } else {
        printf("%" PRId64 " ms", time_ms);
    }
}

/* Milliseconds as they are: event time need not be a date. */
static void print_watermark(const json_t *object)
{
    const json_t *value = json_object_get(object, "watermark_ms");
    if (!json_is_integer(value)) {
        printf("watermark none yet");
    } else if (json_integer_value(value) == INT64_MAX) {
        printf("watermark at the end of time");
    } else {
        printf("watermark %" PRId64 " ms", (int64_t)json_integer_value(value));
    }
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static void show_store(const json_t *found)
{
    const json_t *epoch = json_object_get(found, "epoch");
    const char *job = text_of(found, "job");
    printf("store       %s\n", text_of(found, "store"));
    printf("            id %s, format %" PRId64 ", made by weir %s, ", text_of(found, "id"),
           number_of(found, "format"), text_of(found, "weir"));
    print_time(number_of(found, "created_ms"));
    printf("\n            %" PRId64 " bytes, and %" PRId64 " in its write-ahead log\n",
           number_of(found, "store_bytes"), number_of(found, "wal_bytes"));
    printf("job         %s\n", *job ? job : "none yet");
    printf("generation  %" PRId64 "\n", number_of(found, "generation"));
    if (json_is_object(epoch)) {
        printf("epoch       %" PRId64 ", decided ", number_of(epoch, "number"));
        print_time(number_of(epoch, "time_ms"));
        printf("\n");
    } else {
        printf("epoch       none decided yet\n");
    }
}

static void show_graph(const json_t *found)
{
    const json_t *nodes = json_object_get(json_object_get(found, "graph"), "nodes"), *node, *input;
    size_t i, j;
    if (json_array_size(nodes)) {
        printf("\ngraph\n");
    }
    json_array_foreach(nodes, i, node)
    {
        const json_t *inputs = json_object_get(node, "inputs");
        printf("  %-20s %-8s", text_of(node, "name"), text_of(node, "kind"));
        json_array_foreach(inputs, j, input)
        {
            int64_t side = number_of(input, "side");
            printf("%s%s", j ? ", " : " from ", text_of(input, "from"));
            if (side > 0) {
                printf(" side %" PRId64, side);
            }
        }
        bool has_uri = json_object_get(node, "uri") != NULL;
        printf("%s%s\n",
               !has_uri                  ? ""
               : json_array_size(inputs) ? " to "
                                         : " ",
               text_of(node, "uri"));
    }
}

static void show_inputs(const json_t *found)
{
    const json_t *inputs = json_object_get(found, "inputs"), *input;
    const json_t *watermarks = json_object_get(found, "watermarks");
    size_t i;
    if (json_array_size(inputs)) {
        printf("\ninputs\n");
    }
    json_array_foreach(inputs, i, input)
    {
        const char *identity = text_of(input, "identity");
        printf("  %-20s %s: next %" PRId64 ", ", text_of(input, "source"), text_of(input, "part"),
               number_of(input, "next"));
        if (json_is_integer(json_object_get(input, "end"))) {
            printf("end %" PRId64 ", lag %" PRId64 ", ", number_of(input, "end"),
                   number_of(input, "lag"));
        }
        print_watermark(input);
        printf("%s%s%s\n", json_is_true(json_object_get(input, "idle")) ? ", idle" : "",
               *identity ? ", identity " : "", identity);
    }
    if (json_array_size(watermarks)) {
        printf("\nwatermarks by partition\n");
    }
    json_array_foreach(watermarks, i, input)
    {
        printf("  %-20s %s %s: ", text_of(input, "node"), text_of(input, "source"),
               text_of(input, "part"));
        print_watermark(input);
        printf("%s\n", json_is_true(json_object_get(input, "idle")) ? ", idle" : "");
    }
}

static void show_nodes(const json_t *found)
{
    const json_t *nodes = json_object_get(found, "nodes"), *node;
    size_t i;
    if (json_array_size(nodes)) {
        printf("\nnodes\n");
    }
    json_array_foreach(nodes, i, node)
    {
        int64_t rows = number_of(node, "state_rows"), event = number_of(node, "timers_event");
        int64_t clock = number_of(node, "timers_clock"), changes = number_of(node, "state_changes");
        printf("  %-20s ", text_of(node, "name"));
        print_watermark(node);
        if (rows > 0 || changes > 0) {
            printf("; state version %" PRId64 ": %" PRId64 " rows, %" PRId64 " bytes",
                   number_of(node, "version"), rows, number_of(node, "state_bytes"));
        }
        if (changes > 0) {
            printf(", and %" PRId64 " changes still in the changelog", changes);
        }
        if (event > 0) {
            printf("; %" PRId64 " timers in event time, the first at %" PRId64 " ms", event,
                   number_of(node, "next_timer_ms"));
        }
        if (clock > 0) {
            printf("; %" PRId64 " timers on the clock", clock);
        }
        printf("\n");
    }
}

static void show_forwarder(const json_t *forwarder)
{
    int64_t backlog = number_of(forwarder, "backlog");
    const char *incarnation = text_of(forwarder, "incarnation");
    const json_t *outside = json_object_get(forwarder, "outside");
    printf("  %-20s next offset %" PRId64 ", %" PRId64 " records still to be copied",
           text_of(forwarder, "sink"), number_of(forwarder, "next"), backlog);
    if (backlog > 0) {
        printf(" (%" PRId64 " bytes, the oldest decided ", number_of(forwarder, "backlog_bytes"));
        print_time(number_of(forwarder, "oldest_ms"));
        printf(", %" PRId64 " s ago)", number_of(forwarder, "oldest_age_ms") / 1000);
    }
    if (strncmp(text_of(forwarder, "identity"), "cluster:", 8) == 0) { /* of Kafka */
        printf("%s%s", *incarnation ? ", incarnation " : "", incarnation);
    } else if (number_of(forwarder, "length") >= 0) {
        printf(", %" PRId64 " bytes outside", number_of(forwarder, "length"));
    }
    if (json_is_object(outside)) {
        printf("\n  %-20s   marker outside: %" PRId64 ", incarnation %s", "",
               number_of(outside, "next"), text_of(outside, "incarnation"));
    } else if (json_is_null(outside)) {
        printf("\n  %-20s   no marker outside", "");
    }
    printf("\n");
}

/* Brokers that could not be asked. */
static void show_brokers(const json_t *found)
{
    const json_t *brokers = json_object_get(found, "brokers"), *answer;
    size_t i, silent = 0;
    json_array_foreach(brokers, i, answer)
    {
        if (json_is_string(json_object_get(answer, "error"))) {
            printf("%s  %s\n",
                   silent++ ? "" : "\nbrokers (ends and markers outside are not known)\n",
                   text_of(answer, "error"));
        }
    }
}

static void show_sinks(const json_t *found)
{
    const json_t *sinks = json_object_get(found, "sinks"), *sink;
    const json_t *forwarders = json_object_get(found, "forwarders");
    size_t i;
    if (json_array_size(sinks)) {
        printf("\nsinks\n");
    }
    json_array_foreach(sinks, i, sink)
    {
        printf("  %-20s %s\n  %-20s   %s\n", text_of(sink, "name"), text_of(sink, "uri"), "",
               text_of(sink, "guarantee"));
    }
    if (json_array_size(forwarders)) {
        printf("\nforwarders\n");
    }
    json_array_foreach(forwarders, i, sink)
    {
        show_forwarder(sink);
    }
    show_brokers(found);
}

static void show_topics(const json_t *found)
{
    const json_t *topics = json_object_get(found, "topics"), *topic, *partition;
    size_t i, p;
    if (json_array_size(topics)) {
        printf("\ntopics\n");
    }
    json_array_foreach(topics, i, topic)
    {
        json_array_foreach(json_object_get(topic, "partitions"), p, partition)
        {
            int64_t first = number_of(partition, "first"), next = number_of(partition, "next");
            printf("  %-20s partition %zu: offsets from %" PRId64 ", next %" PRId64 ", %" PRId64
                   " records, %" PRId64 " bytes\n",
                   p == 0 ? text_of(topic, "name") : "", p, first, next, next - first,
                   number_of(partition, "bytes"));
        }
    }
}

static void show_dead_letters(const json_t *found)
{
    const json_t *rejects = json_object_get(found, "dead_letters"), *reject;
    size_t i;
    printf("\ndead letters\n");
    json_array_foreach(rejects, i, reject)
    {
        int64_t queued = number_of(reject, "queued");
        printf("  %-20s %" PRId64 ", the last in epoch %" PRId64, text_of(reject, "node"),
               number_of(reject, "count"), number_of(reject, "last_epoch"));
        if (queued > 0) {
            printf(", %" PRId64 " queued to be taken again", queued);
        }
        printf("\n");
    }
    if (!json_array_size(rejects)) {
        printf("  none\n");
    }
}

/* What starts with --rename, --drop-state and --rewind did, if any. */
static void show_changes(const json_t *found)
{
    const json_t *changes = json_object_get(found, "changes"), *change, *item;
    const char *key;
    size_t i, j;
    if (json_is_array(changes)) {
        printf("\nchanges\n");
    }
    json_array_foreach(changes, i, change)
    {
        const char *between = "";
        printf("  epoch %-14" PRId64 " ", number_of(change, "epoch"));
        json_t *renamed = json_object_get(change, "renamed");
        json_t *rewound = json_object_get(change, "rewound");
        json_object_foreach(renamed, key, item)
        {
            printf("%srenamed %s to %s", between, key, text_of(renamed, key));
            between = ", ";
        }
        json_array_foreach(json_object_get(change, "dropped"), j, item)
        {
            const char *name = json_string_value(item);
            printf("%sdropped %s", between, name ? name : "");
            between = ", ";
        }
        json_object_foreach(rewound, key, item)
        {
            printf("%srewound %s to ", between, key);
            if (json_is_integer(item)) {
                printf("%" PRId64, (int64_t)json_integer_value(item));
            } else {
                printf("%s", text_of(rewound, key));
            }
            between = ", ";
        }
        printf("\n");
    }
}

/* ---- The subcommand -------------------------------------------------------------------------- */

static weir_status show(const json_t *found, bool json, struct wr_error *error)
{
    if (json) {
        return json_dumpf(found, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF
                   ? WEIR_OK
                   : wr_cli_flush(error);
    }
    show_store(found);
    show_graph(found);
    show_inputs(found);
    show_nodes(found);
    show_sinks(found);
    show_topics(found);
    show_dead_letters(found);
    show_changes(found);
    return WEIR_OK;
}

static weir_status take(void *context, const struct wr_option *option, const char *value,
                        struct wr_error *error)
{
    struct inspect *inspect = context;
    if (!option) {
        return wr_operands_add(&inspect->operands, value, error);
    }
    if (option->id == OPTION_PROPERTY) {
        return wr_kafka_properties_add(&inspect->kafka, value, error);
    }
    if (option->id == OPTION_JSON) {
        inspect->json = true;
    }
    return WEIR_OK;
}

static int run(struct wr_cli *cli, int argc, char **argv)
{
    const char *const names[] = {"STORE", NULL};
    struct inspect inspect = {.operands = {.command = "weir inspect", .names = names}};
    struct wr_error *error = &cli->error;
    json_t *found = NULL;
    if (wr_options_parse("weir inspect", options, argc, argv, take, &inspect, error) == WEIR_OK &&
        wr_operands_check(&inspect.operands, error) == WEIR_OK &&
        wr_inspect_gather(&cli->env, inspect.operands.values[0], &found, error) == WEIR_OK &&
        wr_inspect_kafka(&cli->env, &inspect.kafka, found, error) == WEIR_OK) {
        show(found, inspect.json, error);
    }
    json_decref(found);
    wr_kafka_properties_fini(&inspect.kafka);
    return wr_cli_end(cli);
}

const struct wr_command wr_command_inspect = {
    "inspect", "[options] STORE", "what is in a store", options, {help}, run,
};
