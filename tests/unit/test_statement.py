"""Reading status.json: what the reference runner wrote is understood, and nothing that lies there does harm."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coordinator.words import STATUSES
from tests.trees import put
from workers.statement import Statement, parse, read

NAME = "core/go-io/task-5"
WRITTEN = 1_774_519_200.5


def said(**fields: Any) -> tuple[Statement, list[str]]:
    statement, problems = parse(NAME, json.dumps({"status": "failed", **fields}).encode(), WRITTEN)
    assert statement
    return statement, [str(problem) for problem in problems]


@pytest.mark.reference(48, "T33", "T75", "T76", "W17")
def test_every_field_of_the_reference_runner_is_read_and_unknown_ones_do_no_harm() -> None:
    fields = {
        "agent": "codex:gpt-5.4", "repo": "go-io", "org": "core", "task": "Fix it\n", "branch": "agent/fix-it",
        "issue": 7, "pid": 999, "process_id": "p-1", "runtime": "docker", "new": [1],
        "started_at": "2026-03-26T10:00:00.123456789Z", "updated_at": "2026-03-26T12:00:00+02:00",
        "question": "which?", "runs": 2, "pr_url": "https://x/1",
    }  # fmt: skip
    statement, problems = said(**fields)
    assert problems == []
    one = statement.said
    assert (one.agent, one.repo, one.org, one.task) == ("codex:gpt-5.4", "go-io", "core", "Fix it\n")
    assert (one.branch, one.pid, one.question, one.runs, one.pr_url) == (
        "agent/fix-it",
        999,
        "which?",
        2,
        "https://x/1",
    )
    assert (one.started_at, one.updated_at) == (1_774_519_200_123, 1_774_519_200_000)
    assert (statement.runtime, statement.written) == ("docker", WRITTEN)


@pytest.mark.reference(49)
@pytest.mark.parametrize("zero", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "", None])
def test_a_time_of_the_year_one_is_no_time(zero: str | None) -> None:
    statement, problems = said(started_at=zero, updated_at=zero)
    assert problems == []
    assert statement.said.started_at is None
    assert statement.said.updated_at == 1_774_519_200_500  # as old as the file


@pytest.mark.parametrize("pid", [-1, 0, None])
def test_the_pid_of_a_reservation_is_none(pid: int | None) -> None:
    statement, problems = said(pid=pid)
    assert (statement.said.pid, problems) == (None, [])


@pytest.mark.reference(49)
def test_a_time_without_a_zone_is_taken_as_utc_and_said_so() -> None:
    statement, problems = said(started_at="2026-03-26 10:00:00.5")
    assert statement.said.started_at == 1_774_519_200_500
    assert problems == [
        f"{NAME}/status.json.started_at: has no time zone: it is taken as UTC; write it like 2026-03-26T10:00:00Z"
    ]


@pytest.mark.reference(49)
@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("started_at", "yesterday", "RFC 3339"), ("started_at", 1774519200, "RFC 3339"),
        ("started_at", "2026-02-30T10:00:00Z", "no time there ever was"), ("pid", 1.5, ""),
        ("updated_at", "1969-01-01T00:00:00Z", "1970"),
        ("updated_at", "2026-03-26T10:00:00+99:00", "no time there ever was"), ("agent", 5, "text"),
        ("agent", "a b", ""),
        ("agent", "\ud800", "surrogate"), ("repo", "a/b", ""), ("org", ["x"], ""), ("branch", "a..b", ""),
        ("task", {"a": 1}, ""), ("task", "x" * (1 << 20) + "x", "bytes"), ("question", "q" * 70_000, "64 KiB"),
        ("pr_url", "a\nb", "one line"), ("pid", "999", "whole number"), ("pid", True, "whole number"),
        ("pid", 10**20, ""), ("runs", -1, ""), ("runs", "3", ""), ("runs", float("nan"), ""), ("token", -5, ""),
    ],
)  # fmt: skip
def test_a_wrong_field_costs_that_field_alone_and_is_named(field: str, value: Any, word: str) -> None:
    statement, problems = said(**{field: value}, org="core") if field != "org" else said(org=value)
    assert (statement.said.status, field in statement.doubted) == ("failed", True)
    assert statement.said.org == (None if field == "org" else "core")
    if field != "updated_at":
        assert getattr(statement.said, field) is None
    [problem] = problems
    assert problem.startswith(f"{NAME}/status.json.{field}: ")
    assert word in problem


@pytest.mark.reference(48, "T78", "T79")
@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "is empty"), (b" \n", "is empty"), (b'{"status": "runn', "half-written"),
        (b"\xff\xfe\x00", "half-written"),
        (b"\x00" * 50, "half-written"), (b"[1]", "must be one JSON object"), (b"null", "must be one JSON object"),
        (b'"queued"', "must be one JSON object"), (b"[" * 100_000, "half-written"), (b"{}", "status: is missing"),
        (b'{"status": null}', "status: is missing"), (b'{"status": ""}', "status: is missing"),
        (b'{"status": "paused"}', ".status: "), (b'{"status": "Queued"}', ".status: "), (b'{"status": 5}', ".status: "),
        (b'{"status": ["queued"]}', ".status: "), (b'{"a":' + b"9" * 5000 + b"}", "half-written"),
    ],
)  # fmt: skip
def test_a_file_that_says_no_status_says_nothing_and_is_named(raw: bytes, word: str) -> None:
    statement, [problem] = parse(NAME, raw, WRITTEN)
    assert statement is None
    assert word in str(problem)
    assert problem.fix or word == ".status: "


@given(st.binary(max_size=200), st.sampled_from([b"", b'{"status": "queued", "x": ', b'{"status": "running", "pid": ']))
@example(b"1e999}", b'{"status": "running", "pid": ')
@example(b'"\\ud800", "task": "\\udfff"}', b'{"status": "queued", "agent": ')
def test_no_bytes_raise_and_none_become_a_status_that_was_not_written(raw: bytes, start: bytes) -> None:
    whole = start + raw
    statement, problems = parse(NAME, whole, WRITTEN)
    if statement is None:
        assert problems
    else:
        assert json.loads(whole)["status"] == statement.said.status
        assert statement.said.status in STATUSES
        statement.said.model_dump_json()
    assert all(str(problem).isprintable() for problem in problems)


_JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=3)
_FIELDS = st.sampled_from(
    ["agent", "task", "repo", "org", "branch", "question", "pr_url", "pid", "runs", "token", "started_at", "updated_at"]
)


@given(st.sampled_from(STATUSES), st.dictionaries(_FIELDS, _JSON), st.floats(-1e9, 1e10))
def test_whatever_stands_in_the_fields_a_statement_can_be_sent(status: str, fields: Any, written: float) -> None:
    statement, problems = parse(NAME, json.dumps({**fields, "status": status}).encode(), written)
    assert statement
    assert statement.said.status == status
    statement.said.model_dump_json()
    assert {problem.field.rpartition(".")[2] for problem in problems} == statement.doubted


@pytest.mark.reference(48, "T34", "T77", "T80")
def test_what_is_no_file_is_not_read_and_named(tmp_path: Path) -> None:
    for name in ("pipe", "link", "directory", "none", "huge", "device"):
        put(tmp_path, name)
    os.mkfifo(tmp_path / "pipe/status.json")
    put(tmp_path, "real", "queued")
    (tmp_path / "link/status.json").symlink_to(tmp_path / "real/status.json")
    (tmp_path / "directory/status.json").mkdir()
    (tmp_path / "huge/status.json").write_bytes(b"{" + b" " * (4 << 20) + b'"status":"queued"}')
    said_of = {}
    for name in ("pipe", "link", "directory", "none", "huge"):
        statement, [problem] = read(tmp_path, name)
        assert statement is None
        said_of[name] = problem.problem
    assert said_of == {
        "pipe": "is not a file",
        "link": "is a link",
        "directory": "is not a file",
        "none": "can not be read: No such file or directory",
        "huge": "is longer than 4 MiB",
    }
    assert read(tmp_path, "real")[0] is not None


@pytest.mark.reference(48, "W16")
def test_a_file_that_is_being_written_is_read_again_and_an_old_torn_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(tmp_path, "a", "queued") / "status.json"
    whole = file.read_text()
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            file.write_text(whole)  # its writer is done meanwhile

    monkeypatch.setattr(time, "sleep", wait)
    file.write_text(whole[:9])
    statement, problems = read(tmp_path, "a")
    assert (statement and statement.said.status, problems, len(pauses)) == ("queued", [], 2)
    file.write_text(whole[:9])
    assert read(tmp_path, "a")[0] is None
    assert len(pauses) == 4
    os.utime(file, (WRITTEN, WRITTEN))
    assert read(tmp_path, "a")[0] is None
    assert len(pauses) == 4
