"""docs/TUTORIAL.md does what it says: its files are written, its commands run in order in one
shell, and what they print is what the text shows.

In the text, a block ```c NAME is a file of that name, and a block ```console is a session: `$ ` and
`> ` begin what is typed, the lines below are what comes out, where `...` stands for anything (alone
on a line: any lines). A command must end with 0, unless the next one is `echo $?`.

The tree is ~/weir there, so the home folder is a scratch folder with links to the tree and to
$WEIR_BUILD (default: build/).

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve()
TUTORIAL = ROOT / "docs" / "TUTORIAL.md"
SANITIZE = os.environ.get("WEIR_SANITIZE", "none")
WARNINGS = "-Wall -Wextra -Werror"


def blocks(text):
    """(line number, info words, body) of each fenced block."""
    info, body = None, []
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"```(.*)", line)
        if fence and info is None:
            info, body = fence.group(1).split(), []
        elif fence:
            yield number - len(body), info, body
            info = None
        else:
            body.append(line)


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


def matches(expected, lines):
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in line.split("...")) + r"\n"
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
    """A home folder with the tree as ~/weir, and a `cc` that stops at warnings and builds as weir
    itself was built."""
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
    compiler.write_text(f'#!/bin/sh\nexec "${{CC:-gcc}}" {WARNINGS} {sanitize} "$@"\n')
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    return dict(os.environ, HOME=str(folder), PATH=f"{tools}:{os.environ['PATH']}", LC_ALL="C")


def play(text, folder):
    """Does what the text says; returns what differed."""
    wrong = []
    shell = Shell(folder, make_home(folder))
    for number, info, body in blocks(text):
        if info == ["console"]:
            commands = steps(body)
            for i, (index, command, expected) in enumerate(commands):
                if os.environ.get("WEIR_VERBOSE"):
                    print("$", command)
                lines, code = shell.run(command)
                asks_code = commands[i + 1:i + 2] and commands[i + 1][1] == "echo $?"
                if not matches(expected, lines) or (code != 0 and not asks_code):
                    wrong.append("\n".join([
                        f"{TUTORIAL.name}:{number + index}: $ {command}", "the text says:",
                        *expected, f"what came, with exit code {code}:", *lines]))
        elif len(info) == 2:
            directory, _ = shell.run("pwd")
            (pathlib.Path(directory[0]) / info[1]).write_text("\n".join(body) + "\n")
        else:
            wrong.append(f"{TUTORIAL.name}:{number}: a block that is neither a named file nor "
                         f"console: {info}")
    shell.close()
    return wrong


def check_the_checker():
    assert matches(["a ... c", "...", "d"], ["a b c", "x", "y", "d"])
    assert not matches(["a", "..."], ["b"])
    assert not matches(["a"], ["a", "a"])
    assert matches([], [])
    assert steps(["$ a \\", "> b", "out", "$ c"]) == [(0, "a \\\nb", ["out"]), (3, "c", [])]


def main():
    check_the_checker()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-tutorial."))
    try:
        wrong = play(TUTORIAL.read_text(), folder)
    finally:
        if os.environ.get("WEIR_KEEP"):
            print(f"files kept in {folder}")
        else:
            shutil.rmtree(folder)
    print("\n\n".join(wrong) or f"{TUTORIAL.name}: every command printed what the text shows")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
