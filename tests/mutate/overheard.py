"""What a unit test asks of its server, overheard, and asked again with the clock set: its calls become steps too."""

import re
import time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from redis.asyncio.connection import AbstractConnection
from redis.connection import HiredisRespSerializer
from redis.exceptions import ResponseError

from coordinator import library
from tests.mutate import texts
from tests.mutate.steps import State, Step, Watched

_KEY_CLOCK: Final = b":clock'"
_TIGHT: Final = b"local MOST_EXAMINED = 2\n"
_MOST_STEPS: Final = 3000  # of a test
_MOST_KEYS: Final = 400  # before a step
_SET_UP: Final = b"CONFIG SET"
_VERBS: Final = frozenset(f"dispatch_{verb}".encode() for verb in library.VERBS)
#: What is asked again.
_MATTERS: Final = re.compile(
    rb"FCALL|FCALL_RO|FLUSHALL|FLUSHDB|(UN)?SUBSCRIBE"
    rb"|SET|DEL|RENAME|EVAL|[HZ]?INCRBY|H(SET|DEL)|Z(ADD|REM)|S(ADD|REM)|X(ADD|TRIM|DEL)|P?EXPIRE|[LR]PUSH|RESTORE"
)


class Asked(NamedTuple):
    """One command, and when: epoch ms."""

    at: int
    command: tuple[bytes, ...]


class Ear:
    """Hears what the clients of this process ask."""

    def __init__(self) -> None:
        self._asked: list[Asked] = []
        self._same: dict[bytes, bytes] = {}  # equal words lie in memory once
        for packer, name in ((HiredisRespSerializer, "pack"), (AbstractConnection, "pack_command")):
            self._listen(packer, name)

    def _listen(self, packer: type, name: str) -> None:
        plain = getattr(packer, name)

        def heard(of: object, *command: Any) -> Any:
            if sent := self._kept(command):
                self._asked.append(Asked(int(time.time() * 1000), sent))
            return plain(of, *command)

        setattr(packer, name, heard)

    def heard(self) -> list[Asked]:
        """Everything since the last question; nothing of a test that sets its server up in its own way."""
        found, self._asked = self._asked, []
        return [] if any(one.command[0] == _SET_UP for one in found) else found

    def _kept(self, command: tuple[Any, ...]) -> tuple[bytes, ...] | None:
        """A command that matters; of a library only whether it is tight or has a key for a clock."""
        first = command[0].encode() if isinstance(command[0], str) else command[0]
        if first.startswith(b"FUNCTION LOAD"):
            text = str(command[-1]).encode()
            return (b"LOAD", *(mark for mark in (_KEY_CLOCK, _TIGHT) if mark in text))
        if first.startswith(_SET_UP):
            return (_SET_UP,)
        if not _MATTERS.fullmatch(first):
            return None
        sent = (first, *(one if isinstance(one, bytes) else str(one).encode() for one in command[1:]))
        return tuple(self._same.setdefault(one, one) for one in sent)


class Again:
    """A server on which tests are asked again."""

    def __init__(self, url: str) -> None:
        self._watched = Watched(url)
        self._redis = self._watched.redis

    def steps(self, test: str, asked: Iterable[Asked]) -> list[Step]:
        """The calls of one test, or the first of very many."""
        self._redis.flushall()
        self._load(())
        found: list[Step] = []
        listening: frozenset[bytes] = frozenset()
        writes = self._redis.pipeline(transaction=False)
        for at, command in asked:
            what = command[0]
            if what == b"LOAD":
                self._load(command)
            elif what == b"SUBSCRIBE":
                listening |= {*command[1:]}
            elif what == b"UNSUBSCRIBE":
                listening -= {*command[1:]}
            elif not what.startswith(b"FCALL"):
                writes.execute_command(*command)  # type: ignore[no-untyped-call]
            elif command[1] in _VERBS and len(command) == 5:
                if not self._own_clock:
                    writes.set(command[3] + b":clock", at)
                writes.execute(raise_on_error=False)
                if len(found) == _MOST_STEPS or self._redis.dbsize() > _MOST_KEYS:
                    break  # the rest costs too much
                found.append(self._step(test, command, frozenset(map(bytes.decode, listening))))
        return found

    def _load(self, marks: tuple[bytes, ...]) -> None:
        self._own_clock, self._tight = _KEY_CLOCK in marks, _TIGHT in marks
        self._redis.function_load(texts.as_run(texts.counting(), tight=self._tight), replace=True)

    def _step(self, test: str, command: tuple[bytes, ...], listening: frozenset[str]) -> Step:
        ears = self._redis.pubsub()  # type: ignore[no-untyped-call]
        if listening:
            ears.subscribe(*listening)
            for _ in listening:
                ears.get_message(timeout=5.0)
        before, _, _ = self._look(command[3], {}, listening)
        answer: Any
        try:
            answer = self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except ResponseError:
            answer = None
        _, digest, ran = self._look(command[3], before.last, listening)
        ears.close()
        return Step(test, 0, self._tight, before, command, answer, digest, ran)

    def _look(self, root: bytes, since: dict[str, str], listening: frozenset[str]) -> tuple[State, bytes, int]:
        return self._watched.look(root, since, listening)
