/* program.c: see program.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/program.h"

#include <string.h>

enum { HELD_MAX = 16, VALUE_BYTES_MAX = 5000 };

struct run {
    const struct program *program;
    const struct api *api;
    weir_ctx *ctx;
    uint64_t digest;
    struct {
        weir_bytes bytes;
        uint64_t digest;
    } held[HELD_MAX]; /* what the engine handed out in this call */
    size_t held_count;
};

uint64_t program_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t mix(uint64_t digest, uint64_t value)
{
    uint64_t state = digest ^ (value * 0xff51afd7ed558ccdu);
    return program_random(&state);
}

static uint64_t mix_bytes(uint64_t digest, weir_bytes bytes)
{
    const unsigned char *data = bytes.data;
    digest = mix(digest, data ? bytes.size + 1 : 0);
    for (size_t i = 0; i < bytes.size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, data + i, bytes.size - i < 8 ? bytes.size - i : 8);
        digest = mix(digest, word);
    }
    return digest;
}

weir_bytes program_key(uint64_t number)
{
    static const weir_bytes keys[PROGRAM_KEYS] = {
        {NULL, 0}, {"", 0}, {"k", 1}, {"k\0", 2}, {"another key", 11}, {"\xff\xfe", 2},
    };
    return keys[number % PROGRAM_KEYS];
}

/* The n-th slot: absent, empty, then two bytes that sort. */
static weir_bytes slot_of(const struct run *run, uint64_t number, char bytes[2])
{
    number %= run->program->slots;
    if (number < 2) {
        return (weir_bytes){number ? "" : NULL, 0};
    }
    bytes[0] = (char)(number >> 8);
    bytes[1] = (char)number;
    return (weir_bytes){bytes, 2};
}

/* A value made of a digest: absent, empty, or of some length. */
static weir_bytes value_of(uint64_t digest, char bytes[VALUE_BYTES_MAX])
{
    static const size_t sizes[] = {8, 8, 8, 17, 17, 40, 300, VALUE_BYTES_MAX};
    unsigned choice = (unsigned)(digest >> 7) % 128;
    if (choice < 6) {
        return (weir_bytes){choice < 3 ? NULL : "", 0};
    }
    size_t size = sizes[choice < 8 ? 7 : choice % 7];
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)(digest >> (8 * (i % 8)));
    }
    return (weir_bytes){bytes, size};
}

static void hold(struct run *run, weir_bytes bytes)
{
    if (run->held_count < HELD_MAX) {
        run->held[run->held_count].bytes = bytes;
        run->held[run->held_count++].digest = mix_bytes(0, bytes);
    }
}

