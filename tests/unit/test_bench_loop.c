/* test_bench_loop.c: the hand-written loop that weir is compared with does the same work: its
 * tables hold exactly what its input implies.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
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
#include <sqlite3.h>

#include "engine/bench/bench.h"
#include "tests/lib/bench_place.h"
#include "tests/bench/loop.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
/* ---- The loop ------------------------------------------------------------------------------- */

enum { PIECE = 7, RECORDS_MAX = 2000, KEYS = 41 };

/* Gives `piece` records a poll at most, made from their number: key = number mod KEYS, with the
 * number as value. With words: no key, and two words, the key twice, as value. */
struct input {
    bool words;
    int64_t next, end, fails_at; /* fails_at 0: never */
    int64_t epochs, decided;
    struct loop_record records[PIECE];
    char keys[PIECE][24], values[PIECE][48];
};

static bool seek(void *data, int64_t next)
{
    ((struct input *)data)->next = next;
    return true;
}

static int64_t poll(void *data, int64_t most, const struct loop_record **records_out)
{
    struct input *input = data;
    int64_t count = 0;
    if (input->fails_at && input->next >= input->fails_at) {
        return -1;
    }
    for (; count < most && count < PIECE && input->next < input->end; count++, input->next++) {
        char *key = input->keys[count], *value = input->values[count];
        snprintf(key, sizeof input->keys[0], "%" PRId64, input->next % KEYS);
        snprintf(value, sizeof input->values[0], "%" PRId64, input->next);
        if (input->words) {
            int64_t word = input->next % KEYS;
            snprintf(value, sizeof input->values[0], "..%" PRId64 ", %" PRId64, word, word);
        }
        input->records[count] = (struct loop_record){.key = input->words ? NULL : key,
                                                     .key_size = input->words ? 0 : strlen(key),
                                                     .value = value,
                                                     .value_size = strlen(value)};
    }
    *records_out = input->records;
    return count;
}

static void decided(void *data, int64_t records)
{
    struct input *input = data;
    input->epochs++;
    input->decided += records;
}

static bool run(enum loop_job job, int64_t batch, struct input *input, char *error, size_t size)
{
    const struct loop_input from = {.data = input, .seek = seek, .poll = poll, .decided = decided};
    const struct loop_options options = {
        .job = job, .path = "loop.db", .synchronous = "off", .batch = batch};
    input->words = job == LOOP_WORDCOUNT;
    return loop_run(&options, &from, error, size);
}

static void must_run(enum loop_job job, int64_t batch, struct input *input)
{
    char error[300] = "";
    if (!run(job, batch, input, error, sizeof error)) {
        fail_msg("%s", error);
    }
}

static void forget(void)
{
    unlink("loop.db");
    unlink("loop.db-wal");
    unlink("loop.db-shm");
}

/* The rows of a query, columns with a space between and rows with a line each. Free it. */
static char *look(const char *sql)
{
    char *text = NULL;
    size_t size;
    sqlite3 *db;
    sqlite3_stmt *query;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    assert_int_equal(sqlite3_open_v2("loop.db", &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &query, NULL), SQLITE_OK);
    while (sqlite3_step(query) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(query); i++) {
            const unsigned char *column = sqlite3_column_text(query, i);
            fprintf(out, "%s ", column ? (const char *)column : "-");
        }
        fputc('\n', out);
    }
    sqlite3_finalize(query);
    sqlite3_close(db);
    fclose(out);
    return text;
}

static void must_hold(const char *sql, const char *expected)
{
    char *found = look(sql);
    assert_string_equal(found, expected);
    free(found);
}

/* The tables after `records` records are what the job's definition says. */
static void must_be_whole(enum loop_job job, int64_t records)
{
    char *text = NULL;
    size_t size;
    int64_t counts[KEYS] = {0}, row = 1;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    for (int64_t i = 0; i < records; i++) {
        int64_t key = i % KEYS;
        if (job == LOOP_COPY) {
            fprintf(out, "%" PRId64 " %" PRId64 " %" PRId64 " \n", row++, key, i);
            continue;
        }
        for (int word = 0; word < (job == LOOP_WORDCOUNT ? 2 : 1); word++) {
            fprintf(out, "%" PRId64 " %" PRId64 " %" PRId64 " \n", row++, key, ++counts[key]);
        }
    }
    fclose(out);
    must_hold("SELECT id, key, value FROM output ORDER BY id", text);
    free(text);
    out = open_memstream(&text, &size);
    assert_non_null(out);
    for (int64_t key = 0; key < KEYS; key++) {
        if (counts[key]) {
            fprintf(out, "%" PRId64 " %" PRId64 " \n", key, counts[key]);
        }
    }
    fclose(out);
    must_hold("SELECT key, value FROM counts ORDER BY CAST(key AS INTEGER)", text);
    free(text);
    char next[32];
    snprintf(next, sizeof next, "%" PRId64 " \n", records);
    must_hold("SELECT next FROM position", records ? next : "");
}

