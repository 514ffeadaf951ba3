/* test_model.c: random jobs over random input, through random epochs, caches, undone epochs,
 * crashes and restarts, leave what a naive model leaves (tests/lib/model.h), record for record.
 *
 * WEIR_SEED=N begins with that seed, WEIR_ROUNDS=N runs so many; a failure prints the seed, and the
 * smallest round of it that still fails.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/weir_test.h"
#include "tests/lib/chance.h"
#include "tests/lib/look.h"
#include "tests/lib/random_job.h"

enum { ROUNDS = 200, ROUNDS_LONG = 20000, CRASHES_MAX = 40, ABORTS = 4096, ABORTS_MAX = 3 };
enum { PASSINGS_MAX = 5 };

/* A round, and what may be taken from it to make it smaller. */
struct round {
    uint64_t seed;
    bool trouble, crashes, plain; /* plain: default epochs and cache, decided at once */
    int events; /* at most */
    size_t records; /* of one push, at most */
};

/* The round at hand: operators and the death of the process find it here. */
static struct graph graph;
static struct round now;
static bool trouble_armed, call_broken;
static unsigned char aborts[ABORTS]; /* by origin */
static unsigned char tried[ABORTS]; /* by digest */

/* ---- The job as the engine runs it ----------------------------------------------------------- */

/* Fails the first time or the first two times that it is asked with this digest; never one origin
 * so often that the run stops. */
static void trouble(weir_ctx *ctx, uint64_t digest)
{
    if (!trouble_armed || tried[digest % ABORTS] > digest % 2) {
        return;
    }
    tried[digest % ABORTS]++;
    const char *source;
    int64_t offset;
    weir_origin(ctx, &source, NULL, &offset);
    bool counted = source && aborts[(uint64_t)offset % ABORTS] < ABORTS_MAX && digest & 4;
    if (counted) {
        aborts[(uint64_t)offset % ABORTS]++;
    }
    weir_fail(ctx, counted ? WEIR_ABORT : WEIR_RETRY, "trouble");
}

static const struct api api = {
    weir_key,    weir_time,  weir_watermark,  weir_input,  weir_timer,
    weir_origin, weir_reply, weir_emit_to,    weir_get,    weir_put,
    weir_scan,   weir_wake,  weir_wake_clock, weir_reject, trouble,
};

static void operate(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct graph_node *node = arg;
    if (!program_run(&node->program, &api, ctx, in)) {
        call_broken = true;
    }
}

static void define(weir_job *job)
{
    random_define(&graph, job, operate);
}

/* ---- One round ------------------------------------------------------------------------------- */

static size_t records_of(const struct event *event)
{
    return event->record_count < now.records ? event->record_count : now.records;
}

static char *run_model(const struct schedule *schedule)
{
    struct model *model = model_new(&graph);
    for (int i = 0; i < schedule->event_count && i < now.events; i++) {
        const struct event *event = &schedule->events[i];
        switch (event->kind) {
        case EVENT_PUSH:
            for (size_t j = 0; j < records_of(event); j++) {
                model_push(model, event->source, &event->records[j]);
            }
            break;
        case EVENT_ADVANCE:
            model_advance(model, event->source, event->time_ms);
            break;
        case EVENT_CLOCK:
            model_clock(model, event->time_ms);
            break;
        case EVENT_DRAIN:
            model_drain(model);
            break;
        }
    }
    char *text = model_dump(model);
    model_free(model);
    return text;
}

static weir_status run_event(weir_test *test, const struct event *event, bool again)
{
    const char *source = graph.nodes[event->source].name;
    switch (event->kind) {
    case EVENT_PUSH:
        for (size_t j = 0; !again && j < records_of(event); j++) {
            weir_test_push(test, source, 0, &event->records[j]);
        }
        return weir_test_run(test);
    case EVENT_ADVANCE:
        return weir_test_advance(test, source, event->time_ms);
    case EVENT_CLOCK:
        return weir_test_clock(test, again ? 0 : event->time_ms);
    case EVENT_DRAIN:
        return weir_test_drain(test);
    }
    return WEIR_MISUSE;
}

/* Runs an event until it passes without a crash; starting again may crash too. */
static bool run_through(weir_test *test, const struct event *event, uint64_t *chance)
{
    bool begun = false;
    if (now.crashes && program_below(chance, 8) == 0) {
        weir_test_crash(test);
        weir_test_restart(test, NULL);
    }
    for (int crashes = 0;;) {
        if (weir_test_status(test) == WEIR_OK) {
            if (now.crashes && crashes < CRASHES_MAX && program_below(chance, 3) == 0) {
                chance_crash(test, chance, PASSINGS_MAX);
            }
            if (run_event(test, event, begun) == WEIR_OK) {
                return true;
            }
            begun = true;
        }
        if (!weir_test_crashed(test)) {
            return false;
        }
        crashes++;
        if (crashes < CRASHES_MAX && program_below(chance, 3) == 0) {
            chance_crash(test, chance, PASSINGS_MAX);
        }
        weir_test_restart(test, NULL);
    }
}

static weir_test_options random_options(uint64_t *state)
{
    static const int64_t caches[] = {-1, -1, 300, 2000, 0};
    weir_test_options options = {.decide_late = program_below(state, 2)};
    options.epoch_records = program_below(state, 5) ? 1 + program_below(state, 30) : 0;
    options.cache_bytes = caches[program_below(state, 5)];
    return now.plain ? (weir_test_options){0} : options;
}

