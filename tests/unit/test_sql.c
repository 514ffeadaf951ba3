/* test_sql.c: sql: sinks on the real path: what statements are bound to, which failure is a
 * record's, and what stops the run.
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
#include <sqlite3.h>

#include "engine/test_kit.h"
#include "tests/lib/file_run.h"
#include "tests/lib/kit.h"
#include "txn/base/bytes.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void must_fail(weir_test *test, weir_status status, enum wr_exit exit_code, const char *says)
{
    assert_int_not_equal(status, WEIR_OK);
    if (!strstr(weir_test_error(test), says)) {
        fail_msg("%s", weir_test_error(test));
    }
    assert_int_equal(test->error.exit_code, exit_code);
}

static void define(weir_job *job)
{
    weir_into(weir_from(job, "in", NULL), "told", "sql:told.sql");
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* Text is TEXT, what is none a BLOB, absent is NULL; JSON functions work on the value. */
static void values_are_bound_as_what_they_are(void **state)
{
    (void)state;
    file_put("told.sql", "-- name: setup\n"
                         "CREATE TABLE IF NOT EXISTS t(key, value, time, source, partition, offset,"
                         " headers);\n"
                         "-- name: record\n"
                         "INSERT INTO t VALUES(:key, @value, $time_ms, :source, :partition,"
                         " :offset, :headers);\n");
    weir_header headers[] = {{"start", weir_text("17")}, {"raw", wr_bytes("\xfe", 1)}};
    const weir_record records[] = {
        {.key = weir_text("k"), .value = weir_text("{\"a\":[1,5]}"), .time_ms = 7},
        {.key = wr_bytes("\xff", 1), .value = weir_text(""), .time_ms = -1},
        {.value = wr_bytes("a\0b", 3), .headers = headers, .header_count = 2},
    };
    weir_test *test = weir_test_new(define, NULL);
    for (size_t i = 0; i < COUNT(records); i++) {
        weir_test_push(test, "in", 0, &records[i]);
    }
    kit_must(test, weir_test_run(test));
    assert_string_equal(kit_query(test, "SELECT group_concat(typeof(key) || ' ' || typeof(value))"
                                        " FROM t"),
                        "text text,blob text,null blob");
    assert_string_equal(kit_query(test,
                                  "SELECT group_concat(time || ' ' || source || ' ' || partition"
                                  " || ' ' || offset || ' ' || headers, '; ') FROM t"),
                        "7 in 0 0 {}; -1 in 0 1 {}; 0 in 0 2 "
                        "{\"start\":\"17\",\"raw_base64\":\"/g==\"}");
    assert_string_equal(kit_query(test, "SELECT value ->> '$.a[1]' FROM t WHERE key = 'k'"), "5");
    weir_test_free(test);
}

/* A batch gets the epoch's records that were not refused, and none runs where there are none. */
static void a_batch_has_what_was_not_refused(void **state)
{
    (void)state;
    file_put("told.sql", "-- name: setup\n"
                         "CREATE TABLE IF NOT EXISTS one(v INTEGER CHECK(v > 0));\n"
                         "CREATE TABLE IF NOT EXISTS many(n, sum, records);\n"
                         "-- name: record\n"
                         "INSERT INTO one VALUES(:value);\n"
                         "-- name: batch\n"
                         "INSERT INTO many SELECT :count, sum(value ->> '$.value'), :records"
                         " FROM json_each(:records);\n");
    static const weir_test_options options = {.epoch_records = 3};
    static const char *const values[] = {"1", "-1", "2", "0", "0", "0", "5"};
    weir_test *test = weir_test_new(define, &options);
    for (size_t i = 0; i < COUNT(values); i++) {
        weir_test_text(test, "in", NULL, values[i], (int64_t)i);
    }
    kit_must(test, weir_test_run(test));
    assert_string_equal(kit_query(test, "SELECT group_concat(n || ' ' || sum) FROM many"),
                        "2 3,1 5");
    assert_string_equal(kit_query(test, "SELECT records FROM many ORDER BY rowid"),
                        "[{\"key\":null,\"value\":\"1\",\"time_ms\":0},"
                        "{\"key\":null,\"value\":\"2\",\"time_ms\":2}]");
    assert_int_equal(weir_test_rejects(test), 4);
    weir_test_free(test);
}

/* ---- Dead letters ---------------------------------------------------------------------------- */

