/* sql_text.c: see sql_text.h. What the statements say is SQLite's to judge, when a run starts.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/sql_text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "txn/base/bytes.h"
#include "txn/base/error.h"
#include "txn/base/nearest.h"

static const char *const names[WR_SQL_SECTIONS + 1] = {[WR_SQL_SETUP] = "setup",
                                                       [WR_SQL_RECORD] = "record",
                                                       [WR_SQL_BATCH] = "batch",
                                                       [WR_SQL_SECTIONS] = NULL};

/* What is being cut. */
struct file {
    const char *sink, *path;
    struct wr_error *error;
};

#define refuse(file, ...) wr_fail((file)->error, WEIR_MISUSE, WR_EXIT_USAGE, __VA_ARGS__)

const char *wr_sql_section_name(enum wr_sql_section section)
{
    return names[section];
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Some editors put it before a text: where files were put together, in the middle of one. */
static bool is_mark(const char *at)
{
    return strncmp(at, "\xef\xbb\xbf", 3) == 0;
}

const char *wr_sql_skip(const char *at)
{
    for (;;) {
        if (is_space(*at) || *at == ';') {
            at++;
        } else if (is_mark(at)) {
            at += 3;
        } else if (at[0] == '-' && at[1] == '-') {
            at += strcspn(at, "\n");
        } else if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");
            at = end ? end + 2 : at + strlen(at); /* SQLite takes the end for the comment's too */
        } else {
            return at;
        }
    }
}

/* What follows `-- name:` in a line that begins so; NULL: it does not. */
static char *name_in(char *line)
{
    line += is_mark(line) ? 3 : 0;
    if (line[0] != '-' || line[1] != '-') {
        return NULL;
    }
    line += 2;
    line += strspn(line, " \t");
    if (strncmp(line, "name:", 5) != 0) {
        return NULL;
    }
    line += 5;
    return line + strspn(line, " \t");
}

static void trim(char *text)
{
    size_t size = strlen(text);
    while (size > 0 && is_space(text[size - 1])) {
        text[--size] = '\0';
    }
}

static weir_status fail_name(const struct file *file, int line, const char *name)
{
    const char *nearest = wr_nearest(name, names);
    return refuse(file, "sink `%s`: %.400s, line %d: no section is called \"%.64s\"; %s%s%s",
                  file->sink, file->path, line, name,
                  nearest ? "did you mean " : "there are setup, record, ",
                  nearest ? nearest : "batch", nearest ? "?" : "");
}

static weir_status begin_section(const struct file *file, int line, const char *name, char *rest,
                                 struct wr_sql_text *text)
{
    int section = 0;
    while (section < WR_SQL_SECTIONS && strcmp(names[section], name) != 0) {
        section++;
    }
    if (section == WR_SQL_SECTIONS) {
        return fail_name(file, line, name);
    }
    if (text->section[section]) {
        return refuse(file,
                      "sink `%s`: %.400s, line %d: a second section `%s`; put the statements "
                      "into one",
                      file->sink, file->path, line, name);
    }
    text->section[section] = rest;
    text->line[section] = line + 1;
    return WEIR_OK;
}

static weir_status check_sections(const struct file *file, const struct wr_sql_text *text)
{
    for (int i = 0; i < WR_SQL_SECTIONS; i++) {
        if (i != WR_SQL_SETUP && text->section[i] && !*wr_sql_skip(text->section[i])) {
            return refuse(file,
                          "sink `%s`: %.400s, line %d: section `%s` has no statement; write one, "
                          "or leave the section out",
                          file->sink, file->path, text->line[i] - 1, names[i]);
        }
    }
    if (!text->section[WR_SQL_RECORD] && !text->section[WR_SQL_BATCH]) {
        return refuse(file,
                      "sink `%s`: %.400s has neither a section `record` nor `batch`; begin one by "
                      "a line \"-- name: record\"",
                      file->sink, file->path);
    }
    return WEIR_OK;
}

static weir_status check_before(const struct file *file, const char *before)
{
    const char *at = wr_sql_skip(before);
    int line = 1;
    if (!*at) {
        return WEIR_OK;
    }
    for (const char *c = before; c < at; c++) {
        line += *c == '\n';
    }
    return refuse(file,
                  "sink `%s`: %.400s, line %d: a statement before the first section; begin one by "
                  "a line \"-- name: setup\" (or record, or batch)",
                  file->sink, file->path, line);
}

/* Each section's text ends where the line of the next one begins. */
static weir_status cut_lines(const struct file *file, char *at, struct wr_sql_text *text)
{
    int line = 1;
    for (char *next; at; at = next, line++) {
        char *name = name_in(at), *end = strchr(at, '\n');
        next = end ? end + 1 : NULL;
        if (!name) {
            continue;
        }
        if (end) {
            *end = '\0';
        }
        *at = '\0'; /* of the section before */
        trim(name);
        char *rest = end ? end + 1 : name + strlen(name);
        WR_TRY(begin_section(file, line, name, rest, text));
    }
    return WEIR_OK;
}

weir_status wr_sql_text_cut(const char *sink, const char *path, char *text, size_t size,
                            struct wr_sql_text *text_out, struct wr_error *error)
{
    struct file file = {sink, path, error};
    *text_out = (struct wr_sql_text){.path = path};
    if (!wr_bytes_is_text(wr_bytes(text, size))) {
        return refuse(&file,
                      "sink `%s`: %.400s is no text in UTF-8 (or holds a byte 0); save it as that",
                      sink, path);
    }
    WR_TRY(cut_lines(&file, text, text_out));
    WR_TRY(check_before(&file, text));
    return check_sections(&file, text_out);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static weir_status read_open(const struct file *file, int fd, struct wr_arena *arena,
                             char **text_out, size_t *size_out)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return wr_fail_errno(file->error, "sink `%s`: cannot look at %.400s", file->sink,
                             file->path);
    }
    if (!S_ISREG(info.st_mode)) {
        return refuse(file, "sink `%s`: %.400s is no file; name one with SQL in it", file->sink,
                      file->path);
    }
    if (info.st_size > WR_SQL_FILE_BYTES_MAX) {
        return refuse(file, "sink `%s`: %.400s has %lld bytes; the limit is %d", file->sink,
                      file->path, (long long)info.st_size, WR_SQL_FILE_BYTES_MAX);
    }
    size_t room = (size_t)info.st_size, size = 0;
    char *text = wr_arena_alloc(arena, room + 1);
    if (!text) {
        return wr_fail_memory(file->error);
    }
    while (size < room) {
        ssize_t got = read(fd, text + size, room - size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return wr_fail_errno(file->error, "sink `%s`: cannot read %.400s", file->sink,
                                 file->path);
        }
        if (got == 0) { /* it became shorter */
            break;
        }
        size += (size_t)got;
    }
    text[size] = '\0';
    *text_out = text;
    *size_out = size;
    return WEIR_OK;
}

weir_status wr_sql_text_read(struct wr_arena *arena, const char *sink, const char *path,
                             const struct wr_sql_text **text_out, struct wr_error *error)
{
    struct file file = {sink, path, error};
    struct wr_sql_text *text = wr_arena_alloc(arena, sizeof *text);
    char *bytes = NULL;
    size_t size = 0;
    *text_out = text;
    if (!text) {
        return wr_fail_memory(error);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not be waited for */
    if (fd < 0) {
        return wr_fail_errno(error, "sink `%s`: cannot open %.400s", sink, path);
    }
    weir_status status = read_open(&file, fd, arena, &bytes, &size);
    close(fd);
    return status == WEIR_OK ? wr_sql_text_cut(sink, path, bytes, size, text, error) : status;
}
