/* store_guard.c: what the statements of sql: sinks may do, by SQLite's authorizer.
 *
 * It is there for the connection's whole life once there are such sinks, and lets weir's own
 * statements pass: `who` says whose is being prepared or run. (Put in before each use and taken out
 * behind it, it would make SQLite prepare all statements anew each time, weir's included; and a
 * statement that SQLite prepares anew while it runs, because the schema has changed, must be asked
 * about too.) What triggers and views do is asked about when the statement that uses them is
 * prepared.
 *
 * What they may: read and write tables of the user's own; in setup, make, change and drop such
 * tables, with indexes, views and triggers. Not: weir's tables; tables of the job's table: sinks,
 * which have their rows at the end of an epoch only, so that what a record finds there would depend
 * on where epochs end (a batch may read them: it does anyway); what ends or nests transactions,
 * reaches other files, or changes settings; and what does not last.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "txn/store_inner.h"

static int deny(struct wr_guard *guard, const char *format, ...) WEIR_PRINTF(2, 3);
static int deny(struct wr_guard *guard, const char *format, ...)
{
    if (!guard->denied) {
        va_list args;
        va_start(args, format);
        vsnprintf(guard->why, sizeof guard->why, format, args);
        va_end(args);
        guard->denied = true;
    }
    return SQLITE_DENY;
}

/* ---- Whose a table is ------------------------------------------------------------------------ */

