"""What a storm was and what it found, for people."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from tests.faults.storm.storm import Storm
from tests.faults.storm.weather import KINDS


def lines(storm: Storm, seed: int, minutes: float) -> Iterator[str]:
    """A part of docs/faults.md."""
    told, counts = storm.told, storm.ledger.counts()
    yield f"`python -m tests.faults.storm --minutes {minutes:g} --seed {seed}`, on {_machine()}:"
    yield ""
    yield f"{len(storm.ledger.faults)} misfortunes, {len(storm.ledger.submitted)} workspaces, {told.grants} starts, of"
    yield f"which {told.losses} lost their lease, {told.endings} endings, **{len(storm.violations)} violations**."
    yield ""
    yield "| misfortune | times |"
    yield "|---|---|"
    for kind in KINDS:
        yield f"| {kind.name} | {counts[kind.name]} |"
    for violation in storm.violations:
        yield f"\nAt {violation.at:.1f} s: {violation.text}"


def _machine() -> str:
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")), "of some kind")
    system = f"{platform.system()} {platform.release()}"
    return f"{os.cpu_count()} cores ({model}), {system}, Python {platform.python_version()}"
