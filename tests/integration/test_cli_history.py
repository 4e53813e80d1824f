"""history, and workspaces by age: what a person sees of the past."""

import re
from typing import Any

import pytest
from redis import Redis

from coordinator.operations import Apply, Reap
from coordinator.operations.apply import FleetSettings
from tests.cli import BAD_INPUT, Cli, on_terminal

HOUR = 3_600_000


def dispatched(cli: Cli, *names: str, agent: str = "codex") -> None:
    for name in names:
        cli("dispatch", name, "--agent", agent, "--repo", "core/io", "--task", f"do {name}")


def age(cli: Cli, status: str, **hours: float) -> None:
    """As if these had changed their status so many hours ago."""
    now = cli.json("workspaces", "--status", status)["workspaces"][0]["since"]
    with Redis.from_url(cli.url) as redis:
        redis.zadd(f"{{dispatch}}:status:{status}", {name: now - int(past * HOUR) for name, past in hours.items()})


def names(answer: Any) -> list[str]:
    return [row["workspace"] for row in answer["workspaces"]]


@pytest.fixture
def past(thawed: Cli) -> Cli:
    """Two that have ended, one that runs and one that waits."""
    thawed.host(slots=3)
    dispatched(thawed, "a", "b", "c")
    first, second, _ = thawed.claim()
    thawed.end(first, "failed", question="no database", cost_usd=1_230_000)
    thawed.end(second)
    dispatched(thawed, "d", agent="gemini")
    age(thawed, "failed", a=3)
    age(thawed, "completed", b=2)
    return thawed


def test_history_tells_the_last_dispatches_newest_first(past: Cli) -> None:
    header, *rows = past.out("history").splitlines()
    assert header.split() == ["when", "workspace", "agent", "host", "status", "ran", "cost", "about"]
    cells = [re.split(r"  +", row) for row in rows]
    assert [row[1] for row in cells] == ["d", "c", "b", "a"]
    when, *rest = cells[3]
    assert re.fullmatch(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d", when)
    assert rest[:4] == ["a", "codex", "h1", "failed"]
    assert re.fullmatch(r"\d+m?s", rest[4])
    assert rest[5:] == ["$1.23", "no database"]
    assert cells[0][2:] == ["gemini", "queued", "do d"]  # it has not run


def test_history_of_so_many_and_by_filters(past: Cli) -> None:
    assert names(past.json("history", "2")) == ["d", "c"]
    assert names(past.json("history", "--agent", "codex", "--status", "failed")) == ["a"]
    assert names(past.json("history", "--repo", "core/io", "--host", "h1")) == ["c", "b", "a"]
    assert "no workspace" in past.out("history", "--host", "h9")
    assert "'runing'" in past.wrong("history", "--status", "runing", code=BAD_INPUT)


def test_what_was_forgotten_is_still_counted(past: Cli) -> None:
    assert "forgotten" not in past.out("history")
    assert past.json("history")["summary"] == {}
    past.do(Apply(settings=FleetSettings(history=0)))
    assert past.do(Reap()).forgotten == 2
    text = past.out("history")
    assert re.search(r"^forgotten of codex: 1 completed, 1 failed, ran \d+m?s, cost \$1\.23$", text, re.MULTILINE)
    assert "forgotten" not in past.out("history", "--agent", "codex")
    told = past.json("history")
    assert names(told) == ["d", "c"]
    assert told["summary"]["codex"]["counts"] == {"completed": 1, "failed": 1}


def test_workspaces_by_the_age_of_their_last_change(past: Cli) -> None:
    assert names(past.json("workspaces", "--newer", "1h")) == ["c", "d"]
    assert names(past.json("workspaces", "--older", "150m")) == ["a"]
    assert names(past.json("workspaces", "--newer", "150m", "--older", "1h")) == ["b"]
    assert names(past.json("workspaces", "--newer", "900000h", "--older", "1h")) == ["a", "b"]
    page = past("workspaces", "--newer", "4h", "--older", "1h", "--count", "1")
    (more,) = page.stderr.splitlines()
    assert more.startswith("more: coordinator workspaces --newer 4h --older 1h --count 1 --cursor ")
    assert past.out(*more.split()[2:]).splitlines()[1].split()[0] == "b"
    assert "2h ago" in past.out("workspaces", "--status", "completed")
    assert "--newer: must be a duration" in past.wrong("workspaces", "--newer", "soon", code=BAD_INPUT)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_of_the_past_fits_the_terminal(past: Cli, columns: int) -> None:
    dispatched(past, "core/a-very-long-name-of-a-repository/and-of-a-task-5")
    shown, code = on_terminal("history", columns=columns)
    assert code == 0
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown.splitlines()]
    assert max(map(len, plain)) <= columns
