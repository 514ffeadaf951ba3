/* store_backup.c: a copy of a store as it is at one moment, also while a job writes to it. See
 * wr_store_backup in store.h.
 *
 * A read-only connection opens one snapshot, and SQLite's backup copies page after page of it, some
 * at a time. Because the snapshot stays open between the steps, no writer makes the copy start
 * over; it keeps the WAL from starting over too, which is the price (decision 0029), and the one
 * exception to invariant 8's second.
 *
 * The copy is made as FILE.partial, locked by flock, synced, and renamed: whatever happens there is
 * no FILE, or a whole one. What a killed backup leaves is taken over by the next one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* renameat2 */
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "txn/base/assert.h"
#include "txn/store_inner.h"

enum {
    STEP_PAGES = 256,
    NAME_ROOM = 16, /* "-journal", ".partial" */
    LOCK_TRIES = 10,
    LOCK_WAIT_MS = 20,
};

struct backup {
    struct wr_reader *reader;
    struct wr_sql copy;
    char file[WR_URI_BYTES_MAX + NAME_ROOM]; /* its directory without links */
    char partial[WR_URI_BYTES_MAX + 2 * NAME_ROOM];
    char directory[WR_URI_BYTES_MAX];
    int fd; /* of partial, locked; -1: not ours */
};

/* ---- Names ----------------------------------------------------------------------------------- */

static weir_status resolve(struct backup *backup, const char *file, struct wr_error *error)
{
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    int length = slash == file ? 1 : slash ? (int)(slash - file) : 1;
    if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "cannot back up to \"%.1000s\": that names no file; name a new one", file);
    }
    snprintf(backup->directory, sizeof backup->directory, "%.*s", length, slash ? file : ".");
    char *found = realpath(backup->directory, NULL);
    if (!found) {
        return wr_fail_errno(error, "cannot back up to %.900s: its folder cannot be opened", file);
    }
    snprintf(backup->directory, sizeof backup->directory, "%s", found);
    int size = snprintf(backup->file, sizeof backup->file, "%s/%s", strcmp(found, "/") ? found : "",
                        name);
    free(found);
    snprintf(backup->partial, sizeof backup->partial, "%s.partial", backup->file);
    if (size >= WR_URI_BYTES_MAX) {
        errno = ENAMETOOLONG;
        return wr_fail_errno(error, "cannot back up to %.900s", file);
    }
    return WEIR_OK;
}

/* One of the store's own names would damage it, whether there is a file of that name or not. */
static weir_status check_not_own(const struct backup *backup, const char *store,
                                 struct wr_error *error)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};
    struct stat own, target;
    bool same = stat(store, &own) == 0 && stat(backup->file, &target) == 0 &&
                own.st_dev == target.st_dev && own.st_ino == target.st_ino;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char name[WR_URI_BYTES_MAX + NAME_ROOM];
        snprintf(name, sizeof name, "%s%s", store, suffixes[i]);
        same = same || strcmp(name, backup->file) == 0;
    }
    return same ? wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                          "cannot back up to %.1000s: that is the store itself; name a new file",
                          backup->file)
                : WEIR_OK;
}

static weir_status fail_exists(const struct backup *backup, struct wr_error *error)
{
    return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                   "cannot back up to %.1000s: it exists, and is not overwritten; name a new file, "
                   "or remove that one first",
                   backup->file);
}

/* Nothing may be there, nor a log of SQLite's that would be taken for the copy's own. */
static weir_status check_absent(const struct backup *backup, struct wr_error *error)
{
    static const char *const suffixes[] = {"-wal", "-journal"};
    struct stat info;
    if (lstat(backup->file, &info) == 0) {
        if (S_ISDIR(info.st_mode)) {
            return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                           "cannot back up to %.1000s: it is a folder; name a new file in it",
                           backup->file);
        }
        return fail_exists(backup, error);
    }
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char name[sizeof backup->partial];
        snprintf(name, sizeof name, "%s%s", backup->file, suffixes[i]);
        if (lstat(name, &info) == 0) {
            return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                           "cannot back up to %.400s: %.400s is there, left by an earlier store of "
                           "that name, and would damage this one; remove it first",
                           backup->file, name);
        }
    }
    return WEIR_OK;
}

/* ---- The file that is written ---------------------------------------------------------------- */

/* Makes FILE.partial, or takes over what a killed backup left; as readable as the store is. */
static weir_status claim(struct backup *backup, const char *store, struct wr_error *error)
{
    struct stat info, named, own;
    mode_t mode = stat(store, &own) == 0 ? own.st_mode & 0777 : 0600;
    int fd = open(backup->partial, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0) {
        return wr_fail_errno(error, "cannot back up to %.900s", backup->partial);
    }
    bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    for (int i = 0; !locked && i < LOCK_TRIES; i++) { /* one that was just killed has it still */
        nanosleep(&(struct timespec){.tv_nsec = LOCK_WAIT_MS * 1000000}, NULL);
        locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    }
    /* The one that had the lock may have renamed or removed it since. */
    bool ours = locked && fstat(fd, &info) == 0 && lstat(backup->partial, &named) == 0 &&
                info.st_ino == named.st_ino && info.st_dev == named.st_dev;
    if (!ours) {
        close(fd);
        return wr_fail(error, WEIR_FATAL, WR_EXIT_AGAIN,
                       "cannot back up to %.1000s: another backup to this file is being made; "
                       "wait for it, or name another file",
                       backup->file);
    }
    if (!S_ISREG(info.st_mode) || info.st_nlink > 1) {
        close(fd);
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "cannot back up to %.400s: %.400s, as it is called until it is whole, is "
                       "no file of its own; remove that first",
                       backup->file, backup->partial);
    }
    backup->fd = fd;
    if (ftruncate(fd, 0) != 0 || fchmod(fd, mode) != 0) {
        return wr_fail_errno(error, "cannot back up to %.900s", backup->partial);
    }
    return WEIR_OK;
}

