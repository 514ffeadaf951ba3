/* test_store_open.c: which files are opened, which are refused and with what words; one process,
 * one generation; the job's shape; checkpoints.
 *
 * Long because every kind of file that is no store is tried here.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
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

#include "tests/lib/scratch_store.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const weir_bytes absent = {NULL, 0};

static int set_up(void **state)
{
    *state = scratch_new();
    return 0;
}

static int tear_down(void **state)
{
    scratch_free(*state);
    return 0;
}

static weir_status try_path(struct scratch *s, const char *path, const char *job, bool create)
{
    struct wr_store_options options = {
        .path = path, .job = job, .create = create, .sync = WR_SYNC_OFF};
    return wr_store_open(&s->env, &options, &s->store, &s->error);
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* A new store says so; opened again it is the same one, a generation further. */
static void a_store_is_made_and_found_again(void **state)
{
    struct scratch *s = *state;
    char id[33];
    uint64_t incarnation = 0;
    for (int64_t generation = 1; generation <= 3; generation++) {
        scratch_open(s);
        const struct wr_store_info *info = wr_store_info(s->store);
        assert_string_equal(info->path, s->path);
        assert_string_equal(info->job, "test");
        assert_int_equal(info->created, generation == 1);
        assert_int_equal(info->generation, generation);
        assert_int_equal(info->epoch, generation - 1);
        assert_int_equal(strlen(info->id), 32);
        assert_true(generation == 1 || strcmp(id, info->id) == 0);
        assert_true(incarnation != info->incarnation);
        snprintf(id, sizeof id, "%s", info->id);
        incarnation = info->incarnation;
        scratch_begin(s);
        scratch_decide(s);
        scratch_close(s);
    }
    assert_string_equal(scratch_query(s, "PRAGMA page_size"), "8192");
    assert_string_equal(scratch_query(s, "PRAGMA journal_mode"), "wal");
}

/* A store that a crash left before anyone had its first generation is still new. */
static void a_crash_while_it_is_made_leaves_a_new_store(void **state)
{
    struct scratch *s = *state;
    s->env.fault = (struct wr_fault){
        .point = WR_FAULT_open_before_generation, .countdown = 1, .returns = true};
    assert_int_not_equal(scratch_try_open(s), WEIR_OK);
    wr_error_clear(&s->error);
    s->env.fault =
        (struct wr_fault){.point = WR_FAULT_open_after_generation, .countdown = 1, .returns = true};
    assert_int_not_equal(scratch_try_open(s), WEIR_OK);
    wr_error_clear(&s->error);
    s->env.fault = (struct wr_fault){.point = WR_FAULT_none};
    scratch_open(s);
    assert_int_equal(wr_store_info(s->store)->generation, 2);
    assert_false(wr_store_info(s->store)->created);
}

/* A store without a job, as `weir produce` makes one, becomes that of the first job. */
static void a_store_without_a_job_takes_the_first(void **state)
{
    struct scratch *s = *state;
    scratch_must(s, try_path(s, s->path, NULL, true));
    assert_string_equal(wr_store_info(s->store)->job, "");
    scratch_close(s);
    scratch_open(s);
    scratch_close(s);
    scratch_must(s, try_path(s, s->path, NULL, false));
    assert_string_equal(wr_store_info(s->store)->job, "test");
}

/* Another job's store is refused, and both are named. */
static void another_jobs_store_is_refused(void **state)
{
    struct scratch *s = *state;
    scratch_open(s);
    scratch_close(s);
    weir_status status = try_path(s, s->path, "other", true);
    assert_non_null(strstr(s->error.text, "`test`"));
    scratch_must_fail(s, status, WR_EXIT_CONFIG, "`other`");
    scratch_open(s);
    assert_int_equal(wr_store_info(s->store)->generation, 2); /* the refused one did not count */
}

