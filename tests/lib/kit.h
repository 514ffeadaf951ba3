/* kit.h: what tests ask of the test kit again and again.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_KIT_H
#define TEST_KIT_H

#include "engine/weir_test.h"

/* A failure ends the test with the kit's text. */
void kit_must(const weir_test *test, weir_status status);
/* What a query of the store gives as text, until the next call; "-" for NULL or no row. */
const char *kit_query(weir_test *test, const char *sql);

#endif
