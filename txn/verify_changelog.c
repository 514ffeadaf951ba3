/* verify_changelog.c: walks what epochs changed in state, row by row. See verify.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/changelog.h"
#include "txn/verify_inner.h"

enum { KNOWN_MAX = 64 };

struct walk {
    struct wr_rows *node; /* whether one exists */
    uint32_t known[KNOWN_MAX]; /* some that do */
    size_t known_count;
};

static weir_status node_exists(struct walk *walk, uint32_t node, bool *exists_out,
                               struct wr_error *error)
{
    *exists_out = true;
    for (size_t i = 0; i < walk->known_count; i++) {
        if (walk->known[i] == node) {
            return WEIR_OK;
        }
    }
    wr_rows_again(walk->node);
    wr_rows_bind_int(walk->node, 1, node);
    WR_TRY(wr_rows_next(walk->node, exists_out, error));
    if (*exists_out && walk->known_count < KNOWN_MAX) {
        walk->known[walk->known_count++] = node;
    }
    return WEIR_OK;
}

/* Of the nodes that do not exist it names the first. */
static weir_status check_changes(struct wr_verify *verify, struct walk *walk, int64_t epoch,
                                 weir_bytes changes, struct wr_error *error)
{
    struct wr_changelog_reader reader;
    const char *why = "";
    bool more = true, exists = true;
    bool good = wr_changelog_open(&reader, changes, &why);
    while (good && more) {
        struct wr_folded change;
        good = wr_changelog_next(&reader, &change, &more, &why);
        if (good && more && exists) {
            WR_TRY(node_exists(walk, change.node, &exists, error));
            if (!exists) {
                wr_verify_problem(verify,
                                  "table changelog epoch %lld: a change of node %lu, which does "
                                  "not exist",
                                  (long long)epoch, (unsigned long)change.node);
            }
        }
    }
    if (!good) {
        wr_verify_problem(verify, "table changelog epoch %lld: the changes are damaged: %s",
                          (long long)epoch, why);
    }
    return WEIR_OK;
}

static weir_status check_rows(struct wr_verify *verify, struct walk *walk, struct wr_error *error)
{
    for (int64_t epoch = INT64_MIN;;) {
        weir_bytes changes;
        wr_verify_renew(verify, false);
        wr_arena_reset(&verify->arena);
        WR_TRY(wr_reader_changelog(verify->reader, &epoch, &verify->arena, &changes, error));
        if (!changes.data) {
            return WEIR_OK;
        }
        WR_TRY(check_changes(verify, walk, epoch, changes, error));
    }
}

weir_status wr_verify_changelog(struct wr_verify *verify, struct wr_error *error)
{
    struct wr_error inner = {.status = WEIR_OK};
    struct walk walk = {.node = NULL};
    wr_verify_renew(verify, true);
    weir_status status =
        wr_rows_open(verify->reader, "SELECT 1 FROM node WHERE id = ?1", &walk.node, &inner);
    if (status == WEIR_OK) {
        status = check_rows(verify, &walk, &inner);
    }
    wr_rows_close(walk.node);
    return wr_verify_settle(verify, status, &inner, "table changelog", error);
}