/* A store is open once; who comes second learns the pid. Through another name it is the same. */
static void a_store_is_open_once(void **state)
{
    struct scratch *s = *state;
    char pid[16], link[128];
    scratch_open(s);
    struct wr_store *first = s->store;
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    snprintf(link, sizeof link, "%s/link.weir", s->folder);
    assert_int_equal(symlink("test.weir", link), 0);
    scratch_must_fail(s, try_path(s, s->path, "test", true), WR_EXIT_AGAIN, pid);
    scratch_must_fail(s, try_path(s, link, "test", true), WR_EXIT_AGAIN, pid);
    assert_int_equal(unlink(link), 0);
    s->store = first;
    scratch_begin(s);
    scratch_decide(s);
}

/* Who was overtaken decides nothing any more. */
static void who_was_overtaken_cannot_decide(void **state)
{
    struct scratch *s = *state;
    scratch_open(s);
    scratch_sql(s, "UPDATE meta SET value = value + 1 WHERE key = 'generation'");
    scratch_begin(s);
    scratch_put(s, s->nodes[0].id, weir_text("k"), absent, weir_text("v"));
    scratch_must_fail(s, scratch_try_decide(s, NULL, 0), WR_EXIT_AGAIN, "overtaken");
    assert_string_equal(scratch_query(s, "SELECT count(*) FROM state"), "0");
}

/* ---- Files that are no store ----------------------------------------------------------------- */

/* What is not there, or not where it is said to be. */
static void missing_files_are_named(void **state)
{
    struct scratch *s = *state;
    char path[128];
    scratch_must_fail(s, try_path(s, s->path, NULL, false), WR_EXIT_NO_INPUT, s->path);
    scratch_must_fail(s, wr_reader_open(&s->env, s->path, &s->reader, &s->error), WR_EXIT_NO_INPUT,
                      s->path);
    snprintf(path, sizeof path, "%s/none/x.weir", s->folder);
    scratch_must_fail(s, try_path(s, path, "test", true), WR_EXIT_NO_INPUT, path);
    scratch_must_fail(s, try_path(s, "", "test", true), WR_EXIT_NO_INPUT, "cannot open");
    scratch_must_fail(s, try_path(s, s->folder, "test", true), WR_EXIT_DATA, "regular file");
    assert_int_not_equal(access(s->path, F_OK), 0); /* nothing was made on the way */
}

/* A directory that may not be written: 77. As root the test takes another user's place. */
static void a_read_only_directory_is_named(void **state)
{
    struct scratch *s = *state;
    bool root = geteuid() == 0;
    assert_int_equal(chmod(s->folder, root ? 0755 : 0555), 0);
    if (root && seteuid(65534) != 0) {
        skip();
    }
    weir_status status = try_path(s, s->path, "test", true);
    if (root) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_int_equal(chmod(s->folder, 0755), 0);
    scratch_must_fail(s, status, WR_EXIT_PERMISSION, s->path);
}

/* Files with other contents are refused by both kinds of connection, and stay as they are. */
static void other_files_are_refused(void **state)
{
    struct scratch *s = *state;
    char noise[40000];
    uint64_t seed = 3;
    for (size_t i = 0; i < sizeof noise; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        noise[i] = (char)(seed >> 56);
    }
    const struct {
        const void *data;
        size_t size;
    } cases[] = {{noise, sizeof noise}, {noise, 100}, {"x", 1}, {"SQLite format 3", 16}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        write_file(s->path, cases[i].data, cases[i].size);
        scratch_must_fail(s, try_path(s, s->path, "test", true), WR_EXIT_DATA, s->path);
        scratch_must_fail(s, wr_reader_open(&s->env, s->path, &s->reader, &s->error), WR_EXIT_DATA,
                          s->path);
        struct stat info;
        assert_int_equal(stat(s->path, &info), 0);
        assert_int_equal(info.st_size, cases[i].size);
    }
}

