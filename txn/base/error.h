/* error.h: one error, owned by the instance: what to do (status), how the process ends (exit_code),
 * and a text that says what was being done, to what, what happened, and what the user can do.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_ERROR_H
#define WR_ERROR_H

#include "engine/weir.h"
#include "txn/base/limits.h"

/* sysexits.h's codes, as the design's table has them. */
enum wr_exit {
    WR_EXIT_OK = 0,
    WR_EXIT_USAGE = 64, /* misspelt option, URI, parameter, name */
    WR_EXIT_DATA = 65, /* corrupt store, poison record */
    WR_EXIT_NO_INPUT = 66, /* missing input or job */
    WR_EXIT_UNAVAILABLE = 69, /* outside service */
    WR_EXIT_BUG = 70,
    WR_EXIT_IO = 74, /* I/O error, full disk */
    WR_EXIT_AGAIN = 75, /* store in use, overtaken, out of memory */
    WR_EXIT_PERMISSION = 77,
    WR_EXIT_CONFIG = 78, /* store of another job, renamed node, newer format, other ABI */
};

struct wr_error {
    weir_status status; /* WEIR_OK: no error */
    enum wr_exit exit_code;
    int native; /* errno or the library's code, 0: none */
    int line;
    const char *file;
    char text[WR_ERROR_TEXT_MAX];
};

/* Sets the error and returns `status`. The first error sticks until wr_error_clear: later ones
 * are consequences. `error` may not be NULL. Any thread that owns the error. */
weir_status wr_fail_at(struct wr_error *error, weir_status status, enum wr_exit exit_code,
                       int native, const char *file, int line, const char *format, ...)
    WEIR_PRINTF(7, 8);

#define wr_fail(error, status, exit_code, ...)                                                     \
    wr_fail_at(error, status, exit_code, 0, __FILE__, __LINE__, __VA_ARGS__)
#define wr_fail_native(error, status, exit_code, native, ...)                                      \
    wr_fail_at(error, status, exit_code, native, __FILE__, __LINE__, __VA_ARGS__)
/* Memory ran out: stops the run with 75; nothing is lost. */
#define wr_fail_memory(error)                                                                      \
    wr_fail(error, WEIR_FATAL, WR_EXIT_AGAIN,                                                      \
            "out of memory; free some and start again, nothing "                                   \
            "decided is lost")

/* The error of a failed system call, mapped from errno: EACCES, EPERM, EROFS: 77; ENOENT: 66;
 * ENOMEM: 75; others: 74. `doing` as in "cannot open /x/in.txt", without the cause. */
weir_status wr_fail_errno_at(struct wr_error *error, int native, const char *file, int line,
                             const char *format, ...) WEIR_PRINTF(5, 6);
#define wr_fail_errno(error, ...) wr_fail_errno_at(error, errno, __FILE__, __LINE__, __VA_ARGS__)

void wr_error_clear(struct wr_error *error);

/* Returns early with a status that is not WEIR_OK. */
#define WR_TRY(call)                                                                               \
    do {                                                                                           \
        weir_status try_status_ = (call);                                                          \
        if (try_status_ != WEIR_OK) {                                                              \
            return try_status_;                                                                    \
        }                                                                                          \
    } while (0)

#endif
