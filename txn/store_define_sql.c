/* store_define_sql.c: the statements of sql: sinks at a start: setup is run, the others are
 * prepared, once. See store_inner.h.
 *
 * Whatever is wrong with them is found here, before anything is read: a statement that SQLite does
 * not understand, a parameter that there is not, and what the guard (store_guard.c) refuses, each
 * with its line.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "txn/base/assert.h"
#include "txn/base/nearest.h"
#include "txn/sql_text.h"
#include "txn/store_inner.h"

enum { SHOWN = 60 }; /* bytes of a statement in an error's text */

/* ---- What is said ---------------------------------------------------------------------------- */

/* The statement's first line. */
static int shown(const struct wr_told_statement *told)
{
    size_t size = 0;
    while (size < told->size && size < SHOWN && told->text[size] != '\n') {
        size++;
    }
    while (size > 0 && ((unsigned char)told->text[size] & 0xc0) == 0x80) { /* within a character */
        size--;
    }
    while (size > 0 && strchr("; \t\r", told->text[size - 1])) {
        size--;
    }
    return (int)size;
}

weir_status wr_told_fail(const struct wr_told_statement *told, enum wr_exit exit_code,
                         const char *what, struct wr_error *error)
{
    return wr_fail(error, exit_code == WR_EXIT_USAGE ? WEIR_MISUSE : WEIR_FATAL, exit_code,
                   "sink `%s`: %.300s, line %d, section `%s`: `%.*s`: %.400s", told->at.sink,
                   told->at.file, told->at.line, wr_sql_section_name(told->section), shown(told),
                   told->text, what);
}

weir_status wr_told_fail_rolled_back(const struct wr_told_statement *told, struct wr_error *error)
{
    return wr_told_fail(told, WR_EXIT_CONFIG,
                        "it rolled back the whole transaction, which is weir's, so nothing of it "
                        "was decided; write OR ABORT or RAISE(ABORT, ...) instead of ROLLBACK, in "
                        "its triggers and tables too, and start again",
                        error);
}

bool wr_told_is_to_blame(int code)
{
    switch (code & 0xff) {
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_AUTH:
    case SQLITE_SCHEMA:
    case SQLITE_RANGE:
        return true;
    default:
        return false; /* the disk, memory, another program */
    }
}

/* ---- Parameters ------------------------------------------------------------------------------ */

static const char *const value_names[] = {[WR_TOLD_KEY] = "key",
                                          [WR_TOLD_VALUE] = "value",
                                          [WR_TOLD_TIME] = "time_ms",
                                          [WR_TOLD_SOURCE] = "source",
                                          [WR_TOLD_PARTITION] = "partition",
                                          [WR_TOLD_OFFSET] = "offset",
                                          [WR_TOLD_HEADERS] = "headers",
                                          [WR_TOLD_RECORDS] = "records",
                                          [WR_TOLD_COUNT] = "count",
                                          NULL};

static weir_status fail_parameter(const struct wr_told_statement *told, const char *name,
                                  const char *const *known, struct wr_error *error)
{
    char what[300], *at = what, *end = what + sizeof what;
    const char *nearest = name ? wr_nearest(name, known) : NULL;
    if (name) {
        at += snprintf(at, (size_t)(end - at), "there is no parameter :%.64s", name);
    } else {
        at += snprintf(at, (size_t)(end - at), "a parameter without a name");
    }
    if (nearest) {
        snprintf(at, (size_t)(end - at), "; did you mean :%s?", nearest);
    } else if (!*known) {
        snprintf(at, (size_t)(end - at), "; `setup` has none");
    } else {
        at += snprintf(at, (size_t)(end - at), "; there are");
        for (; *known; known++) {
            at += snprintf(at, (size_t)(end - at), " :%s", *known);
        }
    }
    return wr_told_fail(told, WR_EXIT_USAGE, what, error);
}

