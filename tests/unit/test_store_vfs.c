/* test_store_vfs.c: what the VFS under a store's connection gathers is in the file whenever SQLite
 * or anybody else may look: after each transaction in every mode, also one that spilled pages or
 * wrote a page twice.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/fail_io.h"
#include "tests/lib/program.h"
#include "txn/store_inner.h"

enum { KEYS = 400, TRANSACTIONS = 150 };

static const char *const syncs[] = {"FULL", "NORMAL", "OFF"};

struct world {
    char folder[64], path[96], copy[96];
    struct wr_env env;
    struct wr_store_vfs *vfs;
    sqlite3 *db;
    int64_t model[KEYS]; /* size of the value, 0: no row */
    uint64_t random;
};

static int try_sql(sqlite3 *db, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = sqlite3_vmprintf(format, args);
    va_end(args);
    int code = sqlite3_exec(db, text, NULL, NULL, NULL);
    sqlite3_free(text);
    return code;
}

static void must_sql(sqlite3 *db, const char *text)
{
    int code = try_sql(db, "%s", text);
    if (code != SQLITE_OK) {
        fail_msg("%s: %d, %s", text, code, sqlite3_errmsg(db));
    }
}

static void open_world(struct world *w, const char *sync)
{
    struct wr_error error = {.status = WEIR_OK};
    assert_int_equal(wr_store_vfs_open(&w->env, &w->vfs, &error), WEIR_OK);
    assert_int_equal(
        sqlite3_open_v2(w->path, &w->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, w->vfs->name),
        SQLITE_OK);
    sqlite3_wal_autocheckpoint(w->db, 0);
    sqlite3_extended_result_codes(w->db, 1);
    /* So few pages that a transaction must spill some. */
    must_sql(w->db, "PRAGMA page_size=1024; PRAGMA journal_mode=WAL; PRAGMA cache_size=12;"
                    "CREATE TABLE IF NOT EXISTS t(k INTEGER PRIMARY KEY, v BLOB)");
    assert_int_equal(try_sql(w->db, "PRAGMA synchronous=%s", sync), SQLITE_OK);
}

static void close_world(struct world *w)
{
    assert_int_equal(sqlite3_close(w->db), SQLITE_OK);
    wr_store_vfs_close(w->vfs);
}

static struct world *make_world(const char *sync)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    snprintf(w->folder, sizeof w->folder, "vfs-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->path, sizeof w->path, "%s/store", w->folder);
    snprintf(w->copy, sizeof w->copy, "%s/copy", w->folder);
    wr_env_init(&w->env);
    open_world(w, sync);
    return w;
}

static void free_world(struct world *w)
{
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", w->folder);
    assert_int_equal(system(command), 0);
    free(w);
}

/* ---- Looking --------------------------------------------------------------------------------- */

static void must_hold(const char *path, const int64_t model[KEYS], const char *what)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    int64_t found[KEYS] = {0};
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_wal_autocheckpoint(db, 0);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT k, length(v) FROM t", -1, &statement, NULL),
                     SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        found[sqlite3_column_int(statement, 0)] = sqlite3_column_int64(statement, 1);
    }
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
    sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    for (int i = 0; i < KEYS; i++) {
        if (found[i] != model[i]) {
            fail_msg("%s: row %d has %lld bytes, not %lld", what, i, (long long)found[i],
                     (long long)model[i]);
        }
    }
}

static void copy_file(const char *from, const char *to)
{
    char bytes[4096];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(out);
    for (size_t size; in && (size = fread(bytes, 1, sizeof bytes, in)) > 0;) {
        assert_int_equal(fwrite(bytes, 1, size, out), size);
    }
    if (in) {
        fclose(in);
    }
    assert_int_equal(fclose(out), 0);
}

/* What the next process finds when this one is killed now. */
static void survives_kill(const struct world *w, const int64_t model[KEYS])
{
    char from[112], to[112];
    copy_file(w->path, w->copy);
    snprintf(from, sizeof from, "%s-wal", w->path);
    snprintf(to, sizeof to, "%s-wal", w->copy);
    copy_file(from, to);
    snprintf(to, sizeof to, "%s-shm", w->copy);
    unlink(to);
    must_hold(w->copy, model, "after a kill");
}

/* ---- Doing ----------------------------------------------------------------------------------- */

static void put_some(struct world *w)
{
    unsigned count = 1 + program_below(&w->random, program_below(&w->random, 3) ? 5 : 300);
    for (unsigned i = 0; i < count; i++) {
        unsigned key = program_below(&w->random, KEYS);
        unsigned size = program_below(&w->random, 4) ? 1 + program_below(&w->random, 600) : 0;
        assert_int_equal(size ? try_sql(w->db, "REPLACE INTO t VALUES(%d, zeroblob(%d))", key, size)
                              : try_sql(w->db, "DELETE FROM t WHERE k = %d", key),
                         SQLITE_OK);
        w->model[key] = size;
    }
}

/* Rows are read in between: of pages that were spilled as well. */
static void read_some(struct world *w)
{
    must_sql(w->db, "SELECT count(*), total(length(v)) FROM t WHERE k % 7 <> 0");
}

