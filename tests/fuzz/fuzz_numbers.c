/* fuzz_numbers.c: numbers as bytes (varints, zigzag, sortable integers, little-endian) and as text
 * (decimal, sizes with k, M, G): what is read is what was written, nothing is read beyond the end,
 * and what is no number is refused.
 *
 * Input: two 8-byte numbers, then bytes that are read as a varint and as text.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/endpoint.h"
#include "txn/base/bytes.h"

static void check_written(uint64_t value, uint64_t other)
{
    unsigned char bytes[WR_VARINT_MAX];
    uint64_t read;
    unsigned char *end = wr_varint_put(bytes, value);
    fuzz_check(end - bytes <= WR_VARINT_MAX);
    fuzz_check(wr_varint_get(bytes, end, &read) == end && read == value);
    for (const unsigned char *early = bytes; early < end; early++) {
        fuzz_check(!wr_varint_get(bytes, early, &read));
    }
    fuzz_check(wr_unzigzag(wr_zigzag((int64_t)value)) == (int64_t)value);
    fuzz_check(wr_zigzag(wr_unzigzag(value)) == value);

    unsigned char a[8], b[8];
    wr_i64_put(a, (int64_t)value);
    wr_i64_put(b, (int64_t)other);
    fuzz_check(wr_i64_get(a) == (int64_t)value);
    int order = memcmp(a, b, 8);
    fuzz_check((order < 0) == ((int64_t)value < (int64_t)other));
    fuzz_check((order == 0) == (value == other));
    wr_u64_put(a, value);
    fuzz_check(wr_u64_get(a) == value);
    wr_u32_put(a, (uint32_t)value);
    fuzz_check(wr_u32_get(a) == (uint32_t)value);
}

/* A varint is at most ten groups of seven bits, and its value fits 64. */
static void check_varint(weir_bytes bytes)
{
    const unsigned char *start = bytes.data, *end = start + bytes.size;
    uint64_t value = 0, expected = 0;
    size_t used = 0;
    bool whole = false, fits = true;
    for (; used < bytes.size && used < WR_VARINT_MAX && !whole; used++) {
        unsigned group = start[used] & 0x7f;
        fits = fits && (used < 9 || group <= 1);
        expected += fits ? (uint64_t)group << (7 * used) : 0;
        whole = start[used] < 0x80;
    }
    const unsigned char *after = wr_varint_get(start, end, &value);
    fuzz_check((after != NULL) == (whole && fits));
    fuzz_check(!after || (after == start + used && value == expected));
}

static int64_t unit_of(char letter)
{
    switch (letter) {
    case 'k':
    case 'K':
        return 1 << 10;
    case 'm':
    case 'M':
        return 1 << 20;
    case 'g':
    case 'G':
        return 1 << 30;
    default:
        return 0;
    }
}

/* What strtoll takes is wider by blanks and `+`; with them put aside the two agree. */
static void check_text(const char *text, int64_t min, int64_t max)
{
    int64_t value = 0;
    char *rest;
    bool plain =
        (*text >= '0' && *text <= '9') || (*text == '-' && text[1] >= '0' && text[1] <= '9');
    errno = 0;
    long long number = plain ? strtoll(text, &rest, 10) : 0;
    bool number_fits = plain && errno == 0;
    bool good = number_fits && *rest == '\0' && number >= min && number <= max;
    fuzz_check(wr_parse_number(text, min, max, &value) == good);
    fuzz_check(!good || value == number);

    int64_t unit = number_fits && *rest ? unit_of(*rest) : 1;
    __int128 size = (__int128)number * unit;
    good = number_fits && unit && (!*rest || !rest[1]) && size >= min && size <= max;
    fuzz_check(wr_parse_size(text, min, max, &value) == good);
    fuzz_check(!good || value == (int64_t)size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, data + size};
    uint64_t first = fuzz_u64(&input), second = fuzz_u64(&input);
    check_written(first, second);
    check_written(second, first);
    weir_bytes rest = fuzz_rest(&input);
    check_varint(rest);
    char *text = fuzz_string(rest.data, rest.size);
    check_text(text, INT64_MIN, INT64_MAX);
    check_text(text, 0, INT64_MAX);
    int64_t low = (int64_t)(first < second ? first : second);
    check_text(text, low < 0 ? low : -low, low < 0 ? INT64_MAX : low);
    free(text);
    fuzz_free(rest);
    return 0;
}