static const char picky[] =
    "-- name: setup\n"
    "CREATE TABLE IF NOT EXISTS audit(n INTEGER PRIMARY KEY, v);\n"
    "CREATE TABLE IF NOT EXISTS sums(k PRIMARY KEY, s INTEGER NOT NULL);\n"
    "CREATE TRIGGER IF NOT EXISTS no_seven BEFORE INSERT ON sums WHEN new.k = 'seven'\n"
    "BEGIN SELECT RAISE(ABORT, 'seven is not wanted'); END;\n"
    "-- name: record\n"
    "INSERT INTO audit(v) VALUES(:value);\n"
    "INSERT INTO sums VALUES(:key, :value ->> '$.n') ON CONFLICT DO UPDATE SET s = s + "
    "excluded.s;\n";

/* What SQLite blames on the record undoes all that the record did, and is a dead letter with
 * SQLite's reason and the record's origin. */
static void a_record_that_fails_is_a_dead_letter(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *reason;
    } cases[] = {
        {"a", "{\"n\":1}", NULL},
        {"a", "{n:1}", "malformed JSON"},
        {"a", "{\"n\":2}", NULL},
        {"seven", "{\"n\":3}", "seven is not wanted"},
        {"b", "{}", "NOT NULL constraint failed: sums.s"},
        {"b", NULL, "NOT NULL constraint failed: sums.s"},
        {"b", "{\"n\":4}", NULL},
    };
    file_put("told.sql", picky);
    for (int64_t size = 0; size < 4; size++) {
        weir_test_options options = {.epoch_records = size};
        weir_test *test = weir_test_new(define, &options);
        for (size_t i = 0; i < COUNT(cases); i++) {
            weir_test_text(test, "in", cases[i].key, cases[i].value, 10 + (int64_t)i);
        }
        kit_must(test, weir_test_run(test));
        assert_string_equal(kit_query(test, "SELECT group_concat(k || s, ' ') FROM sums"), "a3 b4");
        assert_string_equal(kit_query(test, "SELECT count(*) || ' ' || max(n) FROM audit"), "3 3");
        size_t letters = 0;
        for (size_t i = 0; i < COUNT(cases); i++) {
            if (!cases[i].reason) {
                continue;
            }
            const char *reason = weir_test_reason(test, letters++);
            assert_non_null(reason);
            assert_int_equal(strncmp(reason, cases[i].reason, strlen(cases[i].reason)), 0);
            assert_non_null(strstr(reason, " (line 8 of told.sql)"));
        }
        assert_int_equal(weir_test_rejects(test), letters);
        assert_string_equal(kit_query(test,
                                      "SELECT source || part || offset || node || input || seq ||"
                                      " key || value || time_ms || (timer IS NULL) || epoch"
                                      " FROM reject ORDER BY id"),
                            size == 1 ? "in01told00a{n:1}1112" : "in01told00a{n:1}1111");
        assert_int_equal((int64_t)letters, atomic_load(&test->instance.metrics.rejects));
        weir_test_free(test);
    }
}

/* A dead letter is taken again with its old origin; refused again it is a new one. */
static void a_dead_letter_is_taken_again(void **state)
{
    (void)state;
    file_put("told.sql", picky);
    weir_test *test = weir_test_new(define, NULL);
    weir_test_text(test, "in", "seven", "{\"n\":7}", 1);
    weir_test_text(test, "in", "x", "oops", 2);
    kit_must(test, weir_test_run(test));
    assert_int_equal(weir_test_rejects(test), 2);
    char mended[sizeof picky + 100];
    snprintf(mended, sizeof mended, "-- name: setup\nDROP TRIGGER IF EXISTS no_seven;\n%s",
             strstr(picky, "-- name: record"));
    file_put("told.sql", mended);
    kit_must(test, weir_test_retry(test, "told"));
    assert_string_equal(kit_query(test, "SELECT group_concat(k || s, ' ') FROM sums"), "seven7");
    assert_string_equal(kit_query(test, "SELECT group_concat(source || offset || key) FROM reject"),
                        "in1x");
    assert_string_equal(kit_query(test, "SELECT count(*) FROM retry"), "0");
    weir_test_free(test);
}

