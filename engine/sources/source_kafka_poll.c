/* source_kafka_poll.c: one poll of one partition: what librdkafka has fetched of it, as it is.
 * Nothing here waits for a broker.
 *
 * A position is the next offset. Between one record and the next there may be a gap: what marks the
 * end of a transaction, records of one that was aborted, what compaction removed. So a record at
 * offset n says that everything below n is read, and so does the end of the partition, which the
 * client tells by its offset, whether there is a record before it or not.
 *
 * An undo moves the position back. The partition is then sought there; messages that were fetched
 * before a seek are thrown away by the client, which numbers its seeks.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "engine/sources/source_kafka.h"
#include "txn/base/assert.h"

enum {
    BATCH_MIN = 16,
    SEEK_MS = 2000,
    DRAINED_BYTES = 1024 * 1024, /* a sixth of what is fetched ahead in all */
};

void wr_kafka_drop_held(struct wr_kafka_source *source)
{
    for (size_t i = 0; i < source->held_count; i++) {
        rd_kafka_message_destroy(source->held[i]);
    }
    source->held_count = 0;
}

/* ---- Assigning and seeking ------------------------------------------------------------------- */

static void on_records(rd_kafka_t *client, void *source)
{
    (void)client;
    wr_kafka_ring(source);
}

static rd_kafka_topic_partition_list_t *list_of(const struct wr_kafka_source *source,
                                                const struct wr_kafka_partition *partition,
                                                int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, source->topic, partition->base.index)->offset = offset;
    return list;
}

/* The offset that the queue is to begin at. */
static int64_t first_of(const struct wr_kafka_partition *partition)
{
    return partition->verify.offset >= 0 ? partition->verify.offset : partition->base.next;
}

