"""A tree that the reference runner left, brought into a real registry, by hand and by a worker that starts."""

import asyncio
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from coordinator.operations import Cancel, Complete, GetStatus, Query, Submit, Thaw
from coordinator.store import Store
from tests import marks
from tests.cli import Cli
from tests.fleet import ROOT, Fleet
from tests.trees import living, many, put
from tests.waiting import wait_until
from workers.hydrate import hydrate

MANY = 2000
MOMENT = "2026-03-26T10:00:00Z"


async def _counts(store: Store) -> Counter[str]:
    return Counter((await store.run(GetStatus())).counts)


def _files(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("status.json")}


@pytest.mark.reference(42, 43, 44, 45, 46, 47, "T68")
async def test_two_thousand_workspaces_in_three_layouts_are_known_once(server_url: str, tmp_path: Path) -> None:
    wanted = Counter(many(tmp_path, MANY))
    wanted["queued"] += wanted.pop("running")  # nothing of them runs
    before = _files(tmp_path)
    async with Store.connect(server_url, ROOT) as store:
        assert await hydrate(store, tmp_path, "h1") == (MANY, MANY, 0, 0, (), frozenset())
        assert +(await _counts(store)) == wanted
        record = (await store.run(Query(workspace="core/repo-5/feature/x/b-5"))).workspaces[0]
        assert (record.agent, record.org, record.repo, record.requires) == ("claude", "core", "repo-5", "h1")
        facts = await store.latest()
        assert await hydrate(store, tmp_path, "h1") == (MANY, 0, 0, 0, (), frozenset())
        assert +(await _counts(store)) == wanted
        assert await store.latest() == facts
    assert _files(tmp_path) == before


async def test_two_hosts_with_roots_of_their_own_never_disagree(server_url: str, tmp_path: Path) -> None:
    for host, first in (("h1", "a"), ("h2", "b")):
        many(tmp_path / host / first, 60)
        put(tmp_path / host, "shared", "failed" if host == "h1" else "queued")
    async with Store.connect(server_url, ROOT) as store:
        done = [await hydrate(store, tmp_path / host, host) for host in ("h1", "h2", "h1", "h2")]
        foreign = [one.foreign for one in done]
        assert foreign == [0, 1, 0, 1]
        assert [one.new > 0 for one in done] == [True, True, False, False]
        assert [one.changed for one in done] == [0, 0, 0, 0]
        assert (await store.run(Query(workspace="shared"))).workspaces[0].status == "failed"
        together = await asyncio.gather(*(hydrate(store, tmp_path / host, host) for host in ("h1", "h2")))
        assert [(one.new, one.changed) for one in together] == [(0, 0), (0, 0)]


async def test_what_was_called_off_stays_so_and_news_of_others_is_taken(server_url: str, tmp_path: Path) -> None:
    for name in ("off", "done"):
        put(tmp_path, name, "queued", updated_at="2026-03-26T10:00:00Z")
    async with Store.connect(server_url, ROOT) as store:
        await hydrate(store, tmp_path, "h1")
        await store.run(Cancel(workspace="off"))
        assert (await hydrate(store, tmp_path, "h1")).changed == 0
        put(tmp_path, "off", "merged", updated_at="2099-01-01T00:00:00Z")
        assert (await hydrate(store, tmp_path, "h1")).changed == 1
        assert (await store.run(Query(workspace="off"))).workspaces[0].status == "merged"


async def test_a_damaged_record_keeps_no_other_from_being_known(server_url: str, tmp_path: Path) -> None:
    many(tmp_path, 30)
    async with Store.connect(server_url, ROOT) as store:
        await store.redis.set(store.key("workspace", "core/repo-0/task-0"), "by hand")
        done = await hydrate(store, tmp_path, "h1")
        assert done.new == 29
        [problem] = done.problems
        assert problem.field == "core/repo-0/task-0"
        assert "is a string, not a hash" in problem.problem


