/* inspect_gather.c: reads what a store holds into one JSON object, which `weir inspect --json`
 * prints and the text is made of. Two snapshots: everything small in the first, so that it is one
 * exact cut; the counts of state, which may take long, in the second.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/inspect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/cli/json.h"
#include "engine/endpoint.h"
#include "txn/delivery.h"
#include "txn/store_rows.h"

struct gather {
    struct wr_env *env;
    const char *path;
    struct wr_reader *reader;
    struct wr_arena arena;
    json_t *found;
    enum wr_sync sync; /* of the last run, as is `delivery` */
    enum wr_delivery delivery;
    struct wr_error *error;
};

/* ---- JSON, with memory that may run out ------------------------------------------------------ */

/* Bytes that are not UTF-8 become \xHH. NULL gives null. */
static json_t *json_of_text(const char *text)
{
    weir_bytes bytes = weir_text(text);
    if (!text) {
        return json_null();
    }
    if (wr_utf8_is_valid(bytes)) {
        return json_stringn(text, bytes.size);
    }
    size_t size = 0;
    char *shown = NULL;
    FILE *file = open_memstream(&shown, &size);
    if (!file) {
        return NULL;
    }
    wr_show_bytes(file, bytes, bytes.size);
    fclose(file);
    json_t *string = shown && size >= 2 ? json_stringn(shown + 1, size - 2) : NULL;
    free(shown);
    return string;
}

/* The value of a column; a watermark that is NULL becomes null. */
static json_t *json_of_column(const struct wr_rows *rows, int column, char type)
{
    if (wr_rows_null(rows, column)) {
        return json_null();
    }
    switch (type) {
    case 'i':
        return json_integer(wr_rows_int(rows, column));
    case 'b':
        return json_boolean(wr_rows_int(rows, column) != 0);
    default:
        return json_of_text(wr_rows_text(rows, column));
    }
}

/* Every row of a query as an object, with the names of the columns. `types` has a letter for each:
 * i integer, b boolean, t text. */
static weir_status read_rows(struct gather *gather, const char *query, const char *types,
                             json_t **array_out)
{
    struct wr_rows *rows = NULL;
    bool more = false;
    json_t *array = json_array();
    weir_status status = wr_rows_open(gather->reader, query, &rows, gather->error);
    while (status == WEIR_OK && (status = wr_rows_next(rows, &more, gather->error)) == WEIR_OK &&
           more) {
        json_t *object = json_object();
        for (int i = 0; types[i] && object; i++) {
            json_t *value = json_of_column(rows, i, types[i]);
            if (json_object_set_new(object, wr_rows_name(rows, i), value) != 0) {
                json_decref(object);
                object = NULL;
            }
        }
        if (json_array_append_new(array, object) != 0) {
            status = wr_fail_memory(gather->error);
        }
    }
    wr_rows_close(rows);
    *array_out = array;
    return status;
}

static weir_status set(struct gather *gather, json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0 ? WEIR_OK : wr_fail_memory(gather->error);
}

static weir_status set_rows(struct gather *gather, const char *name, const char *query,
                            const char *types)
{
    json_t *array = NULL;
    weir_status status = read_rows(gather, query, types, &array);
    if (status != WEIR_OK) {
        json_decref(array);
        return status;
    }
    return set(gather, gather->found, name, array);
}

/* ---- The store itself ------------------------------------------------------------------------ */

static int64_t file_bytes(const char *path, const char *suffix)
{
    char full[WR_URI_BYTES_MAX + 8];
    struct stat info;
    snprintf(full, sizeof full, "%s%s", path, suffix);
    return stat(full, &info) == 0 ? info.st_size : 0;
}

/* The texts in meta that are JSON, and the others as they are. */
static json_t *json_of_meta(const char *key, json_t *value)
{
    bool is_json =
        strcmp(key, "graph") == 0 || strcmp(key, "options") == 0 || strcmp(key, "changes") == 0;
    json_t *parsed = NULL;
    if (is_json && json_is_string(value)) {
        parsed = json_loads(json_string_value(value), 0, NULL);
    }
    return parsed ? parsed : json_incref(value);
}

