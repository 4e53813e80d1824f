"""Tapes: what the model's machine asked in one example, to be asked of another library, with the same laws or bare."""

import functools
import pickle
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from coordinator.operations._operation import Operation
from tests.model.driver import Driver
from tests.model.machine import FleetMachine
from tests.model.running import search
from tests.model.truth import Truth
from tests.model.view import View
from tests.model.world import ROOT, World
from tests.mutate import texts
from tests.mutate.steps import State, Step, Watched
from tests.servers import Servers

#: What a rule of the machine calls.
_ASKED: Final = frozenset(name for part in Driver.__mro__ for name in vars(part) if not name.startswith("_"))


@dataclass
class Tape:
    """One example: the calls of the driver, each with the truth before it, and the steps that they were."""

    tight: bool = False
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    truths: list[bytes] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def begin(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], truth: Truth | None) -> None:
        """A call begins; `truth` where it asks something of the library."""
        self.calls.append((name, args, kwargs))
        self.truths.append(zlib.compress(pickle.dumps(truth), 1) if truth else b"")

    def truth(self, call: int) -> Truth:
        found: Truth = pickle.loads(zlib.decompress(self.truths[call]))
        return found

    def before(self, call: int) -> State:
        """What lay in the server before one of its calls."""
        return next(step.before for step in self.steps if step.call == call)


class Recorded(World):
    """A world that writes down each step."""

    def __init__(self, kind: str, servers: Servers, library: str, tape: Tape, number: int) -> None:
        self.tape, self._number = tape, number
        self._watched = Watched(servers.url(kind))
        self._state: State | None = None  # what lies there, when that is known
        self._text: Any = None  # the last answer as it came
        super().__init__(kind, servers, library, tight=tape.tight)
        plain = self._call

        def noted(*command: Any) -> Any:
            self._text = plain(*command)
            return self._text

        self._call = noted

    def load(self) -> None:
        self._state = None
        super().load()

    def close(self) -> None:
        self.tape = Tape()  # what ends the world is no part of the tape
        self._watched.redis.close()
        super().close()

    def clear(self) -> None:
        self._state = None
        super().clear()

    def put_back(self, kept: Any) -> None:
        self._state = None
        super().put_back(kept)

    def set_clock(self, now: int) -> None:
        self._state = None
        super().set_clock(now)

    def listen(self, host: str) -> None:
        self._state = None
        self.tape.begin("listen", (host,), {}, None)
        super().listen(host)

    def deafen(self, host: str) -> None:
        self._state = None
        self.tape.begin("deafen", (host,), {}, None)
        super().deafen(host)

    def ask(self, operation: Operation[Any]) -> Any:
        before = self._state or self._look({})[0]
        answer = super().ask(operation)
        self._state, digest, ran = self._look(before.last)
        command = (
            "FCALL_RO" if operation.reads else "FCALL",
            f"dispatch_{operation.name}",
            "1",
            ROOT,
            operation.encoded(),
        )
        call = len(self.tape.calls) - 1
        self.tape.steps.append(Step(self._number, call, self.tight, before, command, self._text.encode(), digest, ran))
        return answer

    def _look(self, since: dict[str, str]) -> tuple[State, bytes, int]:
        return self._watched.look(ROOT, since, frozenset(f"{ROOT}:poke:{host}" for host in self.listening))


class Recording(Driver):
    """A driver that writes down what it is asked."""

    world: Recorded
    _asked = False

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name not in _ASKED or not callable(value):
            return value

        @functools.wraps(value)
        def asked(*args: Any, **kwargs: Any) -> Any:
            if self._asked:  # what one call asks of another is part of it
                return value(*args, **kwargs)
            self.world.tape.begin(name, args, kwargs, self.truth)
            self._asked = True
            try:
                return value(*args, **kwargs)
            finally:
                self._asked = False

        return asked


def record(kind: str, servers: Servers, *, examples: int, steps: int, start: int) -> list[Tape]:
    """As many tapes of the library as it is: every law holds on them."""
    found: list[Tape] = []

    def opened(tight: bool) -> World:
        found.append(Tape(tight))
        return Recorded(kind, servers, texts.as_run(texts.counting(), tight=tight), found[-1], len(found) - 1)

    class Machine(FleetMachine):
        open_world: Callable[[bool], World] = staticmethod(opened)
        driver = Recording

    search(Machine, examples, steps, start, shrink=False)
    return found


def play_on(tape: Tape, call: int, world: World) -> None:
    """Asks everything from this call on, in a world as it was before it, and every law is checked after every call."""
    try:
        fleet = Driver.__new__(Driver)
        fleet.world, fleet.truth, fleet.dead, fleet.sound = world, tape.truth(call), set(), True
        fleet.view = fleet.before = View(world.keys())
        for name, args, kwargs in tape.calls[call:]:
            getattr(world if name in ("listen", "deafen") else fleet, name)(*args, **kwargs)
        machine = object.__new__(FleetMachine)
        machine.world, machine.fleet = world, fleet
        machine._settle_down()
    finally:
        world.close()
