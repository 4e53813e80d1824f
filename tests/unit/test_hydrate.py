"""What is said of a disk: who is dead, who lives, and whose business it is."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.trees import living, put
from tests.waiting import wait_until_sync
from workers import processes
from workers.hydrate import Found, look
from workers.processes import Identity
from workers.slip import Birth, Slip

NAME = f"core/x/t{os.getpid()}"  # no other test's processes carry it


def only(found: Found) -> tuple[str | None, int | None, bool]:
    [one] = found.said
    return one.status, one.pid, one.workspace in found.alive


@pytest.mark.reference(46, "T68", "W11")
def test_what_seems_to_run_and_is_dead_is_queued_and_its_file_stays(tmp_path: Path) -> None:
    directory = put(tmp_path, NAME, "running", pid=4_194_999)
    before = (directory / "status.json").read_bytes()
    assert only(look(tmp_path)) == ("queued", None, False)
    assert (directory / "status.json").read_bytes() == before


@pytest.mark.reference("W1", "W11")
def test_a_process_that_says_what_it_works_on_runs_whatever_the_file_says(tmp_path: Path) -> None:
    with living(DISPATCH_WORKSPACE=NAME) as pid:
        for status in ("running", "queued"):
            put(tmp_path, NAME, status)
            assert only(look(tmp_path)) == ("running", pid, True)
        put(tmp_path, NAME, "completed")
        assert only(look(tmp_path)) == ("completed", None, False)


def test_a_process_of_another_root_says_nothing_here(tmp_path: Path) -> None:
    put(tmp_path / "here", NAME, "running")
    with living(DISPATCH_WORKSPACE=NAME, DISPATCH_RUN=str(tmp_path / "there/.hosts/h1/runs/5.run")):
        assert only(look(tmp_path / "here")) == ("queued", None, False)
    with living(DISPATCH_WORKSPACE=NAME, DISPATCH_RUN=str(tmp_path / "here/.hosts/h1/runs/5.run")):
        assert only(look(tmp_path / "here"))[0] == "running"


def test_of_several_that_say_they_work_on_it_the_one_that_the_file_names_is_taken(tmp_path: Path) -> None:
    with living(DISPATCH_WORKSPACE=NAME) as one, living(DISPATCH_WORKSPACE=NAME) as other:
        for pid in (one, other):
            put(tmp_path, NAME, "running", pid=pid)
            assert only(look(tmp_path)) == ("running", pid, True)
        put(tmp_path, NAME, "running", pid=4_194_999)
        assert only(look(tmp_path)) == ("running", min(one, other), True)


@pytest.mark.reference(58, "W1", "W11")
def test_a_recorded_pid_that_lives_and_was_born_in_time_runs(tmp_path: Path) -> None:
    with living() as pid:
        put(tmp_path, NAME, "running", pid=pid)
        assert only(look(tmp_path)) == ("running", pid, True)


@pytest.mark.reference("W1")
def test_a_process_born_after_the_file_was_written_is_a_stranger(tmp_path: Path) -> None:
    with living() as pid:
        written = psutil.Process(pid).create_time() - 60
        directory = put(tmp_path, NAME, "running", pid=pid)
        os.utime(directory / "status.json", (written, written))
        assert only(look(tmp_path)) == ("queued", None, False)


@pytest.mark.reference("W1")
def test_a_process_that_is_much_older_than_the_run_is_a_stranger(tmp_path: Path) -> None:
    with living() as pid:
        ahead = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        put(tmp_path, NAME, "running", pid=pid, started_at=ahead)
        assert only(look(tmp_path)) == ("queued", None, False)
        put(tmp_path, NAME, "running", pid=pid, started_at=ahead.rstrip("Z"))  # whose clock that is nobody knows
        assert only(look(tmp_path)) == ("running", pid, True)
    put(tmp_path, NAME, "running", pid=1)
    assert only(look(tmp_path)) == ("queued", None, False)


def test_a_dead_process_that_nobody_collected_does_not_run(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        wait_until_sync(lambda: not (seen := processes.look(process.pid)) or seen.state == "dead", "it has ended")
        put(tmp_path, NAME, "running", pid=process.pid)
        assert only(look(tmp_path)) == ("queued", None, False)


@pytest.mark.reference(59)
def test_what_no_process_here_can_show_to_be_dead_counts(tmp_path: Path) -> None:
    put(tmp_path, NAME, "running", runtime="vz")
    assert only(look(tmp_path)) == ("running", None, False)


def test_what_a_guard_holds_is_left_to_its_worker(tmp_path: Path) -> None:
    runs = tmp_path / ".hosts/h1/runs"
    runs.mkdir(parents=True)
    put(tmp_path, NAME, "running")
    put(tmp_path, "other", "running")
    birth = Birth(Identity(4_194_999, 1), processes.boot(), 5, 1000, 1000, NAME)
    Slip.create(runs / "5.run", birth, 1).close()
    (runs / "6.run").write_bytes(b"torn")
    (runs / "x.run").write_bytes(b"")
    assert [one.workspace for one in look(tmp_path).said] == ["other"]
    assert sorted(path.name for path in runs.iterdir()) == ["5.run", "6.run", "x.run"]
    (runs / "5.run").unlink()
    assert [one.workspace for one in look(tmp_path).said] == [NAME, "other"]


@pytest.mark.parametrize(("field", "wrong"), [("agent", 5), ("task", ["x"]), ("repo", "a/b"), ("branch", "a b")])
def test_what_would_run_as_something_else_is_not_queued(tmp_path: Path, field: str, wrong: Any) -> None:
    for status in ("queued", "running"):
        put(tmp_path, NAME, status, **{field: wrong})
        found = look(tmp_path)
        assert found.said == []
        assert found.problems[-1].problem == f"is not queued, for its {field} is not known"
    put(tmp_path, NAME, "failed", **{field: wrong})
    assert only(look(tmp_path))[0] == "failed"


@pytest.mark.reference("W1", "W11")
@pytest.mark.parametrize("pid", ["12", 1.5, 10**20])
def test_what_seems_to_run_under_a_pid_that_can_not_be_read_is_not_queued(tmp_path: Path, pid: Any) -> None:
    put(tmp_path, NAME, "running", pid=pid)
    found = look(tmp_path)
    assert (found.said, found.problems[-1].problem) == ([], "is not queued, for its pid is not known")
    put(tmp_path, NAME, "queued", pid=pid)
    assert only(look(tmp_path))[0] == "queued"


@pytest.mark.reference(47, 78, "W15")
def test_bad_files_hide_no_good_ones_and_the_oldest_is_told_first(tmp_path: Path) -> None:
    put(tmp_path, "a", "queued", updated_at="2026-03-26T10:00:00Z")
    put(tmp_path, "b", b'{"status": "que')
    put(tmp_path, "c", "queued", updated_at="2026-03-25T10:00:00Z")
    put(tmp_path, "d")
    os.mkfifo(tmp_path / "d/status.json")
    found = look(tmp_path)
    assert [one.workspace for one in found.said] == ["c", "a"]
    assert (found.workspaces, [problem.field for problem in found.problems]) == (4, ["b/status.json", "d/status.json"])


def test_only_those_that_are_asked_for_are_looked_at(tmp_path: Path) -> None:
    put(tmp_path, "a", "queued")
    put(tmp_path, "b", "queued")
    assert [one.workspace for one in look(tmp_path, ["b"]).said] == ["b"]


def test_what_runs_is_looked_at_again_where_its_file_could_not_be_read_once(tmp_path: Path) -> None:
    put(tmp_path, "a", "running")
    put(tmp_path, "b", "running")
    (tmp_path / "a/status.json").write_text("{")
    (tmp_path / "b/status.json").unlink()
    put(tmp_path, "c", "running")
    home = tmp_path / ".hosts/h1/runs"
    home.mkdir(parents=True)
    birth = Birth(Identity(os.getpid(), 1), processes.boot(), 5, 300, 300, "c")
    with Slip.create(home / "5.run", birth, 1):
        assert look(tmp_path, ["a", "b", "c", "gone"]).alive == {"a", "b"}
    assert look(tmp_path).alive == set()  # nothing says that they ran
