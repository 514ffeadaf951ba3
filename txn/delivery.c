/* delivery.c: the order in which a write set's two halves reach the store. No other file tests the
 * mode.
 *
 *   exactly-once   one transaction: effects and positions. Invariants 1, 2 and 10 as epoch.h states
 *                  them.
 *
 *   at-least-once  outside sinks written ▶ effects decided ▶ ... ▶ outside sinks synced ▶ positions
 *                  of all decided epochs, each --positions-ms, and at a clean stop. Instead of 1:
 *                  what is stored of positions is never ahead of the effects. Of 2: a snapshot's
 *                  outputs are those of the inputs below its positions, and of some above. Of 10:
 *                  every record below a position took effect, some above it too.
 *
 *   at-most-once   positions (no sync of its own: the WAL keeps the order) ▶ effects, outboxes.
 *                  Instead of 1: effects are never ahead of positions. Of 2: some inputs below a
 *                  snapshot's positions may lack their outputs. Of 10: no record takes effect
 *                  twice; those of one epoch may take none.
 *
 * Long because the three orders are one subject, and nobody else may know the modes.
 *
 * Positions that are put off are those of decided epochs, each partition's newest. Their identities
 * are copied, since they belong to the epoch; the other texts live as long as the instance.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/base/bytes.h"

static const char *const names[] = {[WR_EXACTLY_ONCE] = "exactly-once",
                                    [WR_AT_LEAST_ONCE] = "at-least-once",
                                    [WR_AT_MOST_ONCE] = "at-most-once"};

/* What is put off of one partition, node and partition, or node. */
struct put_off {
    struct put_off *next;
    enum { PUT_POSITION, PUT_WATERMARK, PUT_NODE } kind;
    struct wr_position position;
    struct wr_watermark watermark;
    struct wr_node_watermark node;
    char *identity; /* of the position */
    size_t identity_room;
};

enum { IDENTITY_ROOM = 200 }; /* most identities fit, also one that changes */

struct wr_deliverer {
    struct wr_env *env;
    struct wr_store *store;
    struct wr_forwarder *forwarder;
    enum wr_delivery delivery;
    int64_t positions_us;
    struct wr_arena arena; /* of what is put off */
    struct wr_map map;
    struct put_off *list;
    size_t count;
    int64_t *retried;
    size_t retried_count, retried_capacity;
    int64_t since_us; /* the oldest of it was put off; -1: nothing is */
};

weir_status wr_deliverer_new(struct wr_store *store, struct wr_forwarder *forwarder,
                             enum wr_delivery delivery, struct wr_env *env, int64_t positions_ms,
                             struct wr_deliverer **deliverer_out, struct wr_error *error)
{
    struct wr_deliverer *deliverer = calloc(1, sizeof *deliverer);
    if (!deliverer) {
        return wr_fail_memory(error);
    }
    deliverer->env = env;
    deliverer->store = store;
    deliverer->forwarder = forwarder;
    deliverer->delivery = delivery;
    deliverer->positions_us = positions_ms * 1000;
    deliverer->since_us = -1;
    wr_arena_init(&deliverer->arena, 0);
    *deliverer_out = deliverer;
    return WEIR_OK;
}

void wr_deliverer_free(struct wr_deliverer *deliverer)
{
    if (deliverer) {
        wr_map_fini(&deliverer->map);
        wr_arena_fini(&deliverer->arena);
        free(deliverer->retried);
        free(deliverer);
    }
}

/* ---- What is put off ------------------------------------------------------------------------- */

static bool same(const struct put_off *a, const struct put_off *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case PUT_POSITION:
        return strcmp(a->position.source, b->position.source) == 0 &&
               strcmp(a->position.part, b->position.part) == 0;
    case PUT_WATERMARK:
        return a->watermark.node == b->watermark.node &&
               strcmp(a->watermark.source, b->watermark.source) == 0 &&
               strcmp(a->watermark.part, b->watermark.part) == 0;
    case PUT_NODE:
        return a->node.node == b->node.node;
    }
    return false;
}

