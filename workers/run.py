"""What a guard is asked to run, and how it ended."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

Order = Literal["lost", "killed", "stopped"]
Reason = Literal[
    "exited", "timeout", "lost", "killed", "stopped", "start_failed", "guard_died", "memory", "output", "stalled"
]


@dataclass(frozen=True)
class Run:
    """One agent process to start under a guard.

    `env` is the agent's whole environment; the guard adds DISPATCH_TOKEN, DISPATCH_WORKSPACE and DISPATCH_RUN.
    `stdin` is all the agent can read, then end of file. `log` receives its output, appended.
    `timeout_ms` and `stalled_ms` count neither the time the tree was stilled nor the time the machine slept.
    `memory_max` is bytes of the whole tree. A log that grows beyond `log_max` bytes loses its middle, or ends the run
    where `log_full_ends`.
    """

    token: int
    workspace: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    kill_grace_ms: int
    stdin: str = ""
    timeout_ms: int | None = None
    park_max_ms: int = 3_600_000
    memory_max: int | None = None
    log_max: int | None = None
    log_full_ends: bool = False
    stalled_ms: int | None = None

    def overtime(self) -> str:
        """The sentence for people when its time is over: `Agent timed out after 60m`, or `90s`."""
        seconds = (self.timeout_ms or 0) / 1000
        return f"Agent timed out after {f'{seconds / 60:.0f}m' if seconds and seconds % 60 == 0 else f'{seconds:g}s'}"

    def encode(self, deadline_ms: int) -> bytes:
        """One line that asks for this run under a first deadline."""
        asked = {field.name: getattr(self, field.name) for field in fields(self)}
        asked |= {"env": dict(self.env), "cwd": str(self.cwd), "log": str(self.log), "deadline_ms": deadline_ms}
        return json.dumps(asked).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> tuple["Run", int]:
        """The run and its first deadline, from the line that asked for it."""
        asked: dict[str, Any] = json.loads(line)
        deadline_ms = asked.pop("deadline_ms")
        asked |= {"argv": tuple(asked["argv"]), "cwd": Path(asked["cwd"]), "log": Path(asked["log"])}
        return cls(**asked), deadline_ms


class Ended(NamedTuple):
    """A process that was ended, and the last signal that it took; `left`: nobody could end it, or prove it dead."""

    pid: int
    command: str
    by: Literal["INT", "TERM", "KILL", "left"]


@dataclass(frozen=True)
class Exit:
    """How a run ended. Nothing of its tree is left, but what `receipt` says is `left`.

    `code` or `signal` is the ending of the agent's own process; both are None when it never started or nobody saw it
    end. `reason` says why: by itself (`exited`), or what ended it. `error` is for people. Times are epoch milliseconds.
    `receipt` names every process that did not end by itself. `cpu_ms` and `peak_memory` (bytes) are of the whole tree,
    None where nobody saw them.
    """

    code: int | None
    signal: int | None
    reason: Reason
    started_at: int
    ended_at: int
    error: str = ""
    receipt: tuple[Ended, ...] = ()
    cpu_ms: int | None = None
    peak_memory: int | None = None

    @property
    def left(self) -> tuple[Ended, ...]:
        """The processes of the run that may live."""
        return tuple(each for each in self.receipt if each.by == "left")

    @property
    def worst_first(self) -> list[Ended]:
        """The receipt, what may live first: where not all of it has room."""
        return sorted(self.receipt, key=lambda each: each.by != "left")

    def encode(self) -> str:
        """This ending as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> "Exit":
        """The ending that `encode` wrote, here or in another version."""
        said: dict[str, Any] = json.loads(text)
        known = {field.name: said[field.name] for field in fields(cls) if field.name in said}
        return cls(**(known | {"receipt": tuple(Ended(*each) for each in said.get("receipt", ()))}))
