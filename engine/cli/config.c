/* config.c: options from a file (-c FILE), so that a job's settings can be kept beside it. The
 * same options by their long names, one a line:
 *
 *     # where it reads and what it makes
 *     input    lines=file:/var/log/access.log
 *     output   counts=table:counts
 *     epoch-ms = 20
 *     store    = ${STATE_DIRECTORY}/access.weir
 *     until-end
 *
 * A `#` is a comment only as the first character of a line that is not blank: anywhere else it may
 * be part of a path or a value. $${ is a plain ${. Not libinih: it cuts lines at 200 bytes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/arena.h"
#include "txn/base/bytes.h"

struct config {
    const char *path, *command;
    int line;
    const struct wr_option *table;
    struct wr_arena *arena;
    struct wr_error *error;
};

/* Puts file and line before the error's text. */
static weir_status fail_here(struct config *config)
{
    return wr_error_before(config->error, "%s:%d: ", config->path, config->line);
}

#define fail_line(config, ...)                                                                     \
    ((void)wr_fail((config)->error, WEIR_MISUSE, WR_EXIT_USAGE, __VA_ARGS__), fail_here(config))

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool put(struct wr_buffer *buffer, const char *text, size_t size)
{
    unsigned char *at = wr_buffer_extend(buffer, size);
    if (at && size) {
        memcpy(at, text, size);
    }
    return at != NULL;
}

/* ${NAME} at `at`: appends the variable's value and moves `at` behind it. */
static weir_status expand_one(struct config *config, const char **at, struct wr_buffer *buffer)
{
    const char *end = strchr(*at, '}');
    if (!end || end == *at + 2) {
        return fail_line(config, "\"${\" without a name and \"}\"; write $${ for a plain ${");
    }
    char name[256];
    size_t size = (size_t)(end - *at) - 2;
    if (size >= sizeof name) {
        return fail_line(config, "a variable's name of %zu bytes; the limit is 255", size);
    }
    memcpy(name, *at + 2, size);
    name[size] = '\0';
    const char *value = getenv(name);
    if (!value) {
        return fail_line(
            config, "the environment has no variable %s; set it, or write the value itself", name);
    }
    if (!put(buffer, value, strlen(value))) {
        return wr_fail_memory(config->error);
    }
    *at = end + 1;
    return WEIR_OK;
}

/* The value with its variables filled in, in the arena. */
static weir_status expand(struct config *config, const char *text, const char **value_out)
{
    struct wr_buffer buffer = {NULL, 0, 0};
    weir_status status = WEIR_OK;
    while (*text && status == WEIR_OK) {
        if (strncmp(text, "$${", 3) == 0) {
            status = put(&buffer, "${", 2) ? WEIR_OK : wr_fail_memory(config->error);
            text += 3;
        } else if (strncmp(text, "${", 2) == 0) {
            status = expand_one(config, &text, &buffer);
        } else {
            status = put(&buffer, text, 1) ? WEIR_OK : wr_fail_memory(config->error);
            text++;
        }
    }
    if (status == WEIR_OK) {
        status = put(&buffer, "", 1) ? WEIR_OK : wr_fail_memory(config->error);
    }
    if (status == WEIR_OK) {
        *value_out = wr_arena_string(config->arena, (const char *)buffer.data);
        status = *value_out ? WEIR_OK : wr_fail_memory(config->error);
    }
    wr_buffer_fini(&buffer);
    return status;
}

/* The value of an option that takes none: nothing, `true`, or `false` for not given. */
static weir_status read_flag(struct config *config, const char *name, const char *value,
                             bool *given_out)
{
    *given_out = strcmp(value, "false") != 0;
    if (*value && *given_out && strcmp(value, "true") != 0) {
        return fail_line(config, "%s is \"%s\"; leave the value out, or write true or false", name,
                         value);
    }
    return WEIR_OK;
}

/* One line, trimmed and not empty. It is changed: the name gets its NUL. */
static weir_status read_line(struct config *config, char *line, wr_option_fn each, void *context)
{
    char *end = line;
    while (*end && !is_blank(*end) && *end != '=') {
        end++;
    }
    char *value = end;
    while (is_blank(*value)) {
        value++;
    }
    if (*value == '=') {
        value++;
        while (is_blank(*value)) {
            value++;
        }
    }
    *end = '\0';
    if (strncmp(line, "--", 2) == 0) {
        return fail_line(config, "option %s; leave the dashes out in a file", line);
    }
    if (strcmp(line, "config") == 0 || strcmp(line, "help") == 0 || strcmp(line, "version") == 0) {
        return fail_line(config, "%s stands on the command line only", line);
    }
    const struct wr_option *option =
        wr_options_find(config->command, config->table, line, "", config->error);
    if (!option) {
        return fail_here(config);
    }
    const char *expanded = NULL;
    WR_TRY(expand(config, value, &expanded));
    bool given = true;
    if (!option->takes) {
        WR_TRY(read_flag(config, option->name, expanded, &given));
        expanded = NULL;
    } else if (!*value) {
        return fail_line(config, "option %s needs a value, %s", option->name, option->takes);
    }
    if (!given) {
        return WEIR_OK;
    }
    weir_status status = each(context, option, expanded, config->error);
    return status == WEIR_OK ? WEIR_OK : fail_here(config);
}

static weir_status read_lines(struct config *config, FILE *file, wr_option_fn each, void *context)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size = 0;
    weir_status status = WEIR_OK;
    while (status == WEIR_OK && (size = getline(&line, &capacity, file)) >= 0) {
        config->line++;
        if (memchr(line, '\0', (size_t)size)) {
            status = fail_line(config, "a NUL byte; this is no file of options");
            break;
        }
        while (size > 0 && is_blank(line[size - 1])) {
            line[--size] = '\0';
        }
        char *start = line;
        while (is_blank(*start)) {
            start++;
        }
        if (*start && *start != '#') {
            status = read_line(config, start, each, context);
        }
    }
    if (status == WEIR_OK && ferror(file)) {
        status = wr_fail_errno(config->error, "cannot read options from %s", config->path);
    } else if (status == WEIR_OK && !feof(file)) {
        status = wr_fail_memory(config->error);
    }
    free(line);
    return status;
}

weir_status wr_config_read(const char *path, const char *command, const struct wr_option *table,
                           struct wr_arena *arena, wr_option_fn each, void *context,
                           struct wr_error *error)
{
    struct config config = {path, command, 0, table, arena, error};
    FILE *file = fopen(path, "re");
    if (!file) {
        return wr_fail_errno(error, "cannot open %s for options (-c)", path);
    }
    weir_status status = read_lines(&config, file, each, context);
    fclose(file);
    return status;
}