/* Letters of statements count for --rejects-max: the epoch is not decided, and nothing is lost. */
static void statements_keep_to_the_cap(void **state)
{
    (void)state;
    static const char *const set[] = {"--rejects-max", "2", NULL};
    weir_test_options options = {.epoch_records = 2, .set = set};
    file_put("told.sql", picky);
    weir_test *test = weir_test_new(define, &options);
    weir_test_text(test, "in", "a", "bad", 1);
    weir_test_text(test, "in", "a", "{\"n\":1}", 2);
    weir_test_text(test, "in", "a", "bad", 3);
    weir_test_text(test, "in", "a", "{\"n\":1}", 4);
    kit_must(test, weir_test_run(test));
    assert_int_equal(weir_test_rejects(test), 2);
    weir_test_text(test, "in", "a", "{\"n\":1}", 5);
    weir_test_text(test, "in", "a", "bad", 6);
    must_fail(test, weir_test_run(test), WR_EXIT_DATA, "no more than 2 dead letters");
    kit_must(test, weir_test_restart(test, NULL));
    assert_int_equal(weir_test_rejects(test), 2);
    assert_string_equal(kit_query(test, "SELECT s FROM sums"), "2");
    assert_string_equal(kit_query(test, "SELECT next FROM position"), "4");
    weir_test_free(test);
}

/* --rejects needs each dead letter before its epoch is sealed. */
static void a_sink_of_dead_letters_is_refused(void **state)
{
    (void)state;
    file_put("told.sql", picky);
    static const char *const set[] = {"--rejects", "log:dead", NULL};
    weir_test_options options = {.set = set};
    weir_test *test = weir_test_new(define, &options);
    must_fail(test, weir_test_status(test), WR_EXIT_CONFIG, "leave --rejects out");
    weir_test_free(test);
}

/* ---- What stops the run ---------------------------------------------------------------------- */

/* A failing batch, and a statement that rolls weir's own transaction back: nothing of the epoch is
 * decided, and mended it is decided once. */
static void what_no_record_is_to_blame_for_stops(void **state)
{
    (void)state;
    static const struct {
        const char *file, *says;
        enum wr_exit exit_code;
    } cases[] = {
        {"-- name: setup\nCREATE TABLE IF NOT EXISTS t(v UNIQUE);\n-- name: batch\n"
         "INSERT INTO t SELECT 1 FROM json_each(:records);",
         "line 4, section `batch`: UNIQUE constraint failed: t.v; a batch (here of 2 records)",
         WR_EXIT_DATA},
        {"-- name: setup\nCREATE TABLE IF NOT EXISTS t(v UNIQUE);\n-- name: record\n"
         "INSERT OR ROLLBACK INTO t VALUES(1);",
         "rolled back the whole transaction", WR_EXIT_CONFIG},
        {"-- name: setup\nCREATE TABLE IF NOT EXISTS t(v UNIQUE ON CONFLICT ROLLBACK);\n"
         "-- name: batch\nINSERT INTO t VALUES(1); INSERT INTO t VALUES(1);",
         "rolled back the whole transaction", WR_EXIT_CONFIG},
        {"-- name: setup\nCREATE TABLE IF NOT EXISTS t(v);\n"
         "CREATE TRIGGER IF NOT EXISTS r AFTER INSERT ON t WHEN new.v = 'b' BEGIN"
         " SELECT RAISE(ROLLBACK, 'no'); END;\n-- name: record\nINSERT INTO t VALUES(:value);",
         "OR ABORT or RAISE(ABORT", WR_EXIT_CONFIG},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        file_put("told.sql", cases[i].file);
        weir_test *test = weir_test_new(define, NULL);
        weir_test_text(test, "in", NULL, "a", 1);
        weir_test_text(test, "in", NULL, "b", 2);
        must_fail(test, weir_test_run(test), cases[i].exit_code, cases[i].says);
        assert_string_equal(kit_query(test, "SELECT count(*) FROM t"), "0");
        assert_int_equal(weir_test_rejects(test), 0);
        file_put("told.sql", "-- name: setup\nDROP TRIGGER IF EXISTS r;\n-- name: record\n"
                             "INSERT INTO t VALUES(:value);");
        kit_must(test, weir_test_restart(test, NULL));
        kit_must(test, weir_test_run(test));
        assert_string_equal(kit_query(test, "SELECT group_concat(v) FROM t"), "a,b");
        weir_test_free(test);
    }
}

