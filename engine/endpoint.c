/* endpoint.c: see endpoint.h. One table says which schemes there are for a source and for a sink,
 * what their parameters are and which values those take; all errors of a URI come from here, so
 * that `weir run --check` finds them without opening anything. Long because each way in which a URI
 * can be wrong has a text of its own, made from that one table.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/endpoint.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "txn/base/assert.h"
#include "txn/base/error.h"
#include "txn/store.h"

enum form {
    FORM_NUMBER,
    FORM_SIZE,
    FORM_BOOL,
    FORM_TYPE,
    FORM_MISSING,
    FORM_COMPRESSION,
    FORM_PATH,
    FORM_START,
    FORM_PARTITIONS,
    FORM_PLACE,
    FORM_NAME,
};

struct rule {
    const char *name;
    enum form form;
    int64_t min, max;
};

enum path_form { PATH_NONE, PATH_FILE, PATH_KIND, PATH_TABLE, PATH_TOPIC, PATH_ADDRESS };

enum { RULES_MAX = 7, URI_SHOWN = 200 };

/* What one scheme takes on one side; gen: has a shape for each of its kinds. */
struct shape {
    const char *scheme, *kind;
    enum wr_scheme id;
    bool is_source;
    enum path_form path;
    struct rule rules[RULES_MAX]; /* ends with a name of NULL */
};

#define GEN_RULES(size_min, size_max, keys_max)                                                    \
    {                                                                                              \
        {"records", FORM_NUMBER, 0, INT64_MAX}, {"keys", FORM_NUMBER, 1, keys_max},                \
            {"size", FORM_SIZE, size_min, size_max}, {"seed", FORM_NUMBER, 0, INT64_MAX},          \
            {"partitions", FORM_NUMBER, 1, WR_PARTITIONS_MAX},                                     \
        {                                                                                          \
            "rate", FORM_NUMBER, 1, 1000000000                                                     \
        }                                                                                          \
    }

