/* source_gen.c: gen:keyed, gen:lines and gen:nexmark, records made from their number alone, so that
 * any stretch can be made again. Record i is offset i / P of partition i % P; its time is i, but of
 * gen:nexmark, which is gen_nexmark.c's.
 *
 * keyed: key = decimal text of i * 2654435761 mod K, value = i in 20 digits and filler up to `size`
 * bytes. lines: key absent, value = words up to `size` bytes; a word is its rank in a vocabulary of
 * K words, written in syllables; ranks are drawn log-uniformly, which is Zipf's law with
 * exponent 1. All of it is integer arithmetic: the same bytes on every machine.
 *
 * Long because what a record is made of, which must never change, is read as one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/sources/source.h"
#include "engine/sources/source_gen.h"
#include "txn/base/assert.h"
#include "txn/base/random.h"

enum {
    WORD_BYTES_MAX = 16, /* of the highest rank, and what a store of it may write beyond */
    RANK_BITS = 48, /* of the fraction of a rank's logarithm */
    WORDS_READY = 65536, /* words of a vocabulary that are made once, of three syllables at most */
};

struct word {
    unsigned char text[7], size;
};

enum kind { KEYED, LINES, NEXMARK };
static const char *const kinds[] = {"keyed", "lines", "nexmark"};

struct gen_source {
    struct wr_source base;
    enum kind kind;
    uint64_t records, keys, seed, partitions, rate; /* rate 0: unlimited */
    size_t size;
    uint64_t log_keys; /* log2(keys + 1), piecewise linear, RANK_BITS of fraction */
    struct word *words; /* of the ranks below words_ready */
    uint64_t words_ready;
    const struct wr_nexmark *nexmark;
    char filler;
    int64_t *first; /* per partition: where this run began */
};

static struct gen_source *gen_of(struct wr_source *source)
{
    return (struct gen_source *)source;
}

/* ---- One record ------------------------------------------------------------------------------ */

static void eight_digits(unsigned char *at, uint32_t value)
{
    for (int i = 6; i >= 0; i -= 2) {
        memcpy(at + i, wr_two_digits + (value % 100) * 2, 2);
        value /= 100;
    }
}

/* All 20 digits of a number. */
static void put_digits(unsigned char *at, uint64_t value)
{
    uint64_t high = value / 100000000;
    uint32_t top = (uint32_t)(high / 100000000); /* at most 4 digits */
    eight_digits(at + 12, (uint32_t)(value % 100000000));
    eight_digits(at + 4, (uint32_t)(high % 100000000));
    memcpy(at, wr_two_digits + top / 100 * 2, 2);
    memcpy(at + 2, wr_two_digits + top % 100 * 2, 2);
}

/* `at` has room for WR_DIGITS + size bytes. */
static void make_keyed(const struct gen_source *gen, uint64_t i, unsigned char *at,
                       weir_record *record)
{
    unsigned char *value = at + WR_DIGITS;
    unsigned char *key = wr_put_number(value, i * UINT64_C(2654435761) % gen->keys);
    put_digits(value, i);
    memset(value + WR_DIGITS, gen->filler, gen->size - WR_DIGITS);
    record->key = (weir_bytes){key, (size_t)(value - key)};
    record->value = (weir_bytes){value, gen->size};
}

/* From 0 to keys - 1: 2 to the power of a uniform logarithm, the power taken as linear between
 * whole exponents. */
static uint64_t draw_rank(const struct gen_source *gen, uint64_t random)
{
    uint64_t x = (uint64_t)(((unsigned __int128)random * gen->log_keys) >> 64);
    unsigned exponent = (unsigned)(x >> RANK_BITS);
    uint64_t one = UINT64_C(1) << RANK_BITS;
    return ((one + (x & (one - 1))) >> (RANK_BITS - exponent)) - 1;
}

/* A hundred syllables are the digits of a rank. Returns the byte after the word. */
static unsigned char *spell(unsigned char *at, uint64_t rank)
{
    static const char consonants[21] = "tnsrhldcmfpgwybvkjxz", vowels[6] = "eaoiu";
    for (;;) {
        unsigned digit = (unsigned)(rank % 100);
        at[0] = (unsigned char)consonants[digit / 5];
        at[1] = (unsigned char)vowels[digit % 5];
        at += 2;
        if (rank < 100) {
            return at;
        }
        rank = rank / 100 - 1;
    }
}

