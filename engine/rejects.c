/* rejects.c: dead letters: into table reject of the store, and into the sink of --rejects if there
 * is one, with headers that say where each came from; and how many the store may hold.
 *
 * What that sink gets is what the rejecting node got: key, value, headers, time. These headers
 * come behind its own:
 *   weir.source, weir.partition, weir.offset   the input record it comes from; none for a timer's
 *   weir.topic                                 and its topic, where the source is Kafka's
 *   weir.node, weir.reason
 *   weir.timer                                 the timer's name, when a timer was rejected
 *   weir.cut                                   what of it was left out so that it fits
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/rejects.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/instance.h"
#include "txn/base/assert.h"
#include "txn/store_rows.h"

enum {
    ADDED_MAX = 8, /* headers */
    KAFKA_SPARE = 16 * 1024, /* what a batch of Kafka takes besides: of 1024 headers the lengths */
    TIMER_BYTES_MAX = 1024, /* of a timer's name in its header */
    REASON_BYTES_MIN = 64, /* a reason is not cut shorter */
};

/* ---- What the sink gets ---------------------------------------------------------------------- */

struct dead { /* a dead letter on its way into the sink */
    weir_record record;
    weir_header *headers;
    size_t own, added; /* the record's own headers come first */
    size_t bytes_max;
};

static void add_header(struct dead *dead, const char *name, weir_bytes value)
{
    wr_assert_that(dead->added, <, ADDED_MAX);
    dead->headers[dead->own + dead->added++] = (weir_header){name, value};
    dead->record.header_count = dead->own + dead->added;
}

static size_t over(const struct dead *dead)
{
    size_t bytes = wr_record_bytes(&dead->record);
    return bytes > dead->bytes_max ? bytes - dead->bytes_max : 0;
}

static void drop_own_headers(struct dead *dead)
{
    memmove(dead->headers, dead->headers + dead->own, dead->added * sizeof *dead->headers);
    dead->own = 0;
    dead->record.header_count = dead->added;
}

/* Takes up to `bytes` off the end, at most until `left` are left. */
static void cut(weir_bytes *value, size_t bytes, size_t left)
{
    size_t spare = value->size > left ? value->size - left : 0;
    value->size -= bytes < spare ? bytes : spare;
}

/* Text is cut between characters of UTF-8. */
static void cut_text(weir_bytes *text, size_t bytes, size_t left)
{
    size_t before = text->size;
    cut(text, bytes, left);
    const char *data = text->data;
    while (text->size < before && text->size > 0 && (data[text->size] & 0xc0) == 0x80) {
        text->size--;
    }
}

/* Cuts what is over the limits of a record: the reason, then its own headers, its value, its key.
 * The whole of it is in table reject. The reason is the last header. */
static void fit(struct dead *dead)
{
    bool many = dead->own + ADDED_MAX > WR_HEADERS_MAX;
    weir_bytes *reason = &dead->headers[dead->own + dead->added - 1].value;
    cut_text(reason, over(dead), REASON_BYTES_MIN);
    if (!many && over(dead) == 0) {
        return;
    }
    const char *what = dead->own > 0 ? "headers" : "value";
    drop_own_headers(dead);
    add_header(dead, "weir.cut", weir_text(what));
    if (over(dead) > 0) {
        dead->headers[dead->added - 1].value =
            weir_text(what[0] == 'h' ? "headers, value" : "value");
    }
    cut(&dead->record.value, over(dead), 0);
    if (over(dead) > 0) {
        dead->headers[dead->added - 1].value = weir_text("headers, value, key");
    }
    cut(&dead->record.key, over(dead), 0);
}

/* Where it was read. A partition of Kafka is "TOPIC/NUMBER" in the store. */
static bool add_origin(struct wr_instance *instance, const struct wr_reject *reject,
                       struct dead *dead)
{
    const struct wr_node *node = instance->job->first;
    while (node && !(node->kind == WR_NODE_SOURCE && strcmp(node->name, reject->source) == 0)) {
        node = node->next;
    }
    const char *slash = strrchr(reject->part, '/');
    char *offset = wr_arena_alloc(&instance->call, 24);
    if (!offset) {
        return false;
    }
    snprintf(offset, 24, "%" PRId64, reject->offset);
    add_header(dead, "weir.source", weir_text(reject->source));
    if (node && node->endpoint.scheme == WR_SCHEME_KAFKA && slash) {
        add_header(dead, "weir.topic", wr_bytes(reject->part, (size_t)(slash - reject->part)));
        add_header(dead, "weir.partition", weir_text(slash + 1));
    } else {
        add_header(dead, "weir.partition", weir_text(reject->part));
    }
    add_header(dead, "weir.offset", weir_text(offset));
    return true;
}

