"""README.md does what it says: its job is written and built, its commands run in order in one
shell, and what they print is what the text shows. doc_kit.py has how blocks are written.

The long commands, each in a block of its own, are not run here (other tests do what they do); they
are programs of the tree, what installs by hand, or `weir bench`, which wants a minute and a disk. A
```text block is what one of them printed.

SPDX-License-Identifier: Apache-2.0
"""

import os
import re
import sys

import doc_kit

LONG = ["examples/run.sh", "examples/kafka.sh", "tests/run.sh"]
BY_HAND = re.compile(r"sudo apt-get install |    lib|cmake -S |sudo cmake --install |"
                     r"weir bench$")


def check_other(info, body):
    if info == ["text"]:
        return []
    if info != ["sh"]:
        return [f"a block that is neither a named file, console, sh nor text: {info}"]
    return [f"`{line}` is no program of the tree that takes long; use a console block"
            for line in body if not BY_HAND.match(line)
            if line not in LONG or not os.access(doc_kit.ROOT / line, os.X_OK)]


if __name__ == "__main__":
    doc_kit.check_the_checker()
    sys.exit(doc_kit.play_in_scratch(doc_kit.ROOT / "README.md", "weir", check_other))
