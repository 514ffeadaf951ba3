#!/usr/bin/env bash
# Word count from kcat to kcat: lines go into a topic of Kafka, weir counts their words into another
# topic and is killed on the way, and kcat reads every count, each once and in order.
#
#     examples/kafka.sh           over the licences of this system (/usr/share/common-licenses)
#     examples/kafka.sh FILE...   over these files
#
# WEIR_KAFKA=HOST:PORT names a broker; without it one is started for this run, by
# tests/kafka/broker (Java, and once Maven). Makes two topics there and leaves them. Needs kcat,
# sqlite3, and what examples/run.sh has built (or $WEIR_BUILD). Works in a temporary folder. Ends
# with 0 when every count is right, else with 1.
#
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
export LC_ALL=C

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
build=${WEIR_BUILD:-$root/build}
kafka=${WEIR_KAFKA:-} # HOST:PORT
lines=lines-$$        # topics
counts=counts-$$
work=                 # a temporary folder of this run
job=                  # the process that runs the job, while it does

say()
{
    printf '%s\n' "$*"
}

stop()
{
    printf 'examples/kafka.sh: %s\n' "$*" >&2
    exit 1
}

clean_up()
{
    trap '' INT TERM
    if [ -n "$job" ]; then
        kill -9 "$job" 2>/dev/null || true
    fi
    if [ -n "$work" ]; then
        if [ -d "$work/broker" ]; then
            "$root/tests/kafka/broker" down "$work/broker" || true
        fi
        rm -rf -- "$work"
    fi
}

start_broker()
{
    if [ -z "$kafka" ]; then
        kafka=$("$root/tests/kafka/broker" up "$work/broker" --partitions 3) ||
            stop "no broker: name one that runs, WEIR_KAFKA=HOST:PORT"
    fi
    say "The broker: $kafka"
}

# By asking for it, where the broker makes topics when they are first named; 1: it is not there.
make_topic()
{
    local try
    for try in 1 2 3 4 5 6 7 8 9 10; do
        if kcat -L -b "$kafka" -t "$1" -X allow.auto.create.topics=true 2>/dev/null |
            grep -q " topic \"$1\" with [1-9]"; then
            return 0
        fi
        sleep 0.2
    done
    stop "topic $1 is not there, after $try tries; make $lines and $counts by hand?"
}

# ---- The job

# Small epochs, so that there is a middle in which it can be killed.
start_job()
{
    "$build/weir" run "$build/examples/wordcount.so" -i "lines=kafka://$kafka/$lines" \
        -o "counts=kafka://$kafka/$counts" --epoch-records 50 --forward-ms 10 "$@" 2>>said &
    job=$!
}

# Counts that a reader of what is committed may see now.
visible()
{
    kcat -C -q -e -b "$kafka" -t "$counts" -o beginning -X isolation.level=read_committed \
        -f "$1" 2>>said-by-kcat
}

# How many lines were read, by the store.
position()
{
    sqlite3 -readonly wordcount.weir 'SELECT coalesce(sum(next), 0) FROM position' 2>/dev/null ||
        echo 0
}

# Kills the job once it has read so many lines.
kill_at()
{
    while [ "$(position)" -lt "$1" ]; do
        kill -0 "$job" 2>/dev/null || fail_job
    done
    kill -9 "$job" 2>/dev/null || true
    wait "$job" 2>/dev/null || true
    job=
    say "  killed with kill -9 at line $(position); $(visible '%o\n' | wc -l) counts are visible"
}

fail_job()
{
    cat said >&2
    stop "the job has ended"
}

# Lines come while the job runs, and while it does not.
run_with_kills()
{
    kcat -P -b "$kafka" -t "$lines" -l first
    start_job
    kill_at $((all / 4))
    kcat -P -b "$kafka" -t "$lines" -l second
    start_job
    kill_at $((all * 3 / 4))
    start_job --until-end
    wait "$job" || fail_job
    job=
}

# ---- The result

# Each word's counts are 1, 2, 3 and so on to how often it is in the text: what is lost, repeated or
# out of order breaks that row.
compare()
{
    tr -cs 'A-Za-z0-9' '\n' <text | sed '/^$/d' | sort | uniq -c |
        awk '{ print $2 "\t" $1 }' >right
    visible '%k\t%s\n' | awk -F '\t' '
        $2 != n[$1] + 1 { print "word " $1 ": " $2 " after " n[$1] + 0; bad = 1 }
        { n[$1] = $2 }
        END { for (word in n) print word "\t" n[word] >"weirs"; exit bad }' >gaps || {
        head -n 20 gaps
        stop "counts are lost, repeated, or out of order"
    }
    sort weirs >sorted
    diff right sorted >differ || {
        head -n 20 differ
        stop "the counts differ (< is right, > is weir's)"
    }
    say "  equal: $(wc -l <right) different words, $(visible '%o\n' | wc -l) counts;" \
        "nothing lost, nothing twice"
    sort -t '	' -k 2,2nr right | sed -n '1,5s/^/    /p'
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
    command -v kcat >/dev/null || stop "there is no kcat; install it (Debian: apt-get install kcat)"
    [ $# -gt 0 ] || set -- /usr/share/common-licenses/*
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    work=$(mktemp -d "${TMPDIR:-/tmp}/weir-kafka.XXXXXX")
    cat -- "$@" "$@" "$@" "$@" | sed '/^$/d' >"$work/text" || stop "cannot read $*"
    cd "$work"
    split -n l/2 text part && mv partaa first && mv partab second
    all=$(wc -l <text)
    words=$(tr -cs 'A-Za-z0-9' '\n' <text | sed '/^$/d' | wc -l)
    start_broker
    make_topic "$lines"
    make_topic "$counts"
    say "Counting $words words from topic $lines into topic $counts; the job is killed twice"
    run_with_kills
    say "What kcat reads, beside tr | sort | uniq -c:"
    compare
}

main "$@"