/* A database that is somebody else's is refused and not touched. */
static void other_databases_are_refused(void **state)
{
    struct scratch *s = *state;
    scratch_sql(s, "CREATE TABLE mine(x); INSERT INTO mine VALUES(1)");
    scratch_must_fail(s, try_path(s, s->path, "test", true), WR_EXIT_DATA, "not a store");
    scratch_must_fail(s, wr_reader_open(&s->env, s->path, &s->reader, &s->error), WR_EXIT_DATA,
                      "not a store");
    assert_string_equal(scratch_query(s, "SELECT group_concat(name) FROM sqlite_schema"), "mine");
    assert_string_equal(scratch_query(s, "PRAGMA journal_mode"), "delete");
}

/* An empty file becomes a store where one may be made, unless a WAL says that it was one. */
static void an_empty_file_may_become_a_store(void **state)
{
    struct scratch *s = *state;
    char wal[128];
    write_file(s->path, "", 0);
    scratch_must_fail(s, try_path(s, s->path, "test", false), WR_EXIT_DATA, "empty");
    scratch_open(s);
    assert_true(wr_store_info(s->store)->created);
    scratch_begin(s);
    scratch_decide(s);
    scratch_close(s);
    snprintf(wal, sizeof wal, "%s-wal", s->path);
    assert_int_equal(truncate(s->path, 0), 0);
    assert_int_equal(access(wal, F_OK), 0);
    scratch_must_fail(s, try_path(s, s->path, "test", true), WR_EXIT_DATA, "cut off");
}

/* A store of a later format names the weir that is needed. */
static void a_newer_format_is_refused(void **state)
{
    struct scratch *s = *state;
    scratch_open(s);
    scratch_close(s);
    scratch_sql(s, "PRAGMA user_version=99; UPDATE meta SET value='9.8.7' WHERE key='weir'");
    scratch_must_fail(s, try_path(s, s->path, "test", true), WR_EXIT_CONFIG, "9.8.7");
    scratch_must_fail(s, wr_reader_open(&s->env, s->path, &s->reader, &s->error), WR_EXIT_CONFIG,
                      "9.8.7");
}

static void fill(struct scratch *s)
{
    static const char filler[4000];
    for (int epoch = 0; epoch < 3; epoch++) {
        scratch_begin(s);
        for (int i = 0; i < 100; i++) {
            char key[16];
            snprintf(key, sizeof key, "%d", i);
            scratch_put(s, s->nodes[0].id, weir_text(key), absent, wr_bytes(filler, 4000));
            scratch_timer(s, s->nodes[0].id, weir_text(key), absent, false, i);
        }
        scratch_append(s, SCRATCH_LOG, 0, epoch * 1000, 1000);
        scratch_decide(s);
    }
}

/* A store that was cut at any length is refused or read with errors, never with a crash. */
static void a_cut_store_does_no_harm(void **state)
{
    struct scratch *s = *state;
    scratch_open(s);
    fill(s);
    scratch_close(s);
    scratch_sql(s, "PRAGMA wal_checkpoint(TRUNCATE)");
    struct stat info;
    assert_int_equal(stat(s->path, &info), 0);
    for (off_t size = info.st_size - 1; size > 0; size -= 1 + info.st_size / 40) {
        assert_int_equal(truncate(s->path, size), 0);
        weir_status status = scratch_try_open(s);
        if (status == WEIR_OK) {
            scratch_begin(s);
            scratch_put(s, s->nodes[0].id, weir_text("5"), absent, weir_text("x"));
            scratch_append(s, SCRATCH_LOG, 0, 0, 1);
            status = scratch_try_decide(s, NULL, 0);
        }
        assert_true(status == WEIR_OK || s->error.exit_code == WR_EXIT_DATA);
        wr_error_clear(&s->error);
        scratch_close(s);
    }
}

/* ---- The job's shape ------------------------------------------------------------------------- */

