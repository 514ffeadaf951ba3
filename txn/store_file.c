/* store_file.c: the files of a store by name: its path, what can be said before SQLite looks, and
 * the lock file that keeps a second process out (invariant 7).
 *
 * The database file itself is opened by SQLite alone: closing any other descriptor of it in this
 * process would drop SQLite's locks on it (POSIX).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "txn/store_inner.h"

/* A process that was killed holds its lock until the kernel has taken it apart: whoever starts the
 * next one at once need not see that. */
enum { LOCK_TRIES = 10, LOCK_WAIT_MS = 20 };

enum { DATABASE_BYTES_MIN = 512 /* SQLite's smallest page */ };

weir_status wr_store_resolve(const char *path, char out[WR_URI_BYTES_MAX], struct wr_error *error)
{
    char *found = realpath(path, NULL);
    if (!found && errno == ENOENT && path[0]) {
        char directory[WR_URI_BYTES_MAX];
        const char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path;
        int length = slash == path ? 1 : slash ? (int)(slash - path) : 1;
        snprintf(directory, sizeof directory, "%.*s", length, slash ? path : ".");
        found = realpath(directory, NULL);
        if (found) {
            int size =
                snprintf(out, WR_URI_BYTES_MAX, "%s/%s", strcmp(found, "/") ? found : "", name);
            free(found);
            if (size < WR_URI_BYTES_MAX - 8) { /* "-journal" comes behind it */
                return WEIR_OK;
            }
            errno = ENAMETOOLONG;
        }
    } else if (found) {
        int size = snprintf(out, WR_URI_BYTES_MAX, "%s", found);
        free(found);
        if (size < WR_URI_BYTES_MAX - 8) {
            return WEIR_OK;
        }
        errno = ENAMETOOLONG;
    }
    return wr_fail_errno(error, "cannot open the store %s", path);
}

static bool file_has_bytes(const char *path, const char *suffix)
{
    char full[WR_URI_BYTES_MAX + 8];
    struct stat info;
    snprintf(full, sizeof full, "%s%s", path, suffix);
    return stat(full, &info) == 0 && info.st_size > 0;
}

/* What can be said before SQLite looks. */
weir_status wr_store_check_file(const char *path, bool create, struct wr_error *error)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        if (errno == ENOENT && create) {
            return WEIR_OK;
        }
        return wr_fail_errno(error, "cannot open the store %s", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "cannot open the store %s: it is not a regular file; name another one",
                       path);
    }
    if (info.st_size > 0 && info.st_size < DATABASE_BYTES_MIN) { /* SQLite takes 1 byte for none */
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "cannot open the store %s: it has %lld bytes, and no store is so short; "
                       "name the right file, or restore a backup",
                       path, (long long)info.st_size);
    }
    if (info.st_size == 0 && !create) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "cannot open the store %s: the file is empty; restore a backup, or delete "
                       "it if it never held anything",
                       path);
    }
    if (info.st_size == 0 && file_has_bytes(path, "-wal")) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "cannot open the store %s: the file is empty but its WAL is not, so it was "
                       "cut off; restore a backup, or delete both to start anew",
                       path);
    }
    return WEIR_OK;
}

/* Lock and WAL go by the file's name: who opens it by another one holds off nobody, and writes a
 * second WAL. (A symbolic link is no other name: the path is resolved.) */
weir_status wr_store_check_names(const char *path, struct wr_error *error)
{
    struct stat info;
    if (stat(path, &info) != 0 || info.st_nlink <= 1) {
        return WEIR_OK;
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "cannot open the store %s: the file has %llu names (hard links), and two "
                   "programs that use different ones would destroy it; remove the others (find / "
                   "-xdev -samefile FILE lists them), or put a copy in its place, made by `weir "
                   "backup`",
                   path, (unsigned long long)info.st_nlink);
}

weir_status wr_store_lock(const char *store_path, int *file_out, struct wr_error *error)
{
    char path[WR_URI_BYTES_MAX + 8], text[32];
    snprintf(path, sizeof path, "%s.lock", store_path);
    *file_out = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (*file_out < 0) {
        return wr_fail_errno(error, "cannot open the store %s: its lock file %s cannot be made",
                             store_path, path);
    }
    int code = flock(*file_out, LOCK_EX | LOCK_NB);
    for (int i = 0; code != 0 && errno == EWOULDBLOCK && i < LOCK_TRIES; i++) {
        nanosleep(&(struct timespec){.tv_nsec = LOCK_WAIT_MS * 1000000}, NULL);
        code = flock(*file_out, LOCK_EX | LOCK_NB);
    }
    if (code != 0) {
        if (errno != EWOULDBLOCK) {
            return wr_fail_errno(error, "cannot lock %s", path);
        }
        ssize_t got = pread(*file_out, text, sizeof text - 1, 0);
        text[got > 0 ? got : 0] = '\0';
        long pid = strtol(text, NULL, 10);
        return wr_fail(error, WEIR_FATAL, WR_EXIT_AGAIN,
                       "cannot open the store %s: it is in use by process %ld; stop that one "
                       "first, or name another store with --store",
                       store_path, pid);
    }
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(*file_out, 0) != 0 || pwrite(*file_out, text, (size_t)size, 0) != size) {
        return wr_fail_errno(error, "cannot write %s", path);
    }
    return WEIR_OK;
}