static uint64_t hash_of(const struct put_off *item)
{
    switch (item->kind) {
    case PUT_POSITION:
        return wr_hash(0, weir_text(item->position.source), weir_text(item->position.part));
    case PUT_WATERMARK:
        return wr_hash(item->watermark.node, weir_text(item->watermark.source),
                       weir_text(item->watermark.part));
    case PUT_NODE:
        break;
    }
    return wr_hash(item->node.node, (weir_bytes){NULL, 0}, (weir_bytes){NULL, 0});
}

static weir_status keep_identity(struct wr_deliverer *deliverer, struct put_off *item,
                                 struct wr_error *error)
{
    if (item->kind != PUT_POSITION || !item->position.identity) {
        return WEIR_OK;
    }
    size_t size = strlen(item->position.identity) + 1;
    if (size > item->identity_room) {
        item->identity_room = size > IDENTITY_ROOM ? size : IDENTITY_ROOM;
        item->identity = wr_arena_alloc(&deliverer->arena, item->identity_room);
        if (!item->identity) {
            return wr_fail_memory(error);
        }
    }
    memcpy(item->identity, item->position.identity, size);
    item->position.identity = item->identity;
    return WEIR_OK;
}

static weir_status put_off(struct wr_deliverer *deliverer, const struct put_off *item,
                           struct wr_error *error)
{
    uint64_t hash = hash_of(item);
    struct put_off *found = NULL;
    size_t at = wr_map_first(&deliverer->map, hash);
    for (; (found = wr_map_at(&deliverer->map, hash, &at)) && !same(found, item); at++) {
    }
    if (found) {
        found->position = item->position;
        found->watermark = item->watermark;
        found->node = item->node;
        return keep_identity(deliverer, found, error);
    }
    found = wr_arena_alloc(&deliverer->arena, sizeof *found);
    if (!found || !wr_map_reserve(&deliverer->map)) {
        return wr_fail_memory(error);
    }
    *found = *item;
    found->next = deliverer->list;
    deliverer->list = found;
    deliverer->count++;
    wr_map_insert(&deliverer->map, hash, found);
    return keep_identity(deliverer, found, error);
}

static weir_status put_off_retried(struct wr_deliverer *deliverer,
                                   const struct wr_progress *progress, struct wr_error *error)
{
    size_t count = deliverer->retried_count + progress->retried_count;
    if (count > deliverer->retried_capacity) {
        int64_t *retried = realloc(deliverer->retried, count * 2 * sizeof *retried);
        if (!retried) {
            return wr_fail_memory(error);
        }
        deliverer->retried = retried;
        deliverer->retried_capacity = count * 2;
    }
    for (size_t i = 0; i < progress->retried_count; i++) {
        deliverer->retried[deliverer->retried_count++] = progress->retried[i];
    }
    return WEIR_OK;
}

static weir_status put_off_all(struct wr_deliverer *deliverer, const struct wr_progress *progress,
                               struct wr_error *error)
{
    for (size_t i = 0; i < progress->position_count; i++) {
        struct put_off item = {.kind = PUT_POSITION, .position = progress->positions[i]};
        WR_TRY(put_off(deliverer, &item, error));
    }
    for (size_t i = 0; i < progress->watermark_count; i++) {
        struct put_off item = {.kind = PUT_WATERMARK, .watermark = progress->watermarks[i]};
        WR_TRY(put_off(deliverer, &item, error));
    }
    for (size_t i = 0; i < progress->node_count; i++) {
        struct put_off item = {.kind = PUT_NODE, .node = progress->nodes[i]};
        WR_TRY(put_off(deliverer, &item, error));
    }
    WR_TRY(put_off_retried(deliverer, progress, error));
    if (deliverer->since_us < 0) {
        deliverer->since_us = deliverer->env->monotonic_us(deliverer->env);
    }
    return WEIR_OK;
}