static weir_status gather_meta(struct gather *gather)
{
    json_t *rows = NULL, *row;
    size_t i;
    weir_status status = read_rows(
        gather, "SELECT key, value, typeof(value) = 'integer' AS number FROM meta", "ttb", &rows);
    json_array_foreach(rows, i, row)
    {
        const char *key = json_string_value(json_object_get(row, "key"));
        json_t *value = json_object_get(row, "value");
        bool hidden = !key || strcmp(key, "epoch") == 0 || strcmp(key, "incarnation") == 0;
        if (status != WEIR_OK || hidden) {
            continue;
        }
        if (json_is_true(json_object_get(row, "number"))) {
            int64_t number = 0;
            wr_parse_number(json_string_value(value), INT64_MIN, INT64_MAX, &number);
            status = set(gather, gather->found, key, json_integer(number));
        } else {
            status = set(gather, gather->found, key, json_of_meta(key, value));
        }
    }
    json_decref(rows);
    return status;
}

static weir_status gather_store(struct gather *gather)
{
    json_t *found = gather->found, *rows = NULL;
    char *path = wr_path_absolute(gather->path, &gather->arena);
    WR_TRY(set(gather, found, "store", json_of_text(path ? path : gather->path)));
    WR_TRY(set(gather, found, "store_bytes", json_integer(file_bytes(gather->path, ""))));
    WR_TRY(set(gather, found, "wal_bytes", json_integer(file_bytes(gather->path, "-wal"))));
    WR_TRY(set(gather, found, "graph", json_null()));
    WR_TRY(set(gather, found, "options", json_null()));
    weir_status status =
        read_rows(gather, "SELECT user_version AS format FROM pragma_user_version", "i", &rows);
    if (status == WEIR_OK) {
        status = set(gather, found, "format",
                     json_incref(json_object_get(json_array_get(rows, 0), "format")));
    }
    json_decref(rows);
    WR_TRY(status);
    WR_TRY(gather_meta(gather));
    const char *sync =
        json_string_value(json_object_get(json_object_get(found, "options"), "sync"));
    const char *delivery =
        json_string_value(json_object_get(json_object_get(found, "options"), "delivery"));
    if (!delivery || !wr_delivery_parse(delivery, &gather->delivery)) {
        gather->delivery = WR_EXACTLY_ONCE;
    }
    gather->sync = !sync || strcmp(sync, "full") == 0 ? WR_SYNC_FULL
                   : strcmp(sync, "normal") == 0      ? WR_SYNC_NORMAL
                                                      : WR_SYNC_OFF;
    status =
        read_rows(gather, "SELECT number, time_ms, records FROM epoch ORDER BY number DESC LIMIT 1",
                  "iii", &rows);
    if (status != WEIR_OK) {
        json_decref(rows);
        return status;
    }
    json_t *epoch = json_array_size(rows) ? json_incref(json_array_get(rows, 0)) : json_null();
    json_decref(rows);
    return set(gather, found, "epoch", epoch);
}

/* ---- Topics and sinks ------------------------------------------------------------------------ */

static weir_status gather_topic(struct gather *gather, const struct wr_topic *topic, json_t *topics)
{
    json_t *object = json_object(), *partitions = json_array();
    weir_status status = set(gather, object, "name", json_of_text(topic->name));
    for (int32_t p = 0; p < topic->partitions && status == WEIR_OK; p++) {
        struct wr_extent extent;
        status = wr_reader_extent(gather->reader, topic->id, p, &extent, gather->error);
        json_t *partition = json_object();
        status = status ? status : set(gather, partition, "first", json_integer(extent.first));
        status = status ? status : set(gather, partition, "next", json_integer(extent.next));
        status = status ? status : set(gather, partition, "bytes", json_integer(extent.bytes));
        if (json_array_append_new(partitions, partition) != 0) {
            status = wr_fail_memory(gather->error);
        }
    }
    status = status ? status : set(gather, object, "partitions", json_incref(partitions));
    status = status ? status : set(gather, object, "retain_ms", json_integer(topic->retain_ms));
    status =
        status ? status : set(gather, object, "retain_bytes", json_integer(topic->retain_bytes));
    json_decref(partitions);
    if (json_array_append_new(topics, object) != 0) {
        status = wr_fail_memory(gather->error);
    }
    return status;
}