static weir_status define_sink(struct scratch *s, struct wr_sink *sink)
{
    struct wr_definition definition = {.sinks = sink, .sink_count = 1};
    return wr_store_define(s->store, &definition, &s->error);
}

/* Nodes keep their ids, topics their partitions; what is stored is what a sink that does not say
 * gets. */
static void a_definition_is_kept(void **state)
{
    struct scratch *s = *state;
    scratch_open(s);
    uint32_t first = s->nodes[0].id, second = s->nodes[1].id;
    assert_true(first > 0 && second > 0 && first != second);
    scratch_close(s);
    scratch_open(s);
    assert_true(s->nodes[0].id == first && s->nodes[1].id == second);
    struct wr_sink sink = {
        .name = "out", .kind = WR_SINK_LOG, .topic_name = "out", .retain_ms = 5, .retain_bytes = 6};
    scratch_must(s, define_sink(s, &sink));
    assert_int_equal(sink.partitions, SCRATCH_PARTITIONS);
    sink.retain_ms = sink.retain_bytes = -1;
    scratch_must(s, define_sink(s, &sink));
    assert_true(sink.retain_ms == 5 && sink.retain_bytes == 6);
    struct wr_topic *topics;
    size_t count;
    scratch_must(s, wr_reader_topics(scratch_reader(s), "out", false, &s->arena, &topics, &count,
                                     &s->error));
    assert_int_equal(count, 1);
    assert_true(topics->partitions == SCRATCH_PARTITIONS && topics->retain_bytes == 6);
    scratch_must(s,
                 wr_reader_topics(s->reader, NULL, false, &s->arena, &topics, &count, &s->error));
    assert_int_equal(count, 2);
    assert_true(!topics[0].outbox && topics[1].outbox);
    scratch_must(s,
                 wr_reader_topics(s->reader, "none", false, &s->arena, &topics, &count, &s->error));
    assert_int_equal(count, 0);
}

/* What does not fit is refused, and the names say what. */
static void a_definition_that_does_not_fit_is_refused(void **state)
{
    struct scratch *s = *state;
    scratch_open(s);
    scratch_sql(s, "CREATE TABLE foreign_one(id INTEGER PRIMARY KEY, name TEXT);"
                   "CREATE VIEW a_view AS SELECT 1");
    static const struct {
        struct wr_sink sink;
        enum wr_exit exit_code;
        const char *contains;
    } cases[] = {
        {{.name = "a", .kind = WR_SINK_LOG, .topic_name = "out", .partitions = 4},
         WR_EXIT_CONFIG,
         "has 3 partitions, not 4"},
        {{.name = "a", .kind = WR_SINK_TABLE, .table = "state"}, WR_EXIT_USAGE, "`state`"},
        {{.name = "a", .kind = WR_SINK_TABLE, .table = "Timer_Due"}, WR_EXIT_USAGE, "`Timer_Due`"},
        {{.name = "a", .kind = WR_SINK_TABLE, .table = "sqlite_x"}, WR_EXIT_USAGE, "`sqlite_x`"},
        {{.name = "a", .kind = WR_SINK_TABLE, .table = "foreign_one"},
         WR_EXIT_CONFIG,
         "foreign_one"},
        {{.name = "a", .kind = WR_SINK_TABLE, .table = "a_view"}, WR_EXIT_CONFIG, "a_view"},
        {{.name = "a", .kind = WR_SINK_TABLE, .table = "counts", .key_type = WR_COLUMN_INTEGER},
         WR_EXIT_CONFIG,
         "counts"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wr_sink sink = cases[i].sink;
        scratch_must_fail(s, define_sink(s, &sink), cases[i].exit_code, cases[i].contains);
    }
    struct wr_sink odd = {.name = "a", .kind = WR_SINK_TABLE, .table = "odd \"name.-"};
    scratch_must(s, define_sink(s, &odd));
    scratch_must(s, define_sink(s, &odd));
}

struct upgraded {
    int calls;
    char value[64];
};

static weir_status upgrade(void *data, weir_bytes key, weir_bytes slot, weir_bytes value,
                           weir_bytes *value_out, struct wr_error *error)
{
    struct upgraded *upgraded = data;
    (void)key;
    (void)slot;
    if (upgraded->calls++ == 2000) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA, "that is enough");
    }
    bool drop = ((const char *)value.data)[0] == '7';
    int size = snprintf(upgraded->value, sizeof upgraded->value, "new %.*s", (int)value.size,
                        (const char *)value.data);
    *value_out = drop ? absent : wr_bytes(upgraded->value, (size_t)size);
    return WEIR_OK;
}