/* As a transaction takes it; in the arena. */
static weir_status gather(struct wr_deliverer *deliverer, struct wr_progress *progress_out,
                          struct wr_error *error)
{
    size_t size = deliverer->count + 1;
    *progress_out = (struct wr_progress){
        .positions = wr_arena_alloc(&deliverer->arena, size * sizeof(struct wr_position)),
        .watermarks = wr_arena_alloc(&deliverer->arena, size * sizeof(struct wr_watermark)),
        .nodes = wr_arena_alloc(&deliverer->arena, size * sizeof(struct wr_node_watermark)),
        .retried = deliverer->retried,
        .retried_count = deliverer->retried_count};
    if (!progress_out->positions || !progress_out->watermarks || !progress_out->nodes) {
        return wr_fail_memory(error);
    }
    for (const struct put_off *at = deliverer->list; at; at = at->next) {
        switch (at->kind) {
        case PUT_POSITION:
            progress_out->positions[progress_out->position_count++] = at->position;
            break;
        case PUT_WATERMARK:
            progress_out->watermarks[progress_out->watermark_count++] = at->watermark;
            break;
        case PUT_NODE:
            progress_out->nodes[progress_out->node_count++] = at->node;
            break;
        }
    }
    return WEIR_OK;
}

static void forget(struct wr_deliverer *deliverer)
{
    wr_map_clear(&deliverer->map, 4096);
    wr_arena_reset(&deliverer->arena);
    deliverer->list = NULL;
    deliverer->count = 0;
    deliverer->retried_count = 0;
    deliverer->since_us = -1;
}

int64_t wr_deliverer_due_ms(const struct wr_deliverer *deliverer)
{
    if (deliverer->since_us < 0) {
        return INT64_MAX;
    }
    int64_t age_us = deliverer->env->monotonic_us(deliverer->env) - deliverer->since_us;
    return age_us >= deliverer->positions_us ? 0 : (deliverer->positions_us - age_us) / 1000 + 1;
}

weir_status wr_deliverer_rest(struct wr_deliverer *deliverer, bool all, struct wr_error *error)
{
    struct wr_fault *fault = &deliverer->env->fault;
    if (deliverer->since_us < 0 || (!all && wr_deliverer_due_ms(deliverer) > 0)) {
        return WEIR_OK;
    }
    struct wr_progress progress;
    struct wr_apply apply = {.progress = &progress, .delivery = names[deliverer->delivery]};
    WR_TRY(gather(deliverer, &progress, error));
    WR_TRY(wr_forwarder_settle(deliverer->forwarder, error));
    apply.marker_count = wr_forwarder_markers(deliverer->forwarder, &apply.markers);
    WR_FAULT(fault, deliver_before_positions, error);
    WR_TRY(wr_store_apply(deliverer->store, &apply, error));
    WR_FAULT(fault, deliver_after_positions, error);
    wr_forwarder_decided(deliverer->forwarder);
    forget(deliverer);
    return WEIR_OK;
}

/* ---- The three orders ------------------------------------------------------------------------ */

static weir_status at_least_once(struct wr_deliverer *deliverer, struct wr_apply *apply,
                                 struct wr_error *error)
{
    if (!apply->epoch) {
        return wr_store_apply(deliverer->store, apply, error);
    }
    apply->no_outboxes = true;
    WR_TRY(wr_forwarder_direct(deliverer->forwarder, apply->epoch, error));
    WR_FAULT(&deliverer->env->fault, deliver_after_send, error);
    WR_TRY(wr_store_apply(deliverer->store, apply, error));
    WR_TRY(put_off_all(deliverer, &apply->epoch->progress, error));
    return wr_deliverer_rest(deliverer, false, error);
}

/* What goes outside by the logs. */
static weir_status decide(struct wr_deliverer *deliverer, const struct wr_apply *apply,
                          struct wr_error *error)
{
    WR_TRY(wr_store_apply(deliverer->store, apply, error));
    if (apply->epoch) {
        wr_forwarder_grew(deliverer->forwarder, apply->epoch);
    }
    return WEIR_OK;
}

static weir_status at_most_once(struct wr_deliverer *deliverer, struct wr_apply *apply,
                                struct wr_error *error)
{
    if (apply->epoch) {
        struct wr_apply first = {
            .progress = &apply->epoch->progress, .delivery = apply->delivery, .lazy = true};
        WR_FAULT(&deliverer->env->fault, deliver_before_positions, error);
        WR_TRY(wr_store_apply(deliverer->store, &first, error));
        WR_FAULT(&deliverer->env->fault, deliver_after_positions, error);
    }
    return decide(deliverer, apply, error);
}

