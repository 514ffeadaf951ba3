/* kafka.h: what a user says about Kafka clients on the command line: -X [NAME:]PROPERTY=VALUE, any
 * property of librdkafka but those that the protocol owns. Names no header of librdkafka, so that
 * whoever only carries properties around need not have it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_KAFKA_H
#define WR_KAFKA_H

#include "txn/base/env.h"

struct wr_kafka_property {
    char *endpoint; /* the source or sink that it is for; NULL: every one */
    char *name, *value; /* the value is never printed or stored */
};

struct wr_kafka_properties {
    struct wr_kafka_property *items; /* a later one wins over an earlier one */
    size_t count, capacity;
};

/* Takes "[NAME:]PROPERTY=VALUE"; a value @FILE is the content of that file without its last
 * newline. 64: no such property (says the nearest one), or a value that it does not take; 78: a
 * property that the protocol owns (says why); 66: the file cannot be read. The text of an error
 * never has the value in it. */
weir_status wr_kafka_properties_add(struct wr_kafka_properties *properties, const char *text,
                                    struct wr_error *error);
void wr_kafka_properties_fini(struct wr_kafka_properties *properties);

#endif
