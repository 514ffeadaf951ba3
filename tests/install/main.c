/* main.c: the job of letters.c as a program of its own.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <weir.h>

void weir_define(weir_job *job);

int main(int argc, char **argv)
{
    return weir_main(weir_define, argc, argv);
}
