/* survive_graphs.c: graphs that are wrong, one for each -D graph=NAME; `none` is right.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <weir.h>

static void pass(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_emit(ctx, in);
}

static bool is(weir_job *job, const char *name)
{
    return strcmp(weir_option(job, "graph", "none"), name) == 0;
}

static void wrong_names(weir_job *job, weir_stream *in)
{
    if (is(job, "unnamed node")) {
        weir_into(weir_through(in, NULL, pass, NULL), "sink", "null:");
    } else if (is(job, "empty name")) {
        weir_into(weir_through(in, "", pass, NULL), "sink", "null:");
    } else if (is(job, "unnamed sink")) {
        weir_into(in, NULL, "null:");
    } else if (is(job, "unnamed source")) {
        weir_into(weir_from(job, NULL, "gen:keyed"), "sink", "null:");
    } else if (is(job, "twice-named nodes")) {
        weir_stream *first = weir_through(in, "twice", pass, NULL);
        weir_into(weir_through(first, "twice", pass, NULL), "sink", "null:");
    } else if (is(job, "node named as the source")) {
        weir_into(weir_through(in, "in", pass, NULL), "sink", "null:");
    } else if (is(job, "twice-named sinks")) {
        weir_into(in, "sink", "null:");
        weir_into(in, "sink", "log:other");
    } else if (is(job, "name with a blank")) {
        weir_into(weir_through(in, "two words", pass, NULL), "sink", "null:");
    } else if (is(job, "long name")) {
        weir_into(in, "a-name-of-sixty-five-bytes-which-is-one-more-than-a-name-may-have", "null:");
    } else if (is(job, "job name")) {
        weir_name(job, "../elsewhere");
    }
}

static void wrong_edges(weir_job *job, weir_stream *in)
{
    weir_stream *node = weir_through(in, "node", pass, NULL);
    weir_into(node, "out", "null:");
    if (is(job, "cycle of one")) {
        weir_with(node, node);
    } else if (is(job, "cycle of three")) {
        weir_stream *second = weir_through(node, "second", pass, NULL);
        weir_with(node, weir_side(weir_through(second, "third", pass, NULL), 3));
    } else if (is(job, "no function")) {
        weir_through(in, "idle", NULL, NULL);
    } else if (is(job, "side 16")) {
        weir_into(weir_side(node, 16), "side", "null:");
    } else if (is(job, "sixty-five inputs")) {
        for (int i = 0; i < 65; i++) {
            weir_with(node, in);
        }
    } else if (is(job, "too many nodes")) {
        char name[16] = "node-0000";
        for (int i = 0; i < 1100; i++) {
            name[5] = (char)('0' + i / 1000);
            name[6] = (char)('0' + i / 100 % 10);
            name[7] = (char)('0' + i / 10 % 10);
            name[8] = (char)('0' + i % 10);
            node = weir_through(node, name, pass, NULL);
        }
    } else if (is(job, "URI of nothing")) {
        weir_into(node, "other", "nonsense:x");
    } else if (is(job, "table of weir's own")) {
        weir_into(node, "other", "table:meta");
    } else if (is(job, "two sinks into one table")) {
        weir_into(node, "other", "table:same");
        weir_into(node, "another", "table:Same?key=text");
    } else if (is(job, "two sinks into one topic")) {
        weir_into(node, "other", "log:same");
        weir_into(node, "another", "log:same?partitions=2");
    }
}

WEIR_JOB(job)
{
    if (is(job, "no source")) {
        return;
    }
    weir_stream *in = weir_from(job, "in", is(job, "no URI") ? NULL : "gen:keyed?records=3");
    wrong_names(job, in);
    wrong_edges(job, in);
}
