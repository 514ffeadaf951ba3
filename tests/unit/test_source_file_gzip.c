/* test_source_file_gzip.c: gzip files, whole, in members, damaged, and what only looks like one.
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
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "tests/lib/file_run.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PATH "in.gz"
#define GZIP "file:" PATH "?compression=gzip"

static void put(const void *data, size_t size)
{
    FILE *file = fopen(PATH, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

/* Appends a member. */
static void add_member(const char *mode, const char *text, size_t size)
{
    gzFile file = gzopen(PATH, mode);
    assert_non_null(file);
    assert_int_equal(gzwrite(file, text, (unsigned)size), size);
    assert_int_equal(gzclose(file), Z_OK);
}

static size_t load(unsigned char *data, size_t room)
{
    FILE *file = fopen(PATH, "r");
    size_t size = fread(data, 1, room, file);
    fclose(file);
    return size;
}

static void expect_error(struct file_run *run, weir_status status, enum wr_exit code,
                         const char *text)
{
    run_must_fail(run, status, code, text);
    run_stop(run);
    run_forget(run);
}

/* Members one after the other, and zeros behind them, are one text. */
static void members_are_one_text(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    unlink(PATH);
    add_member("w", "one\ntw", 6);
    add_member("a", "", 0);
    add_member("a", "o\nthree", 7);
    FILE *file = fopen(PATH, "a");
    fwrite("\0\0\0\0", 1, 4, file);
    fclose(file);
    run_all(&run, GZIP);
    assert_true(run.ended);
    assert_string_equal(run.text, "one|two|three|");
    assert_int_equal(run.stored[0].next, 13);
    assert_non_null(strstr(run.stored[0].identity, ";size:13;compression:gzip"));
    run_all(&run, GZIP);
    assert_string_equal(run.text, "");
    run_forget(&run);
}

/* Positions are offsets of the text: runs go on from them, an undone epoch goes back to them, and
 * lines are whole whatever blocks cut them. */
static void positions_are_offsets_of_the_text(void **state)
{
    (void)state;
    enum { LINES = 20000 };
    struct file_run run = {.stored_count = 0};
    enum wr_source_more more = WR_SOURCE_MORE;
    gzFile file = gzopen(PATH, "w");
    for (int i = 0; i < LINES; i++) {
        gzprintf(file, "line %d%*s\n", i, i % 997, "");
    }
    gzclose(file);
    int line = 0;
    unsigned random = 7;
    while (line < LINES) {
        assert_int_equal(run_start(&run, GZIP), WEIR_OK);
        for (int polls = 0; polls < 9 && line < LINES; polls++) {
            run_clear(&run);
            assert_int_equal(run_poll(&run, 0, &more), WEIR_OK);
            assert_int_equal(more, WR_SOURCE_MORE);
            random = random * 1103515245 + 12345;
            if (random >> 16 & 1) {
                run_undo(&run);
                continue;
            }
            for (size_t i = 0; i < run.polled.count; i++, line++) {
                char wanted[40];
                int size = snprintf(wanted, sizeof wanted, "line %d", line);
                assert_int_equal(run.polled.records[i].value.size,
                                 size + (line % 997 ? line % 997 : 0));
                assert_memory_equal(run.polled.records[i].value.data, wanted, (size_t)size);
            }
            run_seal(&run);
        }
        run_stop(&run);
    }
    run_all(&run, GZIP);
    assert_string_equal(run.text, "");
    run_forget(&run);
}

/* A line over the limit is rejected, with its beginning. */
static void lines_over_the_limit_are_rejected(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    enum wr_source_more more;
    gzFile file = gzopen(PATH, "w");
    gzprintf(file, "first\n");
    for (int i = 0; i < 40 * 1024; i++) {
        char block[1024];
        memset(block, 'l', sizeof block);
        gzwrite(file, block, sizeof block);
    }
    gzprintf(file, "\nlast\n");
    gzclose(file);
    assert_int_equal(run_start(&run, GZIP), WEIR_OK);
    assert_int_equal(run_poll(&run, 0, &more), WEIR_OK);
    do {
        assert_int_equal(run_poll(&run, 0, &more), WEIR_OK);
    } while (run.polled.count == 0);
    assert_string_equal(run.polled.rejects[0], "line of 41943040 bytes; the limit is 1048576");
    run_clear(&run);
    assert_int_equal(run_read(&run), WEIR_OK);
    assert_string_equal(run.text, "last|");
    run_stop(&run);
    run_forget(&run);
}

/* What comes before the damage is read and sealed, and only then the run stops. */
static void damage_stops_behind_what_is_whole(void **state)
{
    (void)state;
    static unsigned char whole[1 << 16];
    char text[4000] = "";
    for (int i = 0; i < 300; i++) {
        snprintf(text + strlen(text), 40, "%d,", i * 7919 % 1000);
        strcat(text, i % 5 == 4 ? "\n" : "");
    }
    add_member("w", text, strlen(text));
    size_t size = load(whole, sizeof whole);
    for (size_t cut = 3; cut < size; cut += 1 + cut / 9) {
        struct file_run run = {.stored_count = 0};
        put(whole, cut);
        assert_int_equal(run_start(&run, GZIP), WEIR_OK);
        assert_int_equal(run_read(&run), WEIR_OK);
        size_t read = (size_t)run.source->partitions[0]->next;
        assert_true(read == 0 || text[read - 1] == '\n');
        assert_int_equal(run.source->partitions[0]->kept, read);
        run_wait(&run, 1000);
        expect_error(&run, run_read(&run), WR_EXIT_DATA, "(it is truncated)");
    }
    whole[size / 2] ^= 0x55;
    put(whole, size);
    struct file_run run = {.stored_count = 0};
    assert_int_equal(run_start(&run, GZIP), WEIR_OK);
    weir_status status = run_read(&run);
    run_wait(&run, 1000);
    expect_error(&run, status == WEIR_OK ? run_read(&run) : status, WR_EXIT_DATA,
                 "what came before is processed");
    whole[size / 2] ^= 0x55;
    memcpy(whole + size, "rubbish", 7);
    put(whole, size + 7);
    assert_int_equal(run_start(&run, GZIP), WEIR_OK);
    assert_int_equal(run_read(&run), WEIR_OK);
    assert_int_equal(run.source->partitions[0]->next, strlen(text));
    run_wait(&run, 1000);
    expect_error(&run, run_read(&run), WR_EXIT_DATA, "something else behind");
}

