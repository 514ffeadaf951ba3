/* store_vfs.c: the VFS under a store's read-write connection: SQLite's default one, with fsyncs and
 * written bytes counted, and the frames of a transaction gathered into few writes of its WAL. The
 * default is looked up when a store is opened, so that a test may put a faulty one there before.
 *
 * Every method hands on to the VFS below. There is no memory mapping (xFetch), and shared memory is
 * what the WAL needs, so methods of version 2.
 *
 * Gathering. SQLite appends a frame by two writes, of its header (24 bytes) and of its page. Frames
 * that go beyond all that was written wait in a buffer, until that is full or
 *
 *  - the page of a frame is written whose header says that it ends a transaction (its bytes 4 to 7
 *    are not 0). So a transaction is in the file, or has failed, before SQLite syncs it, and before
 *    it lets any reader see it, in every mode of `--sync`;
 *  - this connection reads any of it, asks for the file's size, cuts it or syncs it; or writes
 *    anything else (a rollback went back, a checksum is mended): that goes straight to the file.
 *
 * Growing. Where a transaction makes the file longer, its sync writes its metadata as well, which
 * takes twice as long as where it writes what was there. So after a short write beyond the file's
 * end zeros follow, which the next ones overwrite; to SQLite they are no frames, since they do
 * not have the salts of the WAL's header. Nothing relies on them.
 *
 * What is left when the file is closed belongs to a transaction that did not end. All of these can
 * report an error. Frames that could not be written are lost to SQLite, which took them for
 * written: they cannot be read, and nothing can be written or synced any more; the store stops.
 *
 * Long because it is one object, and most of it hands on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/store_inner.h"

/* SQLite's file format, and the most that its default VFS writes at once (it never has more). */
enum {
    FRAME_HEADER_BYTES = 24,
    GATHERED_BYTES_MAX = 0x1ffff,
    SHORT_BYTES_MAX = 0x8000, /* a longer write is worth it */
};

struct file {
    sqlite3_file base;
    struct wr_store_vfs *vfs;
    sqlite3_file *real; /* lies behind this struct */
    bool is_wal;
    /* Of a WAL: */
    unsigned char *gathered; /* NULL: none yet */
    int gathered_bytes;
    sqlite3_int64 gathered_at; /* where they belong; after a failure, from where on all is lost */
    sqlite3_int64 end; /* of all that was written, also of what is gathered */
    sqlite3_int64 filled; /* the file is at least this long, -1: not known */
    bool page_next; /* a frame's header was the last that was gathered */
    bool ends_next; /* the page of that one ends a transaction */
    int failed; /* code of SQLite */
};

static struct file *file_of(sqlite3_file *base)
{
    return (struct file *)base;
}

static sqlite3_file *real_of(sqlite3_file *base)
{
    return file_of(base)->real;
}

/* ---- Gathering the WAL ----------------------------------------------------------------------- */

/* After a write of what was gathered, so that the buffer is free. What fails here is no loss. */
static void fill_ahead(struct file *file, int size)
{
    sqlite3_int64 end = file->gathered_at + size;
    if (file->filled < 0 &&
        file->real->pMethods->xFileSize(file->real, &file->filled) != SQLITE_OK) {
        return;
    }
    if (end < file->filled || size > SHORT_BYTES_MAX) {
        return;
    }
    memset(file->gathered, 0, GATHERED_BYTES_MAX);
    int code = file->real->pMethods->xWrite(file->real, file->gathered, GATHERED_BYTES_MAX, end);
    file->filled = code == SQLITE_OK ? end + GATHERED_BYTES_MAX : end;
}

static int write_gathered(struct file *file)
{
    int size = file->gathered_bytes;
    if (file->failed || size == 0) {
        return file->failed;
    }
    file->gathered_bytes = 0;
    file->page_next = false;
    file->failed =
        file->real->pMethods->xWrite(file->real, file->gathered, size, file->gathered_at);
    if (file->failed == SQLITE_OK) {
        fill_ahead(file, size);
    }
    return file->failed;
}

/* Whether these bytes follow what is gathered, and are one half of a frame. */
static bool is_frame_next(const struct file *file, int size, sqlite3_int64 at)
{
    if (file->gathered_bytes > 0 && at != file->gathered_at + file->gathered_bytes) {
        return false;
    }
    return file->page_next || (size == FRAME_HEADER_BYTES && at >= file->end);
}

