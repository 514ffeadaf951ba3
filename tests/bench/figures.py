#!/usr/bin/env python3
"""Prints weir's figures: how fast, at what cost, how soon after a kill; of one build, or of two.

    tests/bench/figures.py [--repeat N] [--records N] [--only WORD] [--dir DIR] BUILD [BUILD]

BUILD is a folder of a release build. Of one: medians of --repeat runs (5), and CPU seconds per
million records, resident memory. Of two: the runs are interleaved, a pair each time, and the ratio
is the median of the pairs' ratios, the second build next to the first, with the lowest and the
highest; above 1 is faster, also where the figure is a time. --records N (2,000,000) is the size of
the largest runs; the others go with it. --only WORD: the figures whose name has it in it, as often
as wanted; --list names them all.

Runs are in a folder of their own in --dir (the working directory), which has to be on a disk.

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

KEYS, MANY_KEYS = 100_000, 2_000_000


class Run:
    """One run of a job: its last line of statistics, seconds, CPU seconds, resident KiB."""

    def __init__(self, build, folder, job, uri, *more, fault=None):
        command = [f"{build}/weir", "run", "-q", "--stats", "stats", "-s", "job.weir",
                   f"{build}/examples/{job}.so", "-i", f"in={uri}", "-o", "out=log:out", *more]
        environment = {**os.environ, "WEIR_FAULT": fault or ""}
        if not fault:
            del environment["WEIR_FAULT"]
        before = time.monotonic()
        child = subprocess.Popen(command, cwd=folder, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        self.seconds = time.monotonic() - before
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != (-9 if fault else 0):
            sys.exit(f"{' '.join(command)}: ended with {child.returncode}")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.resident = usage.ru_maxrss
        self.stats = {}
        if not fault:
            with open(f"{folder}/stats", encoding="utf-8") as file:
                self.stats = json.loads(file.read().splitlines()[-1])


class Throughput:
    """Records a second of a job in a new store."""

    unit, lower = "records/s", False

    def __init__(self, name, job, records, keys, *more):
        self.name, self.job, self.records, self.more = name, job, int(records), more
        self.uri = f"gen:keyed?records={self.records}&keys={keys}"

    def prepare(self, build, folder):
        pass

    def run(self, build, folder):
        clean(folder)
        run = Run(build, folder, self.job, self.uri, *self.more)
        return run.stats["records_per_s"], run


class Paced(Throughput):
    """A job whose input comes at a rate, three seconds long: what an epoch takes to decide."""

    unit, lower = "ms", True

    def __init__(self, name, rate):
        super().__init__(name, "count", 3 * rate, KEYS)
        self.uri += f"&rate={rate}"

    def run(self, build, folder):
        _, run = super().run(build, folder)
        return run.stats["decide_ms_p99"], run


class Start:
    """From the start of the process to the first record, in a new store."""

    name, unit, lower, records = "start of a new store", "ms", True, 0

    def prepare(self, build, folder):
        pass

    def run(self, build, folder):
        clean(folder)
        run = Run(build, folder, "count", "gen:keyed?records=1000", fault="fill_first_unit:1")
        return run.seconds * 1000, run


class Restart:
    """From the start of the process, after a kill -9, to its first decided epoch."""

    name, unit, lower, records = f"restart after kill -9, {MANY_KEYS:,} keys", "ms", True, 0
    uri = f"gen:keyed?records={4 * MANY_KEYS}&keys={MANY_KEYS}"

    def prepare(self, build, folder):
        clean(folder)
        Run(build, folder, "count", f"gen:keyed?records={MANY_KEYS}&keys={MANY_KEYS}")
        Run(build, folder, "count", self.uri, fault="decide_after_end:2")

    def run(self, build, folder):
        run = Run(build, folder, "count", self.uri, fault="decide_after_end:1")
        return run.seconds * 1000, run


def figures_of(records):
    return [
        Throughput("copy, 100 B", "copy", records, KEYS),
        Throughput(f"count, {KEYS:,} keys", "count", records, KEYS),
        Throughput(f"count, {MANY_KEYS:,} keys", "count", records, MANY_KEYS),
        Throughput("count, epochs of 1", "count", records / 200, KEYS, "--epoch-records", "1"),
        Throughput("count, epochs of 100", "count", records / 20, KEYS, "--epoch-records", "100"),
        Throughput("count, epochs of 10,000", "count", records / 2, KEYS, "--epoch-records",
                   "10000"),
        Paced("count at 1,000 records/s, decide p99", 1_000),
        Paced("count at 10,000 records/s, decide p99", 10_000),
        Start(),
        Restart(),
    ]


def clean(folder):
    shutil.rmtree(folder)
    os.mkdir(folder)


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def median(measured, of):
    return statistics.median(of(value, run) for value, run in measured)


def row(figure, measured):
    """A line of the table: one build's medians, or two builds' and what became of them."""
    values = [number(median(runs, lambda value, _: value)) for runs in measured]
    cpus = ["-"] * len(measured)
    if figure.records:
        cpus = [number(median(runs, lambda _, run: run.cpu) / figure.records * 1e6)
                for runs in measured]
    resident = [f"{median(runs, lambda _, run: run.resident) / 1024:.0f}" for runs in measured]
    ratio = spread = ""
    if len(measured) == 2:
        ratios = [new[0] / old[0] for old, new in zip(*measured)]
        if figure.lower:
            ratios = [1 / one for one in ratios]
        ratio = f"{statistics.median(ratios):.2f}"
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return figure.name, values, figure.unit, ratio, spread, cpus, resident


def show(name, values, unit, ratio, spread, cpus, resident):
    columns = [f"{name:<39}", *(f"{value:>11}" for value in values), f" {unit:<9}"]
    if len(values) == 2:
        columns += [f"{ratio:>6}", f"{spread:>13}"]
    columns += [*(f"{cpu:>9}" for cpu in cpus), *(f"{size:>9}" for size in resident)]
    print(" ".join(columns).rstrip(), flush=True)


def measure(figure, builds, folders, repeat):
    for build, folder in zip(builds, folders):
        figure.prepare(build, folder)
    measured = [[] for _ in builds]
    for _ in range(repeat):
        for runs, build, folder in zip(measured, builds, folders):
            runs.append(figure.run(build, folder))
    for folder in folders:
        clean(folder)
    return measured


def read_arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].strip(),
                                     description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("builds", nargs="*", metavar="BUILD")
    parser.add_argument("--repeat", type=int, default=5, metavar="N")
    parser.add_argument("--records", type=int, default=2_000_000, metavar="N")
    parser.add_argument("--only", action="append", metavar="WORD")
    parser.add_argument("--dir", default=".")
    parser.add_argument("--list", action="store_true", help="the figures' names")
    options = parser.parse_args()
    if options.repeat < 1 or options.records < 200:
        parser.error("--repeat is 1 or more, --records 200 or more")
    if not options.list and len(options.builds) not in (1, 2):
        parser.error("one or two build folders are needed")
    for build in options.builds:
        if not os.access(f"{build}/weir", os.X_OK):
            parser.error(f"{build}: there is no weir in it; build it first")
    options.builds = [os.path.abspath(build) for build in options.builds]
    options.figures = [figure for figure in figures_of(options.records)
                       if not options.only or any(word in figure.name for word in options.only)]
    if not options.figures:
        parser.error("no figure has that in its name; --list shows them")
    return options


def main():
    options = read_arguments()
    if options.list:
        print("\n".join(figure.name for figure in options.figures))
        return
    kind = subprocess.run(["stat", "-f", "-c", "%T", options.dir], capture_output=True, text=True,
                          check=True).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        sys.exit(f"{options.dir} is in memory ({kind}), where an fsync is free; name a folder on a"
                 " disk with --dir")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parent = tempfile.mkdtemp(prefix="figures-", dir=os.path.abspath(options.dir))
    folders = [os.path.join(parent, str(i)) for i in range(len(options.builds))]
    try:
        for folder in folders:
            os.mkdir(folder)
        two = len(options.builds) == 2
        names = ["old", "new"] if two else ["median"]
        show("figure", names, "", "ratio", "spread",
             [f"{name} CPU" for name in names] if two else ["CPU s/M"],
             [f"{name} MiB" for name in names] if two else ["MiB"])
        for figure in options.figures:
            show(*row(figure, measure(figure, options.builds, folders, options.repeat)))
        if two:
            print("CPU: seconds per million records. MiB: resident at the most. Medians of"
                  f" {options.repeat} pairs.")
    finally:
        shutil.rmtree(parent)


if __name__ == "__main__":
    main()
