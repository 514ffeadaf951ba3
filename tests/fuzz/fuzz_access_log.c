/* fuzz_access_log.c: lines of a web server's log as the example job reads them: taken apart within
 * the line, or refused with a reason.
 *
 * Input: the line.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "examples/access_log.c"

#include "tests/fuzz/kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_bytes line = fuzz_copy(data, size);
    struct request request;
    const char *why = NULL;
    if (parse_line(line, &request, &why)) {
        const char *start = line.data, *path = request.path.data;
        fuzz_check(!why);
        fuzz_check(path >= start && request.path.size > 0);
        fuzz_check(request.path.size <= size - (size_t)(path - start));
        fuzz_check(!memchr(path, ' ', request.path.size) && !memchr(path, '?', request.path.size));
        fuzz_check(request.status >= 100 && request.status <= 599);
        fuzz_check(request.bytes >= 0);
    } else {
        fuzz_check(why && *why);
    }
    fuzz_free(line);
    return 0;
}