/* Whatever the size of a batch, the last one whole, in part or alone. */
static void the_tables_hold_what_the_input_implies(void **state)
{
    (void)state;
    static const enum loop_job jobs[] = {LOOP_COPY, LOOP_COUNT, LOOP_WORDCOUNT};
    static const struct {
        int64_t records, batch, epochs;
    } cases[] = {{0, 10, 0},    {1, 1, 1},       {300, 1, 300},   {300, 7, 43},
                 {300, 100, 3}, {1050, 100, 11}, {1050, 1049, 2}, {1050, 10000, 1}};
    for (size_t i = 0; i < COUNT(jobs) * COUNT(cases); i++) {
        enum loop_job job = jobs[i / COUNT(cases)];
        size_t at = i % COUNT(cases);
        struct input input = {.end = cases[at].records};
        forget();

        must_run(job, cases[at].batch, &input);

        must_be_whole(job, cases[at].records);
        assert_int_equal(input.epochs, cases[at].epochs);
        assert_int_equal(input.decided, cases[at].records);
    }
}

/* A run goes on from where the one before ended, with the counts it left. */
static void a_run_goes_on(void **state)
{
    (void)state;
    forget();
    struct input first = {.end = 333}, second = {.end = 1050};
    must_run(LOOP_COUNT, 100, &first);

    must_run(LOOP_COUNT, 64, &second);

    must_be_whole(LOOP_COUNT, 1050);
    assert_int_equal(second.decided, 1050 - 333);
}

/* What was in the open transaction when the input failed is not there; the next run takes it. */
static void a_failed_run_leaves_whole_transactions(void **state)
{
    (void)state;
    forget();
    char error[300] = "";
    struct input bad = {.end = 1050, .fails_at = 250}, good = {.end = 1050};

    assert_false(run(LOOP_COUNT, 100, &bad, error, sizeof error));

    assert_string_equal(error, "cannot read the input");
    must_be_whole(LOOP_COUNT, 200);
    must_run(LOOP_COUNT, 100, &good);
    must_be_whole(LOOP_COUNT, 1050);
}

/* More keys than a map has at first; keys of every length, one of them empty. */
static int64_t poll_lengths(void *data, int64_t most, const struct loop_record **records_out)
{
    struct input *input = data;
    static char text[RECORDS_MAX + 1];
    memset(text, 'k', RECORDS_MAX);
    (void)most;
    if (input->next >= input->end) {
        return 0;
    }
    input->records[0] = (struct loop_record){
        .key = text, .key_size = (size_t)(input->next++ % RECORDS_MAX), .value = ""};
    *records_out = input->records;
    return 1;
}

static void keys_of_any_length_are_counted_apart(void **state)
{
    (void)state;
    struct input input = {.end = (int64_t)2 * RECORDS_MAX};
    const struct loop_input from = {
        .data = &input, .seek = seek, .poll = poll_lengths, .decided = decided};
    const struct loop_options options = {
        .job = LOOP_COUNT, .path = "loop.db", .synchronous = "off", .batch = 500};
    char error[300] = "";
    forget();

    assert_true(loop_run(&options, &from, error, sizeof error));

    must_hold("SELECT count(*), min(value), max(value), min(length(key)), max(length(key)) "
              "FROM counts",
              "2000 2 2 0 1999 \n");
}

static void errors_name_the_file(void **state)
{
    (void)state;
    struct input input = {.end = 1};
    const struct loop_input from = {.data = &input, .seek = seek, .poll = poll, .decided = decided};
    struct loop_options options = {
        .job = LOOP_COUNT, .path = "no/such/folder.db", .synchronous = "full", .batch = 1};
    char error[300] = "";
    assert_false(loop_run(&options, &from, error, sizeof error));
    assert_string_equal(error, "cannot open no/such/folder.db: unable to open database file");

    FILE *file = fopen("text.db", "w");
    assert_non_null(file);
    fprintf(file, "%512s", "no database");
    fclose(file);
    options.path = "text.db";
    assert_false(loop_run(&options, &from, error, sizeof error));
    assert_non_null(strstr(error, "file is not a database"));
}

/* ---- As the bench runs them ------------------------------------------------------------------ */

