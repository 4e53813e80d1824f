"""A host that stands still beyond its leases, or is given up, and comes back: what it lost ends, unbelieved."""

import os
import select
import signal
import time
from pathlib import Path

import pytest

from coordinator.operations import Host, Hosts, Kill, Submit
from tests import marks
from tests.fleet import Fleet
from tests.machine import Machine, lives, stands
from tests.one_host import begin, facts, started, starts, tokens
from tests.trees import says
from tests.waiting import wait_until
from workers.clock import boot_ms

SHORT = 8  # seconds
TIMES: dict[str, object] = {"lease_ttl": "4s", "beat": "500ms", "kill_grace": "1s", "max_attempts": 9}
only_redis = pytest.mark.parametrize("server_kind", ["redis"], indirect=True)


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
            await fleet.store.run(Submit(workspace=name, agent="codex", task=str(600 if number % 2 else SHORT)))
        await started(fleet, len(names))
        machine = Machine(fleet.root, "h1", fleet.processes["h1"].pid)
        every, agents, seen = machine.stop(), machine.agents(), marks.read(fleet.marks)
        fleet.work("h2", len(names))
        await started(fleet, 2 * len(names))
        after = await tokens(fleet, "h2")
        assert sorted(after) == names
        last = max(mark.ns for mark in seen)
        await wait_until(lambda: time.time_ns() > last + SHORT * 1e9, "the short ones would have ended", 20)

        ends = [os.pidfd_open(agent.pid) for agent in agents]
        woken = machine.send(signal.SIGCONT, every) // 1_000_000
        late = [end for end in ends if not select.select([end], [], [], max(0, woken + 5000 - boot_ms()) / 1000)[0]]
        print(f"none of its agents lives {boot_ms() - woken} ms after it woke")
        assert not late
        await wait_until(lambda: all_said(fleet), "it has said of each what became of it", 20)
        assert await tokens(fleet, "h2") == after
        assert await facts(fleet, "AgentCompleted") == []
        told = {name: says(fleet.root, name) for name in names}  # both hosts have one root
        assert told == dict.fromkeys(names, "running")
        assert starts(fleet) == dict.fromkeys(names, 2)
        await fleet.store.run(Kill(all=True))


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


@only_redis
async def test_a_host_whose_name_another_machine_took_while_it_slept_runs_nothing_beyond_its_lease(
    server_url: str, tmp_path: Path
) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 2}, None, **TIMES) as fleet:
        machine = await begin(fleet, ["a/1"])
        every, agents = machine.stop(), machine.agents()
        fleet.processes["sleeper"], fleet.root = fleet.processes.pop("h1"), tmp_path / "elsewhere"
        await wait_until(lambda: silent(fleet), "it is known to be silent", every=0.05)
        fleet.work("h1", 2)  # under another root: that is another machine; its name still holds one run
        await fleet.ready(1)
        machine.send(signal.SIGCONT, every)
        await wait_until(lambda: "host h1 is a worker elsewhere" in fleet.said("h1"), "it hears that its name is taken")
        await started(fleet, 2)
        assert all(map(stands, agents))
        after = await tokens(fleet, "h1")
        for _ in range(2):  # the second one ends what it holds
            fleet.signal("sleeper")
            await wait_until(lambda: not any(map(lives, agents)) or "quiet" in fleet.said("h1"), "it has heard that")
        await wait_until(lambda: not any(map(lives, agents)), "its agent is ended")
        assert await fleet.ended("sleeper") == 0
        assert await tokens(fleet, "h1") == after
        assert (await facts(fleet, "AgentCompleted"), starts(fleet)) == ([], {"a/1": 2})
        await fleet.store.run(Kill(all=True))


async def silent(fleet: Fleet) -> bool:
    return [host.state for host in (await fleet.store.run(Hosts())).hosts] == ["silent"]