@pytest.mark.timeout(120)
@pytest.mark.reference(46, 78, 80, "W10", "W11", "W14", "T93")
async def test_a_worker_takes_over_a_tree_and_starts_nothing_twice(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 3, "claude": 3}) as fleet:
        queued = [f"core/r{at % 5}/task-{at}" for at in range(12)]
        for at, name in enumerate(queued):
            put(fleet.root, name, "queued", agent=("codex", "claude")[at % 2], task="0.02", issue=at)
        put(fleet.root, "core/r1/agent/fix/deep", "running", checked_out=True, pid=4_194_999, task="0.02", runs=1)
        put(fleet.root, "old", "merged")
        put(fleet.root, "torn", b'{"status": "queu')
        with living(DISPATCH_WORKSPACE="core/r2/lives") as pid:
            put(fleet.root, "core/r2/lives", "running", pid=pid, task="0.02", runs=1)
            fleet.serve("r1")
            fleet.work("h1", 4)
            for name in (*queued, "core/r1/agent/fix/deep"):
                await fleet.becomes_known(name, "completed")
            lives = await fleet.record("core/r2/lives")
            assert (lives.status, lives.mode, lives.host, lives.pid) == ("running", "asker", "h1", pid)
            assert (await fleet.status()).running == 1
            runs = fleet.root / ".hosts/h1/runs"  # what is still there the next worker writes down once more
            await wait_until(lambda: not list(runs.glob("*.run")), "it is done with all of them")
            fleet.kill("h1")
            fleet.work("h1", 4)
            await wait_until(lambda: fleet.said("h1").count("hydrated host=h1") == 2, "the disk was told of again", 20)
        assert (await fleet.record("core/r2/lives")).status == "running"
        assert "new=0 changed=0" in fleet.said("h1").rpartition("hydrated host=h1")[2]
        assert "torn/status.json: is half-written" in fleet.said("h1")
        started = marks.starts(marks.read(fleet.marks))
        assert started == dict.fromkeys((*queued, "core/r1/agent/fix/deep"), 1)
        kept = json.loads((fleet.root / queued[3] / "status.json").read_text())
        assert (kept["status"], kept["issue"], kept["runs"]) == ("completed", 3, 1)
        lines = [json.loads(line) for line in (fleet.root / "events.jsonl").read_text().splitlines()]
        assert Counter(line["type"] for line in lines) == {"agent_started": 13, "agent_completed": 13}
        await fleet.store.run(Complete(workspace="core/r2/lives", status="completed"))


def _out(cli: Cli, *words: str, **more: Any) -> list[str]:
    return cli.out(*words, **more).splitlines()


@pytest.mark.reference(43, 44, "T69", "T72")
def test_by_hand_it_says_what_it_found_and_what_is_wrong(cli: Cli) -> None:
    put(cli.root, "core/x/one", "queued")
    put(cli.root, "two", b"[]")
    put(cli.root, "three", "failed", started_at="soon")
    first, *problems = _out(cli, "hydrate", "--host", "h7")
    assert first == f"{cli.root}, host h7: 3 workspaces, 2 new, 0 changed, 0 of other hosts"
    assert problems == [
        f"problem: three/status.json.started_at: must be an RFC 3339 time, got 'soon'; write it like {MOMENT}",
        "problem: two/status.json: must be one JSON object, got []; write it anew, or move its directory away",
    ]
    said = cli.json("hydrate", "--host", "h8")
    assert (said["outcome"], said["found"], said["new"], said["foreign"]) == ("hydrated", 3, 0, 2)
    assert said["problems"][1]["field"] == "two/status.json"
    assert cli.do(Query(workspace="core/x/one")).workspaces[0].requires == "h7"


@pytest.mark.reference("T34", "T75", "T76", "T77", "T78", "T79", "T80")
def test_every_field_of_a_file_is_known_and_one_that_is_missing_or_broken_is_no_workspace(cli: Cli) -> None:
    said = {
        "status": "blocked", "agent": "codex:gpt-5.4", "repo": "go-io", "org": "core", "task": "Fix it",
        "branch": "b/1", "pid": 0, "question": "which port?", "pr_url": "https://x/1", "started_at": MOMENT,
        "runs": 3, "issue": 5,
        "process_id": "p-1", "updated_at": MOMENT, "unheard_of": [1],
    }  # fmt: skip
    for name in ("whole", "missing", "broken"):
        for part in ("repo", ".meta"):
            (cli.root / "a/b/c/d" / name / part).mkdir(parents=True)
    (cli.root / "a/b/c/d/whole/status.json").write_text(json.dumps(said))
    (cli.root / "a/b/c/d/broken/status.json").write_text('{"status": "queued", "agent"')
    first, *problems = _out(cli, "hydrate", "--host", "h1")
    assert first.endswith(": 2 workspaces, 1 new, 0 changed, 0 of other hosts")
    assert len(problems) == 1
    assert problems[0].startswith("problem: a/b/c/d/broken/status.json: ")
    (known,) = cli.json("workspaces")["workspaces"]
    same = ("status", "agent", "repo", "org", "task", "branch", "question", "pr_url", "runs")
    assert {field: known[field] for field in same} == {field: said[field] for field in same}
    assert (known["workspace"], known["started_at"], "pid" in known) == ("a/b/c/d/whole", 1_774_519_200_000, False)
    assert cli.json("why", "a/b/c/d/whole")["question"] == "which port?"
    assert "there is no workspace" in cli.wrong("why", "a/b/c/d/missing", code=2)