static bool make_dead(struct wr_instance *instance, const struct wr_reject *reject,
                      struct dead *dead)
{
    struct wr_arena *arena = &instance->call;
    size_t own = reject->record.header_count;
    bool kafka = instance->rejecting.sink->endpoint.scheme == WR_SCHEME_KAFKA;
    *dead = (struct dead){.record = reject->record,
                          .own = own,
                          .bytes_max = WR_RECORD_BYTES_MAX - (kafka ? KAFKA_SPARE : 0)};
    dead->headers = wr_arena_alloc(arena, (own + ADDED_MAX) * sizeof *dead->headers);
    if (!dead->headers) {
        return false;
    }
    if (own > 0) {
        memcpy(dead->headers, reject->record.headers, own * sizeof *dead->headers);
    }
    dead->record.headers = dead->headers;
    if (reject->source && !add_origin(instance, reject, dead)) {
        return false;
    }
    add_header(dead, "weir.node", weir_text(reject->node));
    if (reject->timer.data) {
        weir_bytes name = reject->timer;
        cut(&name, name.size, TIMER_BYTES_MAX);
        add_header(dead, "weir.timer", name);
    }
    add_header(dead, "weir.reason", weir_text(reject->reason));
    return true;
}

static void put_into_sink(struct wr_instance *instance, const struct wr_reject *reject)
{
    struct wr_mark mark = wr_arena_mark(&instance->call);
    struct dead dead;
    if (make_dead(instance, reject, &dead)) {
        fit(&dead);
        wr_sink_put(instance, instance->rejecting.sink, &dead.record);
    } else {
        (void)wr_fail_memory(&instance->failure);
    }
    wr_arena_release(&instance->call, mark);
}

/* A dead letter that its sink cannot hold (a table needs a key) is no second dead letter. */
static void say_unfit(struct wr_instance *instance, const char *why)
{
    if (!instance->rejecting.unfit_said) {
        instance->rejecting.unfit_said = true;
        wr_log(instance->env, WR_LOG_WARN,
               "sink `%s` cannot take a dead letter (%s), nor others like it; all of them are in "
               "the store, see `weir rejects %s`",
               WR_REJECTS_SINK, why, wr_store_info(instance->store)->path);
    }
}

/* ---- Adding one ------------------------------------------------------------------------------ */

static bool has_room(struct wr_instance *instance, const struct wr_node *node, const char *reason)
{
    int64_t held = instance->rejecting.held + wr_store_sql_rejects(instance->store) +
                   (int64_t)instance->filling->reject_count - (int64_t)instance->retry.taken_count;
    if (held < instance->options->rejects_max) {
        return true;
    }
    (void)wr_fail(&instance->failure, WEIR_FATAL, WR_EXIT_DATA,
                  "node `%s` rejects it (%.200s), and %s may hold no more than %" PRId64
                  " dead letters (--rejects-max); %s, or allow more",
                  node->name, reason, wr_store_info(instance->store)->path,
                  instance->options->rejects_max,
                  instance->rejecting.held > 0
                      ? "look at them with `weir rejects STORE`, make room with its --retry or "
                        "--delete"
                      : "it holds none yet, and this epoch was not decided: mend the job or its "
                        "input");
    return false;
}

/* The origin of a dead letter that was taken again: its part may be gone, and the letter goes with
 * its page, before the epoch. */
static bool take_origin(struct wr_instance *instance, const struct wr_letter *letter,
                        struct wr_from *from)
{
    struct wr_arena *arena = &instance->filling->arena;
    from->offset = letter->offset;
    if (!letter->source) {
        return true;
    }
    from->source = wr_arena_string(arena, letter->source);
    from->part = wr_arena_string(arena, letter->part ? letter->part : "");
    if (!from->source || !from->part) {
        (void)wr_fail_memory(&instance->failure);
        return false;
    }
    return true;
}

