/* test_source_file.c: lines, offsets and positions of file: sources, and files that change.
 *
 * Long because a position can be wrong in many ways, and each is a test.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
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

#include "engine/sources/source.h"
#include "txn/base/env.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PATH "in.txt"

static void write_bytes(const char *mode, const void *data, size_t size)
{
    FILE *file = fopen(PATH, mode);
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *text)
{
    write_bytes("w", text, strlen(text));
}

static void append_text(const char *text)
{
    write_bytes("a", text, strlen(text));
}

/* One source over PATH, and the position that a store would keep of it. */
struct fixture {
    struct wr_env env;
    struct wr_arena arena;
    struct wr_source *source;
    struct wr_source_partition *partition;
    struct wr_polled polled;
    struct wr_error error;
    struct wr_position stored;
    char identity[100];
};

static weir_status open_source(struct fixture *f, const char *uri)
{
    struct wr_endpoint endpoint;
    wr_env_init(&f->env);
    wr_arena_init(&f->arena, 0);
    f->polled = (struct wr_polled){.count = 0};
    wr_arena_init(&f->polled.arena, 1 << 21);
    f->error = (struct wr_error){.status = WEIR_OK};
    f->source = NULL;
    assert_int_equal(wr_endpoint_parse(uri, true, &f->arena, &endpoint, &f->error), WEIR_OK);
    weir_status status =
        wr_source_open(&f->env, "lines", &endpoint, &f->arena, &f->source, &f->error);
    if (status == WEIR_OK) {
        assert_int_equal(f->source->partition_count, 1);
        assert_true(f->source->bounded);
        f->partition = f->source->partitions[0];
    }
    return status;
}

static void close_source(struct fixture *f)
{
    if (f->source) {
        f->source->ops->close(f->source);
    }
    wr_arena_fini(&f->polled.arena);
    wr_arena_fini(&f->arena);
}

static weir_status seek(struct fixture *f, const struct wr_position *stored)
{
    return f->source->ops->seek(f->source, f->partition, stored, &f->error);
}

static weir_status poll(struct fixture *f, enum wr_source_more *more)
{
    wr_arena_reset(&f->polled.arena);
    f->polled.count = 0;
    return f->source->ops->poll(f->source, f->partition, &f->polled, more, &f->error);
}

/* Opens PATH at the position that the last run left, if any. */
static weir_status start(struct fixture *f, bool resume)
{
    assert_int_equal(open_source(f, "file:" PATH), WEIR_OK);
    f->stored.identity = f->identity;
    return seek(f, resume ? &f->stored : NULL);
}

/* Remembers what a store would. */
static void stop(struct fixture *f)
{
    f->stored.next = f->partition->next;
    snprintf(f->identity, sizeof f->identity, "%s", f->partition->identity);
    close_source(f);
}

/* Polls to the end and writes what came as "OFFSET:VALUE|". */
static void drain(struct fixture *f, char *text, size_t size)
{
    enum wr_source_more more = WR_SOURCE_MORE;
    int64_t next = f->partition->next;
    text[0] = '\0';
    for (;;) {
        assert_int_equal(poll(f, &more), WEIR_OK);
        for (size_t i = 0; i < f->polled.count; i++) {
            const weir_record *record = &f->polled.records[i];
            size_t used = strlen(text);
            assert_true(f->polled.offsets[i] >= next);
            next = f->polled.nexts[i];
            assert_null(record->key.data);
            assert_non_null(record->value.data);
            assert_int_equal(record->header_count, 0);
            assert_int_equal(record->time_ms, 0);
            snprintf(text + used, size - used, "%" PRId64 ":%.*s|", f->polled.offsets[i],
                     (int)record->value.size, (const char *)record->value.data);
        }
        assert_int_equal(f->partition->next, next);
        if (more == WR_SOURCE_ENDED) {
            assert_int_equal(f->polled.count, 0);
            break;
        }
    }
    assert_int_equal(f->partition->next, f->partition->end);
}

