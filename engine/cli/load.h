/* load.h: a job as a shared object: finding it, checking that it was compiled for this weir.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_LOAD_H
#define WR_LOAD_H

#include "txn/base/error.h"

struct wr_job_file {
    void *handle;
    void (*define)(weir_job *);
    char name[WR_NAME_BYTES_MAX + 1]; /* from the file's; the job's until weir_name */
};

/* A path without a slash is the working directory's. 66: no such file; 77: may not be read; 78: it
 * does not load, is no job, or was compiled for another ABI. */
weir_status wr_job_file_open(const char *path, struct wr_job_file *file_out,
                             struct wr_error *error);
/* Nothing of the job may be used any more. */
void wr_job_file_close(struct wr_job_file *file);

/* A name for a job from its file's: the base name without `suffix`, with `_` for what no name may
 * have. */
void wr_job_name(const char *path, const char *suffix, char name_out[WR_NAME_BYTES_MAX + 1]);

#endif
