/* test_outlet_file.c: the file sink: what is appended, what a check cuts back, and what it refuses.
 *
 * Long because every way to touch the file behind weir's back is a case.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "txn/base/bytes.h"
#include "txn/base/env.h"
#include "txn/outlets/outlet.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PATH "out.txt"
enum { WINDOW = 16 * 1024 * 1024 };

/* One outlet, and the marker that a store would hold for it. */
struct fixture {
    struct wr_env env;
    struct wr_outlet *outlet;
    struct wr_marker marker;
    char identity[100];
    int64_t offset;
    struct wr_error error;
};

static void reset(struct fixture *f)
{
    unlink(PATH);
    *f = (struct fixture){.marker = {.sink = "out", .length = -1}};
    wr_env_init(&f->env);
}

static weir_status open_as(struct fixture *f, const char *path, bool append, enum wr_sync sync)
{
    f->error = (struct wr_error){.status = WEIR_OK};
    assert_int_equal(wr_outlet_file_open(&f->env, "out", path, append, sync, &f->outlet, &f->error),
                     WEIR_OK);
    return f->outlet->ops->check(f->outlet, &f->marker, &f->error);
}

static weir_status open_path(struct fixture *f)
{
    return open_as(f, PATH, false, WR_SYNC_FULL);
}

static void close_outlet(struct fixture *f)
{
    f->outlet->ops->close(f->outlet);
}

static weir_status send_bytes(struct fixture *f, weir_bytes value)
{
    weir_record record = {.key = weir_text("key"), .value = value};
    return f->outlet->ops->send(f->outlet, &record, f->offset++, &f->error);
}

static weir_status send_text(struct fixture *f, const char *text)
{
    return send_bytes(f, weir_text(text));
}

/* Settles, and decides the marker. */
static weir_status settle(struct fixture *f)
{
    struct wr_marker marker = f->marker;
    weir_status status = f->outlet->ops->settle(f->outlet, &marker, &f->error);
    if (status == WEIR_OK) {
        snprintf(f->identity, sizeof f->identity, "%s", marker.identity);
        f->marker = marker;
        f->marker.identity = f->identity;
        f->marker.next = f->offset;
    }
    return status;
}