/* Without savepoints: SQLite 3.40 damages its own log when one is rolled back after pages of its
 * transaction were spilled, and weir has none. */
static void one_transaction(struct world *w)
{
    int64_t before[KEYS];
    memcpy(before, w->model, sizeof before);
    must_sql(w->db, "BEGIN IMMEDIATE");
    put_some(w);
    read_some(w);
    put_some(w);
    if (program_below(&w->random, 5) == 0) {
        must_hold(w->path, before, "in between");
        survives_kill(w, before);
    }
    if (program_below(&w->random, 4) == 0) {
        must_sql(w->db, "ROLLBACK");
        memcpy(w->model, before, sizeof before);
    } else {
        must_sql(w->db, "COMMIT");
    }
}

static void each_transaction_is_in_the_file(void **state)
{
    static const int checkpoints[] = {SQLITE_CHECKPOINT_PASSIVE, SQLITE_CHECKPOINT_RESTART,
                                      SQLITE_CHECKPOINT_TRUNCATE};
    (void)state;
    for (int sync = 0; sync < 3; sync++) {
        struct world *w = make_world(syncs[sync]);
        w->random = (uint64_t)sync + 1;
        for (int i = 0; i < TRANSACTIONS; i++) {
            one_transaction(w);
            must_hold(w->path, w->model, syncs[sync]);
            if (i % 5 == 0) {
                survives_kill(w, w->model);
            }
            if (i % 20 == 19) {
                sqlite3_wal_checkpoint_v2(w->db, NULL, checkpoints[i / 20 % 3], NULL, NULL);
                must_hold(w->path, w->model, "after a checkpoint");
            }
            if (i == TRANSACTIONS / 2) {
                close_world(w);
                open_world(w, syncs[sync]);
            }
        }
        close_world(w);
        free_world(w);
    }
}

/* Several pages: one write, so a second one would fail. */
static void a_small_transaction_is_one_write(void **state)
{
    (void)state;
    struct world *w = make_world("FULL");
    must_sql(w->db, "BEGIN; REPLACE INTO t VALUES(0, zeroblob(10)); COMMIT");
    must_sql(w->db, "PRAGMA cache_size=1000");
    fail_io_arm(FAIL_IO_WRITE, FAIL_IO_ERROR, 2, true);
    must_sql(w->db, "BEGIN; REPLACE INTO t VALUES(1, zeroblob(20000)); COMMIT");
    assert_false(fail_io_hit());
    fail_io_off();
    w->model[0] = 10;
    w->model[1] = 20000;
    must_hold(w->path, w->model, "one write");
    assert_true(atomic_load(&w->vfs->bytes_written) > 20000);
    close_world(w);
    free_world(w);
}

/* Whichever write fails, however: the transaction does as a whole, the connection neither shows
 * nor writes half of it, and who comes next finds what was there. */
static void a_write_that_fails_fails_its_transaction(void **state)
{
    (void)state;
    for (int how = FAIL_IO_ERROR; how <= FAIL_IO_HALF; how++) {
        bool hit = true;
        for (int n = 1; hit; n += 1 + n / 6) {
            struct world *w = make_world(syncs[n % 3]);
            w->random = (uint64_t)n;
            must_sql(w->db, "BEGIN");
            put_some(w);
            must_sql(w->db, "COMMIT");
            fail_io_arm(FAIL_IO_WRITE, (enum fail_io_how)how, n, n % 2 == 1);
            int code = try_sql(w->db,
                               "BEGIN IMMEDIATE;"
                               "WITH RECURSIVE n(i) AS (SELECT 0 UNION SELECT i + 1 FROM n"
                               " WHERE i < %d) REPLACE INTO t SELECT i, zeroblob(999) FROM n;"
                               "UPDATE t SET v = zeroblob(700) WHERE k %% 3 = 0;"
                               "COMMIT",
                               KEYS - 1);
            hit = fail_io_hit();
            assert_int_equal(code != SQLITE_OK, hit);
            if (hit) {
                assert_true((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_FULL);
            }
            for (int i = 0; i < KEYS && !hit; i++) {
                w->model[i] = i % 3 ? 999 : 700;
            }
            fail_io_off();
            if (!sqlite3_get_autocommit(w->db)) {
                (void)try_sql(w->db, "ROLLBACK");
            }
            must_hold(w->path, w->model, "after a failed write");
            int again = try_sql(w->db, "REPLACE INTO t VALUES(5, zeroblob(5))");
            w->model[5] = again == SQLITE_OK ? 5 : w->model[5];
            must_hold(w->path, w->model, "one more transaction");
            close_world(w);
            open_world(w, "FULL");
            must_hold(w->path, w->model, "after it was opened again");
            close_world(w);
            free_world(w);
        }
    }
}

int main(void)
{
    fail_io_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_transaction_is_in_the_file),
        cmocka_unit_test(a_small_transaction_is_one_write),
        cmocka_unit_test(a_write_that_fails_fails_its_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
