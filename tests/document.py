"""What docs/verbs.md shows: calls with their answers, and messages."""

import json
import re
from pathlib import Path
from typing import Any

_TEXT = (Path(__file__).parent.parent / "docs" / "verbs.md").read_text(encoding="utf-8")


def calls() -> list[tuple[str, str]]:
    """(command, the answer shown) of every block that is marked `redis`."""
    blocks = re.findall(r"^```redis\n(.*?)^```", _TEXT, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) % 2 == 0
    return list(zip(lines[::2], lines[1::2], strict=True))


def messages(direction: str) -> list[dict[str, Any]]:
    """Those that may be sent (`in`), or are told (`out`)."""
    (block,) = re.findall(rf"^```messages {direction}\n(.*?)^```", _TEXT, re.MULTILINE | re.DOTALL)
    return [json.loads(line) for line in block.splitlines()]
