/* test_forward.c: the forwarder over a real store and a real file: in order, once, from any crash.
 * labels: threads
 *
 * Long because the store, the files and the crashes that it needs are made here.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "txn/base/env.h"
#include "txn/delivery.h"
#include "txn/forward.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define STORE "test.weir"
enum { SINKS = 2 };

/* A store with two outboxes, each forwarded to a file: what an instance has when it runs. */
struct fixture {
    struct wr_env env;
    struct wr_arena arena;
    struct wr_store *store;
    struct wr_sink sinks[SINKS];
    struct wr_epoch epoch;
    struct wr_forwarder *forwarder;
    struct wr_error error;
    int64_t number; /* of the last decided epoch */
};

static const char *const paths[SINKS] = {"a.txt", "b.txt"};

static void must(struct fixture *f, weir_status status)
{
    assert_string_equal(f->error.text, "");
    assert_int_equal(status, WEIR_OK);
}

/* Opens the store and defines its sinks, as a start does. */
static void open_store(struct fixture *f)
{
    static const char *const names[SINKS] = {"a", "b"};
    struct wr_store_options options = {.path = STORE,
                                       .job = "test",
                                       .create = true,
                                       .sync = WR_SYNC_OFF,
                                       .wal_bytes_max = WR_WAL_BYTES_MAX_DEFAULT};
    *f = (struct fixture){.number = 0};
    wr_env_init(&f->env);
    f->env.level = WR_LOG_WARN;
    wr_arena_init(&f->arena, 0);
    must(f, wr_store_open(&f->env, &options, &f->store, &f->error));
    f->number = wr_store_info(f->store)->epoch;
    for (size_t i = 0; i < SINKS; i++) {
        f->sinks[i] = (struct wr_sink){.name = names[i],
                                       .uri = "file:",
                                       .kind = WR_SINK_OUTBOX,
                                       .topic_name = names[i],
                                       .partitions = 1};
    }
    struct wr_definition definition = {
        .sinks = f->sinks, .sink_count = SINKS, .graph = "{}", .options = "{}"};
    must(f, wr_store_define(f->store, &definition, &f->error));
    must(f, wr_epoch_init(&f->epoch, f->sinks, SINKS, &f->error));
}

/* Adds a sink with the given outlet and the marker that the store has. */
static weir_status add(struct fixture *f, size_t sink, struct wr_outlet *outlet)
{
    struct wr_catalog catalog;
    const struct wr_marker *marker = NULL;
    must(f, wr_store_catalog(f->store, &f->arena, &catalog, &f->error));
    for (size_t i = 0; i < catalog.marker_count; i++) {
        if (strcmp(catalog.markers[i].sink, f->sinks[sink].name) == 0) {
            marker = &catalog.markers[i];
        }
    }
    return wr_forwarder_add(f->forwarder, &f->sinks[sink], outlet, marker, &f->error);
}

static weir_status start(struct fixture *f)
{
    open_store(f);
    must(f, wr_forwarder_new(&f->env, f->store, &f->arena, &f->forwarder, &f->error));
    for (size_t i = 0; i < SINKS; i++) {
        struct wr_outlet *outlet;
        must(f, wr_outlet_file_open(&f->env, f->sinks[i].name, paths[i], false, WR_SYNC_OFF,
                                    &outlet, &f->error));
        must(f, add(f, i, outlet));
    }
    return wr_forwarder_check(f->forwarder, &f->error);
}

/* Drops everything, as a crash does: nothing is written. */
static void drop(struct fixture *f)
{
    wr_forwarder_free(f->forwarder);
    wr_epoch_fini(&f->epoch);
    wr_store_close(f->store);
    wr_arena_fini(&f->arena);
}

static void remove_all(void)
{
    static const char *const files[] = {STORE,         STORE "-wal", STORE "-shm",
                                        STORE ".lock", "a.txt",      "b.txt"};
    for (size_t i = 0; i < COUNT(files); i++) {
        unlink(files[i]);
    }
}

