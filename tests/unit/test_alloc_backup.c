/* test_alloc_backup.c: txn/store_backup.c: whichever allocation fails, of the library or of SQLite,
 * or whichever call to a file, a backup is whole or there is none, the store is as it was, and the
 * next backup succeeds. What `weir backup` refuses and shows is in cli/backup.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/fail_alloc.h"
#include "tests/lib/fail_io.h"
#include "tests/lib/scratch_store.h"

enum { SLOTS = 400, SLOT_BYTES = 16000 }; /* some 400 pages: more than one step */

struct made {
    struct scratch *scratch;
    char file[128], partial[160];
    int steps; /* of the last backup */
    int stop_after; /* the step after which it is told to stop, 0: never */
    struct wr_backup backup;
};

static void make(struct made *made)
{
    static char value[SLOT_BYTES];
    memset(made, 0, sizeof *made);
    struct scratch *s = made->scratch = scratch_new();
    snprintf(made->file, sizeof made->file, "%s/copy.weir", s->folder);
    snprintf(made->partial, sizeof made->partial, "%s.partial", made->file);
    scratch_open(s);
    scratch_begin(s);
    for (uint32_t i = 0; i < SLOTS; i++) {
        memset(value, (int)('a' + i % 26), sizeof value);
        scratch_put(s, s->nodes[0].id, wr_bytes(&i, sizeof i), (weir_bytes){NULL, 0},
                    wr_bytes(value, sizeof value));
    }
    scratch_position(s, SLOTS);
    scratch_decide(s);
}

static bool on_progress(void *data, int64_t done, int64_t total)
{
    struct made *made = data;
    assert_true(done > 0 && done <= total);
    return ++made->steps != made->stop_after;
}

static weir_status back_up(struct made *made)
{
    struct scratch *s = made->scratch;
    made->steps = 0;
    return wr_store_backup(&s->env, s->path, made->file, on_progress, made, &made->backup,
                           &s->error);
}

/* There is no copy, nor the beginning of one. */
static void nothing_is_left(const struct made *made)
{
    assert_int_not_equal(access(made->file, F_OK), 0);
    assert_int_not_equal(access(made->partial, F_OK), 0);
}

/* It is whole; it goes. */
static void is_whole(struct made *made)
{
    struct wr_reader *reader = NULL;
    struct scratch *s = made->scratch;
    weir_bytes value;
    assert_int_equal(made->backup.epoch, 1);
    scratch_must(s, wr_reader_open(&s->env, made->file, &reader, &s->error));
    for (uint32_t i = 0; i < SLOTS; i++) {
        wr_arena_reset(&s->arena);
        scratch_must(s, wr_reader_get(reader, s->nodes[0].id, wr_bytes(&i, sizeof i),
                                      (weir_bytes){NULL, 0}, &s->arena, &value, &s->error));
        assert_int_equal(value.size, SLOT_BYTES);
        assert_int_equal(((const char *)value.data)[SLOT_BYTES - 1], 'a' + i % 26);
    }
    wr_reader_close(reader);
    char name[160];
    assert_int_equal(unlink(made->file), 0);
    snprintf(name, sizeof name, "%s-wal", made->file);
    (void)unlink(name); /* the reader's */
    snprintf(name, sizeof name, "%s-shm", made->file);
    (void)unlink(name);
}

/* Progress is shown, and the copy is of the snapshot, whatever is decided meanwhile. */
static void test_a_backup(void **state)
{
    (void)state;
    struct made made;
    make(&made);
    scratch_must(made.scratch, back_up(&made));
    assert_true(made.steps >= 1);
    assert_true(made.backup.bytes > (int64_t)SLOTS * SLOT_BYTES);
    is_whole(&made);
    scratch_free(made.scratch);
}

static void test_stopped(void **state)
{
    (void)state;
    struct made made;
    make(&made);
    made.stop_after = 1;
    scratch_must_fail(made.scratch, back_up(&made), WR_EXIT_AGAIN, "was stopped");
    nothing_is_left(&made);
    scratch_free(made.scratch);
}

/* After a failure all is as before, and a backup can be made. */
static void fails_cleanly(struct made *made, weir_status status, const char *what, int64_t n)
{
    if (status == WEIR_OK) {
        is_whole(made);
        return;
    }
    int code = (int)made->scratch->error.exit_code;
    if (code != WR_EXIT_AGAIN && code != WR_EXIT_IO) {
        fail_msg("%s %lld: exit code %d, %s", what, (long long)n, code, made->scratch->error.text);
    }
    wr_error_clear(&made->scratch->error);
    nothing_is_left(made);
}

static void test_allocations(void **state)
{
    (void)state;
    for (int of = FAIL_ALLOC_WEIR; of <= FAIL_ALLOC_SQLITE; of++) {
        struct made made;
        make(&made);
        bool hit = true;
        for (int64_t n = 1; hit; n += 1 + n / 12) {
            fail_alloc_arm((enum fail_alloc_of)of, n, false);
            weir_status status = back_up(&made);
            fail_alloc_off();
            hit = fail_alloc_hit();
            fails_cleanly(&made, status, "allocation", n);
        }
        scratch_must(made.scratch, back_up(&made));
        is_whole(&made);
        scratch_free(made.scratch);
    }
}

static void test_calls(void **state)
{
    (void)state;
    static const struct {
        enum fail_io_call call;
        enum fail_io_how how;
        const char *name;
    } cases[] = {{FAIL_IO_READ, FAIL_IO_ERROR, "read"},
                 {FAIL_IO_WRITE, FAIL_IO_ERROR, "write"},
                 {FAIL_IO_WRITE, FAIL_IO_FULL, "write, full"},
                 {FAIL_IO_WRITE, FAIL_IO_HALF, "half a write"},
                 {FAIL_IO_OPEN, FAIL_IO_ERROR, "open"},
                 {FAIL_IO_SIZE, FAIL_IO_ERROR, "size"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made made;
        make(&made);
        bool hit = true;
        for (int64_t n = 1; hit; n += 1 + n / 3) {
            fail_io_arm(cases[i].call, cases[i].how, n, false);
            weir_status status = back_up(&made);
            fail_io_off();
            hit = fail_io_hit();
            fails_cleanly(&made, status, cases[i].name, n);
        }
        scratch_must(made.scratch, back_up(&made));
        is_whole(&made);
        scratch_free(made.scratch);
    }
}

int main(void)
{
    fail_alloc_init();
    fail_io_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_backup),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