static bool still_holds(const struct run *run)
{
    for (size_t i = 0; i < run->held_count; i++) {
        if (mix_bytes(0, run->held[i].bytes) != run->held[i].digest) {
            return false;
        }
    }
    return true;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void put(struct run *run, uint64_t slot, uint64_t value)
{
    char bytes[VALUE_BYTES_MAX], name[2];
    weir_bytes written = value_of(value, bytes);
    run->api->put(run->ctx, slot_of(run, slot, name), written);
    memset(bytes, 'x', sizeof bytes); /* it was copied */
}

static void put_many(struct run *run, uint64_t number)
{
    uint64_t first = number >> 8;
    for (uint64_t i = 0; i < 1 + number % 60; i++) {
        put(run, first + i, mix(number, i));
    }
}

static bool visit(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    struct run *run = arg;
    run->digest = mix_bytes(mix_bytes(run->digest, slot), value);
    if (run->digest % 7 == 0) {
        hold(run, slot);
        hold(run, value);
    }
    if (run->digest % 5 == 0) {
        put(run, run->digest >> 9, run->digest);
    } else if (run->digest % 5 == 1) {
        run->api->put(ctx, slot, (weir_bytes){NULL, 0});
    } else if (run->digest % 5 == 2) {
        char name[2];
        weir_bytes got = run->api->get(ctx, slot_of(run, run->digest >> 11, name));
        run->digest = mix_bytes(run->digest, got);
    }
    return run->digest % 61 != 0;
}

static void scan(struct run *run, uint64_t number)
{
    char from[2], to[2];
    weir_bytes low = slot_of(run, number >> 3, from), high = slot_of(run, number >> 23, to);
    bool bounded = (number & 1) != 0;
    run->api->scan(run->ctx, (number & 2) ? low : (weir_bytes){NULL, 0},
                   bounded ? high : (weir_bytes){NULL, 0}, visit, run);
}

static weir_bytes timer_name(uint64_t number)
{
    static const weir_bytes names[] = {{NULL, 0}, {"", 0}, {"t", 1}, {"tick", 4}};
    return names[number % 4];
}

/* On records before or after the watermark, on timers always later than the timer at hand, so that
 * the chain ends. */
static void wake(struct run *run, const weir_record *in, uint64_t number)
{
    int64_t time_ms = run->api->time(run->ctx), watermark_ms = run->api->watermark(run->ctx);
    int64_t step = (int64_t)(number >> 8) % 60;
    if (in) {
        run->api->wake(run->ctx, timer_name(number), time_ms + step - 12);
    } else {
        time_ms = watermark_ms > time_ms ? watermark_ms : time_ms;
        run->api->wake(run->ctx, timer_name(number), time_ms + step + 1);
    }
}

static void wake_clock(struct run *run, const weir_record *in, uint64_t number)
{
    run->api->wake_clock(run->ctx, timer_name(number), (int64_t)(number >> 8) % 40 + !in);
}

static void emit(struct run *run, unsigned side)
{
    char bytes[VALUE_BYTES_MAX];
    weir_record out = run->api->reply(run->ctx, value_of(run->digest, bytes));
    run->api->emit_to(run->ctx, side, &out);
}

static void emit_key(struct run *run, uint64_t number)
{
    char bytes[VALUE_BYTES_MAX];
    weir_record out = {.key = program_key(number >> 3),
                       .value = value_of(run->digest, bytes),
                       .time_ms = run->api->time(run->ctx) + (int64_t)(number >> 40) % 9 - 4};
    run->api->emit_to(run->ctx, 0, &out);
}

static void take(struct run *run, enum step_kind kind, const weir_record *in, uint64_t number)
{
    char name[2];
    switch (kind) {
    case STEP_GET: {
        weir_bytes got = run->api->get(run->ctx, slot_of(run, number, name));
        hold(run, got);
        run->digest = mix_bytes(run->digest, got);
        break;
    }
    case STEP_PUT:
        put(run, number, number >> 16);
        break;
    case STEP_PUT_MANY:
        put_many(run, number);
        break;
    case STEP_REMOVE:
        run->api->put(run->ctx, slot_of(run, number, name), (weir_bytes){NULL, 0});
        break;
    case STEP_SCAN:
        scan(run, number);
        break;
    case STEP_WAKE:
        wake(run, in, number);
        break;
    case STEP_WAKE_CLOCK:
        wake_clock(run, in, number);
        break;
    case STEP_CANCEL:
        run->api->wake(run->ctx, timer_name(number), INT64_MAX);
        break;
    case STEP_EMIT:
        emit(run, 0);
        break;
    case STEP_EMIT_SIDE:
        emit(run, 1);
        break;
    case STEP_EMIT_KEY:
        emit_key(run, number);
        break;
    case STEP_TROUBLE:
        run->api->trouble(run->ctx, run->digest);
        break;
    case STEP_KINDS:
        break;
    }
}

/* Everything that a call can ask about itself. */
static uint64_t look_around(const struct run *run, const weir_record *in)
{
    const struct api *api = run->api;
    const char *source;
    int32_t partition;
    int64_t offset;
    api->origin(run->ctx, &source, &partition, &offset);
    uint64_t digest = mix_bytes(in ? 1 : 2, api->key(run->ctx));
    digest = mix(digest, (uint64_t)api->time(run->ctx));
    digest = mix(digest, (uint64_t)api->watermark(run->ctx));
    digest = mix(digest, api->input(run->ctx));
    digest = mix_bytes(digest, api->timer(run->ctx));
    digest = mix_bytes(digest, weir_text(source));
    digest = mix(mix(digest, (uint64_t)partition), (uint64_t)offset);
    digest = mix_bytes(digest, in ? in->value : (weir_bytes){NULL, 0});
    for (size_t i = 0; in && i < in->header_count; i++) {
        digest = mix_bytes(digest, weir_text(in->headers[i].name));
        digest = mix_bytes(digest, in->headers[i].value);
    }
    return digest;
}

bool program_run(const struct program *program, const struct api *api, weir_ctx *ctx,
                 const weir_record *in)
{
    struct run run = {.program = program, .api = api, .ctx = ctx};
    run.digest = look_around(&run, in);
    uint64_t seen = run.digest;
    if (program->rejects && run.digest % program->rejects == 0) {
        api->reject(ctx, run.digest % 2 ? "an odd one" : "an even one");
        return true;
    }
    for (int i = 0; i < program->step_count; i++) {
        uint64_t number = mix(run.digest, (uint64_t)i);
        if (number % program->steps[i].often == 0) {
            take(&run, program->steps[i].kind, in, number >> 5);
        }
    }
    return still_holds(&run) && look_around(&run, in) == seen;
}