/* A truncated file that was completed goes on where it was. */
static void a_mended_file_goes_on(void **state)
{
    (void)state;
    static unsigned char whole[1 << 16];
    struct file_run run = {.stored_count = 0};
    char text[6000] = "";
    for (int i = 0; i < 600; i++) {
        snprintf(text + strlen(text), 40, "%d\n", i * 7919 % 100000);
    }
    add_member("w", text, strlen(text));
    size_t size = load(whole, sizeof whole);
    put(whole, size * 2 / 3);
    assert_int_equal(run_start(&run, GZIP), WEIR_OK);
    assert_int_equal(run_read(&run), WEIR_OK);
    size_t first = strlen(run.text);
    run_stop(&run);
    assert_true(first > 100);
    put(whole, size);
    assert_int_equal(run_start(&run, GZIP), WEIR_OK);
    assert_int_equal(run_read(&run), WEIR_OK);
    assert_int_equal(run.source->partitions[0]->next, strlen(text));
    run_stop(&run);
    run_forget(&run);
}

/* What is no gzip file is refused with the parameter, and what is one without it too. */
static void compression_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *uri;
        enum wr_exit exit_code;
        const char *text;
    } cases[] = {
        {"plain\n", 6, GZIP, WR_EXIT_DATA, "is no gzip file"},
        {"", 0, GZIP, WR_EXIT_DATA, "it is empty"},
        {"\x1f", 1, GZIP, WR_EXIT_DATA, "is no gzip file"},
        {"\x28\xb5\x2f\xfdxxxx", 8, GZIP, WR_EXIT_DATA, "zstd"},
        {"\x1f\x8b\x08zzz\n", 7, "file:" PATH, WR_EXIT_USAGE, "add ?compression=gzip"},
        {"\x1f\x8b\x08zzz\n", 7, "file:in.*", WR_EXIT_USAGE, "add ?compression=gzip"},
        {"\x1f\x8b\x08zzz\n", 7, "file:" PATH "?follow=true", WR_EXIT_USAGE, "compression=none"},
        {"\x28\xb5\x2f\xfdxxxx", 8, "file:" PATH, WR_EXIT_USAGE, "decompress it first"},
        {"\xfd"
         "7zXZ\0x",
         7, "file:" PATH, WR_EXIT_USAGE, "(xz)"},
        {"BZh91AY&SYx", 11, "file:" PATH, WR_EXIT_USAGE, "(bzip2)"},
        {"BZh9 is a line\n", 15, "file:" PATH, WR_EXIT_OK, "BZh9 is a line|"},
        {"\x1f\x8b\x08zzz\n", 7, "file:" PATH "?compression=none", WR_EXIT_OK, "\x1f\x8b\x08zzz|"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct file_run run = {.stored_count = 0};
        put(cases[i].bytes, cases[i].size);
        if (cases[i].exit_code) {
            expect_error(&run, run_start(&run, cases[i].uri), cases[i].exit_code, cases[i].text);
            continue;
        }
        run_all(&run, cases[i].uri);
        assert_string_equal(run.text, cases[i].text);
        run_forget(&run);
    }
}

/* Another file, or another compression, than the one that was read. */
static void changed_files_stop_the_run(void **state)
{
    (void)state;
    struct file_run run = {.stored_count = 0};
    unlink(PATH);
    add_member("w", "one\ntwo\n", 8);
    run_all(&run, GZIP);
    struct wr_position kept = run.stored[0];
    assert_int_equal(run_start(&run, "file:" PATH "?compression=none"), WEIR_FATAL);
    assert_int_equal(run.error.exit_code, WR_EXIT_CONFIG);
    assert_non_null(strstr(run.error.text, "with compression=gzip"));
    run_stop(&run);
    add_member("w", "three\n", 6);
    assert_int_equal(run_start(&run, GZIP), WEIR_FATAL);
    assert_non_null(strstr(run.error.text, "?missing=earliest"));
    run_stop(&run);
    run.stored[0] = kept;
    run_all(&run, GZIP "&missing=earliest");
    assert_string_equal(run.text, "three|");
    add_member("w", "another\nfour\n", 13);
    run_all(&run, GZIP "&missing=latest");
    assert_string_equal(run.text, "");
    run_forget(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_one_text),
        cmocka_unit_test(positions_are_offsets_of_the_text),
        cmocka_unit_test(lines_over_the_limit_are_rejected),
        cmocka_unit_test(damage_stops_behind_what_is_whole),
        cmocka_unit_test(a_mended_file_goes_on),
        cmocka_unit_test(compression_is_named),
        cmocka_unit_test(changed_files_stop_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
