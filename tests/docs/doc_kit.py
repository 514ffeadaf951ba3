"""What the tests of documents have in common: they play a document's commands in one shell, and
compare what comes out with what the text shows.

In the text, a block ```c NAME is a file of that name, and a block ```console is a session: `$ ` and
`> ` begin what is typed, the lines below are what comes out, where `...` stands for anything (alone
on a line: any lines). A command must end with 0, unless the next one is `echo $?`. Where the line
before a block is `<!-- numbers vary -->`, a number may be another one, but each time the same.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve()
SANITIZE = os.environ.get("WEIR_SANITIZE", "none")
WARNINGS = "-Wall -Wextra -Werror"
VARY = "<!-- numbers vary -->"


def blocks(text):
    """(line number, info words, body, the line before) of each fenced block."""
    info, body, before = None, [], ""
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"```(.*)", line)
        if fence and info is None:
            info, body = fence.group(1).split(), []
        elif fence:
            yield number - len(body), info, body, before
            info, before = None, ""
        elif info is not None:
            body.append(line)
        else:
            before = line


def steps(body):
    """(index of its line, command, expected lines) of each command of a console block."""
    found = []
    for index, line in enumerate(body):
        if line.startswith("$ "):
            found.append((index, line[2:], []))
        elif line.startswith("> ") and found and not found[-1][2]:
            index, command, expected = found.pop()
            found.append((index, command + "\n" + line[2:], expected))
        else:
            found[-1][2].append(line)
    return found


def line_pattern(line, numbers):
    """A regular expression for one expected line. `numbers`: None, or the groups that stand for the
    numbers seen so far."""
    pattern = ".*".join(re.escape(part) for part in line.split("..."))
    if numbers is None:
        return pattern

    def number(match):
        known = match.group() in numbers
        name = numbers.setdefault(match.group(), f"n{len(numbers)}")
        return f"(?P={name})" if known else f"(?P<{name}>[0-9]+)"
    return re.sub(r"[0-9]+", number, pattern)


def matches(expected, lines, vary=False):
    pattern, numbers = "", {} if vary else None
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += line_pattern(line, numbers) + r"\n"
    return re.fullmatch(pattern, "".join(line + "\n" for line in lines)) is not None


class Shell:
    """One bash, as the reader would have it open all along."""

    MARK = "---end-of-command---"

    def __init__(self, folder, environment):
        self.process = subprocess.Popen(
            ["bash", "--norc"], cwd=folder, env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")

    def run(self, command):
        """What it prints, and its exit code."""
        self.process.stdin.write(
            f"{{ {command}\n}} </dev/null; code=$?; printf '\\n%s %d\\n' '{self.MARK}' $code; "
            "(exit $code)\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith(self.MARK):
                if lines and lines[-1] == "":
                    lines.pop()  # of the newline before the mark
                return lines, int(line.split()[1])
            lines.append(line.rstrip("\n"))
        raise SystemExit(f"the shell ended in: {command}")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def make_home(folder):
    """A home folder with the tree as ~/weir, where build/ is $WEIR_BUILD, and a `cc` that stops at
    warnings and builds as weir itself was built. Returns the environment."""
    tree = folder / "weir"
    tree.mkdir()
    for path in ROOT.iterdir():
        if path.name not in ("build", ".git"):
            (tree / path.name).symlink_to(path)
    (tree / "build").symlink_to(BUILD)
    tools = folder / "tools"
    tools.mkdir()
    compiler = tools / "cc"
    sanitize = "" if SANITIZE == "none" else f"-fsanitize={SANITIZE}"
    real = os.environ.get("CC", "gcc")  # by name: cmake sets CC to this very script
    compiler.write_text(f'#!/bin/sh\nexec {real} {WARNINGS} {sanitize} "$@"\n')
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    return dict(os.environ, HOME=str(folder), PATH=f"{tools}:{os.environ['PATH']}", LC_ALL="C")


def play_session(shell, where, body, vary):
    """Types the commands of one console block; returns what differed. `where`: file and line."""
    wrong = []
    name, number = where
    commands = steps(body)
    for i, (index, command, expected) in enumerate(commands):
        if os.environ.get("WEIR_VERBOSE"):
            print("$", command)
        lines, code = shell.run(command)
        asks_code = commands[i + 1:i + 2] and commands[i + 1][1] == "echo $?"
        if not matches(expected, lines, vary) or (code != 0 and not asks_code):
            wrong.append("\n".join([
                f"{name}:{number + index}: $ {command}", "the text says:", *expected,
                f"what came, with exit code {code}:", *lines]))
    return wrong


def play(document, folder, start, other=None):
    """Does what the document says, from the folder `start` in the home folder `folder` on; returns
    what differed. Blocks that are neither a file nor a session go to other(info, body), which
    returns what is wrong with them."""
    wrong = []
    environment = make_home(folder)
    shell = Shell(folder / start, environment)
    for number, info, body, before in blocks(document.read_text()):
        if info == ["console"]:
            wrong += play_session(shell, (document.name, number), body, before == VARY)
        elif len(info) == 2:
            directory, _ = shell.run("pwd")
            (pathlib.Path(directory[0]) / info[1]).write_text("\n".join(body) + "\n")
        elif other:
            wrong += [f"{document.name}:{number}: {text}" for text in other(info, body)]
        else:
            wrong.append(f"{document.name}:{number}: a block that is neither a named file nor "
                         f"console: {info}")
    shell.close()
    return wrong


def play_in_scratch(document, start, other=None):
    """Plays a document in a scratch folder, and says how it went; the exit code."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-docs."))
    try:
        wrong = play(document, folder, start, other)
    finally:
        if os.environ.get("WEIR_KEEP"):
            print(f"files kept in {folder}")
        else:
            shutil.rmtree(folder)
    print("\n\n".join(wrong) or f"{document.name}: every command printed what the text shows")
    return 1 if wrong else 0


def check_the_checker():
    assert matches(["a ... c", "...", "d"], ["a b c", "x", "y", "d"])
    assert not matches(["a", "..."], ["b"])
    assert not matches(["a"], ["a", "a"])
    assert matches([], [])
    assert matches(["12|12 of 7"], ["345|345 of 8"], vary=True)
    assert not matches(["12|12"], ["345|346"], vary=True)
    assert not matches(["12|12"], ["345|345"])
    assert steps(["$ a \\", "> b", "out", "$ c"]) == [(0, "a \\\nb", ["out"]), (3, "c", [])]
    found = list(blocks("text\n```c a.c\nint a;\n```\n" + VARY + "\n```console\n$ a\n```\n"))
    assert found == [(3, ["c", "a.c"], ["int a;"], "text"), (7, ["console"], ["$ a"], VARY)]
