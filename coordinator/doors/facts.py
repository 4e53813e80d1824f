"""Facts as they are read from the stream, where anybody may have written."""

import json
from typing import Any

from coordinator.store import Entry


def fact_of(entry: Entry) -> dict[str, Any]:
    """Its fields; of an entry that is no JSON object, its type and text."""
    try:
        found = json.loads(entry.json)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"type": entry.type, "text": entry.json}