static inline unsigned char *put_word(const struct gen_source *gen, unsigned char *at,
                                      uint64_t rank)
{
    if (rank < gen->words_ready) {
        memcpy(at, gen->words[rank].text, sizeof gen->words[rank].text);
        return at + gen->words[rank].size;
    }
    return spell(at, rank);
}

/* `at` has room for size + WORD_BYTES_MAX bytes. The line ends with the last word that fits, and
 * has one in any case. */
static void make_line(const struct gen_source *gen, uint64_t i, unsigned char *at,
                      weir_record *record)
{
    uint64_t state = i * UINT64_C(0xd1342543de82ef95) ^ gen->seed;
    unsigned char *end = put_word(gen, at, draw_rank(gen, wr_random_next(&state)));
    const unsigned char *limit = at + gen->size;
    while (end < limit) {
        unsigned char *after = put_word(gen, end + 1, draw_rank(gen, wr_random_next(&state)));
        if (after > limit) {
            break;
        }
        *end = ' ';
        end = after;
    }
    record->key = (weir_bytes){NULL, 0};
    record->value = (weir_bytes){at, (size_t)(end - at)};
}

/* What the largest record needs, with what is written behind it. */
static size_t room_of(const struct gen_source *gen)
{
    switch (gen->kind) {
    case KEYED:
        return gen->size + WR_DIGITS;
    case LINES:
        return gen->size + WORD_BYTES_MAX;
    case NEXMARK:
        return WR_NEXMARK_BYTES_MAX;
    }
    return 0;
}

/* Record i at `at`; returns how many bytes are its own. */
static inline size_t make(const struct gen_source *gen, uint64_t i, unsigned char *at,
                          weir_record *record)
{
    *record = (weir_record){.time_ms = (int64_t)(i & INT64_MAX)};
    switch (gen->kind) {
    case KEYED:
        make_keyed(gen, i, at, record);
        return WR_DIGITS + gen->size;
    case LINES:
        make_line(gen, i, at, record);
        return record->value.size;
    case NEXMARK:
        wr_nexmark_make(gen->nexmark, i, at, record);
        return record->value.size;
    }
    return 0;
}

/* ---- Polling --------------------------------------------------------------------------------- */

/* The offset below which records are due, as a stream of `rate` records a second that started when
 * this run did would have made them. */
static int64_t due(const struct gen_source *gen, int64_t partition)
{
    if (gen->rate == 0) {
        return INT64_MAX;
    }
    int64_t since_us = gen->base.env->monotonic_us(gen->base.env) - gen->base.paced_from_us;
    uint64_t us = since_us > 0 ? (uint64_t)since_us : 0;
    uint64_t made = us / 1000000 * gen->rate + us % 1000000 * gen->rate / 1000000;
    uint64_t here = (made + gen->partitions - 1 - (uint64_t)partition) / gen->partitions;
    return gen->first[partition] + (int64_t)here;
}

/* When the next record of a partition is due. */
static int64_t due_us(const struct gen_source *gen, const struct wr_source_partition *partition)
{
    uint64_t before = (uint64_t)(partition->next - gen->first[partition->index]);
    unsigned __int128 made =
        (unsigned __int128)before * gen->partitions + (unsigned)partition->index + 1;
    unsigned __int128 us = (made * 1000000 + gen->rate - 1) / gen->rate;
    return us < INT64_MAX / 2 ? gen->base.paced_from_us + (int64_t)us : 0;
}