static void expect_error(const struct fixture *f, enum wr_exit exit_code, const char *text)
{
    assert_int_equal(f->error.exit_code, exit_code);
    if (!strstr(f->error.text, text)) {
        fail_msg("\"%s\" is without \"%s\"", f->error.text, text);
    }
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* Each line is a record at the offset of its first byte, the last one also without a newline. */
static void lines_become_records(void **state)
{
    (void)state;
    static const struct {
        const char *file, *records;
    } cases[] = {
        {"", ""},
        {"\n", "0:|"},
        {"a", "0:a|"},
        {"a\n", "0:a|"},
        {"a\nbc\n", "0:a|2:bc|"},
        {"a\nbc", "0:a|2:bc|"},
        {"\n\na\n\n", "0:|1:|2:a|4:|"},
        {"a\r\nb\r\n", "0:a\r|3:b\r|"},
        {"\xff\xfe\n\xc3\xa9", "0:\xff\xfe|3:\xc3\xa9|"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        char records[256];
        write_text(cases[i].file);
        assert_int_equal(start(&f, false), WEIR_OK);

        drain(&f, records, sizeof records);

        assert_string_equal(records, cases[i].records);
        assert_int_equal(f.source->ops->lag(f.source, f.partition), 0);
        close_source(&f);
    }
}

/* NUL is a byte as any other. */
static void nul_bytes_stay(void **state)
{
    (void)state;
    struct fixture f;
    enum wr_source_more more;
    write_bytes("w", "a\0b\n\0\n", 6);
    assert_int_equal(start(&f, false), WEIR_OK);

    assert_int_equal(poll(&f, &more), WEIR_OK);

    assert_int_equal(f.polled.count, 2);
    assert_int_equal(f.polled.records[0].value.size, 3);
    assert_memory_equal(f.polled.records[0].value.data, "a\0b", 3);
    assert_int_equal(f.polled.records[1].value.size, 1);
    assert_int_equal(f.polled.offsets[1], 4);
    assert_int_equal(f.polled.nexts[1], 6);
    close_source(&f);
}

/* Blocks cut lines anywhere: lines of random lengths come back whole, whatever was read before. */
static void blocks_do_not_cut_lines(void **state)
{
    (void)state;
    enum { LINES = 3000 };
    static const int lengths[] = {1, 80, 700, 40000, 400000};
    static int64_t offsets[LINES + 1];
    struct fixture f;
    uint64_t random = 7;
    FILE *file = fopen(PATH, "w");
    assert_non_null(file);
    for (int i = 0; i < LINES; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        int kind = i % 500 == 0 ? 4 : i % 100 == 0 ? 3 : i / 1000;
        int length = (int)((random >> 33) % (uint64_t)lengths[kind]);
        for (int j = 0; j < length; j++) {
            putc('a' + (i + j) % 26, file);
        }
        putc('\n', file);
        offsets[i + 1] = offsets[i] + length + 1;
    }
    fclose(file);
    assert_int_equal(start(&f, false), WEIR_OK);
    enum wr_source_more more = WR_SOURCE_MORE;

    int line = 0;
    while (poll(&f, &more) == WEIR_OK && more == WR_SOURCE_MORE) {
        assert_true(f.polled.count > 0 && f.polled.count <= WR_POLL_RECORDS_MAX);
        for (size_t i = 0; i < f.polled.count; i++, line++) {
            const char *value = f.polled.records[i].value.data;
            size_t size = f.polled.records[i].value.size;
            assert_int_equal(f.polled.offsets[i], offsets[line]);
            assert_int_equal(f.polled.nexts[i], offsets[line + 1]);
            assert_int_equal(size, offsets[line + 1] - offsets[line] - 1);
            assert_true(size == 0 || value[0] == 'a' + line % 26);
            assert_true(size == 0 || value[size - 1] == 'a' + (line + (int)size - 1) % 26);
            assert_null(f.polled.rejects[i]);
        }
    }
    assert_int_equal(more, WR_SOURCE_ENDED);
    assert_int_equal(line, LINES);
    close_source(&f);
}

/* A line of the limit is a record; one byte more is a reject that says so, with what the limit
 * holds of it, and the lines after it are read as if it were short. */
static void lines_over_the_limit_are_rejected(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        bool newline, rejected;
    } cases[] = {
        {WR_RECORD_BYTES_MAX, true, false},      {WR_RECORD_BYTES_MAX, false, false},
        {WR_RECORD_BYTES_MAX + 1, true, true},   {WR_RECORD_BYTES_MAX + 1, false, true},
        {WR_RECORD_BYTES_MAX * 2, true, true},   {WR_RECORD_BYTES_MAX * 40, true, true},
        {WR_RECORD_BYTES_MAX * 40, false, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        enum wr_source_more more;
        char *line = malloc(cases[i].size);
        assert_non_null(line);
        memset(line, 'l', cases[i].size);
        write_text("first\n");
        write_bytes("a", line, cases[i].size);
        append_text(cases[i].newline ? "\nlast\n" : "");
        free(line);
        assert_int_equal(start(&f, false), WEIR_OK);
        assert_int_equal(poll(&f, &more), WEIR_OK);
        assert_int_equal(f.polled.count, 1);

        size_t polls = 0;
        do {
            assert_int_equal(poll(&f, &more), WEIR_OK);
            polls++;
        } while (f.polled.count == 0);

        char reason[100];
        snprintf(reason, sizeof reason, "line of %zu bytes; the limit is 1048576", cases[i].size);
        assert_true(polls <= 1 + cases[i].size / (16 * WR_RECORD_BYTES_MAX));
        assert_int_equal(f.polled.offsets[0], 6);
        assert_int_equal(f.polled.nexts[0], 6 + (int64_t)cases[i].size + cases[i].newline);
        assert_int_equal(f.polled.records[0].value.size, WR_RECORD_BYTES_MAX);
        assert_int_equal(((const char *)f.polled.records[0].value.data)[WR_RECORD_BYTES_MAX - 1],
                         'l');
        assert_string_equal(f.polled.rejects[0] ? f.polled.rejects[0] : "",
                            cases[i].rejected ? reason : "");
        assert_true(wr_arena_bytes(&f.polled.arena) < 3 * WR_RECORD_BYTES_MAX);
        char rest[64];
        drain(&f, rest, sizeof rest);
        assert_int_equal(strlen(rest) > 0, cases[i].newline);
        close_source(&f);
    }
}

/* ---- Positions ------------------------------------------------------------------------------- */

/* A run ends where the file ended when it started; the next one reads what has come since. */
static void runs_take_turns_with_a_growing_file(void **state)
{
    (void)state;
    struct fixture f;
    char records[256];
    write_text("a\nb\n");
    assert_int_equal(start(&f, false), WEIR_OK);
    append_text("c\n");
    drain(&f, records, sizeof records);
    assert_string_equal(records, "0:a|2:b|");
    stop(&f);

    assert_int_equal(start(&f, true), WEIR_OK);
    drain(&f, records, sizeof records);
    assert_string_equal(records, "4:c|");
    stop(&f);

    assert_int_equal(start(&f, true), WEIR_OK);
    drain(&f, records, sizeof records);
    assert_string_equal(records, "");
    close_source(&f);
}

/* The identity of a short file covers what it has; it still matches when the file has grown, and
 * then covers up to a KiB. */
static void identity_grows_with_the_file(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        const char *tail;
    } sizes[] = {{0, ":0;size:0"},
                 {5, ":5;size:5"},
                 {900, ":900;size:900"},
                 {1024, ":1024;size:1024"},
                 {5000, ":1024;size:5000"}};
    struct fixture f;
    size_t size = 0;
    write_text("");
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (; size < sizes[i].size; size++) {
            append_text(size % 5 == 4 ? "\n" : "x");
        }
        assert_int_equal(start(&f, i > 0), WEIR_OK);
        char records[16384];
        drain(&f, records, sizeof records);
        const char *identity = f.partition->identity;
        assert_non_null(strstr(identity, sizes[i].tail));
        stop(&f);
    }
}

