"""status, why, workspaces, hosts, events and logs: what a person sees."""

import json

import pytest

from coordinator.operations import Apply, BackOff, Push
from coordinator.operations.apply import Rates
from tests.cli import BAD_INPUT, Cli, on_terminal, run, started
from tests.waiting import wait_until_sync

TASK = "core/go-io/task-5"


@pytest.mark.reference(1, "T28")
def test_a_new_namespace_is_frozen_and_says_how_to_thaw_it(cli: Cli) -> None:
    assert cli.out("status").startswith(
        "frozen: this namespace is new (nothing starts; thaw it with: coordinator start)\n"
    )
    assert cli.json("status")["frozen"] is True


def test_status_counts_and_names_keys_hosts_and_the_redis_cli_line(thawed: Cli) -> None:
    thawed.limits(codex=1)
    thawed.host()
    for name in ("a/1", "a/2"):
        thawed("dispatch", name, "--agent", "codex")
    thawed.claim()
    thawed("stop", "--reason", "release day", "--key", "claude")
    text = thawed.out("status")
    assert "1 running, 1 queued, 0 completed, 0 failed, 2 in all\n" in text
    assert "codex      1/1   queue at capacity: total 1/1, and work waits for it\n" in text
    assert "claude     0/-   claude is frozen by " in text
    assert "host h1: 1/4 slots, serves " in text
    assert f"look yourself: redis-cli -s {thawed.url[7:]}    (keys begin with {{dispatch}})\n" in text
    status = thawed.json("status")
    assert (status["running"], status["queued"], status["hosts"]) == (1, 1, 1)
    assert status["redis_cli"] == f"redis-cli -s {thawed.url[7:]}"


def test_status_says_that_work_waits_for_a_closed_key(thawed: Cli) -> None:
    thawed.limits(codex=0)
    thawed("dispatch", "a/1", "--agent", "codex")
    assert "codex      0/0   closed: its limit is 0, and work waits for it\n" in thawed.out("status")


def waiting(cli: Cli, *words: str) -> str:
    """Why one more workspace waits."""
    cli("dispatch", TASK, *words)
    return cli.out("why", TASK)


@pytest.mark.reference(10)
def test_why_frozen(cli: Cli) -> None:
    cli("stop", "--reason", "release day", "--until", "2h")
    text = waiting(cli, "--agent", "codex")
    assert "queue is frozen by " in text
    assert ": release day" in text
    assert "(in 2h)" in text


@pytest.mark.reference(11, 12)
def test_why_pool_full(thawed: Cli) -> None:
    thawed.limits(codex=1)
    thawed.host()
    run(thawed, "--agent", "codex")
    text = waiting(thawed, "--agent", "codex")
    assert "queue at capacity: total 1/1\n  key       codex (full, 1 of 1 used)\n  held by   a/running\n" in text


@pytest.mark.reference(12)
def test_why_model_full(thawed: Cli) -> None:
    thawed("limits", "codex:gpt-5.4", "1")
    thawed.host()
    run(thawed, "--agent", "codex:gpt-5.4")
    assert "queue at capacity: model gpt-5.4 1/1\n" in waiting(thawed, "--agent", "codex:gpt-5.4")


def test_why_repo_full(thawed: Cli) -> None:
    thawed("limits", "repo:*", "1")
    thawed.host()
    run(thawed, "--agent", "codex", "--repo", "core/go-io")
    text = waiting(thawed, "--agent", "claude", "--repo", "core/go-io")
    assert "  key       repo:core/go-io (full, 1 of 1 used)\n  held by   a/running\n" in text


def test_limits_of_any_kind_are_set_shown_and_told_by_their_key(thawed: Cli) -> None:
    thawed.host()
    for key, limit in (("org:core", "1"), ("team:*", "1"), ("codex:*", "1")):
        thawed("limits", key, limit)
    run(thawed, "--agent", "codex:gpt-5.4", "--repo", "core/go-io", "--key", "team:blue")
    why = "  key       {} (full, 1 of 1 used)\n  held by   a/running\n"
    assert why.format("org:core") in waiting(thawed, "--agent", "claude", "--repo", "core/web")
    thawed("cancel", TASK)
    assert why.format("codex:gpt-5.4") in waiting(thawed, "--agent", "codex:gpt-5.4", "--again")
    thawed("cancel", TASK)
    text = waiting(thawed, "--agent", "claude", "--key", "team:blue", "--again")
    assert f"queue at capacity: team:blue 1/1\n{why.format('team:blue')}" in text
    assert thawed.json("limits")["limits"] == {"org:core": 1, "team:*": 1, "codex:*": 1}
    shown = {line.split()[0]: line for line in thawed.out("limits").splitlines() if line}
    assert shown["org:core"].endswith("1/1   queue at capacity: org:core 1/1")
    assert shown["team:*"].split()[1] == "0/1"


