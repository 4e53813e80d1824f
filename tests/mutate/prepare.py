"""What is asked of mutants: the model's tapes and the unit tests, as steps of the library as it is."""

from collections import Counter
from typing import Final, NamedTuple

from coordinator import library
from tests.mutate import tapes, texts
from tests.mutate.overheard import Again
from tests.mutate.steps import Step
from tests.mutate.tapes import Tape
from tests.mutate.units import Ran, Units
from tests.mutate.wire import Wire
from tests.servers import REDIS, Servers

_EACH: Final = 50  # steps of an example of the model
_ALIKE: Final = 40  # steps that go the same way through the library: they differ in what lies at an edge
_BATCH: Final = 32


class Recorded(NamedTuple):
    """What is asked of mutants: the model's tapes and its steps, the unit tests and theirs."""

    tapes: list[Tape]
    of_tapes: list[Step]
    tests: dict[str, Ran]
    of_tests: list[Step]


def recorded(servers: Servers, examples: int, seed: int) -> Recorded:
    """From so many examples of the model, and all unit tests."""
    url = servers.url(REDIS)
    found = tapes.record(REDIS, servers, examples=examples, steps=_EACH, start=seed)
    units = Units()
    try:
        tests = units.cover()
    finally:
        units.stop()
    again = Again(url)
    of_tests = [step for test, ran in tests.items() for step in again.steps(test, ran.asked)]
    wire = Wire(url.removeprefix("unix://"))
    of_tapes = _sure([step for tape in found for step in tape.steps], wire)
    tests = {test: ran._replace(asked=[]) for test, ran in tests.items()}
    return Recorded(found, of_tapes, tests, _sure(of_tests, wire))


def _sure(steps: list[Step], wire: Wire) -> list[Step]:
    """Those that the library answers alike whenever it is asked; of many that go one way, some."""
    ways: Counter[tuple[object, ...]] = Counter()
    some = []
    for step in steps:
        ways[step.way] += 1
        if ways[step.way] <= _ALIKE:
            some.append(step)
    found = []
    for tight in (False, True):
        wire.load(texts.as_run(library.TEXT, tight=tight))
        of_it = [step for step in some if step.tight == tight]
        for start in range(0, len(of_it), _BATCH):
            part = of_it[start : start + _BATCH]
            part = [step._replace(told=told) for step, told in zip(part, wire.told(part), strict=True)]
            other = {felt.place for _ in range(2) for felt in wire.others(part)}
            found += [step for place, step in enumerate(part) if place not in other]
    return found
