#!/usr/bin/env python3
"""Prints weir's first figures, medians of n runs: how fast, at what cost, how soon after a kill.

    tests/bench/figures.py [--build DIR] [--repeat N] [--records N] [--keys N]

Throwaway by intent: `weir bench` will measure this fairly, in pairs and with baselines. Runs in a
folder of its own in the working directory, so that the disk is the one you mean (not a tmpfs).

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def run(options, folder, job, uri, *more, fault=None):
    """One run of a job; its last line of statistics, seconds, CPU seconds and resident KiB."""
    command = [f"{options.build}/weir", "run", "-q", "--stats", "stats", "-s", f"{folder}/job.weir",
               f"{options.build}/examples/{job}.so", "-i", f"in={uri}", "-o", "out=log:out", *more]
    environment = dict(os.environ)
    if fault:
        environment["WEIR_FAULT"] = fault
    before = time.monotonic()
    child = subprocess.Popen(command, cwd=folder, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - before
    child.returncode = status
    if not fault and status != 0:
        sys.exit(f"{' '.join(command)}: ended with {status}")
    stats = {}
    if not fault:
        with open(f"{folder}/stats", encoding="utf-8") as file:
            stats = json.loads(file.read().splitlines()[-1])
    return stats, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def fresh(parent):
    return tempfile.mkdtemp(prefix="run-", dir=parent)


def throughput(options, parent, name, job, uri, records, *more):
    rates, cpus, sizes = [], [], []
    for _ in range(options.repeat):
        folder = fresh(parent)
        stats, _, cpu, size = run(options, folder, job, uri, *more)
        rates.append(stats["records_per_s"])
        cpus.append(cpu / records * 1e6)
        sizes.append(size)
        shutil.rmtree(folder)
    print(f"{name:44} {statistics.median(rates):>12,.0f} records/s"
          f"  {statistics.median(cpus):6.2f} CPU s/M  {statistics.median(sizes) / 1024:6.1f} MiB",
          flush=True)


def times(name, seconds):
    print(f"{name:44} {statistics.median(seconds) * 1000:>12,.0f} ms", flush=True)


def restart(options, parent):
    """From the start of the process to its first decided epoch, where a kill -9 follows."""
    folder = fresh(parent)
    keys = options.keys
    run(options, folder, "count", f"gen:keyed?records={keys},keys={keys}")
    run(options, folder, "count", f"gen:keyed?records={2 * keys},keys={keys}",
        fault="decide_after_end:2")
    seconds = []
    for _ in range(options.repeat):
        seconds.append(run(options, folder, "count", f"gen:keyed?records={2 * keys},keys={keys}",
                           fault="decide_after_end:1")[1])
    shutil.rmtree(folder)
    times(f"restart after kill -9, {keys:,} keys", seconds)


def start(options, parent):
    seconds = []
    for _ in range(options.repeat):
        folder = fresh(parent)
        seconds.append(run(options, folder, "count", "gen:keyed?records=1000",
                           fault="fill_first_unit:1")[1])
        shutil.rmtree(folder)
    times("start of a new store to the first record", seconds)


def main():
    parser = argparse.ArgumentParser(description="weir's first figures, medians of n runs")
    parser.add_argument("--build", default="build")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--keys", type=int, default=2_000_000)
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parent = tempfile.mkdtemp(prefix="figures-", dir=".")
    parent = os.path.abspath(parent)
    records = options.records
    try:
        throughput(options, parent, "copy, 100 B", "copy", f"gen:keyed?records={records}", records)
        throughput(options, parent, "count, 100,000 keys", "count",
                   f"gen:keyed?records={records},keys=100000", records)
        throughput(options, parent, "count, a transaction per record", "count",
                   f"gen:keyed?records={records // 500},keys=100000", records // 500,
                   "--epoch-records", "1")
        throughput(options, parent, "count at 10,000 records/s", "count",
                   "gen:keyed?records=30000,keys=100000,rate=10000", 30000)
        start(options, parent)
        restart(options, parent)
    finally:
        shutil.rmtree(parent)


if __name__ == "__main__":
    main()
