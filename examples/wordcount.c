/* wordcount: how often each word came so far, in a table that plain sqlite3 can read at any time.
 * A word is a run of ASCII letters and digits, as it is: `The` and `the` are two words.
 *
 *     weir run build/examples/wordcount.so -i lines=file:book.txt
 *     sqlite3 -readonly wordcount.weir 'SELECT * FROM counts ORDER BY value DESC LIMIT 10'
 *
 * Two nodes. The first splits a line and gives each word a record of its own, with the word as key.
 * The second keeps a count for each key. A line's words all take effect or none does: what a record
 * causes is never divided.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <weir.h>

static const weir_bytes only = {NULL, 0}; /* the absent slot: here a key has one value */

/* Not isalnum(): that depends on the locale, and a result must not. */
static bool is_word_byte(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static void split(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    const unsigned char *line = in->value.data;
    size_t at = 0;
    while (at < in->value.size) {
        size_t start = at;
        while (at < in->value.size && is_word_byte(line[at])) {
            at++;
        }
        if (at > start) {
            weir_record word = *in; /* time and headers go along */
            word.key = (weir_bytes){line + start, at - start};
            word.value = weir_text("");
            weir_emit(ctx, &word);
        }
        at++; /* the byte that ended the word */
    }
}

static void count(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)in, (void)arg;
    int64_t seen = 0;
    weir_to_i64(weir_get(ctx, only), &seen); /* nothing stored yet: stays 0 */
    seen++;
    weir_put(ctx, only, weir_i64(ctx, seen));

    char text[24];
    snprintf(text, sizeof text, "%" PRId64, seen);
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
}

WEIR_JOB(job)
{
    weir_name(job, "wordcount");
    weir_stream *lines = weir_from(job, "lines", "file:in.txt");
    weir_stream *words = weir_through(lines, "split", split, NULL);
    weir_stream *counts = weir_through(words, "count", count, NULL);
    weir_into(counts, "counts", "table:counts?value=integer");
}
