/* kit_store_inner.h: what the files of kit_store.h share: the image of the store, its tables, and
 * SQLite without ceremony.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_FUZZ_KIT_STORE_INNER_H
#define TEST_FUZZ_KIT_STORE_INNER_H

#include <sqlite3.h>

#include "tests/fuzz/kit_store.h"

enum { FUZZ_COLUMNS_MAX = 16, FUZZ_NAME_BYTES = 32 };

struct fuzz_table {
    char name[FUZZ_NAME_BYTES], columns[FUZZ_COLUMNS_MAX][FUZZ_NAME_BYTES];
    char key[4 * FUZZ_NAME_BYTES]; /* the columns that name a row, with commas between */
    unsigned column_count;
};

/* The tables of the store, by name. */
const struct fuzz_table *fuzz_tables(unsigned *count_out);
/* Puts the store there as it was made, to be opened without a WAL; fuzz_store_wal says that it has
 * one, as a store's file does. */
void fuzz_store_restore(void);
void fuzz_store_wal(void);

sqlite3 *fuzz_database_open(void);
void fuzz_database_close(sqlite3 *db);
void fuzz_database_do(sqlite3 *db, const char *text);
sqlite3_stmt *fuzz_database_prepare(sqlite3 *db, const char *text);

#endif
