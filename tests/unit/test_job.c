/* test_job.c: building a graph: each mistake has its text and the first one sticks; nodes in graph
 * order; URIs and options from outside. Long because each mistake is a job of its own.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <weir_ops.h>

#include "engine/job.h"

static void nothing(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)ctx;
    (void)in;
    (void)arg;
}

static int64_t time_of(const weir_record *in, void *arg)
{
    (void)arg;
    return in->time_ms;
}

static weir_stream *source(weir_job *job)
{
    return weir_from(job, "in", "file:in.txt");
}

static weir_stream *through(weir_stream *in, const char *name)
{
    return weir_through(in, name, nothing, NULL);
}

struct opened {
    struct wr_settings inputs, outputs, defines;
    weir_job job;
    struct wr_error error;
};

/* Opens a job with settings as "-i", "a=b" pairs, NULL-ended. */
static weir_status open_job(struct opened *opened, void (*define)(weir_job *), ...)
{
    *opened = (struct opened){.error = {.status = WEIR_OK}};
    va_list args;
    va_start(args, define);
    for (const char *option; (option = va_arg(args, const char *));) {
        struct wr_settings *settings = option[1] == 'i'   ? &opened->inputs
                                       : option[1] == 'o' ? &opened->outputs
                                                          : &opened->defines;
        assert_int_equal(wr_settings_add(settings, va_arg(args, const char *), &opened->error), 0);
    }
    va_end(args);
    struct wr_job_options options = {.name = "job",
                                     .inputs = &opened->inputs,
                                     .outputs = &opened->outputs,
                                     .defines = &opened->defines};
    return wr_job_open(&options, define, &opened->job, &opened->error);
}

static void close_job(struct opened *opened)
{
    wr_job_close(&opened->job);
    wr_settings_fini(&opened->inputs);
    wr_settings_fini(&opened->outputs);
    wr_settings_fini(&opened->defines);
}

/* ---- Mistakes -------------------------------------------------------------------------------- */

static void no_source(weir_job *job)
{
    (void)job;
}

static void no_name(weir_job *job)
{
    through(source(job), NULL);
}

static void bad_name(weir_job *job)
{
    through(source(job), "two words");
}

static void long_name(weir_job *job)
{
    char name[WR_NAME_BYTES_MAX + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    through(source(job), name);
}

static void same_name(weir_job *job)
{
    weir_into(through(source(job), "node"), "node", "null:");
}

static void bad_job_name(weir_job *job)
{
    weir_name(job, "a/b");
    source(job);
}

static void cycle(weir_job *job)
{
    weir_stream *first = through(source(job), "first"), *second = through(first, "second");
    weir_with(first, second);
}

static void itself(weir_job *job)
{
    weir_stream *node = through(source(job), "node");
    weir_with(node, node);
}

static void no_function(weir_job *job)
{
    weir_through(source(job), "node", NULL, NULL);
}

static void negative_time(weir_job *job)
{
    weir_times(source(job), "timed", time_of, NULL, -1, 0);
}

static void side_of_source(weir_job *job)
{
    weir_side(source(job), 1);
}

static void side_16(weir_job *job)
{
    weir_side(through(source(job), "node"), WR_SIDES_MAX);
}

static void second_input_of_source(weir_job *job)
{
    weir_stream *in = source(job);
    weir_with(in, in);
}

static void state_of_source(weir_job *job)
{
    weir_state(source(job), 2, NULL, NULL);
}

static void version_zero(weir_job *job)
{
    weir_state(through(source(job), "node"), 0, NULL, NULL);
}

static void no_source_uri(weir_job *job)
{
    weir_from(job, "in", NULL);
}

static void no_sink_uri(weir_job *job)
{
    weir_into(source(job), "out", NULL);
}

static void unknown_scheme(weir_job *job)
{
    weir_from(job, "in", "fiel:in.txt");
}

static void unknown_parameter(weir_job *job)
{
    weir_into(source(job), "out", "log:out?partition=3");
}

static void sink_as_source(weir_job *job)
{
    weir_from(job, "in", "table:counts");
}

static void two_into_one(weir_job *job)
{
    weir_stream *in = source(job);
    weir_into(in, "a", "log:same");
    weir_into(in, "b", "log:same");
}

static void two_into_one_table(weir_job *job)
{
    weir_stream *in = source(job);
    weir_into(in, "a", "table:Same");
    weir_into(in, "b", "table:same");
}

static void too_many_nodes(weir_job *job)
{
    weir_stream *at = source(job);
    for (int i = 0; i < WR_NODES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        at = through(at, name);
    }
}

static void too_many_inputs(weir_job *job)
{
    weir_stream *in = source(job), *node = through(in, "node");
    for (int i = 0; i < WR_INPUTS_MAX; i++) {
        weir_with(node, in);
    }
}

static void no_second_input(weir_job *job)
{
    weir_with(through(source(job), "node"), NULL);
}

static void option_without_name(weir_job *job)
{
    assert_string_equal(weir_option(job, NULL, "fallback"), "fallback");
    source(job);
}

/* What follows a mistake does not hide it. */
static void several(weir_job *job)
{
    weir_stream *broken = weir_through(source(job), "one mistake", nothing, NULL);
    weir_stream *more = through(weir_side(weir_times(broken, "!", NULL, NULL, -1, 0), 99), "node");
    weir_with(more, broken);
    weir_state(more, 0, NULL, NULL);
    weir_into(more, "", "nonsense");
}

static const struct mistake {
    void (*define)(weir_job *);
    const char *text;
} mistakes[] = {
    {no_source, "job `job` has no source; add one with weir_from"},
    {no_name, "a node has the name ``; give it one of 1 to 64 of A-Z a-z 0-9 _ . -"},
    {bad_name, "a node has the name `two words`"},
    {long_name, "a node has the name `nnnnnnnn"},
    {same_name, "the name `node` is given twice"},
    {bad_job_name, "weir_name: `a/b` is no name"},
    {cycle, "the graph has a cycle through node `first`"},
    {itself, "the graph has a cycle through node `node`"},
    {no_function, "node `node` has no function"},
    {negative_time, "weir_times `timed` needs times that are not negative"},
    {side_of_source, "weir_side: `in` has no side 1"},
    {side_16, "weir_side: `node` has no side 16; weir_through nodes have 0 to 15"},
    {second_input_of_source, "weir_with: `in` is no weir_through node"},
    {state_of_source, "weir_state: `in` needs to be a weir_through node"},
    {version_zero, "weir_state: `node` needs to be a weir_through node, its version 1 or more"},
    {no_source_uri, "source `in` has no URI; give one with -i in=URI"},
    {no_sink_uri, "sink `out` has no URI; give one with -o out=URI"},
    {unknown_scheme, "did you mean file?"},
    {unknown_parameter, "did you mean partitions?"},
    {sink_as_source, "source `in`: "},
    {two_into_one, "sinks `a` and `b` both write to log:same"},
    {two_into_one_table, "sinks `a` and `b` both write to table:same"},
    {too_many_nodes, "more than 1024 nodes"},
    {too_many_inputs, "node `node` has more than 64 inputs"},
    {no_second_input, "node `node` is given NULL for one more stream; give it what weir_from"},
    {option_without_name, "weir_option: the name is NULL"},
    {several, "a node has the name `one mistake`"},
};

/* Each mistake is a usage error that says which node it is about, and what to do. */
static void each_mistake_has_its_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct opened opened;
        assert_int_equal(open_job(&opened, mistakes[i].define, NULL), WEIR_MISUSE);
        if (opened.error.exit_code != WR_EXIT_USAGE ||
            !strstr(opened.error.text, mistakes[i].text)) {
            fail_msg("mistake %zu: expected `%s`, exit code 64; got %d: %s", i, mistakes[i].text,
                     (int)opened.error.exit_code, opened.error.text);
        }
        close_job(&opened);
    }
}

