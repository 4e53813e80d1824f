"""start, stop, kill, cancel, retry, poke, complete, limits, backoff, host: what a person changes."""

import json
import subprocess

import pytest

from coordinator.models import Held
from coordinator.operations import Complete, Kill, Renew, Submit
from coordinator.operations.renew import Renewed
from tests.cli import BAD_INPUT, COMMAND, OK, REFUSED, Cli
from tests.waiting import wait_until_sync


@pytest.fixture
def busy(thawed: Cli) -> Cli:
    """One host that runs a/1 (codex), and a/2 (codex) and b/1 (gemini) that wait."""
    thawed.limits(codex=1)
    thawed.host()
    for name, agent in (("a/1", "codex"), ("a/2", "codex"), ("b/1", "gemini")):
        thawed("dispatch", name, "--agent", agent)
    thawed.claim()
    return thawed


def statuses(cli: Cli) -> dict[str, str]:
    return {row["workspace"]: row["status"] for row in cli.json("workspaces")["workspaces"]}


@pytest.mark.reference(8, 17, 18, "T22", "T23")
def test_start_and_stop_are_remembered(cli: Cli) -> None:
    assert cli.out("start") == "dispatch started\n"
    assert cli.json("status")["frozen"] is False
    assert cli.out("stop", "--reason", "release day") == "queue frozen\n"
    assert cli.json("status")["freeze"]["reason"] == "release day"
    assert cli.out("stop", "--key", "codex") == "codex frozen\n"
    assert cli.out("start", "--key", "codex") == "dispatch started for codex\n"


def test_stop_can_end_by_itself(cli: Cli) -> None:
    now = cli.json("status")["now"]
    until = cli.json("stop", "--until", "2h")["until"]
    assert 0 <= until - now - 7_200_000 < 60_000
    assert ", until " in cli.out("status").splitlines()[0]
    until = cli.json("stop", "--key", "codex", "--until", "+2h")["until"]
    assert 0 <= until - now - 7_200_000 < 60_000
    assert cli.json("stop", "--key", "codex", "--until", "2100-01-01T00:00:00Z")["until"] == 4_102_444_800_000
    assert "--until: must be a moment" in cli.wrong("stop", "--until", "soon", code=BAD_INPUT)
    assert "reason: must be UTF-8 text" in cli.wrong("stop", "--reason", "a\udcff", code=BAD_INPUT)


def test_kill_asks_first_and_an_empty_name_never_means_everything(busy: Cli) -> None:
    assert "nothing was ended" in busy("kill", code=REFUSED).stderr
    assert "nothing was ended" in busy("kill", "--agent", "codex", typed="n\n", code=REFUSED).stderr
    for words in (["kill", "", "--yes"], ["kill", "--agent", "", "--yes"], ["kill", "a", "--host", "h1", "--yes"]):
        busy.wrong(*words, code=BAD_INPUT)
    assert sorted(statuses(busy).values()) == ["queued", "queued", "running"]


@pytest.mark.reference(19, 20)
def test_kill_of_everything_freezes_and_clears(busy: Cli) -> None:
    result = busy("kill", "--no-wait", typed="y\n")
    assert "End everything (1 running, 2 queued), and freeze the queue?" in result.stderr
    assert "  a/1 is being ended\nkilled 1 agents, cleared 2 queued; the queue is frozen" in result.stdout
    assert statuses(busy) == {"a/1": "running", "a/2": "failed", "b/1": "failed"}
    assert busy.json("status")["frozen"] is True


def test_kill_of_an_agent_leaves_the_others(busy: Cli) -> None:
    answer = busy.json("kill", "--agent", "codex", "--yes", "--no-wait")
    assert answer == {"outcome": "killing", "running": ["a/1"], "cleared": 1, "ended": {}, "receipts": {}}
    assert statuses(busy)["b/1"] == "queued"
    assert busy.json("status")["frozen"] is False


@pytest.mark.reference(19, "W13")
def test_kill_waits_for_the_end_of_what_runs(busy: Cli) -> None:
    (row,) = busy.json("workspaces", "--status", "running")["workspaces"]
    beat = Renew(host="h1", incarnation="h1-1", held=[Held(workspace="a/1", token=row["token"])])

    def is_asked_to_end() -> bool:
        reply = busy.do(beat)
        return isinstance(reply, Renewed) and reply.kill == ("a/1",)

    with subprocess.Popen([*COMMAND, "kill", "a/1"], text=True, stdout=subprocess.PIPE) as process:
        wait_until_sync(is_asked_to_end, "the host is asked to end the run")
        busy("complete", "a/1", "--status", "failed", "--token", str(row["token"]))
        out, _ = process.communicate(timeout=30)
    assert out == "  a/1 failed\nkilled 1 agents, cleared 0 queued\n"
    assert process.returncode == OK


def test_kill_of_what_does_not_run(busy: Cli) -> None:
    assert "there is no workspace a/9" in busy.wrong("kill", "a/9", code=BAD_INPUT)
    busy("cancel", "a/2")
    assert "a/2 is failed: there is nothing to end" in busy.wrong("kill", "a/2", code=REFUSED)


