/* option.c: see weir_option_i64 in weir_ops.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "operators/number.h"

enum { NUMBER_BYTES = 24 };

int64_t weir_option_i64(weir_job *job, const char *name, int64_t fallback, int64_t min, int64_t max)
{
    char *text = weir_alloc(job, NUMBER_BYTES); /* --check shows it */
    snprintf(text, NUMBER_BYTES, "%" PRId64, fallback);
    const char *given = weir_option(job, name, text);
    int64_t number = fallback;
    if (!wr_number_parse(weir_text(given), &number) || number < min || number > max) {
        weir_refuse(job, "-D %s=%s is no whole number from %" PRId64 " to %" PRId64, name, given,
                    min, max);
        return fallback;
    }
    return number;
}