static bool has_room(struct file *file, int size)
{
    if (!file->gathered) {
        file->gathered = malloc(GATHERED_BYTES_MAX);
    }
    return file->gathered && size <= GATHERED_BYTES_MAX - file->gathered_bytes;
}

static int gather(struct file *file, const void *data, int size, sqlite3_int64 at)
{
    const unsigned char *bytes = data;
    bool is_page = file->page_next, ends = is_page && file->ends_next;
    if (file->gathered_bytes == 0) {
        file->gathered_at = at;
    }
    memcpy(file->gathered + file->gathered_bytes, bytes, (size_t)size);
    file->gathered_bytes += size;
    file->end = at + size;
    file->page_next = !is_page;
    file->ends_next = !is_page && (bytes[4] | bytes[5] | bytes[6] | bytes[7]) != 0;
    return ends ? write_gathered(file) : SQLITE_OK;
}

static int write_wal(struct file *file, const void *data, int size, sqlite3_int64 at)
{
    if (is_frame_next(file, size, at)) {
        if (has_room(file, size)) {
            return gather(file, data, size, at);
        }
        bool is_page = file->page_next, ends = file->ends_next;
        int code = write_gathered(file);
        file->page_next = is_page;
        file->ends_next = ends;
        if (code == SQLITE_OK && has_room(file, size)) {
            return gather(file, data, size, at);
        }
    }
    int code = write_gathered(file);
    if (code == SQLITE_OK) {
        code = file->real->pMethods->xWrite(file->real, data, size, at);
    }
    file->page_next = false;
    file->end = at == 0 ? size : at + size > file->end ? at + size : file->end;
    return code;
}

/* ---- Methods of files ------------------------------------------------------------------------ */

static int file_close(sqlite3_file *base)
{
    sqlite3_file *real = real_of(base);
    free(file_of(base)->gathered);
    file_of(base)->gathered = NULL;
    return real->pMethods->xClose(real);
}

static int file_read(sqlite3_file *base, void *data, int size, sqlite3_int64 at)
{
    struct file *file = file_of(base);
    bool concerned = file->gathered_bytes > 0 || file->failed;
    if (concerned && at + size > file->gathered_at && write_gathered(file) != SQLITE_OK) {
        return SQLITE_IOERR_READ;
    }
    return file->real->pMethods->xRead(file->real, data, size, at);
}

static int file_write(sqlite3_file *base, const void *data, int size, sqlite3_int64 at)
{
    struct file *file = file_of(base);
    struct wr_store_vfs *vfs = file->vfs;
    atomic_fetch_add_explicit(&vfs->bytes_written, size, memory_order_relaxed);
    if (!file->is_wal || vfs->counts_only) {
        return file->real->pMethods->xWrite(file->real, data, size, at);
    }
    if (at == 0) {
        vfs->wal_restarts++;
    }
    return write_wal(file, data, size, at);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct file *file = file_of(base);
    int code = write_gathered(file);
    file->filled = -1;
    if (code == SQLITE_OK) {
        code = file->real->pMethods->xTruncate(file->real, size);
    }
    return code;
}

static int file_sync(sqlite3_file *base, int flags)
{
    struct file *file = file_of(base);
    struct wr_store_vfs *vfs = file->vfs;
    int code = write_gathered(file);
    if (code != SQLITE_OK) {
        return code;
    }
    int64_t from_us = vfs->env->monotonic_us(vfs->env);
    code = file->real->pMethods->xSync(file->real, flags);
    atomic_fetch_add_explicit(&vfs->fsyncs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&vfs->fsync_us, vfs->env->monotonic_us(vfs->env) - from_us,
                              memory_order_relaxed);
    return code;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size_out)
{
    struct file *file = file_of(base);
    int code = write_gathered(file);
    return code ? code : file->real->pMethods->xFileSize(file->real, size_out);
}

static int file_lock(sqlite3_file *base, int level)
{
    sqlite3_file *real = real_of(base);
    return real->pMethods->xLock(real, level);
}

static int file_unlock(sqlite3_file *base, int level)
{
    sqlite3_file *real = real_of(base);
    return real->pMethods->xUnlock(real, level);
}