/* A last line without a newline was a record; its newline may follow, more of it may not. */
static void an_unfinished_line_must_not_grow(void **state)
{
    (void)state;
    static const struct {
        const char *more, *records, *error;
    } cases[] = {
        {"", "", NULL},
        {"\n", "", NULL},
        {"\nc\n", "5:c|", NULL},
        {"\n\n", "5:|", NULL},
        {"b\n", NULL, "has grown since"},
        {"\r\n", NULL, "has grown since"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        char records[256];
        write_text("a\nbb");
        assert_int_equal(start(&f, false), WEIR_OK);
        drain(&f, records, sizeof records);
        assert_string_equal(records, "0:a|2:bb|");
        stop(&f);
        append_text(cases[i].more);

        weir_status status = start(&f, true);

        assert_int_equal(status, cases[i].error ? WEIR_FATAL : WEIR_OK);
        if (cases[i].error) {
            expect_error(&f, WR_EXIT_DATA, cases[i].error);
        } else {
            drain(&f, records, sizeof records);
            assert_string_equal(records, cases[i].records);
        }
        close_source(&f);
    }
}

/* A file that is not the one that was read stops the run, with what to do. */
static void changed_files_stop_the_run(void **state)
{
    (void)state;
    static const struct {
        const char *now;
        bool replace;
        enum wr_exit exit_code;
        const char *text;
    } cases[] = {
        {"one\ntwo\nthree\n", false, WR_EXIT_OK, ""},
        {"one\ntwo\n", false, WR_EXIT_CONFIG, "it shrank"},
        {"", false, WR_EXIT_CONFIG, "it shrank"},
        {"One\ntwo\nthree\n", false, WR_EXIT_CONFIG, "its first bytes differ"},
        {"one\ntwo\nthree\n", true, WR_EXIT_CONFIG, "it was replaced"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        char records[256];
        unlink("other");
        unlink(PATH);
        write_text("one\ntwo\nthree\n");
        assert_int_equal(start(&f, false), WEIR_OK);
        drain(&f, records, sizeof records);
        stop(&f);
        if (cases[i].replace) {
            assert_int_equal(rename(PATH, "other"), 0);
        }
        write_text(cases[i].now);

        weir_status status = start(&f, true);

        assert_int_equal(status, cases[i].exit_code ? WEIR_FATAL : WEIR_OK);
        expect_error(&f, cases[i].exit_code, cases[i].text);
        close_source(&f);
    }
}

/* Positions that no run can have left are refused; one beyond the end means that the file shrank
 * behind its first KiB. */
static void impossible_positions_are_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t next;
        const char *identity;
        enum wr_exit exit_code;
        const char *text;
    } cases[] = {
        {4, NULL, WR_EXIT_OK, ""},
        {5, NULL, WR_EXIT_CONFIG, "read up to byte 5 and has only 4"},
        {INT64_MAX, NULL, WR_EXIT_CONFIG, "shrank"},
        {-1, NULL, WR_EXIT_DATA, "damaged"},
        {0, "", WR_EXIT_DATA, "damaged"},
        {0, "inode:5", WR_EXIT_DATA, "damaged"},
        {0, "inode:5;crc:00000000:1025", WR_EXIT_DATA, "damaged"},
        {0, "inode:5;crc:00000000:4 ", WR_EXIT_DATA, "damaged"},
        {0, "inode:5;crc:00000000:4;size:", WR_EXIT_DATA, "damaged"},
        {0, "inode:5;crc:00000000:4;size:-1", WR_EXIT_DATA, "damaged"},
        {0, "inode:5;crc:00000000:4;base:99999999999999999999", WR_EXIT_DATA, "damaged"},
        {0, "inode:5;crc:00000000:4;past:1:00000000:4,", WR_EXIT_DATA, "damaged"},
        {3, "inode:5;crc:00000000:4;base:4", WR_EXIT_DATA, "damaged"},
        {0, "inode:99999999999999999999;crc:zz:4", WR_EXIT_DATA, "damaged"},
    };
    write_text("a\nb\n");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        struct wr_position stored = {.next = cases[i].next, .identity = cases[i].identity};
        assert_int_equal(open_source(&f, "file:" PATH), WEIR_OK);

        weir_status status = seek(&f, &stored);

        assert_int_equal(status, cases[i].exit_code ? WEIR_FATAL : WEIR_OK);
        expect_error(&f, cases[i].exit_code, cases[i].text);
        close_source(&f);
    }
}