def test_a_kill_in_many_parts_counts_all(thawed: Cli) -> None:
    lines = "".join(f'{{"workspace": "f/{number}", "agent": "codex"}}\n' for number in range(600))
    thawed("dispatch", "--file", "-", typed=lines)
    assert thawed.do(Kill(agent="codex")).more  # one question does not reach all of them
    assert 0 < thawed.json("kill", "--yes")["cleared"] <= 600
    assert thawed.json("status")["queued"] == 0


def test_cancel_and_retry(busy: Cli) -> None:
    assert busy.out("cancel", "a/2") == "1 cancelled\n"
    assert "a/1 is running: coordinator kill ends it" in busy.wrong("cancel", "a/1", code=REFUSED, out="0 cancelled\n")
    assert "there is no workspace a/9" in busy.wrong("cancel", "a/9", code=BAD_INPUT, out="0 cancelled\n")
    assert busy.json("retry", "a/2") == {"outcome": "done", "count": 1}
    assert busy.json("cancel", "--all")["count"] == 2
    assert busy.out("retry", "--status", "failed") == "2 queued again\n"
    busy.wrong("cancel", code=BAD_INPUT)
    busy.wrong("retry", "a/2", "--status", "failed", code=BAD_INPUT)


def test_what_was_killed_or_stopped_comes_back_and_nothing_else(busy: Cli) -> None:
    (row,) = busy.json("workspaces", "--status", "running")["workspaces"]
    busy.do(Complete(workspace="a/1", token=row["token"], status="failed", verdict="stopped"))
    busy("kill", "b/1")
    busy("cancel", "a/2")
    busy.do(Submit(workspace="c/1", agent="claude", asker="h2", ttl=60_000))
    busy("complete", "c/1", "--status", "failed")
    assert busy.json("retry", "--killed", "--newer", "0s")["count"] == 0
    assert busy.out("retry", "--killed", "--newer", "1h") == "2 queued again\n"
    assert statuses(busy) == {"a/1": "queued", "b/1": "queued", "a/2": "failed", "c/1": "failed"}
    assert busy.out("retry", "--killed") == "0 queued again\n"
    for words in (["a/1", "--killed"], ["--killed", "--status", "failed"], ["a/1", "--newer", "1h"]):
        busy.wrong("retry", *words, code=BAD_INPUT)


def test_the_receipt_of_an_end_is_told_to_whoever_asks_why(busy: Cli) -> None:
    (row,) = busy.json("workspaces", "--status", "running")["workspaces"]
    receipt = (
        '{"ended":[{"pid":71,"command":"node server.js","by":"KILL"}],"more":2,"cpu_ms":1500,"peak_memory":4194304}'
    )
    busy.do(Complete(workspace="a/1", token=row["token"], status="failed", verdict="killed", receipt=receipt))
    lines = [" ".join(line.split()) for line in busy.out("why", "a/1").splitlines()]
    assert lines[1:] == ["KILL 71 node server.js", "and 2 more", "used 1.5s of a processor, at most 4 MiB of memory"]
    (told,) = busy.json("workspaces", "--status", "failed")["workspaces"]
    assert told["receipt"]["ended"] == [{"pid": 71, "command": "node server.js", "by": "KILL"}]
    busy.do(Submit(workspace="c/1", agent="claude", asker="h2", ttl=60_000))
    busy.do(Complete(workspace="c/1", status="failed", receipt="no JSON"))
    assert len(busy.out("why", "c/1").splitlines()) == 1


@pytest.mark.reference(21, 22, "T17")
def test_poke_says_who_heard_it(busy: Cli) -> None:
    assert busy.out("poke") == "poked; no replica listens (workers find work by themselves)\n"
    assert busy.json("poke") == {"outcome": "reaped", "heard": 0, "lost": 0, "opened": []}


def test_complete_ends_what_no_worker_holds(busy: Cli) -> None:
    assert "only its token ends the run" in busy.wrong("complete", "a/1", "--status", "completed", code=REFUSED)
    busy.do(Submit(workspace="c/1", agent="claude", asker="h2", ttl=60_000))
    assert busy.out("complete", "c/1", "--status", "ready-for-review") == "c/1 ready-for-review\n"
    assert busy.out("complete", "c/1", "--status", "failed") == "c/1 does not run: it is ready-for-review already\n"
    assert "there is no workspace" in busy.wrong("complete", "c/9", "--status", "failed", code=BAD_INPUT)
    assert "status: " in busy.wrong("complete", "c/1", "--status", "queued", code=BAD_INPUT)
    assert "not the newest" in busy.wrong("complete", "a/1", "--status", "failed", "--token", "1", code=REFUSED)


def test_a_usage_limit_is_reported_in_a_duration(thawed: Cli) -> None:
    thawed.do(Submit(workspace="c/1", agent="claude", asker="h2", ttl=60_000))
    thawed("complete", "c/1", "--status", "failed", "--retry-after", "30m")
    assert thawed.out("backoff").splitlines()[1].split()[:3] == ["claude", "in", "30m"]


