"""What lies just at an edge falls on its right side: a beat, the slots of a host, what nobody has used for a year."""

import pytest

from coordinator import operations as ops
from coordinator.models import Grant
from coordinator.operations.claim import Asking, Claim
from coordinator.operations.track import OnDisk
from tests.model.world import START, World

YEAR = 31_536_000_000  # ms


def _push(world: World, slots: int, name: str = "p") -> None:
    world.ask(ops.Renew(host=name, incarnation="i", pools=["codex"], slots=slots, mode="push"))


def _spawned(world: World) -> list[str]:
    return [fact["workspace"] for fact in world.facts() if fact["type"] == "SpawnQueued"]


@pytest.mark.parametrize(("later", "lives"), [(30_000, True), (30_001, False)])
def test_a_push_host_is_silent_after_three_beats_and_not_before(world: World, later: int, lives: bool) -> None:
    world.ask(ops.Apply(settings=ops.apply.FleetSettings(beat=10_000)))
    _push(world, 1)
    world.set_clock(START + later)
    world.ask(ops.Submit(workspace="a", agent="codex"))
    assert _spawned(world) == ["a"] * lives


def test_a_push_host_without_room_waits_for_nothing(world: World) -> None:
    """It has fewer slots than it holds; when the first of its runs ends none is free."""
    _push(world, 3)
    for name in ("a", "b", "c"):
        world.ask(ops.Submit(workspace=name, agent="codex"))
    assert _spawned(world) == ["a", "b", "c"]
    _push(world, 2)
    world.ask(ops.Complete(workspace="a", status="completed"))
    assert "waiting" not in world.keys()["host:p"]
    world.ask(ops.Submit(workspace="d", agent="codex"))
    assert _spawned(world) == []
    world.ask(ops.Complete(workspace="b", status="completed"))
    assert _spawned(world) == ["d"]


@pytest.mark.parametrize("how", ["quiet", "silent", "frozen", "none"])
def test_a_push_host_that_is_given_nothing_waits_for_nothing_when_its_run_ends(world: World, how: str) -> None:
    _push(world, 1)
    world.ask(ops.Submit(workspace="a", agent="codex"))
    if how == "quiet":
        world.ask(ops.Host(host="p", action="quiet"))
    elif how == "frozen":
        world.ask(ops.Freeze(key="host:p"))
    else:
        world.set_clock(START + 50_000 * (how == "silent"))
    assert _spawned(world) == ["a"]
    world.ask(ops.Complete(workspace="a", status="completed"))
    assert ("waiting" in world.keys()["host:p"]) == (how == "none")


def test_the_replicas_forget_a_lane_that_nobody_has_used_for_a_year(world: World) -> None:
    for name, repo in (("a", "old"), ("b", "new")):
        world.ask(ops.Submit(workspace=name, agent="codex", repo=repo))
        world.ask(ops.Cancel(workspace=name))
        world.set_clock(START + 1)
    world.ask(ops.Submit(workspace="c", agent="codex"))  # its route is kept
    world.set_clock(START + YEAR)
    world.ask(ops.Reap())
    lanes = [field for field in world.keys()["fair:codex"] if " " in field]
    assert [lane.split()[-1] for lane in lanes if "repo:" in lane] == ["repo:new"]


def _grants(world: World, seq: int) -> list[Grant]:
    return list(world.ask(Claim(host="h1", incarnation="i", seq=seq)).grants)


def test_an_ending_whose_host_is_unknown_stands_and_its_claim_is_refused(world: World) -> None:
    world.ask(ops.Submit(workspace="a", agent="codex"))
    (grant,) = _grants(world, 1)
    claim = Asking(host="nobody", incarnation="i", seq=1)
    told = world.ask(ops.Complete(workspace="a", token=grant.token, status="completed", claim=claim))
    assert (told.outcome, told.refusal and told.refusal.reason) == ("completed", "no_host")


@pytest.mark.parametrize(("token", "question"), [(0, "old"), (1, "new")])
def test_the_first_token_is_of_a_later_run_than_that_of_a_workspace_that_never_ran(
    world: World, token: int, question: str
) -> None:
    said = OnDisk(workspace="a", status="failed", agent="codex", question="old")
    world.ask(ops.Track(workspaces=[said], host="h1"))
    world.ask(ops.Track(workspaces=[said.model_copy(update={"token": token, "question": "new"})], host="h1"))
    assert world.ask(ops.Query(workspace="a")).workspaces[0].question == question
