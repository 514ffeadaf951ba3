#!/usr/bin/env bash
# Word count over real text, killed twice in the middle, and checked against tr | sort | uniq.
#
#     examples/run.sh             over the licences of this system (/usr/share/common-licenses)
#     examples/run.sh FILE...     over these files
#
# Installs what is missing (Debian, Ubuntu: apt-get, as root or by sudo), builds weir into build/,
# and leaves the result in ./wordcount.weir. Ends with 0 when every count is right, else with 1.
# What was installed and built before is not done again.
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
export LC_ALL=C

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
store=wordcount.weir
work=             # a temporary folder of this run
job=              # the process that runs the job, while it does
text_bytes_min=$((16 << 20))

say()
{
    printf '%s\n' "$*"
}

stop()
{
    printf 'examples/run.sh: %s\n' "$*" >&2
    exit 1
}

clean_up()
{
    trap '' INT TERM
    if [ -n "$job" ]; then
        kill -9 "$job" 2>/dev/null || true
    fi
    if [ -n "$work" ]; then
        rm -rf -- "$work"
    fi
}

# ---- Install and build

have_library()
{
    pkg-config --exists "$1" 2>/dev/null
}

install_what_is_missing()
{
    local packages=() pair
    for pair in gcc:gcc cmake:cmake ninja:ninja-build pkg-config:pkg-config sqlite3:sqlite3; do
        command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
    done
    [ -e /usr/include/stdio.h ] || packages+=(libc6-dev)
    for pair in sqlite3:libsqlite3-dev libuv:libuv1-dev jansson:libjansson-dev yajl:libyajl-dev \
        libisal:libisal-dev libxxhash:libxxhash-dev \
        zlib:zlib1g-dev rdkafka:librdkafka-dev; do
        have_library "${pair%%:*}" || packages+=("${pair#*:}")
    done
    if [ ${#packages[@]} -eq 0 ]; then
        return
    fi
    command -v apt-get >/dev/null ||
        stop "missing, and no apt-get to install it with; on Debian it is: ${packages[*]}"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || stop "run this as root first: apt-get install ${packages[*]}"
        as_root=(sudo)
    fi
    say "Installing what is missing: ${packages[*]}"
    "${as_root[@]}" apt-get -qq update || say "apt-get update failed; trying with what is known"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends "${packages[@]}" >/dev/null ||
        stop "apt-get could not install: ${packages[*]}"
}

build()
{
    if [ ! -e "$root/build/build.ninja" ] && [ ! -e "$root/build/Makefile" ]; then
        say "Building weir into $root/build"
        cmake -S "$root" -B "$root/build" -G Ninja >/dev/null || stop "cmake failed, see above"
    fi
    cmake --build "$root/build" || stop "the build failed, see above"
}

# ---- The text

# All files, one after the other; where one does not end its last line, the next begins a new one.
gather()
{
    local file
    for file in "$@"; do
        cat <"$file"
        if [ "$(tail -c 1 <"$file" | tr -d '\n' | wc -c)" -eq 1 ]; then
            echo
        fi
    done >"$work/once"
}

# Doubles the text until it has at least $1 bytes.
repeat_up_to()
{
    while [ "$(stat -c %s "$work/text")" -lt "$1" ]; do
        cat "$work/text" "$work/text" >"$work/twice"
        mv "$work/twice" "$work/text"
    done
}

# ---- The store

# The name of a file as it stands in a URI.
uri_path()
{
    printf '%s' "$1" | sed 's/%/%25/g; s/?/%3F/g; s/\*/%2A/g; s/\[/%5B/g'
}

ask()
{
    sqlite3 -readonly "$store" "$1"
}

# How far the decided epochs have read, in bytes; 0 before there is a first one.
position()
{
    ask 'SELECT coalesce(max(next), 0) FROM position' 2>/dev/null || echo 0
}

# Starts from nothing. Only a store that an earlier run of this script made is removed.
remove_old_store()
{
    if [ ! -e "$store" ]; then
        return
    fi
    local others
    others=$(ask "SELECT count(*) FROM position
                  WHERE part NOT GLOB '*/weir-wordcount.*/text'" 2>/dev/null || echo unknown)
    if [ "$others" != 0 ]; then
        stop "$PWD/$store was not made by this script; move it away or go to another folder"
    fi
    if ! flock -n "$store.lock" true; then
        stop "$PWD/$store is in use by another process"
    fi
    say "Removing $store of an earlier run"
    rm -f -- "$store" "$store-wal" "$store-shm" "$store.lock"
}

# ---- The runs

start_job()
{
    "$root/build/weir" run "$root/build/examples/wordcount.so" -s "$store" \
        -i "lines=file:$(uri_path "$work/text")" 2>"$work/log" &
    job=$!
}

# Waits for the job, shows what it said, and returns its exit code.
wait_for_job()
{
    local code=0
    wait "$job" 2>/dev/null || code=$?
    job=
    sed 's/^/    /' "$work/log"
    return "$code"
}

# Runs the job until it has decided something, and all that is below byte $1, and kills it there.
# Returns 1 when it was done before it could be killed.
run_and_kill()
{
    local code=0 at wanted=$1
    at=$(position)
    if [ "$wanted" -le "$at" ]; then
        wanted=$((at + 1))
    fi
    start_job
    while kill -0 "$job" 2>/dev/null && [ "$(position)" -lt "$wanted" ]; do
        sleep 0.01
    done
    kill -9 "$job" 2>/dev/null || true
    wait_for_job || code=$?
    at=$(position)
    case $code in
    137)
        say "  killed with kill -9 at $at of $text_bytes bytes"
        [ "$at" -gt 0 ] && [ "$at" -lt "$text_bytes" ]
        ;;
    0) return 1 ;;
    *) stop "weir ended with exit code $code" ;;
    esac
}

