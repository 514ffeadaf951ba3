/* test_outlet_stdout.c: sinks that cannot be cut back: standard output, FIFOs, devices.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "txn/base/bytes.h"
#include "txn/base/env.h"
#include "txn/outlets/outlet.h"

#define PATH "out.fifo"

struct fixture {
    struct wr_env env;
    struct wr_outlet *outlet;
    struct wr_marker marker;
    int saved, read_end; /* the real standard output; ours is a pipe's */
    struct wr_error error;
};

static void reset(struct fixture *f)
{
    unlink(PATH);
    *f = (struct fixture){.marker = {.sink = "out", .length = -1}};
    wr_env_init(&f->env);
}

static weir_status check(struct fixture *f)
{
    return f->outlet->ops->check(f->outlet, &f->marker, &f->error);
}

static weir_status open_path(struct fixture *f, const char *path)
{
    f->error = (struct wr_error){.status = WEIR_OK};
    assert_int_equal(
        wr_outlet_file_open(&f->env, "out", path, false, WR_SYNC_FULL, &f->outlet, &f->error),
        WEIR_OK);
    return check(f);
}

static weir_status send_bytes(struct fixture *f, weir_bytes value)
{
    weir_record record = {.key = weir_text("key"), .value = value};
    return f->outlet->ops->send(f->outlet, &record, 0, &f->error);
}

static weir_status send_text(struct fixture *f, const char *text)
{
    return send_bytes(f, weir_text(text));
}

static weir_status settle(struct fixture *f)
{
    return f->outlet->ops->settle(f->outlet, &f->marker, &f->error);
}

static void close_outlet(struct fixture *f)
{
    f->outlet->ops->close(f->outlet);
}

static void expect_error(struct fixture *f, enum wr_exit exit_code, const char *text)
{
    assert_int_equal(f->error.exit_code, exit_code);
    if (!strstr(f->error.text, text)) {
        fail_msg("\"%s\" is without \"%s\"", f->error.text, text);
    }
}

/* Standard output becomes a pipe, whose other end the test has. */
static void open_stdout(struct fixture *f)
{
    int ends[2];
    reset(f);
    fflush(stdout);
    assert_int_equal(pipe(ends), 0);
    f->read_end = ends[0];
    f->saved = dup(STDOUT_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[1]);
    assert_int_equal(wr_outlet_stdout_open(&f->env, "out", &f->outlet, &f->error), WEIR_OK);
    assert_int_equal(check(f), WEIR_OK);
}

static void close_stdout(struct fixture *f)
{
    close_outlet(f);
    dup2(f->saved, STDOUT_FILENO);
    close(f->saved);
    if (f->read_end >= 0) {
        close(f->read_end);
    }
}

/* ---- Standard output ------------------------------------------------------------------------- */

/* Values become lines, and are there when the outlet says that they are. */
static void values_become_lines(void **state)
{
    (void)state;
    struct fixture f;
    char found[64] = "";
    open_stdout(&f);

    send_text(&f, "a");
    send_bytes(&f, (weir_bytes){NULL, 0});
    send_text(&f, "b");
    weir_status status = settle(&f);
    ssize_t got = read(f.read_end, found, sizeof found - 1);
    close_stdout(&f);

    assert_int_equal(status, WEIR_OK);
    assert_int_equal(got, 5);
    assert_string_equal(found, "a\n\nb\n");
    assert_int_equal(f.marker.length, -1);
    assert_string_equal(f.marker.identity, "stdout");
}

/* A value larger than the pipe and the buffer goes through while someone reads, and a descriptor
 * that someone made non-blocking is waited for. */
static void large_values_wait_for_the_reader(void **state)
{
    (void)state;
    enum { SIZE = 1000000 };
    struct fixture f;
    char *value = malloc(SIZE);
    assert_non_null(value);
    memset(value, 'v', SIZE);
    open_stdout(&f);
    fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
    pid_t reader = fork();
    if (reader == 0) {
        char block[4096];
        size_t total = 0;
        close(STDOUT_FILENO);
        for (ssize_t got; (got = read(f.read_end, block, sizeof block)) > 0;) {
            total += (size_t)got;
        }
        _exit(total == SIZE + 7 ? 0 : 1);
    }

    weir_status status = send_text(&f, "first");
    status = status ? status : send_bytes(&f, wr_bytes(value, SIZE));
    status = status ? status : settle(&f);
    close_stdout(&f);

    int result = -1;
    assert_int_equal(waitpid(reader, &result, 0), reader);
    assert_int_equal(status, WEIR_OK);
    assert_int_equal(result, 0);
    free(value);
}

