/* fuzz_hash.c: murmur2 and the partition chosen by it, and CRC32C, against second implementations
 * that were written from their definitions, byte by byte and bit by bit.
 *
 * Input: a byte that says where to cut a CRC in two, two bytes of a number of partitions, a key.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/kit.h"

#include "txn/base/bytes.h"

/* ---- Utils.murmur2 of the Java client, in the types of Java ---------------------------------- */

static int32_t as_int(uint64_t value)
{
    uint32_t low = (uint32_t)(value & 0xffffffff);
    return low < 0x80000000u ? (int32_t)low : -(int32_t)(0xffffffffu - low) - 1;
}

static int32_t multiply(int32_t a, int32_t b)
{
    return as_int((uint64_t)((int64_t)a * (int64_t)b));
}

/* Java's >>> */
static int32_t shift_right(int32_t a, int bits)
{
    uint64_t value = (uint64_t)(int64_t)a & 0xffffffff;
    for (int i = 0; i < bits; i++) {
        value /= 2;
    }
    return as_int(value);
}

static int32_t byte_at(weir_bytes data, size_t at, int power)
{
    uint64_t value = ((const uint8_t *)data.data)[at];
    for (int i = 0; i < power; i++) {
        value *= 256;
    }
    return as_int(value);
}

static int32_t java_murmur2(weir_bytes data)
{
    const int32_t m = 0x5bd1e995;
    int32_t h = as_int(0x9747b28c) ^ (int32_t)data.size;
    size_t whole = data.size / 4;
    for (size_t i = 0; i < whole; i++) {
        int32_t k = 0;
        for (int byte = 0; byte < 4; byte++) {
            k = as_int((uint64_t)((int64_t)k + byte_at(data, i * 4 + (size_t)byte, byte)));
        }
        k = multiply(k, m);
        k ^= shift_right(k, 24);
        k = multiply(k, m);
        h = multiply(h, m);
        h ^= k;
    }
    for (size_t left = data.size % 4; left > 0; left--) {
        h ^= byte_at(data, whole * 4 + left - 1, (int)left - 1);
    }
    if (data.size % 4 != 0) {
        h = multiply(h, m);
    }
    h ^= shift_right(h, 13);
    h = multiply(h, m);
    return h ^ shift_right(h, 15);
}

/* ---- RFC 3720's CRC32C, a bit at a time ------------------------------------------------------ */

static uint32_t slow_crc32c(weir_bytes data)
{
    uint32_t sum = 0xffffffffu;
    for (size_t i = 0; i < data.size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            uint32_t in = (((const uint8_t *)data.data)[i] >> bit) & 1;
            uint32_t out = (sum & 1) ^ in;
            sum = (sum >> 1) ^ (out ? 0x82f63b78u : 0);
        }
    }
    return ~sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, data + size};
    size_t cut = fuzz_u8(&input);
    int32_t partitions = fuzz_u8(&input) * 256;
    partitions += fuzz_u8(&input) + 1;
    weir_bytes key = fuzz_rest(&input);

    int32_t hash = java_murmur2(key);
    fuzz_check((int32_t)wr_murmur2(key) == hash);
    fuzz_check(wr_partition_of(key, partitions) == (hash & 0x7fffffff) % partitions);

    uint32_t crc = slow_crc32c(key);
    cut = cut < key.size ? cut : key.size;
    fuzz_check(wr_crc32c(0, key.data, key.size) == crc);
    uint32_t first = wr_crc32c(0, key.data, cut);
    fuzz_check(wr_crc32c(first, (const uint8_t *)key.data + cut, key.size - cut) == crc);

    weir_bytes absent = {NULL, 0};
    fuzz_check(wr_hash(1, key, absent) == wr_hash(1, key, absent));
    fuzz_check(key.size > 0 || wr_hash(1, key, absent) != wr_hash(1, absent, absent));
    fuzz_free(key);
    return 0;
}
