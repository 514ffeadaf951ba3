/* nexmark_ids.c: a set of ids with marks, as pages in a key's slots, so that a set of a few takes
 * one small slot, and one of a million is never read whole. Which page an id is in follows linear
 * hashing (Litwin, 1980): each time the set has grown by PAGE_IDS, one page is split in two, so
 * how many there are follows from the number of ids.
 *
 * State, version 1: slot KIND, then the page's number (4 bytes, little-endian); of each of its ids,
 * in ascending order as unsigned numbers, one byte of marks, and the difference to the one before
 * as LEB128.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "examples/nexmark/nexmark.h"

enum { PAGE_IDS = 32, SLOT_BYTES = 5, ENTRY_BYTES_MAX = 11, ENTRY_BYTES_MIN = 2 };

struct entry {
    uint64_t id;
    unsigned marks;
};

struct page {
    struct entry *entries; /* NULL: no memory */
    size_t count;
};

static uint32_t pages_of(int64_t count)
{
    return (uint32_t)(1 + count / PAGE_IDS);
}

/* Of so many pages the one that has this id: the last bits of its hash, as many as all pages can
 * be told apart by; one less, where that page is not there yet. */
static uint32_t page_of(uint64_t id, uint32_t pages)
{
    uint32_t hash = (uint32_t)(id * 0x9e3779b97f4a7c15 >> 32);
    uint32_t bits = pages > 1 ? UINT32_MAX >> __builtin_clz(pages - 1) : 0;
    uint32_t page = hash & bits;
    return page < pages ? page : page & (bits >> 1);
}

static weir_bytes slot_of(weir_ctx *ctx, char kind, uint32_t page)
{
    char *slot = weir_scratch(ctx, SLOT_BYTES);
    if (slot) {
        slot[0] = kind;
        for (int i = 0; i < 4; i++) {
            slot[1 + i] = (char)(page >> 8 * i);
        }
    }
    return (weir_bytes){slot, SLOT_BYTES};
}

/* The page, with room for one entry more. */
static struct page read_page(weir_ctx *ctx, weir_bytes slot)
{
    weir_bytes kept = weir_get(ctx, slot);
    size_t room = kept.size / ENTRY_BYTES_MIN + 1;
    struct page page = {weir_scratch(ctx, room * sizeof *page.entries), 0};
    const unsigned char *at = kept.data, *end = at + kept.size;
    uint64_t id = 0;
    while (page.entries && at != end) {
        unsigned marks = *at++, shift = 0;
        uint64_t step = 0;
        for (; *at >= 0x80; shift += 7) {
            step |= (uint64_t)(*at++ & 0x7f) << shift;
        }
        step |= (uint64_t)*at++ << shift;
        id += step;
        page.entries[page.count++] = (struct entry){id, marks};
    }
    return page;
}

static void write_page(weir_ctx *ctx, weir_bytes slot, struct page page)
{
    unsigned char *bytes = weir_scratch(ctx, page.count * ENTRY_BYTES_MAX + 1), *at = bytes;
    uint64_t before = 0;
    for (size_t i = 0; bytes && i < page.count; i++) {
        uint64_t step = page.entries[i].id - before;
        before = page.entries[i].id;
        *at++ = (unsigned char)page.entries[i].marks;
        for (; step >= 0x80; step >>= 7) {
            *at++ = (unsigned char)(step | 0x80);
        }
        *at++ = (unsigned char)step;
    }
    if (bytes) {
        weir_put(ctx, slot, (weir_bytes){bytes, (size_t)(at - bytes)});
    }
}

/* What belongs to the page that is to be the last goes there. */
static void split(weir_ctx *ctx, char kind, uint32_t pages)
{
    uint32_t last = pages - 1, bits = UINT32_MAX >> __builtin_clz(last);
    weir_bytes slot = slot_of(ctx, kind, last & (bits >> 1));
    struct page from = read_page(ctx, slot);
    struct page stays = {from.entries, 0};
    struct page goes = {weir_scratch(ctx, (from.count + 1) * sizeof *from.entries), 0};
    if (!from.entries || !goes.entries) {
        return;
    }
    for (size_t i = 0; i < from.count; i++) {
        struct page *to = page_of(from.entries[i].id, pages) == last ? &goes : &stays;
        to->entries[to->count++] = from.entries[i];
    }
    write_page(ctx, slot, stays);
    write_page(ctx, slot_of(ctx, kind, last), goes);
}

unsigned nexmark_mark(weir_ctx *ctx, char kind, int64_t count, int64_t id, unsigned mark)
{
    uint64_t wanted = (uint64_t)id;
    weir_bytes slot = slot_of(ctx, kind, page_of(wanted, pages_of(count)));
    struct page page = read_page(ctx, slot);
    size_t at = 0;
    while (at < page.count && page.entries[at].id < wanted) {
        at++;
    }
    if (!page.entries) {
        return 0;
    }
    struct entry *entry = &page.entries[at];
    bool there = at < page.count && entry->id == wanted;
    unsigned before = there ? entry->marks : 0;
    if (before & mark) {
        return before;
    }
    if (!there) {
        memmove(entry + 1, entry, (page.count - at) * sizeof *entry);
        page.count++;
    }
    *entry = (struct entry){wanted, before | mark};
    write_page(ctx, slot, page);
    if (!there && pages_of(count + 1) != pages_of(count)) {
        split(ctx, kind, pages_of(count + 1));
    }
    return before;
}
