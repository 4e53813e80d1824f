"""Tapes: what the model's machine asked in one example, to be asked of another library, with the same laws or bare."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from coordinator.operations._operation import Operation
from tests.model.driver import Driver
from tests.model.machine import FleetMachine
from tests.model.running import search
from tests.model.world import ROOT, World
from tests.mutate import texts
from tests.servers import Servers

#: What a rule of the machine calls.
_ASKED: Final = frozenset(name for name in vars(Driver) if not name.startswith("_"))


@dataclass
class Tape:
    """One example: the calls of the driver, the commands of the wire, and the statements that ran."""

    tight: bool = False
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    sent: list[tuple[str, ...]] = field(default_factory=list)
    ran: set[str] = field(default_factory=set)


class Recorded(World):
    """A world that writes everything down."""

    def __init__(self, kind: str, servers: Servers, library: str, tape: Tape) -> None:
        self.tape = tape
        super().__init__(kind, servers, library, tight=tape.tight)

    def load(self) -> None:
        if self.tape.sent:
            self._count()
        self.tape.sent.append(("LOAD",))
        super().load()

    def _count(self) -> None:
        self.tape.ran |= set(self.redis.fcall(texts.HITS, 1, ROOT))

    def close(self) -> None:
        self._count()
        self.tape = Tape()  # what ends the world is no part of the tape
        super().close()

    def clear(self) -> None:
        self.tape.sent.append(("FLUSHDB",))
        super().clear()

    def set_clock(self, now: int) -> None:
        self.tape.sent.append(("SET", f"{ROOT}:clock", str(now)))
        super().set_clock(now)

    def listen(self, host: str) -> None:
        self.tape.calls.append(("listen", (host,), {}))
        self.tape.sent.append(("SUBSCRIBE", f"{ROOT}:poke:{host}"))
        super().listen(host)

    def deafen(self, host: str) -> None:
        self.tape.calls.append(("deafen", (host,), {}))
        self.tape.sent.append(("UNSUBSCRIBE", f"{ROOT}:poke:{host}"))
        super().deafen(host)

    def ask(self, operation: Operation[Any]) -> Any:
        command = "FCALL_RO" if operation.reads else "FCALL"
        self.tape.sent.append((command, f"dispatch_{operation.name}", "1", ROOT, operation.encoded()))
        return super().ask(operation)


class Recording(Driver):
    """A driver that writes down what it is asked."""

    world: Recorded

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name not in _ASKED or not callable(value):
            return value

        @functools.wraps(value)
        def asked(*args: Any, **kwargs: Any) -> Any:
            self.world.tape.calls.append((name, args, kwargs))
            return value(*args, **kwargs)

        return asked


def record(kind: str, servers: Servers, *, examples: int, steps: int, start: int) -> list[Tape]:
    """As many tapes of the library as it is: every law holds on them."""
    found: list[Tape] = []

    def opened(tight: bool) -> World:
        found.append(Tape(tight))
        return Recorded(kind, servers, texts.as_run(texts.counting(), tight=tight), found[-1])

    class Machine(FleetMachine):
        open_world: Callable[[bool], World] = staticmethod(opened)
        driver = Recording

    search(Machine, examples, steps, start, shrink=False)
    return [tape for tape in found if len(tape.calls) > 8]


def play(tape: Tape, world: World) -> None:
    """Asks it all again, and every law is checked after every call."""
    fleet = Driver(world)
    try:
        for name, args, kwargs in tape.calls:
            getattr(world if name in ("listen", "deafen") else fleet, name)(*args, **kwargs)
        machine = object.__new__(FleetMachine)
        machine.world, machine.fleet = world, fleet
        machine._settle_down()
    finally:
        world.close()