/* Decides an epoch whose sink got records that hold their own offset, each `size` bytes. */
static void decide_records(struct fixture *f, const int64_t counts[SINKS], size_t size)
{
    char *value = calloc(1, size + 32);
    assert_non_null(value);
    wr_epoch_begin(&f->epoch, ++f->number);
    for (size_t i = 0; i < SINKS; i++) {
        for (int64_t n = 0; n < counts[i]; n++) {
            int length = snprintf(value, size + 32, "%s%0*" PRId64, f->sinks[i].name, (int)size,
                                  f->sinks[i].next[0] + n);
            weir_record record = {.value = {value, (size_t)length}};
            must(f, wr_epoch_append(&f->epoch, i, 0, &record, &f->error));
        }
    }
    wr_epoch_seal(&f->epoch);
    must(f, wr_store_apply(f->store, &(struct wr_apply){.epoch = &f->epoch}, &f->error));
    f->epoch.phase = WR_EPOCH_DECIDED;
    free(value);
}

static void decide(struct fixture *f, int64_t a, int64_t b)
{
    decide_records(f, (const int64_t[SINKS]){a, b}, 1);
}

static bool step(struct fixture *f)
{
    bool moved = false;
    must(f, wr_forwarder_step(f->forwarder, &moved, &f->error));
    return moved;
}

static void decide_markers(struct fixture *f)
{
    const struct wr_marker *markers;
    size_t count = wr_forwarder_markers(f->forwarder, &markers);
    must(f, wr_store_apply(f->store, &(struct wr_apply){.markers = markers, .marker_count = count},
                           &f->error));
    wr_forwarder_decided(f->forwarder);
}

/* Forwards and decides until there is nothing left. */
static void forward_all(struct fixture *f)
{
    while (step(f)) {
        decide_markers(f);
    }
}

