/* join: two tables joined by key, kept up to date. Lines of `left` and `right` are
 *
 *     KEY TAB VALUE      the value of KEY on this side is now VALUE (which may be empty)
 *     KEY                KEY is deleted on this side
 *
 * and the result is, for each key, LEFT-VALUE TAB RIGHT-VALUE while both sides have one:
 *
 *     weir run build/examples/join.so -i left=file:users.tsv -i right=file:cities.tsv
 *
 * Each side's last line is kept in a slot of its own, deletions too: a side that was deleted is not
 * a side never heard of. What comes out after each line:
 *
 *     both sides have a value                     the pair
 *     one is deleted                              a tombstone: the key with an absent value
 *     one was never heard of, none is deleted     nothing yet
 *
 * The two inputs are read side by side, in no order between them. So the pairs seen on the way
 * differ from run to run, the last one of each key does not.
 *
 * By hand, to show what the raw operator can do; weir_join_tables of weir_ops.h joins two tables,
 * and enrich.c a stream with one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <weir.h>

/* What a slot holds: one mark, then the value. A put of an absent value would remove the slot, so a
 * deletion that is to be remembered needs a mark of its own. */
enum { MARK_VALUE = 'v', MARK_DELETED = 'd' };

static const char *const sides[] = {"left", "right"};

static void key_and_value(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    const char *line = in->value.data;
    const char *tab = in->value.size > 0 ? memchr(line, '\t', in->value.size) : NULL;
    weir_record out = *in;
    out.key = in->value;
    out.value = (weir_bytes){NULL, 0};
    if (tab) {
        out.key.size = (size_t)(tab - line);
        out.value = (weir_bytes){tab + 1, in->value.size - out.key.size - 1};
    }
    weir_emit(ctx, &out);
}

/* Remembers what this side says and returns it as it is kept. */
static weir_bytes remember(weir_ctx *ctx, weir_bytes value)
{
    char *kept = weir_scratch(ctx, 1 + value.size);
    if (!kept) {
        return (weir_bytes){NULL, 0};
    }
    kept[0] = value.data ? MARK_VALUE : MARK_DELETED;
    if (value.size > 0) {
        memcpy(kept + 1, value.data, value.size);
    }
    weir_bytes bytes = {kept, 1 + value.size};
    weir_put(ctx, weir_text(sides[weir_input(ctx)]), bytes);
    return bytes;
}

static bool is_deleted(weir_bytes kept)
{
    return kept.data && *(const char *)kept.data == MARK_DELETED;
}

static weir_bytes pair(weir_ctx *ctx, weir_bytes left, weir_bytes right)
{
    /* Two marks go, one tab comes. */
    size_t size = left.size + right.size - 1;
    char *text = weir_scratch(ctx, size);
    if (!text) {
        return (weir_bytes){NULL, 0};
    }
    memcpy(text, (const char *)left.data + 1, left.size - 1);
    text[left.size - 1] = '\t';
    memcpy(text + left.size, (const char *)right.data + 1, right.size - 1);
    return (weir_bytes){text, size};
}

static void join(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    unsigned side = weir_input(ctx);
    weir_bytes kept[2];
    kept[side] = remember(ctx, in->value);
    kept[1 - side] = weir_get(ctx, weir_text(sides[1 - side]));

    weir_record out = weir_reply(ctx, (weir_bytes){NULL, 0});
    if (is_deleted(kept[0]) || is_deleted(kept[1])) {
        weir_emit(ctx, &out);
    } else if (kept[0].data && kept[1].data) {
        out.value = pair(ctx, kept[0], kept[1]);
        weir_emit(ctx, &out);
    }
}

WEIR_JOB(job)
{
    weir_name(job, "join");
    weir_stream *left = weir_from(job, "left", "file:left.tsv");
    weir_stream *right = weir_from(job, "right", "file:right.tsv");
    left = weir_through(left, "left-lines", key_and_value, NULL);
    right = weir_through(right, "right-lines", key_and_value, NULL);

    /* What weir_input says of a record: 0 for the left one, 1 for the right one. */
    weir_stream *joined = weir_through(left, "join", join, NULL);
    weir_with(joined, right);
    weir_into(joined, "joined", "table:joined");
}
