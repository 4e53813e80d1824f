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