static weir_status find_parameters(struct wr_store *store, struct wr_told_statement *told,
                                   struct wr_error *error)
{
    static const char *const none[] = {NULL};
    const char *records[WR_TOLD_RECORDS + 1];
    memcpy(records, value_names, sizeof records);
    records[WR_TOLD_RECORDS] = NULL;
    const char *const *known = told->section == WR_SQL_SETUP    ? none
                               : told->section == WR_SQL_RECORD ? records
                                                                : value_names + WR_TOLD_RECORDS;
    size_t first = told->section == WR_SQL_BATCH ? WR_TOLD_RECORDS : 0;
    told->parameters = sqlite3_bind_parameter_count(told->statement);
    enum wr_told_value *values =
        wr_arena_alloc(&store->arena, (size_t)told->parameters * sizeof *values);
    if (!values) {
        return wr_fail_memory(error);
    }
    for (int i = 0; i < told->parameters; i++) {
        const char *name = sqlite3_bind_parameter_name(told->statement, i + 1);
        size_t found = 0;
        name = name && name[0] != '?' ? name + 1 : NULL;
        while (name && known[found] && strcmp(known[found], name) != 0) {
            found++;
        }
        if (!name || !known[found]) {
            return fail_parameter(told, name, known, error);
        }
        values[i] = (enum wr_told_value)(first + found);
    }
    told->values = values;
    return WEIR_OK;
}

/* ---- Preparing ------------------------------------------------------------------------------- */

static enum wr_guard_who who_of(enum wr_sql_section section)
{
    static const enum wr_guard_who whos[] = {WR_GUARD_SETUP, WR_GUARD_RECORD, WR_GUARD_BATCH};
    return whos[section];
}

static int lines_in(const char *from, const char *to)
{
    int lines = 0;
    for (; from < to; from++) {
        lines += *from == '\n';
    }
    return lines;
}

static bool is_word(const char *at, const char *word)
{
    size_t size = strlen(word);
    char next = at[size];
    return strncasecmp(at, word, size) == 0 && !(next == '_' || (next >= '0' && next <= '9') ||
                                                 ((next | 0x20) >= 'a' && (next | 0x20) <= 'z'));
}

/* Why it was not prepared. */
static weir_status fail_prepare(struct wr_store *store, struct wr_told_statement *told, int code,
                                bool again, struct wr_error *error)
{
    char what[400];
    if (!wr_told_is_to_blame(code)) {
        return wr_sql_fail(&store->sql, code, error);
    }
    if (store->guard.denied) {
        return wr_told_fail(told, again ? WR_EXIT_CONFIG : WR_EXIT_USAGE, store->guard.why, error);
    }
    int offset = sqlite3_error_offset(store->sql.db);
    told->at.line += offset > 0 && !again ? lines_in(told->text, told->text + offset) : 0;
    const char *message = sqlite3_errmsg(store->sql.db), *advice = "";
    if (again) {
        advice = "; the tables are not as they were at the start: another program has changed "
                 "them; mend that, and start again";
    } else if (told->section == WR_SQL_SETUP && strstr(message, "already exists")) {
        advice = "; setup runs at each start: write IF NOT EXISTS";
    }
    snprintf(what, sizeof what, "%.200s%s", message, advice);
    return wr_told_fail(told, again ? WR_EXIT_CONFIG : WR_EXIT_USAGE, what, error);
}

weir_status wr_told_prepare(struct wr_store *store, struct wr_told_statement *told,
                            const char **tail_out, struct wr_error *error)
{
    struct wr_guard *guard = &store->guard;
    const char *tail = NULL;
    *guard = (struct wr_guard){.who = who_of(told->section)};
    int code = sqlite3_prepare_v3(store->sql.db, told->text, tail_out ? -1 : (int)told->size,
                                  SQLITE_PREPARE_PERSISTENT, &told->statement, &tail);
    guard->who = WR_GUARD_WEIR;
    if (code == SQLITE_OK && tail_out && is_word(told->text, "VACUUM")) { /* not asked about */
        told->size = (size_t)(tail - told->text);
        return wr_told_fail(told, WR_EXIT_USAGE,
                            "it is VACUUM, which cannot be within a transaction; leave it out",
                            error);
    }
    if (code != SQLITE_OK) {
        told->size = tail_out ? strlen(told->text) : told->size;
        return fail_prepare(store, told, code, !tail_out, error);
    }
    if (tail_out) {
        *tail_out = tail;
        told->size = (size_t)(tail - told->text);
    }
    return WEIR_OK;
}

