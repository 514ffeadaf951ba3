/* test_source_file_follow.c: files that are followed: growth, rotation by rename and by
 * copy-truncate, live and while no run was there.
 *
 * Long because each way of rotating is told both live and over a restart.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/file_run.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FOLLOW "file:app.log?follow=true"

enum { GRACE_MS = 1000 };

static int clean(void **state)
{
    (void)state;
    return system("rm -rf app* other link folder") == 0 ? 0 : -1;
}

/* The next file is written in another tick of the file system's clock, as rotated files are. */
static void tick(void)
{
    const struct timespec pause = {0, 10 * 1000000};
    nanosleep(&pause, NULL);
}

static void move(const char *from, const char *to)
{
    tick();
    assert_int_equal(rename(from, to), 0);
}

static void copy(const char *from, const char *to)
{
    char command[200];
    tick();
    snprintf(command, sizeof command, "cp %s %s", from, to);
    assert_int_equal(system(command), 0);
}

/* What comes until there is nothing more. */
static void expect(struct file_run *run, const char *text)
{
    run_clear(run);
    run_must_read(run);
    assert_string_equal(run->text, text);
    assert_string_equal(run->log, "");
}

/* As `expect`, over the grace that a rotated file is given. */
static void expect_rotated(struct file_run *run, const char *text)
{
    char all[4096] = "";
    for (int i = 0; i < 3; i++) {
        run_clear(run);
        run_must_read(run);
        strcat(all, run->text);
        run_wait(run, GRACE_MS);
    }
    assert_string_equal(all, text);
}

static void expect_error(struct file_run *run, weir_status status, enum wr_exit code,
                         const char *text)
{
    assert_int_equal(status, WEIR_FATAL);
    run_must_fail(run, status, code, text);
}

static void end(struct file_run *run)
{
    run_stop(run);
    run_forget(run);
}

/* ---- Growth ---------------------------------------------------------------------------------- */

/* A file that is not there yet is waited for; lines come when their newline does. */
static void lines_come_when_they_are_whole(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    run_must_start(&run, FOLLOW);
    assert_false(run.source->bounded);
    assert_int_equal(run.source->watch_count, 1);
    expect(&run, "");
    file_put("app.log", "");
    expect(&run, "");
    file_add("app.log", "one\ntw");
    expect(&run, "one|");
    file_add("app.log", "o");
    expect(&run, "");
    file_add("app.log", "\n\nthree\n");
    expect(&run, "two||three|");
    assert_false(run.ended);
    end(&run);
}

/* A run goes on where the last one was killed, also in the middle of a line. */
static void a_restart_goes_on(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("app.log", "one\ntw");
    run_must_start(&run, FOLLOW);
    expect(&run, "one|");
    run_stop(&run);
    file_add("app.log", "o\nthree\n");
    run_must_start(&run, FOLLOW);
    expect(&run, "two|three|");
    run_stop(&run);
    run_must_start(&run, FOLLOW);
    expect(&run, "");
    end(&run);
}

/* With --until-end the run ends behind the last whole line that was there at its start. */
static void until_end_stops_at_the_last_whole_line(void **state)
{
    (void)state;
    struct file_run run = {.until_end = true};
    run_all(&run, FOLLOW);
    assert_true(run.ended);
    assert_string_equal(run.text, "");
    file_put("app.log", "one\ntwo\nthr");
    run_must_start(&run, FOLLOW);
    file_add("app.log", "ee\nfour\n");
    expect(&run, "one|two|");
    assert_true(run.ended);
    run_stop(&run);
    run_all(&run, FOLLOW);
    assert_string_equal(run.text, "three|four|");
    run_forget(&run);
}

/* A last line that counted without its newline, in a run that was not following, gets it later. */
static void a_newline_may_come_late(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("app.log", "one\ntwo");
    run_all(&run, "file:app.log");
    assert_string_equal(run.text, "one|two|");
    run_must_start(&run, FOLLOW);
    expect(&run, "");
    file_add("app.log", "\n");
    expect(&run, "");
    file_add("app.log", "three\n");
    expect(&run, "three|");
    end(&run);

    file_put("app.log", "one\ntwo");
    run_all(&run, "file:app.log");
    run_must_start(&run, FOLLOW);
    file_add("app.log", "more\n");
    expect_error(&run, run_read(&run), WR_EXIT_DATA, "has grown since");
    end(&run);
}

