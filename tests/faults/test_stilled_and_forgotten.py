"""A host that was silent beyond its lease, and a server that comes back without what it did about that."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from coordinator.operations import Submit, Thaw
from tests import marks, record
from tests.faults.storm import checker
from tests.faults.storm.fleet import AGENT
from tests.faults.storm.ledger import Ledger
from tests.fleet import Fleet
from tests.forgetful import Forgetful
from tests.waiting import wait_until

TIMES: dict[str, object] = {"lease_ttl": "3s", "beat": "400ms", "kill_grace": "600ms"}


@asynccontextmanager
async def two_hosts(server: Forgetful, place: Path) -> AsyncIterator[Fleet]:
    """With a slot each, and room for one agent in all."""
    runner = {"command": ["sh", AGENT, str(place / "marks"), "{workspace}", "{agent}", "{task}"]}
    async with Fleet(server.url, place, {"codex": 1}, {"codex": runner}, **TIMES) as fleet:
        fleet.serve("r1")
        for host in ("h1", "h2"):
            fleet.work(host, 1)
        await fleet.ready(2)
        yield fleet


async def one_for_each(fleet: Fleet, task: str) -> None:
    """That of h1 acts, and that of h2 waits for its slot: asked for at once, either may be the first to start."""
    for host in ("h1", "h2"):
        await fleet.store.run(Submit(workspace=f"core/{host}/1", agent="codex", task=task, host=host))
        await wait_until(lambda: marks.starts(marks.read(fleet.marks)) == {"core/h1/1": 1}, "that of h1 acts")


async def test_its_agent_does_not_go_on_before_the_other_host_has_told_that_it_runs_the_same(
    server: Forgetful, tmp_path: Path
) -> None:
    async with two_hosts(server, tmp_path) as fleet:
        await fleet.store.run(Submit(workspace="core/a/1", agent="codex", task="plain 20"))
        silent = (await fleet.becomes("core/a/1", "running")).host or ""
        await wait_until(lambda: marks.read(fleet.marks), "the agent acts")
        fleet.signal(silent, signal.SIGSTOP)
        try:
            await wait_until(lambda: marks.starts(marks.read(fleet.marks)) == {"core/a/1": 2}, "the other runs it", 15)
            other = "h1" if silent == "h2" else "h2"
            fleet.signal(other, signal.SIGSTOP)
            server.kill()
            server.go_back()
            server.start()
        finally:
            fleet.signal(silent, signal.SIGCONT)
        await fleet.becomes_known("core/a/1", "running")
        fleet.signal(other, signal.SIGCONT)
        await fleet.becomes("core/a/1", "completed", deadline=30)
        assert (await fleet.record("core/a/1")).host == other
    assert list(checker.twice_at_once(record.written(fleet.marks))) == []


async def test_its_agent_does_not_go_on_beyond_a_limit_that_another_workspace_fills_since(
    server: Forgetful, tmp_path: Path
) -> None:
    """When both hosts have told of their runs there is one too many, and it is this one."""
    async with two_hosts(server, tmp_path) as fleet:
        await one_for_each(fleet, "plain 40")  # that of h2 must outlast the settling
        server.keep()
        fleet.signal("h1", signal.SIGSTOP)
        try:
            await wait_until(lambda: "core/h2/1" in marks.starts(marks.read(fleet.marks)), "the other runs", 15)
            server.kill()
            server.go_back()
            server.start()
        finally:
            fleet.signal("h1", signal.SIGCONT)
        for host in ("h2", "h1"):
            await fleet.becomes_known(f"core/{host}/1", "completed", deadline=40)
        seen = record.written(fleet.marks)
    only_one_at_a_time(seen)


async def test_its_agent_waits_for_hosts_that_an_empty_server_does_not_know_and_for_a_configuration(
    server: Forgetful, tmp_path: Path
) -> None:
    """No replica remembers: the first host that tells finds room everywhere, until the other one tells as well."""
    async with two_hosts(server, tmp_path) as fleet:
        await one_for_each(fleet, "plain 40")  # that of h2 must outlast the waiting
        fleet.signal("h1", signal.SIGSTOP)
        try:
            await wait_until(lambda: "core/h2/1" in marks.starts(marks.read(fleet.marks)), "the other runs", 15)
            fleet.signal("h2", signal.SIGSTOP)  # its agent acts until its lease is over
            fleet.kill("r1")
            server.kill()
            server.go_back()
            server.start()
        finally:
            fleet.signal("h1", signal.SIGCONT)
        fleet.serve("r1")
        await fleet.becomes_known("core/h1/1", "running")
        fleet.signal("h2", signal.SIGCONT)
        await fleet.becomes_known("core/h2/1", "running")
        await fleet.store.run(Thaw())
        for host in ("h2", "h1"):
            await fleet.becomes_known(f"core/{host}/1", "completed", deadline=40)
        seen = record.written(fleet.marks)
    only_one_at_a_time(seen)


def only_one_at_a_time(seen: list[marks.Mark]) -> None:
    """The agent that stood still did not go on: it was started anew when the other one had ended."""
    assert marks.starts(seen) == {"core/h1/1": 2, "core/h2/1": 1}
    ledger = Ledger()
    ledger.may_hold("codex", 1, since=0)
    assert list(checker.beyond_limits(seen, ledger)) == []
