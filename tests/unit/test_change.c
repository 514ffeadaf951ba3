/* test_change.c: what a start with a changed job does to a store (txn/store_change.c): names
 * renamed and swapped, what is kept forgotten, positions moved, all in one transaction.
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

#include "tests/lib/scratch_store.h"
#include "txn/store_change.h"

#define NODES "(node LEFT JOIN node_watermark ON node = id)"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A store that has one of everything: state and timers of both nodes, a position, a watermark of a
 * part, three records in the outbox, of which one was forwarded, and a dead letter of `count`. */
static int set_up(void **state)
{
    struct scratch *s = scratch_new();
    scratch_open(s);
    scratch_begin(s);
    for (size_t i = 0; i < SCRATCH_NODES; i++) {
        scratch_put(s, s->nodes[i].id, weir_text("k"), weir_text("s"), weir_text(s->nodes[i].name));
        scratch_timer(s, s->nodes[i].id, weir_text("k"), weir_text("t"), false, 5);
    }
    scratch_append(s, SCRATCH_OUTBOX, 0, 0, 3);
    scratch_position(s, 40);
    struct wr_marker marker = {.sink = "file", .next = 1, .length = 2, .identity = "x"};
    scratch_must(s, scratch_try_decide(s, &marker, 1));
    scratch_sql(s, "INSERT INTO watermark VALUES((SELECT id FROM node WHERE name = 'count'), 'in',"
                   " '0', 7, 0);"
                   "INSERT INTO progress(kind, id, watermark_ms) SELECT 3, id, 7 FROM node;"
                   "INSERT INTO reject(id, epoch, source, part, offset, node, input, seq, time_ms,"
                   " reason) VALUES(9, 1, 'in', '0', 3, 'count', 0, 0, 0, 'why');"
                   "INSERT INTO retry VALUES(9)");
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scratch_free(*state);
    return 0;
}

static void begin(struct scratch *s)
{
    scratch_must(s, wr_store_start_begin(s->store, &s->error));
}

static void end(struct scratch *s)
{
    scratch_must(s, wr_store_start_end(s->store, WEIR_OK, &s->error));
}

static struct wr_stored_name *find(struct scratch *s, const char *name)
{
    struct wr_stored_name *names;
    size_t count;
    scratch_must(s, wr_store_names(s->store, &s->arena, &names, &count, &s->error));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i].name, name) == 0) {
            return &names[i];
        }
    }
    return NULL;
}

static void must_be(struct scratch *s, const char *query, const char *expected)
{
    assert_string_equal(scratch_query(s, query), expected);
}

