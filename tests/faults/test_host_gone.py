"""A host that is gone at once, stands still beyond its leases, or is given up and comes back: nobody runs twice."""

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from coordinator.operations import Host, Kill, Query, Submit
from coordinator.store.entries import Entry
from tests import marks
from tests.fleet import Fleet
from tests.machine import Machine, lives, stands
from tests.waiting import wait_until
from workers.clock import boot_ms

TTL_MS = 4000
TIMES: dict[str, object] = {"lease_ttl": "4s", "beat": "500ms", "kill_grace": "1s", "max_attempts": 9}
only_redis = pytest.mark.parametrize("server_kind", ["redis"], indirect=True)


async def begin(fleet: Fleet, names: list[str], seconds: str = "600") -> Machine:
    """These run on h1, the only host."""
    fleet.serve("r1")
    fleet.work("h1", len(names))
    await fleet.ready(1)
    for name in names:
        await fleet.store.run(Submit(workspace=name, agent="codex", task=seconds))
    await started(fleet, len(names))
    await wait_until(lambda: pids_known(fleet, len(names)), "the host has said what it runs", 20, every=0.05)
    return Machine(fleet.root, "h1", fleet.processes["h1"].pid)


async def pids_known(fleet: Fleet, count: int) -> bool:
    return sum(bool(one.pid) for one in (await fleet.store.run(Query(status="running"))).workspaces) == count


async def started(fleet: Fleet, count: int) -> None:
    await wait_until(lambda: sum(starts(fleet).values()) >= count, f"{count} agents have started", 30, every=0.02)


def starts(fleet: Fleet) -> Counter[str]:
    return marks.starts(marks.read(fleet.marks))


async def tokens(fleet: Fleet, host: str) -> dict[str, int | None]:
    found = (await fleet.store.run(Query(status="running", host=host, count=100))).workspaces
    return {one.workspace: one.token for one in found}


async def facts(fleet: Fleet, kind: str) -> list[Entry]:
    return [entry for entry in await fleet.store.last_events(1000) if entry.type == kind]


@only_redis
@pytest.mark.parametrize("operator", ["waits", "says that it is dead"])
async def test_the_work_of_a_host_without_power_runs_elsewhere_after_its_lease_or_at_the_operators_word(
    server_url: str, tmp_path: Path, operator: str
) -> None:
    names = [f"many/t{number}" for number in range(3)]
    async with Fleet(server_url, tmp_path, {"codex": 6}, None, **TIMES) as fleet:
        machine = await begin(fleet, names)
        fleet.work("h2", len(names))
        await fleet.ready(1)
        machine.stop()
        leases = {name: await fleet.store.redis.zscore(fleet.store.key("leases"), name) or 0 for name in names}
        agents = machine.agents()
        machine.power_cut()
        cut = boot_ms()
        await wait_until(lambda: not any(map(lives, agents)), "nothing of it lives")
        if operator == "says that it is dead":
            gone = await fleet.store.run(Host(host="h1", action="forget", dead=True, by="ana"))
            assert sorted(getattr(gone, "requeued", ())) == names
        await started(fleet, 2 * len(names))
        took = boot_ms() - cut
        print(f"operator {operator}: elsewhere after {took} ms")
        first = {mark.workspace: mark.ns // 1_000_000 for mark in marks.read(fleet.marks)}  # the later start
        early = [name for name in names if first[name] < leases[name]]
        assert early == ([] if operator == "waits" else names)
        after = await tokens(fleet, "h2")
        assert sorted(after) == names

        fleet.processes["h1"].wait()
        fleet.work("h1", len(names))  # the power is back
        await wait_until(lambda: fleet.said("h1").count("answer=stale") == len(names), "it tells what it found", 20)
        assert await tokens(fleet, "h2") == after
        assert starts(fleet) == dict.fromkeys(names, 2)
        assert await facts(fleet, "AgentCompleted") == []
        await fleet.store.run(Kill(all=True))


@only_redis
async def test_a_host_that_stood_still_beyond_its_leases_ends_what_it_lost_and_is_not_believed(
    server_url: str, tmp_path: Path
) -> None:
    """As a laptop whose lid was shut. Half of its agents end by themselves the moment it wakes."""
    names = [f"many/t{number:02}" for number in range(20)]
    async with Fleet(server_url, tmp_path, {"codex": 40}, None, **TIMES) as fleet:
        fleet.serve("r1")
        fleet.work("h1", len(names))
        await fleet.ready(1)
        for number, name in enumerate(names):
            await fleet.store.run(Submit(workspace=name, agent="codex", task=str(600 if number % 2 else 8)))
        await started(fleet, len(names))
        machine = Machine(fleet.root, "h1", fleet.processes["h1"].pid)
        every, agents = machine.stop(), machine.agents()
        fleet.work("h2", len(names))
        await started(fleet, 2 * len(names))
        after = await tokens(fleet, "h2")
        assert sorted(after) == names
        slept = boot_ms() + TTL_MS
        await wait_until(lambda: boot_ms() > slept, "the short ones would long have ended", 20)

        woken = machine.send(signal.SIGCONT, every) // 1_000_000
        looks: list[int] = []

        def none_moves() -> bool:
            looks.append(boot_ms())
            return all(map(stands, agents))

        await wait_until(none_moves, "none of its agents moves", every=0.001)
        stood = boot_ms()
        await wait_until(lambda: not any(map(lives, agents)), "none of its agents lives")
        print(f"after it woke: none moves within {stood - woken} ms, none lives within {boot_ms() - woken} ms")
        assert boot_ms() - woken < 5000
        await wait_until(lambda: all_said(fleet), "it has said of each what became of it", 20)
        assert await tokens(fleet, "h2") == after
        assert await facts(fleet, "AgentCompleted") == []
        assert {name: on_disk(fleet, name) for name in names} == dict.fromkeys(names, "running")
        assert starts(fleet) == dict.fromkeys(names, 2)
        await fleet.store.run(Kill(all=True))


def on_disk(fleet: Fleet, name: str) -> str:
    """What the file says, where both hosts have one root."""
    return str(json.loads((fleet.root / name / "status.json").read_text())["status"])


def all_said(fleet: Fleet) -> bool:
    said = fleet.said("h1")
    return said.count("answer=stale") == 20


@only_redis
async def test_a_host_that_was_given_up_and_comes_back_ends_what_it_held_and_works_on(
    server_url: str, tmp_path: Path
) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 6}, None, **(TIMES | {"lease_ttl": "60s"})) as fleet:
        machine = await begin(fleet, ["a/1"])
        every, agents = machine.stop(), machine.agents()
        fleet.work("h2", 1)
        await fleet.ready(1)
        await fleet.store.run(Host(host="h1", action="forget", dead=True, by="ana"))
        await started(fleet, 2)
        after = await tokens(fleet, "h2")
        woken = machine.send(signal.SIGCONT, every) // 1_000_000  # its lease is not over, by any clock
        await wait_until(lambda: not any(map(lives, agents)), "what it held is ended")
        print(f"ended within {boot_ms() - woken} ms")
        await wait_until(lambda: "answer=stale" in fleet.said("h1"), "it has said so")
        assert await tokens(fleet, "h2") == after
        await fleet.store.run(Submit(workspace="b/1", agent="codex", task="0"))
        assert (await fleet.becomes("b/1", "completed")).ran_on == "h1"
        assert starts(fleet) == {"a/1": 2, "b/1": 1}
        await fleet.store.run(Kill(all=True))
