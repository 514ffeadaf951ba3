/* inspect_kafka.c: what `weir inspect` asks brokers: where the topics of a job's sources end, and
 * the markers of its sinks as they are outside. All of it takes WAIT_MS at most; of brokers that do
 * not answer that is said.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cli/inspect.h"
#include "engine/endpoint.h"
#include "txn/base/error.h"
#include "txn/kafka_client.h"

enum { WAIT_MS = 2000, WHAT_MAX = WR_NAME_BYTES_MAX + 16 };

struct asker {
    struct wr_env *env;
    json_t *found;
    const struct wr_kafka_properties *properties;
    struct wr_arena arena; /* of the endpoint at hand */
    int64_t until_us;
    char silent[WR_URI_BYTES_MAX]; /* brokers that did not answer: they are not asked again */
    struct wr_error *error; /* no memory, or a property is wrong */
};

struct target { /* an endpoint that is Kafka's */
    const char *name;
    bool is_source;
    struct wr_endpoint endpoint;
    char what[WHAT_MAX];
    struct wr_kafka_link link;
    rd_kafka_t *client;
};

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static weir_status set(struct asker *asker, json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0 ? WEIR_OK : wr_fail_memory(asker->error);
}

static int left_ms(const struct asker *asker)
{
    int64_t left = (asker->until_us - asker->env->monotonic_us(asker->env)) / 1000;
    return left > 0 ? (int)left : 0;
}

/* ---- Sources --------------------------------------------------------------------------------- */

/* Where one partition ends, to those who read what is committed. */
static weir_status ask_end(struct asker *asker, const struct target *target, json_t *input)
{
    const char *number = strrchr(text_of(input, "part"), '/');
    int64_t partition = -1, first = 0, end = 0;
    json_t *next = json_object_get(input, "next");
    bool known = number && wr_parse_number(number + 1, 0, INT32_MAX, &partition) &&
                 left_ms(asker) > 0 &&
                 rd_kafka_query_watermark_offsets(target->client, target->endpoint.path,
                                                  (int32_t)partition, &first, &end,
                                                  left_ms(asker)) == RD_KAFKA_RESP_ERR_NO_ERROR;
    int64_t lag = known ? end - (int64_t)json_integer_value(next) : 0;
    WR_TRY(set(asker, input, "end", known ? json_integer(end) : json_null()));
    return set(asker, input, "lag", known ? json_integer(lag > 0 ? lag : 0) : json_null());
}

static weir_status ask_ends(struct asker *asker, const struct target *target)
{
    json_t *inputs = json_object_get(asker->found, "inputs"), *input;
    size_t i;
    json_array_foreach(inputs, i, input)
    {
        if (strcmp(text_of(input, "source"), target->name) == 0) {
            WR_TRY(ask_end(asker, target, input));
        }
    }
    return WEIR_OK;
}

/* ---- Sinks ----------------------------------------------------------------------------------- */

static json_t *forwarder_of(struct asker *asker, const char *sink)
{
    json_t *forwarders = json_object_get(asker->found, "forwarders"), *forwarder;
    size_t i;
    json_array_foreach(forwarders, i, forwarder)
    {
        if (strcmp(text_of(forwarder, "sink"), sink) == 0) {
            return forwarder;
        }
    }
    return NULL;
}

/* The group that has the marker, as the sink's identity says. */
static const char *group_of(const json_t *forwarder)
{
    const char *group = strstr(text_of(forwarder, "identity"), ";group:");
    return group ? group + strlen(";group:") : NULL;
}

/* The marker outside, {next, incarnation}; null: there is none. Absent: it could not be read. */
static weir_status ask_marker(struct asker *asker, const struct target *target, json_t *forwarder)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *marker =
        rd_kafka_topic_partition_list_add(list, target->endpoint.path, 0);
    rd_kafka_resp_err_t cause = rd_kafka_committed(target->client, list, left_ms(asker));
    json_t *value = NULL;
    if (cause == RD_KAFKA_RESP_ERR_NO_ERROR && marker->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        char text[64] = "", incarnation[20] = "";
        if (marker->metadata_size > 0 && marker->metadata_size < sizeof text) {
            memcpy(text, marker->metadata, marker->metadata_size);
            sscanf(text, "%*d %16[0-9a-f]", incarnation);
        }
        value = marker->offset < 0 ? json_null()
                                   : json_pack("{s:I, s:s}", "next", (json_int_t)marker->offset,
                                               "incarnation", incarnation);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return value ? set(asker, forwarder, "outside", value) : WEIR_OK;
}

