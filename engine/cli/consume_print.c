/* consume_print.c: reads batches in short snapshots (a reader that stays in one would keep SQLite's
 * log from being checkpointed) and prints them between two snapshots, so that a slow pipe holds
 * nothing back.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/cli/consume.h"
#include "engine/cli/json.h"
#include "txn/base/assert.h"

enum { STEP_BATCHES = 64 };

/* ---- One record ------------------------------------------------------------------------------ */

static void put_bytes(weir_bytes bytes)
{
    if (bytes.size) {
        fwrite_unlocked(bytes.data, 1, bytes.size, stdout);
    }
}

static void print_text(const weir_record *record)
{
    put_bytes(record->key);
    putc_unlocked('\t', stdout);
    put_bytes(record->value);
    putc_unlocked('\n', stdout);
}

static void print_json(const char *topic, int32_t partition, int64_t offset,
                       const weir_record *record)
{
    printf("{\"topic\":\"%s\",\"partition\":%d,\"offset\":%" PRId64 ",\"time_ms\":%" PRId64 ",",
           topic, partition, offset, record->time_ms); /* a topic's name needs no escapes */
    wr_json_bytes(stdout, "key", record->key);
    putc_unlocked(',', stdout);
    wr_json_bytes(stdout, "value", record->value);
    putc_unlocked(',', stdout);
    wr_json_headers(stdout, record);
    put_bytes(weir_text("}\n"));
}

/* ---- Batches --------------------------------------------------------------------------------- */

bool wr_consume_goes_on(const struct wr_consume *consume)
{
    return (consume->number < 0 || consume->printed < consume->number) &&
           !atomic_load_explicit(&consume->stopper.stop, memory_order_relaxed);
}

int64_t wr_consume_skip(const struct wr_consume *consume, int32_t partition, int64_t from)
{
    int64_t first = consume->follow.extents[partition].first;
    wr_log(consume->env, WR_LOG_WARN,
           "topic %s, partition %d, begins at offset %" PRId64 " now: its retention has removed "
           "what was there from %" PRId64 " on",
           consume->topic.name, (int)partition, first, from);
    return first;
}

static weir_status fail_damaged(struct wr_consume *consume, int32_t partition, int64_t offset,
                                const char *why)
{
    return wr_fail(consume->error, WEIR_FATAL, WR_EXIT_DATA,
                   "%s, topic %s, partition %d, the batch at offset %" PRId64 ": %s; run `weir "
                   "verify` to see what is damaged",
                   consume->operands.values[0], consume->topic.name, (int)partition, offset, why);
}

/* No batch holds *next: a group goes on at what is kept, others end. */
static weir_status not_there(struct wr_consume *consume, int32_t partition, int64_t *next)
{
    const struct wr_extent *extent = &consume->follow.extents[partition];
    WR_TRY(wr_follow_look(&consume->follow, true, NULL, consume->error));
    if (*next >= extent->first) {
        return fail_damaged(consume, partition, *next, "it is not there");
    }
    if (consume->group_name) {
        *next = wr_consume_skip(consume, partition, *next);
        return WEIR_OK;
    }
    return wr_fail(consume->error, WEIR_FATAL, WR_EXIT_DATA,
                   "offsets %" PRId64 " to %" PRId64 " of topic %s, partition %d, were removed by "
                   "its retention before they were read; start again with -o beginning",
                   *next, extent->first - 1, consume->topic.name, (int)partition);
}

static weir_status open_batch(struct wr_consume *consume, int32_t partition, int64_t offset,
                              const struct wr_followed *found, struct wr_batch_reader *batch_out)
{
    struct wr_error inner = {.status = WEIR_OK};
    if (wr_batch_open(found->bytes, batch_out, &inner) != WEIR_OK) {
        return inner.exit_code == WR_EXIT_DATA
                   ? fail_damaged(consume, partition, offset, inner.text)
                   : wr_fail(consume->error, inner.status, inner.exit_code, "%s", inner.text);
    }
    if (batch_out->first_offset != found->first ||
        batch_out->first_offset + batch_out->count != found->next) {
        return fail_damaged(consume, partition, offset, "it is one of other offsets");
    }
    return WEIR_OK;
}

/* Reads the next batches of a partition. */
static weir_status load(struct wr_consume *consume, int32_t partition,
                        struct wr_batch_reader batches[STEP_BATCHES], size_t *count_out)
{
    int64_t *next = &consume->next[partition], at = *next;
    size_t bytes_read = 0;
    for (size_t *count = count_out; *count < STEP_BATCHES && bytes_read < WR_CONSUME_STEP_BYTES &&
                                    at < consume->end[partition];) {
        struct wr_followed found;
        WR_TRY(wr_follow_batch(&consume->follow, partition, at, &consume->arena, &found,
                               consume->error));
        if (!found.bytes.data) {
            return *count > 0 ? WEIR_OK : not_there(consume, partition, next);
        }
        WR_TRY(open_batch(consume, partition, at, &found, &batches[*count]));
        bytes_read += found.bytes.size;
        at = found.next;
        ++*count;
    }
    return WEIR_OK;
}

static weir_status print_batch(struct wr_consume *consume, int32_t partition,
                               struct wr_batch_reader *batch)
{
    weir_record record;
    int64_t offset = 0;
    bool more = true;
    struct wr_error inner = {.status = WEIR_OK};
    while (wr_consume_goes_on(consume)) {
        weir_status status = wr_batch_next(batch, &consume->arena, &record, &offset, &more, &inner);
        if (status != WEIR_OK) {
            return wr_fail(consume->error, status, inner.exit_code, "%s", inner.text);
        }
        if (!more || offset >= consume->end[partition]) {
            break;
        }
        if (offset < consume->next[partition]) {
            continue; /* the batch began before what was asked for */
        }
        consume->next[partition] = offset + 1;
        consume->printed++;
        if (consume->json) {
            print_json(consume->topic.name, partition, offset, &record);
        } else {
            print_text(&record);
        }
    }
    return ferror(stdout) ? wr_fail_errno(consume->error, "cannot write to standard output")
                          : WEIR_OK;
}

weir_status wr_consume_step(struct wr_consume *consume, int32_t partition)
{
    struct wr_batch_reader batches[STEP_BATCHES];
    size_t count = 0;
    wr_arena_reset(&consume->arena);
    weir_status status = load(consume, partition, batches, &count);
    for (size_t i = 0; i < count; i++) {
        WR_TRY(print_batch(consume, partition, &batches[i]));
    }
    return status;
}
