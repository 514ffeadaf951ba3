/* test_sql_guard.c: txn/store_guard.c and txn/store_define_sql.c: what the statements of an sql:
 * sink may do, and what is said at the start of those that may not, or are wrong.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/test_kit.h"
#include "engine/weir_test.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void define(weir_job *job)
{
    weir_stream *in = weir_from(job, "in", NULL);
    weir_into(in, "counts", "table:counts");
    weir_into(in, "told", "sql:told.sql");
}

/* Each section's statement is its second one, in line 3, 6 or 9. */
static void write_file(const char *setup, const char *record, const char *batch)
{
    FILE *file = fopen("told.sql", "w");
    assert_non_null(file);
    fprintf(file, "-- name: setup\nCREATE TABLE IF NOT EXISTS mine(a, b);\n%s\n", setup);
    fprintf(file, "-- name: record\nSELECT 1;\n%s\n", record);
    fprintf(file, "-- name: batch\nSELECT 1;\n%s\n", batch);
    assert_int_equal(fclose(file), 0);
}

struct statement {
    const char *text;
    const char *setup, *record, *batch; /* NULL: allowed; else a part of what is said */
};

#define ALL(says) says, says, says
#define SETUP_ONLY NULL, "belongs into the section `setup`", "belongs into the section `setup`"