/* What is kept under a name says what it is. */
static void names_and_what_they_keep(void **state)
{
    struct scratch *s = *state;
    static const struct {
        const char *name;
        enum wr_stored_kind kind;
        bool keeps;
        int64_t unsent, queued;
    } cases[] = {
        {"count", WR_STORED_THROUGH, true, 0, 1},
        {"join", WR_STORED_THROUGH, true, 0, 0},
        {"in", WR_STORED_SOURCE, true, 0, 0},
        {"file", WR_STORED_SINK, true, 2, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct wr_stored_name *name = find(s, cases[i].name);
        assert_non_null(name);
        assert_int_equal(name->kind, cases[i].kind);
        assert_int_equal(name->keeps, cases[i].keeps);
        assert_int_equal(name->unsent, cases[i].unsent);
        assert_int_equal(name->queued, cases[i].queued);
    }
    assert_null(find(s, "out")); /* a topic is known by its own name, not by the sink's */
    scratch_sql(s, "INSERT INTO node(name, version) VALUES('older', 1), ('when', 1);"
                   "UPDATE meta SET value = '{\"nodes\":[{\"name\":\"when\",\"kind\":\"times\"}]}'"
                   " WHERE key = 'graph'");
    assert_int_equal(find(s, "older")->kind, WR_STORED_BARE);
    assert_false(find(s, "older")->keeps);
    assert_int_equal(find(s, "when")->kind, WR_STORED_TIMES);
}

/* Two nodes swap their names: state, timers and dead letters go with them. */
static void names_are_swapped(void **state)
{
    struct scratch *s = *state;
    const struct wr_rename renames[] = {{"count", "join", WR_STORED_THROUGH},
                                        {"join", "count", WR_STORED_THROUGH}};
    begin(s);
    scratch_must(s, wr_store_rename(s->store, renames, 2, &s->error));
    end(s);
    must_be(s,
            "SELECT group_concat(name || ' ' || value || ' ' || version, ', ') FROM (SELECT"
            " node.name, CAST(value AS TEXT) AS value, version FROM state JOIN node ON node.id ="
            " state.node ORDER BY 1)",
            "count join 3, join count 1");
    must_be(s, "SELECT node FROM reject", "join");
    must_be(s, "SELECT count(*) FROM node", "2");
}

/* Everything that stands by name moves: A=B and B=C at once, a source, a sink. */
static void all_places_are_renamed(void **state)
{
    struct scratch *s = *state;
    const struct wr_rename renames[] = {{"count", "join", WR_STORED_THROUGH},
                                        {"join", "third", WR_STORED_THROUGH},
                                        {"in", "input", WR_STORED_SOURCE},
                                        {"file", "lines", WR_STORED_SINK}};
    scratch_sql(s,
                "INSERT INTO node(name, version) VALUES('third', 9)"); /* keeps nothing: it goes */
    begin(s);
    scratch_must(s, wr_store_rename(s->store, renames, COUNT(renames), &s->error));
    scratch_must(s, wr_store_note_change(s->store, "\"renamed\":{}", &s->error));
    end(s);
    must_be(s, "SELECT group_concat(name || version) FROM (SELECT * FROM node ORDER BY name)",
            "join1,third3");
    must_be(s, "SELECT source || next FROM position", "input40");
    must_be(s, "SELECT source FROM watermark", "input");
    must_be(s, "SELECT source || node FROM reject", "inputjoin");
    must_be(s, "SELECT name FROM topic WHERE outbox", "lines");
    must_be(s, "SELECT sink || next FROM marker", "lines1");
    must_be(s, "SELECT positions || offsets FROM epoch WHERE number = 2 AND records = 0",
            "{\"input\":{\"0\":40}}{\"out\":{\"0\":0,\"1\":0,\"2\":0},\"outbox:lines\":{\"0\":3}}");
    must_be(s, "SELECT max(number) FROM epoch", "2");
    assert_int_equal(wr_store_info(s->store)->epoch, 2);
}

/* A node of which the job knows nothing more goes, with its queued dead letters. */
static void a_name_is_forgotten(void **state)
{
    struct scratch *s = *state;
    struct wr_forgotten gone;
    begin(s);
    scratch_must(s, wr_store_forget(s->store, find(s, "count"), 0, &gone, &s->error));
    assert_int_equal(gone.slots, 1);
    assert_int_equal(gone.timers, 1);
    assert_int_equal(gone.queued, 1);
    scratch_must(s, wr_store_forget(s->store, find(s, "in"), 0, &gone, &s->error));
    assert_int_equal(gone.positions, 1);
    scratch_must(s, wr_store_forget(s->store, find(s, "file"), 0, &gone, &s->error));
    assert_int_equal(gone.unsent, 2);
    scratch_must(s, wr_store_note_change(s->store, "\"dropped\":[\"count\",\"in\"]", &s->error));
    end(s);
    must_be(s, "SELECT count(*) || group_concat(name) FROM node", "1join");
    must_be(s, "SELECT (SELECT count(*) FROM state) || (SELECT count(*) FROM timer)", "11");
    must_be(s,
            "SELECT (SELECT count(*) FROM position) + (SELECT count(*) FROM watermark)"
            " + (SELECT count(*) FROM marker) + (SELECT count(*) FROM topic WHERE outbox)"
            " + (SELECT count(*) FROM log) + (SELECT count(*) FROM retry)",
            "0");
    must_be(s, "SELECT count(*) FROM reject", "1"); /* it can still be looked at */
    bool has = false;
    scratch_must(s, wr_store_has_forgotten(s->store, "in", &has, &s->error));
    assert_true(has);
    scratch_must(s, wr_store_has_forgotten(s->store, "join", &has, &s->error));
    assert_false(has);
}

/* A node that the job keeps starts empty, with the job's version. */
static void a_node_starts_empty(void **state)
{
    struct scratch *s = *state;
    struct wr_forgotten gone;
    begin(s);
    scratch_must(s, wr_store_forget(s->store, find(s, "count"), 4, &gone, &s->error));
    end(s);
    must_be(s, "SELECT name || version || watermark_ms FROM " NODES " WHERE name = 'count'",
            "count47");
    must_be(s, "SELECT count(*) FROM state", "1");
    must_be(s, "SELECT count(*) FROM retry", "1");
}

/* To an offset, or away with the position; watermarks of what it reaches are unknown then, and so
 * is the end of time. */
static void a_source_is_rewound(void **state)
{
    struct scratch *s = *state;
    const char *reached = "count";
    begin(s);
    scratch_must(s, wr_store_rewind(s->store, "in", 12, &reached, 1, &s->error));
    end(s);
    must_be(s, "SELECT next || coalesce(watermark_ms, '?') || idle FROM position", "12?0");
    must_be(s, "SELECT count(*) FROM watermark", "0");
    must_be(s, "SELECT group_concat(name || coalesce(watermark_ms, '?')) FROM " NODES,
            "count?,join7");
    scratch_sql(s, "UPDATE progress SET watermark_ms = 9223372036854775807 WHERE kind = 3");
    begin(s);
    scratch_must(s, wr_store_rewind(s->store, "in", -1, &reached, 1, &s->error));
    end(s);
    must_be(s, "SELECT count(*) FROM position", "0");
    must_be(s, "SELECT group_concat(name || coalesce(watermark_ms, '?')) FROM " NODES,
            "count?,join?");
}

/* What is refused, or cut short, in between leaves all as it was. */
static void nothing_lasts_before_the_end(void **state)
{
    struct scratch *s = *state;
    const struct wr_rename rename = {"count", "tally", WR_STORED_THROUGH};
    struct wr_forgotten gone;
    begin(s);
    scratch_must(s, wr_store_forget(s->store, find(s, "in"), 0, &gone, &s->error));
    scratch_must(s, wr_store_rename(s->store, &rename, 1, &s->error));
    scratch_must(s, wr_store_note_change(s->store, "", &s->error));
    scratch_must_fail(s,
                      wr_store_start_end(s->store,
                                         wr_fail(&s->error, WEIR_FATAL, WR_EXIT_CONFIG, "no"),
                                         &s->error),
                      WR_EXIT_CONFIG, "no");
    assert_int_equal(wr_store_info(s->store)->epoch, 0); /* as it was opened */
    begin(s);
    scratch_must(s, wr_store_rename(s->store, &rename, 1, &s->error));
    scratch_close(s); /* as a crash does */
    scratch_open(s);
    must_be(s, "SELECT group_concat(name) FROM node", "count,join");
    must_be(s, "SELECT count(*) FROM position", "1");
    must_be(s, "SELECT count(*) FROM epoch", "1");
    must_be(s, "SELECT value FROM meta WHERE key = 'changes'", "-");
}

/* The last hundred changes are told. */
static void changes_are_told(void **state)
{
    struct scratch *s = *state;
    for (int i = 0; i < 103; i++) {
        begin(s);
        scratch_must(s, wr_store_note_change(s->store, "\"rewound\":{\"in\":5}", &s->error));
        end(s);
    }
    must_be(s, "SELECT json_array_length(value) FROM meta WHERE key = 'changes'", "100");
    must_be(s, "SELECT value ->> '$[99]' FROM meta WHERE key = 'changes'",
            "{\"epoch\":104,\"time_ms\":1700000000000,\"rewound\":{\"in\":5}}");
    must_be(s, "SELECT count(*) || max(number) FROM epoch", "104104");
}

/* What is damaged there is told no more, and stops no start. */
static void damaged_changes_are_forgotten(void **state)
{
    struct scratch *s = *state;
    static const char *const cases[] = {"'garbage'", "5",    "'{\"a\":1}'",
                                        "x'00ff'",   "NULL", "'[\"text\",7,{\"dropped\":3}]'"};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[128];
        bool has = true;
        snprintf(text, sizeof text, "INSERT OR REPLACE INTO meta VALUES('changes', %s)", cases[i]);
        scratch_sql(s, text);
        scratch_must(s, wr_store_has_forgotten(s->store, "in", &has, &s->error));
        assert_false(has);
        begin(s);
        scratch_must(s, wr_store_note_change(s->store, "", &s->error));
        end(s);
        must_be(s, "SELECT json_array_length(value) > 0 FROM meta WHERE key = 'changes'", "1");
    }
}

