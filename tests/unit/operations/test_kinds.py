"""Limit keys of any kind: org, labels, what a caller invents; their defaults; records made before there were these."""

import pytest

from coordinator.operations import Apply, Explain, Limit, Retry, Track
from coordinator.operations.explain import Explained
from tests.unit.operations.asking import Fleet


async def _keys(fleet: Fleet, name: str) -> list[str]:
    answer = await fleet.store.run(Explain(workspace=name))
    assert isinstance(answer, Explained)
    return [view.key for view in answer.keys]


async def _lane(fleet: Fleet, name: str) -> str:
    return str(await fleet.redis.hget(f"{{t}}:workspace:{name}", "lane"))


async def test_a_lane_has_the_keys_of_its_agent_repo_org_and_labels_then_those_it_names(fleet: Fleet) -> None:
    named = ["team:blue", "label:gpu", "codex", "org:other"]
    await fleet.queue("a", agent="codex:big", org="core", repo="io", labels=["zone=eu", "gpu", "gpu"], keys=named)
    assert await _keys(fleet, "a") == [
        *("*", "codex", "codex:big", "repo:core/io", "org:core", "label:gpu", "label:zone=eu", "team:blue", "org:other")
    ]


@pytest.mark.parametrize(
    ("key", "more"),
    [
        ("org:core", {"org": "core", "repo": "io"}),
        ("label:gpu", {"labels": ["gpu"]}),
        ("label:zone=eu", {"labels": ["zone=eu"]}),
        ("team:blue", {"keys": ["team:blue"]}),
    ],
)
async def test_a_key_of_each_kind_limits_what_runs_under_it(fleet: Fleet, key: str, more: dict[str, object]) -> None:
    await fleet.host(slots=9, labels=["gpu", "zone=eu"])
    await fleet.limit(key, 1)
    await fleet.queue("a", "b", **more)
    await fleet.queue("other")
    one, other = sorted((await fleet.claim()).grants, key=lambda grant: grant.workspace)
    assert (one.workspace, other.workspace) == ("a", "other")
    no = await fleet.why("b")
    assert no is not None
    assert (no.key, no.text, no.holders) == (key, f"queue at capacity: {key} 1/1", ("a",))
    await fleet.end(one)
    assert await fleet.granted() == ["b"]


async def test_a_full_model_is_called_so(fleet: Fleet) -> None:
    await fleet.limit("codex:big", 0)
    await fleet.queue("a", agent="codex:big")
    no = await fleet.why("a")
    assert no is not None
    assert no.text == "queue at capacity: model big 0/0"


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("codex", {"agent": "codex:big"}, {"agent": "codex:small"}),
        ("org", {"org": "core"}, {"org": "io"}),
        ("label", {"labels": ["gpu"]}, {"labels": ["tpu"]}),
        ("team", {"keys": ["team:blue"]}, {"keys": ["team:red"]}),
    ],
)
async def test_a_default_holds_for_each_key_of_its_kind_and_its_changes_are_felt_at_once(
    fleet: Fleet, kind: str, one: dict[str, object], other: dict[str, object]
) -> None:
    await fleet.host(slots=9, labels=["gpu", "tpu"])
    await fleet.limit(f"{kind}:*", 1)
    await fleet.queue("a", "b", "c", **one)
    await fleet.queue("x", "y", "z", **other)
    assert sorted(await fleet.granted()) == ["a", "x"]
    async with fleet.listening("h1") as pokes:
        await fleet.store.run(Apply(limits={f"{kind}:*": 2}))
        assert await pokes.heard() == ["h1"]
    assert sorted(await fleet.granted()) == ["b", "y"]
    async with fleet.listening("h1") as pokes:
        await fleet.limit(f"{kind}:*", None)
        assert await pokes.heard() == ["h1"]
    assert sorted(await fleet.granted()) == ["c", "z"]