int wr_told_run(struct wr_store *store, const struct wr_told_statement *told)
{
    int code = SQLITE_ROW;
    store->guard.who = who_of(told->section);
    atomic_store_explicit(&store->telling, told, memory_order_relaxed);
    while (code == SQLITE_ROW) { /* what it returns nobody asks for */
        code = sqlite3_step(told->statement);
    }
    atomic_store_explicit(&store->telling, NULL, memory_order_relaxed);
    store->guard.who = WR_GUARD_WEIR;
    return code;
}

const struct wr_telling *wr_store_telling(const struct wr_store *store)
{
    const struct wr_told_statement *told =
        atomic_load_explicit(&store->telling, memory_order_relaxed);
    return told ? &told->at : NULL;
}

/* ---- Sections -------------------------------------------------------------------------------- */

static weir_status run_setup(struct wr_store *store, struct wr_told_statement *told,
                             struct wr_error *error)
{
    char what[400];
    int code = wr_told_run(store, told);
    if (code == SQLITE_DONE) {
        return WEIR_OK;
    }
    if (!wr_told_is_to_blame(code)) {
        return wr_sql_fail(&store->sql, code, error);
    }
    if (sqlite3_get_autocommit(store->sql.db)) {
        return wr_told_fail_rolled_back(told, error);
    }
    if (store->guard.denied) {
        return wr_told_fail(told, WR_EXIT_USAGE, store->guard.why, error);
    }
    const char *message = sqlite3_errmsg(store->sql.db);
    snprintf(what, sizeof what, "%.200s; mend it: it runs at each start", message);
    return wr_told_fail(told, WR_EXIT_CONFIG, what, error);
}

/* Each statement of a section: those of setup are run at once, since the next ones rest on them. */
static weir_status take_section(struct wr_store *store, const struct wr_sink *sink,
                                struct wr_told_sink *to, enum wr_sql_section section,
                                struct wr_error *error)
{
    const char *text = sink->sql->section[section], *at = text ? wr_sql_skip(text) : "";
    struct wr_told_statement **end = &to->section[section];
    while (*at) {
        struct wr_told_statement *told = wr_arena_zalloc(&store->arena, sizeof *told);
        if (!told) {
            return wr_fail_memory(error);
        }
        *told = (struct wr_told_statement){
            .at = {sink->name, sink->sql->path, sink->sql->line[section] + lines_in(text, at)},
            .section = section,
            .text = at};
        WR_TRY(wr_told_prepare(store, told, &at, error));
        at = wr_sql_skip(at);
        *end = told; /* from here on it is finalized with the others */
        end = &told->next;
        WR_TRY(find_parameters(store, told, error));
        if (section == WR_SQL_SETUP) {
            WR_TRY(run_setup(store, told, error));
            sqlite3_reset(told->statement);
        }
    }
    return WEIR_OK;
}

void wr_told_forget(struct wr_told_sink *told, enum wr_sql_section section)
{
    for (struct wr_told_statement *at = told->section[section]; at; at = at->next) {
        sqlite3_finalize(at->statement);
    }
    told->section[section] = NULL;
}

static weir_status take_all(struct wr_store *store, enum wr_sql_section first,
                            enum wr_sql_section last, struct wr_error *error)
{
    for (size_t i = 0; i < store->sink_count; i++) {
        const struct wr_sink *sink = &store->sinks[i];
        for (int j = (int)first; sink->kind == WR_SINK_SQL && j <= (int)last; j++) {
            WR_TRY(take_section(store, sink, &store->told[i], (enum wr_sql_section)j, error));
        }
    }
    return WEIR_OK;
}

weir_status wr_store_define_sql(struct wr_store *store, struct wr_error *error)
{
    bool any = false;
    for (size_t i = 0; i < store->sink_count; i++) {
        any = any || store->sinks[i].kind == WR_SINK_SQL;
    }
    if (!any) {
        return WEIR_OK;
    }
    store->told = wr_arena_zalloc(&store->arena, store->sink_count * sizeof *store->told);
    if (!store->told) {
        return wr_fail_memory(error);
    }
    WR_TRY(wr_guard_begin(store, error));
    WR_TRY(take_all(store, WR_SQL_SETUP, WR_SQL_SETUP, error)); /* of all, then what uses it */
    for (size_t i = 0; i < store->sink_count; i++) {
        wr_told_forget(&store->told[i], WR_SQL_SETUP);
    }
    return take_all(store, WR_SQL_RECORD, WR_SQL_BATCH, error);
}
