"""Facts as they are read from the stream, where anybody may have written."""

import json
import math
from typing import Any

from coordinator.store import Entry


def fact_of(entry: Entry) -> dict[str, Any]:
    """Its fields; of an entry that is no JSON object, its type and text."""
    try:
        found = json.loads(entry.json, parse_constant=_none, parse_float=_finite)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"type": entry.type, "text": entry.json}


def _none(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    """A number that can be written as JSON again."""
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is too large for a number")
    return value
