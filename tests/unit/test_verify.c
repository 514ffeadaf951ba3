/* test_verify.c: a sound store has no problem; each kind of damage is named; none crashes.
 *
 * Long because each kind of damage is a line in it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/scratch_store.h"
#include "txn/verify.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const weir_bytes absent = {NULL, 0};

/* What a check reported, one problem a line. */
struct report {
    char text[16384];
    size_t size, count;
};

static void note(void *data, const char *problem)
{
    struct report *report = data;
    size_t room = sizeof report->text - report->size;
    int size = snprintf(report->text + report->size, room, "%s\n", problem);
    report->size += (size_t)size < room ? (size_t)size : room - 1;
    report->count++;
}

static weir_status verify(struct scratch *s, struct report *report)
{
    size_t count = 0;
    *report = (struct report){.size = 0};
    weir_status status = wr_verify(&s->env, s->path, note, report, &count, &s->error);
    assert_int_equal(count, report->count);
    return status;
}

static void assert_sound(struct scratch *s)
{
    struct report report;
    scratch_must(s, verify(s, &report));
    if (report.count) {
        fail_msg("%s", report.text);
    }
}

/* Six epochs with something in every table, two batches trimmed. */
static void fill(struct scratch *s)
{
    for (int epoch = 0; epoch < 6; epoch++) {
        struct wr_marker marker = {.sink = "file", .next = epoch * 10 / 2, .length = -1};
        scratch_begin(s);
        for (int i = 0; i < 50; i++) {
            char key[16];
            snprintf(key, sizeof key, "%d", i);
            scratch_put(s, s->nodes[i % 2].id, weir_text(key), absent, weir_text(key));
            scratch_timer(s, s->nodes[i % 2].id, weir_text(key), absent, i % 3 == 0, i + epoch);
            scratch_row(s, SCRATCH_TABLE, key, key);
        }
        scratch_append(s, SCRATCH_LOG, 0, epoch * 20, 20);
        scratch_append(s, SCRATCH_LOG, 2, epoch, 1);
        scratch_append(s, SCRATCH_OUTBOX, 0, epoch * 10, 10);
        scratch_position(s, epoch * 20 + 20);
        scratch_must(s, scratch_try_decide(s, &marker, 1));
    }
}

static int set_up(void **state)
{
    struct scratch *s = scratch_new();
    scratch_open(s);
    fill(s);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scratch_free(*state);
    return 0;
}

