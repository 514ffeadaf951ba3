/* arena.c: see arena.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

enum { CHUNK_BYTES = 256 * 1024, CHUNK_FIRST_BYTES = 4096 };

void wr_arena_init(struct wr_arena *arena, size_t keep)
{
    *arena = (struct wr_arena){.keep = keep};
}

static void free_chunks(struct wr_chunk *chunk)
{
    while (chunk) {
        struct wr_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void wr_arena_fini(struct wr_arena *arena)
{
    free_chunks(arena->first);
    *arena = (struct wr_arena){.keep = arena->keep};
}

/* Moves on to the next kept chunk when it is large enough, else puts a new one before it. */
void *wr_arena_slow(struct wr_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 4) {
        return NULL;
    }
    size_t rounded = (size + 7) & ~(size_t)7;
    struct wr_chunk *next = arena->at ? arena->at->next : arena->first;
    if (!next || next->size < rounded) {
        size_t bytes = arena->first ? CHUNK_BYTES : CHUNK_FIRST_BYTES;
        if (bytes < rounded) {
            bytes = rounded;
        }
        struct wr_chunk *chunk = malloc(sizeof *chunk + bytes);
        if (!chunk) {
            return NULL;
        }
        chunk->size = bytes;
        chunk->next = next;
        if (arena->at) {
            arena->at->next = chunk;
        } else {
            arena->first = chunk;
        }
        next = chunk;
    }
    arena->before += arena->used;
    arena->at = next;
    arena->used = rounded;
    return next->data;
}

void *wr_arena_zalloc(struct wr_arena *arena, size_t size)
{
    void *memory = wr_arena_alloc(arena, size);
    if (memory) {
        memset(memory, 0, size);
    }
    return memory;
}

bool wr_arena_copy(struct wr_arena *arena, weir_bytes from, weir_bytes *to_out)
{
    *to_out = (weir_bytes){NULL, 0};
    if (!from.data) {
        return true;
    }
    void *memory = wr_arena_alloc(arena, from.size);
    if (!memory) {
        return false;
    }
    if (from.size) {
        memcpy(memory, from.data, from.size);
    }
    *to_out = (weir_bytes){memory, from.size};
    return true;
}

char *wr_arena_string(struct wr_arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = wr_arena_alloc(arena, size);
    if (copy) {
        memcpy(copy, text, size);
    }
    return copy;
}

void wr_arena_reset(struct wr_arena *arena)
{
    size_t held = 0;
    struct wr_chunk **link = &arena->first;
    while (*link && held + (*link)->size <= arena->keep) {
        held += (*link)->size;
        link = &(*link)->next;
    }
    free_chunks(*link);
    *link = NULL;
    arena->at = arena->first;
    arena->used = 0;
    arena->before = 0;
}