/* A line over the limit that is still being written is waited for, and then rejected whole. */
static void a_line_over_the_limit_is_waited_for(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    FILE *file = fopen("app.log", "w");
    assert_non_null(file);
    for (int i = 0; i < 3 * WR_RECORD_BYTES_MAX; i++) {
        putc('x', file);
    }
    fclose(file);
    run_must_start(&run, FOLLOW);
    expect(&run, "");
    file_add("app.log", "yy");
    expect(&run, "");
    file_add("app.log", "\nshort\n");
    enum wr_source_more more = WR_SOURCE_WAIT;
    while (run.polled.count == 0) {
        assert_int_equal(run_poll(&run, 0, &more), WEIR_OK);
    }
    assert_string_equal(run.polled.rejects[0], "line of 3145730 bytes; the limit is 1048576");
    expect(&run, "short|");
    end(&run);
}

/* ---- Rename ---------------------------------------------------------------------------------- */

/* The old file is read on until it was quiet for a while with data in the new one; its last line
 * then counts without a newline. */
static void a_renamed_file_is_read_to_its_end(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("app.log", "one\n");
    run_must_start(&run, FOLLOW);
    expect(&run, "one|");
    move("app.log", "app.log.1");
    file_add("app.log.1", "two\n");
    expect(&run, "two|");
    file_put("app.log", "");
    run_wait(&run, 10 * GRACE_MS);
    expect(&run, "");
    file_add("app.log.1", "three\nfour");
    file_add("app.log", "five\n");
    expect(&run, "three|");
    run_wait(&run, GRACE_MS - 1);
    expect(&run, "");
    file_add("app.log.1", "ty");
    run_wait(&run, GRACE_MS - 1);
    expect(&run, "");
    run_wait(&run, GRACE_MS);
    expect_rotated(&run, "fourty|five|");
    file_add("app.log", "six\n");
    expect(&run, "six|");
    end(&run);
}

/* Position and identity go on over rotations: a run that starts anywhere goes on from there. */
static void rotations_while_down_are_found(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("app.log", "one\ntwo\n");
    run_all(&run, FOLLOW);
    file_add("app.log", "three\n");
    move("app.log", "app.log.1");
    file_put("app.log", "four\n");
    move("app.log.1", "app.log.2");
    move("app.log", "app.log.1");
    file_put("app.log", "five\n");
    move("app.log.2", "app.log.3");
    move("app.log.1", "app.log.2");
    move("app.log", "app.log.1");
    file_put("app.log.bak", "no rotated file\n");
    file_put("app.log", "six\n");
    run_must_start(&run, FOLLOW);
    expect_rotated(&run, "three|four|five|six|");
    run_stop(&run);
    run_all(&run, FOLLOW);
    assert_string_equal(run.text, "");
    run_forget(&run);
}

/* --until-end reads what was rotated away, without waiting, up to where the path's file ended. */
static void until_end_reads_rotated_files(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("app.log", "one\n");
    run_all(&run, FOLLOW);
    file_add("app.log", "two\nthree");
    move("app.log", "app.log-20240101");
    file_put("app.log", "four\n");
    move("app.log", "app.log-20240102");
    file_put("app.log", "five\nsi");
    run.until_end = true;
    run_must_start(&run, FOLLOW);
    file_add("app.log", "x\n");
    expect(&run, "two|three|four|five|");
    assert_true(run.ended);
    run_stop(&run);
    run_all(&run, FOLLOW);
    assert_string_equal(run.text, "six|");
    run_forget(&run);
}

/* Files that were rotated within one tick of the clock are in the order of their numbers; names
 * with dates in them, or others that the first one shows, are known as well. */
static void rotated_files_come_in_order(void **state)
{
    (void)state;
    static const char *const names[][4] = {
        {"app.log.4", "app.log.3", "app.log.2", "app.log.1"},
        {"app.log.11", "app.log.10", "app.log.9", "app.log.8"},
        {"app.log.2024-01-01", "app.log.2024-01-02", "app.log.2024-01-03", "app.log.2024-01-04"},
        {"app-1.log", "app-2.log", "app-3.log", "app-4.log"},
        {"app.log.mon", "app.log.n", "app.log.o", "app.log.p"},
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        struct file_run run = {.stored_count = 0};
        static const char *const lines[] = {"one\n", "two\n", "three\n"};
        const struct timespec times[2] = {{1700000000, 0}, {1700000000, 0}};
        file_put("app.log", "zero\n");
        run_all(&run, FOLLOW);
        file_put(names[i][0], "older\n");
        for (int j = 0; j < 4; j++) {
            if (j > 0) {
                file_add("app.log", lines[j - 1]);
                assert_int_equal(rename("app.log", names[i][j]), 0);
            }
            assert_int_equal(utimensat(AT_FDCWD, names[i][j], times, 0), 0);
        }
        file_put("app.log", "four\n");
        run_must_start(&run, FOLLOW);
        expect_rotated(&run, "one|two|three|four|");
        end(&run);
        clean(NULL);
    }
}