def test_why_gate_shut(thawed: Cli) -> None:
    thawed("backoff", "codex", "30m", "--reason", "usage limit")
    text = waiting(thawed, "--agent", "codex")
    assert "usage limit" in text
    assert "  earliest  " in text
    assert "(in 30m)" in text


@pytest.mark.reference(64, 69)
@pytest.mark.parametrize(
    ("rates", "said", "facts"),
    [
        ({"sustained_delay": 600_000}, "codex starts one at a time: the next in ", ("codex (pace)", "(in ")),
        ({"daily_limit": 1}, "codex has started 1 of 1 until the reset in ", ("codex (quota, 1 of 1 used)", "(in ")),
    ],
    ids=["pace", "quota"],
)
def test_why_paced(thawed: Cli, rates: dict[str, int], said: str, facts: tuple[str, str]) -> None:
    thawed.do(Apply(rates={"codex": Rates.model_validate(rates)}))
    thawed.host()
    run(thawed, "--agent", "codex:gpt-5.4")
    text = waiting(thawed, "--agent", "codex")
    assert said in text
    assert f"  key       {facts[0]}\n  earliest  " in text
    assert facts[1] in text
    assert f"{said.partition(' ')[2].partition(' in ')[0]}" in thawed.out("status")


@pytest.mark.reference(72, 73, 74)
def test_fast_failures_are_shown_and_forgiven_by_hand(thawed: Cli) -> None:
    thawed.host()
    for number, said in enumerate(("the last run failed", "the last 2 runs failed", "the last 3 runs failed")):
        thawed("dispatch", f"a/{number}", "--agent", "codex:gpt-5.4")
        (grant,) = thawed.claim()
        thawed.end(grant, "failed")
        assert f"codex: {said} within a minute of starting, and " in thawed.out("status")
    assert "3 failures in a row within a minute of starting by h1" in waiting(thawed, "--agent", "codex")
    assert "(forgive with: coordinator backoff codex clear)" in thawed.out("status")
    thawed("backoff", "codex", "clear")
    assert "failed within a minute" not in thawed.out("status")
    assert len(thawed.claim()) == 1


def test_a_ramp_is_shown_and_ended_by_hand(thawed: Cli) -> None:
    thawed.host()
    thawed.do(BackOff(key="codex", duration=1))
    for number in range(3):
        thawed("dispatch", f"a/{number}", "--agent", "codex")
    wait_until_sync(lambda: len(thawed.claim()) == 1, "one goes first", deadline=10)
    said = "codex has reopened: 1/1 started to try it, more when they hold, at the latest in "
    text = thawed.out("why", "a/1")
    assert said in text
    assert "  key       codex (ramp, 1 of 1 used)\n  tried by  " in text
    assert said in thawed.out("status")
    assert said in thawed.out("backoff")
    (key,) = thawed.json("backoff")["keys"]
    assert (key["reason"], key["ramp"]) == ("ramp", {"allowance": 1, "granted": 1})
    thawed("backoff", "codex", "clear")
    assert thawed.out("backoff") == "nothing backs off\n"
    assert len(thawed.claim()) == 2


def test_why_hosts_full(thawed: Cli) -> None:
    thawed.host(slots=1)
    run(thawed, "--agent", "codex")
    assert "hosts full: 1/1 slots on 1 host" in waiting(thawed, "--agent", "claude")


@pytest.mark.reference("T96")
def test_why_no_host(thawed: Cli) -> None:
    thawed.host()
    assert "place 1 of its lane: no host serves 'codx' (did you mean codex?)\n" in waiting(thawed, "--agent", "codx")
    assert thawed.json("why", TASK)["hint"] == "no host serves 'codx' (did you mean codex?)"


def test_why_of_what_does_not_wait(thawed: Cli) -> None:
    thawed.host()
    grant = run(thawed, "--agent", "codex")
    assert thawed.out("why", "a/running").startswith("a/running does not wait: it is running on h1 since ")
    thawed.end(grant, "blocked", question="Which branch?")
    assert "a/running blocked after " in thawed.out("why", "a/running")
    assert "there is no workspace a/9" in thawed.wrong("why", "a/9", code=BAD_INPUT)


@pytest.mark.reference(42)
def test_workspaces_by_filter_and_in_pages(thawed: Cli) -> None:
    thawed.host()
    for number in range(5):
        thawed("dispatch", f"a/{number}", "--agent", "codex", "--repo", f"core/r{number % 2}", "--task", "do it")
    thawed.end(thawed.claim(count=1)[0], "failed", question="no\x1b[31m way")
    assert [row["workspace"] for row in thawed.json("workspaces", "--status", "failed")["workspaces"]] == ["a/0"]
    assert len(thawed.json("workspaces", "--repo", "core/r1")["workspaces"]) == 2
    assert "no \\x1b[31m way" in (text := thawed.out("workspaces")) or "no\\x1b[31m way" in text
    page = thawed.json("workspaces", "--count", "2")
    rest = thawed.json("workspaces", "--cursor", page["cursor"])
    names = [row["workspace"] for part in (page, rest) for row in part["workspaces"]]
    assert sorted(names) == [f"a/{number}" for number in range(5)]
    assert (
        "more: coordinator workspaces --agent codex --count 2 --cursor "
        in thawed("workspaces", "--agent", "codex", "--count", "2").stderr
    )
    assert "'runing'" in thawed.wrong("workspaces", "--status", "runing", code=BAD_INPUT)


