/* test_fold.c: state through the changelog, the cache's dirty entries and table `state`, as a run
 * uses them: random changes, epochs decided at once or late, undone, crashes at any moment; against
 * a plain array. The cache is so small that sweeps go on all the time.
 *
 * Long because the model of a run, and of what it reads, is one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/program.h"
#include "tests/lib/scratch_store.h"
#include "txn/state.h"
#include "txn/verify.h"

enum { CELLS_MAX = 4000, VALUE_MAX = 3000 };

/* Each slot's number of its last put, of which its value is made; 0: it is not there. */
struct model {
    uint32_t number[CELLS_MAX];
};

struct shape {
    size_t keys, slots; /* slots of a key; one of each is the absent one */
    size_t cache_bytes;
    int steps, puts_max; /* puts of a step */
    bool scans; /* also while epochs come and go */
};

/* What instance.c is to an operator, with nothing but state. */
struct world {
    struct scratch *scratch;
    struct shape shape;
    struct wr_state state;
    struct wr_epoch epochs[2];
    struct wr_epoch *filling; /* NULL: two are sealed */
    int64_t sealed, decided, dropped;
    struct wr_arena arena;
    struct wr_error error;
    struct model now, after[2], stored; /* after: of the sealed epochs, by number & 1 */
    uint64_t random, unit;
    uint32_t number;
    int sweeps, parts; /* epochs that ended a sweep, and that folded a part of one */
};

static size_t cells(const struct world *w)
{
    return w->shape.keys * w->shape.slots;
}

static unsigned below(struct world *w, size_t limit)
{
    return program_below(&w->random, (unsigned)limit);
}

static void must(struct world *w, weir_status status)
{
    if (status != WEIR_OK) {
        fail_msg("%s", w->error.text);
    }
}

/* ---- Slots and values ------------------------------------------------------------------------ */

struct name {
    char key_text[32], slot_text[32];
    uint32_t node;
    weir_bytes key, slot;
    uint64_t hash;
};

static void name_cell(const struct world *w, size_t cell, struct name *name)
{
    size_t key = cell / w->shape.slots, slot = cell % w->shape.slots;
    snprintf(name->key_text, sizeof name->key_text, "key%03zu", key);
    snprintf(name->slot_text, sizeof name->slot_text, "%05zu", slot);
    name->node = w->scratch->nodes[key % 2].id;
    name->key = key < 2 ? (weir_bytes){NULL, 0} : weir_text(name->key_text);
    name->slot = slot == 0 ? (weir_bytes){NULL, 0} : weir_text(name->slot_text);
    name->hash = wr_hash(name->node, name->key, name->slot);
}

static weir_bytes value_of(uint32_t number, unsigned char bytes[VALUE_MAX])
{
    size_t size = number % 101 == 0 ? VALUE_MAX : number % 7 == 0 ? 0 : number % 41;
    if (number == 0) {
        return (weir_bytes){NULL, 0};
    }
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(number >> 8 * (i % 4));
    }
    return (weir_bytes){bytes, size};
}

static void must_be(const struct world *w, size_t cell, weir_bytes found, uint32_t number)
{
    unsigned char bytes[VALUE_MAX];
    weir_bytes expected = value_of(number, bytes);
    if (!wr_bytes_equal(found, expected)) {
        fail_msg("slot %zu: %zu bytes%s, expected the %zu of put %u", cell, found.size,
                 found.data ? "" : " (absent)", expected.size, number);
    }
    (void)w;
}

