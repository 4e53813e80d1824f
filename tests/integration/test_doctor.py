"""doctor on a fleet whose keys and files are broken by hand: each is named by its class, mended, and work goes on."""

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from coordinator.operations import Host, Reap, Submit
from tests.cli import OK, REFUSED, Cli
from tests.fleet import ROOT, Fleet
from tests.servers import REDIS
from tests.trees import says
from tests.waiting import wait_until
from workers import processes
from workers.processes import Identity
from workers.slip import Birth, Slip

KIND = pytest.mark.parametrize("server_kind", [REDIS], indirect=True)
UNTIL = "while [ ! -e {0} ]; do sleep 0.05; done"
Named = tuple[str, str, str]


class Ward(Fleet):
    """A fleet whose codex agents run until they are let go, and the doctor that looks after it."""

    def __init__(self, url: str, place: Path, monkeypatch: pytest.MonkeyPatch, codex: int = 2) -> None:
        self.go = place / "go"
        runners: dict[str, object] = {"claude": {"command": ["true"]}}
        runners["codex"] = {"command": ["sh", "-c", UNTIL.format(self.go)]}
        super().__init__(url, place, {"codex": codex, "claude": 1}, runners)
        self.cli = Cli(url, place, monkeypatch)

    async def __aexit__(self, *raised: object) -> None:
        self.go.touch()
        await super().__aexit__(*raised)

    async def doctor(self, *words: str, code: int | None) -> tuple[set[Named], set[Named], dict[str, Any]]:
        """What it names, what it mended, and all it says."""
        told = await asyncio.to_thread(self.cli.json, "doctor", "--root", str(self.root), *words, code=code)
        named = {(one["class"], one["place"], one["workspace"]) for one in told["faults"]}
        return named, {(one["class"], one["place"], one["workspace"]) for one in told["mended"]}, told

    async def submit(self, *names: str, agent: str = "codex") -> None:
        for name in names:
            await self.store.run(Submit(workspace=name, agent=agent))

    async def by_hand(self, *command: str | int) -> None:
        await self.store.redis.execute_command(command[0], f"{ROOT}:{command[1]}", *command[2:])  # type: ignore[no-untyped-call]


def slip(root: Path, host: str, token: int, workspace: str) -> Path:
    """The slip of a run that ended long ago, whose worker has gone since."""
    home = root / ".hosts" / host / "runs"
    home.mkdir(parents=True, exist_ok=True)
    guard = Identity(2**22 + 1, 1)  # no process has this pid
    with Slip.create(home / f"{token}.run", Birth(guard, processes.boot(), token, 1, 1, workspace), 1) as made:
        made.set_state("ended", 1)
    return made.path


