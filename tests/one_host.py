"""A fleet whose first host is about to be cut off, and what is then seen of its runs."""

from collections import Counter

from coordinator.operations import Query, Submit
from coordinator.store.entries import Entry
from tests import marks
from tests.fleet import Fleet
from tests.machine import Machine
from tests.waiting import wait_until


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
