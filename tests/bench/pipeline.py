"""What a pipeline of two jobs costs: `python3 tests/bench/pipeline.py [BUILD]`, of a release build.

A generator writes a topic, 100 records a second; a second process reads it as log:, into a topic of
its own. Latency is that from the time at which the first process began to decide a record to the
time at which the second one began to (table epoch of both stores, in milliseconds); to it comes one
fsync. Then the first process stops, and what the second one costs while nothing comes is read from
/proc for 10 s.

SPDX-License-Identifier: Apache-2.0
"""

import bisect
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
SECONDS, IDLE_SECONDS = 10, 10


def start(folder, store, *options):
    return subprocess.Popen([BUILD / "weir", "run", "-q", BUILD / "examples" / "copy.so", "-s",
                             store, *options], cwd=folder)


def stop(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def decided(path):
    """[(next offset of the topic after an epoch, when it was decided)]"""
    store = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    rows = store.execute("SELECT offsets ->> '$.out.0', time_ms FROM epoch ORDER BY number")
    found = [row for row in rows if row[0]]
    store.close()
    return found


def latencies(folder):
    first, second = decided(folder / "a.weir"), decided(folder / "b.weir")
    ends = [end for end, _ in second]
    found = []
    for (before, _), (end, time_ms) in zip([(0, 0), *first], first):
        at = bisect.bisect_left(ends, end)
        if at < len(second) and time_ms > second[0][1]:  # not what is older than the reader
            found += [second[at][1] - time_ms] * (end - before)
    return sorted(found)


def cost(process):
    """CPU seconds and context switches of a process so far."""
    ticks = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    switches = 0
    for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary"):
                switches += int(line.split()[1])
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), switches


def main():
    with tempfile.TemporaryDirectory(prefix="weir-bench.") as name:
        folder = pathlib.Path(name)
        first = start(folder, "a.weir", "-i", "in=gen:keyed?rate=100", "-o", "out=log:out")
        while not (folder / "a.weir").exists():
            time.sleep(0.01)
        time.sleep(0.5)
        second = start(folder, "b.weir", "-i", "in=log:out?store=a.weir", "-o", "out=log:out")
        time.sleep(SECONDS)
        stop(first)
        time.sleep(2)
        cpu, switches = cost(second)
        time.sleep(IDLE_SECONDS)
        cpu_after, switches_after = cost(second)
        stop(second)
        found = latencies(folder)
        print(f"{len(found)} records, from decided to decided: p50 {found[len(found) // 2]} ms,"
              f" p99 {found[len(found) * 99 // 100]} ms, most {found[-1]} ms")
        print(f"idle: {(cpu_after - cpu) / IDLE_SECONDS:.2%} of a core,"
              f" {(switches_after - switches) / IDLE_SECONDS:.0f} wake-ups a second")


if __name__ == "__main__":
    main()
