/* group.c: see group.h. The lock is on the file itself, not on one beside it: a new version is
 * locked before it takes the old one's place, and who has got the lock of a file looks whether that
 * is still the one at the path.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/cli/inspect.h" /* jansson */
#include "engine/endpoint.h"

enum {
    FORMAT = 1,
    BYTES_MAX = 16 << 20, /* of a file: more than all partitions of many topics need */
    LOCK_TRIES = 10, /* a killed holder keeps its lock until the kernel has taken it apart */
    LOCK_WAIT_MS = 20,
};

static const char suffix[] = ".group";

/* ---- The lock -------------------------------------------------------------------------------- */

/* The whole of an open file as JSON; NULL when it is empty, or no JSON (with *text_out why). */
static json_t *read_json(int file, char *text, size_t size)
{
    struct stat found;
    text[0] = '\0';
    if (fstat(file, &found) != 0 || found.st_size == 0) {
        return NULL;
    }
    if (found.st_size > BYTES_MAX) {
        snprintf(text, size, "it has %lld bytes", (long long)found.st_size);
        return NULL;
    }
    json_error_t why;
    char *bytes = malloc((size_t)found.st_size);
    ssize_t got = bytes ? pread(file, bytes, (size_t)found.st_size, 0) : -1;
    json_t *root = got >= 0 ? json_loadb(bytes, (size_t)got, JSON_REJECT_DUPLICATES, &why) : NULL;
    free(bytes);
    if (!root) {
        snprintf(text, size, "%s", got >= 0 ? why.text : "it cannot be read");
    }
    return root;
}

static weir_status fail_locked(const struct wr_group *group, const char *name,
                               struct wr_error *error)
{
    char why[64];
    json_t *root = read_json(group->file, why, sizeof why);
    long long pid = json_integer_value(json_object_get(root, "pid"));
    json_decref(root);
    return wr_fail(
        error, WEIR_FATAL, WR_EXIT_AGAIN,
        "group %s is in use by process %lld, which holds %.700s; stop that one first, or "
        "name another group",
        name, pid, group->path);
}

/* One try. *again_out: the file was replaced while it was locked. */
static weir_status lock_once(struct wr_group *group, const char *name, bool *again_out,
                             struct wr_error *error)
{
    struct stat mine, there;
    *again_out = false;
    group->file = open(group->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (group->file < 0) {
        return wr_fail_errno(error, "cannot open the positions of group %s, %.700s", name,
                             group->path);
    }
    int code = flock(group->file, LOCK_EX | LOCK_NB);
    for (int i = 0; code != 0 && errno == EWOULDBLOCK && i < LOCK_TRIES; i++) {
        nanosleep(&(struct timespec){.tv_nsec = LOCK_WAIT_MS * 1000000}, NULL);
        code = flock(group->file, LOCK_EX | LOCK_NB);
    }
    if (code != 0) {
        return errno == EWOULDBLOCK ? fail_locked(group, name, error)
                                    : wr_fail_errno(error, "cannot lock %.700s", group->path);
    }
    *again_out = fstat(group->file, &mine) != 0 || stat(group->path, &there) != 0 ||
                 mine.st_ino != there.st_ino || mine.st_dev != there.st_dev;
    if (*again_out) {
        close(group->file);
        group->file = -1;
    }
    return WEIR_OK;
}

static weir_status lock(struct wr_group *group, const char *name, struct wr_error *error)
{
    bool again = true;
    for (int i = 0; again && i < LOCK_TRIES; i++) {
        WR_TRY(lock_once(group, name, &again, error));
    }
    if (again) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_AGAIN,
                       "group %s is in use: %.700s is being replaced; try again", name,
                       group->path);
    }
    return WEIR_OK;
}

/* ---- What is in it --------------------------------------------------------------------------- */

static weir_status fail_damaged(const struct wr_group *group, const char *why,
                                struct wr_error *error)
{
    return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                   "%.700s is damaged: %.160s; delete it to begin where --offset says", group->path,
                   why);
}

static const char *text_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* Positions are numbers from 0 on, by the partition's number. */
static bool are_positions(const json_t *next)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)next, name, value)
    {
        int64_t partition;
        if (!wr_parse_number(name, 0, WR_PARTITIONS_MAX - 1, &partition) ||
            !json_is_integer(value) || json_integer_value(value) < 0) {
            return false;
        }
    }
    return json_is_object(next);
}

static weir_status check_root(const struct wr_group *group, const struct wr_follow *follow,
                              const char *name, struct wr_error *error)
{
    const json_t *root = group->root;
    const json_t *format = json_object_get(root, "format");
    if (!json_is_integer(format)) {
        return fail_damaged(group, "it has no format", error);
    }
    if (json_integer_value(format) != FORMAT) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "%.700s has format %lld, and this weir knows format %d; use the weir that "
                       "wrote it, or another group",
                       group->path, (long long)json_integer_value(format), FORMAT);
    }
    if (strcmp(text_at(root, "store"), follow->store_id) != 0 ||
        strcmp(text_at(root, "group"), name) != 0) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "%.700s is another group's or another store's (group %.64s, store %.32s); "
                       "delete it to begin where --offset says, or name another group",
                       group->path, text_at(root, "group"), text_at(root, "store"));
    }
    if (!json_is_object(json_object_get(root, "topics"))) {
        return fail_damaged(group, "it has no topics", error);
    }
    return WEIR_OK;
}

static weir_status make_root(struct wr_group *group, const struct wr_follow *follow,
                             const char *name, struct wr_error *error)
{
    group->root = json_pack("{s:i, s:s, s:s, s:{}}", "format", FORMAT, "group", name, "store",
                            follow->store_id, "topics");
    return group->root ? WEIR_OK : wr_fail_memory(error);
}