/* The file has the records 0 to count - 1 of a sink, once each and in order. */
static void expect_records(size_t sink, int64_t count)
{
    char line[64], expected[64];
    FILE *file = fopen(paths[sink], "r");
    assert_non_null(file);
    for (int64_t i = 0; i < count; i++) {
        snprintf(expected, sizeof expected, "%c%" PRId64 "\n", "ab"[sink], i);
        if (!fgets(line, sizeof line, file) || strcmp(line, expected) != 0) {
            fail_msg("%s has \"%s\" where record %" PRId64 " should be", paths[sink], line, i);
        }
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
}

/* ---- Forwarding ------------------------------------------------------------------------------ */

/* A sink that has never sent first has its marker decided, which says which file it is: a crash
 * after the first send would find a file that the store does not know. */
static void a_new_sink_is_claimed_before_it_sends(void **state)
{
    (void)state;
    struct fixture f;
    const struct wr_marker *markers;
    remove_all();
    must(&f, start(&f));
    decide(&f, 3, 0);

    assert_true(step(&f));

    expect_records(0, 0);
    assert_int_equal(wr_forwarder_markers(f.forwarder, &markers), SINKS);
    for (size_t i = 0; i < SINKS; i++) {
        assert_string_equal(markers[i].sink, f.sinks[i].name);
        assert_int_equal(markers[i].next, 0);
        assert_int_equal(markers[i].length, 0);
        assert_true(markers[i].incarnation == wr_store_info(f.store)->incarnation);
        assert_non_null(markers[i].identity);
    }
    forward_all(&f);
    expect_records(0, 3);
    drop(&f);
}

/* What is decided is sent once, in order, and the marker follows; a start finds nothing to send. */
static void decided_records_are_sent_once_in_order(void **state)
{
    (void)state;
    struct fixture f;
    remove_all();
    must(&f, start(&f));
    decide_markers(&f);
    assert_false(step(&f));

    decide(&f, 3, 1);
    decide(&f, 4, 0);
    forward_all(&f);
    decide(&f, 1, 5);
    forward_all(&f);

    expect_records(0, 8);
    expect_records(1, 6);
    drop(&f);
    must(&f, start(&f));
    const struct wr_marker *markers;
    assert_int_equal(wr_forwarder_markers(f.forwarder, &markers), 0);
    assert_false(step(&f));
    decide(&f, 1, 1);
    forward_all(&f);
    expect_records(0, 9);
    expect_records(1, 7);
    drop(&f);
}

/* Nothing more is sent while markers wait to be decided. */
static void waiting_markers_hold_everything_back(void **state)
{
    (void)state;
    struct fixture f;
    remove_all();
    must(&f, start(&f));
    decide_markers(&f);
    decide(&f, 2, 0);
    assert_true(step(&f));

    decide(&f, 2, 2);
    assert_true(step(&f));
    assert_true(step(&f));

    expect_records(0, 2);
    expect_records(1, 0);
    decide_markers(&f);
    forward_all(&f);
    expect_records(0, 4);
    expect_records(1, 2);
    drop(&f);
}

/* A step sends a bounded amount, and the backlog says how many records are left. */
static void a_step_is_bounded(void **state)
{
    (void)state;
    struct fixture f;
    int64_t sent = 0, steps = 0;
    remove_all();
    must(&f, start(&f));
    decide_markers(&f);
    for (int i = 0; i < 40; i++) {
        decide_records(&f, (const int64_t[SINKS]){10, 1}, 100000);
    }

    while (step(&f)) {
        const struct wr_marker *markers;
        size_t count = wr_forwarder_markers(f.forwarder, &markers);
        int64_t before = sent;
        sent = 440 - wr_forwarder_backlog(f.forwarder);
        assert_true(count > 0 && sent > before);
        assert_true((sent - before) * 100000 <= 18 * 1024 * 1024);
        decide_markers(&f);
        steps++;
    }

    assert_int_equal(wr_forwarder_backlog(f.forwarder), 0);
    assert_true(steps >= 3);
    assert_non_null(strstr(wr_forwarder_guarantee(f.forwarder, "b"), "exactly-once"));
    assert_null(wr_forwarder_guarantee(f.forwarder, "c"));
    drop(&f);
}

/* ---- Crashes --------------------------------------------------------------------------------- */

/* Killed at each of its points, at the first, second and third passing, the files in the end hold
 * each record once. */
static void every_crash_ends_well(void **state)
{
    (void)state;
    static const char *const points[] = {"forward_before_send", "forward_after_send",
                                         "forward_after_sync"};
    for (size_t i = 0; i < COUNT(points) * 3; i++) {
        struct fixture f;
        char arm[64];
        remove_all();
        must(&f, start(&f));
        snprintf(arm, sizeof arm, "%s:%zu", points[i / 3], i % 3 + 1);
        assert_true(wr_fault_arm(&f.env.fault, arm));
        f.env.fault.returns = true;
        weir_status status = WEIR_OK;
        for (int64_t n = 0; n < 10 && status == WEIR_OK; n++) {
            bool moved = true;
            decide(&f, n, 1);
            while (moved && (status = wr_forwarder_step(f.forwarder, &moved, &f.error)) == 0) {
                decide_markers(&f);
            }
        }
        assert_true(f.env.fault.passed);
        assert_int_equal(status, WEIR_FATAL);
        int64_t a = f.sinks[0].next[0], b = f.sinks[1].next[0];
        drop(&f);

        must(&f, start(&f));
        decide(&f, 1, 1);
        decide_markers(&f);
        forward_all(&f);

        expect_records(0, a + 1);
        expect_records(1, b + 1);
        drop(&f);
    }
}

/* Epochs, steps, markers and crashes in random order: what is in the files is always a beginning
 * of what was decided, and in the end all of it. */
static void random_runs_end_well(void **state)
{
    (void)state;
    uint64_t random = 20240607;
    for (int run = 0; run < 20; run++) {
        struct fixture f;
        remove_all();
        must(&f, start(&f));
        for (int act = 0; act < 60; act++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            unsigned choice = (unsigned)(random >> 33) % 10, many = (unsigned)(random >> 50) % 40;
            if (choice < 4) {
                decide(&f, many, many / 7);
            } else if (choice < 7) {
                step(&f);
            } else if (choice < 9) {
                decide_markers(&f);
            } else {
                drop(&f);
                must(&f, start(&f));
            }
        }
        decide_markers(&f);
        forward_all(&f);
        expect_records(0, f.sinks[0].next[0]);
        expect_records(1, f.sinks[1].next[0]);
        drop(&f);
    }
}

/* ---- Damage ---------------------------------------------------------------------------------- */

static void execute(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(STORE, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

/* A batch that is damaged or missing stops the run, naming topic and offset; nothing of it and
 * nothing after it is sent. */
static void damaged_logs_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *text;
    } cases[] = {
        {"UPDATE log SET batch = CAST(substr(batch, 1, 41) || x'00' || substr(batch, 43) AS BLOB)"
         " WHERE first_offset = 3",
         "topic a) from offset 3"},
        {"UPDATE log SET batch = x'01' WHERE first_offset = 3", "topic a) from offset 3"},
        {"UPDATE log SET batch = x'' WHERE first_offset = 3", "offset 3"},
        {"DELETE FROM log WHERE first_offset = 3", "has no offset 3"},
        {"DELETE FROM log WHERE first_offset = 6", "offset 6"},
        {"UPDATE meta SET value = value + 1 WHERE key = 'generation';"
         "DELETE FROM log WHERE first_offset = 3",
         "overtaken"}, /* another process trimmed it */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        bool moved, damaged = strcmp(cases[i].text, "overtaken") != 0;
        remove_all();
        must(&f, start(&f));
        decide_markers(&f);
        for (int n = 0; n < 3; n++) {
            decide(&f, 3, 0);
        }
        execute(cases[i].sql);
        assert_int_equal(wr_forwarder_step(f.forwarder, &moved, &f.error), WEIR_FATAL);
        assert_int_equal(f.error.exit_code, damaged ? WR_EXIT_DATA : WR_EXIT_AGAIN);
        if (!strstr(f.error.text, cases[i].text)) {
            fail_msg("\"%s\" is without \"%s\"", f.error.text, cases[i].text);
        }
        drop(&f);
    }
}

/* ---- Outlets --------------------------------------------------------------------------------- */

/* An outlet that remembers what it got, and fails where it is told to. */
struct probe {
    struct wr_outlet base;
    int64_t first, count;
    int settles, closes;
    bool fail_check, fail_send, fail_settle;
};

static weir_status probe_send(struct wr_outlet *outlet, const weir_record *record, int64_t offset,
                              struct wr_error *error)
{
    struct probe *probe = (struct probe *)outlet;
    assert_non_null(record->value.data);
    if (probe->count == 0) {
        probe->first = offset;
    }
    assert_int_equal(offset, probe->first + probe->count);
    probe->count++;
    return probe->fail_send ? wr_fail(error, WEIR_FATAL, WR_EXIT_IO, "no send") : WEIR_OK;
}
static weir_status probe_settle(struct wr_outlet *outlet, struct wr_marker *marker,
                                struct wr_error *error)
{
    struct probe *probe = (struct probe *)outlet;
    probe->settles++;
    marker->identity = "probe";
    marker->length = -1;
    return probe->fail_settle && probe->count ? wr_fail(error, WEIR_FATAL, WR_EXIT_IO, "no settle")
                                              : WEIR_OK;
}
static weir_status probe_check(struct wr_outlet *outlet, const struct wr_marker *marker,
                               struct wr_error *error)
{
    (void)marker;
    return ((struct probe *)outlet)->fail_check
               ? wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG, "no check")
               : WEIR_OK;
}
static void probe_close(struct wr_outlet *outlet)
{
    ((struct probe *)outlet)->closes++;
}
static const struct wr_outlet_ops probe_ops = {
    .send = probe_send, .settle = probe_settle, .check = probe_check, .close = probe_close};