static void null_through(weir_job *job)
{
    (void)job;
    weir_through(NULL, "node", nothing, NULL);
}

static void null_into(weir_job *job)
{
    (void)job;
    weir_into(NULL, "out", "null:");
}

static void null_operator(weir_job *job)
{
    (void)job;
    weir_filter(NULL, "filter", NULL, NULL);
}

/* No job is known that could be refused: the process ends, as for a misspelt option. */
static void a_stream_that_is_null_ends_the_process(void **state)
{
    (void)state;
    void (*const defines[])(weir_job *) = {null_through, null_into, null_operator};
    for (size_t i = 0; i < sizeof defines / sizeof *defines; i++) {
        fflush(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct opened opened;
            open_job(&opened, defines[i], NULL);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), WR_EXIT_USAGE);
    }
}

/* ---- Settings -------------------------------------------------------------------------------- */

static void copies(weir_job *job)
{
    weir_option(job, "greeting", "hello");
    weir_into(source(job), "out", "null:");
}

/* An option that nobody asked for is told from one that is misspelt. */
static void a_setting_that_nobody_asked_for_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *option, *setting, *text;
    } cases[] = {
        {"-i", "inn=null:", "-i inn: job `job` has no source of this name; did you mean `in`?"},
        {"-o", "oud=null:", "did you mean `out`?"},
        {"-D", "greting=x", "-D greting: job `job` has no option of this name; did you mean"},
        {"-D", "something-else=x", "(`--check` lists them)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct opened opened;
        assert_int_equal(open_job(&opened, copies, cases[i].option, cases[i].setting, NULL),
                         WEIR_MISUSE);
        if (!strstr(opened.error.text, cases[i].text)) {
            fail_msg("expected `%s`, got: %s", cases[i].text, opened.error.text);
        }
        close_job(&opened);
    }
}

static const char *asked[3];

static void asks(weir_job *job)
{
    asked[0] = weir_option(job, "a", "fallback");
    asked[1] = weir_option(job, "b", "fallback");
    asked[2] = weir_option(job, "c", NULL);
    asked[2] = asked[2] ? asked[2] : "(null)";
    source(job);
    assert_string_equal(asked[0], "x=y");
    assert_string_equal(asked[1], "fallback");
    assert_string_equal(asked[2], "(null)");
}

