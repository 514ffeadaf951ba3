/* outlet_stdout.c: stdout:, each value and a newline to standard output. What was written cannot be
 * taken back, so after a crash the records since the last decided marker come again: at-least-once.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "txn/base/assert.h"
#include "txn/base/bytes.h"
#include "txn/outlets/outlet.h"

enum { BUFFER_BYTES = 64 * 1024 };

struct stdout_outlet {
    struct wr_outlet base;
    struct wr_buffer buffer;
    bool failed;
};

static struct stdout_outlet *stdout_of(struct wr_outlet *outlet)
{
    return (struct stdout_outlet *)outlet;
}

static weir_status put(struct stdout_outlet *out, const void *data, size_t size,
                       struct wr_error *error)
{
    int cause = wr_outlet_write(STDOUT_FILENO, data, size);
    if (cause == 0) {
        return WEIR_OK;
    }
    out->failed = true;
    if (cause == EPIPE) {
        return wr_fail_native(error, WEIR_FATAL, WR_EXIT_IO, cause,
                              "sink %s: the reader of standard output went away; start again with "
                              "a reader, nothing is lost",
                              out->base.sink);
    }
    return wr_fail_native(error, WEIR_FATAL, WR_EXIT_IO, cause,
                          "sink %s: cannot write to standard output: %s; start again, nothing is "
                          "lost",
                          out->base.sink, strerror(cause));
}

static weir_status flush(struct stdout_outlet *out, struct wr_error *error)
{
    size_t size = out->buffer.size;
    out->buffer.size = 0;
    return size ? put(out, out->buffer.data, size, error) : WEIR_OK;
}

static weir_status stdout_send(struct wr_outlet *outlet, const weir_record *record, int64_t offset,
                               struct wr_error *error)
{
    struct stdout_outlet *out = stdout_of(outlet);
    (void)offset;
    wr_assert(!out->failed);
    size_t size = record->value.size;
    if (out->buffer.size + size + 1 > BUFFER_BYTES) {
        WR_TRY(flush(out, error));
    }
    if (size + 1 > BUFFER_BYTES) {
        WR_TRY(put(out, record->value.data, size, error));
        size = 0;
    }
    unsigned char *at = wr_buffer_extend(&out->buffer, size + 1);
    if (!at) {
        return wr_fail_memory(error);
    }
    if (size) {
        memcpy(at, record->value.data, size);
    }
    at[size] = '\n';
    return WEIR_OK;
}

static weir_status stdout_flush(struct wr_outlet *outlet, struct wr_error *error)
{
    return flush(stdout_of(outlet), error);
}

static weir_status stdout_settle(struct wr_outlet *outlet, struct wr_marker *marker,
                                 struct wr_error *error)
{
    WR_TRY(flush(stdout_of(outlet), error));
    marker->length = -1;
    marker->crc = 0;
    marker->identity = "stdout";
    return WEIR_OK;
}

static weir_status stdout_check(struct wr_outlet *outlet, const struct wr_marker *marker,
                                struct wr_error *error)
{
    if (marker->identity && marker->length >= 0) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "sink %s: %lld bytes were forwarded to a file (%s), not to standard output; "
                       "give the sink that file again, or a new name",
                       outlet->sink, (long long)marker->length, marker->identity);
    }
    return WEIR_OK;
}

static void stdout_close(struct wr_outlet *outlet)
{
    struct stdout_outlet *out = stdout_of(outlet);
    wr_buffer_fini(&out->buffer);
    free(out);
}

static const char *stdout_guarantee(const struct wr_outlet *outlet)
{
    (void)outlet;
    return "at-least-once: what went to standard output cannot be taken back, so a crash may "
           "repeat "
           "its last lines";
}

static const struct wr_outlet_ops stdout_ops = {
    .scheme = "stdout",
    .send = stdout_send,
    .flush = stdout_flush,
    .settle = stdout_settle,
    .check = stdout_check,
    .close = stdout_close,
    .guarantee = stdout_guarantee,
};

weir_status wr_outlet_stdout_open(struct wr_env *env, const char *sink,
                                  struct wr_outlet **outlet_out, struct wr_error *error)
{
    struct stdout_outlet *out = calloc(1, sizeof *out);
    if (!out || !wr_buffer_reserve(&out->buffer, BUFFER_BYTES)) {
        free(out);
        return wr_fail_memory(error);
    }
    out->base = (struct wr_outlet){.ops = &stdout_ops, .env = env, .sink = sink};
    *outlet_out = &out->base;
    return WEIR_OK;
}