@KIND
async def test_what_is_broken_by_hand_is_named_and_mended_once_and_work_goes_on(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Ward(server_url, tmp_path, monkeypatch) as ward:
        await ward.begin(4)
        await ward.submit("done/1", "done/2", "done/3", agent="claude")
        for name in ("done/1", "done/2", "done/3"):
            await ward.becomes(name, "completed")
        await ward.submit("run/1", "run/2", "wait/1", "wait/2")
        await wait_until(lambda: says(ward.root, "run/1") == says(ward.root, "run/2") == "running", "both run")
        assert (await ward.doctor(code=OK))[:2] == (set(), set())

        await ward.by_hand("DEL", "workspace:done/1")
        await ward.by_hand("DEL", "lane:codex codex")
        await ward.by_hand("ZADD", "status:failed", 9_000_000_000_000, "run/1")  # so no sweep forgets it
        await ward.by_hand("SADD", "slots:claude", "ghost")
        await ward.by_hand("ZADD", "leases", 9_000_000_000_000, "done/2")
        await ward.by_hand("SADD", "held:h9", "run/1")
        await ward.by_hand("SREM", "slots:*", "run/2")
        await ward.by_hand("ZREM", "status:running", "run/2")
        await ward.by_hand("SADD", "groups:gemini", "codex")
        await ward.by_hand("ZADD", "hosts", 1, "h8")
        await ward.by_hand("ZADD", "lane:claude claude", 1, "wait/1")
        file, left = ward.root / "done/3/status.json", slip(ward.root, "h7", 7, "done/2")
        file.write_text(json.dumps(json.loads(file.read_text()) | {"status": "running", "pid": 2**22 + 1}))
        note = left.with_name("8.grant")
        note.write_text("{}")

        wrong = {
            ("leaked", "status:completed", "done/1"),
            ("orphaned", "lane:codex codex", "wait/1"),
            ("orphaned", "lane:codex codex", "wait/2"),
            ("leaked", "lanes:codex", ""),
            ("doubled", "status:failed", "run/1"),
            ("leaked", "slots:claude", "ghost"),
            ("leaked", "leases", "done/2"),
            ("doubled", "held:h9", "run/1"),
            ("orphaned", "slots:*", "run/2"),
            ("orphaned", "status:running", "run/2"),
            ("leaked", "groups:gemini", ""),
            ("leaked", "hosts", ""),
            ("leaked", "lane:claude claude", "wait/1"),
            ("orphaned", "lane:claude claude", ""),
            ("orphaned", str(file), "done/3"),
            ("leaked", str(left), "done/2"),
            ("leaked", str(note), ""),
        }
        named, mended, told = await ward.doctor(code=REFUSED)
        assert named ^ wrong == set()
        assert (mended, told["ok"]) == (set(), False)
        named, mended, told = await ward.doctor("--fix", code=OK)
        assert (named, told["ok"]) == (set(), True)
        assert mended >= wrong - {("leaked", "lanes:codex", ""), ("orphaned", "lane:claude claude", "")}
        assert (left.exists(), note.exists(), json.loads(file.read_text())["status"]) == (False, False, "completed")
        assert (await ward.doctor("--fix", code=OK))[:2] == (set(), set())

        ward.go.touch()
        await ward.submit("more/1", agent="claude")
        for name in ("run/1", "run/2", "wait/1", "wait/2", "more/1"):
            assert (await ward.becomes(name, "completed", "failed")).status == "completed", name
        await ward.drained(10)
        assert (await ward.doctor(code=OK))[:2] == (set(), set())


@KIND
async def test_a_fleet_that_is_busy_and_well_has_nothing_wrong_at_any_moment(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Ward(server_url, tmp_path, monkeypatch, codex=4) as ward:
        ward.go.touch()
        await ward.begin(4)
        for look in range(4):
            await ward.submit(*(f"busy{look}/{number}" for number in range(25)))
            named, mended, told = await ward.doctor("--fix", code=OK)
            assert (named, mended, told.get("refused")) == (set(), set(), None)

        async def all_done() -> bool:
            return (await ward.status()).completed == 100

        await wait_until(all_done, "all have run", 60)


@KIND
async def test_a_run_that_a_newer_one_has_replaced_is_doubled_and_ended_by_its_guard(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Ward(server_url, tmp_path, monkeypatch) as ward:
        await ward.begin(1)
        await ward.submit("a/1")
        await wait_until(lambda: says(ward.root, "a/1") == "running", "it runs")
        old = (await ward.becomes("a/1", "running")).token
        ward.kill("h1")
        left = ward.root / ".hosts" / "h1" / "runs" / f"{old}.run"
        with Slip.open(left) as file:
            agent = file.agent()
        assert agent
        await ward.store.run(Host(host="h1", action="forget", dead=True))
        assert (await ward.doctor("--fix", code=REFUSED))[0] == {("orphaned", str(left), "a/1")}  # which may be right
        assert processes.alive(agent[0])
        ward.work("h2", 1)

        async def again() -> bool:
            record = await ward.record("a/1")
            slip = ward.root / ".hosts/h2/runs" / f"{record.token}.run"
            told = json.loads((ward.root / "a/1/status.json").read_text())
            return slip.exists() and told["token"] == record.token

        await wait_until(again, "it runs there", 20)
        named, mended, _ = await ward.doctor(code=REFUSED)
        assert (named, mended) == ({("doubled", str(left), "a/1")}, set())
        assert (await ward.doctor("--fix", code=None))[1] == {("doubled", str(left), "a/1")}  # it is ending, or gone
        await wait_until(lambda: not processes.alive(agent[0]), "the old one is gone")

        async def clean() -> bool:
            return not (await ward.doctor("--fix", code=None))[0] and not left.exists()

        await wait_until(clean, "nothing is left of it")
        assert (await ward.record("a/1")).status == "running"
        ward.go.touch()
        await ward.becomes("a/1", "completed")


def by_hand(cli: Cli, *command: str) -> None:
    subprocess.check_output(["redis-cli", "-s", cli.url[7:], command[0], f"{ROOT}:{command[1]}", *command[2:]])


def test_nothing_is_mended_where_redis_has_forgotten_what_lies_here(cli: Cli) -> None:
    slip(cli.root, "h1", 7, "a/1")
    by_hand(cli, "SADD", "slots:codex", "a/1")
    told = cli.json("doctor", "--fix", code=REFUSED)
    assert told["refused"].startswith(f"1 runs lie below {cli.root} and Redis has no record at all: ")
    assert told["mended"] == []
    assert {one["place"] for one in told["faults"]} >= {"slots:codex"}
    assert "nothing is proved: 1 runs lie below" in cli.out("doctor", code=REFUSED)


def test_processes_and_endings_that_nobody_knows_are_named_and_left_alone(thawed: Cli) -> None:
    untold = slip(thawed.root, "h7", 9, "b/1")  # the registry may have forgotten that it began
    home = thawed.root / ".hosts/h1/runs"
    thawed.do(Submit(workspace="c/1", agent="codex", asker="svc"))
    older = slip(thawed.root, "h7", 5, "c/1")  # but no worker of this root is known: it may be another fleet
    name = f"stray-t{os.getpid()}"  # no other test's workspace is called so: its doctor would see these too
    (thawed.root / name).mkdir(parents=True)
    marks = ({"DISPATCH_RUN": f"{home}/5.run", "DISPATCH_WORKSPACE": name}, {"DISPATCH_WORKSPACE": name})
    living = [subprocess.Popen(["sleep", "60"], env=one | {"PATH": "/usr/bin:/bin"}) for one in marks]
    try:
        told = thawed.json("doctor", "--fix", code=REFUSED)
        named = {(one["class"], one["place"], one["fix"]) for one in told["faults"]}
        assert named == {
            ("orphaned", f"{home}/5.run", f"look at them, then: kill {living[0].pid}"),
            ("orphaned", str(thawed.root / name), "coordinator hydrate, or end them"),
            ("orphaned", str(untold), "worker run --host h7"),
            ("leaked", str(older), "start a worker of this root: without one this may be another fleet's registry"),
        }
        assert (told["mended"], untold.exists(), older.exists()) == ([], True, True)
        assert all(one.poll() is None for one in living)
    finally:
        for one in living:
            one.kill()
            one.wait()


def test_the_slots_of_a_deleted_record_come_back_as_docs_keys_says(thawed: Cli) -> None:
    thawed.limits(codex=1)
    thawed.do(Submit(workspace="a/1", agent="codex", asker="svc", ttl=1))
    thawed.json("dispatch", "a/2", "--agent", "codex")
    by_hand(thawed, "DEL", "workspace:a/1")
    assert thawed.json("why", "a/2")["refusal"]["holders"] == ["a/1"]
    shown = thawed.out("doctor", code=REFUSED)
    assert "leaked" in shown
    assert "coordinator doctor --fix" in shown
    shown = thawed.out("doctor", "--fix")
    assert "mended leaked    slots:codex a/1" in shown
    assert shown.endswith("all is well\n")
    thawed.host()
    assert [grant.workspace for grant in thawed.claim()] == ["a/2"]
    assert "disagree" not in thawed.out("status")
    thawed.do(Reap(faults=2))  # as a replica tells it
    assert "2 entries of the keys disagree with the records: coordinator doctor names them" in thawed.out("status")
    assert thawed.json("status")["faults"] == 2
    thawed.json("doctor", "--fix")
    assert thawed.json("status")["faults"] == 0