/* Without a journal, and unsynced: a copy that is not whole is thrown away. */
static weir_status open_copy(struct backup *backup, struct wr_error *error)
{
    struct wr_sql *copy = &backup->copy;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(backup->partial, &copy->db, flags, NULL);
    if (code != SQLITE_OK) {
        return wr_sql_fail(copy, code, error);
    }
    WR_TRY(wr_sql_exec(copy, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", error));
    sqlite3_db_config(copy->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    sqlite3_extended_result_codes(copy->db, 1);
    return wr_sql_exec(copy, "PRAGMA mmap_size=0; PRAGMA cache_size=1024", error);
}

static weir_status copy_pages(struct backup *backup, wr_backup_progress progress, void *data,
                              struct wr_error *error)
{
    struct wr_sql *copy = &backup->copy;
    int64_t page_bytes;
    WR_TRY(wr_sql_integer(&backup->reader->sql, "PRAGMA page_size", &page_bytes, error));
    sqlite3_backup *pages = sqlite3_backup_init(copy->db, "main", backup->reader->sql.db, "main");
    if (!pages) {
        return wr_sql_fail(copy, sqlite3_extended_errcode(copy->db), error);
    }
    weir_status status = WEIR_OK;
    int code;
    do {
        code = sqlite3_backup_step(pages, STEP_PAGES);
        int64_t total = sqlite3_backup_pagecount(pages);
        int64_t done = total - sqlite3_backup_remaining(pages);
        if (code == SQLITE_OK && progress &&
            !progress(data, done * page_bytes, total * page_bytes)) {
            status = wr_fail(error, WEIR_FATAL, WR_EXIT_AGAIN,
                             "the backup to %.1000s was stopped; nothing is left of it",
                             backup->file);
        }
    } while (code == SQLITE_OK && status == WEIR_OK);
    if (code != SQLITE_OK && code != SQLITE_DONE) {
        status = wr_sql_fail(copy, code, error);
    }
    sqlite3_backup_finish(pages);
    return status;
}

/* Synced, then named: fails when a file of that name has come since. */
static weir_status publish(struct backup *backup, struct wr_error *error)
{
    if (fsync(backup->fd) != 0) {
        return wr_fail_errno(error, "cannot sync the backup %.900s", backup->partial);
    }
    int code = renameat2(AT_FDCWD, backup->partial, AT_FDCWD, backup->file, RENAME_NOREPLACE);
    if (code != 0 && (errno == EINVAL || errno == ENOSYS)) { /* not on every file system */
        struct stat info;
        if (lstat(backup->file, &info) == 0) {
            return fail_exists(backup, error);
        }
        code = rename(backup->partial, backup->file);
    }
    if (code != 0 && errno == EEXIST) {
        return fail_exists(backup, error);
    }
    if (code != 0) {
        return wr_fail_errno(error, "cannot rename the backup %.400s to %.400s", backup->partial,
                             backup->file);
    }
    close(backup->fd);
    backup->fd = -1; /* it is FILE from here on */
    int directory = open(backup->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    code = directory < 0 ? -1 : fsync(directory);
    if (code != 0 && errno != EINVAL) {
        wr_fail_errno(error, "cannot sync the folder of the backup %.900s", backup->file);
    }
    if (directory >= 0) {
        close(directory);
    }
    return error->status;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static weir_status back_up(struct backup *backup, struct wr_backup *result_out,
                           wr_backup_progress progress, void *data, struct wr_error *error)
{
    const char *store = backup->reader->path;
    WR_TRY(check_not_own(backup, store, error));
    WR_TRY(check_absent(backup, error));
    WR_TRY(wr_reader_begin(backup->reader, error));
    wr_sql_doing(&backup->reader->sql, "back up");
    WR_TRY(wr_sql_integer(&backup->reader->sql, "SELECT max(number) FROM epoch", &result_out->epoch,
                          error)); /* the snapshot is from now */
    WR_TRY(claim(backup, store, error));
    WR_TRY(open_copy(backup, error));
    WR_TRY(copy_pages(backup, progress, data, error));
    wr_reader_end(backup->reader);
    wr_sql_close(&backup->copy);
    struct stat info;
    if (fstat(backup->fd, &info) != 0) {
        return wr_fail_errno(error, "cannot back up to %.900s", backup->partial);
    }
    result_out->bytes = info.st_size;
    return publish(backup, error);
}

weir_status wr_store_backup(struct wr_env *env, const char *store, const char *file,
                            wr_backup_progress progress, void *data, struct wr_backup *result_out,
                            struct wr_error *error)
{
    struct backup *backup = calloc(1, sizeof *backup);
    if (!backup) {
        return wr_fail_memory(error);
    }
    backup->fd = -1;
    backup->copy.path = backup->file;
    *result_out = (struct wr_backup){0, 0};
    weir_status status = wr_reader_open(env, store, &backup->reader, error);
    if (status == WEIR_OK) {
        wr_sql_doing(&backup->copy, "back up %.80s to", store);
        status = resolve(backup, file, error);
    }
    if (status == WEIR_OK) {
        status = back_up(backup, result_out, progress, data, error);
    }
    wr_sql_close(&backup->copy);
    wr_reader_close(backup->reader);
    if (backup->fd >= 0) { /* removed while it is locked */
        (void)unlink(backup->partial);
        close(backup->fd);
    }
    free(backup);
    return status;
}