/* A store is sound while it is open, after it was closed, and after a checkpoint. */
static void a_sound_store_has_no_problem(void **state)
{
    struct scratch *s = *state;
    assert_sound(s);
    scratch_close(s);
    assert_sound(s);
    scratch_sql(s, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_sound(s);
    scratch_open(s);
    scratch_must(s, wr_store_drop_topic(s->store, "out", &s->error));
    assert_sound(s);
    scratch_close(s);
    scratch_open(s); /* makes the topic again, from offset 0 */
    assert_sound(s);
}

/* Where positions are stored apart, that of a topic may lie before what the newest epoch says: its
 * store was replaced, and ?missing=earliest. A file's never goes back. */
static void a_log_may_be_read_from_an_earlier_offset(void **state)
{
    struct scratch *s = *state;
    struct report report;
    scratch_sql(s, SCRATCH_SETTLE
                "UPDATE meta SET value = 'at-least-once' WHERE key = 'delivery';"
                "UPDATE progress SET next = 3, identity = 'store:0af;topic:1' WHERE kind = 1");
    assert_sound(s);
    scratch_sql(s, "UPDATE progress SET identity = 'inode:1;crc:00000000:0' WHERE kind = 1");
    scratch_must(s, verify(s, &report));
    assert_non_null(strstr(report.text, "in 0 is at 3, and the newest epoch says 120"));
}

/* A store that decided nothing yet is sound as well. */
static void a_new_store_has_no_problem(void **state)
{
    (void)state;
    struct scratch *s = scratch_new();
    scratch_open(s);
    assert_sound(s);
    scratch_free(s);
}

/* One thing changed behind weir's back, and what the report must say. */
static const struct {
    const char *change, *says;
} damages[] = {
    {"DELETE FROM log WHERE first_offset = 40 AND topic = 1",
     "topic out partition 0: a hole: offsets 40 to 59 are missing"},
    {"DELETE FROM log WHERE first_offset = 0 AND topic = 1 AND partition = 0",
     "topic out partition 0: a hole: offsets 0 to 19 are missing"},
    {"DELETE FROM log WHERE first_offset = 100", "offsets 100 to 119 are missing"},
    {"DELETE FROM log WHERE topic = 1", "topic out partition 2: offsets 0 to 5 are missing"},
    {"UPDATE log SET batch = zeroblob(length(batch)) WHERE first_offset = 20",
     "topic out partition 0 offset 20: the batch is damaged"},
    {"UPDATE log SET batch = substr(batch, 1, 39) WHERE first_offset = 20",
     "offset 20: the batch is damaged: it is shorter than its header"},
    {"UPDATE log SET batch = (SELECT batch FROM log WHERE first_offset = 40 AND topic = 1)"
     " WHERE first_offset = 20 AND topic = 1",
     "offset 20: the row says 20 records, the batch in it 20 from offset 40"},
    {"UPDATE log SET batch = cast(substr(batch, 1, 60) || x'ff' || substr(batch, 62) AS BLOB)"
     " WHERE first_offset = 60",
     "offset 60: the batch is damaged: its checksum"},
    {"UPDATE log SET crc = crc + 1 WHERE first_offset = 20",
     "offset 20: its running CRC does not continue the batch before"},
    {"UPDATE log SET crc = 5 WHERE first_offset = 100", "its running CRC"},
    {"UPDATE log SET count = 21 WHERE first_offset = 20", "offset 20: the row says 21 records"},
    {"UPDATE log SET epoch = 7 WHERE first_offset = 100", "written by epoch 7"},
    {"UPDATE log SET topic = 9 WHERE first_offset = 100", "table log has rows of topic 9"},
    {"UPDATE progress SET next = 121 WHERE kind = 2 AND id = 1 AND partition = 0",
     "topic out partition 0 ends at 121, and the newest epoch says 120"},
    {"UPDATE progress SET next = 100 WHERE kind = 2 AND id = 1 AND partition = 0",
     "holds batches of it from 0 to 100"},
    {"UPDATE progress SET first = 20 WHERE kind = 2 AND id = 1 AND partition = 0",
     "reaches from 20 to 120, and table log holds batches of it from 0 to 100"},
    {"UPDATE progress SET bytes = bytes + 1 WHERE kind = 2 AND id = 1 AND partition = 2",
     "topic out partition 2 has "},
    {"UPDATE progress SET crc = 0 WHERE kind = 2 AND id = 1 AND partition = 0",
     "topic out partition 0: its running CRC is not that of its last batch"},
    {"DELETE FROM progress WHERE kind = 2 AND id = 1 AND partition = 1",
     "topic out has 3 partitions"},
    {"DELETE FROM topic WHERE name = 'out'", "table partition has rows of topic 1"},
    {"UPDATE progress SET next = next + 1 WHERE kind = 1",
     "in 0 is at 121, and the newest epoch says 120"},
    {"DELETE FROM progress WHERE kind = 1", "table position has no row for in 0"},
    {"UPDATE progress SET next = -1 WHERE kind = 1", "in 0 is at -1"},
    {"INSERT INTO progress(kind, source, part, next) VALUES(1, 'in', '1', 5)",
     "in 1 is at 5, and the newest epoch says nothing"},
    {"DELETE FROM epoch WHERE number = 4", "epoch 4 is missing"},
    {"DELETE FROM epoch WHERE number = 6", "in 0 is at 120, and the newest epoch says 100"},
    {"UPDATE epoch SET positions = '{' WHERE number = 6", "table position"},
    {"DELETE FROM epoch", "in 0 is at 120, and the newest epoch says nothing"},
    {"INSERT INTO progress(kind) VALUES(4)", "a row of kind 4 with a key that means nothing"},
    {"INSERT INTO progress(kind, id) VALUES(1, 2)", "a row of kind 1 with a key that means"},
    {"INSERT INTO progress(kind, id, part) VALUES(2, 1, 'x')", "a row of kind 2 with a key that"},
    {"INSERT INTO progress(kind, id, partition) VALUES(3, 1, 1)", "a row of kind 3 with a key"},
    {"INSERT INTO progress(kind, id) VALUES(3, 9)", "has a watermark of node 9, which does not"},
    {"DELETE FROM meta WHERE key = 'generation'", "table meta has no entry generation"},
    {"UPDATE marker SET next = 61", "the marker of sink file is 61, and its outbox reaches"},
    {"UPDATE marker SET next = 3", "the marker of sink file is 3"},
    {"UPDATE marker SET sink = 'other'", "the marker of sink other has no outbox"},
    {"DELETE FROM node WHERE id = 2", "table state has rows of node 2"},
    {"UPDATE timer SET node = 3 WHERE node = 1", "table timer has rows of node 3"},
    {"INSERT INTO watermark VALUES(4, 'in', '0', 1, 0)", "table watermark has rows of node 4"},
    {"INSERT INTO retry VALUES(999)", "table retry has dead letter 999, which does not exist"},
    {"DROP TABLE marker", "no such table"},
    {"DROP TABLE log", "no such table"},
    {"DELETE FROM log_seek WHERE topic = 1", "leads to its batch of offset 0"},
    {"UPDATE log_seek SET id = id + 5 WHERE topic = 1", "leads to its batch of offset 0"},
    {"DROP TABLE log_seek", "no such table"},
    {"UPDATE epoch SET progress = '[[1,' WHERE number = 6", "epoch 6 says of progress is damaged"},
    {"UPDATE epoch SET progress = '[[1,0,0,\"in\",\"0\",0,130,0,0,7,0,null]]' WHERE number = 6",
     "in 0 is at 130, and the newest epoch says 120"},
    {"UPDATE epoch SET progress = '[[5]]' WHERE number = 6", "a row of kind 5 with a key that"},
    {"UPDATE epoch SET folded = 8 WHERE number = 6", "table state has what epoch 8 changed"},
};

/* Each kind of damage is named. */
static void damage_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(damages); i++) {
        struct scratch *s;
        struct report report;
        set_up((void **)&s);
        scratch_close(s);
        scratch_sql(s, SCRATCH_SETTLE);
        scratch_sql(s, damages[i].change);
        scratch_must(s, verify(s, &report));
        if (!strstr(report.text, damages[i].says)) {
            fail_msg("after %s:\n%s", damages[i].change, report.text);
        }
        scratch_free(s);
    }
}

