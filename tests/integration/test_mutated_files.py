"""Over two thousand files that are nearly right: each is read or named, none ends its reader, nothing runs for it."""

import json
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.errors import InvalidQuestion
from coordinator.models import Grant, Workspace
from coordinator.operations import Query, Restore, Thaw
from coordinator.store import Store
from tests import mutated
from tests.trees import put
from tests.unit.operations.asking import Fleet
from workers import processes
from workers.guarded import GRANT
from workers.guards import Guards
from workers.held import Held
from workers.hydrate import Hydrated, hydrate
from workers.slip import SUFFIX, Birth, Slip

FILES: Final = 500
NOTES: Final = 800
LATER: Final = time.time() + 3600  # newer than anything the registry knows
NO_PID: Final = 4_194_303  # more than any process has
STATUSES: Final[list[dict[str, Any]]] = [
    {"status": "queued", "agent": "codex", "repo": "go-io", "org": "core", "task": "Fix it", "branch": "agent/fix",
     "issue": 7, "runs": 0},
    {"status": "running", "agent": "codex:gpt-5.4", "repo": "go-io", "task": "Fix it", "pid": NO_PID, "runs": 1,
     "started_at": "2026-03-26T10:11:12.123456789Z", "updated_at": "2026-03-26T11:00:00Z", "token": 1795414690569},
    {"status": "completed", "agent": "claude", "repo": "go-io", "task": "Fix it", "pid": 0, "runs": 2, "question": "",
     "pr_url": "https://git.example/pr/9", "updated_at": "2026-03-26T11:00:00+01:00", "account": "work"},
    {"status": "blocked", "agent": "gemini", "repo": "web", "task": "Fix it", "question": "which port?", "runs": 1},
]  # fmt: skip
GRANTS: Final[list[dict[str, Any]]] = [
    {"workspace": "core/go-io/t1", "token": 7, "ttl": 300000, "attempt": 1, "agent": "codex", "task": "Fix it",
     "repo": "go-io", "org": "core", "lane": "codex codex repo:core/go-io org:core", "branch": "agent/t1"},
    {"workspace": "core/go-io/t1", "token": 7, "ttl": 300000, "attempt": 2, "agent": "claude:opus", "source": "/srv/x",
     "dir": "core/go-io/t1", "session": "0190e7a1-52c3", "answer": "port 8080", "account": "work"},
]  # fmt: skip


@pytest.fixture
async def fleet(raw: AsyncRedis) -> Fleet:
    """held: an asker's run; worker: a worker's; waits: queued elsewhere; done: completed; all are of other hosts."""
    store = Store(raw, "{t}")
    await store.run(Thaw())
    fleet = Fleet(store, raw)
    await fleet.host("h2", slots=1)
    await fleet.queue("worker")
    assert await fleet.granted("h2") == ["worker"]
    await fleet.queue("waits", agent="gemini", host="h9")
    await fleet.ask_for("held", "claude")
    await fleet.end(await fleet.ask_for("done", "claude"))
    return fleet


async def known(fleet: Fleet, *names: str) -> dict[str, Workspace]:
    """What the registry knows of these, all of them where none is named."""
    if names:
        return {name: await fleet.record(name) for name in names}
    found: dict[str, Workspace] = {}
    page = await fleet.store.run(Query(count=500))
    while True:
        found |= {one.workspace: one for one in page.workspaces}
        if page.cursor is None:
            return found
        page = await fleet.store.run(Query(count=500, cursor=page.cursor))


def runs_or_seems_to(raw: bytes) -> bool:
    """Whether this file may honestly say that something runs: by a pid that lives here, or where nobody can see it."""
    said = json.loads(raw)
    pid = said.get("pid")
    return said.get("runtime") == "vz" or (type(pid) is int and 1 < pid < NO_PID and psutil.pid_exists(pid))


