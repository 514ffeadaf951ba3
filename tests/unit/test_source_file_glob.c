/* test_source_file_glob.c: patterns: which files are partitions, and that each is read once under
 * whatever name.
 *
 * Long because each way in which files come, go and change their names has a case.
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
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/file_run.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ALL "file:d/*.log"
#define LIVE "file:d/*.log*?follow=true"

static int clean(void **state)
{
    (void)state;
    return system("chmod -R u+rwX d 2>/dev/null; rm -rf d; mkdir d") == 0 ? 0 : -1;
}

static void expect(struct file_run *run, const char *text)
{
    run_clear(run);
    run_must_read(run);
    assert_string_equal(run->text, text);
}

static void expect_all(struct file_run *run, const char *uri, const char *text)
{
    run_all(run, uri);
    assert_string_equal(run->text, text);
}

static void expect_error(struct file_run *run, weir_status status, enum wr_exit code,
                         const char *text)
{
    run_must_fail(run, status, code, text);
    run_stop(run);
    run_forget(run);
}

/* ---- What matches ---------------------------------------------------------------------------- */

/* A partition a file, by name; what is no regular file is none. */
static void files_are_partitions_by_name(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    char here[2048], path[2100];
    file_put("d/b.log", "b1\nb2\n");
    file_put("d/a.log", "a1");
    file_put("d/empty.log", "");
    file_put("d/c.txt", "c1\n");
    file_put("d/.hidden.log", "h1\n");
    assert_int_equal(mkdir("d/folder.log", 0777), 0);
    assert_int_equal(mkfifo("d/fifo.log", 0666), 0);
    assert_int_equal(symlink("nowhere", "d/dangling.log"), 0);
    run_must_start(&run, ALL);
    assert_true(run.source->bounded);
    assert_int_equal(run.source->partition_count, 3);
    assert_non_null(getcwd(here, sizeof here));
    snprintf(path, sizeof path, "%s/d/b.log", here);
    assert_string_equal(run.source->partitions[1]->part, path);
    assert_int_equal(run.source->partitions[1]->index, 1);
    assert_int_equal(run.source->partitions[1]->end, 6);
    expect(&run, "a1|b1|b2|");
    assert_true(run.ended);
    run_stop(&run);
    expect_all(&run, ALL, "");
    run_forget(&run);
}

/* `[]` and a `*` that is part of a name; so is what the working directory is called. */
static void names_may_have_special_characters(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("d/a*.log", "star\n");
    file_put("d/ab.log", "ab\n");
    file_put("d/[x].log", "brackets\n");
    file_put("d/back\\slash.log", "slash\n");
    expect_all(&run, "file:d/a%2A.log", "star|");
    run_forget(&run);
    expect_all(&run, "file:d/a%2A.lo[g]", "star|");
    run_forget(&run);
    expect_all(&run, "file:d/a[!x].log", "star|ab|");
    run_forget(&run);
    expect_all(&run, "file:d/%5Bx%5D.*", "brackets|");
    run_forget(&run);
    expect_all(&run, "file:d/back\\sla*", "slash|");
    run_forget(&run);
    assert_int_equal(mkdir("d/x[1]*", 0777), 0);
    file_put("d/x[1]*/in.log", "deep\n");
    assert_int_equal(chdir("d/x[1]*"), 0);
    expect_all(&run, "file:*.log", "deep|");
    assert_int_equal(chdir("../.."), 0);
    run_forget(&run);
    expect_all(&run, "file:d/*/*.log", "deep|");
    run_forget(&run);
}

/* Nothing matches: 66 with the pattern, or, following, wait. */
static void nothing_matches(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    assert_int_equal(mkdir("d/only-a-folder.log", 0777), 0);
    expect_error(&run, run_start(&run, ALL), WR_EXIT_NO_INPUT, "/d/*.log");
    expect_error(&run, run_start(&run, "file:nowhere/*.log"), WR_EXIT_NO_INPUT, "nowhere/*.log");
    run_must_start(&run, LIVE);
    expect(&run, "");
    run_stop(&run);
    run_must_start(&run, "file:nowhere/*.log?follow=true");
    assert_int_equal(run.source->watch_count, 0);
    expect(&run, "");
    run_stop(&run);
}