/* ---- Endpoints ------------------------------------------------------------------------------- */

/* Asks one endpoint's brokers; `refused` says why they could not be. */
static weir_status ask(struct asker *asker, struct target *target, struct wr_error *refused)
{
    json_t *forwarder = target->is_source ? NULL : forwarder_of(asker, target->name);
    const char *group = forwarder ? group_of(forwarder) : NULL;
    int32_t partitions = 0;
    struct wr_kafka_client_options options = {
        .role = target->is_source ? WR_KAFKA_CONSUMER : WR_KAFKA_MARKERS,
        .endpoint = target->name,
        .brokers = target->endpoint.brokers,
        .id = group,
        .properties = asker->properties,
        .link = &target->link,
    };
    WR_TRY(wr_kafka_client_new(&options, &target->client, asker->error));
    if (wr_kafka_topic(target->client, &target->link, target->endpoint.path, left_ms(asker),
                       &partitions, NULL, 0, refused) != WEIR_OK) {
        return WEIR_OK;
    }
    if (target->is_source) {
        return ask_ends(asker, target);
    }
    return group && left_ms(asker) > 0 ? ask_marker(asker, target, forwarder) : WEIR_OK;
}

/* Adds {name, brokers, topic, error} to `answers`; error null: they answered. */
static weir_status ask_node(struct asker *asker, json_t *answers, const json_t *node,
                            bool is_source)
{
    struct wr_error refused = {.status = WEIR_OK};
    struct target target = {.name = text_of(node, "name"), .is_source = is_source};
    if (wr_endpoint_parse(text_of(node, "uri"), is_source, &asker->arena, &target.endpoint,
                          &refused) != WEIR_OK ||
        target.endpoint.scheme != WR_SCHEME_KAFKA) {
        return WEIR_OK;
    }
    const char *brokers = target.endpoint.brokers;
    snprintf(target.what, sizeof target.what, "%s %.64s", is_source ? "source" : "sink",
             target.name);
    target.link =
        (struct wr_kafka_link){.env = asker->env, .what = target.what, .brokers = brokers};
    weir_status status = WEIR_OK;
    if (strcmp(asker->silent, brokers) == 0 || left_ms(asker) == 0) {
        wr_fail(&refused, WEIR_RETRY, WR_EXIT_UNAVAILABLE, "%s: %.300s was not asked any more",
                target.what, brokers);
    } else {
        status = ask(asker, &target, &refused);
        wr_kafka_client_free(target.client);
    }
    if (refused.status == WEIR_RETRY) {
        snprintf(asker->silent, sizeof asker->silent, "%s", brokers);
    }
    json_t *answer = json_pack("{s:s, s:s, s:s}", "name", target.name, "brokers", brokers, "topic",
                               target.endpoint.path);
    if (json_array_append_new(answers, answer) != 0) {
        return wr_fail_memory(asker->error);
    }
    WR_TRY(set(asker, answer, "error",
               refused.status == WEIR_OK ? json_null() : json_string(refused.text)));
    return status;
}

weir_status wr_inspect_kafka(struct wr_env *env, const struct wr_kafka_properties *properties,
                             json_t *found, struct wr_error *error)
{
    json_t *nodes = json_object_get(json_object_get(found, "graph"), "nodes"), *node;
    json_t *answers = json_array();
    size_t i;
    struct asker asker = {.env = env, .found = found, .properties = properties, .error = error};
    asker.until_us = env->monotonic_us(env) + WAIT_MS * INT64_C(1000);
    weir_status status = set(&asker, found, "brokers", answers);
    enum wr_level level = env->level;
    env->level = WR_LOG_ERROR; /* what a link has to say is part of the answer */
    wr_arena_init(&asker.arena, 0);
    json_array_foreach(nodes, i, node)
    {
        bool is_source = strcmp(text_of(node, "kind"), "source") == 0;
        if (status == WEIR_OK && (is_source || strcmp(text_of(node, "kind"), "sink") == 0)) {
            status = ask_node(&asker, answers, node, is_source);
        }
    }
    wr_arena_fini(&asker.arena);
    env->level = level;
    return status;
}
