"""What is supposed is what then comes: the same fleet is asked, and then really does it."""

from typing import Any

from coordinator import operations as ops
from coordinator.operations.claim import Claim
from coordinator.operations.what_if import Supposed
from tests.model.world import START, World

Starts = list[tuple[str, str]]  # (workspace, host)


def _host(world: World, name: str, slots: int = 1, **more: Any) -> None:
    """A worker that asked for work, got none, and listens."""
    world.ask(ops.Renew.model_validate({"host": name, "incarnation": "i", "pools": ["codex"], "slots": slots, **more}))
    if more.get("mode") != "push":
        assert _claim(world, name, 1) == []
        world.listen(name)


def _claim(world: World, name: str, seq: int) -> list[str]:
    return [one.workspace for one in world.ask(Claim(host=name, incarnation="i", seq=seq)).grants]


def _queue(world: World, *names: str, **more: Any) -> None:
    for name in names:
        world.ask(ops.Submit.model_validate({"workspace": name, "agent": "codex", **more}))


def _supposed(world: World, **asked: Any) -> Supposed:
    """What would start; nothing but the question's own reading happened."""
    before = world.keys()
    told = world.ask(ops.WhatIf.model_validate(asked))
    assert world.keys() == before
    assert world.heard() == []
    return told


def _starts(told: Supposed) -> Starts:
    return [(one.workspace, one.host) for one in told.starts]


def _then(world: World, **limits: int | None) -> Starts:
    """The limits are set, every host that is poked asks for work, and so on until none is; what has started."""
    world.facts()
    for key, limit in limits.items():
        world.ask(ops.Limit(key=key, limit=limit, clear=limit is None or None))
    seqs: dict[str, int] = {}
    while poked := sorted(world.heard()):
        for host in poked:
            seqs[host] = seqs.get(host, 1) + 1
            _claim(world, host, seqs[host])
    return [(fact["workspace"], fact["host"]) for fact in world.facts() if fact["type"] == "AgentStarted"]


def test_hosts_that_are_poked_at_once_come_in_the_order_of_their_names(world: World) -> None:
    world.ask(ops.Limit(key="codex", limit=0))
    hosts = [f"p{number}" for number in range(8)]
    for name in hosts:
        _host(world, name)
        _queue(world, f"for-{name}", host=name)
    told = _starts(_supposed(world, clear=["codex"]))
    assert told == [(f"for-{name}", name) for name in hosts] == _then(world, codex=None)


def test_of_those_whose_time_has_come_each_claim_moves_some(world: World) -> None:
    soon, later = [f"s{number:02}" for number in range(17)], [f"w{number:02}" for number in range(24)]
    world.ask(ops.Limit(key="codex", limit=0))
    _host(world, "p", slots=64)
    _queue(world, *soon)
    _queue(world, *later, not_before=START + 1000)
    world.set_clock(START + 1000)
    told = _supposed(world, limits={"codex": 60}, count=60)
    assert _starts(told) == [(name, "p") for name in (*soon, *later)]


def test_a_walk_over_many_keys_goes_on_from_claim_to_claim(world: World) -> None:
    world.ask(ops.Limit(key="repo:*", limit=0))
    _host(world, "p", slots=100)
    for number in range(140):
        _queue(world, f"w{number:03}", repo=f"r{number:03}", priority=9 if number > 130 else 5)
    told = _starts(_supposed(world, limits={"repo:*": 1}, count=40))
    soon, urgent, rest = range(16), range(131, 140), range(16, 31)
    assert told == [(f"w{number:03}", "p") for number in (*soon, *urgent, *rest)]
