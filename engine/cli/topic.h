/* topic.h: what the subcommands that look into a store share: opening it to read, and finding a
 * topic by name.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_TOPIC_H
#define WR_TOPIC_H

#include "txn/store.h"

/* The topic with this name; 66 when there is none, with the nearest name there is. In the arena. */
weir_status wr_topic_find(struct wr_reader *reader, const char *store, const char *name,
                          struct wr_arena *arena, struct wr_topic *topic_out,
                          struct wr_error *error);

#endif
