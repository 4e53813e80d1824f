"""One mutant after the other, until something catches it: the model's steps, then those of the unit tests."""

import signal
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Final, NamedTuple

from coordinator.errors import LibraryError
from tests.model.world import ROOT, World
from tests.mutate import tapes, texts
from tests.mutate.mutants import Mutant
from tests.mutate.prepare import Recorded
from tests.mutate.steps import Step
from tests.mutate.units import LONGEST, NEVER_ENDS, Units
from tests.mutate.wire import Felt, Wire
from tests.servers import REDIS, Servers

_MOST_STEPS: Final = 1500  # of the model, and as many of unit tests
_MOST_CHECKED: Final = 6000  # of unit tests, where it is one that looks for damage: only a step that met it can feel it
_PLAYED: Final = 6  # of those that a mutant answers otherwise, how many the model judges
_TEST_SECONDS: Final = (
    2.5  # of tests that it answers otherwise, how many run: what caught one of its file, then the quickest
)
_BLIND_SECONDS: Final = 1.0  # of tests that run its statement in no step: they ask too much, or nothing
_MOST_BLIND: Final = 12
_CHECKS: Final = "_sound"  # the file that only looks for damage
_BARE_SECONDS, _PLAY_SECONDS = 3.0, 6.0  # ten times what they take


class Verdict(NamedTuple):
    """What caught a mutant; of a survivor what was seen of it."""

    caught: str | None
    seen: str | None
    seconds: float


class NeverEndsError(BaseException):
    """A call or a story does not end."""


