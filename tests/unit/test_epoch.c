/* test_epoch.c: the write set: entries, their order, value buffers, timers, rows, batches, rejects,
 * undo and seal.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "txn/epoch.h"

enum { LOG, TABLE, SINKS, PARTITIONS = 3 };

struct fixture {
    struct wr_epoch epoch;
    struct wr_sink sinks[SINKS];
    int64_t next[PARTITIONS];
    struct wr_error error;
    uint64_t unit;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->sinks[LOG] = (struct wr_sink){
        .name = "log", .kind = WR_SINK_LOG, .partitions = PARTITIONS, .next = fixture->next};
    fixture->sinks[TABLE] = (struct wr_sink){.name = "table", .kind = WR_SINK_TABLE};
    *state = fixture;
    if (wr_epoch_init(&fixture->epoch, fixture->sinks, SINKS, &fixture->error) != WEIR_OK) {
        return 1;
    }
    wr_epoch_begin(&fixture->epoch, 1);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    wr_epoch_fini(&fixture->epoch);
    free(fixture);
    return 0;
}

#define text weir_text

static void put(struct fixture *fixture, const char *key, const char *slot, const char *value)
{
    uint64_t hash = wr_hash(1, text(key), text(slot));
    assert_int_equal(wr_epoch_put(&fixture->epoch, 1, text(key), text(slot), hash, text(value),
                                  fixture->unit, &fixture->error),
                     WEIR_OK);
}

static const struct wr_entry *find(const struct fixture *fixture, const char *key, const char *slot)
{
    return wr_epoch_find(&fixture->epoch, 1, text(key), text(slot),
                         wr_hash(1, text(key), text(slot)));
}

static void holds(const struct fixture *fixture, const char *key, const char *slot,
                  const char *value)
{
    const struct wr_entry *entry = find(fixture, key, slot);
    assert_non_null(entry);
    assert_true(wr_bytes_equal(wr_entry_value(entry), text(value)));
}

/* ---- State ----------------------------------------------------------------------------------- */

/* The last put of a slot counts; absent and empty keys, slots and values are different things. */
static void the_last_put_counts(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "k", "s", "old");
    put(fixture, "k", "s", "new");
    put(fixture, "k", NULL, "of the absent slot");
    put(fixture, "k", "", "of the empty slot");
    put(fixture, NULL, "s", "of the absent key");
    put(fixture, "", "s", "");
    holds(fixture, "k", "s", "new");
    holds(fixture, "k", NULL, "of the absent slot");
    holds(fixture, "k", "", "of the empty slot");
    holds(fixture, NULL, "s", "of the absent key");
    holds(fixture, "", "s", "");
    assert_null(find(fixture, "k", "another"));
    assert_int_equal(fixture->epoch.entry_count, 5);
}

/* A removed slot is known to be gone, which is not the same as not known. */
static void a_removal_is_kept(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "k", "s", "value");
    put(fixture, "k", "s", NULL);
    assert_null(wr_entry_value(find(fixture, "k", "s")).data);
    put(fixture, "k", "t", NULL);
    assert_non_null(find(fixture, "k", "t"));
    assert_null(wr_entry_value(find(fixture, "k", "t")).data);
}

/* Values handed out in the unit at hand. */
struct held {
    weir_bytes values[16];
    char was[16];
    size_t count;
};

static void hand_out(const struct fixture *fixture, struct held *held)
{
    const struct wr_entry *entry = find(fixture, "k", "s");
    if (entry && wr_entry_value(entry).data) {
        held->was[held->count] = *(const char *)wr_entry_value(entry).data;
        held->values[held->count++] = wr_entry_value(entry);
    }
}

/* What a get handed out in a unit is still there after any puts of the same unit, whatever was put
 * and removed in the units before. All sequences of seven puts and removals are tried, over every
 * division into units. */
