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

static bool is_tail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t wr_utf8_size(const unsigned char *at, size_t left)
{
    if (at[0] < 0x80) {
        return 1;
    }
    if (at[0] >= 0xc2 && at[0] <= 0xdf) {
        return left >= 2 && is_tail(at[1]) ? 2 : 0;
    }
    if (at[0] >= 0xe0 && at[0] <= 0xef) {
        bool good = left >= 3 && is_tail(at[1]) && is_tail(at[2]) &&
                    !(at[0] == 0xe0 && at[1] < 0xa0) && !(at[0] == 0xed && at[1] > 0x9f);
        return good ? 3 : 0;
    }
    if (at[0] >= 0xf0 && at[0] <= 0xf4) {
        bool good = left >= 4 && is_tail(at[1]) && is_tail(at[2]) && is_tail(at[3]) &&
                    !(at[0] == 0xf0 && at[1] < 0x90) && !(at[0] == 0xf4 && at[1] > 0x8f);
        return good ? 4 : 0;
    }
    return 0;
}

bool wr_utf8_is_valid(weir_bytes bytes)
{
    const unsigned char *at = bytes.data;
    size_t left = bytes.size;
    while (left > 0) {
        uint64_t eight;
        if (left >= 8 && (memcpy(&eight, at, 8), (eight & 0x8080808080808080u) == 0)) {
            at += 8; /* all ASCII, the usual case */
            left -= 8;
            continue;
        }
        size_t size = wr_utf8_size(at, left);
        if (size == 0) {
            return false;
        }
        at += size;
        left -= size;
    }
    return true;
}

bool wr_bytes_is_text(weir_bytes bytes)
{
    return wr_utf8_is_valid(bytes) && (bytes.size == 0 || !memchr(bytes.data, 0, bytes.size));
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
