#!/bin/sh
# scratch.sh COMMAND...: run one test in a scratch folder that goes away with it.
# The folder is the working directory, $TMPDIR and $WEIR_SCRATCH. WEIR_KEEP=1 keeps it, and says
# where it is.
# SPDX-License-Identifier: Apache-2.0
scratch=$(mktemp -d "${TMPDIR:-/tmp}/weir-test.XXXXXX") || exit 1
clean()
{
    if [ -n "${WEIR_KEEP:-}" ]; then
        echo "scratch folder kept: $scratch"
    else
        chmod -R u+rwX "$scratch" && rm -rf "$scratch"
    fi
}
trap clean EXIT
trap 'exit 143' HUP INT TERM
export TMPDIR="$scratch" WEIR_SCRATCH="$scratch"
cd "$scratch" || exit 1
"$@"