static void a_value_handed_out_stays_in_its_unit(void **state)
{
    struct fixture *fixture = *state;
    static const char *const values[] = {"a", NULL, "b and longer than eight"};
    enum { STEPS = 7, WAYS = 6, SEQUENCES = 6 * 6 * 6 * 6 * 6 * 6 * 6 };
    for (int sequence = 0; sequence < SEQUENCES; sequence++) {
        struct held held = {.count = 0};
        wr_epoch_undo(&fixture->epoch);
        fixture->unit++;
        for (int i = 0, rest = sequence; i < STEPS; i++, rest /= WAYS) {
            if (rest % WAYS % 2) {
                fixture->unit++;
                held.count = 0;
                hand_out(fixture, &held);
            }
            const char *chosen = values[rest % WAYS / 2];
            char value[32] = {(char)('A' + i)};
            strcpy(value + 1, chosen ? chosen : "");
            put(fixture, "k", "s", chosen ? value : NULL);
            for (size_t j = 0; j < held.count; j++) {
                assert_int_equal(*(const char *)held.values[j].data, held.was[j]);
            }
            hand_out(fixture, &held);
        }
    }
}

static void next_is(const struct wr_entry **at, const char *key, const char *slot)
{
    assert_non_null(*at);
    assert_true(wr_bytes_equal(wr_entry_key(*at), text(key)));
    assert_true(wr_bytes_equal(wr_entry_slot(*at), text(slot)));
    *at = wr_epoch_next(*at);
}

/* The index has node, key and slot in byte order, the absent ones first, whether entries came
 * before it was made or after. */
static void the_index_is_in_order(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "k", "b", "1");
    put(fixture, "k", NULL, "2");
    assert_int_equal(wr_epoch_index(&fixture->epoch, &fixture->error), WEIR_OK);
    put(fixture, "k", "a", "3");
    put(fixture, "k", "ab", "4");
    put(fixture, "k", "", "5");
    put(fixture, "l", "a", "6");
    put(fixture, "k", "b", "7");
    const struct wr_entry *at = wr_epoch_first(&fixture->epoch, 1, text("k"), text(NULL));
    next_is(&at, "k", NULL);
    next_is(&at, "k", "");
    next_is(&at, "k", "a");
    next_is(&at, "k", "ab");
    next_is(&at, "k", "b");
    next_is(&at, "l", "a");
    assert_null(at);
    at = wr_epoch_first(&fixture->epoch, 1, text("k"), text("aa"));
    next_is(&at, "k", "ab");
}

/* Many entries in any order come out sorted, each once. */
static void a_large_index_is_whole(void **state)
{
    struct fixture *fixture = *state;
    enum { ENTRIES = 20000 };
    for (unsigned i = 0; i < ENTRIES; i++) {
        char slot[16];
        snprintf(slot, sizeof slot, "%06u", i * 7919u % ENTRIES);
        put(fixture, "k", slot, "v");
        if (i == ENTRIES / 2) {
            assert_int_equal(wr_epoch_index(&fixture->epoch, &fixture->error), WEIR_OK);
        }
    }
    const struct wr_entry *at = wr_epoch_first(&fixture->epoch, 1, text("k"), text(NULL));
    for (int i = 0; i < ENTRIES; i++) {
        char slot[16];
        snprintf(slot, sizeof slot, "%06d", i);
        next_is(&at, "k", slot);
    }
    assert_null(at);
}

/* ---- Timers, rows, rejects ------------------------------------------------------------------- */

/* One timer per node, key and name: setting it again moves it, also to the other clock. */
static void a_timer_moves(void **state)
{
    struct fixture *fixture = *state;
    struct wr_epoch *epoch = &fixture->epoch;
    uint64_t hash = wr_hash(1, text("k"), text("t"));
    struct wr_error *error = &fixture->error;
    assert_int_equal(wr_epoch_timer(epoch, 1, text("k"), text("t"), hash, false, 10, error), 0);
    assert_int_equal(wr_epoch_timer(epoch, 1, text("k"), text("t"), hash, true, 20, error), 0);
    assert_int_equal(epoch->timer_count, 1);
    const struct wr_timer *timer = wr_epoch_timer_find(epoch, 1, text("k"), text("t"), hash);
    assert_int_equal(timer->time_ms, 20);
    assert_true(timer->clock);
    assert_null(
        wr_epoch_timer_find(epoch, 2, text("k"), text("t"), wr_hash(2, text("k"), text("t"))));
}

