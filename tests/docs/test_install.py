"""docs/INSTALL.md does what it says: weir is installed, and what the page builds against it runs.

SPDX-License-Identifier: Apache-2.0
"""

import sys

import doc_kit


def check_other(info, _body):
    return [] if info == ["sh"] else [f"a block that is neither named nor a console: {info}"]


if __name__ == "__main__":
    sys.exit(doc_kit.play_in_scratch(doc_kit.ROOT / "docs" / "INSTALL.md", "", check_other))
