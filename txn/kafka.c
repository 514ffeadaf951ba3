/* kafka.c: see kafka.h. A property is tried on a configuration of its own, so that what librdkafka
 * would refuse when a client is made is refused on the command line; what it takes instead is read
 * from its own table of properties.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/kafka.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/error.h"
#include "txn/base/limits.h"
#include "txn/base/nearest.h"
#include "txn/kafka_client.h"

enum { SPEC_BYTES_MAX = 128, NAMES_MAX = 512, SHOWN = 100 };
#define FILE_BYTES_MAX (1024 * 1024) /* of @FILE: a chain of certificates is a few KiB */

/* ---- Properties that weir owns --------------------------------------------------------------- */

static const char why_offsets[] = "weir keeps its positions in the store, together with what they "
                                  "led to, and reads from there";
static const char why_order[] = "it decides whether each record arrives once and in order, and "
                                "weir sets it";
static const char why_uri[] = "it is in the URI, kafka://HOST:PORT/TOPIC";
static const char why_group[] = "weir reads fixed partitions and belongs to no group; the group "
                                "that it keeps for lag is weir.JOB";
static const char why_code[] = "it would load code into weir";
static const char why_events[] = "it changes how librdkafka talks to weir";

static const struct {
    const char *name, *why;
} owned[] = {
    {"isolation.level", "what was aborted is never read: weir reads read_committed"},
    {"enable.auto.commit", why_offsets},
    {"auto.commit.enable", why_offsets},
    {"auto.commit.interval.ms", why_offsets},
    {"enable.auto.offset.store", why_offsets},
    {"offset.store.method", why_offsets},
    {"offset.store.path", why_offsets},
    {"offset.store.sync.interval.ms", why_offsets},
    {"auto.offset.reset", "the URI says where to begin (?start=) and what to do when records are "
                          "gone (?missing=)"},
    {"transactional.id", "it names the store, so that an older process is fenced; ?id_prefix= "
                         "puts words before it"},
    {"group.id", why_group},
    {"group.instance.id", why_group},
    {"group.protocol.type", why_group},
    {"partition.assignment.strategy", why_group},
    {"enable.idempotence", why_order},
    {"enable.gapless.guarantee", why_order},
    {"acks", why_order},
    {"request.required.acks", why_order},
    {"max.in.flight", why_order},
    {"max.in.flight.requests.per.connection", why_order},
    {"queuing.strategy", why_order},
    {"partitioner", "weir places records, by ?partition= of the sink"},
    {"metadata.broker.list", why_uri},
    {"bootstrap.servers", why_uri},
    {"enable.partition.eof", why_events},
    {"delivery.report.only.error", why_events},
    {"produce.offset.report", why_events},
    {"enabled_events", why_events},
    {"log.queue", why_events},
    {"internal.termination.signal", why_events},
    {"test.mock.num.brokers", "it would replace the brokers by simulated ones"},
    {"plugin.library.paths", why_code},
    {"ssl.engine.location", why_code},
    {"ssl.providers", why_code},
};
enum { OWNED = sizeof owned / sizeof *owned };

static weir_status check_owned(const char *name, struct wr_error *error)
{
    for (size_t i = 0; i < OWNED; i++) {
        if (strcmp(owned[i].name, name) == 0) {
            return wr_fail(error, WEIR_MISUSE, WR_EXIT_CONFIG, "-X %s cannot be set: %s", name,
                           owned[i].why);
        }
    }
    return WEIR_OK;
}

/* ---- What librdkafka takes ------------------------------------------------------------------- */

/* Librdkafka's table of properties as it prints it, "name | C/P | range | default | ...", one a
 * line; NULL: no memory. The list that rd_kafka_conf_dump gives leaves out what has no default. */
static char *properties_text(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) {
        return NULL;
    }
    rd_kafka_conf_properties_show(file);
    if (fclose(file) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* The n-th column of a line of that table, trimmed; it is changed. */
static char *column(char *line, int n)
{
    for (; n > 0 && line; n--) {
        line = strchr(line, '|');
        line = line ? line + 1 : NULL;
    }
    if (!line) {
        return NULL;
    }
    line += strspn(line, " ");
    char *end = line + strcspn(line, "|");
    while (end > line && end[-1] == ' ') {
        end--;
    }
    *end = '\0';
    return line;
}

static weir_status fail_unknown(const char *name, struct wr_error *error)
{
    const char *names[NAMES_MAX + 1];
    size_t count = 0;
    char *text = properties_text(), *rest = text, *line;
    while (text && count < NAMES_MAX && (line = strsep(&rest, "\n"))) {
        char *first = strchr(line, '|') ? column(line, 0) : NULL;
        if (first && *first >= 'a' && *first <= 'z') {
            names[count++] = first;
        }
    }
    names[count] = NULL;
    const char *near = wr_nearest(name, names);
    weir_status status =
        near ? wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "-X %.*s is no property of librdkafka; did you mean %s?", SHOWN, name, near)
             : wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "-X %.*s is no property of librdkafka; its CONFIGURATION.md lists them",
                       SHOWN, name);
    free(text);
    return status;
}

/* The value stays out of the text: it may be a password in the wrong place. */
static weir_status fail_value(const char *name, struct wr_error *error)
{
    char *text = properties_text(), *rest = text, *line;
    const char *range = NULL;
    while (text && !range && (line = strsep(&rest, "\n"))) {
        size_t size = strlen(name);
        if (strncmp(line, name, size) == 0 && (line[size] == ' ' || line[size] == '|')) {
            range = column(line, 2);
        }
    }
    weir_status status =
        wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "-X %s does not take that value%s%.400s", name,
                range && *range ? "; it takes " : "", range ? range : "");
    free(text);
    return status;
}