/* A reader that goes away (`| head`) is an error with a text, and no signal kills the process. */
static void a_reader_that_goes_away_is_an_error(void **state)
{
    (void)state;
    struct fixture f;
    open_stdout(&f);
    close(f.read_end);
    f.read_end = -1;

    send_text(&f, "unread");
    weir_status status = settle(&f);
    close_stdout(&f);

    sigset_t pending;
    assert_int_equal(status, WEIR_FATAL);
    expect_error(&f, WR_EXIT_IO, "the reader of standard output went away");
    assert_int_equal(sigpending(&pending), 0);
    assert_false(sigismember(&pending, SIGPIPE));
}

/* A closed standard output is an error too. */
static void a_closed_standard_output_is_an_error(void **state)
{
    (void)state;
    struct fixture f;
    open_stdout(&f);
    close(STDOUT_FILENO);

    send_text(&f, "lost");
    weir_status status = settle(&f);
    close_stdout(&f);

    assert_int_equal(status, WEIR_FATAL);
    expect_error(&f, WR_EXIT_IO, "cannot write to standard output");
}

/* A sink that was a file does not silently go on elsewhere. */
static void a_file_does_not_become_standard_output(void **state)
{
    (void)state;
    struct fixture f;
    reset(&f);
    f.marker = (struct wr_marker){.sink = "out", .length = 5, .identity = "dev:1;inode:2"};
    assert_int_equal(wr_outlet_stdout_open(&f.env, "out", &f.outlet, &f.error), WEIR_OK);
    assert_int_equal(check(&f), WEIR_FATAL);
    expect_error(&f, WR_EXIT_CONFIG, "were forwarded to a file");
    assert_non_null(strstr(f.outlet->ops->guarantee(f.outlet), "at-least-once: "));
    close_outlet(&f);
}

/* ---- FIFOs and devices ----------------------------------------------------------------------- */

/* A FIFO gets the same lines, at least once, and says so. */
static void a_fifo_is_at_least_once(void **state)
{
    (void)state;
    struct fixture f;
    char found[64] = "";
    reset(&f);
    assert_int_equal(mkfifo(PATH, 0666), 0);
    assert_int_equal(open_path(&f, PATH), WEIR_FATAL);
    expect_error(&f, WR_EXIT_UNAVAILABLE, "start its reader first");
    close_outlet(&f);
    int reader = open(PATH, O_RDONLY | O_NONBLOCK);

    assert_int_equal(open_path(&f, PATH), WEIR_OK);
    assert_non_null(strstr(f.outlet->ops->guarantee(f.outlet), "at-least-once"));
    send_text(&f, "one");
    assert_int_equal(settle(&f), WEIR_OK);
    assert_int_equal(f.marker.length, -1);
    assert_int_equal(read(reader, found, sizeof found - 1), 4);
    assert_string_equal(found, "one\n");

    close(reader);
    send_text(&f, "two");
    assert_int_equal(settle(&f), WEIR_FATAL);
    expect_error(&f, WR_EXIT_IO, "its reader went away");
    close_outlet(&f);
}

/* A device that is full, and one that takes everything. */
static void devices_are_written_to(void **state)
{
    (void)state;
    struct fixture f;
    reset(&f);
    assert_int_equal(open_path(&f, "/dev/null"), WEIR_OK);
    send_text(&f, "gone");
    assert_int_equal(settle(&f), WEIR_OK);
    close_outlet(&f);

    assert_int_equal(open_path(&f, "/dev/full"), WEIR_OK);
    send_text(&f, "too much");
    assert_int_equal(settle(&f), WEIR_FATAL);
    expect_error(&f, WR_EXIT_IO, "No space left");
    close_outlet(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_become_lines),
        cmocka_unit_test(large_values_wait_for_the_reader),
        cmocka_unit_test(a_reader_that_goes_away_is_an_error),
        cmocka_unit_test(a_closed_standard_output_is_an_error),
        cmocka_unit_test(a_file_does_not_become_standard_output),
        cmocka_unit_test(a_fifo_is_at_least_once),
        cmocka_unit_test(devices_are_written_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
