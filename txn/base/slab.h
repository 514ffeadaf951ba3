/* slab.h: blocks of a few sizes that come and go one by one, from free lists over an arena: what
 * lives longer than a unit and shorter than the run. Blocks over 1 KiB come from malloc.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_SLAB_H
#define WR_SLAB_H

#include "txn/base/arena.h"

enum { WR_SLAB_CLASSES = 64, WR_SLAB_CLASS_BYTES = 16 };

struct wr_slab {
    struct wr_arena arena;
    void *free_list[WR_SLAB_CLASSES];
};

void wr_slab_init(struct wr_slab *slab);
/* Frees all small blocks at once; large ones must have been freed. */
void wr_slab_fini(struct wr_slab *slab);
void *wr_slab_alloc(struct wr_slab *slab, size_t bytes);
void wr_slab_free(struct wr_slab *slab, void *block, size_t bytes);
/* Whether a block of this size must be freed before wr_slab_fini. */
static inline bool wr_slab_is_large(size_t bytes)
{
    return (bytes + WR_SLAB_CLASS_BYTES - 1) / WR_SLAB_CLASS_BYTES >= WR_SLAB_CLASSES;
}

#endif