static const struct statement statements[] = {
    /* The user's own. */
    {"INSERT INTO mine VALUES(1, 2)", ALL(NULL)},
    {"UPDATE mine SET a = a + 1 WHERE b IN (SELECT a FROM mine)", ALL(NULL)},
    {"DELETE FROM mine WHERE a > 5", ALL(NULL)},
    {"INSERT INTO mine SELECT value, key FROM json_each('[1,2]')", ALL(NULL)},
    {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)"
     " INSERT INTO mine SELECT i, i FROM n RETURNING a",
     ALL(NULL)},
    {"REPLACE INTO mine SELECT count(*), max(a) OVER () FROM mine", ALL(NULL)},
    {"SELECT name FROM sqlite_schema", ALL(NULL)},
    {"EXPLAIN SELECT * FROM mine", ALL(NULL)},
    {"CREATE TABLE IF NOT EXISTS other(id INTEGER PRIMARY KEY AUTOINCREMENT, x UNIQUE)",
     SETUP_ONLY},
    {"CREATE TABLE copy AS SELECT * FROM mine; DROP TABLE copy", SETUP_ONLY},
    {"CREATE TABLE auto(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO auto VALUES(7);"
     " DROP TABLE auto",
     SETUP_ONLY},
    {"CREATE TABLE a1(x INTEGER PRIMARY KEY AUTOINCREMENT); ALTER TABLE a1 RENAME TO a2;"
     " ALTER TABLE a2 RENAME COLUMN x TO y; ALTER TABLE a2 ADD COLUMN z; ALTER TABLE a2 DROP COLUMN"
     " z; DROP TABLE a2",
     SETUP_ONLY},
    {"CREATE INDEX IF NOT EXISTS mine_a ON mine(a, b); DROP INDEX mine_a", SETUP_ONLY},
    {"CREATE INDEX IF NOT EXISTS mine_j ON mine(b ->> '$.x')", SETUP_ONLY},
    {"CREATE TABLE IF NOT EXISTS checked(j TEXT CHECK(json_valid(j)))", SETUP_ONLY},
    {"CREATE VIEW IF NOT EXISTS look AS SELECT count(*), json_extract('[1]', '$[0]') FROM mine",
     SETUP_ONLY},
    {"CREATE TRIGGER IF NOT EXISTS fire AFTER DELETE ON mine BEGIN"
     " INSERT INTO mine VALUES(old.a, 0); END",
     SETUP_ONLY},
    {"DROP TRIGGER IF EXISTS fire; DROP VIEW IF EXISTS look", NULL, NULL, NULL},
    /* weir's. */
    {"SELECT * FROM state", ALL("it reads `state`, which is weir's own")},
    {"SELECT count(*) FROM reject", ALL("it reads `reject`")},
    {"SELECT next FROM position", ALL("which is weir's own")},
    {"INSERT INTO mine SELECT key, value FROM Meta", ALL("it reads `meta`")},
    {"INSERT INTO mine VALUES((SELECT max(number) FROM epoch), 0)", ALL("it reads `epoch`")},
    {"INSERT INTO retry VALUES(1)", ALL("it changes `retry`, which is weir's own")},
    {"UPDATE main.\"log\" SET count = 0", ALL("it changes `log`")},
    {"DELETE FROM timer", ALL("it changes `timer`")},
    {"REPLACE INTO meta VALUES('generation', 0)", ALL("it changes `meta`")},
    {"CREATE TABLE IF NOT EXISTS state(x)", "`state` is a name of weir's own",
     "belongs into the section `setup`", "belongs into the section `setup`"},
    {"CREATE INDEX extra ON state(value)", "it changes `state`", "`setup`", "`setup`"},
    {"CREATE INDEX IF NOT EXISTS timer_due ON mine(a)", ALL(NULL)}, /* it does nothing */
    {"CREATE TRIGGER steal AFTER INSERT ON epoch BEGIN DELETE FROM mine; END", "it changes `epoch`",
     "`setup`", "`setup`"},
    {"CREATE TRIGGER steal INSTEAD OF INSERT ON position BEGIN DELETE FROM mine; END",
     "it changes `position`", "`setup`", "`setup`"},
    {"CREATE VIEW changelog AS SELECT 1", "`changelog` is a name of weir's own", "`setup`",
     "`setup`"},
    {"DROP TABLE reject", "it changes `reject`", "`setup`", "`setup`"},
    {"DROP VIEW progress_now", "it changes `progress_now`", "`setup`", "`setup`"},
    {"DROP INDEX timer_due", "weir's own", "`setup`", "`setup`"},
    {"ALTER TABLE node ADD COLUMN x", "it changes `node`", "`setup`", "`setup`"},
    {"ALTER TABLE state RENAME TO mine2", "it changes `state`", "`setup`", "`setup`"},
    /* The table of another sink. */
    {"INSERT INTO counts VALUES('a', 'b')", ALL("it changes `counts`, the table of sink `counts`")},
    {"SELECT * FROM Counts", NULL, "is written once an epoch", NULL},
    {"CREATE TABLE IF NOT EXISTS COUNTS(key, value)", "is the table of sink `counts`", "`setup`",
     "`setup`"},
    {"CREATE UNIQUE INDEX one ON counts(value)", "it changes `counts`", "`setup`", "`setup`"},
    {"CREATE TRIGGER also AFTER INSERT ON counts BEGIN DELETE FROM mine; END",
     "it changes `counts`", "`setup`", "`setup`"},
    /* Transactions, other files, settings, SQLite's own. */
    {"BEGIN", ALL("begins or ends a transaction")},
    {"COMMIT", ALL("begins or ends a transaction")},
    {"END TRANSACTION", ALL("begins or ends a transaction")},
    {"ROLLBACK", ALL("begins or ends a transaction")},
    {"SAVEPOINT x", ALL("begins or ends a transaction")},
    {"RELEASE told", ALL("begins or ends a transaction")},
    {"ROLLBACK TO told", ALL("begins or ends a transaction")},
    {"ATTACH 'other.db' AS other", ALL("uses another database file")},
    {"DETACH main", ALL("uses another database file")},
    {"VACUUM", ALL("it is VACUUM")},
    {"vacuum into 'copy.db'", ALL("it is VACUUM")},
    {"PRAGMA journal_mode=DELETE", ALL("it uses PRAGMA journal_mode")},
    {"PRAGMA foreign_keys", ALL("it uses PRAGMA foreign_keys")},
    {"SELECT * FROM pragma_table_info('mine')", ALL("it uses a PRAGMA")},
    {"ANALYZE", "for maintenance", "`setup`", "`setup`"},
    {"CREATE INDEX IF NOT EXISTS ready ON mine(b); REINDEX mine", SETUP_ONLY},
    {"REINDEX", "`timer_due` is a name of weir's own", "`setup`", "`setup`"},
    {"CREATE TEMP TABLE t(a)", ALL("TEMP")},
    {"CREATE TEMP TRIGGER t AFTER INSERT ON epoch BEGIN SELECT 1; END", ALL("TEMP")},
    {"CREATE TEMP VIEW t AS SELECT 1", ALL("TEMP")},
    {"CREATE VIRTUAL TABLE t USING fts5(a)", "virtual table", "`setup`", "`setup`"},
    {"SELECT load_extension('x')", ALL("it loads an extension")},
    {"INSERT INTO sqlite_schema VALUES('table', 'x', 'x', 0, 'CREATE TABLE x(a)')",
     "may not be modified", "`setup`", "`setup`"},
    {"DELETE FROM sqlite_master", ALL("may not be modified")},
    {"UPDATE sqlite_sequence SET seq = 0", ALL("it changes `sqlite_sequence`")},
    {"UPDATE sqlite_dbpage SET data = x''", "sqlite_dbpage", "sqlite_dbpage", "sqlite_dbpage"},
    /* What SQLite does not take. */
    {"INSRT INTO mine VALUES(1, 2)", ALL("near \"INSRT\": syntax error")},
    {"INSERT INTO nowhere VALUES(1)", ALL("no such table: nowhere")},
    {"INSERT INTO mine VALUES(1)", ALL("mine has 2 columns but 1 values")},
    {"INSERT INTO mine VALUES('1", ALL("unrecognized token")},
    {"SELECT ?", ALL("a parameter without a name")},
    {"SELECT ?1", ALL("a parameter without a name")},
    {"SELECT :kye", "`setup` has none", "did you mean :key?", "there are :records :count"},
    {"SELECT :nothing_like_it", "`setup` has none",
     "there are :key :value :time_ms :source :partition :offset :headers",
     "there are :records :count"},
    {"SELECT :key, @value, $time_ms, :source, :partition, :offset, :headers", "`setup` has none",
     NULL, "no parameter :key"},
    {"SELECT :records, @count", "`setup` has none", "no parameter :records", NULL},
};

