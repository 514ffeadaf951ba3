/* cli_unresolved.c: a job of this ABI that wants a function which does not exist.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <weir.h>

WEIR_EXPORT void weir_of_a_later_version(weir_job *job);

WEIR_JOB(job)
{
    weir_of_a_later_version(job);
}