static weir_status gen_poll(struct wr_source *source, struct wr_source_partition *partition,
                            struct wr_polled *polled, enum wr_source_more *more_out,
                            struct wr_error *error)
{
    const struct gen_source *gen = gen_of(source);
    polled->count = 0;
    *more_out = WR_SOURCE_ENDED;
    if (partition->next >= partition->end) {
        return WEIR_OK;
    }
    int64_t limit = due(gen, partition->index);
    limit = limit < partition->end ? limit : partition->end;
    *more_out = WR_SOURCE_WAIT;
    partition->due_us = 0;
    if (partition->next >= limit) {
        partition->due_us = due_us(gen, partition);
        return WEIR_OK;
    }
    size_t room = room_of(gen), count = WR_POLL_RECORDS_MAX;
    count = (int64_t)count > limit - partition->next ? (size_t)(limit - partition->next) : count;
    size_t bytes = count * room < WR_POLL_BYTES_MAX ? count * room : WR_POLL_BYTES_MAX;
    bytes = bytes < room ? room : bytes;
    unsigned char *at = wr_arena_alloc(&polled->arena, bytes);
    if (!at || !wr_polled_reserve(polled, count)) {
        return wr_fail_memory(error);
    }
    const unsigned char *end = at + bytes;
    size_t n = 0;
    for (; n < count && (size_t)(end - at) >= room; n++) {
        int64_t offset = partition->next++;
        uint64_t i = (uint64_t)offset * gen->partitions + (uint64_t)partition->index;
        at += make(gen, i, at, &polled->records[n]);
        polled->offsets[n] = offset;
        polled->nexts[n] = offset + 1;
    }
    polled->count = n;
    *more_out = WR_SOURCE_MORE;
    return WEIR_OK;
}

/* ---- Positions ------------------------------------------------------------------------------- */

static weir_status gen_seek(struct wr_source *source, struct wr_source_partition *partition,
                            const struct wr_position *stored, struct wr_error *error)
{
    struct gen_source *gen = gen_of(source);
    int64_t next = stored ? stored->next : 0;
    if (stored && stored->identity && strcmp(stored->identity, partition->identity) != 0) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: these are not the records that were read so far: the generator "
                       "was %.200s and is now %.200s; give it those parameters again, or start "
                       "once with --rewind %s=earliest",
                       source->name, stored->identity, partition->identity, source->name);
    }
    if (next < 0) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "source %s: the store's position in partition %s is damaged: %" PRId64
                       "; `weir verify` shows what else is",
                       source->name, partition->part, next);
    }
    if (next > partition->end) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: %spartition %s has only %" PRId64 " records and would go on at "
                       "%" PRId64 "; give records= its old value or a higher one, or start once "
                       "with --rewind %s=earliest",
                       source->name, source->rewound ? "--rewind: " : "", partition->part,
                       partition->end, next, source->name);
    }
    partition->next = next;
    gen->first[partition->index] = next;
    return WEIR_OK;
}

static weir_status gen_bound(struct wr_source *source, struct wr_source_partition *partition,
                             struct wr_error *error)
{
    if (partition->end == INT64_MAX) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "source %s: a generator without records= has no end to run to; add "
                       "records=N",
                       source->name);
    }
    return WEIR_OK;
}

static int64_t gen_lag(struct wr_source *source, const struct wr_source_partition *partition)
{
    int64_t limit = due(gen_of(source), partition->index);
    limit = limit < partition->end ? limit : partition->end;
    if (limit == INT64_MAX) {
        return -1;
    }
    return limit > partition->next ? limit - partition->next : 0;
}

static void gen_close(struct wr_source *source)
{
    (void)source;
}

static const struct wr_source_ops gen_ops = {
    .scheme = "gen",
    .poll = gen_poll,
    .seek = gen_seek,
    .bound = gen_bound,
    .lag = gen_lag,
    .close = gen_close,
};

/* ---- Opening --------------------------------------------------------------------------------- */

static weir_status read_parameters(struct gen_source *gen, const struct wr_endpoint *endpoint,
                                   struct wr_error *error)
{
    bool lines = gen->kind == LINES;
    int64_t size_min = lines ? 1 : WR_DIGITS;
    int64_t size_max = lines ? WR_RECORD_BYTES_MAX : WR_RECORD_BYTES_MAX - WR_DIGITS;
    struct {
        const char *name;
        int64_t min, max, fallback, value;
    } list[] = {
        {"records", 0, INT64_MAX, INT64_MAX, 0},
        {"keys", 1, lines ? INT64_C(1) << 32 : INT64_MAX, lines ? 10000 : 1000, 0},
        {"size", size_min, size_max, lines ? 80 : 100, 0},
        {"seed", 0, INT64_MAX, 0, 0},
        {"partitions", 1, WR_PARTITIONS_MAX, 1, 0},
        {"rate", 1, 1000000000, 0, 0},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        WR_TRY(wr_endpoint_number(endpoint, list[i].name, list[i].min, list[i].max,
                                  list[i].fallback, &list[i].value, error));
    }
    gen->records = (uint64_t)list[0].value;
    gen->keys = (uint64_t)list[1].value;
    gen->size = (size_t)list[2].value;
    gen->seed = (uint64_t)list[3].value;
    gen->partitions = (uint64_t)list[4].value;
    gen->rate = (uint64_t)list[5].value;
    return WEIR_OK;
}