/* The graph of the last run is known again, whatever its URIs are. */
static void the_same_graph(void **state)
{
    struct scratch *s = *state;
    static const char graph[] = "{\"nodes\":[{\"name\":\"a\",\"uri\":\"x\"},{\"name\":\"b\"}]}";
    bool same = true;
    scratch_must(s, wr_store_same_graph(s->store, graph, &same, &s->error));
    assert_false(same);
    scratch_sql(s, "UPDATE meta SET value = '{\"nodes\":[{\"name\":\"a\",\"uri\":\"y\"},"
                   "{\"name\":\"b\"}]}' WHERE key = 'graph'");
    scratch_must(s, wr_store_same_graph(s->store, graph, &same, &s->error));
    assert_true(same);
    scratch_must(s, wr_store_same_graph(s->store, "{\"nodes\":[{\"name\":\"b\"},{\"name\":\"a\"}]}",
                                        &same, &s->error));
    assert_false(same);
}

int main(void)
{
#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_STORE(names_and_what_they_keep),      WITH_STORE(names_are_swapped),
        WITH_STORE(all_places_are_renamed),        WITH_STORE(a_name_is_forgotten),
        WITH_STORE(a_node_starts_empty),           WITH_STORE(a_source_is_rewound),
        WITH_STORE(nothing_lasts_before_the_end),  WITH_STORE(changes_are_told),
        WITH_STORE(damaged_changes_are_forgotten), WITH_STORE(the_same_graph),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
