"""One mutant after the other, until something catches it: tapes first, then the unit tests, then more tapes."""

import signal
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

from coordinator import library
from coordinator.errors import LibraryError
from tests.model.world import World
from tests.mutate import tapes, texts
from tests.mutate.mutants import Mutant
from tests.mutate.tapes import Tape
from tests.mutate.units import NEVER_ENDS, Ran, Units
from tests.mutate.wire import Wire
from tests.servers import REDIS, Servers

_FIRST: Final = 30  # tapes before the unit tests
_PLAYED: Final = 4  # of those that a mutant answers otherwise, before and after the unit tests
_UNITS: Final = 0.15  # of the time of all unit tests
_OF_CHECKS: Final = "test_damaged_keys"  # long, and for every mutant of a check
_BARE_SECONDS, _PLAY_SECONDS = 4.0, 20.0


class Verdict(NamedTuple):
    """What caught a mutant; of a survivor what was seen of it."""

    caught: str | None
    seen: str | None
    seconds: float


class NeverEndsError(BaseException):
    """A call or a story does not end."""


class Hunt:
    """One process' servers, tapes and tests, and what it has learnt: what caught one mutant may catch the next."""

    def __init__(self, recorded: list[Tape], covered: dict[str, Ran], units: Units) -> None:
        self._tapes, self._covered, self._units = recorded, covered, units
        self._texts = {tight: texts.as_run(library.TEXT, tight=tight) for tight in (False, True)}
        self._true: dict[int, list[Any]] = {}
        self._by_tape: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._by_test: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._start()

    def _start(self) -> None:
        self._servers = Servers()
        self._wire = Wire(self._servers.url(REDIS).removeprefix("unix://"))

    def stop(self) -> None:
        self._wire.close()
        self._servers.stop()
        self._units.stop()

    def judge(self, mutant: Mutant) -> Verdict:
        begun = time.monotonic()
        caught, seen = self._judged(mutant, texts.marks_of(mutant))
        return Verdict(caught, seen, round(time.monotonic() - begun, 2))

    def _judged(self, mutant: Mutant, marks: set[str]) -> tuple[str | None, str | None]:
        changed = mutant.library()
        self._changed = {tight: texts.as_run(changed, tight=tight) for tight in (False, True)}
        if not self._wire.loads(self._changed[False]):
            return "it does not load", None
        scores = self._by_tape[mutant.file]
        order = [at for at, tape in enumerate(self._tapes) if tape.ran & marks]
        order.sort(key=lambda at: -scores[at])
        caught, seen = self._by_tapes(mutant, order[:_FIRST])
        if not caught:
            caught = self._by_units(mutant, changed, marks)
        if not caught:
            caught, later = self._by_tapes(mutant, order[_FIRST:])
            seen = seen or later
        return caught, seen

    def _by_tapes(self, mutant: Mutant, order: list[int]) -> tuple[str | None, str | None]:
        seen, played = None, 0
        for at in order:
            tape = self._tapes[at]
            if at not in self._true:
                self._true[at] = self._wire.play(tape, self._texts[tape.tight])
            try:
                with self._at_most(_BARE_SECONDS):
                    told = self._wire.play(tape, self._changed[tape.tight])
                if told == self._true[at]:
                    continue
                with self._at_most(_PLAY_SECONDS):
                    caught = self._lawless(tape)
            except NeverEndsError:
                caught = NEVER_ENDS
            if caught:
                self._by_tape[mutant.file][at] += 1
                return caught, None
            seen, played = seen or _first_other(tape, self._true[at], told), played + 1
            if played == _PLAYED:
                break
        return None, seen

    def _lawless(self, tape: Tape) -> str | None:
        """The law that the changed library breaks on a tape."""
        try:
            tapes.play(tape, World(REDIS, self._servers, self._changed[tape.tight], tight=tape.tight))
        except Exception as error:  # noqa: BLE001  # whatever it is, the model would have failed
            return _named(error)
        return None

    def _by_units(self, mutant: Mutant, changed: str, marks: set[str]) -> str | None:
        tests = [*self._tests(mutant, marks)]
        caught = tests and self._units.catch(changed, tests)
        if not caught:
            return None
        self._by_test[mutant.file][caught] += 1
        return caught.rpartition("/")[2]

    def _tests(self, mutant: Mutant, marks: set[str]) -> Iterator[str]:
        """Those that can feel it, as far as time allows: what caught others of its file, then what runs little else."""
        checks = mutant.file == "_sound" or "expect" in mutant.around or "sound." in mutant.around
        scores, left = self._by_test[mutant.file], sum(ran.seconds for ran in self._covered.values()) * _UNITS
        found = [(test, ran) for test, ran in self._covered.items() if ran.marks & marks]
        for test, ran in sorted(found, key=lambda one: (-scores[one[0]], one[1].seconds ** 0.5 * len(one[1].marks))):
            if checks and _OF_CHECKS in test:
                yield test
            elif ran.seconds < left:
                left -= ran.seconds
                yield test

    @contextmanager
    def _at_most(self, seconds: float) -> Iterator[None]:
        def end(*_: object) -> None:
            raise NeverEndsError

        signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again: an error in a callback of the collector is lost
        try:
            yield
        except NeverEndsError:
            signal.setitimer(signal.ITIMER_REAL, 0)
            with suppress(OSError):
                self._wire.close()
            self._servers.stop()  # its script runs on: only its end stops it
            self._start()
            raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _named(error: Exception) -> str:
    """The law, or the verb whose answer was wrong."""
    if isinstance(error, LibraryError):
        return "an error of the library"
    frames = traceback.extract_tb(error.__traceback__)
    laws = [frame.name for frame in frames if frame.filename.endswith("laws.py")]
    verbs = [frame.name for frame in frames if frame.filename.endswith("driver.py")]
    if laws and laws[0] != "refusal_is_true":
        return f"law {laws[0]}"
    return f"answer of {verbs[0]}" if verbs else f"{type(error).__name__} in {frames[-1].name}"


def _first_other(tape: Tape, true: list[Any], told: list[Any]) -> str:
    """Where a mutant first answered otherwise."""
    for one, other in zip(true, told, strict=False):
        if one != other:
            return f"{one!r:.300} became {other!r:.300}" if isinstance(one, dict) else "the keys"
    return "more or fewer answers"
