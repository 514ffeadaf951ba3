/* bytes.c: see bytes.h. The hash is XXH3 (libxxhash), the CRC is ISA-L's.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/base/bytes.h"

#include <isa-l/crc.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t wr_hash(uint64_t seed, weir_bytes a, weir_bytes b)
{
    static const unsigned char none[1];
    uint64_t first = XXH3_64bits_withSeed(a.data ? a.data : none, a.size, seed ^ !a.data);
    if (!b.data) {
        return first;
    }
    return XXH3_64bits_withSeed(b.data, b.size, first);
}

uint32_t wr_crc32c(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *at = data;
    while (size > 0) { /* ISA-L takes an int; it does not invert, we do as the RFC 3720 sum does */
        int step = size > 1 << 30 ? 1 << 30 : (int)size;
        crc = ~crc32_iscsi((unsigned char *)(uintptr_t)at, step, ~crc);
        at += step;
        size -= (size_t)step;
    }
    return crc;
}

/* MurmurHash2 as org.apache.kafka.common.utils.Utils.murmur2 computes it, seed 0x9747b28c. */
uint32_t wr_murmur2(weir_bytes key)
{
    const uint32_t m = 0x5bd1e995u;
    const unsigned char *at = key.data;
    size_t size = key.size;
    uint32_t h = 0x9747b28cu ^ (uint32_t)size;
    for (; size >= 4; at += 4, size -= 4) {
        uint32_t k = wr_u32_get(at) * m;
        k ^= k >> 24;
        h = (h * m) ^ (k * m);
    }
    switch (size) {
    case 3:
        h ^= (uint32_t)at[2] << 16;
        /* fall through */
    case 2:
        h ^= (uint32_t)at[1] << 8;
        /* fall through */
    case 1:
        h = (h ^ at[0]) * m;
        break;
    default:
        break;
    }
    h ^= h >> 13;
    h *= m;
    return h ^ (h >> 15);
}

const unsigned char *wr_varint_get(const unsigned char *at, const unsigned char *end,
                                   uint64_t *value_out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        unsigned char byte = *at++;
        if (shift == 63 && byte > 1) {
            return NULL;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *value_out = value;
            return at;
        }
    }
    return NULL;
}

bool wr_bytes_is_text(weir_bytes bytes)
{
    const unsigned char *at = bytes.data, *end = at + bytes.size;
    while (at < end) {
        unsigned lead = *at++;
        if (lead > 0 && lead < 0x80) {
            continue;
        }
        int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        if (lead < 0xc2 || lead > 0xf4 || end - at < more) {
            return false;
        }
        unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        for (int i = 0; i < more; i++, at++) {
            if (*at < (i ? 0x80 : low) || *at > (i ? 0xbf : high)) {
                return false;
            }
        }
    }
    return true;
}

void wr_i64_put(unsigned char at[8], int64_t value)
{
    uint64_t bits = __builtin_bswap64((uint64_t)value ^ 0x8000000000000000u);
    memcpy(at, &bits, 8);
}

int64_t wr_i64_get(const unsigned char at[8])
{
    uint64_t bits;
    memcpy(&bits, at, 8);
    return (int64_t)(__builtin_bswap64(bits) ^ 0x8000000000000000u);
}

/* The machines weir runs on are little-endian; the build refuses others. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weir needs a little-endian machine");

void wr_u32_put(unsigned char *at, uint32_t value)
{
    memcpy(at, &value, 4);
}

uint32_t wr_u32_get(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

void wr_u64_put(unsigned char *at, uint64_t value)
{
    memcpy(at, &value, 8);
}

uint64_t wr_u64_get(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return value;
}

bool wr_buffer_reserve(struct wr_buffer *buffer, size_t size)
{
    if (size <= buffer->capacity - buffer->size) {
        return true;
    }
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity - buffer->size < size) {
        if (capacity > SIZE_MAX / 4) {
            return false;
        }
        capacity *= 2;
    }
    unsigned char *data = realloc(buffer->data, capacity);
    if (!data) {
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

unsigned char *wr_buffer_extend(struct wr_buffer *buffer, size_t size)
{
    if (!wr_buffer_reserve(buffer, size)) {
        return NULL;
    }
    unsigned char *at = buffer->data + buffer->size;
    buffer->size += size;
    return at;
}

void wr_buffer_fini(struct wr_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct wr_buffer){NULL, 0, 0};
}