weir_status wr_deliverer_decide(struct wr_deliverer *deliverer, const struct wr_epoch *epoch,
                                const struct wr_marker *markers, size_t marker_count,
                                struct wr_error *error)
{
    struct wr_apply apply = {.epoch = epoch,
                             .markers = markers,
                             .marker_count = marker_count,
                             .delivery = names[deliverer->delivery]};
    wr_assert(!epoch || epoch->phase == WR_EPOCH_SEALED);
    switch (deliverer->delivery) {
    case WR_AT_LEAST_ONCE:
        return at_least_once(deliverer, &apply, error);
    case WR_AT_MOST_ONCE:
        return at_most_once(deliverer, &apply, error);
    case WR_EXACTLY_ONCE:
        break;
    }
    apply.progress = epoch ? &epoch->progress : NULL;
    return decide(deliverer, &apply, error);
}

weir_status wr_deliverer_start(struct wr_deliverer *deliverer, struct wr_error *error)
{
    bool direct = wr_delivery_is_direct(deliverer->delivery), moved = direct;
    wr_forwarder_wait(deliverer->forwarder, direct);
    /* What is in the logs was decided earlier, so it goes out earlier. */
    while (direct && (moved || wr_forwarder_is_behind(deliverer->forwarder))) {
        const struct wr_marker *markers = NULL;
        WR_TRY(wr_forwarder_step(deliverer->forwarder, &moved, error));
        size_t count = wr_forwarder_markers(deliverer->forwarder, &markers);
        if (count > 0) {
            WR_TRY(wr_deliverer_decide(deliverer, NULL, markers, count, error));
            wr_forwarder_decided(deliverer->forwarder);
        }
    }
    wr_forwarder_wait(deliverer->forwarder, false);
    return WEIR_OK;
}

/* ---- The modes by name ----------------------------------------------------------------------- */

bool wr_delivery_is_direct(enum wr_delivery delivery)
{
    return delivery == WR_AT_LEAST_ONCE;
}

bool wr_delivery_parse(const char *text, enum wr_delivery *delivery_out)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], text) == 0) {
            *delivery_out = (enum wr_delivery)i;
            return true;
        }
    }
    return false;
}

const char *wr_delivery_name(enum wr_delivery delivery)
{
    return names[delivery];
}

static const char *describe(enum wr_delivery delivery, const char *outside)
{
    switch (delivery) {
    case WR_AT_LEAST_ONCE:
        return outside ? "at-least-once: written directly, before the positions of its input are "
                         "stored; a crash repeats what came since"
                       : "at-least-once: decided before the positions of its input are stored; a "
                         "crash repeats what came since";
    case WR_AT_MOST_ONCE:
        if (outside && strncmp(outside, "at-least-once", strlen("at-least-once")) == 0) {
            return "neither: positions are stored first, so a crash may lose an epoch; and what "
                   "went out cannot be taken back, so it may repeat the last lines";
        }
        return outside ? "at-most-once: positions are stored before its log is decided, so a crash "
                         "may lose an epoch; forwarded once from there"
                       : "at-most-once: positions are stored before it is decided, so a crash may "
                         "lose an epoch";
    case WR_EXACTLY_ONCE:
        break;
    }
    return outside ? outside : "exactly-once: decided in one transaction with the positions";
}

void wr_delivery_describe(enum wr_delivery delivery, enum wr_sync sync, enum wr_sink_kind kind,
                          const char *outside, char *text, size_t size)
{
    const char *power = "";
    if (kind == WR_SINK_NULL) {
        snprintf(text, size, "nothing is kept");
        return;
    }
    if (kind == WR_SINK_LOG && sync != WR_SYNC_FULL) {
        power = "; a power cut may take back what another process has already read (--sync full "
                "does not)";
    }
    snprintf(text, size, "%s%s", describe(delivery, outside), power);
}