static void write_text(const char *mode, const char *text)
{
    FILE *file = fopen(PATH, mode);
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void expect_file(const char *text)
{
    char found[4096] = "";
    FILE *file = fopen(PATH, "r");
    assert_non_null(file);
    found[fread(found, 1, sizeof found - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(found, text);
}

static void expect_error(struct fixture *f, enum wr_exit exit_code, const char *text)
{
    assert_int_equal(f->error.exit_code, exit_code);
    if (!strstr(f->error.text, text)) {
        fail_msg("\"%s\" is without \"%s\"", f->error.text, text);
    }
}

/* A file with two decided lines and one that was only sent; the outlet is closed, as by a crash. */
static void two_decided_one_sent(struct fixture *f)
{
    reset(f);
    assert_int_equal(open_path(f), WEIR_OK);
    assert_int_equal(settle(f), WEIR_OK);
    send_text(f, "one");
    send_text(f, "two");
    assert_int_equal(settle(f), WEIR_OK);
    struct wr_marker decided = f->marker;
    send_text(f, "three");
    assert_int_equal(settle(f), WEIR_OK);
    f->marker = decided;
    close_outlet(f);
    expect_file("one\ntwo\nthree\n");
}

/* ---- Appending ------------------------------------------------------------------------------- */

/* Each record is its value and a newline: the key is not written, an absent value is an empty line,
 * bytes are written as they are. */
static void values_become_lines(void **state)
{
    (void)state;
    struct fixture f;
    reset(&f);
    assert_int_equal(open_path(&f), WEIR_OK);
    assert_int_equal(settle(&f), WEIR_OK);
    assert_int_equal(f.marker.length, 0);

    assert_int_equal(send_text(&f, "a"), WEIR_OK);
    assert_int_equal(send_bytes(&f, (weir_bytes){NULL, 0}), WEIR_OK);
    assert_int_equal(send_text(&f, ""), WEIR_OK);
    assert_int_equal(send_text(&f, "b\nc\xff"), WEIR_OK);
    assert_int_equal(settle(&f), WEIR_OK);

    expect_file("a\n\n\nb\nc\xff\n");
    assert_int_equal(f.marker.length, 9);
    assert_int_equal(f.marker.crc, wr_crc32c(0, "a\n\n\nb\nc\xff\n", 9));
    close_outlet(&f);
}

/* Values around the size of the buffer come through whole and in order. */
static void large_values_come_through(void **state)
{
    (void)state;
    static const size_t sizes[] = {5,       1048574, 1048575, 1048576, 0,      1048576,
                                   1048576, 3,       700000,  700000,  348575, 1};
    struct fixture f;
    char *value = malloc(WR_RECORD_BYTES_MAX);
    assert_non_null(value);
    reset(&f);
    assert_int_equal(open_path(&f), WEIR_OK);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        memset(value, 'a' + (int)i, sizes[i]);
        assert_int_equal(send_bytes(&f, wr_bytes(value, sizes[i])), WEIR_OK);
    }
    assert_int_equal(settle(&f), WEIR_OK);

    FILE *file = fopen(PATH, "r");
    assert_non_null(file);
    int64_t length = 0;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char *found = calloc(1, sizes[i] + 1);
        memset(value, 'a' + (int)i, sizes[i]);
        assert_int_equal(fread(found, 1, sizes[i] + 1, file), sizes[i] + 1);
        assert_memory_equal(found, value, sizes[i]);
        assert_int_equal(found[sizes[i]], '\n');
        length += (int64_t)sizes[i] + 1;
        free(found);
    }
    assert_int_equal(getc(file), EOF);
    assert_int_equal(f.marker.length, length);
    fclose(file);
    free(value);
    close_outlet(&f);
}

/* ---- Cutting back ---------------------------------------------------------------------------- */

/* What was sent and not decided is cut back, and appending goes on from there. */
static void what_was_not_decided_is_cut_back(void **state)
{
    (void)state;
    struct fixture f;
    two_decided_one_sent(&f);

    assert_int_equal(open_path(&f), WEIR_OK);

    expect_file("one\ntwo\n");
    assert_int_equal(send_text(&f, "again"), WEIR_OK);
    assert_int_equal(settle(&f), WEIR_OK);
    expect_file("one\ntwo\nagain\n");
    close_outlet(&f);
    assert_int_equal(open_path(&f), WEIR_OK);
    expect_file("one\ntwo\nagain\n");
    close_outlet(&f);
}

/* A crash before or after the cut changes nothing about the next start. */
static void a_cut_survives_crashes(void **state)
{
    (void)state;
    static const char *const points[] = {"cut_before", "cut_after"};
    static const char *const files[] = {"one\ntwo\nthree\n", "one\ntwo\n"};
    for (size_t i = 0; i < COUNT(points); i++) {
        struct fixture f;
        two_decided_one_sent(&f);
        assert_true(wr_fault_arm(&f.env.fault, points[i]));
        f.env.fault.returns = true;
        assert_int_equal(open_path(&f), WEIR_FATAL);
        assert_true(f.env.fault.passed);
        close_outlet(&f);
        expect_file(files[i]);

        wr_env_init(&f.env);
        assert_int_equal(open_path(&f), WEIR_OK);

        expect_file("one\ntwo\n");
        close_outlet(&f);
    }
}

/* The sum that a marker must have, computed from the whole file by the rule in the header. */
static uint64_t sum_of(const unsigned char *bytes, int64_t length)
{
    int64_t window = length / WINDOW * WINDOW;
    uint64_t whole = window ? wr_crc32c(0, bytes + window - WINDOW, WINDOW) : 0;
    return whole << 32 | wr_crc32c(0, bytes + window, (size_t)(length - window));
}

/* Lengths around the ends of windows: the marker's sum is right, a check finds it again, cuts back
 * to it, and sees a changed byte in either window. */
static void windows_are_summed(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1,          WINDOW - 1,     WINDOW,        WINDOW + 1,
                                      WINDOW * 2, WINDOW * 2 + 9, WINDOW * 3 - 1};
    unsigned char *bytes = malloc((size_t)WINDOW * 3);
    assert_non_null(bytes);
    for (size_t i = 0; i < (size_t)WINDOW * 3; i++) {
        bytes[i] = i % 1000 == 999 ? '\n' : (unsigned char)('a' + i * i % 23);
    }
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct fixture f;
        int64_t length = lengths[i];
        bytes[length - 1] = '\n';
        reset(&f);
        assert_int_equal(open_as(&f, PATH, false, WR_SYNC_OFF), WEIR_OK);
        for (int64_t at = 0; at < length;) {
            const unsigned char *end = memchr(bytes + at, '\n', (size_t)(length - at));
            assert_int_equal(send_bytes(&f, wr_bytes(bytes + at, (size_t)(end - bytes - at))),
                             WEIR_OK);
            at = end - bytes + 1;
        }
        assert_int_equal(settle(&f), WEIR_OK);
        assert_int_equal(f.marker.length, length);
        assert_true(f.marker.crc == sum_of(bytes, length));
        close_outlet(&f);

        write_text("a", "undecided");
        assert_int_equal(open_as(&f, PATH, false, WR_SYNC_OFF), WEIR_OK);
        struct stat found;
        assert_int_equal(stat(PATH, &found), 0);
        assert_int_equal(found.st_size, length);
        close_outlet(&f);

        int fd = open(PATH, O_RDWR);
        int64_t window = length / WINDOW;
        assert_int_equal(pwrite(fd, "!", 1, window > 0 ? (window - 1) * WINDOW : 0), 1);
        close(fd);
        assert_int_equal(open_as(&f, PATH, false, WR_SYNC_OFF), WEIR_FATAL);
        expect_error(&f, WR_EXIT_CONFIG, "has other bytes than were forwarded");
        close_outlet(&f);
        bytes[length - 1] = (length - 1) % 1000 == 999 ? '\n' : 'z';
    }
    free(bytes);
    unlink(PATH);
}

