/* fail_alloc.c: see fail_alloc.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fail_alloc.h"

#include <errno.h>
#include <stddef.h>

#include <sqlite3.h>

static struct {
    bool armed, paused, lasting, hit;
    enum fail_alloc_of of;
    int64_t left;
} now;

static sqlite3_mem_methods sqlite_methods; /* SQLite's own */

static bool fails(enum fail_alloc_of of)
{
    if (!now.armed || now.paused || now.of != of) {
        return false;
    }
    now.left--;
    if (now.left == 0 || (now.left < 0 && now.lasting)) {
        now.hit = true;
        errno = ENOMEM;
        return true;
    }
    return false;
}

void fail_alloc_arm(enum fail_alloc_of of, int64_t n, bool lasting)
{
    now.armed = true;
    now.paused = false;
    now.lasting = lasting;
    now.hit = false;
    now.of = of;
    now.left = n;
}

void fail_alloc_pause(bool paused)
{
    now.paused = paused;
}

void fail_alloc_off(void)
{
    now.armed = false;
}

bool fail_alloc_hit(void)
{
    return now.hit;
}

/* ---- SQLite ---------------------------------------------------------------------------------- */

static void *sqlite_malloc(int size)
{
    return fails(FAIL_ALLOC_SQLITE) ? NULL : sqlite_methods.xMalloc(size);
}

static void *sqlite_realloc(void *memory, int size)
{
    return fails(FAIL_ALLOC_SQLITE) ? NULL : sqlite_methods.xRealloc(memory, size);
}

void fail_alloc_init(void)
{
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_methods);
    sqlite3_mem_methods methods = sqlite_methods;
    methods.xMalloc = sqlite_malloc;
    methods.xRealloc = sqlite_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0); /* else small ones are never asked for */
    sqlite3_initialize();
}

/* ---- What the linker puts in place of malloc and its like ------------------------------------ */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
int __real_posix_memalign(void **memory_out, size_t alignment, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_posix_memalign(void **memory_out, size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails(FAIL_ALLOC_WEIR) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(FAIL_ALLOC_WEIR) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails(FAIL_ALLOC_WEIR) ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails(FAIL_ALLOC_WEIR) ? NULL : __real_strdup(text);
}

int __wrap_posix_memalign(void **memory_out, size_t alignment, size_t size)
{
    return fails(FAIL_ALLOC_WEIR) ? ENOMEM : __real_posix_memalign(memory_out, alignment, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails(FAIL_ALLOC_WEIR) ? NULL : __real_aligned_alloc(alignment, size);
}
