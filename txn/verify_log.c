/* verify_log.c: walks the logs of a store, batch by batch. See verify.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "txn/verify_inner.h"

/* A walk over one partition. `end` and `end_crc` are as of its start: what comes later is of
 * another day, and the batch that ends at `end` stays what it is. */
struct walk {
    char name[WR_NAME_BYTES_MAX * 2]; /* "topic out partition 3" */
    int64_t topic, partition;
    int64_t expected, end; /* offsets */
    int64_t crc, end_crc;
    bool crc_known; /* of the batch before: not of the first that is kept */
};

static void check_records(struct wr_verify *verify, const struct walk *walk,
                          struct wr_batch_reader *batch)
{
    struct wr_error inner = {.status = WEIR_OK};
    weir_record record;
    int64_t offset;
    for (bool more = true; more;) {
        if (wr_batch_next(batch, &verify->arena, &record, &offset, &more, &inner) != WEIR_OK) {
            wr_verify_problem(verify, "%s offset %lld: record %lld: %s", walk->name,
                              (long long)batch->first_offset,
                              (long long)batch->first_offset + batch->read, inner.text);
            return;
        }
    }
}

/* The columns of a step. */
enum { FIRST, COUNT, CRC, EPOCH, BATCH, EPOCH_LAST, KEPT_FROM };
static const char step_text[] =
    "SELECT log.first_offset, log.count, log.crc, log.epoch, log.batch,"
    " (SELECT max(number) FROM epoch), kept.first"
    " FROM partition AS kept LEFT JOIN log ON log.id ="
    "  (SELECT log.id FROM " WR_LOG_ROWS(
        "?1", "?2") " WHERE seek.first_offset >= coalesce("
                    "   (SELECT max(first_offset) FROM log_seek WHERE topic = ?1 AND partition = ?2"
                    "    AND first_offset <= max(?3, kept.first)), 0) AND log.first_offset >= "
                    "max(?3, kept.first)"
                    "   ORDER BY seek.first_offset, log.id LIMIT 1)"
                    " WHERE kept.topic = ?1 AND kept.partition = ?2";

static void check_bytes(struct wr_verify *verify, const struct walk *walk, int64_t first,
                        int64_t count, weir_bytes bytes)
{
    struct wr_batch_reader batch;
    struct wr_error inner = {.status = WEIR_OK};
    if (wr_batch_open(bytes, &batch, &inner) != WEIR_OK) {
        wr_verify_problem(verify, "%s offset %lld: %s", walk->name, (long long)first, inner.text);
    } else if (batch.first_offset != first || batch.count != count) {
        wr_verify_problem(
            verify,
            "%s offset %lld: the row says %lld records, the batch in it %u from offset %lld",
            walk->name, (long long)first, (long long)count, batch.count,
            (long long)batch.first_offset);
    } else {
        check_records(verify, walk, &batch);
    }
}

static void check_batch(struct wr_verify *verify, struct walk *walk, const struct wr_rows *row)
{
    int64_t first = wr_rows_int(row, FIRST), count = wr_rows_int(row, COUNT);
    int64_t crc = wr_rows_int(row, CRC);
    weir_bytes bytes = wr_rows_bytes(row, BATCH);
    if (first != walk->expected) {
        wr_verify_problem(verify, "%s: a hole: offsets %lld to %lld are missing", walk->name,
                          (long long)walk->expected, (long long)first - 1);
        walk->crc_known = false;
    }
    check_bytes(verify, walk, first, count, bytes);
    if (bytes.size >= WR_BATCH_HEADER_BYTES && walk->crc_known &&
        wr_crc32c((uint32_t)walk->crc, (const char *)bytes.data + WR_BATCH_CRC_AT, 4) != crc) {
        wr_verify_problem(verify,
                          "%s offset %lld: its running CRC does not continue the batch before",
                          walk->name, (long long)first);
    }
    if (wr_rows_int(row, EPOCH) > wr_rows_int(row, EPOCH_LAST)) {
        wr_verify_problem(verify, "%s offset %lld: written by epoch %lld, which was never decided",
                          walk->name, (long long)first, (long long)wr_rows_int(row, EPOCH));
    }
    walk->crc = crc;
    walk->crc_known = true;
    walk->expected = first + (count > 0 && count <= UINT32_MAX ? count : 1);
}

/* A damaged index can give what was not asked for, and a walk that goes back would not end. */
static bool goes_on(struct wr_verify *verify, const struct walk *walk, int64_t first)
{
    if (first >= walk->expected && first < INT64_MAX - UINT32_MAX) {
        return true;
    }
    wr_verify_problem(verify, "%s: the batch after offset %lld is that of %lld", walk->name,
                      (long long)walk->expected - 1, (long long)first);
    return false;
}