static void what_may_not_be_read_stops_the_run(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    if (geteuid() == 0) {
        return; /* root may read everything */
    }
    file_put("d/a.log", "a\n");
    file_put("d/b.log", "b\n");
    assert_int_equal(chmod("d/b.log", 0), 0);
    expect_error(&run, run_start(&run, ALL), WR_EXIT_PERMISSION, "d/b.log");
    assert_int_equal(chmod("d", 0), 0);
    expect_error(&run, run_start(&run, ALL), WR_EXIT_PERMISSION, "d/*.log");
}

/* A file that has several names is read once. */
static void a_file_with_several_names_is_read_once(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("d/z.log", "one\n");
    assert_int_equal(symlink("z.log", "d/a.log"), 0);
    assert_int_equal(link("d/z.log", "d/y.log"), 0);
    expect_all(&run, ALL, "one|");
    file_add("d/a.log", "two\n");
    expect_all(&run, ALL, "two|");
    run_forget(&run);
}

/* ---- From run to run ------------------------------------------------------------------------- */

/* New files come with the next run; those that are gone were read; the rest goes on. */
static void runs_take_turns_with_a_folder(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("d/a.log", "a1\n");
    file_put("d/b.log", "b1\n");
    expect_all(&run, ALL, "a1|b1|");
    unlink("d/a.log");
    file_add("d/b.log", "b2\n");
    file_put("d/c.log", "c1\n");
    expect_all(&run, ALL, "b2|c1|");
    assert_string_equal(run.log, "");
    file_put("d/a.log", "new a1\n");
    expect_all(&run, ALL, "new a1|");
    expect_all(&run, ALL, "");
    unlink("d/a.log");
    unlink("d/b.log");
    unlink("d/c.log");
    expect_error(&run, run_start(&run, ALL), WR_EXIT_NO_INPUT, "no file matches");
}

/* A file that is gone before it was read to its end stops the run, or is given up. */
static void unread_files_must_not_vanish(void **state)
{
    (void)state;
    static const char *const uris[] = {ALL, ALL "?missing=earliest", ALL "?missing=latest",
                                       "file:d/*.log?follow=true",
                                       "file:d/*.log?follow=true&missing=latest"};
    for (size_t i = 0; i < COUNT(uris); i++) {
        struct file_run run = {.stored_count = 0};
        enum wr_source_more more;
        file_put("d/a.log", "a1\na2\n");
        for (int j = 0; j < 5000; j++) {
            file_add("d/a.log", "line\n");
            j += 4;
        }
        file_put("d/b.log", "b1\n");
        run_must_start(&run, ALL);
        while (run.source->partitions[0]->next == 0) {
            assert_int_equal(run_poll(&run, 0, &more), WEIR_OK);
        }
        run.source->partitions[0]->next = 3;
        run_seal(&run);
        run_stop(&run);
        unlink("d/a.log");
        if (strstr(uris[i], "missing")) {
            run_all(&run, uris[i]);
            assert_non_null(strstr(run.text, "b1|"));
            run_forget(&run);
        } else {
            expect_error(&run, run_start(&run, uris[i]), WR_EXIT_CONFIG, "?missing=earliest");
        }
    }
}

/* A file that was renamed is the same file, whatever has its old name now. */
static void renamed_files_are_not_new(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("d/a.log", "a1\n");
    file_put("d/b.log", "b1\n");
    expect_all(&run, ALL, "a1|b1|");
    assert_int_equal(rename("d/a.log", "d/c.log"), 0);
    expect_all(&run, ALL, "");
    file_add("d/c.log", "a2\n");
    expect_all(&run, ALL, "a2|");
    file_add("d/c.log", "a3\n");
    file_put("d/a.log", "new a1\n");
    expect_all(&run, ALL, "a3|new a1|");
    expect_all(&run, ALL, "");
    assert_int_equal(rename("d/b.log", "d/x.txt"), 0);
    file_add("d/x.txt", "b2\n");
    expect_all(&run, ALL, "b2|");
    run_forget(&run);
}

