/* forward_send.c: what logs and epochs hold, record after record, to the outlets. See forward.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/forward_inner.h"

/* ---- Sending --------------------------------------------------------------------------------- */

/* Names the batch in an error about its content, which the one who found it could not. */
static weir_status fail_batch(const struct wr_forward *forward, int64_t offset, weir_status status,
                              struct wr_error *error)
{
    if (error->exit_code != WR_EXIT_DATA && error->exit_code != WR_EXIT_CONFIG) {
        return status;
    }
    struct wr_error cause = *error;
    wr_error_clear(error);
    return wr_fail(error, status, cause.exit_code,
                   "cannot forward sink %s (topic %s) from offset %" PRId64
                   ": %.500s; `weir verify` shows what else is damaged",
                   forward->sink->name, forward->sink->topic_name, offset, cause.text);
}

/* A log without what was decided: another process on this store, which should not be, has trimmed
 * it (75); else it is damaged, and the caller says how. */
static weir_status check_overtaken(struct wr_forwarder *forwarder, struct wr_error *error)
{
    weir_status status =
        wr_reader_check_generation(forwarder->reader, forwarder->generation, error);
    wr_reader_end(forwarder->reader);
    return status;
}

/* Sends the records of a batch from forward->next on, and moves that. */
static weir_status send_batch(struct wr_forwarder *forwarder, struct wr_forward *forward,
                              weir_bytes bytes, struct wr_error *error)
{
    struct wr_batch_reader batch;
    int64_t *next = &forward->next;
    weir_status status = wr_batch_open(bytes, &batch, error);
    if (status != WEIR_OK) {
        return fail_batch(forward, *next, status, error);
    }
    if (batch.first_offset > *next || batch.first_offset > INT64_MAX - (int64_t)batch.count ||
        batch.first_offset + (int64_t)batch.count <= *next) {
        WR_TRY(check_overtaken(forwarder, error));
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "cannot forward sink %s: the log of topic %s has no offset %" PRId64
                       " (its next batch starts at %" PRId64
                       "); `weir verify` shows what else is damaged",
                       forward->sink->name, forward->sink->topic_name, *next, batch.first_offset);
    }
    for (forward->midway = true;;) {
        struct wr_mark mark = wr_arena_mark(&forwarder->batch);
        weir_record record;
        int64_t offset = 0;
        bool more = false;
        status = wr_batch_next(&batch, &forwarder->batch, &record, &offset, &more, error);
        if (status != WEIR_OK) {
            return fail_batch(forward, *next, status, error);
        }
        if (!more) {
            break;
        }
        if (offset >= *next) {
            wr_assert_that(offset, ==, *next);
            WR_TRY(forward->outlet->ops->send(forward->outlet, &record, offset, error));
            atomic_fetch_add_explicit(&forwarder->sent, 1, memory_order_relaxed);
            *next = offset + 1;
        }
        wr_arena_release(&forwarder->batch, mark);
    }
    forward->midway = false;
    if (forward->outlet->ops->mark) {
        forward->outlet->ops->mark(forward->outlet, bytes, *next);
    }
    return WEIR_OK;
}

/* The batch that holds `next`, in forwarder->batch. No snapshot outlives the call: an outside that
 * keeps us waiting must not make the WAL grow. */
static weir_status read_batch(struct wr_forwarder *forwarder, const struct wr_forward *forward,
                              int64_t next, weir_bytes *bytes_out, struct wr_error *error)
{
    wr_arena_reset(&forwarder->batch);
    weir_status status = wr_reader_batch(forwarder->reader, forward->sink->topic, 0, next,
                                         &forwarder->batch, bytes_out, error);
    wr_reader_end(forwarder->reader);
    WR_TRY(status);
    if (bytes_out->data) {
        return WEIR_OK;
    }
    WR_TRY(check_overtaken(forwarder, error));
    return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                   "cannot forward sink %s: the log of topic %s ends before offset %" PRId64
                   ", which was decided; `weir verify` shows what else is damaged",
                   forward->sink->name, forward->sink->topic_name, next);
}