def test_what_if_shows_what_a_limit_would_start_and_sets_nothing(busy: Cli) -> None:
    told = busy.out("limits", "--what-if", "codex=1")
    assert told.startswith("nothing more would start now\n\nwould still wait")
    assert "queue at capacity: total 1/1" in told
    said = busy.json("limits", "--what-if", "codex=2", "--what-if", "*=none")
    assert said["outcome"] == "supposed"
    assert busy.json("limits") == {"outcome": "limits", "limits": {"codex": 1}}
    assert "--what-if: must be KEY=N" in busy.wrong("limits", "--what-if", "codex", code=BAD_INPUT)
    assert "--what-if: sets nothing" in busy.wrong("limits", "codex", "5", "--what-if", "codex=2", code=BAD_INPUT)


def test_limits_are_shown_set_and_removed(cli: Cli) -> None:
    assert cli.out("limits").startswith("no limit: everything may run at once")
    assert cli.out("limits", "codex", "5") == "codex: limit 5 (was no limit)\n"
    assert cli.json("limits", "codex", "3") == {"key": "codex", "outcome": "set", "was": 5, "now": 3, "woken": 0}
    assert cli.out("limits").splitlines()[1] == "codex      0/3"
    assert cli.json("limits") == {"outcome": "limits", "limits": {"codex": 3}}
    assert cli.out("limits", "codex", "0") == "codex: limit 0, closed (was limit 3)\n"
    assert cli.out("limits", "codex", "none") == "codex: no limit (was limit 0, closed)\n"
    for wrong in ("-1", "x", "1.5", "1" * 15, "", "٣"):
        assert "N: must be none or a whole number" in cli.wrong("limits", "codex", wrong, code=BAD_INPUT)
    assert "N: is missing" in cli.wrong("limits", "codex", code=BAD_INPUT)
    assert "key: must be" in cli.wrong("limits", "a b", "1", code=BAD_INPUT)


def test_backoff_shuts_and_opens_a_gate(cli: Cli) -> None:
    assert cli.out("backoff") == "nothing backs off\n"
    assert cli.out("backoff", "codex", "30m", "--reason", "usage limit").endswith("(in 30m)\n")
    (key,) = cli.json("backoff")["keys"]
    assert key["key"] == "codex"
    assert "usage limit" in key["text"]
    assert cli.out("backoff", "codex", "clear") == "codex is open\n"
    assert cli.out("backoff", "codex", "clear") == "codex is open (it was open)\n"
    for wrong in ("-5", "soon", ""):
        assert "DURATION: must be a duration" in cli.wrong("backoff", "codex", wrong, code=BAD_INPUT)
    assert "DURATION: is missing" in cli.wrong("backoff", "codex", code=BAD_INPUT)


def test_a_host_is_quiet_live_and_forgotten(busy: Cli) -> None:
    assert busy.out("host", "quiet", "h1") == "host h1 is quiet\n"
    assert busy.out("host", "thaw", "h1") == "host h1 is live\n"
    said = busy.wrong("host", "forget", "h1", code=REFUSED)
    assert "host h1 still holds 1 (a/1)" in said
    assert "coordinator host forget h1 --dead" in said
    assert busy.out("host", "forget", "h1", "--dead") == "host h1 is forgotten, queued again: a/1\n"
    assert "there is no host h1" in busy.wrong("host", "forget", "h1", code=BAD_INPUT)
    assert json.loads(busy.out("hosts", "--json"))["hosts"] == []


def test_the_priority_of_one_that_waits_is_changed(busy: Cli) -> None:
    busy("dispatch", "a/3", "--agent", "codex")
    assert busy.out("priority", "a/3", "9") == "a/3 has priority 9 (was 5), place 1 of its lane\n"
    assert busy.json("priority", "a/3", "0") == {"outcome": "prioritized", "was": 9, "now": 0, "place": 1}
    assert "a/1 is running: coordinator kill ends it; it does not wait" in busy.wrong(
        "priority", "a/1", "9", code=REFUSED
    )
    assert "there is no workspace a/9" in busy.wrong("priority", "a/9", "9", code=BAD_INPUT)
    assert "priority" in busy.wrong("priority", "a/3", "10", code=BAD_INPUT)


def test_a_host_is_frozen_by_somebody_until_a_time(busy: Cli) -> None:
    busy("stop", "--key", "host:h1", "--until", "2100-01-01T00:00:00Z", "--reason", "new disk")
    frozen = "host:h1 is frozen by "
    assert "frozen" in busy.out("hosts").splitlines()[1].split()
    for shown in (busy.out("hosts"), busy.out("status")):
        lines = [line for line in shown.splitlines() if frozen in line]
        assert lines
        assert all(": new disk, until 2" in line for line in lines)
    assert "host h1: 1/4 slots, frozen, serves codex, claude" in busy.out("status")
    busy("dispatch", "c/1", "--agent", "claude")
    why = busy.out("why", "c/1")
    assert frozen in why
    assert "key       host:h1 (frozen)" in why
    assert busy.json("hosts")["hosts"][0]["freeze"]["reason"] == "new disk"
    assert busy.out("start", "--key", "host:h1") == "dispatch started for host:h1\n"
    assert [grant.workspace for grant in busy.claim()] == ["c/1"]