/* A seventh epoch, whose change of state table `state` does not have yet. */
static void fill_changelog(struct scratch *s)
{
    scratch_begin(s);
    scratch_put(s, s->nodes[0].id, weir_text("key"), absent, weir_text("value"));
    scratch_put(s, s->nodes[1].id, weir_text("key"), absent, weir_text("value"));
    scratch_position(s, 121);
    wr_epoch_seal(&s->epoch);
    struct wr_apply apply = {.epoch = &s->epoch, .progress = &s->epoch.progress};
    scratch_must(s, wr_store_apply(s->store, &apply, &s->error));
    s->epoch.phase = WR_EPOCH_DECIDED;
}

static void changes_of_state_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *change, *says;
    } cases[] = {
        {"SELECT 1", ""},
        {"UPDATE epoch SET changes = cast(substr(changes, 1, 20) || x'ff' || substr(changes,"
         " 22) AS BLOB)",
         "table changelog epoch 7: the changes are damaged: its CRC"},
        {"UPDATE epoch SET changes = substr(changes, 1, 30)", "damaged: its CRC"},
        {"UPDATE epoch SET changes = substr(changes, 1, 11)", "damaged: it has no header"},
        {"UPDATE epoch SET changes = x'' WHERE number = 7", "damaged: it has no header"},
        {"UPDATE epoch SET folded = 0, changes = x''", "table changelog epoch 1: the changes are"},
        {"DELETE FROM node WHERE id = 2",
         "table changelog epoch 7: a change of node 2, which does not exist"},
        {"DROP VIEW changelog", "no such table"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scratch *s;
        struct report report;
        set_up((void **)&s);
        fill_changelog(s);
        assert_sound(s);
        scratch_close(s);
        scratch_sql(s, cases[i].change);
        scratch_must(s, verify(s, &report));
        if (!strstr(report.text, cases[i].says) || (report.count == 0) != (i == 0)) {
            fail_msg("after %s:\n%s", cases[i].change, report.text);
        }
        scratch_free(s);
    }
}

