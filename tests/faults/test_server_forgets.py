"""A server that comes back empty as no replica remembers what was set, and as its workers leave."""

from pathlib import Path

from coordinator.operations import Submit, Thaw
from tests import marks
from tests.fleet import Fleet
from tests.forgetful import Forgetful
from tests.waiting import wait_until

SHORT: dict[str, object] = {"lease_ttl": "8s", "beat": "500ms", "kill_grace": "2s"}
HOSTS = ("h1", "h2")


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


def told_once(fleet: Fleet, names: list[str], *, most: int) -> None:
    """What the agents themselves say: each ran once, to its end, and never too many."""
    seen = marks.read(fleet.marks)
    assert marks.starts(seen) == dict.fromkeys(names, 1)
    assert sorted(mark.workspace for mark in seen if mark.what == "end") == sorted(names)
    assert marks.most_at_once(seen)["codex"] <= most


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
