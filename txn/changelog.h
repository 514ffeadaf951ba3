/* changelog.h: what an epoch changed in state, packed into one blob: a row of table `changelog`.
 * docs/FORMAT.md has the format byte by byte:
 *
 *   0  u8  format, 1     4  u32 CRC32C of bytes 8 to the end     12  changes, one after the other
 *   1  u8[3] 0           8  u32 count
 *
 * A change: varint node, varint key size + 1 (0: absent), key, varint slot size + 1, slot, varint
 * value size + 1 (0: removed), value. Numbers are little-endian, varints unsigned LEB128. A slot is
 * named once in a blob.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_CHANGELOG_H
#define WR_CHANGELOG_H

#include "txn/cache.h"

/* Packs the state entries of a sealed epoch, in place of what the buffer held. False: no memory. */
bool wr_changelog_pack(const struct wr_epoch *epoch, struct wr_buffer *buffer);

struct wr_changelog_reader {
    const unsigned char *at, *end;
    uint32_t left;
};
/* One slot as a change, or the folding of many, leaves it. Value absent: removed. */
struct wr_folded {
    uint32_t node;
    weir_bytes key, slot, value;
};

/* Checks format, size and CRC. False: *why_out says what is wrong. `bytes` must outlive the reader,
 * and what it gives. */
bool wr_changelog_open(struct wr_changelog_reader *reader, weir_bytes bytes, const char **why_out);
/* The next change; *more_out false: that was all. False: it is damaged. */
bool wr_changelog_next(struct wr_changelog_reader *reader, struct wr_folded *change_out,
                       bool *more_out, const char **why_out);

typedef weir_status (*wr_changelog_visit)(void *data, const struct wr_folded *change,
                                          struct wr_error *error);
/* Every change of a blob, in order, until one fails. 65 names what is wrong with the blob, without
 * saying where it was found. */
weir_status wr_changelog_each(weir_bytes bytes, wr_changelog_visit visit, void *data,
                              struct wr_error *error);

/* Makes every change of a blob a dirty entry, as wr_changelog_each. */
weir_status wr_changelog_replay(weir_bytes bytes, struct wr_cache *cache, struct wr_error *error);

#endif
