/* delivery.c: the order in which a write set's two halves reach the store. No other file tests the
 * mode.
 *
 *   exactly-once   one transaction: effects and positions. Invariants 1, 2 and 10 as epoch.h states
 * them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/delivery.h"

#include <string.h>

#include "txn/base/assert.h"

static const char *const names[] = {[WR_EXACTLY_ONCE] = "exactly-once"};

weir_status wr_delivery_decide(enum wr_delivery delivery, struct wr_store *store,
                               struct wr_epoch *epoch, const struct wr_marker *markers,
                               size_t marker_count, struct wr_error *error)
{
    wr_assert_that(delivery, ==, WR_EXACTLY_ONCE);
    wr_assert(!epoch || epoch->phase == WR_EPOCH_SEALED);
    return wr_store_apply(store, epoch, markers, marker_count, error);
}

bool wr_delivery_parse(const char *text, enum wr_delivery *delivery_out)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], text) == 0) {
            *delivery_out = (enum wr_delivery)i;
            return true;
        }
    }
    return false;
}

const char *wr_delivery_name(enum wr_delivery delivery)
{
    return names[delivery];
}