static const struct shape shapes[] = {
    {"file",
     NULL,
     WR_SCHEME_FILE,
     true,
     PATH_FILE,
     {{"follow", FORM_BOOL, 0, 0},
      {"compression", FORM_COMPRESSION, 0, 0},
      {"missing", FORM_MISSING, 0, 0}}},
    /* The value holds the record's number in 20 digits; the key has up to 20. */
    {"gen", "keyed", WR_SCHEME_GEN, true, PATH_KIND,
     GEN_RULES(20, WR_RECORD_BYTES_MAX - 20, INT64_MAX)},
    {"gen", "lines", WR_SCHEME_GEN, true, PATH_KIND,
     GEN_RULES(1, WR_RECORD_BYTES_MAX, INT64_C(4294967296))},
    {"gen",
     "nexmark",
     WR_SCHEME_GEN,
     true,
     PATH_KIND,
     {{"records", FORM_NUMBER, 0, INT64_MAX},
      {"seed", FORM_NUMBER, 0, INT64_MAX},
      {"partitions", FORM_NUMBER, 1, WR_PARTITIONS_MAX},
      {"rate", FORM_NUMBER, 1, 1000000000}}},
    {"log",
     NULL,
     WR_SCHEME_LOG,
     true,
     PATH_TOPIC,
     {{"store", FORM_PATH, 0, 0}, {"missing", FORM_MISSING, 0, 0}}},
    {"kafka",
     NULL,
     WR_SCHEME_KAFKA,
     true,
     PATH_ADDRESS,
     {{"start", FORM_START, 0, 0},
      {"missing", FORM_MISSING, 0, 0},
      {"partitions", FORM_PARTITIONS, 0, 0}}},
    {"file", NULL, WR_SCHEME_FILE, false, PATH_FILE, {{"append", FORM_BOOL, 0, 0}}},
    {"table",
     NULL,
     WR_SCHEME_TABLE,
     false,
     PATH_TABLE,
     {{"key", FORM_TYPE, 0, 0}, {"value", FORM_TYPE, 0, 0}}},
    {"log",
     NULL,
     WR_SCHEME_LOG,
     false,
     PATH_TOPIC,
     {{"partitions", FORM_NUMBER, 1, WR_PARTITIONS_MAX},
      {"retain_ms", FORM_NUMBER, 0, INT64_MAX},
      {"retain_bytes", FORM_SIZE, 0, INT64_MAX}}},
    {"kafka",
     NULL,
     WR_SCHEME_KAFKA,
     false,
     PATH_ADDRESS,
     {{"partition", FORM_PLACE, 0, 0},
      {"id_prefix", FORM_NAME, 0, 0},
      {"backlog_bytes", FORM_SIZE, 1 << 20, INT64_MAX}}},
    {"sql", NULL, WR_SCHEME_SQL, false, PATH_FILE, {{NULL, FORM_NUMBER, 0, 0}}},
    {"stdout", NULL, WR_SCHEME_STDOUT, false, PATH_NONE, {{NULL, FORM_NUMBER, 0, 0}}},
    {"null", NULL, WR_SCHEME_NULL, false, PATH_NONE, {{NULL, FORM_NUMBER, 0, 0}}},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static const char *const types[] = {"text", "integer", "real", "blob", NULL};
static const char *const switches[] = {"true", "false", NULL};
static const char *const missings[] = {"fail", "earliest", "latest", NULL};
static const char *const compressions[] = {"none", "gzip", NULL};

/* "; did you mean X?" or "; known: X, Y". */
static const char *advice(const char *word, const char *const *candidates, char *text, size_t size)
{
    const char *nearest = wr_nearest(word, candidates);
    if (nearest) {
        snprintf(text, size, "; did you mean %s?", nearest);
        return text;
    }
    size_t used = (size_t)snprintf(text, size, "; known: ");
    for (size_t i = 0; candidates[i] && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", candidates[i]);
    }
    return text;
}

#define usage(error, ...) wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, __VA_ARGS__)

/* ---- Scheme and path ------------------------------------------------------------------------- */

/* A URI without a scheme is mostly the name of a file, or "-". */
static weir_status fail_no_scheme(const char *uri, bool is_source, struct wr_error *error)
{
    if (strcmp(uri, "-") == 0) {
        return is_source
                   ? usage(error, "no source is named \"-\": a pipe cannot be read again after "
                                  "a crash; write its lines into a file, file:PATH")
                   : usage(error, "no sink is named \"-\"; did you mean stdout:?");
    }
    if (!is_source && !strpbrk(uri, "./?")) {
        return usage(error,
                     "sink \"%.*s\" has no scheme; did you mean table:%.64s, log:%.64s or "
                     "file:%.64s?",
                     URI_SHOWN, uri, uri, uri, uri);
    }
    return usage(error, "%s \"%.*s\" has no scheme; did you mean file:%.*s?",
                 is_source ? "source" : "sink", URI_SHOWN, uri, URI_SHOWN, uri);
}

static weir_status fail_unknown_scheme(const char *scheme, const char *uri, bool is_source,
                                       struct wr_error *error)
{
    const char *side = is_source ? "source" : "sink";
    const char *known[SHAPES + 1];
    size_t count = 0;
    for (size_t i = 0; i < SHAPES; i++) {
        if (strcmp(shapes[i].scheme, scheme) == 0 && shapes[i].is_source != is_source) {
            return usage(error, "\"%.*s\" is a %s and cannot be a %s", URI_SHOWN, uri,
                         is_source ? "sink" : "source", side);
        }
        if (shapes[i].is_source == is_source &&
            (count == 0 || strcmp(known[count - 1], shapes[i].scheme) != 0)) {
            known[count++] = shapes[i].scheme;
        }
    }
    known[count] = NULL;
    char text[128];
    return usage(error, "%s \"%.*s\" has the unknown scheme \"%.64s\"%s", side, URI_SHOWN, uri,
                 scheme, advice(scheme, known, text, sizeof text));
}

static const struct shape *find_shape(const char *scheme, bool is_source, const char *kind)
{
    for (size_t i = 0; i < SHAPES; i++) {
        if (strcmp(shapes[i].scheme, scheme) == 0 && shapes[i].is_source == is_source &&
            (!kind || !shapes[i].kind || strcmp(shapes[i].kind, kind) == 0)) {
            return &shapes[i];
        }
    }
    return NULL;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes %XX in place; false when a sequence is broken or gives NUL. */
static bool decode(char *path)
{
    char *to = path;
    for (const char *at = path; *at; at++) {
        if (*at != '%') {
            *to++ = *at;
            continue;
        }
        int high = hex(at[1]);
        int low = high < 0 ? -1 : hex(at[2]);
        if (low < 0 || high + low == 0) {
            return false;
        }
        *to++ = (char)(high * 16 + low);
        at += 2;
    }
    *to = '\0';
    return true;
}

static weir_status fail_percent(const char *uri, struct wr_error *error)
{
    return usage(error,
                 "\"%.*s\": a %% in a path is followed by two hexadecimal digits other than 00; a "
                 "%% itself is written %%25",
                 URI_SHOWN, uri);
}

/* A path with `*` or `[`, as glob(3) takes it: what is special there and was written as %XX, and
 * any backslash, is escaped, so that it is part of a name. */
static char *pattern_of(const char *path, struct wr_arena *arena)
{
    char *pattern = wr_arena_alloc(arena, 2 * strlen(path) + 1), *to = pattern;
    for (const char *at = path; pattern && *at; at++) {
        int high = *at == '%' ? hex(at[1]) : -1;
        int low = high < 0 ? -1 : hex(at[2]);
        char c = low < 0 ? *at : (char)(high * 16 + low);
        if (c == '\\' || (low >= 0 && strchr("*?[]", c))) {
            *to++ = '\\';
        }
        *to++ = c;
        at += low < 0 ? 0 : 2;
    }
    if (pattern) {
        *to = '\0';
    }
    return pattern;
}

static bool is_identifier(const char *name)
{
    if (!*name || isdigit((unsigned char)*name) || strlen(name) > WR_NAME_BYTES_MAX) {
        return false;
    }
    for (; *name; name++) {
        if (!(*name & 0x80) && (isalnum((unsigned char)*name) || *name == '_')) {
            continue;
        }
        return false;
    }
    return true;
}

static weir_status check_kind(const char *uri, const char *kind, struct wr_error *error)
{
    const char *known[SHAPES + 1];
    size_t count = 0;
    for (size_t i = 0; i < SHAPES; i++) {
        if (shapes[i].kind) {
            known[count++] = shapes[i].kind;
        }
        if (shapes[i].kind && strcmp(shapes[i].kind, kind) == 0) {
            return WEIR_OK;
        }
    }
    known[count] = NULL;
    char text[128];
    return usage(error, "source \"%.*s\": gen: has no kind \"%.64s\"%s", URI_SHOWN, uri, kind,
                 advice(kind, known, text, sizeof text));
}

static weir_status check_path(const struct shape *shape, const char *uri, const char *path,
                              struct wr_error *error)
{
    switch (shape->path) {
    case PATH_NONE:
        if (*path) {
            return usage(error, "sink \"%.*s\": %s: takes no path; write %s:", URI_SHOWN, uri,
                         shape->scheme, shape->scheme);
        }
        return WEIR_OK;
    case PATH_FILE:
        if (!*path) {
            return usage(error, "\"%.*s\" names no file; write %s:PATH", URI_SHOWN, uri,
                         shape->scheme);
        }
        return WEIR_OK;
    case PATH_KIND:
        return check_kind(uri, path, error);
    case PATH_TABLE:
        if (!is_identifier(path)) {
            return usage(error,
                         "sink \"%.*s\": \"%.64s\" is no name for a table; use 1 to %d letters, "
                         "digits and _, not a digit first",
                         URI_SHOWN, uri, path, WR_NAME_BYTES_MAX);
        }
        if (wr_store_name_reserved(path)) {
            return usage(error, "sink \"%.*s\": table %s is weir's own; choose another name",
                         URI_SHOWN, uri, path);
        }
        return WEIR_OK;
    case PATH_TOPIC:
        if (!wr_name_is_valid(path)) {
            return usage(error,
                         "%s \"%.*s\": \"%.64s\" is no name for a topic; use 1 to %d of "
                         "A-Z a-z 0-9 _ . -",
                         shape->is_source ? "source" : "sink", URI_SHOWN, uri, path,
                         WR_NAME_BYTES_MAX);
        }
        return WEIR_OK;
    case PATH_ADDRESS: /* taken apart later */
        return WEIR_OK;
    }
    return WEIR_OK;
}

/* ---- Parameters ------------------------------------------------------------------------------ */

static weir_status check_word(const char *uri, const struct wr_parameter *parameter,
                              const char *const *words, struct wr_error *error)
{
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(words[i], parameter->value) == 0) {
            return WEIR_OK;
        }
    }
    char text[128];
    return usage(error, "\"%.*s\": %s cannot be \"%.64s\"%s", URI_SHOWN, uri, parameter->name,
                 parameter->value, advice(parameter->value, words, text, sizeof text));
}

