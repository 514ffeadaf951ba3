/* cli_other_abi.c: a job that was compiled for the ABI after this one, and wants a function of it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <weir.h>

WEIR_EXPORT void weir_of_a_later_version(weir_job *job);
WEIR_EXPORT extern const unsigned weir_abi_mark;
WEIR_EXPORT void weir_define(weir_job *job);

const unsigned weir_abi_mark = WEIR_ABI + 1;

void weir_define(weir_job *job)
{
    weir_of_a_later_version(job);
}