def test_hosts_show_what_they_serve_and_hold(thawed: Cli) -> None:
    assert "no host: start one with" in thawed.out("hosts")
    thawed.host()
    run(thawed, "--agent", "codex")
    header, row = thawed.out("hosts").splitlines()
    assert header.split() == ["host", "state", "beat", "slots", "serves", "labels", "holds"]
    assert row.split()[:2] == ["h1", "live"]
    assert row.endswith("a/running")
    assert thawed.json("hosts")["hosts"][0]["held"] == ["a/running"]


@pytest.mark.reference("W25")
def test_events_are_told_in_order_and_as_json(thawed: Cli) -> None:
    thawed.host()
    thawed.end(run(thawed, "--agent", "codex"))
    lines = thawed.out("events", "--count", "4").splitlines()
    assert [line.split()[1:3] for line in lines[:2]] == [["AgentStarted", "a/running"], ["AgentCompleted", "a/running"]]
    assert [line.split()[1:] for line in lines[2:]] == [
        ["QueueDrained", "completed=1"],
        ["ChannelPush", "queue.status", "completed=1"],
    ]
    facts = [json.loads(line) for line in thawed.out("events", "--json").splitlines()]
    assert [fact["type"] for fact in facts] == [
        "Thawed",
        "AgentStarted",
        "AgentCompleted",
        "QueueDrained",
        "ChannelPush",
    ]
    assert sorted(fact["seq"] for fact in facts) == [fact["seq"] for fact in facts]


def test_changed_settings_are_told_one_by_one(thawed: Cli) -> None:
    for limit in ("5", "7", "none"):
        thawed("limits", "codex", limit)
    lines = [line.partition("ConfigChanged")[2].split() for line in thawed.out("events", "--count", "3").splitlines()]
    assert [" ".join(words) for words in lines] == [
        "limits.codex=5",
        'limits.codex="7 (was 5)"',
        'limits.codex="none (was 7)"',
    ]


def test_a_notification_is_told_by_its_channel_and_what_it_says(thawed: Cli) -> None:
    data = '{"workspace":"a/1","status":"rejected","reason":"no tests","of":[{}]}'
    for push in (Push(channel="harvest.status", data=data), Push(channel="x", data="[1, null]"), Push(channel="y")):
        thawed.do(push)
    lines = thawed.out("events", "--count", "3").splitlines()
    assert [line.partition("ChannelPush     ")[2] for line in lines] == [
        'harvest.status  status=rejected reason="no tests" of=[{}] workspace=a/1',
        'x  data="[1, null]"',
        "y  data=null",
    ]
    (fact,) = [json.loads(line) for line in thawed.out("events", "--count", "1", "--json").splitlines()]
    assert (fact["channel"], fact["type"]) == ("y", "ChannelPush")


def test_events_follow_what_happens(thawed: Cli) -> None:
    with started("events", "--follow", "--count", "1") as process:
        assert process.stdout
        assert "Thawed" in process.stdout.readline()
        thawed("stop", "--key", "codex")
        assert "Frozen          codex" in process.stdout.readline()


@pytest.mark.parametrize("columns", [80, 120])
def test_tables_fit_the_terminal(thawed: Cli, columns: int) -> None:
    thawed("dispatch", "core/a-very-long-name-of-a-repository/and-of-a-task-5", "--task", "words " * 60)
    shown, _ = on_terminal("workspaces", columns=columns)
    lines = [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in shown.splitlines()]
    assert max(map(len, lines)) <= columns
    assert "…" in shown
    assert "\x1b[1mworkspace" in shown  # a terminal gets colour
    piped = thawed.out("workspaces")
    assert "words " * 30 in piped  # a pipe gets every line whole, without colour
    assert "\x1b" not in piped


def test_status_says_what_no_host_serves(thawed: Cli) -> None:
    thawed.host()
    for name in ("a/1", "a/2"):
        thawed("dispatch", name, "--agent", "codx", "--repo", f"core/{name[-1]}")
    assert "2 lanes wait for codx (the first was queued 0s ago): no host serves 'codx'\n" in thawed.out("status")
    assert [one["lanes"] for one in thawed.json("status")["unserved"]] == [2]
    for number in range(11):
        thawed("dispatch", f"b/{number}", "--agent", f"b{number}")
    assert "and 2 more routes that no host serves\n" in thawed.out("status")
    assert thawed.json("status")["unserved_more"] == 2
