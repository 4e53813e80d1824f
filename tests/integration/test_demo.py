"""`coordinator demo` as a process: its numbers against the agents' marks and git, and nothing left behind."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis import Redis

from tests.servers import REDIS, VALKEY, Servers, one_of, program
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.timeout(180)
LIMITS = {"codex": 3, "codex:gpt-5.4": 1, "claude": 2, "gemini": 1}
BROKEN = "runners: {broken: {command: [sh, -c, 'exit 7']}}\nconcurrency: {broken: 1}\n"


class Machine:
    """A machine with git and one kind of server program, where the demo makes its directory in a place we know."""

    def __init__(self, tmp_path: Path, kind: str) -> None:
        self.temporary, programs = tmp_path / "temporary", tmp_path / "programs"
        for directory in (self.temporary, programs):
            directory.mkdir()
        for name in ("git", "sh"):
            (programs / name).symlink_to(shutil.which(name) or name)
        if kind == REDIS:
            (programs / "redis-server").symlink_to(program(kind))
        home = {"PATH": str(programs), "TMPDIR": str(self.temporary), "HOME": str(tmp_path / "nobody")}
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("REDIS", "CORE_", "DISPATCH_"))
        }
        marks = {name: value for name, value in os.environ.items() if name == "DISPATCH_TEST_PROCESS"}
        self.environ = {**kept, **marks, **home}

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start the demo, with pipes."""
        command = [sys.executable, "-m", "coordinator", "demo", *arguments]
        return subprocess.Popen(
            command, env=self.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run it to its end: exit code, stdout, stderr."""
        demo = self.begin(*arguments)
        out, err = demo.communicate()
        return demo.returncode, out, err

    @property
    def directory(self) -> Path:
        """The one directory that the demo left."""
        [directory] = self.temporary.glob("coordinator-demo-*")
        return directory

    def processes(self) -> list[str]:
        """What still runs and has to do with a demo of this machine."""
        return [" ".join(one.info["cmdline"]) for one in psutil.process_iter(["cmdline", "cwd"]) if self._is_ours(one)]

    def _is_ours(self, process: psutil.Process) -> bool:
        said = [*(process.info["cmdline"] or ()), process.info["cwd"] or ""]
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just gone
            return process.status() != psutil.STATUS_ZOMBIE and any(str(self.temporary) in word for word in said)
        return False


@pytest.fixture
def any_machine(tmp_path: Path, request: pytest.FixtureRequest) -> Machine:
    return Machine(tmp_path, one_of(request.node.name))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, VALKEY)


def spans(directory: Path) -> dict[str, tuple[int, int]]:
    """Workspace to the start and the end of its one run, by its marks."""
    found: dict[str, tuple[int, int]] = {}
    marks = [json.loads(line) for line in (directory / "marks.jsonl").read_text().splitlines()]
    for mark in marks:
        name = mark["workspace"]
        if mark["mark"] == "start":
            assert name not in found, f"{name} ran twice"
            found[name] = (mark["ns"], 0)
        else:
            found[name] = (found[name][0], mark["ns"])
    return found


def most(runs: list[tuple[int, int]]) -> int:
    """The most that overlap: counted at each start, the slow and sure way."""
    return max(sum(start <= at < end for start, end in runs) for at, _ in runs)


def agents_of(directory: Path) -> dict[str, str]:
    """Workspace to agent, as each workspace's status.json tells."""
    files = directory.glob("workspaces/demo/*/*/status.json")
    return {
        str(file.parent.relative_to(directory / "workspaces")): json.loads(file.read_text())["agent"] for file in files
    }


def commits_in(directory: Path, workspace: str) -> list[str]:
    repo = directory / "workspaces" / workspace / "repo"
    log = subprocess.run(["git", "-C", repo, "log", "--format=%s"], capture_output=True, text=True, check=True).stdout
    return log.splitlines()[:-1]  # without the first, which the demo made


def check_limits(directory: Path, limits: list[dict[str, Any]]) -> Iterator[str]:
    """The keys whose numbers are those of the marks and of git."""
    runs, agents = spans(directory), agents_of(directory)
    for one in limits:
        key = one["limit_key"]
        names = [name for name, agent in agents.items() if key in (agent, agent.partition(":")[0])]
        assert one["most"] == most([runs[name] for name in names]) == one["limit"] == LIMITS[key]
        assert one["tasks"] == len(names)
        assert one["commits"] == sum(len(commits_in(directory, name)) for name in names)
        yield key


def test_24_tasks_fill_every_limit_and_each_is_committed_once(any_machine: Machine) -> None:
    code, out, err = any_machine.run("--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    directory = Path(told["directory"])
    assert directory == any_machine.directory
    assert set(check_limits(directory, told["limits"])) == set(LIMITS)
    assert (told["ok"], told["completed"], told["commits"], told["problems"]) == (True, 24, 24, [])
    assert len(spans(directory)) == 24
    assert all(len(commits_in(directory, name)) == 1 for name in agents_of(directory))
    assert sum(told["hosts"].values()) == 24
    assert set(told["hosts"]) == {"h1", "h2"}
    assert any_machine.processes() == []


def test_a_plain_pipe_gets_lines_and_a_summary_that_the_marks_bear_out(machine: Machine) -> None:
    code, out, err = machine.run("--tasks", "12")
    assert (code, err) == (0, "")
    assert re.search(
        r"^ +\d+\.\ds  codex [123]/3  codex:gpt-5.4 ./1  claude ./2  gemini ./1  waiting [1-9]", out, re.MULTILINE
    )
    assert "is full (" in out
    assert "\x1b" not in out
    runs, agents = spans(machine.directory), agents_of(machine.directory)
    for pool, limit in (("codex", 3), ("claude", 2), ("gemini", 1)):
        ours = [runs[name] for name, agent in agents.items() if agent.partition(":")[0] == pool]
        assert re.search(rf"^{pool} +{limit} +{most(ours)} +{len(ours)} .* {len(ours)}$", out, re.MULTILINE)
    assert "12 of 12 completed" in out
    assert "exceeded" in out
    repo = re.search(r"^\$ git -C (\S+) log --oneline -1\n(.*)$", out, re.MULTILINE)
    assert repo
    assert subprocess.check_output(["git", "-C", repo[1], "log", "--oneline", "-1"], text=True).strip() == repo[2]


def test_ctrl_c_ends_all_of_it(machine: Machine) -> None:
    demo = machine.begin()
    wait_until_sync(lambda: any(_size(file) for file in machine.temporary.glob("*/marks.jsonl")), "an agent runs", 30)
    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate()
    assert demo.returncode == 130
    assert "stopping" in err
    assert machine.processes() == []
    assert len(spans(machine.directory)) < 24


def test_a_demo_that_is_killed_leaves_no_process(machine: Machine) -> None:
    demo = machine.begin()
    wait_until_sync(lambda: any(_size(file) for file in machine.temporary.glob("*/marks.jsonl")), "an agent runs", 30)
    demo.kill()
    demo.communicate()
    wait_until_sync(lambda: not machine.processes(), "every process of the demo has ended", 30)


def test_a_given_server_keeps_nothing_of_the_demo(machine: Machine, servers: Servers) -> None:
    url = servers.fresh_url(VALKEY)
    with Redis.from_url(url, decode_responses=True) as redis:
        redis.set("theirs", "stays")
        code, out, _ = machine.run("--tasks", "2", "--redis-url", url, "--no-keep", "--json")
        assert code == 0
        assert redis.keys("*") == ["theirs"]
    assert "directory" not in json.loads(out)
    assert list(machine.temporary.iterdir()) == []


def test_an_agent_of_the_users_own_runs_instead(machine: Machine, tmp_path: Path) -> None:
    script = "cat > told.txt && git add told.txt && git commit -qm told && echo $MINE $1"
    runner = {"command": ["sh", "-c", script, "sh", "{agent}"], "stdin": "task", "env": {"MINE": "own"}}
    config = tmp_path / "agents.yaml"
    config.write_text(json.dumps({"version": 1, "concurrency": {"mine": 1}, "runners": {"mine": runner}}))
    machine.environ["PATH"] += f":{Path(shutil.which('cat') or '').parent}"
    code, out, _ = machine.run("--agent", "mine:big", "--tasks", "3", "--config", str(config), "--json")
    told = json.loads(out)
    assert (code, told["completed"], told["commits"]) == (0, 3, 3)
    assert [(one["limit_key"], one["most"]) for one in told["limits"]] == [("mine", 1)]
    workspace = machine.directory / "workspaces/demo/json/index"
    assert (workspace / ".meta/agent-mine.log").read_text() == "own mine:big\n"
    assert (workspace / "repo/told.txt").read_text().startswith("In Lib/json: write Lib/json/INDEX.md")


def test_a_demo_that_does_not_end_well_says_what(machine: Machine, tmp_path: Path) -> None:
    config = tmp_path / "agents.yaml"
    config.write_text(BROKEN)
    code, out, err = machine.run("--agent", "broken", "--tasks", "1", "--config", str(config), "--json")
    assert code == 1
    assert json.loads(out)["problems"] == ["demo/json/index is failed: Agent exited with code 7"]
    assert err == "coordinator: the demo did not end well: demo/json/index is failed: Agent exited with code 7\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--agent", "nobody-has-this"), 2, "has no runner for nobody-has-this"),
        (("--agent", "claude"), 2, "there is no program 'claude' on PATH"),
        (("--agent", "../x"), 2, "is no agent's name"),
        (("--redis-url", "redis://127.0.0.1:1"), 3, "can not be reached"),
        (("--tasks", "0"), 2, "--tasks"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    machine: Machine, arguments: tuple[str, ...], code: int, said: str
) -> None:
    found, out, err = machine.run(*arguments)
    assert found == code
    assert said in err
    assert (out, err.count("\n")) == ("", 1)
    assert list(machine.temporary.iterdir()) == []


def test_without_git_it_says_so(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "programs" / "git").unlink()
    assert machine.run() == (
        1, "", "coordinator: there is no git on PATH, and the demo's agents commit with it: install git\n"
    )  # fmt: skip


def _size(file: Path) -> int:
    return file.stat().st_size
