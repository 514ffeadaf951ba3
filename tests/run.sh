#!/usr/bin/env bash
# tests/run.sh: install what is missing, build, run every test, in three builds.
#
#   tests/run.sh                 all of it; the last line counts what passed and failed
#   tests/run.sh unit/arena      only tests whose name has this in it, in the first build
#   tests/run.sh --long          also tests labelled long, and more rounds in tests that have any;
#                                each fuzzer runs for WEIR_FUZZ_SECONDS (60)
#   tests/run.sh --list          the tests' names
#
# The tests of Kafka start a broker of their own; WEIR_KAFKA=HOST:PORT uses one that runs already.
# Builds are kept in build-tests/ (or $WEIR_BUILD_TESTS), so a second run compiles what changed.
# Exits 0 only when nothing failed.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
builds=${WEIR_BUILD_TESTS:-$root/build-tests}
jobs=${WEIR_JOBS:-2}
passed=0
failed=0
skipped=0
wanted=""
long=no
list=no

usage()
{
    sed -n '2,/^# SPDX/{/^# SPDX/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}

# ---- What the builds need, as "package:a command that succeeds when it is there"

needs=(
    "gcc:command -v gcc"
    "libc6-dev:test -e /usr/include/stdio.h"
    "g++:command -v g++"
    "clang:command -v clang"
    "libclang-rt-dev:ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan-*.a"
    "cmake:command -v cmake"
    "ninja-build:command -v ninja"
    "pkg-config:command -v pkg-config"
    "python3:command -v python3"
    "sqlite3:command -v sqlite3"
    "libsqlite3-dev:pkg-config --exists sqlite3"
    "libuv1-dev:pkg-config --exists libuv"
    "libcmocka-dev:pkg-config --exists cmocka"
    "libisal-dev:pkg-config --exists libisal"
    "libxxhash-dev:pkg-config --exists libxxhash"
    "zlib1g-dev:pkg-config --exists zlib"
    "librdkafka-dev:pkg-config --exists rdkafka"
    "libjansson-dev:pkg-config --exists jansson"
    "libyajl-dev:pkg-config --exists yajl"
    "procps:command -v ps"
    "jq:command -v jq"
    "gnuplot-nox:command -v gnuplot"
)

# apt_install PACKAGE...: its output is shown when it fails.
apt_install()
{
    local log as_root=()
    if ! command -v apt-get >/dev/null; then
        echo "tests/run.sh: not found: $* (Debian's package names)." \
            "There is no apt-get here; install them and run this again." >&2
        return 69
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "tests/run.sh: missing packages, and neither root nor sudo to install them." \
                "As root: apt-get install $*" >&2
            return 77
        fi
        as_root=(sudo)
    fi
    echo "Installing with apt-get: $*"
    log=$(mktemp)
    if ! {
        "${as_root[@]}" apt-get update -qq &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -qq --no-install-recommends "$@"
    } </dev/null >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        echo "tests/run.sh: apt-get could not install: $*; its output is above" >&2
        return 69
    fi
    rm -f "$log"
}

install_missing()
{
    local need missing=()
    for need in "${needs[@]}"; do
        if ! ${need#*:} >/dev/null 2>&1; then
            missing+=("${need%%:*}")
        fi
    done
    if [ ${#missing[@]} -gt 0 ]; then
        apt_install "${missing[@]}" || exit
    fi
}

# What a Kafka broker is started from. Where it cannot be had, the tests of Kafka are skipped: they
# read WEIR_KAFKA_SKIP.
prepare_kafka()
{
    local need version said missing=()
    if [ -n "${WEIR_KAFKA:-}${WEIR_KAFKA_SKIP:-}" ]; then
        return
    fi
    for need in default-jre-headless:java maven:mvn openssl:openssl kcat:kcat; do
        if ! command -v "${need#*:}" >/dev/null; then
            missing+=("${need%%:*}")
        fi
    done
    if [ ${#missing[@]} -gt 0 ]; then
        apt_install "${missing[@]}" 2>/dev/null || true # the broker then says what it lacks
    fi
    for version in 4.3.1 3.9.1; do
        if ! said=$("$root/tests/kafka/broker" fetch --version "$version" 2>&1); then
            said=${said%%$'\n'*}
            said=${said#tests/kafka/broker: }
            WEIR_KAFKA_SKIP=${said%:}
            export WEIR_KAFKA_SKIP
            echo "The tests of Kafka are skipped: $WEIR_KAFKA_SKIP"
            return
        fi
    done
}

# ---- One build, its tests, and the count

# build NAME COMPILER SANITIZERS: 0 when all of it was built.
build()
{
    local folder=$builds/$1 generator=()
    mkdir -p "$folder"
    if [ ! -e "$folder/CMakeCache.txt" ]; then
        generator=(-G Ninja "-DCMAKE_C_COMPILER=$2")
    fi
    if ! cmake -S "$root" -B "$folder" "${generator[@]}" -DWEIR_TESTS=ON -DWEIR_WERROR=ON \
        "-DWEIR_SANITIZE=$3" >"$folder/configure.log" 2>&1; then
        cat "$folder/configure.log"
        return 1
    fi
    cmake --build "$folder" -j "$jobs" -- -k 0
}

# count LOG: adds what ctest wrote there to the totals.
count()
{
    local line all bad skip
    line=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests? failed out of [0-9]+' "$1" | tail -n 1)
    if [ -z "$line" ]; then
        return 1
    fi
    bad=$(sed -E 's/.*passed, ([0-9]+) .*/\1/' <<<"$line")
    all=$(sed -E 's/.*out of ([0-9]+).*/\1/' <<<"$line")
    skip=$(grep -cE '\*\*\*Skipped' "$1" || true)
    passed=$((passed + all - bad - skip))
    failed=$((failed + bad))
    skipped=$((skipped + skip))
}

# leg NAME COMPILER SANITIZERS CTEST-OPTION...
leg()
{
    local name=$1 compiler=$2 sanitizers=$3 log=$builds/$1/ctest.log status=0
    shift 3
    echo "==== $name: $compiler, $sanitizers"
    if ! build "$name" "$compiler" "$sanitizers"; then
        echo "==== $name: the build failed"
        failed=$((failed + 1))
        if [ -z "$wanted" ]; then
            return
        fi
    fi
    if [ "$long" = no ]; then
        set -- "$@" -LE '^long$'
    elif [ "$compiler" = clang ] &&
        ! cmake --build "$builds/$name" -j "$jobs" --target fuzzers -- -k 0; then
        echo "==== $name: the build of the fuzzers failed"
        failed=$((failed + 1))
    fi
    ctest --test-dir "$builds/$name" -j "$jobs" --output-on-failure --no-tests=error "$@" \
        </dev/null 2>&1 | tee "$log" || status=$?
    if ! count "$log"; then
        echo "==== $name: ctest ran nothing (exit $status); tests/run.sh --list names the tests"
        failed=$((failed + 1))
    fi
}

while [ $# -gt 0 ]; do
    case $1 in
    --long) long=yes ;;
    --list) list=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    -*)
        echo "tests/run.sh: unknown option $1; see tests/run.sh --help" >&2
        exit 64
        ;;
    *) # a test's name, or its file
        name=${1#"$root"/}
        name=${name#tests/}
        name=${name/test_/}
        name=${name%.*}
        wanted=${wanted:+$wanted|}$name
        ;;
    esac
    shift
done

install_missing
if [ "$list" = yes ]; then
    build gcc-asan gcc address,undefined >/dev/null || true
    ctest --test-dir "$builds/gcc-asan" -N | sed -n 's/^ *Test *#[0-9]*: //p'
    exit 0
fi
if [ "$long" = yes ]; then
    export WEIR_LONG=1
fi

# Scratch folders of the tests; removed here too, for tests that were killed.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/weir-tests.XXXXXX")
export TMPDIR
trap 'chmod -R u+rwX "$TMPDIR" && rm -rf "$TMPDIR"' EXIT

mkdir -p "$builds"
if [ -z "$wanted" ] || [[ $wanted = *kafka* ]]; then
    prepare_kafka
fi
if [ -n "$wanted" ]; then
    leg gcc-asan gcc address,undefined -R "$wanted"
else
    leg gcc-asan gcc address,undefined
    leg clang clang address,undefined -L '^(unit|property|fuzz)$'
    leg tsan gcc thread -L '^threads$'
fi

if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