/* A pattern that takes rotated files in, in runs between which they are rotated. */
static void rotated_files_are_not_new(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("d/app.log.1", "zero\n");
    file_put("d/app.log", "one\n");
    expect_all(&run, "file:d/app.log*", "one|zero|");
    file_add("d/app.log", "two\n");
    assert_int_equal(rename("d/app.log.1", "d/app.log.2"), 0);
    assert_int_equal(rename("d/app.log", "d/app.log.1"), 0);
    file_put("d/app.log", "three\n");
    expect_all(&run, "file:d/app.log*", "two|three|");
    assert_int_equal(rename("d/app.log.2", "d/app.log.3"), 0);
    assert_int_equal(rename("d/app.log.1", "d/app.log.2"), 0);
    assert_int_equal(rename("d/app.log", "d/app.log.1"), 0);
    file_put("d/app.log", "four\n");
    expect_all(&run, "file:d/app.log*", "four|");
    expect_all(&run, "file:d/app.log*", "");
    assert_int_equal(rename("d/app.log", "d/app.log.4"), 0);
    expect_all(&run, "file:d/app.log*", "");
    run_forget(&run);
}

/* Copies that copy-truncate makes match too, and are not read twice. */
static void copies_are_not_new(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("d/app.log", "one\n");
    expect_all(&run, "file:d/app.log*", "one|");
    file_add("d/app.log", "two\n");
    assert_int_equal(system("cp d/app.log d/app.log.1"), 0);
    expect_all(&run, "file:d/app.log*", "two|");
    file_put("d/app.log", "");
    expect_all(&run, "file:d/app.log*", "");
    file_put("d/app.log", "three\n");
    expect_all(&run, "file:d/app.log*", "three|");
    expect_all(&run, "file:d/app.log*", "");
    run_forget(&run);
}

/* One source may go from a file to a pattern with it. */
static void a_path_may_become_a_pattern(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("d/a.log", "a1\n");
    file_put("d/b.log", "b1\n");
    expect_all(&run, "file:d/a.log", "a1|");
    expect_all(&run, ALL, "b1|");
    run_forget(&run);
}

/* ---- Following ------------------------------------------------------------------------------- */

static void new_files_are_picked_up(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    file_put("d/a.log", "a1\n");
    run_must_start(&run, LIVE);
    assert_int_equal(run.source->watch_count, 1);
    expect(&run, "a1|");
    file_put("d/b.log", "b1\n");
    file_add("d/a.log", "a2\n");
    run_wait(&run, 1000);
    expect(&run, "a2|b1|");
    assert_int_equal(run.source->partitions[1]->index, 1);
    unlink("d/b.log");
    file_put("d/c.log", "");
    run_wait(&run, 1000);
    expect(&run, "");
    file_put("d/c.log", "c1\n");
    file_put("d/b.log", "new b1\n");
    run_wait(&run, 1000);
    expect(&run, "c1|");
    run_wait(&run, 1000);
    expect(&run, "new b1|");
    file_put("d/z.log.gz", "\x1f\x8b\x08zzz");
    run_wait(&run, 1000);
    expect(&run, "");
    assert_non_null(strstr(run.log, "it is compressed"));
    run_stop(&run);
    run_all(&run, LIVE);
    assert_string_equal(run.text, "");
    run_forget(&run);
}

/* Rotation by rename and by copy where the rotated files match too, with runs that come and go:
 * each line comes once, and those of each run of lines in their order. */