/* An undone epoch is read again from the same file, since the stream moves on only when all that
 * was read is sealed. */
static void undo_stays_in_the_file(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    enum wr_source_more more;
    file_put("app.log", "one\n");
    run_must_start(&run, FOLLOW);
    expect(&run, "one|");
    file_add("app.log", "two\nthree");
    move("app.log", "app.log.1");
    file_put("app.log", "four\n");
    run_clear(&run);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(run_poll(&run, 0, &more), WEIR_OK);
        run_wait(&run, GRACE_MS / 2);
    }
    assert_string_equal(run.text, "two|three|");
    run_undo(&run);
    run_clear(&run);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(run_poll(&run, 0, &more), WEIR_OK);
    }
    assert_string_equal(run.text, "two|three|");
    assert_int_equal(more, WR_SOURCE_WAIT);
    run_seal(&run);
    run_stop(&run);
    run_must_start(&run, FOLLOW);
    expect_rotated(&run, "four|");
    end(&run);
}

/* ---- Copy-truncate --------------------------------------------------------------------------- */

/* What was not read before the file was truncated comes from its copy. */
static void a_copy_has_the_rest(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("app.log", "one\n");
    run_must_start(&run, FOLLOW);
    expect(&run, "one|");
    file_add("app.log", "two\nthree\n");
    copy("app.log", "app.log.1");
    file_put("app.log", "");
    expect(&run, "two|three|");
    file_put("app.log", "four\n");
    expect_rotated(&run, "four|");
    copy("app.log", "app.log.1");
    file_put("app.log", "a much longer line than before, of another file\n");
    expect_rotated(&run, "a much longer line than before, of another file|");
    end(&run);
}

/* The same while no run was there, twice. */
static void copies_while_down_are_found(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("app.log", "one\n");
    run_all(&run, FOLLOW);
    file_add("app.log", "two\n");
    copy("app.log", "app.log.1");
    file_put("app.log", "three\n");
    move("app.log.1", "app.log.2");
    copy("app.log", "app.log.1");
    file_put("app.log", "four\nfive\n");
    run_must_start(&run, FOLLOW);
    expect_rotated(&run, "two|three|four|five|");
    run_stop(&run);
    run_all(&run, FOLLOW);
    assert_string_equal(run.text, "");
    run_forget(&run);
}

/* A truncated file without a copy of which everything was seen goes on from its beginning, with a
 * warning. */
static void a_truncated_file_goes_on(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("app.log", "one\ntwo\n");
    run_must_start(&run, FOLLOW);
    expect(&run, "one|two|");
    file_put("app.log", "x\n");
    assert_int_equal(run_read(&run), WEIR_OK);
    assert_string_equal(run.text, "one|two|x|");
    assert_non_null(strstr(run.log, "was truncated"));
    end(&run);
}

/* What is known to be lost stops the run, or not, as missing= says. */
static void what_is_lost_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *text, *log;
    } cases[] = {
        {FOLLOW, NULL, NULL},
        {FOLLOW "&missing=fail", NULL, NULL},
        {FOLLOW "&missing=earliest", "new|", "is lost"},
        {FOLLOW "&missing=latest", "", "is lost"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct file_run run = {.stored_count = 0};
        file_put("app.log", "one\ntwo\npart of a line that is there");
        run_must_start(&run, cases[i].uri);
        expect(&run, "one|two|");
        file_put("app.log", "new\n");
        run_clear(&run);
        weir_status status = WEIR_OK;
        for (int j = 0; j < 3 && status == WEIR_OK; j++) {
            status = run_read(&run);
            run_wait(&run, GRACE_MS);
        }
        if (cases[i].text) {
            assert_string_equal(run.text, cases[i].text);
            assert_non_null(strstr(run.log, cases[i].log));
            file_add("app.log", "newer\n");
            run_clear(&run);
            assert_int_equal(run_read(&run), WEIR_OK);
            assert_string_equal(run.text, "newer|");
        } else {
            expect_error(&run, status, WR_EXIT_CONFIG, "?missing=earliest");
        }
        end(&run);
    }
}

/* ---- Gone while down ------------------------------------------------------------------------- */

