/* kafka_join.c: outlets and the producer that they share: joining, leaving, waiting for it, and
 * at-least-once, which needs no more of it than that. See kafka_forward.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "txn/base/assert.h"
#include "txn/outlets/kafka_forward.h"

enum { STEP_MS = 20 }; /* of waiting */

/* ---- Without transactions -------------------------------------------------------------------- */

weir_status wr_kafka_forward_direct(struct wr_kafka_forward *forward, struct wr_error *error)
{
    if (!forward->direct) {
        wr_kafka_let_go(forward);
        forward->direct = true;
    }
    if (wr_kafka_now_us(forward) < forward->again_us) {
        return WEIR_RETRY;
    }
    if (forward->phase == WR_KAFKA_DOWN) {
        WR_TRY(wr_kafka_make_client(forward, error));
    }
    if (forward->phase == WR_KAFKA_SETTLING) {
        WR_TRY(wr_kafka_look_up(forward, error));
        WR_TRY(wr_kafka_check_cluster(forward, error));
        forward->phase = WR_KAFKA_IDLE;
        wr_kafka_progress(forward);
    }
    return WEIR_OK;
}

weir_status wr_kafka_forward_flush(struct wr_kafka_forward *forward, struct wr_error *error)
{
    wr_kafka_forward_call(forward, WR_KAFKA_CALL_MS);
    rd_kafka_resp_err_t cause = rd_kafka_flush(forward->client, WR_KAFKA_CALL_MS);
    wr_kafka_forward_came_back(forward);
    WR_TRY(wr_kafka_check_fallen(forward, error));
    if (forward->failed_messages > 0) {
        wr_kafka_fail(error, forward->failed ? forward->failed : RD_KAFKA_RESP_ERR__PURGE_QUEUE,
                      "%s: cannot send to topic %s", forward->what, forward->outlets->topic);
        error->status = WEIR_FATAL;
        return WEIR_FATAL;
    }
    if (cause) {
        return wr_kafka_failed_text(
            forward, wr_kafka_fail(error, cause, "%s: cannot send records", forward->what), error);
    }
    return WEIR_OK;
}

/* ---- Joining and leaving --------------------------------------------------------------------- */

static void sleep_ms(int ms)
{
    struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
    nanosleep(&time, NULL);
}

weir_status wr_kafka_forward_wait(struct wr_kafka_outlet *outlet,
                                  weir_status (*call)(struct wr_kafka_forward *forward,
                                                      struct wr_error *error),
                                  struct wr_error *error)
{
    struct wr_kafka_forward *forward = outlet->forward;
    int64_t until_us = wr_kafka_now_us(forward) + WR_OUTSIDE_WAIT_MS * 1000LL;
    /* A store whose check once passed need not wait for it; but at-least-once sends what is in the
     * log before anything else. */
    int64_t patient_us = wr_kafka_now_us(forward) + WR_OUTSIDE_LOOK_MS * 1000LL;
    bool may_defer = outlet->row.identity && !outlet->wants_direct, said = false;
    weir_status status;
    while ((status = call(forward, error)) == WEIR_RETRY) {
        bool down = atomic_load(&forward->link.down);
        int64_t now = wr_kafka_now_us(forward);
        if (may_defer && (down || now > patient_us)) {
            return WEIR_RETRY;
        }
        if (now > until_us) {
            struct wr_error cause = forward->last;
            return wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE,
                           "%.800s (waited %d s; nothing was read)", cause.text,
                           WR_OUTSIDE_WAIT_MS / 1000);
        }
        if (!said && down) {
            said = true;
            wr_log(forward->env, WR_LOG_WARN,
                   "%s: a sink that was never forwarded to is looked at before anything is read: "
                   "waits for its brokers, up to %d s",
                   forward->what, WR_OUTSIDE_WAIT_MS / 1000);
        }
        wr_kafka_forward_poll(forward, 0);
        sleep_ms(STEP_MS);
    }
    return status;
}

