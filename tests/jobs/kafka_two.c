/* kafka_two.c: each line as it is to `plain`; to `keyed` with itself as key, with its offset as
 * time and in a header, and without a value where it is empty.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <weir.h>

static void key(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const char *source;
    int32_t partition;
    int64_t offset;
    char text[24];
    (void)arg;
    weir_origin(ctx, &source, &partition, &offset);
    snprintf(text, sizeof text, "%" PRId64, offset);
    weir_header headers[] = {
        {"offset", weir_text(text)}, {"absent", {NULL, 0}}, {"offset", {"", 0}}};
    weir_record out = {.key = in->value,
                       .value = in->value,
                       .time_ms = 1600000000000 + offset,
                       .headers = headers,
                       .header_count = sizeof headers / sizeof *headers};
    if (in->value.size == 0) {
        out.value = (weir_bytes){NULL, 0};
    }
    weir_emit(ctx, &out);
}

WEIR_JOB(job)
{
    weir_name(job, "kafka_two");
    weir_stream *in = weir_from(job, "in", "file:in.txt");
    weir_into(in, "plain", "log:plain");
    weir_into(weir_through(in, "key", key, NULL), "keyed", "log:keyed");
}
