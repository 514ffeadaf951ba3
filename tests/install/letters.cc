/* letters.cc: the job of letters.c in C++.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdexcept>
#include <string>

#include <weir.h>
#include <weir_ops.h>

namespace
{

/* Configuration that a node is given; it lives in memory of the job. */
struct Column {
    size_t at;
};

weir_bytes bytes(const std::string &text)
{
    return weir_bytes{text.data(), text.size()};
}

std::string text(weir_bytes bytes)
{
    return bytes.data ? std::string(static_cast<const char *>(bytes.data), bytes.size) : "";
}

bool has_letter(const weir_record *in, void *)
{
    try {
        text(in->value).at(0);
        return true;
    } catch (const std::out_of_range &) {
        return false;
    }
}

weir_record by_letter(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)ctx;
    weir_record out = *in;
    const Column *column = static_cast<const Column *>(arg);
    out.key = weir_bytes{static_cast<const char *>(in->value.data) + column->at, 1};
    return out;
}

} // namespace

WEIR_JOB(job)
{
    weir_name(job, "letters");
    Column *first = static_cast<Column *>(weir_alloc(job, sizeof(Column)));
    first->at = 0;
    weir_stream *lines = weir_from(job, "lines", "file:in.txt");
    weir_stream *keyed =
        weir_map(weir_filter(lines, "some", has_letter, nullptr), "by-letter", by_letter, first);
    weir_stream *counts = weir_through(
        keyed, "count",
        [](weir_ctx *ctx, const weir_record *, void *) {
            const weir_bytes only = {nullptr, 0};
            const std::string before = text(weir_get(ctx, only));
            const std::string now = std::to_string(before.empty() ? 1 : std::stoll(before) + 1);
            weir_put(ctx, only, bytes(now));
            const weir_record out = weir_reply(ctx, bytes(now));
            weir_emit(ctx, &out);
        },
        nullptr);
    weir_into(counts, "counts", "table:counts?value=integer");
}
