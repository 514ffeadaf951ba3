/* fail_io.c: see fail_io.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fail_io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "tests/lib/program.h"

struct file {
    sqlite3_file base;
    sqlite3_file *real; /* lies behind this struct */
    const char *name; /* SQLite's; NULL: a temporary file */
};

/* A write that is not synced: what was there before, and after. */
struct written {
    struct written *next; /* the one before */
    char *name;
    sqlite3_int64 at, size_before;
    int size, before_size;
    char *before, *after;
};

static struct {
    sqlite3_vfs vfs, *real;
    bool armed, lasting, hit, recording;
    enum fail_io_call call;
    enum fail_io_how how;
    int64_t left;
    struct written *written; /* newest first */
} now;

static bool fails(enum fail_io_call call)
{
    if (!now.armed) {
        return false;
    }
    if (now.hit && now.lasting) {
        return true;
    }
    if (call == now.call && --now.left == 0) {
        now.hit = true;
        return true;
    }
    return false;
}

void fail_io_arm(enum fail_io_call call, enum fail_io_how how, int64_t n, bool lasting)
{
    now.armed = true;
    now.lasting = lasting;
    now.hit = false;
    now.call = call;
    now.how = how;
    now.left = n;
}

void fail_io_off(void)
{
    now.armed = false;
}

bool fail_io_hit(void)
{
    return now.hit;
}

/* ---- What is not synced ---------------------------------------------------------------------- */

static void forget(struct written **at)
{
    struct written *written = *at;
    *at = written->next;
    free(written->name);
    free(written->before);
    free(written->after);
    free(written);
}

static void forget_all(const char *name)
{
    for (struct written **at = &now.written; *at;) {
        if (!name || strcmp((*at)->name, name) == 0) {
            forget(at);
        } else {
            at = &(*at)->next;
        }
    }
}

void fail_io_record(bool recording)
{
    now.recording = recording;
    forget_all(NULL);
}

/* A truncation is a write of no bytes: `size` is then -1, and `at` the new size. */
static void remember(struct file *file, const void *data, int size, sqlite3_int64 at)
{
    if (!now.recording || !file->name) {
        return;
    }
    struct written *written = calloc(1, sizeof *written);
    file->real->pMethods->xFileSize(file->real, &written->size_before);
    sqlite3_int64 gone = size < 0 ? written->size_before - at : size;
    written->name = strdup(file->name);
    written->at = at;
    written->size = size;
    written->before = malloc(gone > 0 ? (size_t)gone : 1);
    written->after = malloc(size > 0 ? (size_t)size : 1);
    if (size > 0) {
        memcpy(written->after, data, (size_t)size);
    }
    int descriptor = open(file->name, O_RDONLY | O_CLOEXEC);
    ssize_t got =
        descriptor < 0 || gone <= 0 ? 0 : pread(descriptor, written->before, (size_t)gone, at);
    written->before_size = got > 0 ? (int)got : 0;
    if (descriptor >= 0) {
        close(descriptor);
    }
    written->next = now.written;
    now.written = written;
}

static void must(bool fine, const char *what)
{
    if (!fine) {
        perror(what);
        abort();
    }
}

static void take_back(const struct written *written, int descriptor)
{
    ssize_t put = pwrite(descriptor, written->before, (size_t)written->before_size, written->at);
    must(put == written->before_size, "pwrite");
    must(ftruncate(descriptor, written->size_before) == 0, "ftruncate");
}

static void write_again(const struct written *written, int descriptor, size_t size)
{
    if (written->size < 0) {
        must(ftruncate(descriptor, written->at) == 0, "ftruncate");
    } else {
        must(pwrite(descriptor, written->after, size, written->at) == (ssize_t)size, "pwrite");
    }
}

/* Oldest first. */
static void write_some(const struct written *written, uint64_t *random)
{
    if (!written) {
        return;
    }
    write_some(written->next, random);
    int descriptor = open(written->name, O_RDWR | O_CLOEXEC);
    unsigned chance = program_below(random, 8);
    if (descriptor >= 0 && chance > 3) {
        write_again(written, descriptor, (size_t)(written->size > 0 ? written->size : 0));
    } else if (descriptor >= 0 && chance == 3 && written->size > 512) { /* disks write sectors */
        unsigned sectors = program_below(random, (unsigned)written->size / 512);
        write_again(written, descriptor, (size_t)sectors * 512);
    }
    if (descriptor >= 0) {
        close(descriptor);
    }
}

void fail_io_cut(uint64_t *random)
{
    for (const struct written *at = now.written; at; at = at->next) {
        int descriptor = open(at->name, O_RDWR | O_CLOEXEC);
        if (descriptor >= 0) {
            take_back(at, descriptor);
            close(descriptor);
        }
    }
    write_some(now.written, random);
    forget_all(NULL);
}