@pytest.mark.parametrize("server_kind", ["fake", "redis"], indirect=True)
async def test_each_file_is_read_or_named_and_nothing_runs_for_it(
    fleet: Fleet, tmp_path: Path, server_kind: str
) -> None:
    files = {f"t{at}": raw for at, raw in enumerate(mutated.many(1, FILES, STATUSES))}
    for name, content in files.items():
        put(tmp_path, name, content)
    put(tmp_path, "right", "queued", repo="go-io")
    told = await hydrate(fleet.store, tmp_path, "h1")
    assert told.found == FILES + 1
    named = names_of(told)
    records = await known(fleet)
    assert records["right"].status == "queued"
    assert named <= files.keys()
    for name, content in files.items():
        record = records.get(name)
        if record is None:
            assert name in named or json.loads(content)["workspace"] != name, content
        else:
            said = json.loads(content)
            wanted = "queued" if said["status"] == "running" and not runs_or_seems_to(content) else said["status"]
            old = wanted == "queued" and type(said.get("token")) is int  # of a run that may have ended elsewhere
            assert record.status in {wanted, *(["blocked"] if old else [])}, content
            assert record.host in (None, "h1"), content
    assert min(len(named), len(records.keys() & files.keys())) > FILES / 4
    assert 0.4 < sum(map(mutated.is_object, files.values())) / FILES < 0.7


def names_of(told: Hydrated) -> set[str]:
    """The workspaces whose files are named, each with what is wrong and where."""
    for problem in told.problems:
        name, _, field = problem.field.partition("/status.json")
        assert name
        assert problem.problem
        assert field == "" or field.startswith("."), problem
    return {problem.field.partition("/")[0] for problem in told.problems}


@pytest.mark.parametrize("server_kind", ["fake", "redis"], indirect=True)
async def test_no_file_moves_what_the_registry_knows_better(fleet: Fleet, tmp_path: Path, server_kind: str) -> None:
    before = await known(fleet)
    names = ("worker", "held", "waits")
    files = mutated.many(2, FILES // 3, STATUSES, ["running", "queued", "failed", *names])
    while contents := dict(zip(names, files, strict=False)):
        for name, content in contents.items():
            directory = put(tmp_path, name, content)
            os.utime(directory / "status.json", (LATER, LATER))
        await hydrate(fleet.store, tmp_path, "h1", contents)
        assert await known(fleet, *names) == {name: before[name] for name in names}, contents
    leases = await fleet.redis.zrange(fleet.store.key("leases"), 0, -1)
    assert sorted(map(str, leases)) == ["held", "worker"]


@pytest.mark.parametrize("server_kind", ["fake", "redis"], indirect=True)
async def test_a_note_of_a_run_is_taken_whole_or_not_at_all(fleet: Fleet, tmp_path: Path, server_kind: str) -> None:
    """It is what a server that has forgotten the run is told, so what is taken of it must be a question it can read."""
    guards = Guards(tmp_path)
    me = processes.look(1)
    assert me
    birth = Birth(me.identity, "another-boot", 7, 300, 60_000, "core/go-io/t1")
    Slip.create(tmp_path / f"7{SUFFIX}", birth, 0).close()
    await fleet.host("h1")
    note, taken = tmp_path / f"7{GRANT}", 0
    for content in mutated.many(3, NOTES // 2, GRANTS, plausible(GRANTS)):
        note.write_bytes(content)
        (guard,) = guards.found()
        grant: Grant | None = guard.grant
        told = Held.adopted(guard).told()
        assert grant is None or (grant.workspace, grant.token) == ("core/go-io/t1", 7), content
        assert told is None or grant is not None
        if told:
            taken += 1
            assert (told.workspace, told.token) == ("core/go-io/t1", 7), content
            try:
                await fleet.store.run(Restore(host="h1", incarnation="i1", runs=[told]))
            except InvalidQuestion as error:
                raise AssertionError(f"{content!r}: {error}") from None
    assert NOTES / 2 - taken > taken > NOTES / 20
    assert (await fleet.record("core/go-io/t1")).token == 7


def plausible(examples: Sequence[dict[str, Any]]) -> list[Any]:
    return [value for one in examples for value in one.values()]


async def test_a_slip_of_any_bytes_ends_no_worker(tmp_path: Path) -> None:
    guards, dice = Guards(tmp_path), random.Random(4)
    me = processes.look(1)
    assert me
    birth = Birth(me.identity, "another-boot", 7, 300, 60_000, "core/go-io/t1")
    path = tmp_path / f"7{SUFFIX}"
    Slip.create(path, birth, 0).close()
    whole = path.read_bytes()
    taken = 0
    for _ in range(200):
        path.write_bytes(mutated.torn(dice, whole[:768]) + whole[768:])
        found = guards.found()
        assert all(guard.workspace == "core/go-io/t1" and guard.state() == "ended" for guard in found)
        taken += len(found)
    assert 200 > taken > 20
