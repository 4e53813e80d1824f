"""What became of the mutants, file by file, and those that live."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def rows(path: Path) -> list[Row]:
    """What a file of results holds; of a mutant that was tried twice the last."""
    if not path.exists():
        return []
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return list({row["id"]: row for row in found}.values())


def told(found: list[Row]) -> str:
    """The report."""
    by_file: dict[str, list[Row]] = {}
    for row in found:
        by_file.setdefault(row["file"], []).append(row)
    lines = [f"{'file':<12} {'caught':>7} {'of':>5}"]
    for file, of_file in sorted(by_file.items()):
        lines.append(f"{file:<12} {_caught(of_file):>7} {len(of_file):>5}")
    lines.append(f"{'all':<12} {_caught(found):>7} {len(found):>5}  {100 * _caught(found) / max(len(found), 1):.1f} %")
    lines += ["", "caught by:"]
    by_what = Counter(_what(row["caught"]) for row in found if row["caught"])
    lines += [f"{count:>6}  {what}" for what, count in by_what.most_common()]
    lines += ["", "alive:"]
    for row in sorted((row for row in found if not row["caught"]), key=lambda row: (row["file"], row["line"])):
        lines.append(f"{row['file']}.lua:{row['line']}: {row['kind']} {row['old']!r:.70} -> {row['new']!r}")
        lines.append(f"    {row['around']:.110}")
        lines.append(f"    {'seen: ' + row['seen'] if row['seen'] else 'no answer and no key was other than before'}")
    return "\n".join(lines) + "\n"


def _caught(found: list[Row]) -> int:
    return sum(bool(row["caught"]) for row in found)


def _what(caught: str) -> str:
    return f"unit tests: {caught.partition('::')[0]}" if "::" in caught else caught
