/* options.c: reads command lines: long and short options, values, operands, in any order; says what
 * was nearly right. No abbreviations: `--until` is refused, or a later --until-noon would change
 * what it means.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/endpoint.h"

enum { CANDIDATES_MAX = 64, SIZE_TEXT = 24 };

/* ---- Finding --------------------------------------------------------------------------------- */

/* The name that `name` abbreviates, or the nearest by spelling; NULL: neither. */
static const char *nearest_name(const struct wr_option *table, const char *name)
{
    const char *candidates[CANDIDATES_MAX];
    size_t count = 0;
    size_t size = strlen(name);
    for (const struct wr_option *option = table; option->name; option++) {
        if (size >= 2 && strncmp(option->name, name, size) == 0) {
            return option->name;
        }
        if (count + 1 < CANDIDATES_MAX) {
            candidates[count++] = option->name;
        }
    }
    candidates[count] = NULL;
    return wr_nearest(name, candidates);
}

const struct wr_option *wr_options_find(const char *command, const struct wr_option *table,
                                        const char *name, const char *dashes,
                                        struct wr_error *error)
{
    for (const struct wr_option *option = table; option->name; option++) {
        if (strcmp(option->name, name) == 0) {
            return option;
        }
    }
    const char *near = nearest_name(table, name);
    if (near) {
        wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "unknown option %s%s; did you mean %s%s?",
                dashes, name, dashes, near);
    } else {
        wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                "unknown option %s%s; see %s --help for those there are", dashes, name, command);
    }
    return NULL;
}

static const struct wr_option *find_letter(const struct wr_option *table, char letter)
{
    for (const struct wr_option *option = table; option->name; option++) {
        if (option->letter && option->letter == letter) {
            return option;
        }
    }
    return NULL;
}

/* ---- Walking --------------------------------------------------------------------------------- */

struct walk {
    const char *command;
    const struct wr_option *table;
    int argc;
    char **argv;
    int at;
    wr_option_fn each;
    void *context;
    struct wr_error *error;
};

/* The value that an option takes from the next argument. */
static weir_status take_next(struct walk *walk, const char *shown, const struct wr_option *option,
                             const char **value_out)
{
    if (walk->at >= walk->argc) {
        return wr_fail(walk->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "option %s needs a value, %s; see %s --help", shown, option->takes,
                       walk->command);
    }
    *value_out = walk->argv[walk->at++];
    return WEIR_OK;
}

/* --name, --name=value, --name value. */
static weir_status walk_long(struct walk *walk, const char *argument)
{
    char name[64];
    const char *equals = strchr(argument + 2, '=');
    size_t size = equals ? (size_t)(equals - argument) - 2 : strlen(argument + 2);
    if (size >= sizeof name) {
        size = sizeof name - 1; /* longer than any there is */
    }
    memcpy(name, argument + 2, size);
    name[size] = '\0';
    const struct wr_option *option =
        wr_options_find(walk->command, walk->table, name, "--", walk->error);
    if (!option) {
        return WEIR_MISUSE;
    }
    const char *value = NULL;
    if (option->takes && equals) {
        value = equals + 1;
    } else if (option->takes) {
        WR_TRY(take_next(walk, argument, option, &value));
    } else if (equals) {
        return wr_fail(walk->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "option --%s takes no value; leave out \"%s\"", name, equals);
    }
    return walk->each(walk->context, option, value, walk->error);
}

/* -v, -vq, -n 5, -n5. */
static weir_status walk_short(struct walk *walk, const char *argument)
{
    for (const char *at = argument + 1; *at; at++) {
        const struct wr_option *option = find_letter(walk->table, *at);
        char shown[3] = {'-', *at, '\0'};
        if (!option) {
            const char *near = at == argument + 1 ? nearest_name(walk->table, argument + 1) : NULL;
            if (near && at[1]) {
                return wr_fail(walk->error, WEIR_MISUSE, WR_EXIT_USAGE,
                               "unknown option %s; did you mean --%s?", argument, near);
            }
            return wr_fail(walk->error, WEIR_MISUSE, WR_EXIT_USAGE,
                           "unknown option %s; see %s --help for those there are", shown,
                           walk->command);
        }
        const char *value = NULL;
        if (option->takes && at[1]) {
            return walk->each(walk->context, option, at + 1, walk->error);
        }
        if (option->takes) {
            WR_TRY(take_next(walk, shown, option, &value));
        }
        WR_TRY(walk->each(walk->context, option, value, walk->error));
    }
    return WEIR_OK;
}

