"""Twenty agents of one worker that is killed, or whose Redis is away: none acts beyond its lease, none is lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from coordinator.operations import Kill, Query, Submit
from tests import marks
from tests.fleet import Fleet
from tests.forgetful import Forgetful
from tests.machine import Machine, stands
from tests.waiting import wait_until
from workers.clock import boot_ms

AGENTS = 20
TTL_MS = 4000
TIMES: dict[str, object] = {"lease_ttl": "4s", "beat": "500ms", "kill_grace": "1s"}
NAMES = [f"many/t{number}" for number in range(AGENTS)]


@asynccontextmanager
async def twenty(url: str, place: Path, seconds: float) -> AsyncIterator[tuple[Fleet, Machine]]:
    """A worker with twenty agents, each of which works so long."""
    async with Fleet(url, place, {"codex": AGENTS}, None, **TIMES) as fleet:
        await fleet.begin(AGENTS)
        for name in NAMES:
            await fleet.store.run(Submit(workspace=name, agent="codex", task=str(seconds)))
        await wait_until(lambda: len(marks.read(fleet.marks)) == AGENTS, "twenty agents work", 30, every=0.05)
        await wait_until(lambda: recorded(fleet), "their pids are known", 20, every=0.05)
        yield fleet, Machine(fleet.root, "h1", fleet.processes["h1"].pid)


async def runs(fleet: Fleet, status: str = "running") -> dict[str, int | None]:
    found = (await fleet.store.run(Query(status="running", count=100))).workspaces
    return {one.workspace: one.token for one in found if one.status == status}


async def recorded(fleet: Fleet) -> bool:
    found = (await fleet.store.run(Query(status="running", count=100))).workspaces
    return [bool(one.pid) for one in found] == [True] * AGENTS


def stilled(machine: Machine) -> bool:
    return machine.doing() == ["stilled"] * AGENTS


def margins(machine: Machine) -> list[int]:
    """How many ms before the end of its lease each tree was stilled."""
    return sorted(deadline - since for _, since, deadline in machine.states())


@pytest.mark.parametrize("server_kind", ["redis"], indirect=True)
async def test_a_killed_workers_agents_are_adopted_in_time_and_else_do_not_outlive_their_leases(
    server_url: str, tmp_path: Path
) -> None:
    async with twenty(server_url, tmp_path, 600) as (fleet, machine):
        before, pids = await runs(fleet), {each.pid for each in machine.agents()}
        fleet.kill("h1")
        last = max(deadline for _, _, deadline in machine.states())
        fleet.work("h1", AGENTS)
        await wait_until(lambda: fleet.said("h1").count("adopted workspace=") == AGENTS, "all are adopted", 20)
        await wait_until(lambda: boot_ms() > last, "all their old leases would be over")
        assert await runs(fleet) == before
        assert {each.pid for each in machine.agents()} == pids
        assert marks.starts(marks.read(fleet.marks)) == dict.fromkeys(NAMES, 1)

        fleet.kill("h1")
        await wait_until(lambda: stilled(machine), "all are stilled, without any worker")
        assert margins(machine)[0] > 0
        print(f"stilled before the end of the lease, ms: {margins(machine)}")
        assert {each.status() for each in machine.agents()} == {psutil.STATUS_STOPPED}
        await wait_until(lambda: none_runs(fleet), "their leases are over")
        await fleet.store.run(Kill(all=True))  # they wait for a host
        fleet.work("h1", AGENTS)
        await wait_until(lambda: not machine.agents(), "the next worker ends what it finds")
        assert marks.starts(marks.read(fleet.marks)) == dict.fromkeys(NAMES, 1)


async def none_runs(fleet: Fleet) -> bool:
    return not (await fleet.status()).running


async def test_redis_that_is_away_for_two_leases_stills_every_agent_and_costs_none(tmp_path: Path) -> None:
    with Forgetful(tmp_path / "server") as server:
        async with twenty(server.url, tmp_path, 12) as (fleet, machine):
            before = await runs(fleet)
            server.kill()
            back_at = boot_ms() + 2 * TTL_MS
            await wait_until(lambda: stilled(machine), "all are stilled")
            print(f"stilled before the end of the lease, ms: {margins(machine)}")
            assert margins(machine)[0] > 0
            assert {each.status() for each in machine.agents()} == {psutil.STATUS_STOPPED}
            await wait_until(lambda: boot_ms() > back_at, "it was away for two leases", 20)
            assert stilled(machine)
            server.start()
            went_on = boot_ms()
            await wait_until(lambda: not any(map(stands, machine.agents())), "all go on", 20, every=0.02)
            print(f"all go on after ms: {boot_ms() - went_on}")
            assert await runs(fleet) == before
            for name in NAMES:
                await fleet.becomes(name, "completed", deadline=20)
            seen = marks.read(fleet.marks)
            assert marks.starts(seen) == dict.fromkeys(NAMES, 1)
            assert sum(mark.what == "end" for mark in seen) == AGENTS