/* The topic's part of it, made anew when there is none or it is another topic's. */
static weir_status take_topic(struct wr_group *group, const struct wr_follow *follow,
                              bool *renewed_out, struct wr_error *error)
{
    json_t *topics = json_object_get(group->root, "topics");
    json_t *topic = json_object_get(topics, follow->topic.name);
    *renewed_out = topic && json_integer_value(json_object_get(topic, "id")) != follow->topic.id;
    if (!topic || *renewed_out) {
        topic = json_pack("{s:I, s:{}}", "id", (json_int_t)follow->topic.id, "next");
        if (!topic || json_object_set_new(topics, follow->topic.name, topic) != 0) {
            return wr_fail_memory(error);
        }
    }
    group->next = json_object_get(topic, "next");
    if (!are_positions(group->next)) {
        return fail_damaged(group, "its positions are none", error);
    }
    return WEIR_OK;
}

weir_status wr_group_open(const struct wr_follow *follow, const char *name, struct wr_group *group,
                          bool *renewed_out, struct wr_error *error)
{
    char why[160];
    *group = (struct wr_group){.file = -1};
    *renewed_out = false;
    if (!wr_name_is_valid(name)) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "group \"%.100s\": a name is 1 to %d of A-Z, a-z, 0-9, _, . and -", name,
                       WR_NAME_BYTES_MAX);
    }
    snprintf(group->path, sizeof group->path, "%s.%s%s", follow->path, name, suffix);
    WR_TRY(lock(group, name, error));
    group->root = read_json(group->file, why, sizeof why);
    if (!group->root && why[0]) {
        return fail_damaged(group, why, error);
    }
    WR_TRY(group->root ? check_root(group, follow, name, error)
                       : make_root(group, follow, name, error));
    WR_TRY(take_topic(group, follow, renewed_out, error));
    return wr_group_save(group, error); /* its pid, and whether it can be written at all */
}

void wr_group_close(struct wr_group *group)
{
    json_decref(group->root);
    group->root = NULL;
    if (group->file >= 0) {
        close(group->file);
        group->file = -1;
    }
}

/* ---- Positions ------------------------------------------------------------------------------- */

bool wr_group_get(const struct wr_group *group, int32_t partition, int64_t *next_out)
{
    char name[16];
    snprintf(name, sizeof name, "%d", (int)partition);
    const json_t *next = json_object_get(group->next, name);
    *next_out = json_integer_value(next);
    return next != NULL;
}

bool wr_group_set(struct wr_group *group, int32_t partition, int64_t next)
{
    char name[16];
    snprintf(name, sizeof name, "%d", (int)partition);
    return json_object_set_new(group->next, name, json_integer((json_int_t)next)) == 0;
}

static bool write_all(int file, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(file, bytes, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

weir_status wr_group_save(struct wr_group *group, struct wr_error *error)
{
    char path[sizeof group->path + 8];
    snprintf(path, sizeof path, "%s.new", group->path);
    if (json_object_set_new(group->root, "pid", json_integer(getpid())) != 0) {
        return wr_fail_memory(error);
    }
    char *text = json_dumps(group->root, JSON_INDENT(1));
    if (!text) {
        return wr_fail_memory(error);
    }
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool saved = file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0 &&
                 write_all(file, text, strlen(text)) && write_all(file, "\n", 1) &&
                 fsync(file) == 0 && rename(path, group->path) == 0;
    int native = errno;
    free(text);
    if (!saved) {
        if (file >= 0) {
            close(file);
        }
        errno = native;
        return wr_fail_errno(error, "cannot keep the group's positions in %.700s", group->path);
    }
    close(group->file);
    group->file = file;
    return WEIR_OK;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static void list_one(const struct wr_follow *follow, int file, wr_group_each each, void *data)
{
    char why[64];
    json_t *root = read_json(file, why, sizeof why);
    const json_t *topic = json_object_get(json_object_get(root, "topics"), follow->topic.name);
    const json_t *next = json_object_get(topic, "next");
    bool is_ours = strcmp(text_at(root, "store"), follow->store_id) == 0 &&
                   json_integer_value(json_object_get(topic, "id")) == follow->topic.id &&
                   are_positions(next);
    for (int32_t partition = 0; is_ours && partition < follow->topic.partitions; partition++) {
        char name[16];
        snprintf(name, sizeof name, "%d", (int)partition);
        const json_t *value = json_object_get(next, name);
        if (value) {
            each(data, text_at(root, "group"), partition, json_integer_value(value));
        }
    }
    json_decref(root);
}

static int is_any(const struct dirent *entry)
{
    return strlen(entry->d_name) > sizeof suffix;
}

weir_status wr_groups_list(const struct wr_follow *follow, wr_group_each each, void *data,
                           struct wr_error *error)
{
    char directory[WR_URI_BYTES_MAX];
    const char *slash = strrchr(follow->path, '/');
    int size = slash == follow->path ? 1 : (int)(slash - follow->path);
    snprintf(directory, sizeof directory, "%.*s", size, follow->path);
    const char *store = slash + 1;
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_any, alphasort);
    if (count < 0) {
        return wr_fail_errno(error, "cannot look for groups in %s", directory);
    }
    size_t length = strlen(store);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name, *end = name + strlen(name) - strlen(suffix);
        if (strncmp(name, store, length) == 0 && name[length] == '.' && strcmp(end, suffix) == 0) {
            char path[WR_URI_BYTES_MAX + 300];
            snprintf(path, sizeof path, "%s/%s", directory, name);
            int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
            if (file >= 0) {
                list_one(follow, file, each, data);
                close(file);
            }
        }
        free(entries[i]);
    }
    free(entries);
    return WEIR_OK;
}