/* Whether properties of one sink alone would make its client another one than the others'. */
static bool has_own_properties(const struct wr_kafka_properties *properties, const char *name)
{
    for (size_t i = 0; properties && i < properties->count; i++) {
        if (properties->items[i].endpoint && strcmp(properties->items[i].endpoint, name) == 0) {
            return true;
        }
    }
    return false;
}

static struct wr_kafka_forward *forward_new(struct wr_env *env, const char *id,
                                            const struct wr_outlet_kafka_options *options)
{
    struct wr_kafka_forward *forward = calloc(1, sizeof *forward);
    char what[WR_NAME_BYTES_MAX + 16];
    if (!forward) {
        return NULL;
    }
    snprintf(what, sizeof what, "sink %s", options->sink);
    *forward = (struct wr_kafka_forward){.env = env,
                                         .brokers = strdup(options->brokers),
                                         .id = strdup(id),
                                         .what = strdup(what),
                                         .properties = options->properties,
                                         .incarnation = options->store->incarnation,
                                         .from_store = options->marker_from_store};
    forward->link =
        (struct wr_kafka_link){.env = env, .what = forward->what, .brokers = forward->brokers};
    return forward;
}

static void forward_free(struct wr_kafka_forward *forward)
{
    free(forward->brokers);
    free(forward->id);
    free(forward->what);
    free(forward);
}

weir_status wr_kafka_forward_join(struct wr_kafka_outlet *outlet,
                                  const struct wr_outlet_kafka_options *options,
                                  struct wr_error *error)
{
    char id[WR_URI_BYTES_MAX + 64];
    snprintf(id, sizeof id, "%sweir.%s", options->id_prefix, options->store->id);
    struct wr_kafka_forward *forward = *options->forwards;
    while (forward &&
           (strcmp(forward->brokers, options->brokers) != 0 || strcmp(forward->id, id) != 0)) {
        forward = forward->next;
    }
    if (forward) {
        bool own = has_own_properties(options->properties, options->sink) ||
                   has_own_properties(options->properties, forward->outlets->name);
        if (own) {
            return wr_fail(error, WEIR_MISUSE, WR_EXIT_CONFIG,
                           "sinks %s and %s share one producer, so neither can have properties of "
                           "its own; write -X PROPERTY=VALUE without the sink's name",
                           forward->outlets->name, options->sink);
        }
    } else {
        forward = forward_new(outlet->base.env, id, options);
        if (!forward || !forward->brokers || !forward->id || !forward->what) {
            if (forward) {
                forward_free(forward);
            }
            return wr_fail_memory(error);
        }
        forward->list = options->forwards;
        forward->next = *options->forwards;
        *options->forwards = forward;
    }
    outlet->forward = forward;
    outlet->next = forward->outlets;
    forward->outlets = outlet;
    return WEIR_OK;
}

void wr_kafka_forward_leave(struct wr_kafka_outlet *outlet)
{
    struct wr_kafka_forward *forward = outlet->forward;
    if (!forward) {
        return;
    }
    if (forward->client && !forward->direct &&
        (forward->phase == WR_KAFKA_OPEN || forward->phase == WR_KAFKA_ABORTING)) {
        rd_kafka_error_t *cause = rd_kafka_abort_transaction(forward->client, WR_KAFKA_CALL_MS);
        if (cause) {
            rd_kafka_error_destroy(cause); /* the next start settles it */
        }
    }
    wr_kafka_let_go(forward);
    struct wr_kafka_outlet **at = &forward->outlets;
    while (*at != outlet) {
        at = &(*at)->next;
    }
    *at = outlet->next;
    if (forward->outlets) {
        return;
    }
    struct wr_kafka_forward **from = forward->list;
    while (*from != forward) {
        from = &(*from)->next;
    }
    *from = forward->next;
    forward_free(forward);
}
