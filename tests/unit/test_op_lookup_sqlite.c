/* test_op_lookup_sqlite.c: weir_lookup_sqlite, on databases that the test writes with sqlite3.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/lib/shown.h"
#include "tests/lib/steps.h"

static const char file[] = "lookup.db";

static const char *const kinds[] = {"inner", "left"};
static struct {
    const char *query, *file;
} now;

static void define(weir_job *job)
{
    weir_stream *left, *right;
    steps_in(job, &left, &right);
    for (unsigned kind = WEIR_INNER; kind <= WEIR_LEFT; kind++) {
        steps_out(weir_lookup_sqlite(left, kinds[kind], now.file, now.query, (weir_join_kind)kind,
                                     steps_join, (void *)(uintptr_t)kinds[kind]),
                  kinds[kind]);
    }
}

static sqlite3 *database(const char *text)
{
    sqlite3 *db = NULL;
    unlink("lookup.db-wal");
    unlink("lookup.db-shm");
    unlink(file);
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void check(const char *query, const char *steps, const char *inner, const char *left)
{
    const struct steps_case cases[] = {{steps, {inner, left}}};
    now.file = file;
    now.query = query;
    steps_check(define, kinds, cases, 1);
}

static void the_first_row_is_what_is_joined(void **state)
{
    (void)state;
    sqlite3 *db = database("CREATE TABLE t(k PRIMARY KEY, v, w);"
                           "INSERT INTO t VALUES('a', 'one', 1), ('b', NULL, 2), ('', '', 3),"
                           "('i', 42, 4), ('r', 1.5, 5), ('x', x'6869', 6)");
    const char *by_key = "SELECT v, w FROM t WHERE k = :key;  ";
    check(by_key, "L:a=l@1 L:z=l@2 L:b=l@3 L:=l@4 L:i=l@5 L:r=l@6 L:x=l@7 L:-=l@8 L:a@9",
          "a=l+one@1 b=l+@3 =l+@4 i=l+42@5 r=l+1.5@6 x=l+hi@7 a=+one@9",
          "a=l+one@1 z=l+.@2 b=l+@3 =l+@4 i=l+42@5 r=l+1.5@6 x=l+hi@7 -=l+.@8 a=+one@9");
    check("SELECT v FROM t ORDER BY w DESC", "L:q=l@1", "q=l+hi@1", "q=l+hi@1");
    check("SELECT v FROM t WHERE w = :time_ms AND :value = 'l'", "L:q=l@1 L:q=m@1 L:q=l@5",
          "q=l+one@1 q=l+1.5@5", "q=l+one@1 q=m+.@1 q=l+1.5@5");
    check("SELECT 7", "L:q=!@1 L:q=l@2", "q=l+7@2 !loud", "q=l+7@2 !loud");
    sqlite3_close(db);
}

/* Keys as text where they are UTF-8 without NUL, else as bytes. */
static void keys_are_text_or_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *type;
    } cases[] = {
        {"a", 1, "text"},
        {"", 0, "text"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "text"},
        {"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xe0\xa0\x80", 10, "text"},
        {"a\0b", 3, "blob"},
        {"\xc3", 1, "blob"},
        {"\xc0\x80", 2, "blob"},
        {"\xe0\x9f\xbf", 3, "blob"},
        {"\xed\xa0\x80", 3, "blob"},
        {"\xf4\x90\x80\x80", 4, "blob"},
        {"\xf0\x8f\xbf\xbf", 4, "blob"},
        {"\xff", 1, "blob"},
        {"a\x80", 2, "blob"},
        {"\xe2\x82", 2, "blob"},
    };
    sqlite3 *db = database("CREATE TABLE t(k)");
    now.file = file;
    now.query = "SELECT typeof(:key) || length(:key)";
    weir_test *test = weir_test_new(define, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weir_bytes key = {cases[i].bytes, cases[i].size};
        steps_push(test, false, key, weir_text("l"), 0);
        assert_int_equal(weir_test_run(test), WEIR_OK);
        const weir_record *out = weir_test_record(test, "out.left", i);
        assert_non_null(out);
        assert_memory_equal(out->value.data, "=l+", 3);
        assert_memory_equal((const char *)out->value.data + 3, cases[i].type, 4);
    }
    weir_test_free(test);
    sqlite3_close(db);
}

