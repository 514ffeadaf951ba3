"""docs/TUTORIAL.md does what it says: its files are written, its commands run in order in one
shell, and what they print is what the text shows. doc_kit.py has how blocks are written.

The tree is ~/weir there, so the home folder is a scratch folder with links to the tree and to
$WEIR_BUILD (default: build/).

SPDX-License-Identifier: Apache-2.0
"""

import sys

import doc_kit


if __name__ == "__main__":
    doc_kit.check_the_checker()
    sys.exit(doc_kit.play_in_scratch(doc_kit.ROOT / "docs" / "TUTORIAL.md", "."))
