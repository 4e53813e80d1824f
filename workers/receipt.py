"""What the end of a run found, as the registry keeps it: it can be read there from any machine."""

import json
from typing import Final

from workers.run import Exit

_MOST: Final = 100  # processes by name


def receipt(exit_: Exit) -> str:
    """The text of one JSON object; what may live comes first."""
    first = exit_.worst_first
    said = {
        "ended": [each._asdict() for each in first[:_MOST]],
        "more": max(0, len(first) - _MOST) or None,
        "cpu_ms": exit_.cpu_ms,
        "peak_memory": exit_.peak_memory,
    }
    return json.dumps({name: value for name, value in said.items() if value is not None}, ensure_ascii=True)
