/* kit.c: see kit.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/lib/kit.h"

void kit_must(const weir_test *test, weir_status status)
{
    if (status != WEIR_OK) {
        fail_msg("%s", weir_test_error(test));
    }
}

const char *kit_query(weir_test *test, const char *sql)
{
    static _Thread_local char text[512];
    weir_bytes found = weir_test_query(test, sql);
    snprintf(text, sizeof text, "%.*s", found.data ? (int)found.size : 1,
             found.data ? (const char *)found.data : "-");
    return text;
}