/* What the engine leaves; NULL with an error. */
static char *run_engine(const struct schedule *schedule, struct wr_error *error)
{
    uint64_t state = now.seed ^ 0x5eed, chance = now.seed ^ 0xc4a5;
    weir_test_options options = random_options(&state);
    memset(aborts, 0, sizeof aborts);
    memset(tried, 0, sizeof tried);
    trouble_armed = now.trouble;
    call_broken = false;
    weir_test *test = weir_test_new(define, &options);
    bool fine = true;
    for (int i = 0; fine && i < schedule->event_count && i < now.events; i++) {
        fine = run_through(test, &schedule->events[i], &chance);
    }
    char *text = fine ? look_store(weir_test_store(test), error) : NULL;
    if (!fine) {
        (void)wr_fail(error, WEIR_FATAL, WR_EXIT_BUG, "the run failed: %s", weir_test_error(test));
    } else if (text && call_broken) {
        free(text);
        text = NULL;
        (void)wr_fail(error, WEIR_FATAL, WR_EXIT_BUG,
                      "what a call was given changed before it returned");
    }
    weir_test_free(test);
    return text;
}

/* Whether the round passes; says why not when asked. */
static bool passes(struct round round, bool say)
{
    static struct schedule schedule; /* large */
    now = round;
    random_graph(round.seed ^ 0x9a4, true, &graph);
    random_schedule(round.seed ^ 0x1f2, &graph, &schedule);
    struct wr_error error = {.status = WEIR_OK};
    char *expected = run_model(&schedule), *found = run_engine(&schedule, &error);
    bool same = found && strcmp(expected, found) == 0;
    if (!same && say) {
        print_error("%s\n", found ? look_difference(expected, found) : error.text);
    }
    free(expected);
    free(found);
    random_schedule_free(&schedule);
    return same;
}

/* Takes away what can be taken while it still fails. */
static struct round shrink(struct round round)
{
    bool *parts[] = {&round.crashes, &round.trouble};
    for (size_t i = 0; i < 2; i++) {
        *parts[i] = false;
        *parts[i] = passes(round, false);
    }
    round.plain = true;
    round.plain = !passes(round, false);
    while (round.events > 1) {
        round.events--;
        if (passes(round, false)) {
            round.events++;
            break;
        }
    }
    while (round.records > 1) {
        round.records--;
        if (passes(round, false)) {
            round.records++;
            break;
        }
    }
    return round;
}

static void explain(struct round round)
{
    static const char *const kinds[] = {"source", "times", "node", "log", "table"};
    round = shrink(round);
    print_error("seed %" PRIu64 ": %d events of at most %zu records, %s, %s, %s\n", round.seed,
                round.events, round.records, round.crashes ? "crashes" : "no crash",
                round.trouble ? "failing operators" : "no failing operator",
                round.plain ? "default epochs and cache" : "small epochs or cache");
    (void)passes(round, true);
    for (int i = 0; i < graph.node_count; i++) {
        print_error("  %s %s:", kinds[graph.nodes[i].kind], graph.nodes[i].name);
        for (int j = 0; j < graph.edge_count; j++) {
            if (graph.edges[j].to == i) {
                print_error(" from %s side %u", graph.nodes[graph.edges[j].from].name,
                            graph.edges[j].side);
            }
        }
        for (int j = 0; j < graph.nodes[i].program.step_count; j++) {
            print_error(" %d/%u", (int)graph.nodes[i].program.steps[j].kind,
                        graph.nodes[i].program.steps[j].often);
        }
        print_error("\n");
    }
}

/* ---- The test -------------------------------------------------------------------------------- */

static void say_seed(void)
{
    char text[64];
    int size = snprintf(text, sizeof text, "test_model: died in seed %" PRIu64 "\n", now.seed);
    (void)!write(STDERR_FILENO, text, (size_t)size);
}

static void on_abort(int number)
{
    (void)number;
    say_seed();
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* The engine and the model agree, whatever the job. */
static void random_jobs_equal_the_model(void **state)
{
    (void)state;
    int64_t rounds = chance_setting("WEIR_ROUNDS", getenv("WEIR_LONG") ? ROUNDS_LONG : ROUNDS);
    uint64_t seed = (uint64_t)chance_setting("WEIR_SEED", 1);
    for (int64_t i = 0; i < rounds; i++) {
        struct round round = {seed + (uint64_t)i, true, true, false, EVENTS_MAX, PUSH_RECORDS_MAX};
        if (!passes(round, true)) {
            explain(round);
            fail_msg("seed %" PRIu64 " differs from the model", round.seed);
        }
    }
}

/* A round whose engine skips its last event differs: the comparison sees what is missing. */
static void a_lost_event_is_seen(void **state)
{
    (void)state;
    static struct schedule schedule;
    now = (struct round){7, false, false, true, EVENTS_MAX, PUSH_RECORDS_MAX};
    random_graph(now.seed, true, &graph);
    random_schedule(now.seed, &graph, &schedule);
    struct wr_error error = {.status = WEIR_OK};
    char *expected = run_model(&schedule);
    now.records = 1;
    char *found = run_engine(&schedule, &error);
    assert_non_null(found);
    assert_string_not_equal(expected, found);
    free(expected);
    free(found);
    random_schedule_free(&schedule);
}

int main(void)
{
    signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(say_seed);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_event_is_seen),
        cmocka_unit_test(random_jobs_equal_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
