/* inspect.h: what a store holds, as one JSON object: gathered by inspect_gather.c, with what
 * brokers know by inspect_kafka.c, shown by inspect.c. Only these name jansson.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_INSPECT_H
#define WR_INSPECT_H

#include <jansson.h>

#include "txn/store.h"

/* Reads everything of the store at `path`; *found_out is the caller's to json_decref. */
weir_status wr_inspect_gather(struct wr_env *env, const char *path, json_t **found_out,
                              struct wr_error *error);

/* Adds what brokers know: where the topics of Kafka end that the job reads, and the markers of its
 * sinks; and for each whether its brokers answered. Takes two seconds at most. Fails when memory
 * runs out or a property is wrong. */
struct wr_kafka_properties;
weir_status wr_inspect_kafka(struct wr_env *env, const struct wr_kafka_properties *properties,
                             json_t *found, struct wr_error *error);

#endif