/* A store's file, copied so that every test of damage starts from the same bytes. */
static unsigned char *whole_file(struct scratch *s, size_t *size_out)
{
    struct stat info;
    scratch_close(s);
    scratch_sql(s, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_int_equal(stat(s->path, &info), 0);
    unsigned char *bytes = malloc((size_t)info.st_size);
    assert_non_null(bytes);
    FILE *file = fopen(s->path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, (size_t)info.st_size, file), info.st_size);
    fclose(file);
    *size_out = (size_t)info.st_size;
    return bytes;
}

static void put_file(struct scratch *s, const unsigned char *bytes, size_t size)
{
    static const char *const suffixes[] = {"-wal", "-shm"};
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", s->path, suffixes[i]);
        unlink(path);
    }
    FILE *file = fopen(s->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Either it is refused as no sound file, or problems are reported, or (a flip in what nobody reads,
 * in free space) there is none. */
static size_t check_damaged(struct scratch *s)
{
    struct report report;
    weir_status status = verify(s, &report);
    assert_true(status == WEIR_OK || s->error.exit_code == WR_EXIT_DATA ||
                s->error.exit_code == WR_EXIT_CONFIG);
    wr_error_clear(&s->error);
    return status == WEIR_OK ? report.count : 1;
}

/* Flipped bits anywhere in the file do no harm, and most are found. */
static void flipped_bits_do_no_harm(void **state)
{
    enum { FLIPS = 300 };
    struct scratch *s = *state;
    size_t size, found = 0;
    unsigned char *bytes = whole_file(s, &size);
    uint64_t seed = 11;
    for (int i = 0; i < FLIPS; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t at = i < 100 ? (size_t)i : (size_t)(seed >> 20) % size;
        bytes[at] ^= (unsigned char)(1u << (seed >> 60 & 7));
        put_file(s, bytes, size);
        found += check_damaged(s) > 0;
        bytes[at] ^= (unsigned char)(1u << (seed >> 60 & 7));
    }
    put_file(s, bytes, size);
    assert_sound(s);
    assert_true(found > 40);
    free(bytes);
}

/* Every flipped bit inside a batch is found. */
static void a_flipped_bit_in_a_batch_is_found(void **state)
{
    struct scratch *s = *state;
    size_t size;
    unsigned char *bytes = whole_file(s, &size);
    static const unsigned char needle[] = {3, '4', '5', 3, '4', '5'}; /* record 45, key and value */
    size_t flips = 0;
    for (size_t at = 0; at + sizeof needle < size; at++) {
        if (memcmp(bytes + at, needle, sizeof needle) == 0) {
            bytes[at + flips % sizeof needle] ^= 1;
            put_file(s, bytes, size);
            assert_true(check_damaged(s) > 0);
            bytes[at + flips++ % sizeof needle] ^= 1;
        }
    }
    assert_true(flips >= 2); /* in the log, in the outbox */
    free(bytes);
}

/* Cut anywhere, it is refused or its problems are reported; only the last page may have been free
 * space. */
static void a_cut_file_is_found(void **state)
{
    struct scratch *s = *state;
    size_t size;
    unsigned char *bytes = whole_file(s, &size);
    for (size_t cut = 0; cut < size; cut += 4096) {
        put_file(s, bytes, cut);
        bool found = check_damaged(s) > 0;
        assert_true(found || cut + 8192 > size);
    }
    free(bytes);
}

/* What is no store is an error, not a list of problems. */
static void what_is_no_store_is_refused(void **state)
{
    struct scratch *s = *state;
    struct report report;
    scratch_close(s);
    put_file(s, (const unsigned char *)"hello", 5);
    scratch_must_fail(s, verify(s, &report), WR_EXIT_DATA, s->path);
    unlink(s->path);
    scratch_must_fail(s, verify(s, &report), WR_EXIT_NO_INPUT, s->path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_log_may_be_read_from_an_earlier_offset),
        TEST(a_sound_store_has_no_problem),
        cmocka_unit_test(a_new_store_has_no_problem),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(changes_of_state_are_checked),
        TEST(flipped_bits_do_no_harm),
        TEST(a_flipped_bit_in_a_batch_is_found),
        TEST(a_cut_file_is_found),
        TEST(what_is_no_store_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