@pytest.mark.parametrize(("hosts", "name"), [(["build-1"], "build-1"), (["a", "b"], None), ([], None)])
def test_by_hand_the_host_is_the_only_one_that_worked_there(cli: Cli, hosts: list[str], name: str | None) -> None:
    cli.root.mkdir()
    for host in hosts:
        (cli.root / ".hosts" / host).mkdir(parents=True)
    said = cli.json("hydrate")["host"]
    assert said == name if name else said not in hosts


def test_by_hand_without_a_root_or_with_a_wrong_host_it_says_so(cli: Cli) -> None:
    assert "there is no directory" in cli.wrong("hydrate", code=2)
    assert "nowhere" in cli.wrong("hydrate", "--root", str(cli.place / "nowhere"), code=2)
    cli.root.mkdir()
    assert "host: " in cli.wrong("hydrate", "--host", "a b", code=2)


async def test_what_lives_and_then_ends_is_followed(server_url: str, tmp_path: Path) -> None:
    name = f"follow-t{os.getpid()}"
    async with Store.connect(server_url, ROOT) as store:
        await store.run(Thaw())
        with living(DISPATCH_WORKSPACE=name) as pid:
            put(tmp_path, name, "running", pid=pid)
            told = await hydrate(store, tmp_path, "h1")
            assert (told.new, set(told.alive)) == (1, {name})
            again = await hydrate(store, tmp_path, "h1", told.alive)
            assert (again.found, again.changed, set(again.alive)) == (1, 0, {name})
        gone = await hydrate(store, tmp_path, "h1", told.alive)
        assert (gone.changed, gone.alive) == (1, frozenset())
        assert (await store.run(Query(workspace=name))).workspaces[0].status == "queued"


@pytest.mark.timeout(120)
async def test_what_a_server_that_came_back_empty_has_lost_is_brought_back(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 3}, beat="300ms") as fleet:
        put(fleet.root, "old", "merged")
        await fleet.begin(4)
        await fleet.becomes_known("old", "merged")
        await fleet.store.run(Submit(workspace="long", agent="codex", task="3"))
        await wait_until(lambda: marks.starts(marks.read(fleet.marks)).get("long"), "it runs", 30)
        await fleet.store.redis.flushall()
        await fleet.becomes_known("old", "merged")
        await fleet.becomes_known("long", "running")
        await fleet.becomes("long", "completed", deadline=30)
        assert marks.starts(marks.read(fleet.marks)) == {"long": 1}


@pytest.mark.timeout(120)
@pytest.mark.reference("W11")
async def test_what_waits_here_and_lives_is_known_before_the_first_claim(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 3}) as fleet:
        await fleet.store.run(Submit(workspace="lives", agent="codex", task="0"))
        await fleet.store.run(Submit(workspace="waits", agent="codex", task="0"))
        with living() as pid:
            put(fleet.root, "lives", "running", pid=pid)
            fleet.serve("r1")
            fleet.work("h1", 4)
            await fleet.becomes("waits", "completed", deadline=30)
            assert (await fleet.record("lives")).pid == pid
        assert marks.starts(marks.read(fleet.marks)) == {"waits": 1}


@pytest.mark.timeout(120)
async def test_a_worker_that_holds_nothing_brings_back_what_the_server_has_lost(
    server_url: str, tmp_path: Path
) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 3}, beat="300ms") as fleet:
        put(fleet.root, "old", "merged")
        fleet.serve("r1")
        fleet.work("h1", 4)
        await fleet.becomes_known("old", "merged")
        await fleet.ready(1)
        await fleet.store.redis.flushall()
        await fleet.becomes_known("old", "merged")


@pytest.mark.timeout(120)
@pytest.mark.reference("W11")
async def test_what_was_renamed_or_removed_runs_under_its_new_name_alone(server_url: str, tmp_path: Path) -> None:
    async with Fleet(server_url, tmp_path, {"codex": 3}) as fleet:
        for name in ("core/x/old", "core/x/removed"):
            put(fleet.root, name, "queued", task="0")
        await hydrate(fleet.store, fleet.root, "h1")
        (fleet.root / "core/x/old").rename(fleet.root / "core/x/new")
        (fleet.root / "core/x/removed/status.json").unlink()
        (fleet.root / "core/x/removed").rmdir()
        fleet.serve("r1")
        fleet.work("h1", 4)
        await fleet.becomes_known("core/x/new", "completed")
        for name in ("core/x/old", "core/x/removed"):
            assert "is gone" in ((await fleet.becomes(name, "failed")).question or "")
        assert marks.starts(marks.read(fleet.marks)) == {"core/x/new": 1}
        assert [path.name for path in (fleet.root / "core/x").iterdir()] == ["new"]