/* Each slot of the one node is turned once, whatever its key; a failure changes nothing. */
static void state_is_upgraded(void **state)
{
    struct scratch *s = *state;
    struct upgraded upgraded = {.calls = 0};
    scratch_open(s);
    scratch_begin(s);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i % 300);
        scratch_put(s, s->nodes[0].id, i % 300 ? weir_text(key) : absent,
                    i < 300 ? absent
                            : weir_text(i < 600   ? "x"
                                        : i < 900 ? "y"
                                                  : "z"),
                    weir_text(i < 900 ? key : "7"));
        scratch_put(s, s->nodes[1].id, weir_text(key), absent, weir_text("other"));
    }
    scratch_decide(s);
    scratch_must(s, wr_store_upgrade(s->store, s->nodes[0].id, 2, upgrade, &upgraded, &s->error));
    assert_int_equal(upgraded.calls, 1000);
    assert_string_equal(scratch_query(s, "SELECT count(*) || ' ' || sum(value LIKE 'new %')"
                                         " FROM (SELECT cast(value AS TEXT) AS value FROM state"
                                         " WHERE node = 1)"),
                        "867 867");
    assert_string_equal(scratch_query(s, "SELECT version FROM node WHERE id = 1"), "2");
    upgraded.calls = 1500;
    scratch_must_fail(s,
                      wr_store_upgrade(s->store, s->nodes[0].id, 3, upgrade, &upgraded, &s->error),
                      WR_EXIT_DATA, "enough");
    assert_string_equal(scratch_query(s, "SELECT version FROM node WHERE id = 1"), "2");
    assert_string_equal(scratch_query(s, "SELECT count(*) FROM state"
                                         " WHERE cast(value AS TEXT) LIKE 'new new%'"),
                        "0");
}

/* A topic goes with all it holds; an outbox cannot be deleted so. */
static void a_topic_is_dropped(void **state)
{
    struct scratch *s = *state;
    scratch_open(s);
    scratch_begin(s);
    scratch_append(s, SCRATCH_LOG, 0, 0, 10);
    scratch_append(s, SCRATCH_OUTBOX, 0, 0, 10);
    scratch_decide(s);
    scratch_must_fail(s, wr_store_drop_topic(s->store, "file", &s->error), WR_EXIT_USAGE, "file");
    scratch_must(s, wr_store_drop_topic(s->store, "out", &s->error));
    assert_string_equal(scratch_query(s, "SELECT (SELECT count(*) FROM log) || ' ' ||"
                                         " (SELECT count(*) FROM partition)"),
                        "1 1");
}

/* ---- The write-ahead log --------------------------------------------------------------------- */

static void decide_megabyte(struct scratch *s)
{
    static const char filler[100000];
    scratch_begin(s);
    for (int i = 0; i < 10; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        scratch_put(s, s->nodes[0].id, weir_text(key), absent, wr_bytes(filler, sizeof filler));
    }
    scratch_decide(s);
}

