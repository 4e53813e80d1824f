"""Builds the function library `dispatch` from the .lua files of operations/, and knows which file a line came from.

`python -m coordinator.library` prints it, for `redis-cli -x FUNCTION LOAD` and for lint.
"""

import re
import sys
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("operations")
#: Files of shared words and the table each one fills, in the order they use each other.
WORDS: Final = {
    "_base": "base", "_question": "question", "_sound": "sound", "_facts": "facts", "_pace": "pace",
    "_ramp": "ramp", "_defaults": "defaults", "_accounts": "accounts", "_gates": "gates", "_latch": "latch",
    "_hosts": "hosts", "_rooms": "rooms", "_fair": "fair", "_queue": "queue", "_lease": "lease",
    "_ending": "ending", "_records": "records", "_history": "history", "_later": "later", "_freezes": "freezes",
    "_losing": "losing", "_claim": "drain", "_offers": "offers", "_unserved": "unserved", "_plan": "plan",
    "_verb": "verb", "_standing": "standing", "_overlay": "overlay", "_suppose": "suppose", "_faults": "faults",
    "_orphans": "orphans", "_mends": "mends",
}  # fmt: skip
VERBS: Final = tuple(sorted(path.stem for path in FOLDER.glob("[a-z]*.lua")))


def _build() -> tuple[str, list[tuple[int, str]]]:
    """The library's text, and where in it each file starts: (line, file name)."""
    # Redis Lua allows 60 upvalues a function and 200 locals a chunk: one table a file, and a block around each.
    lines = ["#!lua name=dispatch", *(f"local {table} = {{}}" for table in ("call", *WORDS.values()))]
    lines += ["local function server() return redis end", "local redis = {}"]  # _base.lua fills it
    starts = [(0, "header")]
    for name in (*WORDS, *VERBS):
        lines.append("do")
        starts.append((len(lines), f"{name}.lua"))
        lines += (FOLDER / f"{name}.lua").read_text(encoding="utf-8").splitlines()
        lines.append("end")
    return "\n".join(lines) + "\n", starts


TEXT, _STARTS = _build()
_NUMBER: Final = re.search(r"^base.LIB = (\d+)", TEXT, re.MULTILINE)
assert _NUMBER, "operations/_base.lua gives the library its number"  # noqa: S101  # a broken installation
LIB: Final = int(_NUMBER[1])


def place(line: int) -> str:
    """`claim.lua:12` for a line of the built library."""
    start, name = max((start, name) for start, name in _STARTS if start < line)
    return f"{name}:{line - start}"


def located(error: str) -> str:
    """A server's error text with each line of the library named by its own file."""
    return re.sub(r"(?:@?user_function|dispatch):(\d+)", lambda found: place(int(found[1])), error)


if __name__ == "__main__":
    sys.stdout.write(TEXT)
