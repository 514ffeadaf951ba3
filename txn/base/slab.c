/* slab.c: see slab.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/base/slab.h"

#include <stdlib.h>
#include <string.h>

void wr_slab_init(struct wr_slab *slab)
{
    *slab = (struct wr_slab){.free_list = {NULL}};
    wr_arena_init(&slab->arena, 0);
}

void wr_slab_fini(struct wr_slab *slab)
{
    wr_arena_fini(&slab->arena);
    wr_slab_init(slab);
}

void *wr_slab_alloc(struct wr_slab *slab, size_t bytes)
{
    if (wr_slab_is_large(bytes)) {
        return malloc(bytes);
    }
    size_t class = (bytes + WR_SLAB_CLASS_BYTES - 1) / WR_SLAB_CLASS_BYTES;
    void *block = slab->free_list[class];
    if (!block) {
        return wr_arena_alloc(&slab->arena, class * WR_SLAB_CLASS_BYTES);
    }
    memcpy(&slab->free_list[class], block, sizeof(void *));
    return block;
}

void wr_slab_free(struct wr_slab *slab, void *block, size_t bytes)
{
    if (wr_slab_is_large(bytes)) {
        free(block);
        return;
    }
    size_t class = (bytes + WR_SLAB_CLASS_BYTES - 1) / WR_SLAB_CLASS_BYTES;
    memcpy(block, &slab->free_list[class], sizeof(void *));
    slab->free_list[class] = block;
}
