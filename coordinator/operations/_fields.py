"""Kinds of fields that only questions use; names of things are in words.py. The library checks the same in Lua."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import from_json

from coordinator.words import NUMBER_END, Count, shown, wrong


def _text(longest: int, pattern: str, allowed: str) -> Callable[[str], str]:
    shape = re.compile(pattern, re.DOTALL)

    def check(value: str) -> str:
        if len(value.encode(errors="surrogatepass")) > longest or not shape.fullmatch(value):
            raise wrong(f"must be {allowed}")
        return value

    return check


def _signed(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < NUMBER_END or value % 1:
        raise wrong(f"must be a whole number between -1e14 and 1e14, got {shown(value)}", "write a number like 1")
    return int(value)


_PIECE = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"|[^\s\[\]{},:"]+|[\[\]{}"]')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def _json(text: str) -> str:
    """One JSON value by the letter, told as it stands: a number is only spelt right, however large it is."""
    depth = deepest = 0

    def plain(found: re.Match[str]) -> str:
        nonlocal depth, deepest
        piece = found[0]
        depth += (piece in ("[", "{")) - (piece in ("]", "}"))
        deepest = max(deepest, depth)
        return "0" if _NUMBER.fullmatch(piece) else piece

    try:
        small = len(text.encode()) <= 65536
        if small:
            from_json(_PIECE.sub(plain, text), allow_inf_nan=False)
    except ValueError:
        small = False
    if not small or deepest > 64:
        raise wrong("must be the text of one JSON value, at most 64 KiB and 64 deep")
    return text


def _channel(value: str) -> str:
    if not value.strip(" "):
        raise wrong("is required", "name one, like agent.status")
    return _line(value)


def _entry(value: str) -> str:
    if not all(part.isdecimal() and int(part) < 2**64 for part in value.split("-")):
        raise wrong("must be the id of a stream entry", "write one like 1795414691652-0")
    return value


_line = _text(500, r"[^\x00-\x1f\x7f]*", "one line of at most 500 bytes")
Line = Annotated[str, AfterValidator(_line)]
Channel = Annotated[str, AfterValidator(_channel)]
Text = Annotated[str, AfterValidator(_text(65536, r".*", "at most 64 KiB of text"))]
PathText = Annotated[str, AfterValidator(_text(4096, r"[^\x00\n]+", "a path of at most 4096 bytes"))]
Id = Annotated[str, AfterValidator(_text(100, r"[A-Za-z0-9._:-]+", "letters, digits and . _ : -"))]
RepoPath = Annotated[str, AfterValidator(_text(201, r"[A-Za-z0-9][A-Za-z0-9._/-]*", "a repo like core/go-io"))]
JsonText = Annotated[str, AfterValidator(_json)]
StreamId = Annotated[str, AfterValidator(_text(40, r"[0-9]+-?[0-9]*", "the id of a stream entry"))]

EntryId = Annotated[StreamId, AfterValidator(_entry)]  # one that a server can be asked for

Ended = Literal["completed", "merged", "ready-for-review", "failed", "blocked"]
Signed = Annotated[int, BeforeValidator(_signed)]
Positive = Annotated[Count, Field(ge=1)]
Priority = Annotated[Count, Field(le=9)]
Limited = Annotated[Count, Field(le=31_536_000)]  # seconds; a year at most
