"""Entries of a stream, from whatever a server answers."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """One entry of a stream: its id, the type it claims to be, its JSON text."""

    id: str
    type: str
    json: str


def as_text(value: bytes | str) -> str:
    """What a server answered as text; a wrong byte is replaced."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def entries_of(raw: Any) -> list[Entry]:
    """Stream entries as redis-py gives them: (id, fields), fields a mapping or a flat list."""
    found = []
    for one in raw or ():
        name, fields = one
        if not isinstance(fields, Mapping):
            fields = dict(zip(fields[::2], fields[1::2], strict=True))
        texts = {as_text(key): as_text(value) for key, value in fields.items()}
        found.append(Entry(as_text(name), texts.get("type", ""), texts.get("json", "")))
    return found
