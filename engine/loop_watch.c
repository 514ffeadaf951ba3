/* loop_watch.c: see loop_watch.h. Directories are watched, not files: a file may not be there yet,
 * or be replaced. libuv tells of changes by inotify and the like; a file system without them (some
 * network ones) tells nothing, which is why nobody relies on an event alone.
 *
 * While records come, nobody waits for events, and there are many: a job's own store, if it is in
 * such a directory, makes thousands a second. So the first one that finds the operator thread busy
 * pauses the watches, and they are resumed when it has nothing to do. What happens in between is
 * found by its next polls, which then follow each other closely.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/loop_watch.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    EMPTY_WAIT_MS_MAX = 10, /* between polls that bring nothing */
    WATCHED_WAIT_MS_MAX = 1000, /* where a change of the inputs is told */
};

struct directory {
    uv_fs_event_t handle;
    struct wr_watch *watch;
    const char *path;
};

struct wr_watch {
    struct wr_instance *instance;
    void (*changed)(void *data);
    void *data;
    uv_async_t resume;
    _Atomic bool whole; /* every directory is watched, or will be when resumed */
    _Atomic bool waits; /* the operator thread has nothing to do */
    _Atomic bool paused;
    _Atomic bool news; /* something changed since the operator thread last waited */
    int64_t empty_ms; /* its last wait; 0: it had something to do since */
    size_t count;
    struct directory directories[];
};

/* Whether a source waits for this file. */
static bool is_wanted(const struct directory *directory, const char *name)
{
    const struct wr_instance *instance = directory->watch->instance;
    for (size_t i = 0; i < instance->job->source_count; i++) {
        const struct wr_source *source = instance->sources[i];
        for (size_t j = 0; j < source->watch_count; j++) {
            const struct wr_source_watch *at = &source->watches[j];
            if (strcmp(at->directory, directory->path) == 0 &&
                (!at->name || !name || strcmp(at->name, name) == 0)) {
                return true;
            }
        }
    }
    return false;
}

static void pause_all(struct wr_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++) {
        uv_fs_event_stop(&watch->directories[i].handle);
    }
    atomic_store(&watch->paused, true);
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
    const struct directory *directory = handle->data;
    struct wr_watch *watch = directory->watch;
    (void)events;
    if (!atomic_load_explicit(&watch->waits, memory_order_relaxed)) {
        pause_all(watch);
        return;
    }
    if (status < 0 || is_wanted(directory, name)) {
        atomic_store_explicit(&watch->instance->woken, true, memory_order_relaxed);
        atomic_store_explicit(&watch->news, true, memory_order_release);
        watch->changed(watch->data);
    }
}

static bool is_known(const struct wr_watch *watch, const char *path)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (strcmp(watch->directories[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

static void resume_all(struct wr_watch *watch)
{
    atomic_store(&watch->paused, false);
    for (size_t i = 0; i < watch->count; i++) {
        struct directory *directory = &watch->directories[i];
        int code = uv_fs_event_start(&directory->handle, on_event, directory->path, 0);
        if (code != 0 && code != UV_EINVAL) { /* EINVAL: it is started */
            atomic_store(&watch->whole, false);
            wr_log(watch->instance->env, WR_LOG_DEBUG,
                   "%s cannot be watched (%s): it is looked at every few milliseconds instead",
                   directory->path, uv_strerror(code));
        }
    }
}

static void on_resume(uv_async_t *handle)
{
    resume_all(handle->data);
}

static int add_directory(struct wr_watch *watch, uv_loop_t *loop, const char *path)
{
    if (is_known(watch, path)) {
        return 0;
    }
    struct directory *directory = &watch->directories[watch->count++];
    directory->watch = watch;
    directory->path = path;
    directory->handle.data = directory;
    return uv_fs_event_init(loop, &directory->handle);
}

/* A source says so itself. Thread: any. */
static void on_ring(void *data)
{
    struct wr_watch *watch = data;
    atomic_store_explicit(&watch->news, true, memory_order_release);
    watch->changed(watch->data);
}

static void listen_to_all(struct wr_instance *instance, void (*ring)(void *data),
                          struct wr_watch *watch)
{
    for (size_t i = 0; i < instance->job->source_count; i++) {
        struct wr_source *source = instance->sources[i];
        if (source->ops->listen) {
            source->ops->listen(source, ring, watch);
        }
    }
}

int wr_watch_start(struct uv_loop_s *loop, struct wr_instance *instance,
                   void (*changed)(void *data), void *data, struct wr_watch **watch_out)
{
    size_t count = 0;
    for (size_t i = 0; i < instance->job->source_count; i++) {
        count += instance->sources[i]->watch_count;
    }
    struct wr_watch *watch = calloc(1, sizeof *watch + count * sizeof *watch->directories);
    *watch_out = watch;
    if (!watch) {
        return UV_ENOMEM;
    }
    watch->instance = instance;
    watch->changed = changed;
    watch->data = data;
    watch->whole = true;
    watch->waits = true;
    watch->resume.data = watch;
    int code = uv_async_init(loop, &watch->resume, on_resume);
    for (size_t i = 0; i < instance->job->source_count; i++) {
        const struct wr_source *source = instance->sources[i];
        for (size_t j = 0; code == 0 && j < source->watch_count; j++) {
            code = add_directory(watch, loop, source->watches[j].directory);
        }
    }
    resume_all(watch);
    listen_to_all(instance, on_ring, watch);
    return code;
}

void wr_watch_free(struct wr_watch *watch)
{
    if (watch) {
        listen_to_all(watch->instance, NULL, NULL);
    }
    free(watch);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Inputs that are watched are polled ever less often: what an event tells of is often to be seen
 * only later, as a store's write-ahead log is written and synced before its transaction counts. */
int64_t wr_watch_idle_ms(struct wr_watch *watch)
{
    struct wr_instance *instance = watch->instance;
    bool watched = atomic_load(&watch->whole) && wr_inputs_watched(instance);
    atomic_store_explicit(&watch->waits, true, memory_order_relaxed);
    if (atomic_load(&watch->paused)) {
        uv_async_send(&watch->resume);
    }
    if (atomic_exchange_explicit(&watch->news, false, memory_order_acquire)) {
        watch->empty_ms = 0;
    }
    int64_t wait = watched && watch->empty_ms > 0 ? watch->empty_ms * 2 : watch->empty_ms + 1;
    int64_t longest = watched ? WATCHED_WAIT_MS_MAX : EMPTY_WAIT_MS_MAX;
    wait = wait < longest ? wait : longest;
    watch->empty_ms = wait;
    int64_t next = wr_instance_next_ms(instance);
    wait = next < wait ? next : wait;
    int64_t left = wr_pace_left_ms(instance);
    wait = left < wait ? left : wait;
    return wait > 0 ? wait : 1;
}

bool wr_watch_has_news(const struct wr_watch *watch)
{
    return atomic_load_explicit(&watch->news, memory_order_acquire);
}

void wr_watch_busy(struct wr_watch *watch)
{
    watch->empty_ms = 0;
    atomic_store_explicit(&watch->waits, false, memory_order_relaxed);
}
