"""Steps asked bare: many in a single write, each where it truly was asked, and compared with what truly came of it.

It judges nothing: where a mutant answers otherwise, the laws are asked. Where it never does, they can not tell either.
"""

import json
import socket
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import hiredis

from tests.mutate.same import is_same
from tests.mutate.steps import LOOK, State, Step
from tests.mutate.texts import MEMORY

Command = tuple[str | bytes, ...]
_STOPS: Final = "test_a_key_of_the_wrong_type_stops_a_question_before_it_writes"


class _Came(NamedTuple):
    """What came of a step: its answer, all that then lay there as one number, and what was told."""

    answer: Any
    digest: bytes | None
    told: tuple[bytes, ...]


class Felt(NamedTuple):
    """A step, by its place, from which something else came: `wrong` where that can be no answer, whatever was asked."""

    place: int
    what: str
    wrong: str | None = None


class Wire:
    """One connection to one server, and the library that lies there."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._reader = hiredis.Reader()
        self._heard: frozenset[str] = frozenset()
        self._send([("HELLO", "3"), ("SCRIPT", "LOAD", LOOK)])
        _, sha = self._answers(2)
        self._sha: bytes = sha

    def close(self) -> None:
        self._socket.close()

    def load(self, library: str) -> bool:
        """Whether the server takes this library."""
        self._send([("FUNCTION", "LOAD", "REPLACE", library)])
        return not isinstance(self._answers(1)[0], Exception)

    def others(self, steps: Sequence[Step]) -> list[Felt]:
        """Those from which something else came, and what."""
        found = []
        for place, (step, came) in enumerate(zip(steps, self._ask(steps), strict=True)):
            if came.answer != step.answer and not is_same(step.answer, came.answer):
                found.append(Felt(place, f"{_text(step.answer)} became {_text(came.answer)}", _wrong(came.answer)))
            elif came.digest != step.digest:
                found.append(Felt(place, "the keys", _of_damage(step)))
            elif came.told != step.told:
                found.append(Felt(place, f"{step.told!r:.300} was told as {came.told!r:.300}"))
        return found

    def told(self, steps: Sequence[Step]) -> list[tuple[bytes, ...]]:
        """What each of them tells those who listen."""
        return [came.told for came in self._ask(steps)]

    def _ask(self, steps: Sequence[Step]) -> list[_Came]:
        commands: list[Command] = []
        ends: list[int] = []  # where each step's answers end among all
        for step in steps:
            commands += self._setting(step.before, step.root)
            commands += [step.command, ("EVALSHA", self._sha, "0", json.dumps(step.before.last), "")]
            ends.append(_answered(commands))
        self._send(commands)
        told: dict[int, list[bytes]] = {}
        answers = self._answers(ends[-1], told)
        found = []
        for end in ends:
            answer, looked = answers[end - 2 : end]
            heard = tuple(sorted((*told.get(end - 2, ()), *told.get(end - 1, ()))))
            found.append(_Came(answer, None if isinstance(looked, Exception) else looked[0], heard))
        return found

    def set(self, state: State, root: str | bytes) -> None:
        """This and nothing else lies there; this connection hears nothing."""
        commands = [*self._setting(state._replace(listening=frozenset()), root)]
        self._send(commands)
        self._answers(_answered(commands))

    def _setting(self, state: State, root: str | bytes) -> Iterator[Command]:
        yield ("FLUSHALL", "SYNC")
        for name, (dump, ttl) in state.keys.items():
            yield ("RESTORE", name, str(ttl), dump)
        for name, last in state.last.items():
            yield ("XADD", name, last, "last", "")
        yield ("FCALL", MEMORY, "1", root, state.epoch)
        for channel in self._heard - state.listening:
            yield ("UNSUBSCRIBE", channel)
        for channel in state.listening - self._heard:
            yield ("SUBSCRIBE", channel)
        self._heard = state.listening

    def _send(self, commands: Sequence[Any]) -> None:
        self._socket.sendall(b"".join(hiredis.pack_command(command) for command in commands))

    def _answers(self, count: int, told: dict[int, list[bytes]] | None = None) -> list[Any]:
        """So many answers; into `told` goes what subscribers hear in between, by the number of answers before it."""
        found: list[Any] = []
        while len(found) < count:
            answer = self._reader.gets()
            if answer is False:
                data = self._socket.recv(1 << 16)
                if not data:
                    raise ConnectionResetError("the server has gone")
                self._reader.feed(data)
            elif not isinstance(answer, hiredis.PushNotification):
                found.append(answer)
            elif told is not None and answer[0] == b"message":
                told.setdefault(len(found), []).append(answer[1] + b" " + answer[2])
        return found


def _answered(commands: Sequence[Command]) -> int:
    """How many of them have an answer of their own."""
    return sum(command[0] not in ("SUBSCRIBE", "UNSUBSCRIBE") for command in commands)


def _wrong(answer: Any) -> str | None:
    return "an error of the library" if isinstance(answer, hiredis.ReplyError) else None


def _of_damage(step: Step) -> str | None:
    """The test that damages each key compares all of them before and after."""
    stops = isinstance(step.answer, bytes) and b'"outcome":"damaged"' in step.answer
    return "a damaged key stops a call before it writes" if stops and _STOPS in str(step.owner) else None


def _text(answer: Any) -> str:
    return f"{answer.decode(errors='replace') if isinstance(answer, bytes) else answer!r:.300}"[:300]
