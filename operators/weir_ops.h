/* weir_ops.h: operators by the names that Kafka Streams and Flink give them, one file each, built
 * on weir.h alone; each is a weir_through node, exactly-once because state and timers are.
 *
 * `name` is the node's, unique in the job. What `arg` points to comes from weir_alloc. Thread: as
 * in weir.h, building on the opener's, the functions on the operator thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_OPS_H
#define WEIR_OPS_H

#include <weir.h>

WEIR_BEGIN_C

/* Whether a record goes on; it must depend on the record and arg alone. */
typedef bool (*weir_predicate_fn)(const weir_record *in, void *arg);
/* Keeps the records for which the predicate holds, unchanged. Keeps no state. */
WEIR_EXPORT weir_stream *weir_filter(weir_stream *in, const char *name, weir_predicate_fn holds,
                                     void *arg);

/* One record for each record. `ctx` gives scratch memory, and weir_reject for what cannot be
 * mapped; the result of a call that rejected is not used. */
typedef weir_record (*weir_map_fn)(weir_ctx *ctx, const weir_record *in, void *arg);
/* Replaces each record by what fn returns; a new key is allowed. Keeps no state. */
WEIR_EXPORT weir_stream *weir_map(weir_stream *in, const char *name, weir_map_fn fn, void *arg);

WEIR_END_C

#endif