static bool begins(const char *name, const char *with)
{
    return strncasecmp(name, with, strlen(with)) == 0;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++) {
        if (strcasecmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_weirs(const char *name)
{
    return !begins(name, "sqlite_") && wr_store_name_reserved(name);
}

/* The table: sink of the job that has this table; NULL: none. */
static const struct wr_sink *sink_of(const struct wr_store *store, const char *name)
{
    for (size_t i = 0; i < store->sink_count; i++) {
        const struct wr_sink *sink = &store->sinks[i];
        if (sink->kind == WR_SINK_TABLE && strcasecmp(sink->table, name) == 0) {
            return sink;
        }
    }
    return NULL;
}

/* The schema's own table: DDL writes to it, and SQLite lets nothing else (it is set defensive). */
static const char *const schema_names[] = {"sqlite_master", "sqlite_schema", "sqlite_temp_master",
                                           "sqlite_temp_schema", NULL};

static int may_read(struct wr_store *store, const char *name)
{
    struct wr_guard *guard = &store->guard;
    const struct wr_sink *sink = sink_of(store, name);
    if (is_weirs(name)) {
        return deny(guard, "it reads `%.64s`, which is weir's own; use tables of your own", name);
    }
    if (sink && guard->who == WR_GUARD_RECORD) {
        return deny(guard,
                    "it reads `%.64s`, the table of sink `%.64s`, which is written once an epoch, "
                    "so that what is found would depend on where epochs end; keep what you need in "
                    "a table of these statements, or join the streams",
                    name, sink->name);
    }
    if (begins(name, "pragma_")) {
        return deny(guard, "it uses a PRAGMA (`%.64s`); leave it out", name);
    }
    if (begins(name, "sqlite_") && !is_one_of(name, schema_names) &&
        strcasecmp(name, "sqlite_sequence") != 0) {
        return deny(guard, "it reads `%.64s`, which is SQLite's own; use tables of your own", name);
    }
    return SQLITE_OK;
}

/* DDL. */
static int in_setup(struct wr_guard *guard)
{
    return guard->who == WR_GUARD_SETUP
               ? SQLITE_OK
               : deny(guard, "it makes, changes or drops a table, index, view or trigger; that "
                             "belongs into the section `setup`");
}

/* Also its indexes and triggers. */
static int may_write(struct wr_store *store, const char *name)
{
    struct wr_guard *guard = &store->guard;
    const struct wr_sink *sink = sink_of(store, name);
    if (is_weirs(name)) {
        return deny(guard, "it changes `%.64s`, which is weir's own; use tables of your own", name);
    }
    if (sink) {
        return deny(guard,
                    "it changes `%.64s`, the table of sink `%.64s`; use a table of another name",
                    name, sink->name);
    }
    if (is_one_of(name, schema_names)) {
        return in_setup(guard);
    }
    if (begins(name, "sqlite_") && !guard->changes_table) {
        return deny(guard, "it changes `%.64s`, which is SQLite's own; leave it out", name);
    }
    return SQLITE_OK;
}

/* ---- Making, changing, dropping -------------------------------------------------------------- */

/* `name` is that of an index or trigger; SQLite makes some indexes for itself, and gives nobody
 * else such a name. */
static int may_add(struct wr_store *store, const char *name, const char *table)
{
    if (is_weirs(name)) {
        return deny(&store->guard, "`%.64s` is a name of weir's own; choose another one", name);
    }
    return may_write(store, table);
}

static int may_make(struct wr_store *store, const char *name)
{
    const struct wr_sink *sink = sink_of(store, name);
    if (is_weirs(name)) {
        return deny(&store->guard, "`%.64s` is a name of weir's own; choose another one", name);
    }
    if (sink) {
        return deny(&store->guard,
                    "`%.64s` is the table of sink `%.64s`; choose another name for one of them",
                    name, sink->name);
    }
    return SQLITE_OK;
}

static int may_change(struct wr_store *store, const char *name)
{
    int code = may_write(store, name);
    store->guard.changes_table = code == SQLITE_OK;
    return code;
}

static int ask_schema(struct wr_store *store, int action, const char *one, const char *two)
{
    if (in_setup(&store->guard) != SQLITE_OK) {
        return SQLITE_DENY;
    }
    switch (action) {
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_VIEW:
        return may_make(store, one);
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_TRIGGER:
        return may_add(store, one, two);
    case SQLITE_REINDEX: /* filling a new index is asked for as this */
        return may_add(store, one, "");
    case SQLITE_ALTER_TABLE:
        return may_change(store, two);
    default:
        return may_change(store, one);
    }
}

/* ---- The authorizer -------------------------------------------------------------------------- */

static int refuse_kind(struct wr_guard *guard, int action, const char *one)
{
    switch (action) {
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
        return deny(guard, "it begins or ends a transaction; it runs within that of its epoch, so "
                           "leave it out");
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        return deny(guard, "it uses another database file; what is to be exactly once must be in "
                           "the store");
    case SQLITE_PRAGMA:
        return deny(guard, "it uses PRAGMA %.64s; the store's settings are weir's, so leave it out",
                    one ? one : "");
    case SQLITE_ANALYZE:
        return deny(guard, "it is ANALYZE, for maintenance; leave it out");
    case SQLITE_CREATE_VTABLE:
    case SQLITE_DROP_VTABLE:
        return deny(guard, "it makes or drops a virtual table; use an ordinary one");
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_CREATE_TEMP_VIEW:
    case SQLITE_DROP_TEMP_INDEX:
    case SQLITE_DROP_TEMP_TABLE:
    case SQLITE_DROP_TEMP_TRIGGER:
    case SQLITE_DROP_TEMP_VIEW:
        return deny(guard, "what is TEMP is gone after a crash; leave TEMP out");
    default:
        return deny(guard, "it does what SQLite calls action %d, which is not allowed", action);
    }
}

static int ask(struct wr_store *store, int action, const char *one, const char *two)
{
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return strcasecmp(two, "load_extension") == 0
                   ? deny(&store->guard, "it loads an extension; leave it out")
                   : SQLITE_OK;
    case SQLITE_READ:
        return may_read(store, one);
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        return may_write(store, one);
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_VIEW:
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_VIEW:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_TRIGGER:
    case SQLITE_REINDEX:
    case SQLITE_ALTER_TABLE:
        return ask_schema(store, action, one, two);
    default:
        return refuse_kind(&store->guard, action, one);
    }
}

static int authorize(void *data, int action, const char *one, const char *two, const char *schema,
                     const char *inner)
{
    struct wr_store *store = data;
    (void)schema; /* there is no other: TEMP and ATTACH are refused */
    (void)inner;
    return store->guard.who == WR_GUARD_WEIR ? SQLITE_OK
                                             : ask(store, action, one ? one : "", two ? two : "");
}

weir_status wr_guard_begin(struct wr_store *store, struct wr_error *error)
{
    int code = sqlite3_set_authorizer(store->sql.db, authorize, store);
    return code == SQLITE_OK ? WEIR_OK : wr_sql_fail(&store->sql, code, error);
}