weir_status wr_options_parse(const char *command, const struct wr_option *table, int argc,
                             char **argv, wr_option_fn each, void *context, struct wr_error *error)
{
    struct walk walk = {command, table, argc, argv, 0, each, context, error};
    bool operands_only = false;
    while (walk.at < argc) {
        const char *argument = argv[walk.at++];
        if (operands_only || argument[0] != '-' || argument[1] == '\0') {
            WR_TRY(each(context, NULL, argument, error));
        } else if (strcmp(argument, "--") == 0) {
            operands_only = true;
        } else if (argument[1] == '-') {
            WR_TRY(walk_long(&walk, argument));
        } else {
            WR_TRY(walk_short(&walk, argument));
        }
    }
    return WEIR_OK;
}

static weir_status note_help(void *context, const struct wr_option *option, const char *value,
                             struct wr_error *error)
{
    (void)value, (void)error;
    if (option && strcmp(option->name, "help") == 0) {
        *(bool *)context = true;
    }
    return WEIR_OK;
}

bool wr_options_ask_help(const struct wr_option *table, int argc, char **argv)
{
    bool asked = false;
    struct wr_error ignored = {.status = WEIR_OK};
    wr_options_parse("", table, argc, argv, note_help, &asked, &ignored);
    return asked;
}

/* ---- Values ---------------------------------------------------------------------------------- */

weir_status wr_option_number(const char *name, const char *value, int64_t min, int64_t max,
                             int64_t *number_out, struct wr_error *error)
{
    if (!wr_parse_number(value, min, max, number_out)) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s is \"%s\"; give a whole number from %" PRId64 " to %" PRId64, name,
                       value, min, max);
    }
    return WEIR_OK;
}

/* A size as a user would write it. */
static void size_text(int64_t size, char text[SIZE_TEXT])
{
    static const struct {
        int64_t unit;
        const char *letter;
    } units[] = {{1 << 30, "G"}, {1 << 20, "M"}, {1 << 10, "k"}, {1, ""}};
    size_t at = 0;
    while (units[at].unit > 1 && (size < units[at].unit || size % units[at].unit != 0)) {
        at++;
    }
    snprintf(text, SIZE_TEXT, "%" PRId64 "%s", size / units[at].unit, units[at].letter);
}

weir_status wr_option_size(const char *name, const char *value, int64_t min, int64_t max,
                           int64_t *size_out, struct wr_error *error)
{
    if (!wr_parse_size(value, min, max, size_out)) {
        char low[SIZE_TEXT], high[SIZE_TEXT];
        size_text(min, low);
        size_text(max, high);
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s is \"%s\"; give a size in bytes from %s to %s (k, M and G are powers of "
                       "1024)",
                       name, value, low, high);
    }
    return WEIR_OK;
}

weir_status wr_option_choice(const char *name, const char *value, const char *const *choices,
                             int *index_out, struct wr_error *error)
{
    char list[256] = "";
    size_t used = 0;
    for (int i = 0; choices[i]; i++) {
        if (strcmp(choices[i], value) == 0) {
            *index_out = i;
            return WEIR_OK;
        }
        const char *between = i == 0 ? "" : choices[i + 1] ? ", " : " or ";
        int wrote = snprintf(list + used, sizeof list - used, "%s%s", between, choices[i]);
        used += (size_t)wrote < sizeof list - used ? (size_t)wrote : 0;
    }
    const char *near = wr_nearest(value, choices);
    if (near) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s is \"%s\"; did you mean %s? It takes %s", name, value, near, list);
    }
    return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "%s is \"%s\"; it takes %s", name, value,
                   list);
}

/* ---- Operands -------------------------------------------------------------------------------- */

weir_status wr_operands_add(struct wr_operands *operands, const char *value, struct wr_error *error)
{
    if (operands->count >= sizeof operands->values / sizeof operands->values[0] ||
        !operands->names[operands->count]) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "\"%s\" is one argument too many; see %s --help", value, operands->command);
    }
    operands->values[operands->count++] = value;
    return WEIR_OK;
}

weir_status wr_operands_check(const struct wr_operands *operands, struct wr_error *error)
{
    if (operands->names[operands->count]) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "%s is missing; see %s --help",
                       operands->names[operands->count], operands->command);
    }
    return WEIR_OK;
}