/* Checkpoints keep the write-ahead log small, and what it held is in the store. */
static void checkpoints_keep_the_wal_small(void **state)
{
    struct scratch *s = *state;
    struct wr_store_stats stats;
    scratch_open(s);
    for (int i = 0; i < 40; i++) {
        decide_megabyte(s);
        scratch_must(s, wr_store_checkpoint(s->store, &s->error));
        wr_store_stats(s->store, &stats);
        assert_in_range(stats.wal_bytes, 0, 3 * WR_WAL_BYTES_CHECKPOINT);
    }
    assert_in_range(stats.bytes_written, 40 * 1000000, 200 * 1000000);
    assert_in_range(stats.store_bytes, 1000000, 10 * 1000000);
}

/* A reader that keeps its snapshot lets it grow up to --wal-max, and then the run stops. */
static void a_reader_that_stays_stops_the_run(void **state)
{
    struct scratch *s = *state;
    struct wr_store_options options = {
        .path = s->path, .create = true, .sync = WR_SYNC_OFF, .wal_bytes_max = 20 * 1024 * 1024};
    weir_bytes value;
    weir_status status = WEIR_OK;
    scratch_open(s);
    decide_megabyte(s);
    scratch_close(s);
    scratch_must(s, wr_store_open(&s->env, &options, &s->store, &s->error));
    struct wr_definition definition = {.sinks = s->sinks, .sink_count = SCRATCH_SINKS};
    scratch_must(s, wr_store_define(s->store, &definition, &s->error));
    scratch_must(s,
                 wr_reader_get(scratch_reader(s), 1, absent, absent, &s->arena, &value, &s->error));
    for (int i = 0; i < 40 && status == WEIR_OK; i++) {
        decide_megabyte(s);
        status = wr_store_checkpoint(s->store, &s->error);
    }
    scratch_must_fail(s, status, WR_EXIT_AGAIN, "--wal-max");
    wr_reader_end(s->reader);
    for (int i = 0; i < 10; i++) {
        decide_megabyte(s);
        scratch_must(s, wr_store_checkpoint(s->store, &s->error));
    }
}

/* With --sync full an epoch costs one fsync; with off none. */
static void fsyncs_are_counted(void **state)
{
    struct scratch *s = *state;
    scratch_open(s);
    scratch_close(s);
    static const int64_t expected[] = {
        [WR_SYNC_FULL] = 10, [WR_SYNC_NORMAL] = 0, [WR_SYNC_OFF] = 0};
    for (enum wr_sync sync = WR_SYNC_FULL; sync <= WR_SYNC_OFF; sync++) {
        struct wr_store_options options = {.path = s->path, .sync = sync};
        struct wr_definition definition = {.sinks = s->sinks, .sink_count = SCRATCH_SINKS};
        struct wr_store_stats before, after;
        scratch_must(s, wr_store_open(&s->env, &options, &s->store, &s->error));
        scratch_must(s, wr_store_define(s->store, &definition, &s->error));
        wr_store_stats(s->store, &before);
        for (int i = 0; i < 10; i++) {
            scratch_begin(s);
            scratch_decide(s);
        }
        wr_store_stats(s->store, &after);
        assert_int_equal(after.fsyncs - before.fsyncs, expected[sync]);
        scratch_close(s);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_store_is_made_and_found_again),
        TEST(a_crash_while_it_is_made_leaves_a_new_store),
        TEST(a_store_without_a_job_takes_the_first),
        TEST(another_jobs_store_is_refused),
        TEST(a_store_is_open_once),
        TEST(who_was_overtaken_cannot_decide),
        TEST(missing_files_are_named),
        TEST(a_read_only_directory_is_named),
        TEST(other_files_are_refused),
        TEST(other_databases_are_refused),
        TEST(an_empty_file_may_become_a_store),
        TEST(a_newer_format_is_refused),
        TEST(a_cut_store_does_no_harm),
        TEST(a_definition_is_kept),
        TEST(a_definition_that_does_not_fit_is_refused),
        TEST(state_is_upgraded),
        TEST(a_topic_is_dropped),
        TEST(checkpoints_keep_the_wal_small),
        TEST(a_reader_that_stays_stops_the_run),
        TEST(fsyncs_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
