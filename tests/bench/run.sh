#!/usr/bin/env bash
# tests/bench/run.sh: what a change did to weir's speed: builds two revisions and runs them in turn.
#
#   tests/bench/run.sh [options] OLD [NEW]
#
# OLD and NEW are revisions of this project; NEW is the working tree when it is not given. Prints
# for each figure the old median, the new one, the ratio of the pairs (above 1: faster), its spread,
# and CPU seconds per million records.
#
#   --repeat N     pairs of runs of each figure (5)
#   --records N    size of the largest runs (2,000,000)
#   --only WORD    only the figures with this in their name; as often as wanted
#   --all          the slow ones too: fixed rates, start, restart with 2,000,000 keys
#   --builds DIR   keeps the builds in DIR and takes them from there (else a temporary folder)
#   --dir DIR      where the runs write; has to be on a disk (the working directory)
#
# Exits 0 when all ran; 64: usage; 66: no such revision.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
measure=()
only=()
revisions=()
builds=""
all=no

usage()
{
    sed -n '2,/^# SPDX/{/^# SPDX/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}

fail()
{
    echo "tests/bench/run.sh: $2" >&2
    exit "$1"
}

while (($#)); do
    case $1 in
    -h | --help)
        usage
        exit 0
        ;;
    --all) all=yes ;;
    --repeat | --records | --only | --builds | --dir)
        (($# > 1)) || fail 64 "$1 needs a value"
        case $1 in
        --builds) builds=$2 ;;
        --only) only+=(--only "$2") ;;
        *) measure+=("$1" "$2") ;;
        esac
        shift
        ;;
    -*) fail 64 "unknown option $1; --help shows them" ;;
    *) revisions+=("$1") ;;
    esac
    shift
done
((${#revisions[@]} == 1 || ${#revisions[@]} == 2)) || fail 64 "give OLD, or OLD and NEW; see --help"
if [ $all = no ] && ((${#only[@]} == 0)); then
    only=(--only "copy," --only "count,")
fi

temporary=$(mktemp -d "${TMPDIR:-/tmp}/weir-bench-XXXXXX")
trap 'rm -rf "$temporary"' EXIT
builds=${builds:-$temporary}
mkdir -p "$builds"

# build SOURCE FOLDER: what the figures need of a release build.
build()
{
    local generator=() log="$temporary/log"
    command -v ninja >/dev/null && generator=(-G Ninja)
    if ! { cmake -S "$1" -B "$2" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release &&
        cmake --build "$2" --parallel --target weir example_copy example_count; } >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        fail 70 "$1 does not build"
    fi
}

# build_revision NAME: prints the folder of its build; a build that is there is taken as it is.
build_revision()
{
    local id folder
    id=$(git -C "$root" rev-parse --quiet --verify "$1^{commit}") ||
        fail 66 "there is no revision $1"
    folder=$builds/$id
    if [ ! -e "$folder/done" ]; then
        echo "building $1" >&2
        rm -rf "$folder"
        mkdir -p "$folder/source"
        git -C "$root" archive "$id" | tar -x -C "$folder/source"
        build "$folder/source" "$folder/build"
        touch "$folder/done"
    fi
    echo "$folder/build"
}

old=$(build_revision "${revisions[0]}")
if ((${#revisions[@]} == 2)); then
    new=$(build_revision "${revisions[1]}")
else
    echo "building the working tree" >&2
    new=$builds/working-tree
    build "$root" "$new"
fi
python3 "$root/tests/bench/figures.py" "${measure[@]}" "${only[@]}" "$old" "$new"
