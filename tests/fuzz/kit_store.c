/* kit_store.c: the store itself, and all the ways to look at it. See kit_store.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/kit_store_inner.h"
#include "txn/store.h"

/* ---- The store ------------------------------------------------------------------------------- */

enum { IMAGE_MAX = 1 << 20, TABLES_MAX = 32 };

/* Where an SQLite file says how it is journalled: 1 as ever, 2 by a WAL. */
enum { FORMAT_WRITE_AT = 18, FORMAT_READ_AT = 19 };

#define OUTPUT "out.txt"

static unsigned char image[IMAGE_MAX];
static size_t image_size;
static char sent[1 << 16]; /* what the store forwarded to its file */
static size_t sent_size;
static struct fuzz_table tables[TABLES_MAX];
static unsigned table_count;

static void must(sqlite3 *db, int code)
{
    if (code != SQLITE_OK) {
        fprintf(stderr, "SQLite: %s\n", sqlite3_errmsg(db));
        fuzz_failed("the store for fuzzers can be made", __FILE__, __LINE__);
    }
}

sqlite3 *fuzz_database_open(void)
{
    sqlite3 *db = NULL;
    must(db, sqlite3_open(FUZZ_STORE, &db));
    return db;
}

void fuzz_database_close(sqlite3 *db)
{
    must(db, sqlite3_close(db));
}

void fuzz_database_do(sqlite3 *db, const char *text)
{
    must(db, sqlite3_exec(db, text, NULL, NULL, NULL));
}

sqlite3_stmt *fuzz_database_prepare(sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement = NULL;
    must(db, sqlite3_prepare_v2(db, text, -1, &statement, NULL));
    return statement;
}

static void remove_beside(void)
{
    unlink(FUZZ_STORE "-wal");
    unlink(FUZZ_STORE "-shm");
    unlink(FUZZ_STORE "-journal");
    unlink(FUZZ_STORE ".lock");
}

void fuzz_store_write(const void *data, size_t size)
{
    remove_beside();
    fuzz_write_file(FUZZ_STORE, "wb", (weir_bytes){data, size});
}

static void read_image(void)
{
    FILE *file = fopen(FUZZ_STORE, "rb");
    fuzz_check(file);
    image_size = fread(image, 1, sizeof image, file);
    fuzz_check(image_size > 0 && image_size < sizeof image && image_size % 512 == 0);
    fclose(file);
    file = fopen(OUTPUT, "rb");
    fuzz_check(file);
    sent_size = fread(sent, 1, sizeof sent, file);
    fuzz_check(sent_size < sizeof sent);
    fclose(file);
}

/* The columns by which a row is named in an UPDATE. */
static void note_table(sqlite3 *db, const char *name)
{
    char text[128];
    struct fuzz_table *table = &tables[table_count++];
    snprintf(table->name, sizeof table->name, "%s", name);
    snprintf(text, sizeof text, "SELECT name, pk FROM pragma_table_info('%s')", name);
    sqlite3_stmt *columns = fuzz_database_prepare(db, text);
    while (sqlite3_step(columns) == SQLITE_ROW && table->column_count < FUZZ_COLUMNS_MAX) {
        const char *column = (const char *)sqlite3_column_text(columns, 0);
        size_t used = strlen(table->key);
        snprintf(table->columns[table->column_count++], FUZZ_NAME_BYTES, "%s", column);
        if (sqlite3_column_int(columns, 1)) {
            snprintf(table->key + used, sizeof table->key - used, "%s\"%s\"", used ? "," : "",
                     column);
        }
    }
    sqlite3_finalize(columns);
}

static void note_tables(sqlite3 *db)
{
    sqlite3_stmt *names =
        fuzz_database_prepare(db, "SELECT name FROM sqlite_schema WHERE type = 'table'"
                                  " AND name NOT LIKE 'sqlite%' ORDER BY name");
    while (sqlite3_step(names) == SQLITE_ROW && table_count < TABLES_MAX) {
        note_table(db, (const char *)sqlite3_column_text(names, 0));
    }
    sqlite3_finalize(names);
}

/* Three more records for each of the inputs that are files. */
static void add_input(void)
{
    char *produce[] = {"far.weir", "far", "--sync", "off"};
    weir_bytes text = weir_text("one\ntwo\nthree\n");
    fuzz_write_file("lines.txt", "ab", text);
    fuzz_check(fuzz_feed(&wr_command_produce, 4, produce, text) == 0);
}

