/* arena.h: memory with one lifetime. Bump allocation from chunks; nothing is freed one by one. A
 * reset keeps the chunks, so that a steady state allocates nothing.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_ARENA_H
#define WR_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "engine/weir.h"

struct wr_chunk {
    struct wr_chunk *next;
    size_t size; /* of data */
    _Alignas(16) unsigned char data[];
};

struct wr_arena {
    struct wr_chunk *first, *at; /* chunks in order; `at` is being filled */
    size_t used; /* of `at` */
    size_t before; /* bytes used in the chunks before `at` */
    size_t keep; /* a reset frees what is held above this */
};

struct wr_mark {
    struct wr_chunk *at;
    size_t used, before;
};

/* `keep`: bytes that stay allocated over a reset. */
void wr_arena_init(struct wr_arena *arena, size_t keep);
void wr_arena_fini(struct wr_arena *arena);

void *wr_arena_slow(struct wr_arena *arena, size_t size);

/* 8-byte aligned, not zeroed; NULL when memory ran out. Size 0 gives a pointer that is not NULL. */
static inline void *wr_arena_alloc(struct wr_arena *arena, size_t size)
{
    size_t rounded = (size + 7) & ~(size_t)7;
    if (arena->at && rounded >= size && rounded <= arena->at->size - arena->used) {
        void *memory = arena->at->data + arena->used;
        arena->used += rounded;
        return memory;
    }
    return wr_arena_slow(arena, size);
}

void *wr_arena_zalloc(struct wr_arena *arena, size_t size);
/* A copy of bytes; absent stays absent. False when memory ran out. */
bool wr_arena_copy(struct wr_arena *arena, weir_bytes from, weir_bytes *to_out);
char *wr_arena_string(struct wr_arena *arena, const char *text);

static inline size_t wr_arena_bytes(const struct wr_arena *arena)
{
    return arena->before + arena->used;
}

static inline struct wr_mark wr_arena_mark(const struct wr_arena *arena)
{
    return (struct wr_mark){arena->at, arena->used, arena->before};
}

/* Gives back what was allocated since the mark. */
static inline void wr_arena_release(struct wr_arena *arena, struct wr_mark mark)
{
    arena->at = mark.at ? mark.at : arena->first;
    arena->used = mark.used;
    arena->before = mark.before;
}

void wr_arena_reset(struct wr_arena *arena);

#endif