/* What the database says at that moment counts: it may be written meanwhile. */
static void the_database_may_change(void **state)
{
    (void)state;
    sqlite3 *db = database("PRAGMA journal_mode=WAL; CREATE TABLE t(k, v);"
                           "INSERT INTO t VALUES('a', 'one')");
    now.file = file;
    now.query = "SELECT v FROM t WHERE k = :key";
    weir_test *test = weir_test_new(define, NULL);
    steps_take(test, "L:a=l@1");
    assert_int_equal(sqlite3_exec(db, "UPDATE t SET v='two'", NULL, NULL, NULL), SQLITE_OK);
    steps_take(test, "L:a=l@2");
    assert_int_equal(
        sqlite3_exec(db, "ALTER TABLE t ADD COLUMN w; DELETE FROM t", NULL, NULL, NULL), SQLITE_OK);
    steps_take(test, "L:a=l@3 X L:a=l@4");
    char *answer = steps_answer(test, "left");
    assert_string_equal(answer, "a=l+one@1 a=l+two@2 a=l+.@3 a=l+.@4");
    free(answer);
    weir_test_free(test);
    sqlite3_close(db);
}

/* A query that fails for one record rejects that one. */
static void a_record_that_the_query_fails_for_is_rejected(void **state)
{
    (void)state;
    sqlite3 *db = database("CREATE TABLE t(k)");
    check("SELECT json_extract(:value, '$.a')", "L:a={\"a\":5}@1 L:a={@2 L:a={}@3",
          "a={\"a\":5}+5@1 a={}+@3 !query failed", "a={\"a\":5}+5@1 a={}+@3 !query failed");
    sqlite3_close(db);
}

static void stops(const char *name, const char *query, const char *why)
{
    now.file = name;
    now.query = query;
    weir_test *test = weir_test_new(define, NULL);
    assert_int_equal(weir_test_status(test), WEIR_OK);
    steps_push(test, false, weir_text("a"), weir_text(NULL), 0);
    assert_int_equal(weir_test_run(test), WEIR_FATAL);
    if (!strstr(weir_test_error(test), why)) {
        fail_msg("%s: %s", query, weir_test_error(test));
    }
    weir_test_free(test);
}

static void what_cannot_be_asked_stops_the_run(void **state)
{
    (void)state;
    sqlite3 *db = database("CREATE TABLE t(k)");
    stops("none.db", "SELECT 1", "cannot open none.db: unable to open database file; give a file");
    stops("/proc/self/maps", "SELECT k FROM t", "cannot prepare its query on /proc/self/maps");
    stops(file, "SELECT missing FROM t", "no such column: missing; mend the query");
    stops(file, "DELETE FROM t RETURNING k", "is not one query that reads");
    stops(file, "DELETE FROM t", "is not one query that reads");
    stops(file, "SELECT 1; SELECT 2", "is not one query that reads");
    stops(file, " ; ", "is not one query that reads");
    stops(file, "SELECT :name", "has a parameter :name; there are :key");
    stops(file, "SELECT ?", "has a parameter without a name");
    sqlite3_close(db);
}

/* A table that goes while the job runs is not each record's fault. */
static void a_table_that_goes_stops_the_run(void **state)
{
    (void)state;
    sqlite3 *db = database("CREATE TABLE t(k)");
    now.file = file;
    now.query = "SELECT k FROM t";
    weir_test *test = weir_test_new(define, NULL);
    steps_take(test, "L:a=l@1");
    assert_int_equal(sqlite3_exec(db, "DROP TABLE t", NULL, NULL, NULL), SQLITE_OK);
    steps_push(test, false, weir_text("a"), weir_text("l"), 0);
    assert_int_equal(weir_test_run(test), WEIR_FATAL);
    assert_non_null(strstr(weir_test_error(test), "no such table: t"));
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(k)", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(weir_test_count(test, "out.left"), 2);
    weir_test_free(test);
    sqlite3_close(db);
}

static void a_file_and_a_query_are_needed(void **state)
{
    (void)state;
    static const char *const cases[][3] = {{NULL, "SELECT 1", "no file"}, {"a", "", "no query"}};
    for (size_t i = 0; i < 2; i++) {
        now.file = cases[i][0];
        now.query = cases[i][1];
        shown_refused(define, cases[i][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_row_is_what_is_joined),
        cmocka_unit_test(keys_are_text_or_bytes),
        cmocka_unit_test(the_database_may_change),
        cmocka_unit_test(a_record_that_the_query_fails_for_is_rejected),
        cmocka_unit_test(what_cannot_be_asked_stops_the_run),
        cmocka_unit_test(a_table_that_goes_stops_the_run),
        cmocka_unit_test(a_file_and_a_query_are_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
