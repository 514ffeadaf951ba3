/* program.h: small random operators. One program runs against the engine and against the naive
 * model (model.h): what it may ask for is behind `struct api`, which the engine's public functions
 * fill as they are. All that a call sees goes into a digest, and the digest decides what it does
 * and what it emits; so one wrong read shows in what comes out.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_PROGRAM_H
#define TEST_PROGRAM_H

#include "engine/weir.h"

struct api {
    weir_bytes (*key)(const weir_ctx *ctx);
    int64_t (*time)(const weir_ctx *ctx);
    int64_t (*watermark)(const weir_ctx *ctx);
    unsigned (*input)(const weir_ctx *ctx);
    weir_bytes (*timer)(const weir_ctx *ctx);
    void (*origin)(const weir_ctx *ctx, const char **source, int32_t *partition, int64_t *offset);
    weir_record (*reply)(const weir_ctx *ctx, weir_bytes value);
    void (*emit_to)(weir_ctx *ctx, unsigned side, const weir_record *out);
    weir_bytes (*get)(weir_ctx *ctx, weir_bytes slot);
    void (*put)(weir_ctx *ctx, weir_bytes slot, weir_bytes value);
    void (*scan)(weir_ctx *ctx, weir_bytes from, weir_bytes to, weir_visit_fn visit, void *arg);
    void (*wake)(weir_ctx *ctx, weir_bytes timer, int64_t time_ms);
    void (*wake_clock)(weir_ctx *ctx, weir_bytes timer, int64_t delay_ms);
    void (*reject)(weir_ctx *ctx, const char *why);
    /* A place where the engine's version may fail; the model never does. */
    void (*trouble)(weir_ctx *ctx, uint64_t digest);
};

enum step_kind {
    STEP_GET,
    STEP_PUT,
    STEP_PUT_MANY, /* a run of slots */
    STEP_REMOVE,
    STEP_SCAN,
    STEP_WAKE,
    STEP_WAKE_CLOCK,
    STEP_CANCEL,
    STEP_EMIT,
    STEP_EMIT_SIDE,
    STEP_EMIT_KEY, /* under another key and time, without headers */
    STEP_TROUBLE,
    STEP_KINDS
};

enum { PROGRAM_STEPS_MAX = 8 };

struct program {
    int step_count;
    struct step {
        enum step_kind kind;
        unsigned often; /* one call in so many takes this step */
    } steps[PROGRAM_STEPS_MAX];
    unsigned rejects; /* one call in so many is rejected, 0: none */
    unsigned slots; /* how many different slots there are */
};

/* Runs one call. False when something that must stay valid during a call did not. */
bool program_run(const struct program *program, const struct api *api, weir_ctx *ctx,
                 const weir_record *in);

/* The n-th key: absent, empty, and others. */
enum { PROGRAM_KEYS = 6 };
weir_bytes program_key(uint64_t number);

/* A random number, for generating: splitmix64 of G. Steele and others, 2014. */
uint64_t program_random(uint64_t *state);
static inline unsigned program_below(uint64_t *state, unsigned limit)
{
    return (unsigned)(program_random(state) % limit);
}

#endif