/* Opens the job with the statement in one section, and runs a record through it. False: that did
 * not come out as it should. */
static bool try_one(const struct statement *statement, int section, const char *says)
{
    static const int lines[] = {3, 6, 9};
    const char *text[3] = {"", "", ""};
    char line[64];
    text[section] = statement->text;
    snprintf(line, sizeof line, "sink `told`: told.sql, line %d, section", lines[section]);
    write_file(text[0], text[1], text[2]);
    weir_test *test = weir_test_new(define, NULL);
    weir_status status = weir_test_status(test);
    if (!says && status == WEIR_OK) {
        weir_test_text(test, "in", "k", "v", 1);
        status = weir_test_run(test);
    }
    const char *said = weir_test_error(test);
    bool right = says ? status != WEIR_OK && strstr(said, says) && strstr(said, line) &&
                            test->error.exit_code == WR_EXIT_USAGE
                      : status == WEIR_OK && weir_test_rejects(test) == 0;
    if (!right) {
        print_error("%s, section %d: %s\n", statement->text, section,
                    status == WEIR_OK ? "is allowed" : said);
    }
    weir_test_free(test);
    return right;
}

/* Each statement is allowed or refused in each section, at the start, with what it did. */
static void statements_are_allowed_or_refused(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < COUNT(statements); i++) {
        wrong += !try_one(&statements[i], 0, statements[i].setup);
        wrong += !try_one(&statements[i], 1, statements[i].record);
        wrong += !try_one(&statements[i], 2, statements[i].batch);
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_are_allowed_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