/* Sending goes on from the marker, in the middle of a batch too; one beyond the log's end is a
 * damaged store. */
static void sending_goes_on_from_the_marker(void **state)
{
    (void)state;
    static const struct {
        int64_t next, sent;
        const char *error;
    } cases[] = {{0, 10, ""}, {3, 7, ""}, {9, 1, ""}, {10, 0, ""}, {11, 0, "ends at 10"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture f;
        struct probe probe = {.base.ops = &probe_ops};
        struct wr_marker marker = {.next = cases[i].next, .length = -1, .identity = "probe"};
        bool moved;
        remove_all();
        open_store(&f), decide(&f, 10, 0);
        must(&f, wr_forwarder_new(&f.env, f.store, &f.arena, &f.forwarder, &f.error));
        must(&f, wr_forwarder_add(f.forwarder, &f.sinks[0], &probe.base, &marker, &f.error));
        must(&f, wr_forwarder_check(f.forwarder, &f.error));

        weir_status status = wr_forwarder_step(f.forwarder, &moved, &f.error);

        assert_int_equal(status, cases[i].error[0] ? WEIR_FATAL : WEIR_OK);
        assert_int_equal(f.error.exit_code, cases[i].error[0] ? WR_EXIT_DATA : WR_EXIT_OK);
        assert_non_null(strstr(f.error.text, cases[i].error));
        assert_int_equal(moved, cases[i].sent > 0);
        assert_int_equal(probe.count, cases[i].sent);
        assert_int_equal(probe.first, cases[i].sent ? cases[i].next : 0);
        drop(&f);
        assert_int_equal(probe.closes, 1);
    }
}

/* An outlet's error is the step's (or the check's), and no marker moves. */
static void errors_of_outlets_move_no_marker(void **state)
{
    (void)state;
    static const struct probe probes[] = {{.base.ops = &probe_ops, .fail_check = true},
                                          {.base.ops = &probe_ops, .fail_send = true},
                                          {.base.ops = &probe_ops, .fail_settle = true}};
    static const char *const texts[] = {"no check", "no send", "no settle"};
    for (size_t i = 0; i < COUNT(probes); i++) {
        struct fixture f;
        struct probe probe = probes[i];
        const struct wr_marker *markers;
        bool moved = false;
        remove_all();
        open_store(&f), decide(&f, 10, 0);
        must(&f, wr_forwarder_new(&f.env, f.store, &f.arena, &f.forwarder, &f.error));
        must(&f, add(&f, 0, &probe.base));
        weir_status status = wr_forwarder_check(f.forwarder, &f.error);
        if (status == WEIR_OK) {
            decide_markers(&f);
            status = wr_forwarder_step(f.forwarder, &moved, &f.error);
        }
        assert_int_equal(status, WEIR_FATAL);
        assert_string_equal(f.error.text, texts[i]);
        assert_int_equal(wr_forwarder_markers(f.forwarder, &markers), 0);
        drop(&f);
        assert_int_equal(probe.closes, 1);
    }
}

/* ---- Threads --------------------------------------------------------------------------------- */

struct forwarding {
    struct fixture *f;
    atomic_bool stop;
    struct wr_error error;
};

static void *forward_thread(void *arg)
{
    struct forwarding *forwarding = arg;
    bool moved = false;
    while (!atomic_load(&forwarding->stop) &&
           wr_forwarder_step(forwarding->f->forwarder, &moved, &forwarding->error) == WEIR_OK) {
        sched_yield();
    }
    return NULL;
}

/* One thread steps while another decides epochs and markers: all is sent once, and the two need
 * nothing but what the forwarder itself hands over. */
static void a_thread_of_its_own_forwards(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t thread;
    const struct wr_marker *markers;
    remove_all();
    must(&f, start(&f));
    struct forwarding forwarding = {.f = &f};
    assert_int_equal(pthread_create(&thread, NULL, forward_thread, &forwarding), 0);

    for (int i = 0; i < 300; i++) {
        decide(&f, i % 7, i % 3);
        if (wr_forwarder_markers(f.forwarder, &markers) > 0) {
            decide_markers(&f);
        }
    }

    atomic_store(&forwarding.stop, true);
    pthread_join(thread, NULL);
    assert_string_equal(forwarding.error.text, "");
    decide_markers(&f);
    forward_all(&f);
    expect_records(0, f.sinks[0].next[0]);
    expect_records(1, f.sinks[1].next[0]);
    drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_sink_is_claimed_before_it_sends),
        cmocka_unit_test(decided_records_are_sent_once_in_order),
        cmocka_unit_test(waiting_markers_hold_everything_back),
        cmocka_unit_test(a_step_is_bounded),
        cmocka_unit_test(every_crash_ends_well),
        cmocka_unit_test(random_runs_end_well),
        cmocka_unit_test(damaged_logs_are_named),
        cmocka_unit_test(sending_goes_on_from_the_marker),
        cmocka_unit_test(errors_of_outlets_move_no_marker),
        cmocka_unit_test(a_thread_of_its_own_forwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