# Two kills, each in the middle of the text.
run_with_kills()
{
    say "Counting words; the job is killed twice in the middle"
    run_and_kill $((text_bytes / 5)) || return 1
    run_and_kill $((text_bytes * 3 / 5)) || return 1
}

run_to_the_end()
{
    local code=0
    start_job
    wait_for_job || code=$?
    [ "$code" -eq 0 ] || stop "weir ended with exit code $code"
    say "  done: $(position) of $text_bytes bytes"
}

run_everything()
{
    cp "$work/once" "$work/text"
    if [ ! -s "$work/text" ]; then
        say "The text is empty, so there is no middle to kill the job in"
        text_bytes=0
        remove_old_store
        run_to_the_end
        return
    fi
    local wanted=$text_bytes_min
    while true; do
        repeat_up_to "$wanted"
        text_bytes=$(stat -c %s "$work/text")
        say "The text: $(stat -c %s "$work/once") bytes," \
            "$((text_bytes / $(stat -c %s "$work/once"))) times"
        remove_old_store
        if run_with_kills; then
            break
        fi
        wanted=$((4 * text_bytes))
        [ "$wanted" -le $((1 << 30)) ] || stop "no run lasts long enough to be killed"
        say "It was done before it could be killed: again with four times the text"
    done
    run_to_the_end
}

# ---- The result

show_and_compare()
{
    local rejected
    rejected=$(ask 'SELECT count(*) FROM reject')
    if [ "$rejected" -ne 0 ]; then
        ask "SELECT DISTINCT '  ' || reason FROM reject LIMIT 5"
        stop "$rejected lines were rejected, so words are missing; see weir rejects $store"
    fi
    say "The ten most frequent words, by sqlite3 -readonly $store:"
    ask "SELECT printf('%10d  %s', value, key) FROM counts ORDER BY value DESC, key LIMIT 10"

    say "The same words, counted by tr | sort | uniq -c:"
    ask "SELECT value || ' ' || key FROM counts ORDER BY key" >"$work/weir"
    tr -cs 'A-Za-z0-9' '\n' <"$work/text" | sort | uniq -c |
        awk '$2 != "" { print $1, $2 }' >"$work/unix"
    local words
    words=$(wc -l <"$work/unix")
    if ! diff "$work/unix" "$work/weir" >"$work/diff"; then
        head -n 20 "$work/diff" | cut -c 1-100
        stop "the counts differ (< is right, > is weir's): something was lost or counted twice"
    fi
    say "  equal: $words different words, $(awk '{ n += $1 } END { print n + 0 }' "$work/unix")" \
        "in all; nothing lost, nothing twice"
}

main()
{
    case ${1-} in
    -h | --help)
        sed -n '2,/^$/ s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" | sed '/^SPDX/d'
        exit 0
        ;;
    esac
    if [ $# -eq 0 ]; then
        set -- /usr/share/common-licenses/*
    fi
    local file
    for file in "$@"; do
        if [ ! -f "$file" ] || [ ! -r "$file" ]; then
            stop "cannot read $file; give files of text, as in: examples/run.sh README.md"
        fi
    done
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    install_what_is_missing
    build
    work=$(mktemp -d "${TMPDIR:-/tmp}/weir-wordcount.XXXXXX")
    gather "$@"
    run_everything
    show_and_compare
}

main "$@"
