"""Running the machine: on a kind of server, for so many examples of so many steps, from a seed."""

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model import build
from tests.model.machine import FleetMachine
from tests.model.planted import Plant
from tests.model.world import World
from tests.servers import Servers


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
    """Raise what the machine finds."""
    texts = {tight: build.text(tight=tight, plant=plant) for tight in (False, True)}

    class Machine(FleetMachine):
        open_world: Callable[[bool], World] = staticmethod(lambda tight: World(kind, servers, texts[tight]))

    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    run_state_machine_as_test(
        seed(start)(Machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            print_blob=False,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )
