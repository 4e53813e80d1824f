"""A host that is gone at once: its work runs elsewhere in time, and never twice."""

from pathlib import Path

import pytest

from coordinator.operations import Host, Kill
from tests import marks
from tests.fleet import Fleet
from tests.machine import lives
from tests.one_host import begin, facts, started, starts, tokens
from tests.waiting import wait_until
from workers.clock import boot_ms

TIMES: dict[str, object] = {"lease_ttl": "3s", "beat": "500ms", "kill_grace": "1s", "max_attempts": 9}
only_redis = pytest.mark.parametrize("server_kind", ["redis"], indirect=True)


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
async def test_what_is_left_when_worker_fork_server_and_guards_are_killed_at_once_is_ended_by_the_next_worker(
    server_url: str, tmp_path: Path
) -> None:
    """Nobody of ours is left to see to it: the agents go with their guards, what they have started does not."""
    async with Fleet(server_url, tmp_path, {"codex": 3}, None, **(TIMES | {"lease_ttl": "60s"})) as fleet:
        machine = await begin(fleet, names := ["a/1", "a/2", "a/3"])
        agents = {each.pid: each for each in machine.agents()}
        started_by_agents = [each for each in agents.values() if each.ppid() in agents]
        assert len(started_by_agents) == len(names)
        machine.power_cut(agents=False)
        fleet.processes["h1"].wait()
        await wait_until(lambda: sum(map(lives, agents.values())) == len(names), "the agents have gone")
        assert all(map(lives, started_by_agents))
        fleet.work("h1", len(names))
        await wait_until(lambda: not any(map(lives, started_by_agents)), "the rest of their trees is ended", 20)
        for name in names:
            record = await fleet.becomes(name, "failed")
            assert (record.verdict, len((record.receipt and record.receipt.ended) or ())) == ("guard_died", 1)
        assert starts(fleet) == dict.fromkeys(names, 1)
