/* fuzz_sql.c: the file of an sql: sink, cut into sections.
 *
 * Input: the file.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/kit.h"

#include <stdlib.h>
#include <string.h>

#include "txn/sql_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *file = malloc(size + 1);
    fuzz_check(file != NULL);
    memcpy(file, data, size);
    file[size] = '\0';
    struct wr_sql_text text;
    struct wr_error error = {.status = WEIR_OK};
    if (wr_sql_text_cut("s", "f.sql", file, size, &text, &error) != WEIR_OK) {
        fuzz_check_error(&error);
        free(file);
        return 0;
    }
    fuzz_check(text.section[WR_SQL_RECORD] || text.section[WR_SQL_BATCH]);
    fuzz_check(!memchr(data, 0, size));
    size_t all = 0;
    for (int i = 0; i < WR_SQL_SECTIONS; i++) {
        const char *section = text.section[i];
        if (!section) {
            continue;
        }
        fuzz_check(section > file && section + strlen(section) <= file + size);
        fuzz_check(i == WR_SQL_SETUP || *wr_sql_skip(section)); /* a statement */
        fuzz_check(strncmp(section, "-- name:", 8) != 0 && !strstr(section, "\n-- name:"));
        fuzz_check(text.line[i] > 1);
        all += strlen(section);
        int line = 1;
        for (const uint8_t *at = data; at < data + (section - file); at++) {
            line += *at == '\n';
        }
        fuzz_check(line == text.line[i] || !*section); /* a name in the last line has none */
    }
    fuzz_check(all < size);
    free(file);
    return 0;
}
