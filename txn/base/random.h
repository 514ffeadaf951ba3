/* random.h: a sequence that looks random and is the same for the same seed: for what is generated,
 * and for choices that a test or a measurement makes. Not for secrets, nor for ids.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_RANDOM_H
#define WR_RANDOM_H

#include <stdint.h>

/* The next 64 bits; *state is the seed at first. splitmix64 of Steele, Lea and Flood (2014). */
static inline uint64_t wr_random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

#endif