async def test_a_default_gives_way_to_a_limit_of_its_own_also_to_none_that_comes(fleet: Fleet) -> None:
    await fleet.host(slots=9)
    await fleet.limit("team:*", 0)
    await fleet.limit("team:blue", 1)
    await fleet.queue("a", "b", keys=["team:blue"])
    assert await fleet.granted() == ["a"]
    await fleet.limit("team:blue", None)
    assert await fleet.granted() == []
    no = await fleet.why("b")
    assert no is not None
    assert (no.key, no.used, no.limit) == ("team:blue", 1, 0)


async def test_what_a_default_would_let_start_is_told(fleet: Fleet) -> None:
    await fleet.limit("org:*", 0)
    await fleet.queue("a", org="core")
    answer = await fleet.store.run(Explain(workspace="a", what_if={"org:*": 1}))
    assert isinstance(answer, Explained)
    assert answer.refusal is not None
    assert answer.refusal.reason == "no_host"
    assert [(view.key, view.limit) for view in answer.keys][-1] == ("org:core", 1)


async def test_a_record_made_before_its_org_was_a_key_keeps_its_lane(fleet: Fleet) -> None:
    """Retried, tracked again, and run; with another agent it gets the keys of today, and keeps those it named."""
    await fleet.host(slots=9, labels=["gpu"])
    old = "codex+gpu codex repo:core/io team"
    await fleet.limit("codex", 0)
    await fleet.queue("a", org="core", repo="io", labels=["gpu"], keys=["team"])
    await fleet.store.run(Retry(workspace="a"))
    lane = await _lane(fleet, "a")
    for key, new in (("lanes:codex+gpu", None), (f"lane:{lane}", f"lane:{old}")):
        if new:
            await fleet.redis.rename(f"{{t}}:{key}", f"{{t}}:{new}")
        else:
            await fleet.redis.hdel(f"{{t}}:{key}", lane)
            await fleet.redis.hset(f"{{t}}:{key}", old, "codex")
    await fleet.redis.hset("{t}:workspace:a", "lane", old)
    await fleet.redis.zrem("{t}:blocked:codex:codex+gpu", lane)
    await fleet.redis.zadd("{t}:blocked:codex:codex+gpu", {old: 4e13})

    await fleet.limit("codex", 1)
    (run,) = (await fleet.claim()).grants
    assert await fleet.redis.smembers("{t}:slots:team") == {"a"}
    await fleet.end(run, "failed")
    assert await fleet.redis.keys("{t}:slots:*") == []
    said = {"workspace": "a", "status": "failed", "agent": "codex", "org": "core", "repo": "io"}
    told = await fleet.store.run(Track.model_validate({"workspaces": [said]}))
    assert (told.new, told.changed, await _lane(fleet, "a")) == (0, 0, old)
    await fleet.store.run(Retry(workspace="a"))
    (run,) = (await fleet.claim()).grants
    assert await _lane(fleet, "a") == old
    await fleet.end(run, "failed")
    await fleet.store.run(Retry(workspace="a", agent="codex:big"))
    assert await _lane(fleet, "a") == "codex+gpu codex codex:big repo:core/io org:core label:gpu team"


async def test_a_walk_that_was_under_way_before_there_were_several_goes_on(fleet: Fleet) -> None:
    await fleet.limit("repo:*", 0)
    for number in range(3):
        await fleet.queue(f"w{number}", repo=f"r{number}")
    await fleet.redis.hdel("{t}:limits", "repo:*")
    await fleet.redis.set("{t}:opening", "repo:r0")
    await fleet.queue("next", agent="other")
    assert await fleet.redis.zrange("{t}:ready:codex", 0, -1) == ["@repo:r1", "@repo:r2"]
    assert await fleet.redis.exists("{t}:opening") == 0


@pytest.mark.parametrize("text", ["", "x", " : ", "team", "team:z repo: nonsense \n", "\xff:"])
async def test_what_was_written_by_hand_where_walks_are_remembered_stops_nothing(fleet: Fleet, text: str) -> None:
    await fleet.redis.set("{t}:opening", text)
    await fleet.store.run(Limit(key="team:*", limit=1))
    await fleet.queue("a")
    assert await fleet.redis.exists("{t}:opening") == 0
