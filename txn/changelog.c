/* changelog.c: see changelog.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/changelog.h"

enum { FORMAT = 1, CRC_AT = 4, COUNT_AT = 8, HEADER_BYTES = 12 };

/* ---- Packing --------------------------------------------------------------------------------- */

static unsigned char *put_part(unsigned char *at, weir_bytes part)
{
    at = wr_varint_put(at, part.data ? (uint64_t)part.size + 1 : 0);
    if (part.size) {
        memcpy(at, part.data, part.size);
    }
    return at + part.size;
}

bool wr_changelog_pack(const struct wr_epoch *epoch, struct wr_buffer *buffer)
{
    buffer->size = 0;
    unsigned char *header = wr_buffer_extend(buffer, HEADER_BYTES);
    if (!header) {
        return false;
    }
    memset(header, 0, HEADER_BYTES);
    for (const struct wr_entry *entry = epoch->entries; entry; entry = entry->next) {
        weir_bytes key = wr_entry_key(entry), slot = wr_entry_slot(entry);
        weir_bytes value = wr_entry_value(entry);
        size_t most = key.size + slot.size + value.size + (size_t)4 * WR_VARINT_MAX;
        if (!wr_buffer_reserve(buffer, most)) {
            return false;
        }
        unsigned char *from = buffer->data + buffer->size;
        unsigned char *at = wr_varint_put(from, entry->node);
        at = put_part(at, key);
        at = put_part(at, slot);
        at = put_part(at, value);
        buffer->size += (size_t)(at - from);
    }
    header = buffer->data;
    header[0] = FORMAT;
    wr_u32_put(header + COUNT_AT, (uint32_t)epoch->entry_count);
    wr_u32_put(header + CRC_AT, wr_crc32c(0, header + COUNT_AT, buffer->size - COUNT_AT));
    return true;
}

/* ---- Reading --------------------------------------------------------------------------------- */

bool wr_changelog_open(struct wr_changelog_reader *reader, weir_bytes bytes, const char **why_out)
{
    const unsigned char *at = bytes.data;
    if (!at || bytes.size < HEADER_BYTES || at[0] != FORMAT || at[1] || at[2] || at[3]) {
        *why_out = "it has no header";
        return false;
    }
    if (wr_crc32c(0, at + COUNT_AT, bytes.size - COUNT_AT) != wr_u32_get(at + CRC_AT)) {
        *why_out = "its CRC does not match";
        return false;
    }
    *reader = (struct wr_changelog_reader){
        .at = at + HEADER_BYTES, .end = at + bytes.size, .left = wr_u32_get(at + COUNT_AT)};
    return true;
}

static bool get_part(struct wr_changelog_reader *reader, weir_bytes *part_out)
{
    uint64_t size = 0;
    const unsigned char *at = wr_varint_get(reader->at, reader->end, &size);
    *part_out = (weir_bytes){NULL, 0};
    if (!at || (size > 0 && size - 1 > (uint64_t)(reader->end - at))) {
        return false;
    }
    if (size > 0) {
        *part_out = (weir_bytes){at, (size_t)size - 1};
        at += size - 1;
    }
    reader->at = at;
    return true;
}

bool wr_changelog_next(struct wr_changelog_reader *reader, struct wr_folded *change_out,
                       bool *more_out, const char **why_out)
{
    *more_out = reader->left > 0;
    if (reader->left == 0) {
        *why_out = "it is longer than its changes";
        return reader->at == reader->end;
    }
    uint64_t node = 0;
    *why_out = "it ends early";
    reader->at = wr_varint_get(reader->at, reader->end, &node);
    if (!reader->at || node > UINT32_MAX || !get_part(reader, &change_out->key) ||
        !get_part(reader, &change_out->slot) || !get_part(reader, &change_out->value)) {
        return false;
    }
    change_out->node = (uint32_t)node;
    reader->left--;
    return true;
}

weir_status wr_changelog_each(weir_bytes bytes, wr_changelog_visit visit, void *data,
                              struct wr_error *error)
{
    struct wr_changelog_reader reader;
    const char *why = "";
    bool more = true;
    bool good = wr_changelog_open(&reader, bytes, &why);
    while (good && more) {
        struct wr_folded change;
        good = wr_changelog_next(&reader, &change, &more, &why);
        if (good && more) {
            WR_TRY(visit(data, &change, error));
        }
    }
    return good ? WEIR_OK : wr_fail(error, WEIR_FATAL, WR_EXIT_DATA, "%s", why);
}

static weir_status make_dirty(void *data, const struct wr_folded *change, struct wr_error *error)
{
    uint64_t hash = wr_hash(change->node, change->key, change->slot);
    return wr_cache_set(data, change->node, change->key, change->slot, hash, change->value, true)
               ? WEIR_OK
               : wr_fail_memory(error);
}

weir_status wr_changelog_replay(weir_bytes bytes, struct wr_cache *cache, struct wr_error *error)
{
    return wr_changelog_each(bytes, make_dirty, cache, error);
}