/* ---- Methods of files ------------------------------------------------------------------------ */

static struct file *file_of(sqlite3_file *base)
{
    return (struct file *)base;
}

static sqlite3_file *real_of(sqlite3_file *base)
{
    return file_of(base)->real;
}

static int file_close(sqlite3_file *base)
{
    return real_of(base)->pMethods->xClose(real_of(base));
}

static int file_read(sqlite3_file *base, void *data, int size, sqlite3_int64 at)
{
    if (fails(FAIL_IO_READ)) {
        memset(data, 0x5a, (size_t)size);
        return SQLITE_IOERR_READ;
    }
    return real_of(base)->pMethods->xRead(real_of(base), data, size, at);
}

static int file_write(sqlite3_file *base, const void *data, int size, sqlite3_int64 at)
{
    bool failing = fails(FAIL_IO_WRITE);
    if (failing && (now.call != FAIL_IO_WRITE || now.how != FAIL_IO_HALF)) {
        return now.how == FAIL_IO_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    if (failing) {
        size /= 2;
    }
    remember(file_of(base), data, size, at);
    int code = real_of(base)->pMethods->xWrite(real_of(base), data, size, at);
    return failing ? SQLITE_IOERR_WRITE : code;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    if (fails(FAIL_IO_TRUNCATE)) {
        return SQLITE_IOERR_TRUNCATE;
    }
    remember(file_of(base), NULL, -1, size);
    return real_of(base)->pMethods->xTruncate(real_of(base), size);
}

static int file_sync(sqlite3_file *base, int flags)
{
    if (fails(FAIL_IO_SYNC)) {
        return SQLITE_IOERR_FSYNC;
    }
    int code = real_of(base)->pMethods->xSync(real_of(base), flags);
    if (code == SQLITE_OK && file_of(base)->name) {
        forget_all(file_of(base)->name);
    }
    return code;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size_out)
{
    return fails(FAIL_IO_SIZE) ? SQLITE_IOERR_FSTAT
                               : real_of(base)->pMethods->xFileSize(real_of(base), size_out);
}

static int file_lock(sqlite3_file *base, int level)
{
    return real_of(base)->pMethods->xLock(real_of(base), level);
}

static int file_unlock(sqlite3_file *base, int level)
{
    return real_of(base)->pMethods->xUnlock(real_of(base), level);
}

static int file_check_lock(sqlite3_file *base, int *reserved_out)
{
    return real_of(base)->pMethods->xCheckReservedLock(real_of(base), reserved_out);
}

static int file_control(sqlite3_file *base, int code, void *argument)
{
    return real_of(base)->pMethods->xFileControl(real_of(base), code, argument);
}

static int file_sector(sqlite3_file *base)
{
    return real_of(base)->pMethods->xSectorSize(real_of(base));
}

static int file_characteristics(sqlite3_file *base)
{
    return real_of(base)->pMethods->xDeviceCharacteristics(real_of(base));
}

static int file_shm_map(sqlite3_file *base, int region, int size, int extend,
                        void volatile **map_out)
{
    if (fails(FAIL_IO_SHARE)) {
        *map_out = NULL;
        return SQLITE_IOERR_SHMMAP;
    }
    return real_of(base)->pMethods->xShmMap(real_of(base), region, size, extend, map_out);
}

static int file_shm_lock(sqlite3_file *base, int offset, int count, int flags)
{
    return real_of(base)->pMethods->xShmLock(real_of(base), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *base)
{
    real_of(base)->pMethods->xShmBarrier(real_of(base));
}

static int file_shm_unmap(sqlite3_file *base, int remove)
{
    return real_of(base)->pMethods->xShmUnmap(real_of(base), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- The VFS --------------------------------------------------------------------------------- */

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags,
                    int *flags_out)
{
    (void)vfs;
    struct file *file = file_of(base);
    *file = (struct file){.real = (sqlite3_file *)(file + 1), .name = name};
    file->real->pMethods = NULL;
    if (fails(FAIL_IO_OPEN)) {
        return SQLITE_CANTOPEN;
    }
    int code = now.real->xOpen(now.real, name, file->real, flags, flags_out);
    if (file->real->pMethods) {
        file->base.pMethods = &methods;
    }
    return code;
}

/* SQLite waits for a lock that is not given back while calls fail. */
static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

void fail_io_init(void)
{
    sqlite3_initialize();
    now.real = sqlite3_vfs_find(NULL);
    now.vfs = *now.real; /* all else is the real one's, which finds its own data in pAppData */
    now.vfs.zName = "failing";
    now.vfs.szOsFile = (int)sizeof(struct file) + now.real->szOsFile;
    now.vfs.xOpen = vfs_open;
    now.vfs.xSleep = vfs_sleep;
    sqlite3_vfs_register(&now.vfs, 1);
}
