/* inspect.h: what a store holds, as one JSON object: gathered by inspect_gather.c, shown by
 * inspect.c. Only these two name jansson.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_INSPECT_H
#define WR_INSPECT_H

#include <jansson.h>

#include "txn/store.h"

/* Reads everything of the store at `path`; *found_out is the caller's to json_decref. */
weir_status wr_inspect_gather(struct wr_env *env, const char *path, json_t **found_out,
                              struct wr_error *error);

#endif