class Hunt:
    """One process' servers, steps and tests, and what it has learnt: what caught one mutant may catch the next."""

    def __init__(self, recorded: Recorded, units: Units) -> None:
        self._recorded, self._units = recorded, units
        self._scores: defaultdict[tuple[str, int], Counter[int]] = defaultdict(Counter)  # of steps, by statement
        self._by_test: defaultdict[str, Counter[str]] = defaultdict(Counter)  # what caught those of a file
        self._start()

    def _start(self) -> None:
        self._servers = Servers()
        self._wire = Wire(self._servers.url(REDIS).removeprefix("unix://"))
        self._loaded: bool | None = None  # whether the library that lies there is the tight one

    def _begin_anew(self) -> None:
        with suppress(OSError):
            self._wire.close()
        self._servers.stop()
        self._start()

    def stop(self) -> None:
        self._wire.close()
        self._servers.stop()
        self._units.stop()

    def judge(self, mutant: Mutant) -> Verdict:
        begun = time.monotonic()
        try:
            caught, seen = self._judged(mutant, texts.marks_of(mutant))
        except ConnectionError:
            caught, seen = "the server dies of it", None
            self._begin_anew()
        return Verdict(caught, seen, round(time.monotonic() - begun, 2))

    def _judged(self, mutant: Mutant, marks: set[str]) -> tuple[str | None, str | None]:
        changed = mutant.library()
        self._changed = {tight: texts.as_run(changed, tight=tight) for tight in (False, True)}
        self._loaded = False
        if not self._wire.load(self._changed[False]):
            return "it does not load", None
        ran = texts.bits(marks)
        caught, seen = self._by_steps(mutant, ran)
        if caught:
            return caught, None
        caught, felt, later = self._by_tests(mutant.file, changed, ran)
        blind = not (felt or seen) and not any(one.ran & ran for one in self._recorded.of_tapes)
        return caught, seen or later or ("nothing runs it" if blind else None)

    def _by_steps(self, mutant: Mutant, ran: int) -> tuple[str | None, str | None]:
        """What caught it; of one that is not caught, what was seen."""
        scores, seen, played = self._scores[mutant.file, mutant.statement.at], None, set[int]()
        order = _varied(self._recorded.of_tapes, ran)
        order.sort(key=lambda at: -scores[at])
        steps = self._recorded.of_tapes
        try:
            for at, felt in self._felt(steps, order[:_MOST_STEPS]):
                if felt.wrong:
                    return felt.wrong, None
                if steps[at].ran in played:
                    continue
                seen = seen or felt.what
                with self._at_most(_PLAY_SECONDS):
                    caught = self._lawless(steps[at])
                if caught:
                    scores[at] += 1
                    return caught, None
                played.add(steps[at].ran)
                if len(played) == _PLAYED:
                    break
        except NeverEndsError:
            return NEVER_ENDS, None
        return None, seen

    def _felt(self, steps: Sequence[Step], order: Sequence[int]) -> Iterator[tuple[int, Felt]]:
        """Those steps from which something else comes, and what: few are asked at first, then more at once."""
        left, size = iter(order), 3
        while some := [*islice(left, size)]:
            size = min(2 * size, 64)
            for tight in (False, True):
                asked = [at for at in some if steps[at].tight == tight]
                for start in range(0, len(asked), size):
                    self._load(tight)
                    part = asked[start : start + size]
                    with self._at_most(_BARE_SECONDS):
                        others = self._wire.others([steps[at] for at in part])
                    yield from ((part[felt.place], felt) for felt in others)

    def _load(self, tight: bool) -> None:
        if self._loaded is not tight:
            self._wire.load(self._changed[tight])
            self._loaded = tight

    def _lawless(self, step: Step) -> str | None:
        """The law that the changed library breaks from this step on."""
        assert isinstance(step.owner, int)
        tape = self._recorded.tapes[step.owner]
        before = tape.before(step.call)
        world = World(REDIS, self._servers, self._changed[step.tight], tight=step.tight)
        self._loaded = step.tight
        try:
            for channel in before.listening:
                world.listen(channel.rpartition(":")[2])
            self._wire.set(before, step.root)
            world._seen = before.last.get(f"{ROOT}:events", "")
            tapes.play_on(tape, step.call, world)
        except Exception as error:  # noqa: BLE001  # whatever it is, the model would have failed
            return _named(error)
        return None

    def _by_tests(self, file: str, changed: str, ran: int) -> tuple[str | None, bool, str | None]:
        """The test that caught it; whether any test runs it; what was seen."""
        steps, seen, felt = self._recorded.of_tests, None, dict[str, None]()
        order, most = _varied(steps, ran), _MOST_STEPS
        if file == _CHECKS:
            order, most = _damaged_first(steps, order), _MOST_CHECKED
        try:
            for at, one in self._felt(steps, order[:most]):
                if one.wrong:
                    return one.wrong, True, None
                seen = seen or one.what
                felt[str(steps[at].owner)] = None
        except NeverEndsError:
            return NEVER_ENDS, True, None
        met = {steps[at].owner for at in order}
        blind = [test for test, one in self._recorded.tests.items() if one.ran & ran and test not in met]
        blind.sort(key=lambda test: self._recorded.tests[test].ran.bit_count())  # who runs little else looks at it
        tests = [*self._some(felt, file, _TEST_SECONDS), *self._some(blind[:_MOST_BLIND], file, _BLIND_SECONDS)]
        caught = self._units.catch(changed, tests) if tests else None
        if caught:
            self._by_test[file][caught] += 1
        return caught and caught.rpartition("/")[2], bool(order or blind), seen

    def _some(self, tests: Iterable[str], file: str, left: float) -> Iterator[str]:
        """Those that fit into so many seconds, or the first: what caught one of this file, then the quickest."""
        seconds, caught = self._recorded.tests, self._by_test[file]
        for place, test in enumerate(sorted(tests, key=lambda test: (-caught[test], seconds[test].seconds))):
            left -= seconds[test].seconds
            if left > 0 or (place == 0 and seconds[test].seconds < LONGEST / 4):  # on a busy machine it takes more
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
            self._begin_anew()  # its script runs on: only the server's end stops it
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


def _damaged_first(steps: Sequence[Step], order: Sequence[int]) -> list[int]:
    """The same places: first one that met each damaged key, then another of each, and those that met none at last."""
    rounds: Counter[bytes] = Counter()
    found = []
    for place, at in enumerate(order):
        damaged = steps[at].damaged
        rounds[damaged] += bool(damaged)
        found.append((not damaged, rounds[damaged], place, at))
    return [at for *_, at in sorted(found)]


def _varied(steps: Sequence[Step], ran: int) -> list[int]:
    """The places of those that run one of these marks: first one of each way through the library, then others."""
    rounds: Counter[tuple[object, ...]] = Counter()
    found = []
    for at, step in enumerate(steps):
        if step.ran & ran:
            rounds[step.way] += 1
            found.append((rounds[step.way], len(step.before.keys), at))
    return [at for _, _, at in sorted(found)]
