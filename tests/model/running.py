"""Running the machine: on a kind of server, for so many examples of so many steps, from a seed."""

from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests import seeds
from tests.model import build
from tests.model.machine import FleetMachine
from tests.model.mirror import Mirror
from tests.model.plant import Plant
from tests.model.world import World
from tests.servers import Servers


class Machine(FleetMachine):
    """One for all runs of a process: Hypothesis remembers every class of machines that it has met."""


def run(
    kind: str,
    servers: Servers,
    *,
    examples: int,
    steps: int,
    start: int,
    shrink: bool = True,
    plant: Plant | None = None,
) -> None:
    """Raise the first thing that the machine finds, made small where it may `shrink`."""
    texts = {tight: build.text(tight=tight, plant=plant) for tight in (False, True)}
    _run(lambda tight: World(kind, servers, texts[tight], tight=tight), examples, steps, start, shrink=shrink)


def run_together(kinds: Sequence[str], servers: Servers, *, examples: int, steps: int, start: int) -> None:
    """The same on several servers at once, which must answer alike."""
    texts = {tight: build.text(tight=tight) for tight in (False, True)}
    _run(
        lambda tight: Mirror([World(kind, servers, texts[tight], tight=tight) for kind in kinds]),
        examples,
        steps,
        start,
    )


def _run(opened: Callable[[bool], World], examples: int, steps: int, start: int, *, shrink: bool = True) -> None:
    Machine.open_world = staticmethod(opened)
    search(Machine, examples, steps, start, shrink=shrink)


def search(machine: type[FleetMachine], examples: int, steps: int, start: int, *, shrink: bool) -> None:
    """Raise the first thing that a machine finds."""
    seeds.depend_on_nothing_else()
    run_state_machine_as_test(
        seed(start)(machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            print_blob=False,
            phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
