"""A server that is killed and comes back with all, without its last words, or with nothing, while agents run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.operations import BackOff, Backup, Limit, Submit, Thaw
from tests import marks
from tests.fleet import Fleet
from tests.forgetful import Forgetful
from tests.waiting import wait_until

SHORT: dict[str, object] = {"lease_ttl": "20s", "beat": "500ms", "kill_grace": "2s"}
HOSTS = ("h1", "h2")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Forgetful]:
    with Forgetful(tmp_path / "server") as server:
        yield server


def fleet_on(server: Forgetful, place: Path, limit: int) -> Fleet:
    return Fleet(server.url, place, {"codex": limit}, None, **SHORT)


async def begin(fleet: Fleet, *, slots: int) -> None:
    fleet.serve("r1")
    for host in HOSTS:
        fleet.work(host, slots)
    await fleet.ready(len(HOSTS))


async def submit(fleet: Fleet, names: list[str], seconds: float) -> None:
    for name in names:
        await fleet.store.run(Submit(workspace=name, agent="codex", task=str(seconds)))


async def started(fleet: Fleet, count: int) -> None:
    await wait_until(lambda: len(marks.starts(marks.read(fleet.marks))) >= count, f"{count} agents run", every=0.05)


async def reads(fleet: Fleet) -> int:
    """How often somebody has read by a verb: of those that run by themselves only a replica that remembers does."""
    stats: Any = await fleet.store.redis.info("commandstats")
    return int(stats.get("cmdstat_fcall_ro", {}).get("calls", 0))


async def wait_for_reads(fleet: Fleet, before: int) -> None:
    async def more() -> bool:
        return await reads(fleet) > before

    await wait_until(more, "the replica has looked at what was set", every=0.02)


def told_once(fleet: Fleet, names: list[str], *, most: int) -> None:
    """What the agents themselves say: each ran once, to its end, and never too many."""
    seen = marks.read(fleet.marks)
    assert marks.starts(seen) == dict.fromkeys(names, 1)
    assert sorted(mark.workspace for mark in seen if mark.what == "end") == sorted(names)
    assert marks.most_at_once(seen)["codex"] <= most


async def test_one_that_comes_back_with_its_file(server: Forgetful, tmp_path: Path) -> None:
    first, second = [f"a/{number}" for number in range(6)], [f"b/{number}" for number in range(4)]
    async with fleet_on(server, tmp_path, 6) as fleet:
        await begin(fleet, slots=4)
        await submit(fleet, first, 1.5)
        await submit(fleet, second, 0.1)
        await started(fleet, 6)
        server.kill()
        await wait_until(lambda: len(marks.read(fleet.marks)) >= 12, "the agents end while it is away")
        server.start()
        for name in (*first, *second):
            await fleet.becomes(name, "completed", deadline=20)
        told_once(fleet, [*first, *second], most=6)


async def test_one_that_comes_back_empty(server: Forgetful, tmp_path: Path) -> None:
    ends_away, runs_on = [f"a/{number}" for number in range(3)], [f"b/{number}" for number in range(3)]
    async with fleet_on(server, tmp_path, 9) as fleet:
        await begin(fleet, slots=6)
        await fleet.store.run(BackOff(key="claude", duration=3_600_000, reason="usage limit", by="ana"))
        await fleet.heard()
        looks = await reads(fleet)
        await fleet.store.run(Limit(key="codex", limit=6))  # a fact, which replicas hear
        await wait_for_reads(fleet, looks)
        await submit(fleet, ends_away, 2)
        await submit(fleet, runs_on, 6)
        await started(fleet, 6)
        before = await fleet.store.run(Backup())
        server.kill()
        server.go_back()
        await wait_until(lambda: len(marks.read(fleet.marks)) >= 9, "three end while it is away")
        server.start()
        await fleet.becomes_known("b/0", "running")
        new = [f"c/{number}" for number in range(6)]
        await submit(fleet, new, 0.1)
        for name in (*ends_away, *runs_on, *new):
            await fleet.becomes_known(name, "completed")
        after = await fleet.store.run(Backup())
        assert (after.limits, after.gates, after.settings) == (before.limits, before.gates, before.settings)
        told_once(fleet, [*ends_away, *runs_on, *new], most=6)


async def test_one_that_comes_back_without_its_last_words(server: Forgetful, tmp_path: Path) -> None:
    """It knows of three runs that have ended since, and not of those that were granted for them."""
    ended, granted, runs_on, waits = (
        [f"{kind}/{number}" for number in range(3)] for kind in ("ended", "granted", "on", "waits")
    )
    async with fleet_on(server, tmp_path, 6) as fleet:
        await begin(fleet, slots=6)
        await submit(fleet, ended, 1.5)
        await submit(fleet, runs_on, 8)
        await submit(fleet, granted, 7)
        await submit(fleet, waits, 0.1)
        await started(fleet, 6)
        server.keep()
        await started(fleet, 9)
        for name in ended:
            await fleet.becomes(name, "completed")
        server.kill()
        server.go_back()
        server.start()
        names = [*ended, *granted, *runs_on, *waits]
        for name in names:
            await fleet.becomes(name, "completed", deadline=30)
        told_once(fleet, names, most=6)
        assert {name: (await fleet.record(name)).runs for name in names} == dict.fromkeys(names, 1)


async def test_with_no_replica_that_remembers_an_empty_server_stays_frozen_while_hosts_run_something(
    server: Forgetful, tmp_path: Path
) -> None:
    async with fleet_on(server, tmp_path, 6) as fleet:
        await begin(fleet, slots=6)
        await submit(fleet, ["a/0", "a/1"], 4)
        await started(fleet, 2)
        fleet.kill("r1")
        server.kill()
        server.go_back()
        server.start()
        await fleet.becomes_known("a/1", "running")
        fleet.serve("r1")  # whose environment asks it to thaw a new namespace
        await wait_until(lambda: "frozen: nothing starts" in fleet.said("r1"), "the replica says so", 20, every=0.05)
        await submit(fleet, ["b/0"], 0)
        for name in ("a/0", "a/1"):
            await fleet.becomes_known(name, "completed")
        assert (await fleet.record("b/0")).status == "queued"
        await fleet.store.run(Thaw())
        await fleet.becomes("b/0", "completed", deadline=20)
        told_once(fleet, ["a/0", "a/1", "b/0"], most=2)


async def test_the_last_run_of_a_worker_that_leaves_is_told_to_one_that_comes_back_empty(
    server: Forgetful, tmp_path: Path
) -> None:
    async with fleet_on(server, tmp_path, 6) as fleet:
        await begin(fleet, slots=1)
        await submit(fleet, ["a/0", "a/1"], 1)
        await started(fleet, 2)
        for host in HOSTS:
            fleet.signal(host)  # quiet
        server.kill()
        server.go_back()
        await wait_until(lambda: len(marks.read(fleet.marks)) >= 4, "they end while it is away")
        server.start()
        assert [await fleet.ended(host) for host in HOSTS] == [0, 0]
        assert [(await fleet.record(name)).status for name in ("a/0", "a/1")] == ["completed", "completed"]
