/* source_gen.h: what the kinds of generated records have in common: digits; and gen:nexmark
 * (gen_nexmark.c), for source_gen.c.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_SOURCE_GEN_H
#define WR_SOURCE_GEN_H

#include <string.h>

#include "txn/base/arena.h"
#include "txn/base/error.h"

enum { WR_DIGITS = 20 }; /* of a uint64_t */

static const char wr_two_digits[201] = "00010203040506070809101112131415161718192021222324"
                                       "25262728293031323334353637383940414243444546474849"
                                       "50515253545556575859606162636465666768697071727374"
                                       "75767778798081828384858687888990919293949596979899";

/* Decimal text without leading zeros, written to end at `end`; returns its first byte. */
static inline unsigned char *wr_put_number(unsigned char *end, uint64_t value)
{
    while (value >= 100) {
        end -= 2;
        memcpy(end, wr_two_digits + (value % 100) * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        end -= 2;
        memcpy(end, wr_two_digits + value * 2, 2);
        return end;
    }
    *--end = (unsigned char)('0' + value);
    return end;
}

/* ---- gen:nexmark ----------------------------------------------------------------------------- */

enum { WR_NEXMARK_BYTES_MAX = 1280 }; /* of an event, and what is written behind it */

struct wr_nexmark;

/* In the arena; NULL: no memory. */
const struct wr_nexmark *wr_nexmark_new(uint64_t seed, struct wr_arena *arena);
/* Makes event `k` at `at`, where there is room for WR_NEXMARK_BYTES_MAX. */
void wr_nexmark_make(const struct wr_nexmark *nexmark, uint64_t k, unsigned char *at,
                     weir_record *record);

#endif