/* A value with a form of its own. */
static weir_status check_form(const char *uri, const struct wr_parameter *parameter, bool right,
                              const char *form, struct wr_error *error)
{
    if (right) {
        return WEIR_OK;
    }
    return usage(error, "\"%.*s\": %s cannot be \"%.64s\"; it is %s", URI_SHOWN, uri,
                 parameter->name, parameter->value, form);
}

static weir_status check_value(const char *uri, const struct wr_parameter *parameter,
                               const struct rule *rule, struct wr_error *error)
{
    int64_t number;
    switch (rule->form) {
    case FORM_BOOL:
        return check_word(uri, parameter, switches, error);
    case FORM_TYPE:
        return check_word(uri, parameter, types, error);
    case FORM_MISSING:
        return check_word(uri, parameter, missings, error);
    case FORM_COMPRESSION:
        return check_word(uri, parameter, compressions, error);
    case FORM_PATH:
        if (*parameter->value) {
            return WEIR_OK;
        }
        return usage(error, "\"%.*s\": %s names no file", URI_SHOWN, uri, parameter->name);
    case FORM_START:
        return check_form(uri, parameter, wr_parse_begin(parameter->value, NULL),
                          "earliest, latest, an offset, a time as in 2026-11-22T00:00:00Z, or "
                          "@MILLISECONDS since 1970",
                          error);
    case FORM_PARTITIONS:
        return check_form(uri, parameter, wr_parse_partitions(parameter->value),
                          "numbers and ranges with + between them, as in 0-3+7", error);
    case FORM_PLACE:
        return check_form(uri, parameter, wr_parse_place(parameter->value, NULL),
                          "key, source, or the number of a partition", error);
    case FORM_NAME:
        return check_form(uri, parameter, wr_name_is_valid(parameter->value),
                          "1 to 64 of A-Z a-z 0-9 _ . -", error);
    case FORM_NUMBER:
    case FORM_SIZE:
        if (rule->form == FORM_SIZE
                ? wr_parse_size(parameter->value, rule->min, rule->max, &number)
                : wr_parse_number(parameter->value, rule->min, rule->max, &number)) {
            return WEIR_OK;
        }
        return usage(error,
                     "\"%.*s\": %s must be a number from %" PRId64 " to %" PRId64 "%s, not "
                     "\"%.64s\"",
                     URI_SHOWN, uri, parameter->name, rule->min, rule->max,
                     rule->form == FORM_SIZE ? " (k, M, G may follow)" : "", parameter->value);
    }
    return WEIR_OK;
}