/* ---- Touched files --------------------------------------------------------------------------- */

static void change_byte(void)
{
    int fd = open(PATH, O_RDWR);
    assert_int_equal(pwrite(fd, "O", 1, 0), 1);
    close(fd);
}
static void cut_short(void)
{
    assert_int_equal(truncate(PATH, 7), 0);
}
static void empty(void)
{
    assert_int_equal(truncate(PATH, 0), 0);
}
static void replace_by_copy(void)
{
    assert_int_equal(rename(PATH, "moved"), 0);
    write_text("w", "one\ntwo\nthree\n");
}
static void move_away(void)
{
    assert_int_equal(rename(PATH, "moved"), 0);
}
static void replace_by_fifo(void)
{
    assert_int_equal(unlink(PATH), 0);
    assert_int_equal(mkfifo(PATH, 0666), 0);
}
static void replace_by_folder(void)
{
    assert_int_equal(unlink(PATH), 0);
    assert_int_equal(mkdir(PATH, 0777), 0);
}

/* A file that is not as weir left it stops the start with what to do, and is left alone. */
static void touched_files_stop_the_start(void **state)
{
    (void)state;
    static const struct {
        void (*touch)(void);
        enum wr_exit exit_code;
        const char *text;
    } cases[] = {
        {change_byte, WR_EXIT_CONFIG, "has other bytes"},
        {cut_short, WR_EXIT_CONFIG, "has 7 bytes, and 8 were forwarded"},
        {empty, WR_EXIT_CONFIG, "has 0 bytes, and 8 were forwarded"},
        {replace_by_copy, WR_EXIT_CONFIG, "it was replaced"},
        {move_away, WR_EXIT_CONFIG, "is missing, and 8 bytes were forwarded"},
        {replace_by_fifo, WR_EXIT_CONFIG, "is no regular file"},
        {replace_by_folder, WR_EXIT_IO, "is a directory"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        struct stat before = {.st_size = -1}, after = {.st_size = -1};
        two_decided_one_sent(&f);
        cases[i].touch();
        stat(PATH, &before);

        assert_int_equal(open_path(&f), WEIR_FATAL);

        expect_error(&f, cases[i].exit_code, cases[i].text);
        stat(PATH, &after);
        assert_int_equal(before.st_size, after.st_size);
        close_outlet(&f);
        unlink("moved");
        rmdir(PATH);
    }
}

/* Identities that no weir wrote are a damaged store. */
static void damaged_identities_are_refused(void **state)
{
    (void)state;
    static const char *const identities[] = {"", "dev:1", "dev:x;inode:1", "dev:1;inode:2;",
                                             "dev:1;inode:"};
    for (size_t i = 0; i < COUNT(identities); i++) {
        struct fixture f;
        reset(&f);
        f.marker = (struct wr_marker){.sink = "out", .identity = identities[i]};
        assert_int_equal(open_path(&f), WEIR_FATAL);
        expect_error(&f, WR_EXIT_DATA, "damaged");
        close_outlet(&f);
    }
}

/* While it runs, weir sees that someone else writes, cuts, removes or replaces. */
static void touching_a_file_in_use_stops_the_run(void **state)
{
    (void)state;
    static const struct {
        void (*touch)(void);
        const char *text;
    } cases[] = {
        {cut_short, "someone else writes to it or cut it"},
        {empty, "someone else writes to it or cut it"},
        {move_away, "was removed or replaced while weir wrote to it"},
        {replace_by_copy, "was removed or replaced while weir wrote to it"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        two_decided_one_sent(&f);
        assert_int_equal(open_path(&f), WEIR_OK);
        cases[i].touch();

        assert_int_equal(send_text(&f, "more"), WEIR_OK);
        assert_int_equal(settle(&f), WEIR_FATAL);

        expect_error(&f, WR_EXIT_CONFIG, cases[i].text);
        close_outlet(&f);
        unlink("moved");
    }
}

/* ---- First runs ------------------------------------------------------------------------------ */

/* A new store takes an empty or missing file; a file with something in it only with append=true,
 * and never cuts into that. */
static void a_new_store_respects_what_is_there(void **state)
{
    (void)state;
    struct fixture f;
    reset(&f);
    write_text("w", "mine\n");
    assert_int_equal(open_path(&f), WEIR_FATAL);
    expect_error(&f, WR_EXIT_CONFIG, "append=true");
    close_outlet(&f);
    expect_file("mine\n");

    assert_int_equal(open_as(&f, PATH, true, WR_SYNC_FULL), WEIR_OK);
    assert_int_equal(settle(&f), WEIR_OK);
    assert_int_equal(f.marker.length, 5);
    assert_int_equal(f.marker.crc, wr_crc32c(0, "mine\n", 5));
    send_text(&f, "undecided");
    struct wr_marker marker = f.marker;
    assert_int_equal(f.outlet->ops->settle(f.outlet, &marker, &f.error), WEIR_OK);
    close_outlet(&f);
    expect_file("mine\nundecided\n");

    assert_int_equal(open_as(&f, PATH, true, WR_SYNC_FULL), WEIR_OK);
    expect_file("mine\n");
    close_outlet(&f);
}

/* A file to which nothing was forwarded yet may be removed: it is made again. */
static void an_empty_file_may_be_made_again(void **state)
{
    (void)state;
    struct fixture f;
    reset(&f);
    assert_int_equal(open_path(&f), WEIR_OK);
    assert_int_equal(settle(&f), WEIR_OK);
    close_outlet(&f);
    assert_int_equal(rename(PATH, "moved"), 0);

    assert_int_equal(open_path(&f), WEIR_OK);
    char before[100];
    snprintf(before, sizeof before, "%s", f.identity);
    assert_int_equal(settle(&f), WEIR_OK);

    assert_string_not_equal(f.identity, before);
    close_outlet(&f);
    unlink("moved");
}

/* Opening alone touches nothing: `weir run --check` must not make files. */
static void opening_makes_no_file(void **state)
{
    (void)state;
    struct fixture f;
    struct stat found;
    reset(&f);
    assert_int_equal(
        wr_outlet_file_open(&f.env, "out", PATH, false, WR_SYNC_FULL, &f.outlet, &f.error),
        WEIR_OK);
    assert_int_not_equal(stat(PATH, &found), 0);
    assert_non_null(strstr(f.outlet->ops->guarantee(f.outlet), "exactly-once"));
    close_outlet(&f);
}

/* ---- What stands in the way ------------------------------------------------------------------ */

/* One writer a file. */
static void a_file_in_use_is_refused(void **state)
{
    (void)state;
    struct fixture f, second;
    reset(&f);
    assert_int_equal(open_path(&f), WEIR_OK);
    second = f;

    assert_int_equal(open_path(&second), WEIR_FATAL);

    expect_error(&second, WR_EXIT_AGAIN, "is writing to");
    close_outlet(&second);
    close_outlet(&f);
}

/* Folders that are missing or closed, by the code of the cause. */
static void a_folder_that_does_not_take_it_is_named(void **state)
{
    (void)state;
    struct fixture f;
    reset(&f);
    assert_int_equal(open_as(&f, "no/such/out.txt", false, WR_SYNC_FULL), WEIR_FATAL);
    expect_error(&f, WR_EXIT_NO_INPUT, "no/such/out.txt");
    close_outlet(&f);
    if (geteuid() != 0) { /* root may write anywhere */
        assert_int_equal(mkdir("closed", 0555), 0);
        assert_int_equal(open_as(&f, "closed/out.txt", false, WR_SYNC_FULL), WEIR_FATAL);
        expect_error(&f, WR_EXIT_PERMISSION, "closed/out.txt");
        close_outlet(&f);
    }
}

/* A disk that is full in the middle of a value: the run stops, and the next start, with space, cuts
 * the half line back. */
static void a_full_disk_loses_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct rlimit before, limit;
    static char value[100000];
    memset(value, 'v', sizeof value);
    two_decided_one_sent(&f);
    assert_int_equal(open_path(&f), WEIR_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 50000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);

    assert_int_equal(send_bytes(&f, wr_bytes(value, sizeof value)), WEIR_OK);
    weir_status status = settle(&f);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, WEIR_FATAL);
    expect_error(&f, WR_EXIT_IO, "free space and start again, nothing is lost");
    close_outlet(&f);
    assert_int_equal(open_path(&f), WEIR_OK);
    expect_file("one\ntwo\n");
    close_outlet(&f);
}

