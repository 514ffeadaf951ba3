/* test_sql_text.c: txn/sql_text.c: how the file of an sql: sink is cut into sections, and what is
 * said of one that is not as it should be; and txn/told.c: records as JSON.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/file_run.h"
#include "txn/sql_text.h"
#include "txn/told.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Sections -------------------------------------------------------------------------------- */

/* Each section is the lines between its name and the next one's, and knows where it begins. */
static void a_file_is_cut_into_sections(void **state)
{
    (void)state;
    static const struct {
        const char *file, *setup, *record, *batch;
        int lines[WR_SQL_SECTIONS];
    } cases[] = {
        {"-- name: record\nSELECT 1;", NULL, "SELECT 1;", NULL, {0, 2, 0}},
        {"--name:batch\r\nA;\r\n", NULL, NULL, "A;\r\n", {0, 0, 2}},
        {"\xef\xbb\xbf-- a comment\n\n/* another\n one */\n--   name:  setup  \nA\n-- name: "
         "record\nB\n"
         "-- name: batch\nC",
         "A\n",
         "B\n",
         "C",
         {6, 8, 10}},
        {"-- name: batch\nC\n-- name: record\nB\n", NULL, "B\n", "C\n", {0, 4, 2}},
        {"-- name: setup\n-- name: record\nx -- name: batch\n",
         "",
         "x -- name: batch\n",
         NULL,
         {2, 3, 0}},
        {"-- name: record\n -- name: batch\nx", NULL, " -- name: batch\nx", NULL, {0, 2, 0}},
        {"-- name: setup\n;;\n-- name: batch\nx", ";;\n", NULL, "x", {2, 0, 4}},
        {"\xef\xbb\xbf-- name: setup\nA\n\xef\xbb\xbf-- name: record\nB\n",
         "A\n",
         "B\n",
         NULL,
         {2, 4, 0}},
        {"/* open -- comment */ ; ;\n-- name: record\nx", NULL, "x", NULL, {0, 3, 0}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *file = strdup(cases[i].file);
        struct wr_sql_text text;
        struct wr_error error = {.status = WEIR_OK};
        assert_non_null(file);
        if (wr_sql_text_cut("s", "f.sql", file, strlen(file), &text, &error) != WEIR_OK) {
            fail_msg("%zu: %s", i, error.text);
        }
        const char *expected[] = {cases[i].setup, cases[i].record, cases[i].batch};
        for (int j = 0; j < WR_SQL_SECTIONS; j++) {
            assert_int_equal(!text.section[j], !expected[j]);
            if (expected[j]) {
                assert_string_equal(text.section[j], expected[j]);
                assert_int_equal(text.line[j], cases[i].lines[j]);
            }
        }
        free(file);
    }
}

/* What is wrong is said with its line, and with the nearest right word. */
static void a_wrong_file_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *file, *says;
    } cases[] = {
        {"", "neither a section `record` nor `batch`"},
        {"-- name: setup\nCREATE TABLE t(a);", "neither a section `record` nor `batch`"},
        {"SELECT 1;\n-- name: record\nSELECT 1", "line 1: a statement before the first section"},
        {"-- x\n/* y\n*/ SELECT 1;\n", "line 3: a statement before the first section"},
        {"-- name: recrod\nx", "line 1: no section is called \"recrod\"; did you mean record?"},
        {"\n-- name: Setup\nx", "did you mean setup?"},
        {"-- name: everything else\nx", "there are setup, record, batch"},
        {"-- name:\nx", "no section is called \"\""},
        {"-- name: record :one\nx", "no section is called \"record :one\""},
        {"-- name: record\nx\n-- name: record\ny", "line 3: a second section `record`"},
        {"-- name: record\n-- nothing\n ; \n/**/", "line 1: section `record` has no statement"},
        {"-- name: record\n\xef\xbb\xbf;", "line 1: section `record` has no statement"},
        {"-- name: record\nx\n-- name: batch", "line 3: section `batch` has no statement"},
        {"-- name: record\n\xff", "no text in UTF-8"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *file = strdup(cases[i].file);
        struct wr_sql_text text;
        struct wr_error error = {.status = WEIR_OK};
        assert_non_null(file);
        assert_int_not_equal(wr_sql_text_cut("s", "f.sql", file, strlen(file), &text, &error),
                             WEIR_OK);
        assert_int_equal(error.exit_code, WR_EXIT_USAGE);
        if (!strstr(error.text, cases[i].says)) {
            fail_msg("%zu: %s", i, error.text);
        }
        free(file);
    }
    char zero[] = "-- name: record\nSELECT 1;\0;";
    struct wr_sql_text text;
    struct wr_error error = {.status = WEIR_OK};
    assert_int_not_equal(wr_sql_text_cut("s", "f.sql", zero, sizeof zero - 1, &text, &error),
                         WEIR_OK);
    assert_non_null(strstr(error.text, "a byte 0"));
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void must_not_read(const char *path, enum wr_exit exit_code, const char *says)
{
    const struct wr_sql_text *text;
    struct wr_error error = {.status = WEIR_OK};
    struct wr_arena arena;
    wr_arena_init(&arena, 0);
    assert_int_not_equal(wr_sql_text_read(&arena, "s", path, &text, &error), WEIR_OK);
    assert_int_equal(error.exit_code, exit_code);
    if (!strstr(error.text, says) || !strstr(error.text, "sink `s`")) {
        fail_msg("%s: %s", path, error.text);
    }
    wr_arena_fini(&arena);
}

/* A file is read whole; a folder, a FIFO, nothing, and too much are refused, and not waited for. */
static void only_a_file_is_read(void **state)
{
    (void)state;
    static const char content[] = "-- name: record\nSELECT :key;\n";
    file_put("right.sql", content);
    const struct wr_sql_text *text;
    struct wr_error error = {.status = WEIR_OK};
    struct wr_arena arena;
    wr_arena_init(&arena, 0);
    assert_int_equal(wr_sql_text_read(&arena, "s", "right.sql", &text, &error), WEIR_OK);
    assert_string_equal(text->section[WR_SQL_RECORD], "SELECT :key;\n");
    assert_string_equal(text->path, "right.sql");
    wr_arena_fini(&arena);
    must_not_read("missing.sql", WR_EXIT_NO_INPUT, "cannot open missing.sql");
    must_not_read(".", WR_EXIT_USAGE, "is no file");
    assert_int_equal(mkfifo("fifo", 0600), 0);
    must_not_read("fifo", WR_EXIT_USAGE, "is no file");
    assert_int_equal(truncate("right.sql", WR_SQL_FILE_BYTES_MAX + 1), 0);
    must_not_read("right.sql", WR_EXIT_USAGE, "the limit is 1048576");
    unlink("right.sql");
    unlink("fifo");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Text is escaped, other bytes are base64, absent is null. */
static void records_are_json(void **state)
{
    (void)state;
    weir_header headers[] = {
        {"a\"b", weir_text("x")}, {"none", {NULL, 0}}, {"bytes", wr_bytes("\xff\0\x01\x02", 4)}};
    const struct {
        weir_record record;
        const char *json;
    } cases[] = {
        {{.key = weir_text("k"), .value = weir_text("v"), .time_ms = -5},
         "{\"key\":\"k\",\"value\":\"v\",\"time_ms\":-5}{}"},
        {{.value = weir_text("")}, "{\"key\":null,\"value\":\"\",\"time_ms\":0}{}"},
        {{.key = weir_text("a\"b\\c\n\x1f\xc3\xbc")},
         "{\"key\":\"a\\\"b\\\\c\\u000a\\u001f\xc3\xbc\",\"value\":null,\"time_ms\":0}{}"},
        {{.key = wr_bytes("\xff", 1), .value = wr_bytes("\0ab", 3)},
         "{\"key_base64\":\"/w==\",\"value_base64\":\"AGFi\",\"time_ms\":0}{}"},
        {{.value = wr_bytes("\xff\xfe", 2), .headers = headers, .header_count = 3},
         "{\"key\":null,\"value_base64\":\"//4=\",\"time_ms\":0}"
         "{\"a\\\"b\":\"x\",\"none\":null,\"bytes_base64\":\"/wABAg==\"}"},
    };
    struct wr_buffer buffer = {NULL, 0, 0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        buffer.size = 0;
        assert_true(wr_told_record(&buffer, &cases[i].record));
        assert_true(wr_told_headers(&buffer, &cases[i].record));
        assert_int_equal(buffer.size, strlen(cases[i].json));
        assert_memory_equal(buffer.data, cases[i].json, buffer.size);
    }
    wr_buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_cut_into_sections),
        cmocka_unit_test(a_wrong_file_is_refused),
        cmocka_unit_test(only_a_file_is_read),
        cmocka_unit_test(records_are_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