static void rotation_within_the_pattern_reads_once(void **state)
{
    (void)state;
    static const char *const rotations[] = {
        "mv d/app.log.1 d/app.log.2; mv d/app.log d/app.log.1",
        "mv d/app.log.1 d/app.log.2; cp d/app.log d/app.log.1; : > d/app.log",
    };
    for (size_t how = 0; how < COUNT(rotations); how++) {
        struct file_run run = {.stored_count = 0};
        char got[4096] = "", wanted[4096] = "", line[40];
        clean(NULL);
        for (int i = 0; i < 24; i++) {
            snprintf(line, sizeof line, "line %d\n", i);
            file_add("d/app.log", line);
            snprintf(wanted + strlen(wanted), 40, "line %d|", i);
            run_must_start(&run, LIVE);
            for (int j = 0; i % 2 == 1 && j < 4; j++) {
                run_clear(&run);
                assert_int_equal(run_read(&run), WEIR_OK);
                strcat(got, run.text);
                run_wait(&run, 1000);
                if (j == 0 && i % 3 == 0) {
                    char command[200];
                    snprintf(command, sizeof command, "sleep 0.01; (%s) 2>/dev/null; true",
                             rotations[how]);
                    assert_int_equal(system(command), 0);
                    file_add("d/app.log", "");
                }
            }
            run_stop(&run);
        }
        run_all(&run, LIVE);
        strcat(got, run.text);
        assert_string_equal(got, wanted);
        run_forget(&run);
    }
}

/* Rotated files that do not match belong to the stream of their path, as without a pattern: several
 * rotations while no run was there, and two at once under one; those that match are partitions. */
static void rotation_out_of_the_pattern_loses_nothing(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    char got[4096] = "";
    file_put("d/a.log", "one\n");
    file_put("d/b.log", "b\n");
    run_all(&run, "file:d/*.log?follow=true");
    assert_int_equal(system("echo two >> d/a.log; sleep 0.01; mv d/a.log d/a.log.1; echo three > "
                            "d/a.log; sleep 0.01; mv d/a.log.1 d/a.log.2; mv d/a.log "
                            "d/a.log.1; sleep 0.01; echo four > d/a.log; echo own > d/a-1.log"),
                     0);
    run_must_start(&run, "file:d/*.log?follow=true");
    for (int i = 0; i < 8; i++) {
        run_clear(&run);
        assert_int_equal(run_read(&run), WEIR_OK);
        strcat(got, run.text);
        run_wait(&run, 1000);
        if (i == 3) {
            assert_int_equal(system("sleep 0.01; mv d/a.log d/a.log.0; echo five > d/a.log; sleep "
                                    "0.01; mv d/a.log d/a.log.00; sleep 0.01; echo six > d/a.log"),
                             0);
        }
    }
    assert_non_null(strstr(got, "own|"));
    memmove(strstr(got, "own|"), strstr(got, "own|") + 4, strlen(strstr(got, "own|")) - 3);
    assert_string_equal(got, "two|three|four|five|six|");
    run_stop(&run);
    run_all(&run, "file:d/*.log?follow=true");
    assert_string_equal(run.text, "");
    run_forget(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(files_are_partitions_by_name, clean),
        cmocka_unit_test_setup(names_may_have_special_characters, clean),
        cmocka_unit_test_setup(nothing_matches, clean),
        cmocka_unit_test_setup(what_may_not_be_read_stops_the_run, clean),
        cmocka_unit_test_setup(a_file_with_several_names_is_read_once, clean),
        cmocka_unit_test_setup(runs_take_turns_with_a_folder, clean),
        cmocka_unit_test_setup(unread_files_must_not_vanish, clean),
        cmocka_unit_test_setup(renamed_files_are_not_new, clean),
        cmocka_unit_test_setup(rotated_files_are_not_new, clean),
        cmocka_unit_test_setup(copies_are_not_new, clean),
        cmocka_unit_test_setup(a_path_may_become_a_pattern, clean),
        cmocka_unit_test_setup(new_files_are_picked_up, clean),
        cmocka_unit_test_setup(rotation_within_the_pattern_reads_once, clean),
        cmocka_unit_test_setup(rotation_out_of_the_pattern_loses_nothing, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