static weir_status make_words(struct gen_source *gen, struct wr_arena *arena,
                              struct wr_error *error)
{
    uint64_t top = gen->keys + 1;
    unsigned exponent = 63 - (unsigned)__builtin_clzll(top);
    uint64_t fraction = (top - (UINT64_C(1) << exponent)) << (RANK_BITS - exponent);
    gen->log_keys = ((uint64_t)exponent << RANK_BITS) | fraction;
    gen->words_ready = gen->keys < WORDS_READY ? gen->keys : WORDS_READY;
    gen->words = wr_arena_alloc(arena, (size_t)gen->words_ready * sizeof *gen->words);
    if (!gen->words) {
        return wr_fail_memory(error);
    }
    for (uint64_t rank = 0; rank < gen->words_ready; rank++) {
        struct word *word = &gen->words[rank];
        word->size = (unsigned char)(spell(word->text, rank) - word->text);
        wr_assert_that(word->size, <, sizeof word->text);
    }
    return WEIR_OK;
}

static weir_status make_partitions(struct gen_source *gen, struct wr_arena *arena,
                                   struct wr_error *error)
{
    size_t count = (size_t)gen->partitions;
    char identity[200], shape[64] = "";
    if (gen->kind != NEXMARK) {
        snprintf(shape, sizeof shape, ";keys=%" PRIu64 ";size=%zu", gen->keys, gen->size);
    }
    snprintf(identity, sizeof identity, "gen:%s%s;seed=%" PRIu64 ";partitions=%zu",
             kinds[gen->kind], shape, gen->seed, count);
    const char *kept = wr_arena_string(arena, identity);
    struct wr_source_partition **partitions = wr_partitions_new(arena, count);
    gen->first = wr_arena_zalloc(arena, count * sizeof *gen->first);
    if (!kept || !partitions || !gen->first) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        char part[24];
        snprintf(part, sizeof part, "%zu", i);
        uint64_t end = gen->records / count + (i < gen->records % count);
        *partitions[i] = (struct wr_source_partition){
            .part = wr_arena_string(arena, part),
            .identity = kept,
            .end = gen->base.bounded ? (int64_t)end : INT64_MAX,
            .index = (int32_t)i,
        };
        if (!partitions[i]->part) {
            return wr_fail_memory(error);
        }
    }
    gen->base.partitions = partitions;
    gen->base.partition_count = count;
    return WEIR_OK;
}

weir_status wr_source_gen_open(struct wr_env *env, const char *name,
                               const struct wr_endpoint *endpoint, struct wr_arena *arena,
                               struct wr_source **source_out, struct wr_error *error)
{
    struct gen_source *gen = wr_arena_zalloc(arena, sizeof *gen);
    if (!gen) {
        return wr_fail_memory(error);
    }
    gen->base = (struct wr_source){.ops = &gen_ops, .env = env, .name = name};
    gen->base.bounded = wr_endpoint_parameter(endpoint, "records") != NULL;
    while (strcmp(endpoint->path, kinds[gen->kind]) != 0) { /* one of them: was checked */
        gen->kind++;
    }
    WR_TRY(read_parameters(gen, endpoint, error));
    /* The filler shows the seed: x for 0, then y, z, a, b, ... */
    gen->filler = (char)('a' + (gen->seed % 26 + 23) % 26);
    if (gen->kind == LINES) {
        WR_TRY(make_words(gen, arena, error));
    } else if (gen->kind == NEXMARK) {
        gen->nexmark = wr_nexmark_new(gen->seed, arena);
        if (!gen->nexmark) {
            return wr_fail_memory(error);
        }
    }
    WR_TRY(make_partitions(gen, arena, error));
    gen->base.paced_from_us = gen->rate ? env->monotonic_us(env) : 0;
    *source_out = &gen->base;
    return WEIR_OK;
}