static weir_status check_property(const char *name, const char *value, struct wr_error *error)
{
    char ignored[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (!conf) {
        return wr_fail_memory(error);
    }
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, ignored, sizeof ignored);
    rd_kafka_conf_destroy(conf);
    if (result == RD_KAFKA_CONF_UNKNOWN) {
        return fail_unknown(name, error);
    }
    return result == RD_KAFKA_CONF_OK ? WEIR_OK : fail_value(name, error);
}

/* ---- The text of -X -------------------------------------------------------------------------- */

static weir_status read_value(const char *name, const char *path, char **value_out,
                              struct wr_error *error)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        return wr_fail_errno(error, "cannot open %.*s for the value of -X %s", SHOWN * 4, path,
                             name);
    }
    char *value = malloc(FILE_BYTES_MAX + 1);
    size_t size = value ? fread(value, 1, FILE_BYTES_MAX + 1, file) : 0;
    weir_status status = WEIR_OK;
    if (!value) {
        status = wr_fail_memory(error);
    } else if (ferror(file)) {
        status =
            wr_fail_errno(error, "cannot read %.*s for the value of -X %s", SHOWN * 4, path, name);
    } else if (size > FILE_BYTES_MAX || memchr(value, '\0', size)) {
        status = wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                         "%.*s is no value of -X %s: it %s; @FILE is text", SHOWN * 4, path, name,
                         size > FILE_BYTES_MAX ? "is larger than 1 MiB" : "holds a NUL byte");
    }
    fclose(file);
    if (status != WEIR_OK) {
        free(value);
        return status;
    }
    size -= size > 0 && value[size - 1] == '\n';
    size -= size > 0 && value[size - 1] == '\r';
    value[size] = '\0';
    *value_out = value;
    return WEIR_OK;
}

static bool is_name(const char *text)
{
    static const char known[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t size = strlen(text);
    return size > 0 && size <= WR_NAME_BYTES_MAX && strspn(text, known) == size;
}

/* Splits "[NAME:]PROPERTY" in place. */
static weir_status split(char *spec, const char **endpoint_out, const char **name_out,
                         struct wr_error *error)
{
    char *colon = strchr(spec, ':');
    *endpoint_out = NULL;
    *name_out = spec;
    if (colon) {
        *colon = '\0';
        *endpoint_out = spec;
        *name_out = colon + 1;
        if (!is_name(spec)) {
            return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                           "-X \"%.*s\" begins with no name of a source or sink; it is "
                           "[NAME:]PROPERTY=VALUE",
                           SHOWN, spec);
        }
    }
    if (!is_name(*name_out)) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "-X \"%.*s\" is no property's name; it is [NAME:]PROPERTY=VALUE", SHOWN,
                       *name_out);
    }
    return WEIR_OK;
}

static weir_status append(struct wr_kafka_properties *properties,
                          const struct wr_kafka_property *property, struct wr_error *error)
{
    if (properties->count == properties->capacity) {
        size_t capacity = properties->capacity ? 2 * properties->capacity : 8;
        struct wr_kafka_property *items =
            realloc(properties->items, capacity * sizeof *properties->items);
        if (!items) {
            return wr_fail_memory(error);
        }
        properties->items = items;
        properties->capacity = capacity;
    }
    properties->items[properties->count++] = *property;
    return WEIR_OK;
}

static void property_fini(struct wr_kafka_property *property)
{
    if (property->value) { /* a password does not stay in memory that is given back */
        explicit_bzero(property->value, strlen(property->value));
    }
    free(property->endpoint);
    free(property->name);
    free(property->value);
}

weir_status wr_kafka_properties_add(struct wr_kafka_properties *properties, const char *text,
                                    struct wr_error *error)
{
    const char *equals = strchr(text, '=');
    char spec[SPEC_BYTES_MAX + 1];
    const char *endpoint = NULL, *name = NULL;
    size_t size = equals ? (size_t)(equals - text) : 0;
    if (size == 0 || size > SPEC_BYTES_MAX) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "-X takes [NAME:]PROPERTY=VALUE, as in -X security.protocol=ssl%s",
                       equals ? "" : "; there is no = in what is given");
    }
    memcpy(spec, text, size);
    spec[size] = '\0';
    WR_TRY(split(spec, &endpoint, &name, error));
    WR_TRY(check_owned(name, error));
    struct wr_kafka_property property = {NULL, strdup(name), NULL};
    weir_status status = WEIR_OK;
    if (equals[1] == '@') {
        status = read_value(name, equals + 2, &property.value, error);
    } else {
        property.value = strdup(equals + 1);
    }
    property.endpoint = endpoint ? strdup(endpoint) : NULL;
    if (status == WEIR_OK &&
        (!property.name || !property.value || (endpoint && !property.endpoint))) {
        status = wr_fail_memory(error);
    }
    if (status == WEIR_OK) {
        status = check_property(name, property.value, error);
    }
    if (status == WEIR_OK) {
        status = append(properties, &property, error);
    }
    if (status != WEIR_OK) {
        property_fini(&property);
    }
    return status;
}

void wr_kafka_properties_fini(struct wr_kafka_properties *properties)
{
    for (size_t i = 0; i < properties->count; i++) {
        property_fini(&properties->items[i]);
    }
    free(properties->items);
    *properties = (struct wr_kafka_properties){NULL, 0, 0};
}