bool wr_rejects_from(struct wr_instance *instance, struct wr_from *from_out)
{
    const struct wr_origin *origin = &instance->origin;
    const struct wr_part *part = origin->part == SIZE_MAX ? NULL : &instance->parts[origin->part];
    *from_out = (struct wr_from){.source = part ? part->node->name : NULL,
                                 .part = part ? part->at->part : NULL,
                                 .offset = part ? origin->offset : -1};
    return !origin->letter || take_origin(instance, origin->letter, from_out);
}

void wr_rejects_add(struct wr_instance *instance, const struct wr_node *node, unsigned input,
                    const weir_record *record, weir_bytes timer, const char *why)
{
    struct wr_from from;
    char reason[WR_REASON_BYTES_MAX + 1];
    snprintf(reason, sizeof reason, "%s", why ? why : "");
    if (node == instance->rejecting.sink) {
        say_unfit(instance, reason);
        return;
    }
    if (!wr_rejects_from(instance, &from)) {
        return;
    }
    struct wr_reject reject = {.source = from.source,
                               .part = from.part,
                               .offset = from.offset,
                               .node = node->name,
                               .reason = reason,
                               .input = input,
                               .seq = instance->unit_rejects,
                               .record = *record,
                               .timer = timer};
    if (has_room(instance, node, reason) &&
        wr_epoch_reject(instance->filling, &reject, &instance->failure) == WEIR_OK) {
        instance->unit_rejects++;
        if (instance->rejecting.sink) {
            put_into_sink(instance, &reject);
        }
    }
}

void wr_rejects_seal(struct wr_instance *instance)
{
    instance->rejecting.held += (int64_t)instance->filling->reject_count -
                                (int64_t)instance->filling->progress.retried_count;
    wr_assert_that(instance->rejecting.held, >=, 0);
}

/* ---- Open ------------------------------------------------------------------------------------ */

static weir_status query_one(struct wr_instance *instance, const char *text, int64_t *value_out,
                             struct wr_error *error)
{
    struct wr_rows *rows = NULL;
    bool more = false;
    WR_TRY(wr_rows_open(instance->reader, text, &rows, error));
    weir_status status = wr_rows_next(rows, &more, error);
    *value_out = status == WEIR_OK && more ? wr_rows_int(rows, 0) : 0;
    wr_rows_close(rows);
    return status;
}

/* What an earlier run's --rejects has not yet brought outside stays in the store. */
static weir_status say_stranded(struct wr_instance *instance, struct wr_error *error)
{
    int64_t waiting = 0;
    WR_TRY(query_one(instance,
                     "SELECT partition.next - marker.next FROM partition"
                     " JOIN topic ON topic.id = partition.topic AND topic.outbox"
                     " JOIN marker ON marker.sink = topic.name"
                     " WHERE topic.name = '" WR_REJECTS_SINK "'",
                     &waiting, error));
    for (size_t i = 0; i < instance->job->sink_count; i++) {
        const struct wr_sink *sink = &instance->sinks[i];
        if (sink->kind == WR_SINK_OUTBOX && strcmp(sink->name, WR_REJECTS_SINK) == 0) {
            return WEIR_OK; /* they are sent in this run */
        }
    }
    if (waiting > 0) {
        wr_log(instance->env, WR_LOG_WARN,
               "%" PRId64 " dead letters of an earlier run wait to be forwarded to what its "
               "--rejects named; they stay in the store until a run gives the same --rejects again",
               waiting);
    }
    return WEIR_OK;
}

weir_status wr_rejects_open(struct wr_instance *instance, struct wr_error *error)
{
    instance->rejecting.sink = instance->job->rejects;
    WR_TRY(query_one(instance, "SELECT count(*) FROM reject", &instance->rejecting.held, error));
    wr_store_limit_rejects(instance->store, instance->rejecting.held,
                           instance->options->rejects_max);
    WR_TRY(say_stranded(instance, error));
    wr_reader_end(instance->reader);
    return WEIR_OK;
}
