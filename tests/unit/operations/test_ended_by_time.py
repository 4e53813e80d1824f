"""What the clock has ended is gone and told, whoever looks first: not only its own timer."""

import json
from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.operations._operation import Operation
from tests.model.world import ROOT, START, World

END = START + 1000


def told(world: World) -> list[tuple[str, str | None]]:
    rows: Any = world.redis.xrange(f"{ROOT}:events")
    facts = [json.loads(fields["json"]) for _, fields in rows]
    return [(fact["type"], fact.get("by")) for fact in facts if fact.get("key") == "codex"]


@pytest.mark.parametrize(
    ("verb", "after"),
    [
        (ops.Thaw(key="codex", by="bob"), []),
        (ops.BackOff(key="codex", duration=60_000), []),
        (ops.Freeze(key="codex", by="bob"), [("Frozen", "bob")]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_freeze_that_is_over_is_told_by_whoever_moves_its_timer(
    world: World, verb: Operation[Any], after: list[tuple[str, str]]
) -> None:
    world.ask(ops.Freeze(key="codex", by="ana", until=END))
    world.set_clock(END)
    world.ask(verb)
    assert told(world) == [("Frozen", "ana"), ("Thawed", "expiry"), *after]
    assert world.redis.hexists(f"{ROOT}:frozen", "codex") == bool(after)


def test_a_gate_that_is_over_is_gone_when_its_timer_moves(world: World) -> None:
    world.ask(ops.BackOff(key="codex", duration=1000))
    world.set_clock(END)
    world.ask(ops.Freeze(key="codex"))
    assert world.redis.exists(f"{ROOT}:backoff") == 0
