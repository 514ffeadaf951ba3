/* error.c: see error.h; the assertions' last words are here too.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

static void fail_va(struct wr_error *error, weir_status status, enum wr_exit exit_code, int native,
                    const char *file, int line, const char *format, va_list args)
{
    if (error->status != WEIR_OK) {
        return;
    }
    error->status = status;
    error->exit_code = exit_code;
    error->native = native;
    error->file = file;
    error->line = line;
    vsnprintf(error->text, sizeof error->text, format, args);
}

weir_status wr_fail_at(struct wr_error *error, weir_status status, enum wr_exit exit_code,
                       int native, const char *file, int line, const char *format, ...)
{
    wr_assert(status != WEIR_OK);
    va_list args;
    va_start(args, format);
    fail_va(error, status, exit_code, native, file, line, format, args);
    va_end(args);
    return status;
}

static enum wr_exit exit_of_errno(int native)
{
    switch (native) {
    case EACCES:
    case EPERM:
    case EROFS:
        return WR_EXIT_PERMISSION;
    case ENOENT:
    case ENOTDIR:
        return WR_EXIT_NO_INPUT;
    case ENOMEM:
    case EAGAIN:
        return WR_EXIT_AGAIN;
    default:
        return WR_EXIT_IO;
    }
}

weir_status wr_fail_errno_at(struct wr_error *error, int native, const char *file, int line,
                             const char *format, ...)
{
    char doing[WR_ERROR_TEXT_MAX / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(doing, sizeof doing, format, args);
    va_end(args);
    return wr_fail_at(error, WEIR_FATAL, exit_of_errno(native), native, file, line, "%s: %s", doing,
                      strerror(native));
}

void wr_error_clear(struct wr_error *error)
{
    error->status = WEIR_OK;
    error->exit_code = WR_EXIT_OK;
    error->native = 0;
    error->text[0] = '\0';
}

void wr_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "weir: a bug: assertion `%s` failed at %s:%d\n", expression, file, line);
    abort();
}

void wr_assert_failed_pair(const char *expression, int64_t left, int64_t right, const char *file,
                           int line)
{
    fprintf(stderr, "weir: a bug: assertion `%s` failed (%" PRId64 ", %" PRId64 ") at %s:%d\n",
            expression, left, right, file, line);
    abort();
}
