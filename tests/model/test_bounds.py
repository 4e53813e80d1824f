"""A call does a bounded part of its work, and says that there is more."""

from collections.abc import Iterator

import pytest

from coordinator import operations as ops
from tests.model import build
from tests.model.driver import Driver
from tests.model.world import World
from tests.servers import Servers


@pytest.fixture
def fleet(server_kind: str, servers: Servers) -> Iterator[Driver]:
    world = World(server_kind, servers, build.text())
    yield Driver(world)
    world.close()


@pytest.mark.reference("W14")
def test_a_claim_looks_at_64_lanes_and_says_more(fleet: Driver) -> None:
    """70 lanes stood open when their keys were closed: one call moves 64 of them to their keys, the next finds work."""
    fleet.thaw(ops.Thaw())
    for number in range(70):
        fleet.submit(ops.Submit(workspace=f"w{number}", agent="codex", keys=[f"k{number}"]))
    fleet.submit(ops.Submit(workspace="last", agent="codex", priority=0))
    for number in range(70):
        fleet.limit(ops.Limit(key=f"k{number}", limit=0))
    fleet.renew(ops.Renew(host="h1", incarnation="i", pools=["codex"], slots=1))
    assert fleet.claim(ops.Claim(host="h1", incarnation="i", seq=1))
    assert len(fleet.view.groups) == 64
    assert not fleet.truth.running()
    fleet.claim(ops.Claim(host="h1", incarnation="i", seq=2), twice=True)
    assert [task.name for task in fleet.truth.running()] == ["last"]


def test_a_walk_over_a_default_goes_on_with_the_next_call(fleet: Driver) -> None:
    """100 repos wait for `repo:*`: raising it opens 64 at once, the replicas are told, and any call opens the rest."""
    fleet.limit(ops.Limit(key="repo:*", limit=0))
    for number in range(100):
        fleet.submit(ops.Submit(workspace=f"w{number}", agent="codex", repo=f"r{number}"))
    fleet.limit(ops.Limit(key="repo:*", clear=True))
    assert fleet.view.opening
    assert sum(entry.startswith("@") for entry in fleet.view.ready["codex"]) == 64
    assert not fleet.reap()
    assert sum(entry.startswith("@") for entry in fleet.view.ready["codex"]) == 100


def test_walks_over_several_defaults_go_on_one_after_the_other(fleet: Driver) -> None:
    """40 repos and 100 teams wait for their defaults; both change, and every one of them is opened, 64 a call."""
    fleet.apply(ops.Apply(limits={"repo:*": 0, "team:*": 0}))
    for number in range(140):
        where = {"repo": f"r{number}"} if number < 40 else {"keys": [f"team:t{number}"]}
        fleet.submit(ops.Submit.model_validate({"workspace": f"w{number}", "agent": "codex", **where}))
    fleet.limit(ops.Limit(key="team:*", limit=1))
    fleet.limit(ops.Limit(key="repo:*", limit=1))
    assert _marks(fleet) == 2 * 64
    assert "opening" in fleet.view.keys
    assert not fleet.reap()
    assert _marks(fleet) == 140
    assert "opening" not in fleet.view.keys
    fleet.apply(ops.Apply(limits={}))
    assert len(fleet.view.keys["opening"].split()) == 1


def test_one_call_opens_64_keys_however_many_defaults_it_changes(fleet: Driver) -> None:
    kinds = ("a", "b", "c")
    fleet.apply(ops.Apply(limits={f"{kind}:*": 0 for kind in kinds}))
    for number in range(90):
        fleet.submit(ops.Submit(workspace=f"w{number}", agent="codex", keys=[f"{kinds[number % 3]}:{number}"]))
    fleet.apply(ops.Apply(limits={}))
    assert _marks(fleet) == 64
    assert not fleet.reap()
    assert _marks(fleet) == 90


def _marks(fleet: Driver) -> int:
    return sum(entry.startswith("@") for entry in fleet.view.ready["codex"])