static weir_status check_parameter(const struct shape *shape, const struct wr_endpoint *endpoint,
                                   const struct wr_parameter *parameter, struct wr_error *error)
{
    const char *known[RULES_MAX + 1];
    size_t count = 0;
    for (; count < RULES_MAX && shape->rules[count].name; count++) {
        known[count] = shape->rules[count].name;
        if (strcmp(known[count], parameter->name) == 0) {
            return check_value(endpoint->uri, parameter, &shape->rules[count], error);
        }
    }
    known[count] = NULL;
    char text[128];
    return usage(error, "\"%.*s\": %s:%s %ss have no parameter \"%.64s\"%s", URI_SHOWN,
                 endpoint->uri, shape->scheme, shape->kind ? shape->kind : "",
                 shape->is_source ? "source" : "sink", parameter->name,
                 count ? advice(parameter->name, known, text, sizeof text)
                       : " and take none (a `?` in a path is written %3F)");
}

/* Splits `query` in place. */
static weir_status parse_query(const struct shape *shape, char *query, struct wr_arena *arena,
                               struct wr_endpoint *endpoint, struct wr_error *error)
{
    size_t parts = 1;
    for (const char *at = query; *at; at++) {
        parts += *at == '&' || *at == ',';
    }
    if (parts > RULES_MAX) { /* more than there are: some are unknown or given twice */
        parts = RULES_MAX;
    }
    endpoint->parameters = wr_arena_alloc(arena, parts * sizeof *endpoint->parameters);
    if (!endpoint->parameters) {
        return wr_fail_memory(error);
    }
    for (char *next = query; next;) {
        char *name = next;
        next = strpbrk(name, "&,");
        if (next) {
            *next++ = '\0';
        }
        char *value = strchr(name, '=');
        if (!value || value == name) {
            return usage(error,
                         "\"%.*s\": \"%.64s\" is no parameter; they are NAME=VALUE with & or , "
                         "between them (a `?` in a path is written %%3F)",
                         URI_SHOWN, endpoint->uri, name);
        }
        *value++ = '\0';
        struct wr_parameter parameter = {name, value};
        if (strcmp(name, "store") == 0 && !decode(value)) {
            return fail_percent(endpoint->uri, error);
        }
        WR_TRY(check_parameter(shape, endpoint, &parameter, error));
        if (wr_endpoint_parameter(endpoint, name)) {
            return usage(error, "\"%.*s\": %s is given twice", URI_SHOWN, endpoint->uri, name);
        }
        wr_assert_that(endpoint->parameter_count, <, parts);
        endpoint->parameters[endpoint->parameter_count++] = parameter;
    }
    return WEIR_OK;
}

