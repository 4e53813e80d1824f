"""What the actions answer: frozen values, each with a `text` for people."""

from dataclasses import dataclass
from typing import Literal

from coordinator.operations.freeze import Frozen
from coordinator.operations.reap import Lost
from coordinator.operations.status import FleetStatus
from coordinator.operations.submit import AlreadyKnown, Granted, Queued, Refused, SubmitReply
from coordinator.operations.thaw import Thawed


@dataclass(frozen=True)
class Dispatched:
    """What became of a workspace that somebody asked for: granted, queued, refused, or known already."""

    workspace: str
    reply: SubmitReply

    @property
    def outcome(self) -> Literal["granted", "queued", "already", "refused"]:
        """The same in one word."""
        return self.reply.outcome

    @property
    def text(self) -> str:
        """A no in the words of its refusal: `queue is frozen`, `queue at capacity: total 5/5`."""
        match self.reply:
            case Granted():
                return "granted"
            case Queued(refusal=None):
                return "queued - a host is being woken for it"
            case Queued(refusal=refusal) if refusal:
                return f"queued - {refusal.text}"
            case AlreadyKnown(status=status):
                return f"already {status}"
            case Refused(refusal=refusal):
                return refusal.text
        return self.outcome


@dataclass(frozen=True)
class Summary:
    """The fleet at a glance; `fleet` has the limit keys and the settings too."""

    fleet: FleetStatus

    @property
    def groups(self) -> dict[str, int]:
        """running, queued, completed (with merged and ready-for-review), failed (with blocked) and total."""
        fleet = self.fleet
        groups = {
            "running": fleet.running,
            "queued": fleet.queued,
            "completed": fleet.completed,
            "failed": fleet.failed,
        }
        return groups | {"total": fleet.total}

    @property
    def alone(self) -> dict[str, int]:
        """Each status by itself: what waits for a person (blocked) is not what is broken (failed)."""
        return {str(status): count for status, count in self.fleet.counts.items()}

    @property
    def text(self) -> str:
        """`1 running, 2 queued, 3 completed, 2 failed (1 blocked), 8 in all`."""
        fleet = self.fleet
        blocked = f" ({fleet.counts['blocked']} blocked)" if fleet.counts.get("blocked") else ""
        first = f"{fleet.running} running, {fleet.queued} queued, {fleet.completed} completed"
        return f"{first}, {fleet.failed} failed{blocked}, {fleet.total} in all"


@dataclass(frozen=True)
class Started:
    """What waits may start."""

    reply: Thawed

    @property
    def text(self) -> str:
        """`dispatch started`."""
        return "dispatch started" if self.reply.key == "*" else f"dispatch started for {self.reply.key}"


@dataclass(frozen=True)
class Stopped:
    """Nothing more starts, what runs goes on; `until` (epoch ms) where it ends by itself."""

    reply: Frozen
    until: int | None = None

    @property
    def text(self) -> str:
        """`queue frozen`."""
        return "queue frozen" if self.reply.key == "*" else f"{self.reply.key} frozen"


@dataclass(frozen=True)
class Killed:
    """The runs whose holders were asked to end them, and how many waiting ones were failed."""

    running: tuple[str, ...]
    cleared: int
    frozen: bool

    @property
    def text(self) -> str:
        """`killed 2 agents, cleared 3 queued`."""
        return f"killed {len(self.running)} agents, cleared {self.cleared} queued"


@dataclass(frozen=True)
class Poked:
    """How many listeners heard the poke; which runs had been lost, and which keys opened."""

    heard: int
    lost: tuple[Lost, ...]
    opened: tuple[str, ...]

    @property
    def text(self) -> str:
        """`poked; 2 listeners heard it; 1 lost runs ended`."""
        heard = f"{self.heard} listeners heard it"
        said = ["poked", heard if self.heard else "no replica listens (workers find work by themselves)"]
        said += [f"{len(self.lost)} lost runs ended"] if self.lost else []
        said += [f"open again: {', '.join(self.opened)}"] if self.opened else []
        return "; ".join(said)