/* ---- While running --------------------------------------------------------------------------- */

/* A file that is cut while it is read stops the run, before a line is made up. */
static void a_file_cut_while_read_stops_the_run(void **state)
{
    (void)state;
    struct fixture f;
    enum wr_source_more more;
    FILE *file = fopen(PATH, "w");
    for (int i = 0; i < 5000; i++) {
        fprintf(file, "line %d\n", i);
    }
    fclose(file);
    assert_int_equal(start(&f, false), WEIR_OK);
    assert_int_equal(poll(&f, &more), WEIR_OK);
    assert_int_equal(truncate(PATH, 100), 0);

    weir_status status = poll(&f, &more);

    assert_int_equal(status, WEIR_FATAL);
    expect_error(&f, WR_EXIT_CONFIG, "shrank while it was read");
    close_source(&f);
}

/* A file that is removed while it is read is read to its end: nothing of it is lost. */
static void a_file_removed_while_read_is_read_to_its_end(void **state)
{
    (void)state;
    struct fixture f;
    char records[64];
    write_text("a\nb\n");
    assert_int_equal(start(&f, false), WEIR_OK);
    assert_int_equal(unlink(PATH), 0);

    drain(&f, records, sizeof records);

    assert_string_equal(records, "0:a|2:b|");
    close_source(&f);
}