/* Setup is part of the start: what fails there leaves the store as it was. */
static void a_failed_setup_leaves_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *setup, *says;
        enum wr_exit exit_code;
    } cases[] = {
        {"CREATE TABLE t(v); CREATE TABLE t(v);",
         "table t already exists; setup runs at each start", WR_EXIT_USAGE},
        {"CREATE TABLE t(v UNIQUE); INSERT INTO t VALUES(1), (1);",
         "UNIQUE constraint failed: t.v; mend it: it runs at each start", WR_EXIT_CONFIG},
        {"CREATE TABLE t(v UNIQUE); INSERT OR ROLLBACK INTO t VALUES(1), (1);",
         "rolled back the whole", WR_EXIT_CONFIG},
        {"CREATE TABLE t(v); INSERT INTO t VALUES(abs(-9223372036854775808));", "integer overflow",
         WR_EXIT_CONFIG},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char file[256];
        snprintf(file, sizeof file, "-- name: setup\n%s\n-- name: record\nSELECT 1;\n",
                 cases[i].setup);
        file_put("told.sql", file);
        weir_test *test = weir_test_new(define, NULL);
        must_fail(test, weir_test_status(test), cases[i].exit_code, cases[i].says);
        assert_string_equal(kit_query(test, "SELECT count(*) FROM sqlite_schema WHERE name = 't'"),
                            "0");
        assert_string_equal(kit_query(test, "SELECT count(*) FROM sink"), "0");
        weir_test_free(test);
    }
}

/* ---- Other programs -------------------------------------------------------------------------- */

/* Past weir, as the sqlite3 program would. */
static void change_outside(weir_test *test, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(weir_test_store(test), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* A table that goes while the job runs is no record's fault; one that gets a trigger on weir's own
 * tables is asked about again. */
static void the_schema_may_change_meanwhile(void **state)
{
    (void)state;
    static const struct {
        const char *change, *says;
    } cases[] = {
        {"DROP TABLE t", "no such table: t; the tables are not as they were"},
        {"CREATE TRIGGER bad AFTER INSERT ON t BEGIN DELETE FROM state; END",
         "it changes `state`, which is weir's own"},
        {"ALTER TABLE t ADD COLUMN more", "has 2 columns but 1 values"},
        {"CREATE INDEX i ON t(v)", NULL},
    };
    file_put("told.sql", "-- name: setup\nCREATE TABLE IF NOT EXISTS t(v);\n"
                         "-- name: record\nINSERT INTO t VALUES(:value);\n");
    for (size_t i = 0; i < COUNT(cases); i++) {
        weir_test *test = weir_test_new(define, NULL);
        weir_test_text(test, "in", NULL, "1", 1);
        kit_must(test, weir_test_run(test));
        change_outside(test, cases[i].change);
        weir_test_text(test, "in", NULL, "2", 1);
        weir_status status = weir_test_run(test);
        if (cases[i].says) {
            must_fail(test, status, WR_EXIT_CONFIG, cases[i].says);
            assert_int_equal(weir_test_rejects(test), 0);
        } else {
            kit_must(test, status);
            assert_string_equal(kit_query(test, "SELECT group_concat(v) FROM t"), "1,2");
        }
        weir_test_free(test);
    }
}

/* A virtual table, made by another program, has statements of its own, some of which are refused as
 * they come: no record is to blame. */
static void a_virtual_table_is_no_records_fault(void **state)
{
    (void)state;
    if (!sqlite3_compileoption_used("ENABLE_FTS5")) {
        skip();
    }
    file_put("told.sql", "-- name: record\nSELECT 1;\n");
    weir_test *test = weir_test_new(define, NULL);
    kit_must(test, weir_test_run(test));
    change_outside(test, "CREATE VIRTUAL TABLE words USING fts5(v)");
    file_put("told.sql", "-- name: record\nINSERT INTO words VALUES(:value);\n");
    weir_test_text(test, "in", NULL, "some words", 1);
    if (weir_test_restart(test, NULL) == WEIR_OK) {
        must_fail(test, weir_test_run(test), WR_EXIT_CONFIG, "it uses PRAGMA data_version");
    }
    assert_int_not_equal(weir_test_status(test), WEIR_OK);
    assert_int_equal(weir_test_rejects(test), 0);
    weir_test_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_bound_as_what_they_are),
        cmocka_unit_test(a_batch_has_what_was_not_refused),
        cmocka_unit_test(a_record_that_fails_is_a_dead_letter),
        cmocka_unit_test(a_dead_letter_is_taken_again),
        cmocka_unit_test(statements_keep_to_the_cap),
        cmocka_unit_test(a_sink_of_dead_letters_is_refused),
        cmocka_unit_test(what_no_record_is_to_blame_for_stops),
        cmocka_unit_test(a_failed_setup_leaves_nothing),
        cmocka_unit_test(the_schema_may_change_meanwhile),
        cmocka_unit_test(a_virtual_table_is_no_records_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
