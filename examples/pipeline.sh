#!/usr/bin/env bash
# Two jobs in a row, both killed again and again: access_log reads a web server's log and writes
# topic `requests` in its store; errors reads that topic, live, and counts what failed.
#
#     examples/pipeline.sh            over a log that is made up
#     examples/pipeline.sh FILE       over this one, in Apache's combined format
#
# Needs what examples/run.sh has built (or $WEIR_BUILD). Works in a temporary folder. Ends with 0
# when each line was taken once by the first job, and each request once by the second; else with 1.
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
export LC_ALL=C

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
build=${WEIR_BUILD:-$root/build}
work=             # a temporary folder of this run
jobs_running=()   # process IDs
kills=0

say()
{
    printf '%s\n' "$*"
}

stop()
{
    printf 'examples/pipeline.sh: %s\n' "$*" >&2
    exit 1
}

clean_up()
{
    trap '' INT TERM
    local job
    for job in "${jobs_running[@]}"; do
        kill -9 "$job" 2>/dev/null || true
    done
    if [ -n "$work" ]; then
        rm -rf -- "$work"
    fi
}

make_log()
{
    awk 'BEGIN {
        srand(1)
        for (i = 0; i < 400000; i++) {
            status = rand() < 0.9 ? 200 : rand() < 0.8 ? 404 : 500
            printf "10.0.%d.%d - - [17/May/2015:%02d:%02d:%02d +0000] ", \
                rand() * 256, rand() * 256, i / 36000, i / 600 % 60, i / 10 % 60
            printf "\"GET /page%d HTTP/1.1\" %d %d \"-\" \"made up\"\n", \
                1000 ^ rand(), status, rand() * 10000
            if (i % 50000 == 0) {
                print "this line is not of the format"
            }
        }
    }'
}

# ---- The jobs: each has a store named after it

first()
{
    "$build/weir" run -q "$build/examples/access_log.so" -i lines=file:log 2>>said &
    first=$!
    jobs_running=("$first" ${second:+"$second"})
}

# With --until-end it ends where the topic ends; else it waits for more.
second()
{
    "$build/weir" run -q "$build/examples/errors.so" \
        -i requests=log:requests?store=access_log.weir "$@" 2>>said &
    second=$!
    jobs_running=("$first" "$second")
}

# How far a job has read, by its store: bytes of the log, or requests; 0 before the first epoch.
position()
{
    sqlite3 -readonly "$1.weir" 'SELECT coalesce(sum(next), 0) FROM position' 2>/dev/null || echo 0
}

# Waits until a job has read up to $3, and kills its process $2 there.
kill_at()
{
    local name=$1 job=$2 code=0
    while kill -0 "$job" 2>/dev/null && [ "$(position "$name")" -lt "$3" ]; do
        sleep 0.01
    done
    kill -9 "$job" 2>/dev/null || true
    wait "$job" 2>/dev/null || code=$?
    case $code in
    137)
        kills=$((kills + 1))
        say "  $name killed with kill -9 at $(position "$name")"
        ;;
    0) say "  $name was done before it could be killed" ;;
    *) fail_job "$name" "$code" ;;
    esac
}

wait_for()
{
    local code=0
    wait "$2" || code=$?
    if [ "$code" -ne 0 ]; then
        fail_job "$1" "$code"
    fi
    say "  $1 done, at $(position "$1")"
}

fail_job()
{
    cat said >&2
    stop "$1 ended with exit code $2"
}

run_with_kills()
{
    local bytes=$1 lines=$2 part
    first=''
    second=''
    first
    while [ "$(position access_log)" -eq 0 ] && kill -0 "$first" 2>/dev/null; do
        sleep 0.01 # the second job needs a topic to read
    done
    second
    for part in 1 2 3; do
        kill_at access_log "$first" $((bytes * part / 5))
        first
        kill_at errors "$second" $((lines * part / 5))
        second
    done
    wait_for access_log "$first"
    kill_at errors "$second" $((lines * 4 / 5))
    second --until-end
    wait_for errors "$second"
}

# ---- The result

# Every line of the log is a request or a dead letter, and every request was counted.
compare()
{
    local lines=$1 requests rejects
    "$build/weir" consume access_log.weir requests >requests
    requests=$(wc -l <requests)
    rejects=$(sqlite3 -readonly access_log.weir 'SELECT count(*) FROM reject')
    [ $((requests + rejects)) -eq "$lines" ] ||
        stop "$lines lines became $requests requests and $rejects dead letters"
    say "  $lines lines are $requests requests and $rejects dead letters"

    awk -F '\t' '{
        split($NF, value, " ")
        if (value[1] >= 400) {
            n[value[1] " " substr($0, 1, length($0) - length($NF) - 1)]++
        }
    } END { for (key in n) print n[key], key }' requests | sort >by-awk
    sqlite3 -readonly errors.weir "SELECT value || ' ' || key FROM errors" | sort >by-weir
    diff by-awk by-weir >differ || {
        head -n 20 differ
        stop "the counts differ (< is right, > is weir's): something was lost or counted twice"
    }
    say "  $(awk '{ n += $1 } END { print n + 0 }' by-weir) of them failed, on" \
        "$(wc -l <by-weir) pages: equal to what awk counts"
    sort -rn by-weir | head -n 5 | sed 's/^/    /'
}

main()
{
    case ${1-} in
    -h | --help)
        sed -n '2,/^$/ s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" | sed '/^SPDX/d'
        exit 0
        ;;
    esac
    [ -x "$build/weir" ] || stop "there is no $build/weir; build it first, as examples/run.sh does"
    [ $# -eq 0 ] || [ -r "$1" ] || stop "cannot read $1"
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    work=$(mktemp -d "${TMPDIR:-/tmp}/weir-pipeline.XXXXXX")
    if [ $# -eq 0 ]; then
        make_log >"$work/log"
    else
        cat <"$1" >"$work/log"
    fi
    cd "$work"
    local lines
    lines=$(awk 'END { print NR }' log)
    say "A log of $lines lines; two jobs, each killed when it has read some more"
    run_with_kills "$(stat -c %s log)" "$lines"
    say "After $kills kills:"
    compare "$lines"
}

main "$@"
