"""The slip of a run: one small file of fixed lines that says all about it, and outlives worker, fork server and guard.

It is made exclusively, so one token is started once. It is written to its full size when made and then only overwritten
in place, which on most disks needs no room: a full one ends nobody. Each line has one writer and ends in a checksum, so
a reader that meets a half-copied line knows it. The client writes `deadline` and `order`; the guard writes the others,
but for a worker that acts for a guard that stands still.
"""

import os
import zlib
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, cast

from workers.processes import Identity
from workers.run import Exit, Order

State = Literal["running", "stilled", "ended"]
SUFFIX = ".run"
MARK = "DISPATCH_RUN"  # in the environment of an agent and all it starts: the path of its slip, unlike any other's here

# line -> (offset, width) in bytes
_LINES = {
    "deadline": (0, 64),
    "order": (64, 64),
    "state": (128, 64),
    "agent": (192, 64),
    "guard": (256, 256),
    "run": (512, 7680),
    "exit": (8192, 24576),
}
_SIZE = 32768
_TEARS = 3  # a reader meets a half-copied line hardly ever, and hardly ever twice


class Birth(NamedTuple):
    """What never changes: who guards what, since which boot of the machine, under which rules."""

    guard: Identity
    boot: str
    token: int
    kill_grace_ms: int
    park_max_ms: int
    workspace: str


class Slip:
    """An open slip. Close it, or use it as a context."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._file = descriptor

    @classmethod
    def create(cls, path: Path, birth: Birth, deadline_ms: int) -> "Slip":
        """Make the slip of a token; FileExistsError when it was made before, by whomever.

        ValueError when the workspace's name does not fit. A slip that could not be written whole is not left behind.
        """
        guard = birth.guard
        numbers = (
            f"{guard.pid} {guard.birth} {birth.token} {birth.kill_grace_ms} {birth.park_max_ms} {birth.boot or '-'}"
        )
        known = {"deadline": str(deadline_ms), "guard": numbers, "run": birth.workspace}
        page = b"".join(_line(name, known.get(name, "")) for name in _LINES)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if os.pwrite(descriptor, page, 0) != _SIZE:
                raise OSError(28, "no space left for", str(path))
        except OSError:
            path.unlink()
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    @staticmethod
    def forestall(path: Path) -> bool:
        """Have nobody make the slip of a token any more; False where it was made before.

        What then lies there names no run. Where nothing can be made there, nobody else can make it either.
        """
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            return not isinstance(error, FileExistsError)
        return True

    @classmethod
    def open(cls, path: Path) -> "Slip":
        """Open a slip that exists; FileNotFoundError when there is none."""
        return cls(path, os.open(path, os.O_RDWR | os.O_CLOEXEC))

    def close(self) -> None:
        """Close the file; the slip stays on disk."""
        os.close(self._file)

    def fileno(self) -> int:
        """The open file, to lock."""
        return self._file

    def __enter__(self) -> "Slip":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def is_there(self) -> bool:
        """Whether it still has its name: else nobody can extend this lease, give an order, or learn of the ending."""
        try:
            return os.path.samestat(os.lstat(self.path), os.fstat(self._file))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # a disk that can not be asked just now
            return True

    @property
    def marker(self) -> str:
        """What the environment of every process of this run holds."""
        return f"{MARK}={self.path}"

    def birth(self) -> Birth | None:
        """Who guards what; None while the guard has not yet written the slip."""
        numbers, workspace = self._read("guard").split(), self._read("run")
        if len(numbers) != 6:
            return None
        pid, born, token, grace, park = map(int, numbers[:5])
        return Birth(Identity(pid, born), numbers[5].strip("-"), token, grace, park, workspace)

    def deadline_ms(self) -> int | None:
        """The lease's end on the boot clock; None when it can not be read just now."""
        text = self._read("deadline")
        return int(text) if text else None

    def extend(self, deadline_ms: int) -> None:
        """Move the lease's end."""
        self._write("deadline", str(deadline_ms))

    def order(self) -> tuple[Order, int, int] | None:
        """The order to end: why, the grace in milliseconds, and when it was given on the boot clock."""
        words = self._read("order").split()
        return (cast("Order", words[0]), int(words[1]), int(words[2])) if words else None

    def give_order(self, reason: Order, grace_ms: int, now_ms: int) -> None:
        """Write down that the run is to end."""
        self._write("order", f"{reason} {grace_ms} {now_ms}")

    def state(self) -> tuple[State, int]:
        """What the tree is known to do, and since when on the boot clock (0 when it always ran)."""
        words = self._read("state").split()
        return (cast("State", words[0]), int(words[1])) if words else ("running", 0)

    def set_state(self, state: State, since_ms: int) -> None:
        """Write down that the tree was stilled, runs again, or that nothing of it is left."""
        self._write("state", f"{state} {since_ms}")

    def agent(self) -> tuple[Identity, int] | None:
        """The agent's own process and when it started (epoch ms); None when none was started."""
        words = self._read("agent").split()
        return (Identity(int(words[0]), int(words[1])), int(words[2])) if words else None

    def set_agent(self, agent: Identity, started_at: int) -> None:
        """Write down which process the agent is."""
        self._write("agent", f"{agent.pid} {agent.birth} {started_at}")

    def exit(self) -> Exit | None:
        """How the run ended; None while that is not known."""
        text = self._read("exit")
        return Exit.decode(text) if text else None

    def set_exit(self, ending: Exit) -> None:
        """Write down how the run ended; of very many processes only the first are named."""
        width = _LINES["exit"][1] - 64
        ending = replace(ending, error=ending.error[:2000])
        while len(text := ending.encode()) > width:
            ending = replace(ending, receipt=tuple(ending.worst_first[: len(ending.receipt) // 2]))
        self._write("exit", text)

    def _write(self, name: str, text: str) -> None:
        os.pwrite(self._file, _line(name, text), _LINES[name][0])

    def _read(self, name: str) -> str:
        offset, width = _LINES[name]
        for _ in range(_TEARS):
            line = os.pread(self._file, width, offset).decode(errors="replace").strip()
            if not line:
                return ""
            text, _, checksum = line.removeprefix(f"{name} ").rpartition(" #")
            if checksum == _checksum(text):
                return text
        return ""


def _line(name: str, text: str) -> bytes:
    width = _LINES[name][1]
    line = f"{name} {text} #{_checksum(text)}".encode()
    if len(line) >= width or "\n" in text:
        raise ValueError(f"{name}: {len(text)} characters do not fit a slip")
    return line.ljust(width - 1) + b"\n"


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