static weir_status look(struct wr_forwarder *forwarder, struct wr_forward *forward,
                        struct wr_extent *extent_out, struct wr_error *error)
{
    weir_status status =
        wr_reader_extent(forwarder->reader, forward->sink->topic, 0, extent_out, error);
    wr_reader_end(forwarder->reader);
    WR_TRY(status);
    atomic_store_explicit(&forward->bytes, extent_out->bytes, memory_order_relaxed);
    forward->end = extent_out->next;
    if (forward->next > extent_out->next) {
        WR_TRY(check_overtaken(forwarder, error));
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "cannot forward sink %s: its marker is at offset %" PRId64
                       " and the log of topic %s ends at %" PRId64
                       "; `weir verify` shows what else is damaged",
                       forward->sink->name, forward->next, forward->sink->topic_name,
                       extent_out->next);
    }
    return WEIR_OK;
}

/* Sends what one sink's log holds beyond what was sent, within the budget. */
weir_status wr_forward_send(struct wr_forwarder *forwarder, struct wr_forward *forward,
                            struct wr_error *error)
{
    struct wr_fault *fault = &forwarder->env->fault;
    struct wr_extent extent;
    WR_TRY(look(forwarder, forward, &extent, error));
    if (forward->outlet->ops->prepare) {
        struct wr_marker marker = forward->marker;
        WR_TRY(forward->outlet->ops->prepare(forward->outlet, &marker, &forward->next, error));
        wr_forward_take(forwarder, forward, &marker);
        WR_TRY(look(forwarder, forward, &extent, error));
    }
    /* A batch that was begun ends, whatever other sinks have sent since: until then no marker of
     * any of them can move, and with it no budget is given. */
    while (forward->next < extent.next && (forwarder->budget > 0 || forward->midway)) {
        if (forward->next == forward->marker.next) {
            WR_FAULT(fault, forward_before_send, error);
        }
        weir_bytes bytes;
        WR_TRY(read_batch(forwarder, forward, forward->next, &bytes, error));
        WR_TRY(send_batch(forwarder, forward, bytes, error));
        forwarder->budget -= bytes.size < forwarder->budget ? bytes.size : forwarder->budget;
    }
    return WEIR_OK;
}

/* ---- Around the logs ------------------------------------------------------------------------- */

void wr_forwarder_keep(struct wr_forwarder *forwarder)
{
    wr_assert(!forwarder->checked);
    for (size_t i = 0; i < forwarder->count; i++) {
        forwarder->forwards[i].outlet->keeps = true;
    }
}

static weir_status send_all(struct wr_forwarder *forwarder, struct wr_outlet *outlet,
                            const struct wr_batch *batch, struct wr_error *error)
{
    struct wr_batch_reader reader;
    wr_arena_reset(&forwarder->batch);
    WR_TRY(wr_batch_open(wr_bytes(batch->bytes.data, batch->bytes.size), &reader, error));
    for (bool more = true; more;) {
        struct wr_mark mark = wr_arena_mark(&forwarder->batch);
        weir_record record;
        int64_t offset = 0;
        WR_TRY(wr_batch_next(&reader, &forwarder->batch, &record, &offset, &more, error));
        if (more) {
            WR_TRY(outlet->ops->send(outlet, &record, offset, error));
        }
        wr_arena_release(&forwarder->batch, mark);
    }
    return WEIR_OK;
}

static weir_status direct_sink(struct wr_forwarder *forwarder, size_t at,
                               const struct wr_epoch *epoch, struct wr_error *error)
{
    const struct wr_forward *forward = &forwarder->forwards[at];
    const struct wr_epoch_sink *write = &epoch->sink[forward->sink - epoch->sinks];
    forward->outlet->direct = true;
    for (const struct wr_batch *batch = write->batches; batch; batch = batch->next) {
        WR_TRY(send_all(forwarder, forward->outlet, batch, error));
    }
    return write->batches ? forward->outlet->ops->flush(forward->outlet, error) : WEIR_OK;
}

weir_status wr_forwarder_direct(struct wr_forwarder *forwarder, const struct wr_epoch *epoch,
                                struct wr_error *error)
{
    wr_assert(forwarder->checked);
    wr_assert_that(atomic_load(&forwarder->waiting), ==, 0);
    for (size_t i = 0; i < forwarder->count; i++) {
        atomic_store_explicit(&forwarder->sending, i + 1, memory_order_relaxed);
        WR_TRY(direct_sink(forwarder, i, epoch, error));
        atomic_store_explicit(&forwarder->sending, 0, memory_order_relaxed);
    }
    return WEIR_OK;
}