static void what_is_gone_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *now, *parameter, *text;
    } cases[] = {
        {"new\nlines\n", "", NULL},
        {NULL, "", NULL},
        {"o\n", "", NULL},
        {"new\nlines\n", "&missing=earliest", "new|lines|"},
        {"new\nlines\n", "&missing=latest", ""},
        {"new\nlines\npart", "&missing=latest", ""},
        {NULL, "&missing=earliest", ""},
        {NULL, "&missing=latest", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct file_run run = {.stored_count = 0};
        char uri[100];
        file_put("app.log", "one\ntwo\n");
        run_all(&run, FOLLOW);
        unlink("app.log");
        if (cases[i].now) {
            file_put("app.log", cases[i].now);
        }
        snprintf(uri, sizeof uri, FOLLOW "%s", cases[i].parameter);
        weir_status status = run_start(&run, uri);
        if (!cases[i].text) {
            expect_error(&run, status, WR_EXIT_CONFIG, "?missing=earliest");
            end(&run);
            continue;
        }
        assert_int_equal(status, WEIR_OK);
        assert_non_null(strstr(run.log, "missing="));
        assert_int_equal(run_read(&run), WEIR_OK);
        assert_string_equal(run.text, cases[i].text);
        file_add("app.log", "\nmore\n");
        assert_int_equal(run_read(&run), WEIR_OK);
        assert_non_null(strstr(run.text, "|more|"));
        run_stop(&run);
        run_all(&run, FOLLOW);
        assert_string_equal(run.text, "");
        run_forget(&run);
    }
}

/* --rewind goes to the start of a line that can still be read, and says so of any other. */
static void a_rewound_position_is_checked(void **state)
{
    (void)state;
    static const struct {
        int64_t next;
        const char *text, *error;
    } cases[] = {
        {8, "three|four|", NULL}, {14, "four|", NULL},
        {19, "", NULL},           {4, NULL, "the first that can be read is 8"},
        {16, NULL, "no line of"}, {100, NULL, "app.log"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct file_run run = {.stored_count = 0};
        clean(NULL);
        file_put("app.log", "one\ntwo\n");
        run_all(&run, FOLLOW);
        move("app.log", "app.log.1");
        file_put("app.log", "three\nfour\n");
        run_must_start(&run, FOLLOW);
        expect_rotated(&run, "three|four|");
        run_stop(&run);
        assert_int_equal(run.stored[0].next, 19);
        run.rewound = true;
        run.stored[0].next = cases[i].next;
        weir_status status = run_start(&run, FOLLOW);
        if (cases[i].text) {
            assert_int_equal(status, WEIR_OK);
            expect(&run, cases[i].text);
        } else {
            expect_error(&run, status, WR_EXIT_CONFIG, cases[i].error);
        }
        end(&run);
    }
}

/* ---- Links ----------------------------------------------------------------------------------- */

/* A path that is a link to a file elsewhere: rotated beside its target, and by a new link. */
static void a_link_is_followed(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    assert_int_equal(mkdir("folder", 0777), 0);
    file_put("folder/0.log", "one\n");
    assert_int_equal(symlink("folder/0.log", "app.log"), 0);
    run_must_start(&run, FOLLOW);
    assert_int_equal(run.source->watch_count, 2);
    expect(&run, "one|");
    run_stop(&run);
    file_add("folder/0.log", "two\n");
    move("folder/0.log", "folder/0.log.20240101-000000");
    file_put("folder/0.log", "three\n");
    run_must_start(&run, FOLLOW);
    expect_rotated(&run, "two|three|");
    file_put("folder/1.log", "five\n");
    file_add("folder/0.log", "four\n");
    assert_int_equal(symlink("folder/1.log", "link"), 0);
    assert_int_equal(rename("link", "app.log"), 0);
    expect_rotated(&run, "four|five|");
    end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lines_come_when_they_are_whole, clean),
        cmocka_unit_test_setup(a_restart_goes_on, clean),
        cmocka_unit_test_setup(until_end_stops_at_the_last_whole_line, clean),
        cmocka_unit_test_setup(a_newline_may_come_late, clean),
        cmocka_unit_test_setup(a_line_over_the_limit_is_waited_for, clean),
        cmocka_unit_test_setup(a_renamed_file_is_read_to_its_end, clean),
        cmocka_unit_test_setup(rotations_while_down_are_found, clean),
        cmocka_unit_test_setup(until_end_reads_rotated_files, clean),
        cmocka_unit_test_setup(rotated_files_come_in_order, clean),
        cmocka_unit_test_setup(undo_stays_in_the_file, clean),
        cmocka_unit_test_setup(a_copy_has_the_rest, clean),
        cmocka_unit_test_setup(copies_while_down_are_found, clean),
        cmocka_unit_test_setup(a_truncated_file_goes_on, clean),
        cmocka_unit_test_setup(what_is_lost_is_said, clean),
        cmocka_unit_test_setup(what_is_gone_is_said, clean),
        cmocka_unit_test_setup(a_rewound_position_is_checked, clean),
        cmocka_unit_test_setup(a_link_is_followed, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
