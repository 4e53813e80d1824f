"""what_if, the place in line, and the first refusal as a fact."""

import json
import re
from typing import Any

import pytest

from coordinator import library
from coordinator.operations import BackOff, Explain, Limit, Submit, WhatIf
from coordinator.operations.explain import Explained
from tests.unit.operations.asking import Fleet


async def waiting(fleet: Fleet) -> list[dict[str, Any]]:
    """The facts Waiting so far."""
    entries: Any = await fleet.redis.xrange(f"{fleet.store.root}:events")
    return [json.loads(fields["json"]) for _, fields in entries if fields["type"] == "Waiting"]


async def place(fleet: Fleet, name: str) -> tuple[int | None, int | None]:
    answer = await fleet.store.run(Explain(workspace=name))
    assert isinstance(answer, Explained)
    return answer.place, answer.lanes_before


async def test_it_says_what_would_start_where_and_what_keeps_the_next(fleet: Fleet) -> None:
    await fleet.limit("codex", 0)
    await fleet.host(slots=9)
    await fleet.queue("a", "b", "c")
    async with fleet.listening("h1"):
        await fleet.claim()
        told = await fleet.store.run(WhatIf(limits={"codex": 2}))
        assert [(one.workspace, one.host) for one in told.starts] == [("a", "h1"), ("b", "h1")]
        [kept] = told.kept
        assert (kept.workspace, kept.refusal.key, kept.refusal.used, kept.refusal.holders) == (
            "c",
            "codex",
            2,
            ("a", "b"),
        )
        first = await fleet.store.run(WhatIf(clear=["codex"], count=1))
        assert ([one.workspace for one in first.starts], first.more) == (["a"], True)
        assert await fleet.granted() == []


async def test_a_host_that_is_busy_or_silent_is_given_nothing(fleet: Fleet) -> None:
    await fleet.limit("codex", 0)
    await fleet.host("h1", slots=1)
    await fleet.host("h2", slots=1)
    await fleet.queue("a", "b")
    async with fleet.listening("h1", "h2"):
        await fleet.claim("h1")
        await fleet.claim("h2")
        await fleet.redis.hset(f"{fleet.store.root}:host:h1", "beat", 1)
        told = await fleet.store.run(WhatIf(clear=["codex"]))
        assert [(one.workspace, one.host) for one in told.starts] == [("a", "h2")]
        [kept] = told.kept
        assert (kept.workspace, kept.refusal.reason, kept.refusal.holders) == ("b", "hosts_full", ("a",))


async def test_a_frozen_fleet_starts_nothing_and_says_so(fleet: Fleet) -> None:
    await fleet.store.run(Limit(key="*", limit=0))
    await fleet.host()
    await fleet.queue("a")
    told = await fleet.store.run(WhatIf(limits={"codex": 5}))
    assert (told.starts, told.refusal and told.refusal.key) == ((), "*")


async def test_the_place_in_line_counts_the_lanes_that_go_first(fleet: Fleet) -> None:
    await fleet.limit("codex", 0)
    await fleet.queue("a", "a2", repo="one")
    await fleet.queue("b", repo="two")
    await fleet.queue("c", repo="three")
    await fleet.submit("urgent", repo="three", priority=9)
    assert [await place(fleet, name) for name in ("urgent", "a", "a2", "b", "c")] == [
        (1, 0),
        (1, 1),
        (2, 1),
        (1, 2),
        (1, 3),
    ]
    await fleet.limit("codex", 5)  # now the group has a mark among those that are ready
    assert [await place(fleet, name) for name in ("urgent", "a", "c")] == [(1, 0), (1, 1), (1, 3)]


async def test_the_first_refusal_of_a_lane_is_told_once_for_each_key(fleet: Fleet) -> None:
    await fleet.limit("codex", 1)
    await fleet.host(slots=9)
    await fleet.queue("a", "b", "c")
    [grant] = (await fleet.claim()).grants
    [first] = await waiting(fleet)
    told = {"type": "Waiting", "workspace": "b", "key": "codex", "reason": "full", "used": 1, "limit": 1}
    assert first == told
    await fleet.end(grant)
    assert await fleet.granted() == ["b"]
    assert await waiting(fleet) == [told], "the lane stayed under its key: c waits behind the same refusal"
    until = 4_102_444_800_000
    await fleet.queue("d", agent="gemini")
    await fleet.store.run(BackOff(key="gemini", until=until))
    await fleet.store.run(Submit(workspace="e", agent="gemini", repo="r"))
    [_, second] = await waiting(fleet)
    assert (second["workspace"], second["key"], second["reason"], second["until"]) == ("e", "gemini", "backoff", until)


def test_every_command_of_a_claim_is_known_to_the_overlay() -> None:
    known = (library.FOLDER / "_overlay.lua").read_text()
    aside = {
        "_history",
        "_records",
        "_standing",
        "_overlay",
        "_unserved",
        "_faults",
        "_orphans",
        "_mends",
    }  # read or written by no claim
    paths = [*(path for path in library.FOLDER.glob("_*.lua") if path.stem not in aside)]
    paths += [library.FOLDER / f"{verb}.lua" for verb in ("claim", "limit")]
    used = {name for path in paths for name in re.findall(r"redis\.call\('([A-Z]+)'", path.read_text())}
    unknown = {name for name in used if not re.search(rf"\b{name}\b( =|\()", known)}
    assert unknown <= {"HRANDFIELD", "HLEN", "HSCAN"}, (
        "only a sweep, and who looks at routes that nobody serves, use these"
    )


@pytest.mark.parametrize("asked", [WhatIf(limits={"codex:big": 5}), WhatIf(clear=["repo:*"]), WhatIf()])
async def test_on_a_fleet_without_hosts_nothing_would_start(fleet: Fleet, asked: WhatIf) -> None:
    await fleet.queue("a")
    told = await fleet.store.run(asked)
    assert (told.starts, [one.refusal.reason for one in told.kept]) == ((), ["no_host"])