static weir_status gather_topics(struct gather *gather)
{
    struct wr_topic *topics = NULL;
    size_t count = 0;
    json_t *array = json_array();
    WR_TRY(set(gather, gather->found, "topics", array));
    WR_TRY(wr_reader_topics(gather->reader, NULL, false, &gather->arena, &topics, &count,
                            gather->error));
    for (size_t i = 0; i < count; i++) {
        WR_TRY(gather_topic(gather, &topics[i], array));
    }
    return WEIR_OK;
}

/* What is promised for what this sink receives, and why; false: its URI cannot be read. */
static bool guarantee(struct gather *gather, const char *uri, char *text, size_t size)
{
    struct wr_endpoint endpoint;
    struct wr_sink sink = {.name = ""};
    struct wr_error ignored = {.status = WEIR_OK};
    struct wr_outlet *outlet = NULL;
    if (!uri || wr_endpoint_parse(uri, false, &gather->arena, &endpoint, &ignored) != WEIR_OK ||
        wr_endpoint_sink(&endpoint, &gather->arena, &sink, &ignored) != WEIR_OK) {
        return false;
    }
    if (endpoint.scheme == WR_SCHEME_FILE) { /* not opened: only its guarantee is asked for */
        wr_outlet_file_open(gather->env, "", endpoint.path, false, gather->sync, &outlet, &ignored);
    } else if (endpoint.scheme == WR_SCHEME_STDOUT) {
        wr_outlet_stdout_open(gather->env, "", &outlet, &ignored);
    }
    const char *says = outlet ? outlet->ops->guarantee(outlet) : NULL;
    says = endpoint.scheme == WR_SCHEME_KAFKA ? wr_outlet_kafka_guarantee(gather->sync) : says;
    wr_delivery_describe(gather->delivery, gather->sync, sink.kind, says, text, size);
    if (outlet) {
        outlet->ops->close(outlet);
    }
    return true;
}

/* The sinks of the graph as it was last run, each with its guarantee. */
static weir_status gather_sinks(struct gather *gather)
{
    json_t *sinks = json_array(), *node;
    size_t i;
    WR_TRY(set(gather, gather->found, "sinks", sinks));
    json_t *nodes = json_object_get(json_object_get(gather->found, "graph"), "nodes");
    json_array_foreach(nodes, i, node)
    {
        const char *kind = json_string_value(json_object_get(node, "kind"));
        json_t *uri = json_object_get(node, "uri");
        if (!kind || strcmp(kind, "sink") != 0) {
            continue;
        }
        json_t *sink = json_pack("{s:O?, s:O?}", "name", json_object_get(node, "name"), "uri", uri);
        char text[WR_ERROR_TEXT_MAX / 2];
        bool known = guarantee(gather, json_string_value(uri), text, sizeof text);
        if (json_array_append_new(sinks, sink) != 0) {
            return wr_fail_memory(gather->error);
        }
        WR_TRY(set(gather, sink, "guarantee", json_of_text(known ? text : NULL)));
    }
    return WEIR_OK;
}

