/* endpoint.h: the URIs of sources and sinks, parsed and checked.
 *
 *   SCHEME:PATH[?NAME=VALUE[&NAME=VALUE | ,NAME=VALUE]...]
 *   kafka://HOST:PORT[,HOST:PORT]/TOPIC[?...]
 *
 * The query starts at the first `?`; %XX decodes in paths; an unknown scheme or parameter is an
 * error (64) that names the nearest right one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_ENDPOINT_H
#define WR_ENDPOINT_H

#include "txn/base/arena.h"
#include "txn/base/nearest.h"
#include "txn/epoch.h"

enum wr_scheme {
    WR_SCHEME_FILE,
    WR_SCHEME_GEN,
    WR_SCHEME_LOG,
    WR_SCHEME_TABLE,
    WR_SCHEME_STDOUT,
    WR_SCHEME_NULL,
    WR_SCHEME_KAFKA,
    WR_SCHEME_SQL,
};

struct wr_parameter {
    const char *name, *value;
};

struct wr_endpoint {
    enum wr_scheme scheme;
    const char *uri; /* as given */
    const char *path; /* decoded: path, topic, table, kind of gen; "" when there is none */
    const char *brokers; /* kafka: HOST:PORT[,HOST:PORT...], as given; else NULL */
    const char *pattern; /* file: sources whose path has `*` or `[`: for glob(3); else NULL */
    struct wr_parameter *parameters;
    size_t parameter_count;
};

/* Parses and checks scheme, parameter names and the values' form for a source (or a sink). In the
 * arena. */
weir_status wr_endpoint_parse(const char *uri, bool is_source, struct wr_arena *arena,
                              struct wr_endpoint *endpoint_out, struct wr_error *error);
/* The value of a parameter, NULL when it is not given. */
const char *wr_endpoint_parameter(const struct wr_endpoint *endpoint, const char *name);
/* A number within [min, max], or fallback; checked by wr_endpoint_parse already for the known ones,
 * sizes take k, M, G. */
weir_status wr_endpoint_number(const struct wr_endpoint *endpoint, const char *name, int64_t min,
                               int64_t max, int64_t fallback, int64_t *value_out,
                               struct wr_error *error);

/* Fills in kind, topic_name, table, types, partitions and retention of a sink from its endpoint;
 * what an sql: sink's file holds is left to wr_sql_text_read. */
weir_status wr_endpoint_sink(const struct wr_endpoint *endpoint, struct wr_arena *arena,
                             struct wr_sink *sink, struct wr_error *error);

/* ---- kafka: (endpoint_kafka.c) -------------------------------------------------------------- */

/* Where a source begins that has no position: ?start=earliest|latest|OFFSET|@EPOCH_MS|TIME, TIME
 * being YYYY-MM-DD[THH:MM[:SS[.mmm]]Z] in UTC. */
enum wr_begin_from { WR_BEGIN_EARLIEST, WR_BEGIN_LATEST, WR_BEGIN_OFFSET, WR_BEGIN_TIME };
struct wr_begin {
    enum wr_begin_from from;
    int64_t value; /* offset, or milliseconds since 1970 */
};
struct wr_begin wr_endpoint_begin(const struct wr_endpoint *endpoint);
/* The smallest partition from `from` on that the source reads (?partitions=0-3+7), -1: none.
 * Without the parameter it reads all there are. */
int32_t wr_endpoint_next_partition(const struct wr_endpoint *endpoint, int32_t from);

/* Into which partition a sink's records go: ?partition=key|source|N. */
enum wr_place_by { WR_PLACE_KEY, WR_PLACE_SOURCE, WR_PLACE_NUMBER };
struct wr_place {
    enum wr_place_by by; /* KEY: murmur2 as Kafka's own client, absent keys as SOURCE */
    int32_t partition; /* NUMBER */
};
struct wr_place wr_endpoint_place(const struct wr_endpoint *endpoint);

/* For endpoint.c and tests: whether the text has the form; *_out may be NULL. */
bool wr_parse_begin(const char *text, struct wr_begin *begin_out);
bool wr_parse_partitions(const char *text);
bool wr_parse_place(const char *text, struct wr_place *place_out);
/* Takes //BROKERS/TOPIC apart, in place; 64 with what is wrong. */
weir_status wr_endpoint_split_address(char *address, struct wr_endpoint *endpoint,
                                      struct wr_error *error);
/* Whether two lists of brokers have one in common. */
bool wr_brokers_overlap(const char *a, const char *b);

/* ---- What users type (text.c) --------------------------------------------------------------- */

/* A path made absolute with the working directory, `.` and `..` resolved in the text. In the arena;
 * NULL: no memory. */
char *wr_path_absolute(const char *path, struct wr_arena *arena);

/* 1 to 64 of [A-Za-z0-9_.-]. */
bool wr_name_is_valid(const char *name);

/* Numbers as options and parameters have them: decimal, in range; sizes with k, M or G (powers of
 * 1024). False otherwise. */
bool wr_parse_number(const char *text, int64_t min, int64_t max, int64_t *value_out);
bool wr_parse_size(const char *text, int64_t min, int64_t max, int64_t *value_out);

#endif