/* The lag is counted in lines of the average length so far. */
static void the_lag_is_estimated(void **state)
{
    (void)state;
    struct fixture f;
    enum wr_source_more more;
    FILE *file = fopen(PATH, "w");
    for (int i = 0; i < 10240; i++) {
        fprintf(file, "nine bytes\n");
    }
    fclose(file);
    assert_int_equal(start(&f, false), WEIR_OK);
    assert_int_equal(f.source->ops->lag(f.source, f.partition), -1);
    assert_int_equal(poll(&f, &more), WEIR_OK);
    assert_int_equal(f.polled.count, 1024);

    assert_int_equal(f.source->ops->lag(f.source, f.partition), 9216);
    close_source(&f);
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* What cannot be read is named, with the code that says what kind of mistake it is. */
static void what_cannot_be_read_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        enum wr_exit exit_code;
        const char *text;
    } cases[] = {
        {"file:missing.txt", WR_EXIT_NO_INPUT, "missing.txt"},
        {"file:folder", WR_EXIT_NO_INPUT, "is a directory"},
        {"file:in.txt/x", WR_EXIT_NO_INPUT, "cannot open"},
        {"file:fifo", WR_EXIT_NO_INPUT, "into a file"},
        {"file:/dev/null", WR_EXIT_NO_INPUT, "into a file"},
        {"file:dangling", WR_EXIT_NO_INPUT, "cannot open"},
        {"file:secret", WR_EXIT_PERMISSION, "permissions"},
    };
    write_text("a\n");
    mkdir("folder", 0777);
    assert_int_equal(mkfifo("fifo", 0666), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    close(open("secret", O_CREAT | O_WRONLY, 0000));
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        if (cases[i].exit_code == WR_EXIT_PERMISSION && geteuid() == 0) {
            continue; /* root may read everything */
        }
        assert_int_equal(open_source(&f, cases[i].uri), WEIR_FATAL);
        expect_error(&f, cases[i].exit_code, cases[i].text);
        close_source(&f);
    }
}

/* The part is the absolute path, so that a position is found from any folder. */
static void the_part_is_the_absolute_path(void **state)
{
    (void)state;
    struct fixture f;
    char here[4096], expected[4200];
    write_text("a\n");
    assert_non_null(getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s/" PATH, here);
    assert_int_equal(open_source(&f, "file:./x/../" PATH), WEIR_OK);
    assert_string_equal(f.partition->part, expected);
    assert_int_equal(f.source->ops->bound(f.source, f.partition, &f.error), WEIR_OK);
    assert_int_equal(f.partition->end, 2);
    close_source(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_records),
        cmocka_unit_test(nul_bytes_stay),
        cmocka_unit_test(blocks_do_not_cut_lines),
        cmocka_unit_test(lines_over_the_limit_are_rejected),
        cmocka_unit_test(runs_take_turns_with_a_growing_file),
        cmocka_unit_test(identity_grows_with_the_file),
        cmocka_unit_test(an_unfinished_line_must_not_grow),
        cmocka_unit_test(changed_files_stop_the_run),
        cmocka_unit_test(impossible_positions_are_refused),
        cmocka_unit_test(a_file_cut_while_read_stops_the_run),
        cmocka_unit_test(a_file_removed_while_read_is_read_to_its_end),
        cmocka_unit_test(the_lag_is_estimated),
        cmocka_unit_test(what_cannot_be_read_is_named),
        cmocka_unit_test(the_part_is_the_absolute_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
