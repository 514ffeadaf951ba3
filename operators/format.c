/* format.c: see weir_format in weir_ops.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "weir_ops.h"

enum { FIRST_SIZE = 160 }; /* most texts fit, and need to be made once only */

weir_bytes weir_format(weir_ctx *ctx, const char *format, ...)
{
    const weir_bytes none = {NULL, 0};
    char *text = weir_scratch(ctx, FIRST_SIZE);
    if (!text) {
        return none;
    }
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, FIRST_SIZE, format, args);
    va_end(args);
    if (size < 0) {
        weir_fail(ctx, WEIR_FATAL, "weir_format: printf cannot write `%s` with these values",
                  format);
        return none;
    }
    if (size >= FIRST_SIZE) {
        text = weir_scratch(ctx, (size_t)size + 1);
        if (!text) {
            return none;
        }
        va_start(args, format);
        (void)vsnprintf(text, (size_t)size + 1, format, args);
        va_end(args);
    }
    return (weir_bytes){text, (size_t)size};
}