/* The parameters, each of them and together. */
static weir_status check_query(const struct shape *shape, char *query, struct wr_arena *arena,
                               struct wr_endpoint *endpoint, struct wr_error *error)
{
    WR_TRY(parse_query(shape, query, arena, endpoint, error));
    const char *compression = wr_endpoint_parameter(endpoint, "compression");
    const char *follow = wr_endpoint_parameter(endpoint, "follow");
    if (compression && follow && strcmp(compression, "gzip") == 0 && strcmp(follow, "true") == 0) {
        return usage(error,
                     "\"%.*s\": a compressed file cannot be followed, since nothing is appended to "
                     "it; leave out follow=true, and run again when there are new files",
                     URI_SHOWN, endpoint->uri);
    }
    return WEIR_OK;
}

/* ---- Public ---------------------------------------------------------------------------------- */

weir_status wr_endpoint_parse(const char *uri, bool is_source, struct wr_arena *arena,
                              struct wr_endpoint *endpoint_out, struct wr_error *error)
{
    size_t length = strnlen(uri, WR_URI_BYTES_MAX);
    if (length >= WR_URI_BYTES_MAX) {
        return usage(error, "\"%.64s...\" is longer than %d bytes, the limit of a URI", uri,
                     WR_URI_BYTES_MAX - 1);
    }
    if (length == 0) {
        return usage(error, "an empty URI; write %s",
                     is_source ? "file:PATH or gen:KIND" : "table:NAME, log:TOPIC or file:PATH");
    }
    size_t scheme_length = 0;
    while (isalnum((unsigned char)uri[scheme_length]) && !(uri[scheme_length] & 0x80)) {
        scheme_length++;
    }
    if (scheme_length == 0 || uri[scheme_length] != ':') {
        return fail_no_scheme(uri, is_source, error);
    }
    char *scheme = wr_arena_string(arena, uri);
    char *path = wr_arena_string(arena, uri + scheme_length + 1);
    const char *own = wr_arena_string(arena, uri);
    if (!scheme || !path || !own) {
        return wr_fail_memory(error);
    }
    scheme[scheme_length] = '\0';
    const struct shape *shape = find_shape(scheme, is_source, NULL);
    if (!shape) {
        return fail_unknown_scheme(scheme, uri, is_source, error);
    }
    char *query = strchr(path, '?');
    if (query) {
        *query++ = '\0';
    }
    *endpoint_out = (struct wr_endpoint){.scheme = shape->id, .uri = own, .path = path};
    if (shape->path == PATH_FILE && is_source && strpbrk(path, "*[")) {
        endpoint_out->pattern = pattern_of(path, arena);
        if (!endpoint_out->pattern) {
            return wr_fail_memory(error);
        }
    }
    if (!decode(path)) {
        return fail_percent(uri, error);
    }
    WR_TRY(check_path(shape, uri, path, error));
    shape = find_shape(scheme, is_source, path);
    if (query) {
        WR_TRY(check_query(shape, query, arena, endpoint_out, error));
    }
    if (shape->path == PATH_ADDRESS) {
        WR_TRY(wr_endpoint_split_address(path, endpoint_out, error));
    }
    if (is_source && shape->id == WR_SCHEME_LOG && !wr_endpoint_parameter(endpoint_out, "store")) {
        return usage(error,
                     "source \"%.*s\" does not say whose topic it is; write log:%.64s?store=FILE, "
                     "the store of the job that fills it",
                     URI_SHOWN, uri, path);
    }
    return WEIR_OK;
}

