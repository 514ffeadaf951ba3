#!/usr/bin/env python3
"""Measures what docs/PERFORMANCE.md shows, and writes it there.

    tests/bench/performance.py [--only NAME] [--before REVISION] BUILD    measures, then writes
    tests/bench/performance.py --write BUILD                              writes what was measured

BUILD is a folder of a release build of this tree. What is measured goes to docs/performance, a file
for each NAME (--list shows them), the command in its first line; the tables of docs/PERFORMANCE.md
between `<!-- figures: NAME -->` and `<!-- end -->` are written from these files alone, and the plot
docs/performance/throughput.svg is drawn from delivery.jsonl by `weir bench --from`. All takes about
40 minutes on an idle machine; runs are in a folder of their own in --dir (the working directory).

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import math
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / "PERFORMANCE.md", ROOT / "README.md"]
DATA = ROOT / "docs" / "performance"

QUERIES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 11, *range(14, 23)]
ONE = ["--delivery", "exactly-once", "--epoch-records", "adaptive", "--kills", "0"]
BENCH = {  # weir bench, with these
    "delivery": ["--epoch-records", "1,100,10000,adaptive", "--seconds", "0.5", "--repeat", "7"],
    "copy": ["--job", "copy", *ONE, "--seconds", "3"],
    "many-keys": ["--keys", "2000000", "--cache", "512M", *ONE, "--seconds", "5", "--repeat", "2"],
    "slow": [*ONE, "--rate", "1000", "--seconds", "5", "--repeat", "3"],
    "paced": [*ONE, "--rate", "10000", "--seconds", "5", "--repeat", "3"],
    "kafka": ["--kafka", str(ROOT / "tests" / "kafka" / "broker"), "--repeat", "5", "--kills", "3"],
    "kafka-restart": ["--kafka", str(ROOT / "tests" / "kafka" / "broker"), "--job", "count",
                      "--delivery", "exactly-once", "--keys", "2000000", "--cache", "512M",
                      "--records", "6000000", "--repeat", "1", "--kills", "6", "--broker-kills",
                      "0", "--rate", "1000"],
    "nexmark": ["--job", ",".join(f"nexmark_q{n}" for n in QUERIES), *ONE, "--seconds", "2",
                "--repeat", "3", "--rate", "100000"],
    "sync": ["--epoch-records", "1,adaptive", "--sync", "full,normal,off", "--seconds", "0.5",
             "--kills", "0"],
}
LONG_RECORDS, EARLY, LATE, WINDOW = 25_000_000, 1_000_000, 20_000_000, 5_000_000


# ---- Measuring

def bench(name, build, folder):
    out = subprocess.run([build / "weir", "bench", "--json", *BENCH[name]], cwd=folder, check=True,
                         stdout=subprocess.PIPE).stdout
    (DATA / f"{name}.jsonl").write_bytes(out)


def long_run(build, folder, out):
    """[(records, seconds)] of one run over LONG_RECORDS records, a pair a second."""
    shutil.rmtree(folder / "long", ignore_errors=True)
    (folder / "long").mkdir()
    subprocess.run([build / "weir", "run", "-q", "--stats", "stats", "-s", "s.weir",
                    build / "examples" / "copy.so", "-i", f"in=gen:keyed?records={LONG_RECORDS}",
                    "-o", f"out={out}"], cwd=folder / "long", check=True)
    lines = (folder / "long" / "stats").read_text().splitlines()
    shutil.rmtree(folder / "long")
    return [(line["records_in"], line["seconds"]) for line in map(json.loads, lines)]


def rate_from(points, first):
    """Records a second over WINDOW records from the first one on."""
    def second_of(records):
        before = (0, 0.0)
        for point in points:
            if point[0] >= records:
                share = (records - before[0]) / max(point[0] - before[0], 1)
                return before[1] + share * (point[1] - before[1])
            before = point
        return before[1]
    return WINDOW / (second_of(first + WINDOW) - second_of(first))


def long(build, folder):
    command = "weir run examples/copy.so -i in=gen:keyed?records=25000000 -o out=OUT"
    lines = [json.dumps({"type": "long", "command": command})]
    for repeat in range(1, 4):
        for out in ("log:out", "log:out?retain_bytes=64M"):
            points = long_run(build, folder, out)
            lines.append(json.dumps({"type": "long", "out": out, "repeat": repeat,
                                     "early_per_s": round(rate_from(points, EARLY)),
                                     "late_per_s": round(rate_from(points, LATE))}))
    (DATA / "long.jsonl").write_text("\n".join(lines) + "\n")


def starts(build, folder):
    figures = ROOT / "tests" / "bench" / "figures.py"
    out = subprocess.run([sys.executable, figures, "--only", "start", build], cwd=folder,
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    (DATA / "starts.txt").write_text("$ tests/bench/figures.py --only start BUILD\n" + out)


def before_after(revision, folder):
    command = ["tests/bench/run.sh", "--all", "--repeat", "5", "--dir", str(folder), revision]
    out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    shown = " ".join(command[:4] + command[6:])
    (DATA / "before-after.txt").write_text(f"$ {shown}\n" + out)


# ---- What is shown of it

def number(value):
    if value is None or math.isnan(value):
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(cell, name):
    if cell.get(name) is None:
        return "–"
    low, high = number(cell[name + "_min"]), number(cell[name + "_max"])
    if low == high:
        return number(cell[name])
    return f"{number(cell[name])} ({low}–{high})"


def lines_of(name):
    path = DATA / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def cells(name, **wanted):
    return [line for line in lines_of(name) if line["type"] == "cell" and
            all(line.get(key) == value for key, value in wanted.items())]


def epoch(cell):
    size = cell["epoch_records"]
    return "adaptive" if size is None else f"{size:,}"


def title(cell):
    return cell["delivery"] or {"loop": "loop by hand",
                                "loop_at_least_once": "loop by hand, at least once",
                                "no_positions": "no positions",
                                "raw_overwrite": "raw, overwritten",
                                "raw_append": "raw, appended"}[cell["kind"]]


def table(heads, rows):
    out = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return out + ["| " + " | ".join(row) + " |" for row in rows]


def show_machine():
    machine = lines_of("delivery")[0]
    return table(["", ""], [
        ["processor", f"{machine['cpu']}, {machine['cores']} cores, shared with other machines"],
        ["memory", f"{machine['memory_kib'] / 1048576:.1f} GiB"],
        ["system", f"{machine['system']}, {machine['kernel']}"],
        ["file system", machine["file_system"]],
        ["fsync of a 4 KiB page", f"{machine['fsync_us_p50']:.0f} µs, p99 "
         f"{machine['fsync_us_p99']:,.0f} µs, longest {machine['fsync_us_max']:,.0f} µs"],
        ["load when it began", f"{machine['load']}"],
        ["versions", machine["versions"]],
        ["begun", machine["time"]]])


def show_delivery():
    rows = [[epoch(cell), title(cell), spread(cell, "records_per_s"),
             spread(cell, "ratio_to_at_least_once"), spread(cell, "ratio_to_loop"),
             spread(cell, "ratio_to_raw_overwrite"), number(cell["cpu_s_per_million"])]
            for cell in cells("delivery")]
    return table(["records in a transaction", "what ran", "records/s", "to at-least-once",
                  "to the loop", "to raw bytes", "CPU s per million"], rows)


def show_latency():
    rows = []
    for name in ("delivery", "slow", "paced"):
        for cell in cells(name, kind="weir"):
            for at in cell["latency"]:
                share = f" ({at['rate_percent']} %)" if at["rate_percent"] else ""
                rows.append([epoch(cell), title(cell), f"{at['rate']:,}{share}", *(
                    number(at[f"latency_us_{which}"] / 1000)
                    for which in ("p50", "p99", "p999", "max"))])
    return table(["records in a transaction", "mode", "records/s", "p50 ms", "p99 ms", "p99.9 ms",
                  "max ms"], rows)


def show_kills():
    rows = [[title(cell), *(number(cell[name]) for name in (
        "kills", "expected", "lost", "repeated", "reordered", "state_errors", "recovery_ms"))]
            for cell in cells("delivery", kind="weir") if cell["kills"] is not None]
    return table(["mode", "kills", "output records", "lost", "repeated", "out of order",
                  "keys with wrong counts", "restart to first epoch, ms"], rows)


def show_parts():
    """Means over all records of all runs: medians would not add up."""
    rows = []
    for cell in cells("delivery", kind="weir", delivery="exactly-once"):
        runs = [line for line in lines_of("delivery") if line["type"] == "run" and all(
            line[name] == cell[name] for name in ("kind", "delivery", "group"))]
        records = sum(run["records"] for run in runs)
        rows.append([epoch(cell), *(
            number(sum(run[name] for run in runs) * 1e6 / records)
            for name in ("read_s", "operators_s", "apply_s", "fsync_s", "seconds")),
                     number(cell["bytes_per_record"]), number(cell["fsyncs_per_record"] * 1000)])
    return table(["records in a transaction", "read", "operators", "apply", "fsync",
                  "time that passed", "bytes written", "fsyncs per 1,000"], rows)


def show_jobs():
    rows = []
    for name, what in (("copy", "copy, 100 bytes"), ("delivery", "count, 100,000 keys"),
                       ("many-keys", "count, 2,000,000 keys, `--cache 512M`")):
        for cell in cells(name, kind="weir", delivery="exactly-once", epoch_records=None):
            rows.append([what, spread(cell, "records_per_s"), number(cell["mb_per_s"]),
                         number(cell["cpu_s_per_million"]), number(cell["rss_kib"] / 1024)])
    return table(["job", "records/s", "MB/s", "CPU s per million", "peak MiB"], rows)


def show_sync():
    rows = [[cell["sync"], epoch(cell), title(cell), spread(cell, "records_per_s"),
             spread(cell, "ratio_to_at_least_once")] for cell in cells("sync", kind="weir")]
    return table(["sync", "records in a transaction", "mode", "records/s", "to at-least-once"],
                 rows)


def show_nexmark():
    """The operators are one thread's work, so records/s are one core's as they come; what the other
    threads add is in the CPU seconds."""
    found = cells("nexmark", kind="weir")
    if not found:
        return ["not measured"]
    stateless = [f"nexmark_q{n}" for n in (0, 1, 2, 14, 21, 22)]
    rows = [[cell["job"].removeprefix("nexmark_"),
             "500,000" if cell["job"] in stateless else "200,000", spread(cell, "records_per_s"),
             number(cell["cpu_s_per_million"]), number(1e6 / cell["cpu_s_per_million"]),
             number(cell["bytes_per_record"]), number(cell["rss_kib"] / 1024)] for cell in found]
    return [f"Load of the machine when it began: {lines_of('nexmark')[0]['load']}.", "",
            *table(["query", "aim", "events/s", "CPU s per million", "events per CPU second",
                    "bytes written", "peak MiB"], rows)]


def way(cell):
    each = f", each {cell['forward_ms']} ms" if cell["forward_ms"] else ""
    return f"{cell['job']}, Kafka to {'Kafka' if cell['output'] == 'kafka' else '`log:`'}{each}"


def show_kafka_goals():
    def one(field, name="kafka", **wanted):
        found = [cell[field] for cell in cells(name, **wanted) if cell.get(field) is not None]
        return found[0] if found else math.nan
    once = {"kind": "weir", "delivery": "exactly-once"}
    both = [one("ratio_to_at_least_once", job=job, output="kafka", **once)
            for job in ("copy", "count")]
    late = [one("latency_us_p99", job=job, output="kafka", **once) / 1000
            for job in ("copy", "count")]
    space = [cell["rss_kib"] / 1024 for cell in cells("kafka", **once)]
    rows = [
        ["count, Kafka to `log:`, exactly-once / the loop into SQLite", "2.0",
         number(one("ratio_to_loop", output="log", **once))],
        ["copy, Kafka to Kafka, exactly-once / the loop in transactions", "0.8",
         number(one("ratio_to_loop", job="copy", output="kafka", **once))],
        ["count, Kafka to Kafka, exactly-once, records/s", "600,000",
         number(one("records_per_s", job="count", output="kafka", **once))],
        ["its CPU seconds per million records", "2.5",
         number(one("cpu_s_per_million", job="count", output="kafka", **once))],
        ["exactly-once / at-least-once, Kafka to Kafka, copy and count", "0.85",
         ", ".join(map(number, both))],
        ["arrival to visible, p99 at 50 % of the throughput, copy and count, ms", "200",
         ", ".join(map(number, late))],
        ["restart after kill -9 to the first new visible record, 2,000,000 keys, ms", "1,000",
         number(one("recovery_ms", name="kafka-restart", output="kafka", **once))],
        ["peak memory, MiB", "128", number(max(space)) if space else "–"]]
    return table(["figure", "aim", "measured"], rows)


def show_kafka():
    found = cells("kafka")
    if not found:
        return ["not measured"]
    load = lines_of("kafka")[0]["load"]
    speed = [[way(cell), title(cell), spread(cell, "records_per_s"),
              spread(cell, "ratio_to_at_least_once"), spread(cell, "ratio_to_loop"),
              number(cell["cpu_s_per_million"]), number(cell["rss_kib"] / 1024)] for cell in found]
    lag = [[way(cell), title(cell), f"{at['rate']:,}", number(at["latency_us_p50"] / 1000),
            number(at["latency_us_p99"] / 1000), number(at["latency_us_p999"] / 1000)]
           for cell in found for at in cell["latency"] if at["latency_us_p50"] is not None]
    killed = [[way(cell), title(cell), *(number(cell[name]) for name in (
        "kills", "broker_kills", "expected", "lost", "repeated", "reordered", "state_errors",
        "recovery_ms"))] for cell in found if cell["kills"] is not None]
    return [*show_kafka_goals(), "", f"Load of the machine when it began: {load}.", "",
            *table(["job", "what ran", "records/s", "to at-least-once", "to the loop",
                    "CPU s per million", "peak MiB"], speed), "",
            *table(["job", "mode", "records/s", "p50 ms", "p99 ms", "p99.9 ms"], lag), "",
            *table(["job", "mode", "kills", "of the broker", "output records", "lost", "repeated",
                    "out of order", "keys with a wrong count", "restart, ms"], killed)]


def long_ratios():
    runs = [line for line in lines_of("long") if "out" in line]
    kept = [run for run in runs if run["out"] == "log:out"]
    trimmed = [run for run in runs if run["out"] != "log:out"]
    late = [run["late_per_s"] / run["early_per_s"] for run in kept]
    trim = [new["late_per_s"] / old["early_per_s"] for old, new in zip(kept, trimmed)]
    return late or [math.nan], trim or [math.nan]


def show_long():
    late, trim = long_ratios()
    rows = [[what, number(statistics.median(ratios)), f"{min(ratios):.2f}–{max(ratios):.2f}"]
            for what, ratios in (("records 20 to 25 million, next to records 1 to 6 million", late),
                                 ("the same while retention trims to 64 MiB, next to records 1 "
                                  "to 6 million without", trim))]
    return table(["copy of 25,000,000 records", "ratio", "lowest–highest"], rows)


def show_goals():
    """What was set out to be reached, next to what is."""
    def one(name, field, unit=1.0, **wanted):
        found = cells(name, **wanted)
        return found[0][field] / unit if found and found[0][field] is not None else None
    once = {"kind": "weir", "delivery": "exactly-once"}
    modes = [one("delivery", "ratio_to_at_least_once", epoch_records=size, **once)
             for size in (1, 100, 10000, None)]
    loops = [one("delivery", "ratio_to_loop", epoch_records=size, **once)
             for size in (1, 100, 10000)]
    at_half = [at["latency_us_p99"] / 1000 for cell in cells("delivery", epoch_records=None, **once)
               for at in cell["latency"] if at["rate_percent"] == 50]
    slow = [at["latency_us_p99"] / 1000 for cell in cells("slow", **once) for at in cell["latency"]]
    fsync = [line["fsync_us_p50"] / 1000 for line in lines_of("slow") if line["type"] == "machine"]
    late, trim = long_ratios()
    paced = [line["rss_kib"] / 1024 for line in lines_of("paced") if line["type"] == "latency"]
    restart = re.search(r"^restart after.*? {2,}([\d,.]+)", text_of("starts"), re.M)

    def joined(values):
        return ", ".join(map(number, values)) or "–"
    middle = statistics.median
    rows = [
        ["exactly-once / at-least-once, transactions of 1, 100, 10,000, adaptive", "0.97",
         joined(modes)],
        ["exactly-once / the loop by hand, transactions of 1, 100, 10,000", "1.0, 1.0, 2.0",
         joined(loops)],
        ["copy, records/s", "1,500,000", number(one("copy", "records_per_s", **once))],
        ["count, 100,000 keys, records/s", "1,000,000",
         number(one("delivery", "records_per_s", epoch_records=None, **once))],
        ["count, CPU seconds per million", "1.2",
         number(one("delivery", "cpu_s_per_million", epoch_records=None, **once))],
        ["count, 2,000,000 keys, `--cache 512M`, records/s", "450,000",
         number(one("many-keys", "records_per_s", **once))],
        ["a transaction a record / raw bytes, overwritten", "0.75",
         number(one("delivery", "ratio_to_raw_overwrite", epoch_records=1, **once))],
        ["p99 latency at 50 % of the throughput, ms", "10", joined(at_half)],
        ["p99 latency at 1,000 records/s, ms",
         "three fsyncs: " + (number(3 * fsync[0]) if fsync else "–"), joined(slow)],
        ["throughput after 20 million records / after 1 million", "0.95", number(middle(late))],
        ["throughput while retention trims / after 1 million without", "0.9", number(middle(trim))],
        ["restart after kill -9 to the first decided epoch, 2,000,000 keys, ms", "200",
         restart.group(1) if restart else "–"],
        ["peak memory at 10,000 records/s, MiB", "32", number(max(paced)) if paced else "–"],
        ["peak memory at full rate, count, MiB", "64",
         number(one("delivery", "rss_kib", 1024, epoch_records=None, **once))],
    ]
    return table(["figure", "aim", "measured"], rows)


def show_readme():
    """The three sentences below the chart."""
    machine = lines_of("delivery")[0]
    once = {cell["epoch_records"]: cell
            for cell in cells("delivery", kind="weir", delivery="exactly-once")}
    ratios = [cell["ratio_to_at_least_once"] for cell in once.values()]
    killed = {cell["delivery"]: cell for cell in cells("delivery", kind="weir")
              if cell["kills"] is not None}
    exactly, least, most = (killed[mode] for mode in (
        "exactly-once", "at-least-once", "at-most-once"))
    slow, fast = once[1]["records_per_s"], once[None]["records_per_s"]
    text = [
        f"- Exactly-once runs at {min(ratios):.2f} to {max(ratios):.2f} times the throughput of"
        " at-least-once, from a transaction per record to as many as come.",
        f"- Killed {exactly['kills']} times with `kill -9`, it lost {exactly['lost']} and repeated"
        f" {exactly['repeated']} of {exactly['expected']:,} output records; at-least-once repeated"
        f" {least['repeated']:,}, at-most-once lost {most['lost']:,}.",
        "- What costs is a transaction for each record, in every mode and by hand as well:"
        f" {number(slow)} records/s, against {number(fast)} when weir decides how many (an fsync"
        f" takes {machine['fsync_us_p50']:.0f} µs here)."]
    return [line for item in text for line in textwrap.wrap(item, 100, subsequent_indent="  ",
                                                            break_on_hyphens=False)]


def text_of(name):
    path = DATA / f"{name}.txt"
    return path.read_text() if path.exists() else "not measured\n"


def show_text(name):
    return ["```text", *text_of(name).rstrip().splitlines(), "```"]


SHOWN = {"readme": show_readme, "machine": show_machine, "goals": show_goals,
         "delivery": show_delivery, "latency": show_latency, "kills": show_kills,
         "parts": show_parts, "jobs": show_jobs, "sync": show_sync, "long": show_long,
         "kafka": show_kafka, "nexmark": show_nexmark,
         "starts": lambda: show_text("starts"), "before-after": lambda: show_text("before-after")}


def write(build):
    def fill(match):
        return "\n".join([match.group(1), "", *SHOWN[match.group(2)](), "", "<!-- end -->"])
    for page in PAGES:
        text = page.read_text()
        page.write_text(re.sub(r"(<!-- figures: ([\w-]+) -->)\n.*?<!-- end -->", fill, text,
                               flags=re.S))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([build / "weir", "bench", "--from", DATA / "delivery.jsonl", "--report",
                        f"{folder}/report"], check=True)
        shutil.copy(f"{folder}/report/throughput.svg", DATA / "throughput.svg")


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].strip(), add_help=True)
    parser.add_argument("build", nargs="?", type=pathlib.Path)
    parser.add_argument("--only", action="append", metavar="NAME")
    parser.add_argument("--before", metavar="REVISION", help="what changes are held against")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--dir", default=".")
    options = parser.parse_args()
    steps = {name: lambda folder, name=name: bench(name, options.build, folder) for name in BENCH}
    steps["kafka"] = lambda folder: [bench(name, options.build, folder)
                                     for name in ("kafka", "kafka-restart")]
    del steps["kafka-restart"]
    steps["long"] = lambda folder: long(options.build, folder)
    steps["starts"] = lambda folder: starts(options.build, folder)
    if options.before:
        steps["before-after"] = lambda folder: before_after(options.before, folder)
    if options.list:
        print("\n".join(steps))
        return
    if not options.build or not os.access(options.build / "weir", os.X_OK):
        parser.error("name the folder of a release build")
    options.build = options.build.resolve()
    unknown = set(options.only or []) - set(steps)
    if unknown:
        parser.error(f"--only {unknown.pop()}: --list shows what there is")
    with tempfile.TemporaryDirectory(prefix="performance-", dir=options.dir) as name:
        for step in steps if not options.write else []:
            if not options.only or step in options.only:
                print(f"measuring: {step}", file=sys.stderr, flush=True)
                steps[step](pathlib.Path(name).resolve())
    write(options.build)


if __name__ == "__main__":
    main()