static void row_is(const struct wr_row *row, const char *key, const char *value)
{
    assert_true(wr_bytes_equal(row->key, text(key)));
    assert_true(wr_bytes_equal(row->value, text(value)));
}

/* A table has one row for each key, with its last value, however long the values before were. */
static void a_row_keeps_its_last_value(void **state)
{
    struct fixture *fixture = *state;
    static const char *const values[] = {"short", "one that needs more room", NULL, "", "last"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        assert_int_equal(
            wr_epoch_row(&fixture->epoch, TABLE, text("k"), text(values[i]), &fixture->error),
            WEIR_OK);
        row_is(fixture->epoch.sink[TABLE].row_list, "k", values[i]);
    }
    assert_int_equal(wr_epoch_row(&fixture->epoch, TABLE, text(""), text(NULL), &fixture->error),
                     0);
    row_is(fixture->epoch.sink[TABLE].row_list, "", NULL);
    row_is(fixture->epoch.sink[TABLE].row_list->next, "k", "last");
    assert_int_equal(fixture->epoch.sink[TABLE].row_count, 2);
}

/* A dead letter is a copy: what it was made from may go. */
static void a_reject_is_a_copy(void **state)
{
    struct fixture *fixture = *state;
    char value[] = "value", name[] = "name", why[] = "why";
    weir_header header = {name, text(value)};
    struct wr_reject reject = {.reason = why, .node = "node", .offset = 7};
    reject.record =
        (weir_record){.value = text(value), .time_ms = 5, .headers = &header, .header_count = 1};
    assert_int_equal(wr_epoch_reject(&fixture->epoch, &reject, &fixture->error), WEIR_OK);
    memset(value, 'x', 5);
    memset(name, 'x', 4);
    memset(why, 'x', 3);
    const struct wr_reject *kept = fixture->epoch.rejects;
    assert_int_equal(fixture->epoch.reject_count, 1);
    assert_string_equal(kept->reason, "why");
    assert_null(kept->record.key.data);
    assert_true(wr_bytes_equal(kept->record.value, text("value")));
    assert_string_equal(kept->record.headers[0].name, "name");
    assert_true(wr_bytes_equal(kept->record.headers[0].value, text("value")));
    assert_null(kept->timer.data);
}

/* ---- Outputs --------------------------------------------------------------------------------- */

static void append(struct fixture *fixture, int32_t partition, weir_bytes value)
{
    weir_record record = {.key = text("k"), .value = value, .time_ms = 1};
    assert_int_equal(wr_epoch_append(&fixture->epoch, LOG, partition, &record, &fixture->error),
                     WEIR_OK);
}

/* Offsets go on from epoch to epoch, each partition for itself; an undone epoch gives none. */
static void offsets_have_no_holes(void **state)
{
    struct fixture *fixture = *state;
    fixture->next[1] = 100;
    append(fixture, 0, text("undone"));
    wr_epoch_undo(&fixture->epoch);
    append(fixture, 1, text("a"));
    append(fixture, 1, text("b"));
    append(fixture, 2, text("c"));
    wr_epoch_seal(&fixture->epoch);
    const struct wr_batch *batch = fixture->epoch.sink[LOG].batches;
    assert_int_equal(batch->partition, 1);
    assert_int_equal(batch->first_offset, 100);
    assert_int_equal(batch->count, 2);
    assert_int_equal(batch->next->partition, 2);
    assert_int_equal(batch->next->first_offset, 0);
    assert_null(batch->next->next);
    assert_int_equal(fixture->next[0], 0);
    assert_int_equal(fixture->next[1], 102);
    assert_int_equal(fixture->next[2], 1);
}