static struct wr_bench_cell cell_of(const char *job)
{
    return (struct wr_bench_cell){.kind = WR_BENCH_LOOP,
                                  .job = wr_bench_job_find(job),
                                  .sync = WR_SYNC_FULL,
                                  .keys = 50,
                                  .value_bytes = 60};
}

static void loop_runs_say_what_they_did(void **state)
{
    (void)state;
    static const struct {
        const char *job;
        int64_t batch, epochs;
        enum wr_sync sync;
    } cases[] = {{"copy", 1, 2500, WR_SYNC_OFF},
                 {"count", 100, 25, WR_SYNC_FULL},
                 {"count", 0, 1, WR_SYNC_NORMAL},
                 {"wordcount", 1024, 3, WR_SYNC_FULL}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bench_place place;
        struct wr_bench_run run_of;
        struct wr_bench_cell cell = cell_of(cases[i].job);
        cell.records = 2500;
        cell.epoch_records = cases[i].batch;
        cell.sync = cases[i].sync;
        bench_place_open(&place);

        assert_int_equal(wr_bench_loop_run(&place.bench, &cell, &run_of, &place.error), WEIR_OK);

        assert_int_equal(run_of.records, 2500);
        assert_int_equal(run_of.epochs, cases[i].epochs);
        assert_int_equal(wr_histogram_count(&run_of.decide), cases[i].epochs);
        assert_true(run_of.seconds > 0 && run_of.cpu_seconds > 0 && run_of.rss_kib > 0);
        assert_true(run_of.bytes_written > 4096);
        assert_true(cases[i].sync == WR_SYNC_FULL ? run_of.fsyncs >= run_of.epochs
                                                  : run_of.fsyncs < run_of.epochs);
        /* A key has 1 or 2 digits; a line ends with the last word that fits. */
        assert_true(run_of.input_bytes > (int64_t)2500 * 40 &&
                    run_of.input_bytes < (int64_t)2500 * 63);
        bench_place_close(&place);
    }
}

static void a_loop_of_some_seconds_ends_by_itself(void **state)
{
    (void)state;
    struct bench_place place;
    struct wr_bench_run run_of;
    struct wr_bench_cell cell = cell_of("count");
    cell.seconds = 0.05;
    cell.epoch_records = 10;
    cell.sync = WR_SYNC_OFF;
    bench_place_open(&place);

    assert_int_equal(wr_bench_loop_run(&place.bench, &cell, &run_of, &place.error), WEIR_OK);
    assert_true(run_of.seconds >= 0.05);
    assert_int_equal(run_of.records, 10 * run_of.epochs);
    assert_true(run_of.input_bytes <= run_of.records * (cell.value_bytes + 2)); /* key: 2 digits */
    bench_place_close(&place);
}

static void loop_runs_that_cannot_be_say_why(void **state)
{
    (void)state;
    struct bench_place place;
    struct wr_bench_run run_of;
    const struct wr_bench_job other = {.name = "./mine.so"};
    struct wr_bench_cell cell = cell_of("count");
    cell.records = 10;
    bench_place_open(&place);

    cell.job = &other;
    assert_int_equal(wr_bench_loop_run(&place.bench, &cell, &run_of, &place.error), WEIR_MISUSE);
    assert_non_null(strstr(place.error.text, "no hand-written loop for job ./mine.so"));

    wr_error_clear(&place.error);
    cell.job = wr_bench_job_find("count");
    cell.value_bytes = 3; /* too short for the generator */
    assert_int_not_equal(wr_bench_loop_run(&place.bench, &cell, &run_of, &place.error), WEIR_OK);
    assert_non_null(strstr(place.error.text, "size"));
    assert_int_equal(place.error.exit_code, WR_EXIT_USAGE);

    wr_error_clear(&place.error);
    struct wr_bench gone = place.bench;
    strcat(gone.folder, "/gone");
    assert_int_not_equal(wr_bench_loop_run(&gone, &cell, &run_of, &place.error), WEIR_OK);
    assert_non_null(strstr(place.error.text, "/gone/loop"));
    assert_int_equal(place.error.exit_code, WR_EXIT_NO_INPUT);
    bench_place_close(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_hold_what_the_input_implies),
        cmocka_unit_test(a_run_goes_on),
        cmocka_unit_test(a_failed_run_leaves_whole_transactions),
        cmocka_unit_test(keys_of_any_length_are_counted_apart),
        cmocka_unit_test(errors_name_the_file),
        cmocka_unit_test(loop_runs_say_what_they_did),
        cmocka_unit_test(a_loop_of_some_seconds_ends_by_itself),
        cmocka_unit_test(loop_runs_that_cannot_be_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
