"""One run on a real worker: its checkout, its files on disk, and what its ending means."""

import asyncio
import json
import socket
import subprocess
from pathlib import Path

import pytest

from coordinator.operations import Apply, Kill, Submit
from tests.fleet import Fleet
from tests.swallowing import Swallowing
from tests.waiting import wait_until
from workers.slip import Slip

_AGENTS: dict[str, object] = {
    "ok": {"command": ["sh", "-c", "pwd; cat"]},
    "bad": {"command": ["sh", "-c", "echo broken >&2; exit 3"]},
    "ask": {"command": ["sh", "-c", "echo 'which port?' > BLOCKED.md"]},
    "gone": {"command": ["/no/such/program"]},
    "slow": {"command": ["sleep", "600"], "timeout": "300ms"},
    "late": {
        "command": ["sh", "-c", "trap 'echo which host? > BLOCKED.md; exit 1' INT; sleep 600 & wait"],
        "timeout": "1s",
    },
    "commit": {
        "command": ["sh", "-c", "echo more >> file.txt && git commit -qam done"],
        "env": {f"GIT_{who}_{what}": "agent@example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    },
}


def _git(repo: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example")
    return subprocess.run(
        ["git", "-C", str(repo), *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout


def _repository(path: Path) -> Path:
    path.mkdir()
    _git(path, "init", "-q", "-b", "main")
    (path / "file.txt").write_text("first\n")
    _git(path, "add", "file.txt")
    _git(path, "commit", "-qm", "first")
    return path


@pytest.mark.reference(80, "W27", "W28", "W31", "T35", "T95")
async def test_an_ending_is_told_in_redis_and_on_disk_alike(server_url: str, tmp_path: Path) -> None:
    expected = {
        "ok": ("completed", "succeeded", None),
        "bad": ("failed", "failed", "Agent exited with code 3"),
        "ask": ("blocked", "blocked", "which port?"),
        "slow": ("failed", "timed_out", "Agent timed out after 0.3s"),
        "late": ("blocked", "blocked", "which host?"),
        "none": ("failed", "start_failed", None),
        "gone": ("failed", "start_failed", None),
    }
    pools: dict[str, object] = dict.fromkeys(_AGENTS, 5)
    async with Fleet(server_url, tmp_path, pools, _AGENTS) as fleet:
        await fleet.begin(4)
        for agent in expected.keys() - {"none"}:
            await fleet.store.run(Submit(workspace=f"end/{agent}", agent=agent, task="say this", repo="x", org="core"))
        for agent, (status, verdict, question) in expected.items():
            if agent == "none":
                continue
            record = await fleet.becomes(f"end/{agent}", "completed", "failed", "blocked")
            assert (record.status, record.verdict) == (status, verdict)
            if question:
                assert record.question == question
            on_disk = json.loads((fleet.root / "end" / agent / "status.json").read_text()) if agent != "gone" else None
            if on_disk:
                assert (on_disk["status"], on_disk["agent"], on_disk["repo"]) == (status, agent, "x")
                assert "pid" not in on_disk
        for agent, said in (("slow", "0.3s"), ("late", "1s")):
            mark = fleet.root / "end" / agent / ".meta/timeout.reason"
            assert mark.read_text() == f"Agent timed out after {said}\n"
        assert (fleet.root / "end/bad/.meta/agent-bad.log").read_text() == "broken\n"
        assert not (fleet.root / "end/bad/.meta/timeout.reason").exists()
        log = (fleet.root / "end/ok/.meta/agent-ok.log").read_text()
        assert log == f"{fleet.root / 'end/ok'}\nsay this"
        gone = await fleet.record("end/gone")
        assert "/no/such/program" in (gone.question or "")
        assert (gone.runs, gone.attempt) == (1, 1)  # and nobody tries again unasked


async def test_each_agent_is_started_as_the_account_that_it_was_given(server_url: str, tmp_path: Path) -> None:
    show = {
        "command": [
            "sh",
            "-c",
            'echo "$DISPATCH_ACCOUNT $CONFIG $1"; until [ -e ../go ]; do sleep 0.05; done',
            "sh",
            "{account}",
        ],
        "env": {"CONFIG": "/accounts/{account}"},
    }
    async with Fleet(server_url, tmp_path, {"show": 5}, {"show": show}) as fleet:
        await fleet.begin(4)
        limits = {"account:show/work": 1, "account:show/home": 1}
        await fleet.store.run(Apply(limits=limits, accounts={"show": ["work", "home"]}))
        for number in range(3):
            await fleet.store.run(Submit(workspace=f"a/{number}", agent="show"))
        for number, account in enumerate(("home", "work")):
            assert (await fleet.becomes(f"a/{number}", "running")).account == account
        assert (await fleet.record("a/2")).status == "queued"
        await wait_until((fleet.root / "a").exists, "a worker has made the first directory")
        (fleet.root / "a/go").touch()
        accounts = []
        for number in range(3):
            record = await fleet.becomes(f"a/{number}", "completed")
            accounts.append(record.account)
            here = fleet.root / "a" / str(number)
            said = (here / ".meta/agent-show.log").read_text()
            assert said == f"{record.account} /accounts/{record.account} {record.account}\n"
            assert json.loads((here / "status.json").read_text())["account"] == record.account
        assert accounts[:2] == ["home", "work"]
        assert accounts[2] in {"home", "work"}


@pytest.mark.reference("W10")
async def test_a_source_is_checked_out_on_a_branch_of_its_own_and_the_agent_works_there(
    server_url: str, tmp_path: Path
) -> None:
    repository = _repository(tmp_path / "origin")
    async with Fleet(server_url, tmp_path, {"commit": 2}, _AGENTS) as fleet:
        await fleet.begin(2)
        source = str(repository)
        await fleet.store.run(Submit(workspace="core/x/task-5", agent="commit", source=source))
        await fleet.store.run(Submit(workspace="core/x/task-6", agent="commit", source=source, branch="fix/it"))
        await fleet.store.run(Submit(workspace="core/x/none", agent="commit", source=str(tmp_path / "absent")))
        for name, branch in (("task-5", "agent/core/x/task-5"), ("task-6", "fix/it")):
            await fleet.becomes(f"core/x/{name}", "completed")
            repo = fleet.root / "core/x" / name / "repo"
            assert _git(repo, "branch", "--show-current").strip() == branch
            assert _git(repo, "log", "--format=%s").split() == ["done", "first"]
        assert _git(repository, "log", "--format=%s").split() == ["first"]
        failed = await fleet.becomes("core/x/none", "failed")
        assert "git clone failed" in (failed.question or "")


async def test_a_branch_the_source_has_is_used_and_another_source_is_refused(server_url: str, tmp_path: Path) -> None:
    repository, other = _repository(tmp_path / "origin"), _repository(tmp_path / "other")
    _git(repository, "switch", "-qc", "feature")
    (repository / "file.txt").write_text("feature\n")
    _git(repository, "commit", "-qam", "feature")
    _git(repository, "switch", "-q", "main")
    async with Fleet(server_url, tmp_path, {"commit": 2}, _AGENTS) as fleet:
        await fleet.begin(2)
        asked = Submit(workspace="core/x/t", agent="commit", source=str(repository), branch="feature")
        await fleet.store.run(asked)
        await fleet.becomes("core/x/t", "completed")
        repo = fleet.root / "core/x/t/repo"
        assert _git(repo, "log", "--format=%s").split() == ["done", "feature", "first"]
        await fleet.store.run(asked.model_copy(update={"again": True}))
        await fleet.becomes("core/x/t", "completed")
        assert _git(repo, "log", "--format=%s").split() == ["done", "done", "feature", "first"]
        await fleet.store.run(asked.model_copy(update={"again": True, "source": str(other)}))
        failed = await fleet.becomes("core/x/t", "failed")
        assert f"is a checkout of {repository}, not of {other}" in (failed.question or "")


async def test_a_checkout_that_never_ends_is_ended_by_kill(server_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with Fleet(server_url, tmp_path, {"ok": 2}, _AGENTS) as fleet:
            await fleet.begin(2)
            source = f"git://127.0.0.1:{mute.getsockname()[1]}/x"
            await fleet.store.run(Submit(workspace="mute/t1", agent="ok", source=source))
            await fleet.becomes("mute/t1", "running")
            await wait_until(lambda: list((fleet.root / "mute/t1").glob(".repo.*")), "the clone is under way")
            await fleet.store.run(Kill(workspace="mute/t1"))
            record = await fleet.becomes("mute/t1", "failed")
            assert record.verdict == "killed"
            assert list((fleet.root / "mute/t1").glob(".repo.*")) == []


async def test_a_worker_that_is_stopped_as_it_makes_ready_fails_nothing_of_the_pool(
    server_url: str, tmp_path: Path
) -> None:
    names = [f"mute/t{number}" for number in range(3)]
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with Fleet(server_url, tmp_path, {"ok": 3}, _AGENTS) as fleet:
            await fleet.begin(3)
            source = f"git://127.0.0.1:{mute.getsockname()[1]}/x"
            for name in names:
                await fleet.store.run(Submit(workspace=name, agent="ok", source=source))
            await wait_until(lambda: len(list(fleet.root.glob("mute/*/.repo.*"))) == 3, "the clones are under way")
            await _stopped(fleet)
            assert [(await fleet.record(name)).verdict for name in names] == ["stopped"] * 3  # for retry --killed
            (pool,) = [view for view in (await fleet.status()).keys if view.key == "ok"]
            assert (pool.until, pool.fast_failures) == (None, None)


@pytest.mark.parametrize("server_kind", ["redis"], indirect=True)
async def test_what_is_granted_to_a_worker_that_was_told_to_stop_does_not_start(
    server_url: str, tmp_path: Path
) -> None:
    agents: dict[str, object] = {"stays": {"command": ["sh", "-c", "trap '' INT TERM; touch ready; sleep 600"]}}
    async with (
        Swallowing(server_url) as way,
        Fleet(server_url, tmp_path, {"stays": 2}, agents, kill_grace="4s") as fleet,
    ):
        fleet.serve("r1")
        fleet.work("h1", 2, way.url)
        await fleet.ready(1)
        await fleet.store.run(Submit(workspace="a/1", agent="stays"))
        await wait_until((fleet.root / "a/1/ready").exists, "the first agent runs")
        with way.late(b"b/1"), Slip.open(next((fleet.root / ".hosts/h1/runs").glob("*.run"))) as slip:
            await fleet.store.run(Submit(workspace="b/1", agent="stays"))
            await fleet.becomes("b/1", "running")  # granted, and its worker has not been answered
            stopping = asyncio.create_task(_stopped(fleet))
            await wait_until(slip.order, "the first agent is told to end")
        await stopping
        assert (await fleet.record("b/1")).verdict == "stopped"
        assert not (fleet.root / "b/1/ready").exists()


async def _stopped(fleet: Fleet) -> None:
    """The worker is told twice, and has left."""
    fleet.signal("h1")
    await wait_until(lambda: "quiet: what runs may end" in fleet.said("h1"), "it has heard the first")
    fleet.signal("h1")
    assert await fleet.ended("h1") == 0


async def test_a_workspace_that_a_link_leads_out_of_the_root_is_refused(server_url: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    async with Fleet(server_url, tmp_path, {"ok": 2}, _AGENTS) as fleet:
        fleet.root.mkdir()
        (fleet.root / "link").symlink_to(tmp_path / "outside")
        await fleet.begin(2)
        await fleet.store.run(Submit(workspace="link/t1", agent="ok"))
        record = await fleet.becomes("link/t1", "failed")
        assert "leaves the workspace root" in (record.question or "")
        assert list((tmp_path / "outside").iterdir()) == []
