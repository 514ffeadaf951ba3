#!/bin/sh
# fuzz.sh NAME FUZZER FOLDER: runs one fuzzer for WEIR_FUZZ_SECONDS (60), with its corpus in FOLDER
# as seeds. What it finds is kept in $WEIR_BUILD/fuzz-found, and named in the last lines.
# Exits 77 when the fuzzer was not built: `cmake --build BUILD --target fuzzers`.
# SPDX-License-Identifier: Apache-2.0
name=$1 fuzzer=$2 folder=$3
if [ ! -x "$fuzzer" ]; then
    echo "$fuzzer is not built; cmake --build $WEIR_BUILD --target fuzzers"
    exit 77
fi
found=$WEIR_BUILD/fuzz-found
mkdir -p "$found" new && touch log.start
set -- "$PWD/new" "$folder/corpus/$name"
if [ -e "$folder/$name.dict" ]; then
    set -- "-dict=$folder/$name.dict" "$@"
fi
# Inputs it makes up go into the first folder, which goes away with the scratch folder.
"$fuzzer" "-max_total_time=${WEIR_FUZZ_SECONDS:-60}" -timeout=25 -rss_limit_mb=2048 -max_len=4096 \
    "-artifact_prefix=$found/$name-" -print_final_stats=1 "$@" >log 2>&1
status=$?
tail -n 60 log
if [ $status -ne 0 ]; then
    echo
    echo "The fuzzer $name found something; the input is in $found:"
    find "$found" -name "$name-*" -newer log.start
    echo "Run it again:  $fuzzer $found/FILE"
    echo "Keep it:       cp $found/FILE $folder/corpus/$name/found-WHAT.in"
fi
[ $status -eq 0 ] # not its own code: libFuzzer's is 77, which would count as skipped