/* The guarantee names what the chosen durability takes away from it. */
static void the_guarantee_names_the_durability(void **state)
{
    (void)state;
    static const struct {
        enum wr_sync sync;
        const char *text;
    } cases[] = {{WR_SYNC_FULL, "exactly-once: synced"},
                 {WR_SYNC_NORMAL, "a power cut may take back"},
                 {WR_SYNC_OFF, "a power cut may damage it"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        reset(&f);
        assert_int_equal(open_as(&f, PATH, false, cases[i].sync), WEIR_OK);
        assert_non_null(strstr(f.outlet->ops->guarantee(f.outlet), cases[i].text));
        close_outlet(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_become_lines),
        cmocka_unit_test(large_values_come_through),
        cmocka_unit_test(what_was_not_decided_is_cut_back),
        cmocka_unit_test(a_cut_survives_crashes),
        cmocka_unit_test(windows_are_summed),
        cmocka_unit_test(touched_files_stop_the_start),
        cmocka_unit_test(damaged_identities_are_refused),
        cmocka_unit_test(touching_a_file_in_use_stops_the_run),
        cmocka_unit_test(a_new_store_respects_what_is_there),
        cmocka_unit_test(an_empty_file_may_be_made_again),
        cmocka_unit_test(opening_makes_no_file),
        cmocka_unit_test(a_file_in_use_is_refused),
        cmocka_unit_test(a_folder_that_does_not_take_it_is_named),
        cmocka_unit_test(a_full_disk_loses_nothing),
        cmocka_unit_test(the_guarantee_names_the_durability),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
