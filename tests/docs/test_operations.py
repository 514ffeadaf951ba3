"""docs/OPERATIONS.md does what it says: its commands run in order in one shell, and what they print
is what the text shows; its table of exit codes has those that the program has, with the restart
rules of the systemd unit; docs/NON-GOALS.md gives a reason and a way out for each of its points.

SPDX-License-Identifier: Apache-2.0
"""

import re
import shutil
import sys

import doc_kit

OPERATIONS = doc_kit.ROOT / "docs" / "OPERATIONS.md"
NON_GOALS = doc_kit.ROOT / "docs" / "NON-GOALS.md"
UNIT = doc_kit.ROOT / "examples" / "systemd" / "weir@.service"


def check_exit_codes():
    """The table against the program's list, and its last column against the unit."""
    rows = dict(re.findall(r"^\| (\d+) \|.*\| (yes|no) \|$", OPERATIONS.read_text(), re.M))
    codes = re.findall(r"WR_EXIT_\w+ = (\d+)",
                       (doc_kit.ROOT / "txn" / "base" / "error.h").read_text())
    assert sorted(rows) == sorted(codes), (rows, codes)
    never, = re.findall(r"^RestartPreventExitStatus=(.*)$", UNIT.read_text(), re.M)
    assert never.split() == [code for code in sorted(rows) if rows[code] == "no" and code != "0"]


def check_stats():
    """The table of fields against what metrics.c writes."""
    table = OPERATIONS.read_text().split("| field | is | alarm when |")[1].split("\n\n")[0]
    named = {name for row in table.splitlines()[2:]
             for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    source = (doc_kit.ROOT / "engine" / "metrics.c").read_text()
    written = set(re.findall(r'put_\w+\(file, "(\w+)"', source)) | {"records_per_s", "waiting_for"}
    assert named == written, named ^ written


def check_non_goals():
    """Each point is a section with why, and what to use in its place."""
    for section in NON_GOALS.read_text().split("\n## ")[1:]:
        assert "**Instead:**" in section, f"no way out: {section.splitlines()[0]}"
        assert len(section.split("**Instead:**")[0].split()) > 15, f"why? {section}"


def other(info, body):
    """A sample of log lines, or of a file that the text names."""
    return [] if info[:1] == ["text"] else [f"a block of another kind: {info}"]


if __name__ == "__main__":
    doc_kit.check_the_checker()
    check_exit_codes()
    check_stats()
    check_non_goals()
    missing = [tool for tool in ("jq", "sqlite3") if not shutil.which(tool)]
    if missing:
        print(f"skipped: {', '.join(missing)} not found")
        sys.exit(77)
    sys.exit(doc_kit.play_in_scratch(OPERATIONS, ".", other))