static weir_status assign(struct wr_kafka_source *source, struct wr_kafka_partition *partition,
                          struct wr_error *error)
{
    int number = (int)partition->base.index;
    rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(source->client, source->topic, number);
    if (!queue) {
        return wr_fail_memory(error);
    }
    rd_kafka_queue_forward(queue, NULL); /* before it is assigned: it then stays its own */
    rd_kafka_queue_cb_event_enable(queue, on_records, source);
    rd_kafka_topic_partition_list_t *list = list_of(source, partition, first_of(partition));
    rd_kafka_error_t *cause = rd_kafka_incremental_assign(source->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    partition->queue = queue;
    partition->stands = partition->base.next;
    return cause
               ? wr_kafka_fail_error(error, cause, "source %s: cannot read topic %s, partition %d",
                                     source->base.name, source->topic, number)
               : WEIR_OK;
}

/* What cannot be sought, since the client gave it up when its offset was gone, is assigned anew. */
static rd_kafka_error_t *assign_again(struct wr_kafka_source *source,
                                      const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_error_t *cause = rd_kafka_incremental_unassign(source->client, list);
    if (cause) {
        rd_kafka_error_destroy(cause);
    }
    return rd_kafka_incremental_assign(source->client, list);
}

/* Brings the queue to where the position is. It stays where it stands, to be sought again, when
 * the client is not ready to. */
static void seek(struct wr_kafka_source *source, struct wr_kafka_partition *partition)
{
    rd_kafka_topic_partition_list_t *list = list_of(source, partition, first_of(partition));
    rd_kafka_error_t *cause = rd_kafka_seek_partitions(source->client, list, SEEK_MS);
    rd_kafka_resp_err_t code = cause ? rd_kafka_error_code(cause) : list->elems[0].err;
    if (!cause && code == RD_KAFKA_RESP_ERR__STATE) {
        list->elems[0].err = RD_KAFKA_RESP_ERR_NO_ERROR;
        cause = assign_again(source, list);
        code = cause ? rd_kafka_error_code(cause) : RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    partition->stands = -1;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        partition->stands = partition->base.next;
        wr_kafka_forget_seen(partition);
    } else {
        wr_log(source->base.env, WR_LOG_DEBUG,
               "source %s: topic %s, partition %d: cannot go to offset %" PRId64 " yet: %s",
               source->base.name, source->topic, (int)partition->base.index, partition->base.next,
               rd_kafka_err2name(code));
    }
    if (cause) {
        rd_kafka_error_destroy(cause);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* Makes a partition ready to be read, as soon as brokers have said what it holds. */
static weir_status prepare(struct wr_kafka_source *source, struct wr_kafka_partition *partition,
                           bool *ready_out, struct wr_error *error)
{
    struct wr_kafka_extent extent;
    bool again = false;
    *ready_out = false;
    if (!partition->checked) {
        if (!wr_kafka_extent_of(source, partition->base.index, partition->asked, &extent)) {
            return WEIR_OK;
        }
        WR_TRY(wr_kafka_check(source, partition, &extent, &again, error));
        if (again) {
            partition->asked = wr_kafka_ask(source);
            return WEIR_OK;
        }
        partition->asked = 0;
        partition->stands = -1;
    }
    *ready_out = true;
    return partition->queue ? WEIR_OK : assign(source, partition, error);
}

/* ---- What comes out of the queue ------------------------------------------------------------- */

struct batch {
    struct wr_kafka_source *source;
    struct wr_kafka_partition *partition;
    struct wr_polled *polled;
    int64_t next; /* the position after what was taken so far */
    struct wr_kafka_seen first;
    const rd_kafka_message_t *last;
    bool ends; /* what follows in the batch is not read */
};

/* Everything below this offset is read. */
static void reach(struct batch *batch, int64_t offset)
{
    int64_t end = batch->partition->base.end;
    offset = offset < end ? offset : end;
    if (offset > batch->next) {
        batch->next = offset;
        if (batch->polled->count > 0) {
            batch->polled->nexts[batch->polled->count - 1] = offset;
        }
    }
}

static void be_verified(struct wr_kafka_partition *partition)
{
    partition->verify.offset = -1;
    if (partition->bound >= 0) {
        partition->base.end = partition->bound;
        partition->bound = -1;
    }
}

/* The record that was read last comes first, and must be what it was. */
static weir_status verify(struct batch *batch, const rd_kafka_message_t *message,
                          struct wr_error *error)
{
    struct wr_kafka_partition *partition = batch->partition;
    const struct wr_kafka_seen *then = &partition->verify;
    if (message->offset == then->offset) {
        struct wr_kafka_seen now = wr_kafka_see(message);
        if (now.crc != then->crc || now.time_ms != then->time_ms) {
            WR_TRY(wr_kafka_other(batch->source, partition, &now, error));
            batch->next = partition->base.next;
            partition->stands = -1;
            batch->ends = true;
        }
    }
    be_verified(partition);
    return WEIR_OK;
}

/* What the queue tells beside records. */
static weir_status take_event(struct batch *batch, const rd_kafka_message_t *message,
                              struct wr_error *error)
{
    struct wr_kafka_source *source = batch->source;
    struct wr_kafka_partition *partition = batch->partition;
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (partition->verify.offset >= 0) { /* nothing from there on: it cannot be told */
            be_verified(partition);
        }
        reach(batch, message->offset);
        return WEIR_OK;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET: /* the position is not there any more */
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        partition->checked = false;
        partition->asked = wr_kafka_ask(source);
        batch->ends = true;
        return WEIR_OK;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        (void)wr_kafka_ask(source); /* it knows what to say */
        return WEIR_OK;
    default:
        break;
    }
    struct wr_error inner = {.status = WEIR_OK};
    (void)wr_kafka_fail(&inner, message->err,
                        "source %s: cannot read topic %s, partition %d, at "
                        "offset %" PRId64,
                        source->base.name, source->topic, (int)partition->base.index, batch->next);
    if (inner.status == WEIR_RETRY) { /* the client does so by itself */
        wr_log(source->base.env, WR_LOG_DEBUG, "%s", inner.text);
        return WEIR_OK;
    }
    return wr_fail_native(error, inner.status, inner.exit_code, inner.native, "%s (%.300s)",
                          inner.text, rd_kafka_message_errstr(message));
}

static weir_status take(struct batch *batch, rd_kafka_message_t *message, struct wr_error *error)
{
    struct wr_kafka_partition *partition = batch->partition;
    if (message->err) {
        return take_event(batch, message, error);
    }
    if (partition->verify.offset >= 0) {
        WR_TRY(verify(batch, message, error));
    }
    if (batch->ends || message->offset < batch->next) {
        return WEIR_OK; /* it was read */
    }
    if (message->offset >= partition->base.end) {
        reach(batch, partition->base.end);
        batch->ends = true;
        return WEIR_OK;
    }
    if (batch->polled->count == 0) {
        batch->first = wr_kafka_see(message);
    }
    WR_TRY(wr_kafka_take_record(message, batch->polled, error));
    batch->source->drained += message->key_len + message->len;
    batch->next = message->offset + 1;
    batch->last = message;
    return WEIR_OK;
}

/* Few messages at a time where they are large. */
static size_t next_batch(const struct wr_kafka_source *source, const struct wr_polled *polled)
{
    size_t bytes = 0, count = polled->count;
    if (count == 0) {
        return source->batch;
    }
    for (size_t i = 0; i < count; i += 16) { /* a sample */
        bytes += polled->records[i].key.size + polled->records[i].value.size;
    }
    size_t each = bytes / ((count + 15) / 16) + 1;
    size_t batch = WR_POLL_BYTES_MAX / each;
    return batch < BATCH_MIN             ? BATCH_MIN
           : batch > WR_POLL_RECORDS_MAX ? WR_POLL_RECORDS_MAX
                                         : batch;
}

static weir_status read_queue(struct wr_kafka_source *source, struct wr_kafka_partition *partition,
                              struct wr_polled *polled, enum wr_source_more *more_out,
                              struct wr_error *error)
{
    ssize_t got = rd_kafka_consume_batch_queue(partition->queue, 0, source->held, source->batch);
    if (got < 0) {
        return wr_kafka_fail(error, rd_kafka_last_error(), "source %s: cannot read topic %s",
                             source->base.name, source->topic);
    }
    source->held_count = (size_t)got;
    if (got == 0) {
        return WEIR_OK;
    }
    *more_out = WR_SOURCE_MORE;
    if (!wr_polled_reserve(polled, (size_t)got)) {
        return wr_fail_memory(error);
    }
    struct batch batch = {source, partition, polled, .next = partition->base.next};
    for (size_t i = 0; i < source->held_count && !batch.ends; i++) {
        WR_TRY(take(&batch, source->held[i], error));
    }
    partition->base.next = batch.next;
    if (partition->stands >= 0) {
        partition->stands = batch.next;
    }
    if (polled->count > 0) {
        struct wr_kafka_seen last = wr_kafka_see(batch.last);
        wr_kafka_note_seen(partition, &batch.first, &last);
        source->batch = next_batch(source, polled);
    }
    return WEIR_OK;
}

weir_status wr_kafka_poll(struct wr_source *base, struct wr_source_partition *at,
                          struct wr_polled *polled, enum wr_source_more *more_out,
                          struct wr_error *error)
{
    struct wr_kafka_source *source = wr_kafka_source_of(base);
    struct wr_kafka_partition *partition = wr_kafka_partition_of(at);
    bool ready = true;
    wr_kafka_drop_held(source);
    polled->count = 0;
    *more_out = WR_SOURCE_ENDED;
    if (at->next >= at->end) {
        return WEIR_OK;
    }
    *more_out = WR_SOURCE_WAIT;
    WR_TRY(wr_kafka_failed(source, error));
    if (!partition->checked || !partition->queue) {
        WR_TRY(prepare(source, partition, &ready, error));
    }
    if (ready && at->next != partition->stands) {
        seek(source, partition);
        ready = partition->stands == at->next;
    }
    if (source->drained >= DRAINED_BYTES) {
        source->drained = 0;
        wr_kafka_drained(source);
    }
    return ready ? read_queue(source, partition, polled, more_out, error) : WEIR_OK;
}