/* One batch; *more_out false when the walk is over. */
static weir_status walk_step(struct wr_verify *verify, struct walk *walk, struct wr_rows *rows,
                             bool *more_out, struct wr_error *error)
{
    wr_rows_again(rows);
    wr_rows_bind_int(rows, 1, walk->topic);
    wr_rows_bind_int(rows, 2, walk->partition);
    wr_rows_bind_int(rows, 3, walk->expected);
    WR_TRY(wr_rows_next(rows, more_out, error));
    if (!*more_out) {
        return WEIR_OK; /* the topic was deleted meanwhile */
    }
    if (wr_rows_int(rows, KEPT_FROM) > walk->expected) { /* trimmed meanwhile */
        walk->expected = wr_rows_int(rows, KEPT_FROM);
        walk->crc_known = false;
    }
    if (walk->expected >= walk->end) {
        *more_out = false;
    } else if (wr_rows_null(rows, FIRST)) {
        wr_verify_problem(verify, "%s: offsets %lld to %lld are missing", walk->name,
                          (long long)walk->expected, (long long)walk->end - 1);
        walk->crc_known = false;
        *more_out = false;
    } else if (goes_on(verify, walk, wr_rows_int(rows, FIRST))) {
        check_batch(verify, walk, rows);
    } else {
        walk->crc_known = false;
        *more_out = false;
    }
    return WEIR_OK;
}

static weir_status walk_batches(struct wr_verify *verify, struct walk *walk, struct wr_rows *rows,
                                struct wr_error *error)
{
    for (bool more = true; more && walk->expected < walk->end;) {
        WR_TRY(walk_step(verify, walk, rows, &more, error));
        wr_arena_reset(&verify->arena);
        wr_verify_renew(verify, false);
    }
    if (walk->crc_known && walk->expected != walk->end) {
        wr_verify_problem(verify,
                          "%s: its batches end at %lld, and its row in table partition says %lld",
                          walk->name, (long long)walk->expected, (long long)walk->end);
    } else if (walk->crc_known && walk->crc != walk->end_crc) {
        wr_verify_problem(verify, "%s: its running CRC is not that of its last batch", walk->name);
    }
    return WEIR_OK;
}

static weir_status walk_partition(struct wr_verify *verify, struct walk *walk,
                                  struct wr_error *error)
{
    struct wr_error inner = {.status = WEIR_OK};
    struct wr_rows *rows = NULL;
    weir_status status = wr_rows_open(verify->reader, step_text, &rows, &inner);
    if (status == WEIR_OK) {
        status = walk_batches(verify, walk, rows, &inner);
    }
    wr_rows_close(rows);
    return wr_verify_settle(verify, status, &inner, walk->name, error);
}

static bool is_after(int64_t topic, int64_t partition, const struct walk *walk)
{
    return topic > walk->topic || (topic == walk->topic && partition > walk->partition);
}

/* The partition after walk's, by (topic, partition). */
static weir_status next_partition(struct wr_verify *verify, struct wr_rows *rows, struct walk *walk,
                                  bool *more_out, struct wr_error *error)
{
    wr_rows_again(rows);
    wr_rows_bind_int(rows, 1, walk->topic);
    wr_rows_bind_int(rows, 2, walk->partition);
    WR_TRY(wr_rows_next(rows, more_out, error));
    if (*more_out && !is_after(wr_rows_int(rows, 0), wr_rows_int(rows, 1), walk)) {
        wr_verify_problem(verify, "table partition is not in order");
        *more_out = false;
    }
    if (*more_out) {
        *walk = (struct walk){
            .topic = wr_rows_int(rows, 0),
            .partition = wr_rows_int(rows, 1),
            .expected = wr_rows_int(rows, 2),
            .end = wr_rows_int(rows, 3),
            .end_crc = wr_rows_int(rows, 4),
        };
        const char *name = wr_rows_text(rows, 5);
        snprintf(walk->name, sizeof walk->name, "topic %s partition %lld", name ? name : "?",
                 (long long)walk->partition);
    }
    return WEIR_OK;
}

static weir_status walk_logs(struct wr_verify *verify, struct wr_rows *rows, struct wr_error *inner,
                             struct wr_error *error)
{
    struct walk walk = {.topic = INT64_MIN, .partition = INT64_MIN};
    for (bool more = true;;) {
        WR_TRY(next_partition(verify, rows, &walk, &more, inner));
        if (!more) {
            return WEIR_OK;
        }
        WR_TRY(walk_partition(verify, &walk, error));
        wr_verify_renew(verify, true);
    }
}

weir_status wr_verify_logs(struct wr_verify *verify, struct wr_error *error)
{
    struct wr_error inner = {.status = WEIR_OK};
    struct wr_rows *rows = NULL;
    wr_verify_renew(verify, true);
    weir_status status =
        wr_rows_open(verify->reader,
                     "SELECT topic, partition, first, next, crc, (SELECT " LOG_NAME " FROM topic"
                     " WHERE topic.id = partition.topic) FROM partition"
                     " WHERE (topic, partition) > (?1, ?2) ORDER BY topic, partition LIMIT 1",
                     &rows, &inner);
    if (status == WEIR_OK) {
        status = walk_logs(verify, rows, &inner, error);
    }
    wr_rows_close(rows);
    if (inner.status == WEIR_OK) {
        return status; /* what a walk could not settle is in *error */
    }
    return wr_verify_settle(verify, status, &inner, "table partition", error);
}
