/* cli_no_job.c: a shared object that is no job.
 *
 * SPDX-License-Identifier: Apache-2.0 */
int nothing_of_weir(void);

int nothing_of_weir(void)
{
    return 0;
}
