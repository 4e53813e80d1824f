"""What the storm itself did: what it asked for, which limits it set when, whom it killed, what it broke."""

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple


def epoch_ms() -> int:
    """The clock that tokens are taken from: server and storm are on one machine."""
    return time.time_ns() // 1_000_000


class Fault(NamedTuple):
    """One misfortune: when (seconds since the storm began), of which kind, and what it was."""

    at: float
    kind: str
    what: str


@dataclass
class InForce:
    """A limit that may have been in force from one moment to another (epoch ms); `until` is None while it still is."""

    limit: int | None
    since: int
    until: int | None = None


@dataclass
class Ledger:
    """Grows while the storm lasts. Workspaces are named `org/repo/task`."""

    began: float = field(default_factory=time.monotonic)
    faults: list[Fault] = field(default_factory=list)
    limits: dict[str, list[InForce]] = field(default_factory=dict)
    submitted: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Workspace to its agent and its task."""
    killed: dict[str, int] = field(default_factory=dict)
    """Workspace that ran to the moment after which it must not start (epoch ms)."""
    again: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Workspace to the moments at which it was asked for once more (epoch ms)."""

    def begin(self) -> None:
        """The storm's own clock begins."""
        self.began = time.monotonic()

    def now(self) -> float:
        """Seconds since the storm began."""
        return time.monotonic() - self.began

    def fault(self, kind: str, what: str) -> None:
        self.faults.append(Fault(self.now(), kind, what))

    def recent(self, seconds: float = 8.0) -> list[Fault]:
        """The misfortunes of the last seconds."""
        return [fault for fault in self.faults if fault.at > self.now() - seconds]

    def counts(self) -> Counter[str]:
        return Counter(fault.kind for fault in self.faults)

    def may_hold(self, key: str, limit: int | None, since: int | None = None) -> None:
        """A limit is about to be set, and may be in force from now on (or from `since`)."""
        self.limits.setdefault(key, []).append(InForce(limit, epoch_ms() if since is None else since))

    def holds(self, key: str) -> None:
        """The newest limit of a key has been set: those before it hold no more."""
        for older in self.limits[key][:-1]:
            older.until = epoch_ms() if older.until is None else older.until

    def limit_at(self, key: str, when: int) -> int | None:
        """The most that a key may have allowed at a moment; None where nothing limited it."""
        spans = self.limits.get(key)
        if spans is None:
            head, mark, _ = key.partition(":")
            spans = self.limits.get(f"{head}:*", []) if mark else []
        there = [span.limit for span in spans if span.since <= when and (span.until is None or when <= span.until + 1)]
        known = [limit for limit in there if limit is not None]
        return max(known) if known and len(known) == len(there) else None

    def retried(self, workspace: str) -> None:
        """It is about to be asked for once more: from now on it may start, and end, again."""
        self.again[workspace].append(epoch_ms())
        self.killed.pop(workspace, None)