static int file_check_lock(sqlite3_file *base, int *reserved_out)
{
    sqlite3_file *real = real_of(base);
    return real->pMethods->xCheckReservedLock(real, reserved_out);
}

static int file_control(sqlite3_file *base, int code, void *argument)
{
    sqlite3_file *real = real_of(base);
    return real->pMethods->xFileControl(real, code, argument);
}

static int file_sector(sqlite3_file *base)
{
    sqlite3_file *real = real_of(base);
    return real->pMethods->xSectorSize(real);
}

static int file_characteristics(sqlite3_file *base)
{
    sqlite3_file *real = real_of(base);
    return real->pMethods->xDeviceCharacteristics(real);
}

static int file_shm_map(sqlite3_file *base, int region, int size, int extend,
                        void volatile **map_out)
{
    sqlite3_file *real = real_of(base);
    return real->pMethods->xShmMap(real, region, size, extend, map_out);
}

static int file_shm_lock(sqlite3_file *base, int offset, int count, int flags)
{
    sqlite3_file *real = real_of(base);
    return real->pMethods->xShmLock(real, offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *base)
{
    sqlite3_file *real = real_of(base);
    real->pMethods->xShmBarrier(real);
}

static int file_shm_unmap(sqlite3_file *base, int remove)
{
    sqlite3_file *real = real_of(base);
    return real->pMethods->xShmUnmap(real, remove);
}

static const sqlite3_io_methods file_methods = {
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

/* ---- Methods of the VFS ---------------------------------------------------------------------- */

static sqlite3_vfs *below(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags,
                    int *flags_out)
{
    struct file *file = file_of(base);
    *file = (struct file){.vfs = (struct wr_store_vfs *)vfs,
                          .real = (sqlite3_file *)(file + 1),
                          .filled = -1,
                          .is_wal = (flags & SQLITE_OPEN_WAL) != 0};
    file->real->pMethods = NULL;
    int code = below(vfs)->xOpen(below(vfs), name, file->real, flags, flags_out);
    if (file->real->pMethods) { /* then it wants to be closed, also after a failure */
        wr_assert_that(file->real->pMethods->iVersion, >=, 2);
        file->base.pMethods = &file_methods;
    }
    return code;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    return below(vfs)->xDelete(below(vfs), name, sync_directory);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result_out)
{
    return below(vfs)->xAccess(below(vfs), name, flags, result_out);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int size, char *path_out)
{
    return below(vfs)->xFullPathname(below(vfs), name, size, path_out);
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *bytes_out)
{
    return below(vfs)->xRandomness(below(vfs), size, bytes_out);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    return below(vfs)->xSleep(below(vfs), microseconds);
}

static int vfs_time(sqlite3_vfs *vfs, double *time_out)
{
    return below(vfs)->xCurrentTime(below(vfs), time_out);
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *text_out)
{
    return below(vfs)->xGetLastError(below(vfs), size, text_out);
}

weir_status wr_store_vfs_open(struct wr_env *env, struct wr_store_vfs **vfs_out,
                              struct wr_error *error)
{
    *vfs_out = NULL;
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    struct wr_store_vfs *vfs = calloc(1, sizeof *vfs);
    if (!vfs || !real) {
        free(vfs);
        return wr_fail_memory(error); /* without memory SQLite cannot start, and has no VFS */
    }
    vfs->env = env;
    snprintf(vfs->name, sizeof vfs->name, "weir-%p", (void *)vfs);
    vfs->vfs = (sqlite3_vfs){
        .iVersion = 1, /* the default time in double will do: weir's SQL never asks for it */
        .szOsFile = (int)sizeof(struct file) + real->szOsFile,
        .mxPathname = real->mxPathname,
        .zName = vfs->name,
        .pAppData = real,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
    };
    int code = sqlite3_vfs_register(&vfs->vfs, 0);
    if (code != SQLITE_OK) {
        free(vfs);
        return wr_fail_memory(error);
    }
    *vfs_out = vfs;
    return WEIR_OK;
}

void wr_store_vfs_close(struct wr_store_vfs *vfs)
{
    if (vfs) {
        sqlite3_vfs_unregister(&vfs->vfs);
        free(vfs);
    }
}