void fuzz_store_init(bool loose)
{
    add_input();
    char *arguments[] = {"-s", FUZZ_STORE, "--until-end", "--epoch-records", "9", "-q"};
    fuzz_check(fuzz_job_run(sizeof arguments / sizeof *arguments, arguments) == 0);
    fuzz_check(fuzz_store_is_sound());
    sqlite3 *db = fuzz_database_open();
    fuzz_database_do(db, "PRAGMA journal_mode=DELETE; PRAGMA page_size=512; VACUUM");
    if (loose) {
        fuzz_database_do(
            db, "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql ="
                " replace(replace(replace(sql, ') STRICT, WITHOUT', ') WITHOUT'), ') STRICT',"
                " ')'), ' NOT NULL', '') WHERE type = 'table'; PRAGMA writable_schema=RESET");
    }
    note_tables(db);
    fuzz_database_close(db);
    read_image();
    add_input();
}

weir_bytes fuzz_store_image(void)
{
    static unsigned char copy[IMAGE_MAX];
    memcpy(copy, image, image_size);
    copy[FORMAT_WRITE_AT] = copy[FORMAT_READ_AT] = 2;
    return (weir_bytes){copy, image_size};
}

void fuzz_store_restore(void)
{
    fuzz_write_file(OUTPUT, "wb", (weir_bytes){sent, sent_size}); /* the same file, by its inode */
    fuzz_store_write(image, image_size);
}

void fuzz_store_wal(void)
{
    FILE *file = fopen(FUZZ_STORE, "r+b");
    fuzz_check(file && fseek(file, FORMAT_WRITE_AT, SEEK_SET) == 0);
    fuzz_check(fwrite("\2\2", 1, 2, file) == 2 && fclose(file) == 0);
}

const struct fuzz_table *fuzz_tables(unsigned *count_out)
{
    *count_out = table_count;
    return tables;
}

/* ---- Looking --------------------------------------------------------------------------------- */

#define look(command, ...)                                                                         \
    fuzz_run(command, (int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)),                     \
             (char *[]){__VA_ARGS__})

static void check_topic(char *topic)
{
    look(&wr_command_consume, FUZZ_STORE, topic);
    look(&wr_command_consume, FUZZ_STORE, topic, "-o", "7", "-n", "3");
    fuzz_printed();
    look(&wr_command_consume, FUZZ_STORE, topic, "--format", "json");
    fuzz_check_json_lines(fuzz_printed()); /* whole ones, also when it ended in an error */
}

/* To write, as a run does before its job's own questions. */
static void check_open(void)
{
    struct wr_cli cli;
    struct wr_store *store = NULL;
    struct wr_catalog catalog;
    struct wr_arena arena;
    fuzz_cli(&cli);
    wr_arena_init(&arena, 0);
    struct wr_store_options options = {.path = FUZZ_STORE, .job = "fuzz", .sync = WR_SYNC_OFF};
    if (wr_store_open(&cli.env, &options, &store, &cli.error) != WEIR_OK ||
        wr_store_catalog(store, &arena, &catalog, &cli.error) != WEIR_OK) {
        fuzz_check_error(&cli.error);
    }
    wr_store_close(store);
    wr_arena_fini(&arena);
}

void fuzz_store_look(void)
{
    look(&wr_command_verify, FUZZ_STORE);
    look(&wr_command_topics, FUZZ_STORE);
    look(&wr_command_inspect, FUZZ_STORE);
    look(&wr_command_rejects, FUZZ_STORE);
    fuzz_printed();
    look(&wr_command_rejects, FUZZ_STORE, "--format", "json");
    fuzz_check_json_lines(fuzz_printed());
    int code = look(&wr_command_inspect, FUZZ_STORE, "--json");
    weir_bytes text = fuzz_printed();
    fuzz_check(code != 0 || fuzz_is_json(text));
    check_topic("topic");
    check_topic("all");
    check_open();
}

void fuzz_store_act(void)
{
    bool sound = fuzz_store_is_sound();
    if (look(&wr_command_backup, FUZZ_STORE, "copy.weir") == 0 && sound) {
        fuzz_check(look(&wr_command_verify, "copy.weir") == 0);
    }
    unlink("copy.weir");
    unlink("copy.weir-wal");
    unlink("copy.weir-shm");
    look(&wr_command_rejects, FUZZ_STORE, "--retry", "--id", "2-4");
    look(&wr_command_rejects, FUZZ_STORE, "--delete", "--id", "1");
    look(&wr_command_topics, FUZZ_STORE, "--create", "made", "--partitions", "2");
    look(&wr_command_topics, FUZZ_STORE, "--delete", "made");
    fuzz_printed();
}

bool fuzz_store_is_sound(void)
{
    bool sound = look(&wr_command_verify, FUZZ_STORE) == 0;
    fuzz_printed();
    return sound;
}
