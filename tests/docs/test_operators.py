"""docs/OPERATORS.md does what it says: its commands run, and print what the text shows; each
example is compiled and built into a graph that `weir run --check` takes; and its table and its
examples have every operator of weir_ops.h, and no other.

An example is a block of C without a name: functions, and behind the last line that is only `}` what
stands in the job. shared.h is a block too, and is before all of them.

SPDX-License-Identifier: Apache-2.0
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import doc_kit

OPERATORS = doc_kit.ROOT / "docs" / "OPERATORS.md"
HEADER = doc_kit.ROOT / "operators" / "weir_ops.h"
FLAGS = ["-Wno-unused-parameter", "-Wno-unused-variable", "-Wno-unused-function"]

# What the examples stand in: each is a function, and the job is the one of -D example=N.
SKELETON = """#include "shared.h"
{functions}
WEIR_JOB(job)
{{
    static void (*const examples[])(weir_job *, weir_stream *, weir_stream *, weir_stream *) = {{
        {names}
    }};
    weir_stream *orders = weir_from(job, "orders", "file:orders.txt");
    weir_stream *payments = weir_from(job, "payments", "file:payments.txt");
    weir_stream *customers = weir_from(job, "customers", "file:customers.txt");
    examples[atoi(weir_option(job, "example", "0"))](job, orders, payments, customers);
}}
"""


def example(number, line, body):
    """One example as a function."""
    ends = [i for i, text in enumerate(body) if text == "}"]
    split = ends[-1] + 1 if ends else 0
    functions, inside = "\n".join(body[:split]), "\n".join(body[split:])
    return (f'#line {line} "OPERATORS.md"\n{functions}\n'
            f"static void example_{number}(weir_job *job, weir_stream *orders, "
            f"weir_stream *payments, weir_stream *customers)\n{{\n"
            f'#line {line + split} "OPERATORS.md"\n{inside}\n}}\n')


def check_examples(folder, examples):
    """Compiles all examples as one job, and has weir build the graph of each."""
    names = ", ".join(f"example_{i}" for i in range(len(examples)))
    functions = "".join(example(i, line, body) for i, (line, body) in enumerate(examples))
    (folder / "examples.c").write_text(SKELETON.format(functions=functions, names=names))
    done = subprocess.run(
        [folder / "tools" / "cc", *FLAGS, "-shared", "-fPIC",
         "-idirafter", doc_kit.ROOT / "engine", "-idirafter", doc_kit.ROOT / "operators",
         "-o", folder / "examples.so", folder / "examples.c"], capture_output=True, text=True)
    if done.returncode:
        return [done.stderr]
    wrong = []
    for i, (line, _) in enumerate(examples):
        done = subprocess.run(
            [doc_kit.BUILD / "weir", "run", "--check", folder / "examples.so", "-D",
             f"example={i}"], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            wrong.append(f"OPERATORS.md:{line}: weir run --check: {done.stderr}")
    return wrong


def check_names(text, examples):
    """Every function that the header offers is in the text, those that make a node are in the table
    and in an example; each name of the text is there."""
    offered = set(re.findall(r"\b(weir_\w+)\(", re.sub(r"/\*.*?\*/", "", HEADER.read_text(),
                                                      flags=re.S)))
    public = offered | set(re.findall(r"\bweir_\w+", (doc_kit.ROOT / "engine/weir.h").read_text()))
    public |= set(re.findall(r"\bweir_\w+", HEADER.read_text()))
    public |= {"weir_ops", "weir_test"}
    table = text.split("## The table of them all")[1].split("\n## ")[0]
    used = "\n".join("\n".join(body) for _, body in examples)
    wrong = [f"{name} of weir_ops.h is nowhere in OPERATORS.md" for name in sorted(offered)
             if name not in text]
    streams = set(re.findall(r"weir_stream \*(weir_\w+)\(", HEADER.read_text()))
    wrong += [f"{name} is in no row of the table" for name in sorted(streams) if name not in table]
    wrong += [f"{name} has no example" for name in sorted(streams) if f"{name}(" not in used]
    wrong += [f"OPERATORS.md: there is no {name}" for name in sorted(set(re.findall(
        r"\bweir_[a-z_0-9]+", text)) - public)]
    return wrong


def check():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-docs."))
    examples = []

    def other(info, body):
        if info not in (["c"], ["text"]):
            return [f"a block of another kind: {info}"]
        return []

    try:
        wrong = doc_kit.play(OPERATORS, folder, ".", other)
        text = OPERATORS.read_text()
        examples = [(number, body) for number, info, body, _ in doc_kit.blocks(text)
                    if info == ["c"]]
        assert len(examples) > 25
        wrong += check_examples(folder, examples)
        wrong += check_names(text, examples)
    finally:
        shutil.rmtree(folder)
    print("\n\n".join(wrong) or f"OPERATORS.md: {len(examples)} examples build")
    return 1 if wrong else 0


def check_the_checkers():
    """They turn red: a name that is not there, operators without an example."""
    found = check_names("## The table of them all\n`weir_nothing` `weir_map`\n## \n", [])
    assert "OPERATORS.md: there is no weir_nothing" in found
    assert "weir_top is in no row of the table" in found and "weir_map has no example" in found
    built = example(3, 7, ["static int f(void)", "{", "}", "weir_stream *a = NULL;"])
    assert built.index("f(void)") < built.index("example_3") < built.index("weir_stream *a")


if __name__ == "__main__":
    doc_kit.check_the_checker()
    check_the_checkers()
    sys.exit(check())