/* A batch that is full makes way for the next one, whose offsets follow. */
static void a_full_batch_is_followed(void **state)
{
    struct fixture *fixture = *state;
    static char value[WR_BATCH_BYTES_MAX / 2 + 1000];
    for (int i = 0; i < 5; i++) {
        append(fixture, 0, wr_bytes(value, sizeof value));
    }
    wr_epoch_seal(&fixture->epoch);
    int64_t offset = 0;
    int batches = 0;
    for (const struct wr_batch *at = fixture->epoch.sink[LOG].batches; at; at = at->next) {
        assert_int_equal(at->first_offset, offset);
        assert_true(at->bytes.size <= WR_BATCH_BYTES_MAX + sizeof value + 100);
        offset += at->count;
        batches++;
    }
    assert_int_equal(offset, 5);
    assert_int_equal(batches, 3);
}

/* A record over the limit is refused, and the epoch is as it was. */
static void an_oversized_record_leaves_no_trace(void **state)
{
    struct fixture *fixture = *state;
    char *value = calloc(1, WR_RECORD_BYTES_MAX + 1);
    weir_record record = {.value = wr_bytes(value, WR_RECORD_BYTES_MAX + 1)};
    assert_int_equal(wr_epoch_append(&fixture->epoch, LOG, 0, &record, &fixture->error),
                     WEIR_MISUSE);
    free(value);
    assert_null(fixture->epoch.sink[LOG].batches);
    assert_true(wr_epoch_is_empty(&fixture->epoch));
    append(fixture, 0, text("fits"));
    wr_epoch_seal(&fixture->epoch);
    assert_int_equal(fixture->next[0], 1);
}

/* ---- Phases ---------------------------------------------------------------------------------- */

/* An undone epoch is as good as a new one. */
static void undo_empties(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "k", "s", "v");
    append(fixture, 0, text("v"));
    assert_int_equal(wr_epoch_row(&fixture->epoch, TABLE, text("k"), text("v"), &fixture->error),
                     0);
    assert_int_equal(
        wr_epoch_timer(&fixture->epoch, 1, text("k"), text("t"), 1, false, 1, &fixture->error),
        WEIR_OK);
    assert_int_equal(wr_epoch_index(&fixture->epoch, &fixture->error), WEIR_OK);
    assert_false(wr_epoch_is_empty(&fixture->epoch));
    wr_epoch_undo(&fixture->epoch);
    assert_true(wr_epoch_is_empty(&fixture->epoch));
    assert_null(find(fixture, "k", "s"));
    assert_int_equal(fixture->epoch.number, 1);
    put(fixture, "k", "s", "again");
    holds(fixture, "k", "s", "again");
}

/* A decided epoch fills again, from empty, under its new number. */
static void a_decided_epoch_begins_again(void **state)
{
    struct fixture *fixture = *state;
    for (int64_t number = 2; number < 20; number++) {
        append(fixture, 0, text("v"));
        put(fixture, "k", "s", "v");
        wr_epoch_seal(&fixture->epoch);
        fixture->epoch.phase = WR_EPOCH_DECIDED;
        wr_epoch_begin(&fixture->epoch, number);
        assert_true(wr_epoch_is_empty(&fixture->epoch));
        assert_int_equal(fixture->next[0], number - 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_last_put_counts),
        TEST(a_removal_is_kept),
        TEST(a_value_handed_out_stays_in_its_unit),
        TEST(the_index_is_in_order),
        TEST(a_large_index_is_whole),
        TEST(a_timer_moves),
        TEST(a_row_keeps_its_last_value),
        TEST(a_reject_is_a_copy),
        TEST(offsets_have_no_holes),
        TEST(a_full_batch_is_followed),
        TEST(an_oversized_record_leaves_no_trace),
        TEST(undo_empties),
        TEST(a_decided_epoch_begins_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
