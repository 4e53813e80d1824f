"""Knowing our processes from all others, and ending a whole tree of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from coordinator.models import Receipt
from tests.guarding import AGENT
from tests.waiting import wait_until_sync
from workers import families, processes
from workers.processes import Identity
from workers.receipt import receipt as text_of
from workers.run import Exit

Started = subprocess.Popen[bytes]


class Stage:
    """Starts scripted processes that carry one marker, and ends them all."""

    def __init__(self, path: Path) -> None:
        self.path, self.marker = path, f"DISPATCH_RUN={path}/7.run"
        self._started: list[Started] = []

    def start(self, *steps: str, marked: bool = True) -> Started:
        environment = dict([self.marker.split("=", 1)]) if marked else {}
        command = [sys.executable, "-IS", str(AGENT), *steps, f"mark={self.path}/up:up", "sleep=60000"]
        started = subprocess.Popen(command, env=environment, cwd=self.path, start_new_session=True)
        return self.started(started)

    def started(self, process: Started) -> Started:
        """One that a test started by itself."""
        self._started.append(process)
        return process

    def until(self, lines: int) -> None:
        up = self.path / "up"
        wait_until_sync(lambda: up.exists() and up.read_text().count("\n") == lines, f"{lines} processes are up")

    def end(self) -> None:
        roots = [root for each in self._started if (root := processes.look(each.pid))]
        processes.end_family(lambda: families.tree(self.marker, *[root.identity for root in roots]), self.collect)
        for each in self._started:
            each.wait(5)

    def collect(self) -> None:
        for each in self._started:
            each.poll()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.end()


def identity(started: Started) -> Identity:
    seen = processes.look(started.pid)
    assert seen
    return seen.identity


def test_a_process_is_seen_as_it_is(stage: Stage) -> None:
    seen = processes.look(stage.start().pid)
    assert seen
    assert (seen.parent, seen.session) == (os.getpid(), seen.pid)
    assert processes.alive(seen.identity)


@pytest.mark.reference("W1")
def test_a_pid_used_again_is_another_process_and_gets_no_signal(stage: Stage) -> None:
    started = stage.start()
    later = identity(started)
    earlier = Identity(later.pid, later.birth - 1)
    assert not processes.alive(earlier)
    processes.send(earlier, signal.SIGKILL)
    assert families.tree("DISPATCH_RUN=/none", earlier) == []
    assert processes.send(later, signal.SIGCONT)
    assert processes.alive(later)


def test_a_dead_process_nobody_collected_is_dead(stage: Stage) -> None:
    started = stage.start()
    was = identity(started)
    started.kill()
    wait_until_sync(lambda: not processes.alive(was), "it is dead")
    assert processes.look(started.pid)
    assert families.marked(stage.marker) == []


def test_a_marker_must_be_the_whole_value(stage: Stage) -> None:
    started = stage.start()
    stage.until(1)
    assert [each.pid for each in families.marked(stage.marker)] == [started.pid]
    assert families.marked(stage.marker + "2") == []
    assert families.marked(stage.marker[:-1]) == []
    assert families.marked(stage.marker[1:]) == []


def test_a_tree_is_found_by_descent_by_session_and_by_marker_and_holds_no_other(stage: Stage) -> None:
    other = stage.start(marked=False)
    root = stage.start(
        "child=mark=up:child+sleep=60000",
        "daemon=mark=up:daemon+sleep=60000",
        f"scrubbed=mark={stage.path}/up:scrubbed+sleep=60000",
        marked=False,
    )
    orphan = stage.start("daemon=mark=up:daemon+sleep=60000")
    stage.until(7)
    found = [each.pid for each in families.tree(stage.marker, identity(root))]
    assert found.index(root.pid) < found.index(psutil.Process(root.pid).children()[0].pid)
    assert set(found) >= {root.pid, orphan.pid}
    assert other.pid not in found
    assert os.getpid() not in found
    assert len(found) == 4  # root and child, orphan and its daemon; what root let go unmarked is nobody's proof
    _end_unmarked(stage)


@pytest.mark.skipif(sys.platform != "linux", reason="only there the kernel keeps lists of children")
def test_what_descends_from_a_process_is_found_with_every_thread_of_it_and_nothing_else(stage: Stage) -> None:
    stage.start()
    script = "import subprocess, threading; threading.Thread(target=subprocess.run, args=[['sh', '-c', '{}']]).start()"
    inner = "sleep 61 & (sleep 62; :)"
    root = subprocess.Popen([sys.executable, "-c", script.format(inner)], start_new_session=True)
    stage.started(root)

    wait_until_sync(lambda: len(families.below(root.pid)) == 4, "a shell, its child and its sleeps are there")
    found = families.below(root.pid)
    assert all(each.parent in {root.pid, *(other.pid for other in found[:place])} for place, each in enumerate(found))
    assert {each.pid for each in found} == {each.pid for each in psutil.Process(root.pid).children(recursive=True)}
    assert processes.end_family(lambda: families.below(root.pid))
    root.wait(5)
    assert families.below(root.pid) == []


def test_a_stilled_tree_stands_and_goes_on(stage: Stage) -> None:
    stage.start("child=ticks=ticks")
    stage.until(1)
    ticks = stage.path / "ticks"
    wait_until_sync(ticks.exists, "the child ticks")

    def family() -> list[processes.Process]:
        return families.tree(stage.marker)

    processes.still(family)
    assert [each.state for each in family()] == ["stopped", "stopped"]
    before = ticks.stat().st_size
    processes.resume(family)
    wait_until_sync(lambda: ticks.stat().st_size > before, "the child ticks again")


def test_a_child_born_behind_the_back_of_a_look_is_stilled_too(stage: Stage) -> None:
    parent, child = identity(stage.start()), identity(stage.start())
    processes.send(parent, signal.SIGSTOP)
    wait_until_sync(lambda: _state(parent) == "stopped", "the parent stands")
    looks = iter([[parent]])  # the first look misses the child: it was listed before the child was born

    def family() -> list[processes.Process]:
        seen = next(looks, [parent, child])
        return [process for each in seen if (process := processes.look(each.pid))]

    processes.still(family)
    assert _state(child) == "stopped"


def test_ending_a_tree_leaves_nothing_and_the_receipt_names_all(stage: Stage) -> None:
    ignoring = "ignore=INT,TERM,HUP"
    stage.start(ignoring, f"daemon={ignoring}+mark=up:daemon+sleep=60000", f"child={ignoring}+sleep=60000")
    stage.until(2)
    wait_until_sync(lambda: len(families.marked(stage.marker)) == 3, "all are there")
    pids = {each.pid for each in families.marked(stage.marker)}
    receipt = processes.end_family(lambda: families.tree(stage.marker), stage.collect)
    assert {survivor.pid for survivor in receipt} == pids
    assert all("agent.py" in survivor.command for survivor in receipt)
    assert families.marked(stage.marker) == []


def test_ending_a_tree_that_breeds_catches_up_with_it(stage: Stage) -> None:
    script = "while :; do sh -c 'sleep 60 & sleep 0.01' & done"
    breeder = subprocess.Popen(
        ["/bin/sh", "-c", f"ulimit -u 4096; {script}"],
        env={"PATH": os.environ["PATH"], **dict([stage.marker.split("=", 1)])},
        start_new_session=True,
    )
    wait_until_sync(lambda: len(families.marked(stage.marker)) > 20, "it breeds")
    receipt = processes.end_family(lambda: families.tree(stage.marker), breeder.poll)
    breeder.wait(5)
    assert len(receipt) > 20
    assert families.marked(stage.marker) == []


def test_a_program_whose_name_is_no_text_is_told_of_as_text(stage: Stage) -> None:
    named = subprocess.Popen([b"\xff\xe9sleep", "60"], executable="sleep", env=dict([stage.marker.split("=", 1)]))
    receipt = processes.end_family(lambda: families.tree(stage.marker), named.poll)
    named.wait(5)
    ending = Exit(None, 9, "killed", 0, 0, receipt=receipt)
    kept = Receipt.model_validate_json(text_of(ending))
    assert [(one.pid, one.command) for one in kept.ended] == [(named.pid, "\\udcff\\udce9sleep ...")]


def test_nothing_to_end_is_an_empty_receipt() -> None:
    assert processes.end_family(lambda: families.tree("DISPATCH_RUN=/none")) == ()


def _state(process: Identity) -> str:
    seen = processes.look(process.pid)
    return seen.state if seen else "gone"


def _end_unmarked(stage: Stage) -> None:
    """End what carries no marker by where it works: only a test may know it so."""
    for each in psutil.process_iter(["cwd", "cmdline"]):
        if each.info["cwd"] == str(stage.path) and "agent.py" in " ".join(each.info["cmdline"] or ()):
            each.kill()
