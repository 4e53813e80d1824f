"""The commands that the README shows: each in a fenced block under a comment that names it."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def command(name: str) -> str:
    """The text of one marked command; an error naming the mark when there is none."""
    mark = f"<!-- command: {name} -->"
    block = re.search(rf"^{re.escape(mark)}\n```\w*\n(.*?)\n```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert block, f"README.md has no block marked {mark}"
    return block[1]
