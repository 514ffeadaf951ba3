/* bytes.h: comparing and encoding bytes: order, varints, UTF-8, big-endian numbers, CRC32C, growing
 * buffers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BYTES_H
#define WR_BYTES_H

#include <string.h>

#include "engine/weir.h"

static inline weir_bytes wr_bytes(const void *data, size_t size)
{
    return (weir_bytes){data, size};
}

static inline bool wr_bytes_equal(weir_bytes a, weir_bytes b)
{
    return a.size == b.size && !a.data == !b.data &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Absent first, then by byte, the shorter first: the order of SQLite's blobs. */
static inline int wr_bytes_compare(weir_bytes a, weir_bytes b)
{
    if (!a.data || !b.data) {
        return (a.data != NULL) - (b.data != NULL);
    }
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Hash of (node, key, slot), of (node, key, name), of a key: XXH3. Absent and empty differ. */
uint64_t wr_hash(uint64_t seed, weir_bytes a, weir_bytes b);

uint32_t wr_crc32c(uint32_t crc, const void *data, size_t size);

/* The Java client's partitioner: murmur2 of the key, made positive, modulo partitions. */
uint32_t wr_murmur2(weir_bytes key);
static inline int32_t wr_partition_of(weir_bytes key, int32_t partitions)
{
    return (int32_t)((wr_murmur2(key) & 0x7fffffffu) % (uint32_t)partitions);
}

/* Unsigned LEB128, at most 10 bytes. Put returns the byte after; get returns NULL when the input
 * ends early or is too long. */
enum { WR_VARINT_MAX = 10 };
static inline unsigned char *wr_varint_put(unsigned char *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    *at++ = (unsigned char)value;
    return at;
}
const unsigned char *wr_varint_get(const unsigned char *at, const unsigned char *end,
                                   uint64_t *value_out);

/* Bytes of the character at `at`, as RFC 3629 has them (no overlong form, no surrogate, nothing
 * above U+10FFFF); 0: none. */
size_t wr_utf8_size(const unsigned char *at, size_t left);
bool wr_utf8_is_valid(weir_bytes bytes);
/* Well-formed UTF-8 without NUL: what SQLite's tools can show as text. */
bool wr_bytes_is_text(weir_bytes bytes);

static inline uint64_t wr_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}
static inline int64_t wr_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* Big-endian with the sign bit flipped: 8 bytes that sort as numbers do. */
void wr_i64_put(unsigned char at[8], int64_t value);
int64_t wr_i64_get(const unsigned char at[8]);
/* Little-endian, for the batch header. */
void wr_u32_put(unsigned char *at, uint32_t value);
uint32_t wr_u32_get(const unsigned char *at);
void wr_u64_put(unsigned char *at, uint64_t value);
uint64_t wr_u64_get(const unsigned char *at);

/* A growing run of bytes; keeps its memory when cleared. */
struct wr_buffer {
    unsigned char *data;
    size_t size, capacity;
};
/* Room for `size` more bytes at the end, which are counted at once; NULL: out of memory. */
unsigned char *wr_buffer_extend(struct wr_buffer *buffer, size_t size);
bool wr_buffer_reserve(struct wr_buffer *buffer, size_t size);
void wr_buffer_fini(struct wr_buffer *buffer);

#endif