const char *wr_endpoint_parameter(const struct wr_endpoint *endpoint, const char *name)
{
    for (size_t i = 0; i < endpoint->parameter_count; i++) {
        if (strcmp(endpoint->parameters[i].name, name) == 0) {
            return endpoint->parameters[i].value;
        }
    }
    return NULL;
}

/* A name has the same form wherever it is a parameter. */
static bool is_size(const char *name)
{
    return strcmp(name, "size") == 0 || strcmp(name, "retain_bytes") == 0 ||
           strcmp(name, "backlog_bytes") == 0;
}

weir_status wr_endpoint_number(const struct wr_endpoint *endpoint, const char *name, int64_t min,
                               int64_t max, int64_t fallback, int64_t *value_out,
                               struct wr_error *error)
{
    const char *text = wr_endpoint_parameter(endpoint, name);
    if (!text) {
        *value_out = fallback;
        return WEIR_OK;
    }
    struct rule rule = {name, is_size(name) ? FORM_SIZE : FORM_NUMBER, min, max};
    WR_TRY(check_value(endpoint->uri, &(struct wr_parameter){name, text}, &rule, error));
    bool parsed = rule.form == FORM_SIZE ? wr_parse_size(text, min, max, value_out)
                                         : wr_parse_number(text, min, max, value_out);
    wr_assert(parsed);
    return WEIR_OK;
}
