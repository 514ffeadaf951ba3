/* text.c: what users type, read: names, numbers, sizes, paths. Declared in endpoint.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/endpoint.h"

/* ---- Names ----------------------------------------------------------------------------------- */

bool wr_name_is_valid(const char *name)
{
    size_t size = 0;
    for (; name[size]; size++) {
        char c = name[size];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (size == WR_NAME_BYTES_MAX ||
            !(letter || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-')) {
            return false;
        }
    }
    return size > 0;
}

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : (unsigned char)c;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

/* Digits, after a `-` where min allows it; *rest_out is what follows them. */
static bool parse_digits(const char *text, int64_t *value_out, const char **rest_out)
{
    bool negative = *text == '-';
    text += negative;
    if (!isdigit((unsigned char)*text)) {
        return false;
    }
    int64_t value = 0;
    for (; isdigit((unsigned char)*text); text++) {
        int digit = *text - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) {
            return false;
        }
    }
    *rest_out = text;
    *value_out = value; /* counted downwards, so that INT64_MIN can be read */
    return negative || !__builtin_mul_overflow(value, -1, value_out);
}

bool wr_parse_number(const char *text, int64_t min, int64_t max, int64_t *value_out)
{
    const char *rest;
    int64_t value;
    if (!parse_digits(text, &value, &rest) || *rest || value < min || value > max) {
        return false;
    }
    *value_out = value;
    return true;
}

bool wr_parse_size(const char *text, int64_t min, int64_t max, int64_t *value_out)
{
    const char *rest;
    int64_t value;
    if (!parse_digits(text, &value, &rest)) {
        return false;
    }
    if (*rest) {
        int shift = lower(*rest) == 'k' ? 10 : lower(*rest) == 'm' ? 20 : 30;
        if (!strchr("kKmMgG", *rest) || rest[1] ||
            __builtin_mul_overflow(value, (int64_t)1 << shift, &value)) {
            return false;
        }
    }
    if (value < min || value > max) {
        return false;
    }
    *value_out = value;
    return true;
}

/* ---- Paths ----------------------------------------------------------------------------------- */

/* Resolves `.`, `..` and repeated slashes of an absolute path, in place. */
static void resolve(char *path)
{
    char *to = path;
    const char *at = path;
    while (*at) {
        at += strspn(at, "/");
        size_t size = strcspn(at, "/");
        if (size == 2 && at[0] == '.' && at[1] == '.') {
            while (to > path && *--to != '/') {
            }
        } else if (size > 0 && !(size == 1 && at[0] == '.')) {
            *to++ = '/';
            memmove(to, at, size);
            to += size;
        }
        at += size;
    }
    if (to == path) {
        *to++ = '/';
    }
    *to = '\0';
}

char *wr_path_absolute(const char *path, struct wr_arena *arena)
{
    char *folder = *path == '/' ? NULL : getcwd(NULL, 0);
    if (!folder && *path != '/') {
        folder = calloc(1, 1); /* the working directory is gone: what follows says so by ENOENT */
        if (!folder) {
            return NULL;
        }
    }
    size_t folder_size = folder ? strlen(folder) : 0, size = strlen(path);
    char *absolute = wr_arena_alloc(arena, folder_size + size + 2);
    if (absolute) {
        if (folder_size) {
            memcpy(absolute, folder, folder_size);
        }
        absolute[folder_size] = '/';
        memcpy(absolute + folder_size + 1, path, size + 1);
        resolve(absolute);
    }
    free(folder);
    return absolute;
}