static void put(struct world *w, size_t cell, uint32_t number)
{
    struct name name;
    unsigned char bytes[VALUE_MAX];
    name_cell(w, cell, &name);
    must(w, wr_epoch_put(w->filling, name.node, name.key, name.slot, name.hash,
                         value_of(number, bytes), ++w->unit, &w->error));
    w->now.number[cell] = number;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void get(struct world *w, size_t cell)
{
    struct name name;
    weir_bytes found;
    name_cell(w, cell, &name);
    must(w, wr_state_get(&w->state, name.node, name.key, name.slot, &w->arena, &found, &w->error));
    must_be(w, cell, found, w->now.number[cell]);
}

struct seen {
    struct world *w;
    size_t at, end; /* the next cell that may come, and the first that may not */
    bool puts; /* what is put while it scans is not seen */
};

static void skip_absent(struct seen *seen)
{
    while (seen->at < seen->end && seen->w->now.number[seen->at] == 0) {
        seen->at++;
    }
}

static bool visit(void *data, weir_bytes slot, weir_bytes value)
{
    struct seen *seen = data;
    struct name name;
    skip_absent(seen);
    assert_true(seen->at < seen->end);
    name_cell(seen->w, seen->at, &name);
    assert_true(wr_bytes_equal(slot, name.slot));
    must_be(seen->w, seen->at, value, seen->w->now.number[seen->at]);
    if (seen->puts && seen->at % 3 == 0) {
        put(seen->w, seen->at, ++seen->w->number);
        get(seen->w, seen->end - 1);
    }
    seen->at++;
    return true;
}

/* The slots from..to - 1 of a key; all when `from` is 0 and `to` their number. */
static void scan(struct world *w, size_t key, size_t from, size_t to, bool puts)
{
    struct name first, last;
    size_t start = key * w->shape.slots;
    struct seen seen = {.w = w, .at = start + from, .end = start + to, .puts = puts};
    name_cell(w, seen.at, &first);
    name_cell(w, seen.end - 1, &last);
    weir_bytes end = {NULL, 0};
    char end_text[32];
    if (to < w->shape.slots) {
        snprintf(end_text, sizeof end_text, "%05zu", to);
        end = weir_text(end_text);
    }
    must(w, wr_state_scan(&w->state, first.node, first.key, first.slot, end, &w->arena, visit,
                          &seen, &w->error));
    skip_absent(&seen);
    assert_int_equal(seen.at, seen.end);
}

static void unit_ends(struct world *w)
{
    wr_arena_reset(&w->arena);
    wr_state_trim(&w->state);
}

static void read_all(struct world *w)
{
    for (size_t cell = 0; cell < cells(w); cell++) {
        get(w, cell);
        unit_ends(w);
    }
    for (size_t key = 0; key < w->shape.keys && w->shape.scans; key++) {
        scan(w, key, 0, w->shape.slots, false);
        unit_ends(w);
    }
}

/* ---- Epochs, as instance.c has them ---------------------------------------------------------- */

static void decide(struct world *w)
{
    struct wr_epoch *epoch = &w->epochs[(w->decided + 1) & 1];
    struct wr_apply apply = {.epoch = epoch, .progress = &epoch->progress};
    must(w, wr_store_apply(w->scratch->store, &apply, &w->error));
    w->decided++;
    w->stored = w->after[w->decided & 1];
}

static void drop(struct world *w)
{
    struct wr_epoch *epoch = &w->epochs[(w->dropped + 1) & 1];
    epoch->phase = WR_EPOCH_DECIDED;
    must(w, wr_state_drop(&w->state, &w->error));
    w->dropped++;
}

static void begin(struct world *w)
{
    struct wr_epoch *sealed = &w->epochs[w->sealed & 1];
    if (w->dropped < w->sealed - 1) {
        drop(w);
    }
    w->filling = &w->epochs[(w->sealed + 1) & 1];
    wr_epoch_begin(w->filling, w->sealed + 1);
    must(w, wr_state_fill(&w->state, w->filling, sealed, &w->error));
}

static void seal(struct world *w)
{
    must(w, wr_state_seal(&w->state, &w->error));
    w->parts += w->filling->fold_count > 0 && w->filling->folded_upto == 0;
    w->sweeps += w->filling->folded_upto > 0;
    wr_epoch_seal(w->filling);
    wr_reader_end(scratch_reader(w->scratch));
    w->sealed++;
    w->after[w->sealed & 1] = w->now;
    w->filling = NULL;
    if (w->sealed - w->decided < 2) {
        begin(w);
    }
}

static void undo(struct world *w)
{
    wr_epoch_undo(w->filling);
    must(w, wr_state_fill(&w->state, w->filling, w->state.sealed, &w->error));
    w->now = w->sealed > w->decided ? w->after[w->sealed & 1] : w->stored;
}

/* ---- Starts and crashes ---------------------------------------------------------------------- */

static void start(struct world *w)
{
    scratch_open(w->scratch);
    int64_t last = wr_store_info(w->scratch->store)->epoch;
    for (int i = 0; i < 2; i++) {
        must(w, wr_epoch_init(&w->epochs[i], w->scratch->sinks, SCRATCH_SINKS, &w->error));
    }
    w->sealed = w->decided = w->dropped = last;
    w->filling = &w->epochs[(last + 1) & 1];
    wr_epoch_begin(w->filling, last + 1);
    wr_state_init(&w->state, scratch_reader(w->scratch), w->shape.cache_bytes);
    must(w, wr_state_load(&w->state, last, &w->error));
    must(w, wr_state_fill(&w->state, w->filling, NULL, &w->error));
}

/* Nothing is written; what was sealed and not decided is gone. */
static void stop(struct world *w)
{
    wr_state_fini(&w->state);
    wr_epoch_fini(&w->epochs[0]);
    wr_epoch_fini(&w->epochs[1]);
    scratch_close(w->scratch);
    w->now = w->stored;
}

static void note_problem(void *data, const char *problem)
{
    (void)data;
    fail_msg("%s", problem);
}

static void must_be_sound(struct world *w)
{
    size_t problems = 0;
    must(w,
         wr_verify(&w->scratch->env, w->scratch->path, note_problem, NULL, &problems, &w->error));
    assert_int_equal(problems, 0);
}

/* What the start of a changed job finds: all of it in the table, as a reader that knows nothing of
 * a changelog sees it. */
static void fold(struct world *w)
{
    scratch_open(w->scratch);
    must(w, wr_store_fold(w->scratch->store, NULL, &w->error));
    assert_string_equal(scratch_query(w->scratch, "SELECT count(*) FROM changelog"), "0");
    size_t present = 0;
    for (size_t cell = 0; cell < cells(w); cell++) {
        struct name name;
        weir_bytes found;
        name_cell(w, cell, &name);
        must(w, wr_reader_get(scratch_reader(w->scratch), name.node, name.key, name.slot, &w->arena,
                              &found, &w->error));
        must_be(w, cell, found, w->stored.number[cell]);
        wr_arena_reset(&w->arena);
        present += w->stored.number[cell] != 0;
    }
    char text[32];
    snprintf(text, sizeof text, "%zu", present);
    assert_string_equal(scratch_query(w->scratch, "SELECT count(*) FROM state"), text);
    wr_arena_reset(&w->scratch->arena);
    scratch_close(w->scratch);
}

/* Sometimes it is the end of a run, which folds what it has in memory: all that was decided. */
static void crash(struct world *w)
{
    bool ends = w->dropped == w->decided && below(w, 4) == 0;
    if (ends) {
        wr_reader_end(w->state.reader);
        must(w, wr_store_fold(w->scratch->store, &w->state.cache, &w->error));
    }
    stop(w);
    if (below(w, 4) == 0) {
        must_be_sound(w);
    }
    if (ends || below(w, 4) == 0) {
        fold(w);
    }
    start(w);
    read_all(w);
}

/* ---- Random lives ---------------------------------------------------------------------------- */

static void change(struct world *w)
{
    for (unsigned left = 1 + below(w, (size_t)w->shape.puts_max); left > 0; left--) {
        size_t cell = below(w, cells(w));
        get(w, cell);
        put(w, cell, below(w, 4) ? ++w->number : 0);
        get(w, cell);
        unit_ends(w);
    }
    if (w->shape.scans && below(w, 4) == 0) {
        size_t from = below(w, w->shape.slots);
        size_t to = from + 1 + below(w, w->shape.slots - from);
        scan(w, below(w, w->shape.keys), from, to, below(w, 2) == 0);
        unit_ends(w);
    }
}

static void step(struct world *w)
{
    unsigned what = below(w, 100);
    if (what < 2) {
        crash(w);
    } else if (!w->filling) {
        decide(w);
        begin(w);
    } else if (what < 45) {
        change(w);
    } else if (what < 50) {
        undo(w);
    } else if (what < 75) {
        seal(w);
    } else if (w->decided < w->sealed && what < 90) {
        decide(w);
    } else if (w->dropped < w->decided) {
        drop(w);
    }
}

static void live(const struct shape *shape, uint64_t seed, int *sweeps, int *parts)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->shape = *shape;
    w->random = seed;
    assert_true(cells(w) <= CELLS_MAX);
    w->scratch = scratch_new();
    wr_arena_init(&w->arena, 0);
    start(w);
    for (int i = 0; i < shape->steps; i++) {
        step(w);
    }
    crash(w);
    stop(w);
    must_be_sound(w);
    fold(w);
    *sweeps += w->sweeps;
    *parts += w->parts;
    wr_arena_fini(&w->arena);
    scratch_free(w->scratch);
    free(w);
}

/* Few slots in tiny caches: most epochs end one sweep and the next begins another. */
static void few_slots(void **state)
{
    (void)state;
    static const size_t caches[] = {0, 300, 3000, 20000, 1 << 20};
    int sweeps = 0, parts = 0;
    for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) {
        struct shape shape = {.keys = 4,
                              .slots = 8,
                              .cache_bytes = caches[i],
                              .steps = 1500,
                              .puts_max = 12,
                              .scans = true};
        live(&shape, 77 + i, &sweeps, &parts);
    }
    assert_true(sweeps > 50);
}

/* So many that a sweep takes several epochs, and is under way at most crashes. */
static void sweeps_of_several_epochs(void **state)
{
    (void)state;
    int sweeps = 0, parts = 0;
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct shape shape = {.keys = 4,
                              .slots = 900,
                              .cache_bytes = 1200000,
                              .steps = 800,
                              .puts_max = 250,
                              .scans = seed % 2 == 1};
        live(&shape, seed, &sweeps, &parts);
    }
    assert_true(sweeps > 5);
    assert_true(parts > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_slots),
        cmocka_unit_test(sweeps_of_several_epochs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