/* The last setting of a name counts; it is split at its first `=`. */
static void options_come_from_outside(void **state)
{
    (void)state;
    struct opened opened;
    assert_int_equal(open_job(&opened, asks, "-D", "a=old", "-D", "a=x=y", NULL), WEIR_OK);
    close_job(&opened);
    struct wr_settings settings = {NULL, 0, 0};
    struct wr_error error = {.status = WEIR_OK};
    assert_int_equal(wr_settings_add(&settings, "no equals sign", &error), WEIR_MISUSE);
    assert_non_null(strstr(error.text, "`no equals sign`: expected NAME=VALUE"));
    wr_settings_fini(&settings);
}

static const struct wr_node *node_of(const weir_job *job, const char *name)
{
    for (size_t i = 0; i < job->node_count; i++) {
        if (strcmp(job->nodes[i]->name, name) == 0) {
            return job->nodes[i];
        }
    }
    fail_msg("no node %s", name);
    return NULL;
}

/* -i and -o replace the job's own URIs, also those that are missing. */
static void uris_come_from_outside(void **state)
{
    (void)state;
    struct opened opened;
    assert_int_equal(
        open_job(&opened, copies, "-i", "in=gen:lines?records=3", "-o", "out=log:there", NULL),
        WEIR_OK);
    assert_string_equal(node_of(&opened.job, "in")->endpoint.uri, "gen:lines?records=3");
    assert_string_equal(node_of(&opened.job, "out")->endpoint.uri, "log:there");
    close_job(&opened);
    assert_int_equal(open_job(&opened, no_source_uri, "-i", "in=file:a", NULL), WEIR_OK);
    close_job(&opened);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void add_one(void *arg)
{
    *(int *)arg += 1;
}

static void twice(void *arg)
{
    *(int *)arg *= 2;
}

static void only_a_source(weir_job *job)
{
    weir_into(source(job), "out", "null:");
}

/* What was given last is called first, once. */
static void closing_calls_backwards(void **state)
{
    (void)state;
    struct opened opened;
    assert_int_equal(open_job(&opened, only_a_source, NULL), WEIR_OK);
    int number = 3;
    weir_at_close(&opened.job, twice, &number);
    weir_at_close(&opened.job, add_one, &number);
    assert_int_equal(number, 3);
    close_job(&opened);
    assert_int_equal(number, 8);
}

/* ---- Order ----------------------------------------------------------------------------------- */

static void late_inputs(weir_job *job)
{
    weir_name(job, "late");
    weir_stream *first = through(source(job), "first");
    weir_stream *other = weir_from(job, "other", "file:b");
    weir_stream *timed = weir_times(other, "timed", time_of, NULL, 5, 6);
    weir_stream *last = through(timed, "last");
    assert_int_equal(weir_with(first, weir_side(last, 3)), 1);
    assert_int_equal(weir_with(first, other), 2);
    weir_into(first, "out", "null:");
}

/* Inputs come before outputs, whatever was defined first. */
static void nodes_are_in_graph_order(void **state)
{
    (void)state;
    struct opened opened;
    assert_int_equal(open_job(&opened, late_inputs, NULL), WEIR_OK);
    static const char *const order[] = {"in", "other", "timed", "last", "first", "out"};
    assert_int_equal(opened.job.node_count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(opened.job.nodes[i]->name, order[i]);
        assert_int_equal(opened.job.nodes[i]->order, i);
    }
    assert_string_equal(opened.job.name, "late");
    close_job(&opened);
}

/* The graph as JSON names every node with its inputs and their sides. */
static void the_graph_is_json(void **state)
{
    (void)state;
    struct opened opened;
    assert_int_equal(open_job(&opened, late_inputs, "-o", "out=file:a\"b\\c", NULL), WEIR_OK);
    json_t *root = json_loads(wr_job_json(&opened.job), JSON_REJECT_DUPLICATES, NULL);
    json_t *nodes = json_object_get(root, "nodes"), *first = json_array_get(nodes, 4);
    assert_int_equal(json_array_size(nodes), 6);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "first");
    json_t *input = json_array_get(json_object_get(first, "inputs"), 1);
    assert_string_equal(json_string_value(json_object_get(input, "from")), "last");
    assert_int_equal(json_integer_value(json_object_get(input, "side")), 3);
    json_t *sink = json_array_get(nodes, 5);
    assert_string_equal(json_string_value(json_object_get(sink, "kind")), "sink");
    assert_non_null(strstr(json_string_value(json_object_get(sink, "uri")), "a\"b\\c"));
    json_decref(root);
    close_job(&opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_has_its_text),
        cmocka_unit_test(a_stream_that_is_null_ends_the_process),
        cmocka_unit_test(a_setting_that_nobody_asked_for_is_refused),
        cmocka_unit_test(options_come_from_outside),
        cmocka_unit_test(uris_come_from_outside),
        cmocka_unit_test(closing_calls_backwards),
        cmocka_unit_test(nodes_are_in_graph_order),
        cmocka_unit_test(the_graph_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
