"""Limit keys as they are told: what they are called, who holds them, and how far a default has been judged again."""

from typing import Any

import pytest

from coordinator.errors import InvalidQuestion
from coordinator.operations import BackOff, Freeze, GetStatus, Submit
from coordinator.operations.submit import Queued
from tests.unit.operations.asking import Fleet


async def _texts(fleet: Fleet) -> dict[str, str | None]:
    return {view.key: view.text for view in (await fleet.store.run(GetStatus())).keys}


async def test_a_key_is_that_of_a_model_where_a_pool_of_its_kind_has_started_something(fleet: Fleet) -> None:
    for key in ("codex", "codex:big", "team:a", "*"):
        await fleet.limit(key, 1)
    assert set((await _texts(fleet)).values()) == {None}
    await fleet.ask_for("a", "codex:big", keys=["team:a"])
    assert await _texts(fleet) == {
        "*": "queue at capacity: all 1/1",
        "codex": "queue at capacity: total 1/1",
        "codex:big": "queue at capacity: model big 1/1",
        "team:a": "queue at capacity: team:a 1/1",
    }


@pytest.mark.parametrize(
    ("kind", "name", "asked"),
    [("repo", "web", {"repo": "web"}), ("org", "core", {"org": "core"}), ("label", "gpu", {"labels": ["gpu"]})],
)
async def test_a_repo_an_org_and_a_label_are_no_models_whatever_a_pool_is_called(
    fleet: Fleet, kind: str, name: str, asked: dict[str, object]
) -> None:
    await fleet.limit(f"{kind}:{name}", 0)
    queued = await fleet.store.run(Submit.model_validate({"workspace": "a", "agent": kind, **asked}))
    assert isinstance(queued, Queued)
    assert queued.refusal
    assert queued.refusal.text == f"queue at capacity: {kind}:{name} 0/0"


async def test_of_those_that_hold_a_full_key_ten_are_named(fleet: Fleet) -> None:
    await fleet.limit("codex", 12)
    names = {f"w{number}" for number in range(12)}
    for name in sorted(names):
        await fleet.ask_for(name)
    await fleet.queue("a")
    no = await fleet.why("a")
    assert no is not None
    assert (no.used, no.limit, len(no.holders)) == (12, 12, 10)
    assert list(no.holders) == sorted(names.intersection(no.holders))


@pytest.mark.parametrize("asked", [Freeze(key="repo:*"), BackOff(key="repo:*", duration=1000)])
async def test_a_default_that_is_to_be_shut_is_refused_by_its_field(fleet: Fleet, asked: Any) -> None:
    with pytest.raises(InvalidQuestion) as found:
        await fleet.store.run(asked)
    (problem,) = found.value.problems
    assert (problem.field, problem.problem) == ("key", "repo:* is a default of limits: it shuts nothing")


async def _kept(fleet: Fleet, *keys: str) -> None:
    """So many keys keep something waiting."""
    await fleet.redis.zadd("{t}:blocked", dict.fromkeys(keys, 0))


@pytest.mark.parametrize(("count", "opening"), [(63, None), (65, "repo:r063")])
async def test_a_call_judges_sixty_four_keys_of_a_default_again(fleet: Fleet, count: int, opening: str | None) -> None:
    await _kept(fleet, *(f"repo:r{number:03}" for number in range(count)), "org:a", "repp:a", "repo")
    await fleet.limit("repo:*", 0)
    assert await fleet.redis.get("{t}:opening") == opening


@pytest.mark.parametrize(
    ("kind", "under_way", "opening"),
    [
        ("repo:", "repo:r010 org:a", "repo:r063 org:a"),
        ("repo:", "org:a repo:r010 team:", "repo:r063 org:a team:"),
        ("account:", "accounts:codex repo:a account:r010", "account:r063 accounts: repo:a"),
    ],
)
async def test_a_default_that_changes_again_is_walked_once_from_the_start_before_the_others(
    fleet: Fleet, kind: str, under_way: str, opening: str
) -> None:
    await _kept(fleet, *(f"{kind}r{number:03}" for number in range(70)))
    await fleet.redis.set("{t}:opening", under_way)
    await fleet.limit(f"{kind}*", 0)
    assert await fleet.redis.get("{t}:opening") == opening