#define UNSENT WR_LOG_ROWS("t.id", "0") " WHERE log.first_offset + count > ifnull(m.next, 0)"
/* What each outside sink has got, and for how long the first record that it has not has waited. */
static weir_status gather_forwarders(struct gather *gather)
{
    json_t *forwarder;
    size_t i;
    WR_TRY(set_rows(gather, "forwarders",
                    "SELECT t.name AS sink, ifnull(m.next, 0) AS next,"
                    " p.next - ifnull(m.next, 0) AS backlog,"
                    " (SELECT ifnull(sum(length(batch)), 0) FROM " UNSENT ") AS backlog_bytes,"
                    " (SELECT min(written_ms) FROM " UNSENT ") AS oldest_ms,"
                    " ifnull(m.length, -1) AS length,"
                    " CASE WHEN m.incarnation <> 0 THEN printf('%016x', m.incarnation) END"
                    "  AS incarnation, m.identity"
                    " FROM topic t JOIN partition p ON p.topic = t.id"
                    " LEFT JOIN marker m ON m.sink = t.name"
                    " WHERE t.outbox = 1 AND (m.sink IS NOT NULL OR p.next > 0) ORDER BY t.name",
                    "tiiiiitt"));
    json_array_foreach(json_object_get(gather->found, "forwarders"), i, forwarder)
    {
        json_t *oldest = json_object_get(forwarder, "oldest_ms");
        int64_t age_ms = gather->env->wall_ms(gather->env) - json_integer_value(oldest);
        WR_TRY(set(gather, forwarder, "oldest_age_ms",
                   json_is_integer(oldest) ? json_integer(age_ms) : json_null()));
    }
    return WEIR_OK;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static weir_status gather_small(struct gather *gather)
{
    WR_TRY(gather_store(gather));
    WR_TRY(set_rows(gather, "inputs",
                    "SELECT source, part, next, watermark_ms, idle, identity FROM position"
                    " ORDER BY source, part",
                    "ttiibt"));
    WR_TRY(set_rows(gather, "watermarks",
                    "SELECT n.name AS node, w.source, w.part, w.watermark_ms, w.idle"
                    " FROM watermark w JOIN node n ON n.id = w.node ORDER BY n.id, source, part",
                    "tttib"));
    WR_TRY(gather_topics(gather));
    WR_TRY(gather_sinks(gather));
    WR_TRY(gather_forwarders(gather));
    return set_rows(gather, "dead_letters",
                    "SELECT node, count(*) AS count, max(epoch) AS last_epoch,"
                    " count(retry.reject) AS queued FROM reject"
                    " LEFT JOIN retry ON retry.reject = reject.id GROUP BY node ORDER BY node",
                    "tiii");
}

/* How many changes of each node's state are not in table `state` yet. */
static weir_status gather_changes(struct gather *gather)
{
    json_t *nodes = json_object_get(gather->found, "nodes"), *node;
    struct wr_node_changes *counts = NULL;
    size_t count = 0, i;
    WR_TRY(wr_reader_count_changes(gather->reader, &gather->arena, &counts, &count, gather->error));
    json_array_foreach(nodes, i, node)
    {
        int64_t id = json_integer_value(json_object_get(node, "id")), changes = 0;
        for (size_t j = 0; j < count; j++) {
            changes += counts[j].node == id ? counts[j].changes : 0;
        }
        json_object_del(node, "id");
        WR_TRY(set(gather, node, "state_changes", json_integer(changes)));
    }
    return WEIR_OK;
}

static weir_status gather_nodes(struct gather *gather)
{
    WR_TRY(set_rows(
        gather, "nodes",
        "SELECT n.id, n.name, n.version, (SELECT watermark_ms FROM node_watermark"
        " WHERE node = n.id) AS watermark_ms, ifnull(s.rows, 0) AS state_rows,"
        " ifnull(s.bytes, 0) AS state_bytes, ifnull(t.event, 0) AS timers_event,"
        " ifnull(t.clock, 0) AS timers_clock, t.next_ms AS next_timer_ms"
        " FROM node n"
        " LEFT JOIN (SELECT node, count(*) AS rows, sum(length(key) * (typeof(key) = 'blob')"
        "  + length(slot) * (typeof(slot) = 'blob') + length(value)) AS bytes FROM state"
        "  GROUP BY node) s ON s.node = n.id"
        " LEFT JOIN (SELECT node, count(*) FILTER (WHERE NOT clock) AS event,"
        "  count(*) FILTER (WHERE clock) AS clock, min(time_ms) FILTER (WHERE NOT clock) AS next_ms"
        "  FROM timer GROUP BY node) t ON t.node = n.id"
        " ORDER BY n.id",
        "itiiiiiii"));
    return gather_changes(gather);
}

weir_status wr_inspect_gather(struct wr_env *env, const char *path, json_t **found_out,
                              struct wr_error *error)
{
    struct gather gather = {.env = env, .path = path, .error = error, .found = json_object()};
    wr_arena_init(&gather.arena, 0);
    weir_status status = gather.found ? WEIR_OK : wr_fail_memory(error);
    status = status ? status : wr_reader_open(env, path, &gather.reader, error);
    status = status ? status : gather_small(&gather);
    if (status == WEIR_OK) {
        wr_reader_end(gather.reader);
        status = gather_nodes(&gather);
    }
    wr_reader_close(gather.reader);
    wr_arena_fini(&gather.arena);
    *found_out = gather.found;
    return status;
}
