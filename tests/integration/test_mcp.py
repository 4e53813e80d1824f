"""coordinator mcp: the handshake, the tools, and what is wrong, as a client sees them."""

import json
import os
import subprocess
from collections.abc import Iterator

import pytest
from redis import Redis

from coordinator.operations import Apply
from tests.cli import COMMAND, Cli
from tests.mcp import Client
from tests.waiting import wait_until_sync

SIX = ["dispatch", "status", "start", "stop", "kill", "poke"]
ALL = [*SIX, "why", "resume", "workspaces", "events_since"]


@pytest.fixture
def client(cli: Cli) -> Iterator[Client]:
    """A client of an empty, frozen fleet."""
    with Client() as client:
        client.begin()
        yield client


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2026-07-28", "2025-06-18"),
    ],
)
def test_the_handshake_agrees_on_a_version_and_offers_tools_and_the_channel(cli: Cli, wanted: str, got: str) -> None:
    with Client() as client:
        found = client.ask("initialize", {"protocolVersion": wanted, "capabilities": {}})["result"]
        assert found["protocolVersion"] == got
        assert found["capabilities"] == {"tools": {}, "experimental": {"claude/channel": {}}}
        assert set(found["serverInfo"]) == {"name", "version"}
        assert all(name in found["instructions"] for name in (*ALL, "seq", "after", "count", "running", "limit"))
        assert client.ask("ping")["result"] == {}


def test_a_probe_for_a_newer_protocol_is_refused_and_the_channel_is_kept(cli: Cli) -> None:
    with Client() as client:
        assert client.ask("server/discover", {"protocolVersion": "2026-07-28"})["error"]["code"] == -32601
        assert "claude/channel" in client.begin()["capabilities"]["experimental"]


def test_every_tool_is_listed_with_a_schema_that_teaches(client: Client) -> None:
    tools = {tool["name"]: tool for tool in client.ask("tools/list")["result"]["tools"]}
    assert list(tools) == ALL
    for tool in tools.values():
        taken = tool["inputSchema"]
        assert taken["type"] == "object"
        assert set(taken.get("required", ())) <= set(taken["properties"])
        assert all(one["type"] and one["description"] for one in taken["properties"].values())
    reading = [name for name, tool in tools.items() if tool["annotations"]["readOnlyHint"]]
    assert reading == ["status", "why", "workspaces", "events_since"]
    assert [name for name, tool in tools.items() if tool["annotations"].get("destructiveHint")] == ["kill"]
    assert tools["dispatch"]["inputSchema"]["properties"]["priority"]["maximum"] == 9


@pytest.mark.reference(9, 10, 11, 12, "W23")
def test_a_dispatch_says_in_the_known_words_why_not_now(cli: Cli, client: Client) -> None:
    cli.do(Apply(default_agent="codex", limits={"codex": 5, "codex:gpt-5.4": 1}))
    now = {"asker": "svc", "otherwise": "refuse"}
    text, fields = client.told("dispatch", workspace="a/1", **now)
    assert (text, fields["outcome"], fields["refusal"]["reason"]) == ("queue is frozen", "refused", "frozen")
    client.call("start")
    text, fields = client.told("dispatch", workspace="a/1", agent="codex:gpt-5.4", **now)
    assert (text, fields["grant"]["agent"]) == ("granted", "codex:gpt-5.4")
    assert client.told("dispatch", workspace="b/1", agent="codex:gpt-5.4", **now)[0] == (
        "queue at capacity: model gpt-5.4 1/1"
    )
    for at in range(2, 6):
        _, fields = client.told("dispatch", workspace=f"a/{at}", **now)
        assert fields["grant"]["agent"] == "codex"  # the fleet's default, as on every door
    text, fields = client.told("dispatch", workspace="b/1", **now)
    assert text == "queue at capacity: total 5/5"
    assert (fields["refusal"]["used"], fields["refusal"]["limit"]) == (5, 5)
    assert client.told("dispatch", workspace="b/1")[0] == "queued - queue at capacity: total 5/5"
    assert client.told("dispatch", workspace="b/1")[0] == "already queued"


def test_a_repo_may_name_its_organisation(cli: Cli, client: Client) -> None:
    client.told("dispatch", workspace="a/1", agent="codex", repo="core/go-io", task="x" * 1000, priority=9)
    _, found = client.told("workspaces", workspace="a/1")
    (row,) = found["workspaces"]
    assert (row["org"], row["repo"], row["priority"]) == ("core", "go-io", 9)
    assert len(row["task"]) == 500  # long texts are cut


@pytest.mark.reference(16)
def test_status_counts_by_group_and_each_status_alone(cli: Cli, client: Client) -> None:
    assert client.told("status")[0].startswith("0 running, 0 queued, 0 completed, 0 failed, 0 in all\nqueue is frozen")
    client.told("start")
    cli.host()
    for at in range(3):
        client.told("dispatch", workspace=f"a/{at}", agent="codex")
    for grant, status in zip(cli.claim(count=2), ("merged", "blocked"), strict=True):
        cli.end(grant, status)
    text, fields = client.told("status")
    assert text.startswith("0 running, 1 queued, 1 completed, 1 failed (1 blocked), 3 in all")
    assert {name: fields[name] for name in ("running", "queued", "completed", "failed", "total")} == {
        "running": 0, "queued": 1, "completed": 1, "failed": 1, "total": 3,
    }  # fmt: skip
    assert fields["counts"]["merged"] == fields["counts"]["blocked"] == 1


@pytest.mark.reference(17, 18)
def test_start_and_stop_answer_in_the_known_words_and_are_remembered(cli: Cli, client: Client) -> None:
    assert client.told("start")[0] == "dispatch started"
    assert cli.json("status")["frozen"] is False
    assert client.told("stop", reason="release day")[0] == "queue frozen"
    freeze = cli.json("status")["freeze"]
    assert freeze["reason"] == "release day"
    assert freeze["by"].endswith("(tests)")
    assert client.told("start", key="codex")[0] == "dispatch started for codex"
    text, fields = client.told("stop", key="codex", until="2h")
    assert text.startswith("codex frozen until ")
    assert fields["until"] > 0


@pytest.mark.reference(19, 20)
def test_kill_ends_what_it_names_and_everything_only_when_told_so(cli: Cli, client: Client) -> None:
    client.told("start")
    cli.host()
    for at in range(4):
        client.told("dispatch", workspace=f"a/{at}", agent="codex")
    cli.claim(count=2)
    said = client.wrong("kill")
    assert said.startswith(
        "all: is needed where nothing is named; name one of workspace, agent, repo, host; or set all"
    )
    assert client.wrong("kill", all=False) == client.wrong("kill", workspace=None) == said
    assert cli.json("status")["queued"] == 2
    text, fields = client.told("kill", workspace="a/3")
    assert (text, fields["frozen"]) == ("killed 0 agents, cleared 1 queued", False)
    assert cli.json("status")["frozen"] is False
    text, fields = client.told("kill", all=True, reason="enough")
    assert text == "killed 2 agents, cleared 1 queued"
    assert (sorted(fields["running"]), fields["cleared"], fields["frozen"]) == (["a/0", "a/1"], 1, True)
    assert cli.json("status")["frozen"] is True
    assert "can not be given together" in client.wrong("kill", all=True, workspace="a/1")


@pytest.mark.reference(21)
def test_poke_does_what_is_due_and_says_who_heard_it(client: Client) -> None:
    text, fields = client.told("poke")
    assert text == "poked; no replica listens (workers find work by themselves)"
    assert fields == {"outcome": "poked", "heard": 0, "lost": [], "opened": []}


def test_why_names_what_holds_one_back(cli: Cli, client: Client) -> None:
    client.told("dispatch", workspace="a/1", agent="codex")
    text, fields = client.told("why", workspace="a/1")
    assert text.startswith("a/1 is queued, place 1 of its lane: queue is frozen")
    assert "no host serves 'codex'" in text
    assert fields["refusal"]["key"] == "*"
    assert "there is no workspace a/9" in client.wrong("why", workspace="a/9")
    client.told("start")
    cli.host()
    (grant,) = cli.claim()
    assert client.told("why", workspace="a/1")[0] == "a/1 does not wait: it is running on h1"
    cli.end(grant, "failed", exit_code=3, question='now call "kill"')
    assert client.told("why", workspace="a/1")[0].endswith(""" on h1: exit code 3: "now call 'kill'\"""")
    assert client.told("workspaces")[0].endswith(""" ago said "now call 'kill'\"""")


def test_resume_answers_the_one_that_asks(cli: Cli, client: Client) -> None:
    client.told("start")
    cli.host()
    client.told("dispatch", workspace="a/1", agent="codex")
    assert client.told("resume", workspace="a/1", answer="8080")[0] == "a/1 is queued"
    (grant,) = cli.claim()
    cli.end(grant, "blocked", question='which "port"?\nnow')
    listed = client.told("workspaces")[0]
    assert listed.startswith("a/1 blocked codex on h1 ")
    assert listed.endswith(""" ago asks "which 'port'? now\"""")
    text, fields = client.told("resume", workspace="a/1", answer="8080")
    assert (text, fields["count"]) == ("a/1 queued again in front, for host h1", 1)
    (grant,) = cli.claim()
    assert grant.answer == "8080"
    assert "there is no workspace a/9" in client.wrong("resume", workspace="a/9", answer="x")


def test_workspaces_are_found_by_filters_in_pages(cli: Cli, client: Client) -> None:
    for at in range(3):
        client.told("dispatch", workspace=f"a/{at}", agent="codex")
    client.told("dispatch", workspace="b/1", agent="claude")
    text, fields = client.told("workspaces", agent="codex", status="queued", count=2, newer="1h")
    assert text.splitlines()[0].startswith("a/2 queued codex ")
    assert [row["workspace"] for row in fields["workspaces"]] == ["a/2", "a/1"]
    _, rest = client.told("workspaces", agent="codex", status="queued", count=2, cursor=fields["cursor"])
    assert [row["workspace"] for row in rest["workspaces"]] == ["a/0"]
    assert client.told("workspaces", status="failed")[0] == "no workspace"
    assert client.told("workspaces", older="1h")[0] == "no workspace"


@pytest.mark.reference("W25")
def test_facts_are_told_again_from_any_cursor_on(cli: Cli, client: Client) -> None:
    assert client.told("events_since")[1] == {"facts": [], "cursor": "0-0", "more": False}
    client.told("start")
    _, first = client.told("events_since")
    assert [fact["type"] for fact in first["facts"]] == ["Thawed"]
    for reason in ("one", "two", "three" * 200):
        client.told("stop", key=f"repo:{reason[:3]}", reason=reason[:500])
    _, page = client.told("events_since", cursor=first["cursor"], count=2)
    assert ([fact["reason"] for fact in page["facts"]], page["more"]) == (["one", "two"], True)
    assert page["cursor"] == page["facts"][-1]["seq"]
    text, last = client.told("events_since", cursor=page["cursor"])
    assert [fact["key"] for fact in last["facts"]] == ["repo:thr"]
    assert text.endswith(f"cursor {last['cursor']}")
    assert client.told("events_since", cursor=last["cursor"])[1]["facts"] == []
    trimmed = client.told("events_since", cursor="1-1")[1]
    assert trimmed["trimmed"] is True
    assert len(trimmed["facts"]) == 4


LINES = [
    (b"nonsense", -32700),
    (b"\xff\xfe\x00", -32700),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping"', -32700),
    (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', -32700),
    (b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', -32700),
    (b"[" * 100_000, -32700),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","x":"' + b"a" * (4 << 20) + b'"}', -32700),
    (b"[]", -32600),
    (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
    (b'"ping"', -32600),
    (b"{}", -32600),
    (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
    (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600),
    (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600),
    (b'{"jsonrpc":"2.0","id":' + b"9" * 400 + b',"method":"ping"}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":"nothing/known"}', -32601),
    (b'{"jsonrpc":"2.0","id":1,"method":"resources/list"}', -32601),
    (b'{"jsonrpc":"2.0","id":1,"method":"server/discover"}', -32601),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"initialize"}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":3}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x"}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"statsu"}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":[]}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"status","arguments":"x"}}', -32602),
]
SILENT = [
    b"", b"   ", b'{"jsonrpc":"2.0","method":"nothing/known"}', b'{"jsonrpc":"2.0","method":"ping","params":7}',
    b'{"jsonrpc":"2.0","id":1,"result":{}}', b'{"jsonrpc":"2.0","id":1,"error":{}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
]  # fmt: skip


def test_a_wrong_line_gets_its_code_and_ends_nothing(client: Client) -> None:
    for line in (*(line for line, _ in LINES), *SILENT):
        client.write(line)
    assert client.ask("ping")["result"] == {}
    wait_until_sync(lambda: len(client.heard) >= len(LINES) + 2, "each is answered", 20.0)
    answers = [message for message in client.heard if "error" in message]
    assert len(client.heard) == len(LINES) + 2  # and the handshake and the ping
    assert [answer["error"]["code"] for answer in answers] == [code for _, code in LINES]
    for (line, _), answer in zip(LINES, answers, strict=True):
        assert answer["id"] == (
            1 if b'"id":1,' in line and line[:1] == b"{" and answer["error"]["code"] > -32700 else None
        )
        assert answer["error"]["message"]
    assert "did you mean status?" in answers[-3]["error"]["message"]


ARGUMENTS: list[tuple[str, dict[str, object], str]] = [
    ("dispatch", {}, "workspace: is missing"),
    ("dispatch", {"workspace": None}, "workspace: is missing"),
    ("dispatch", {"workspace": ""}, "workspace: must be"),
    ("dispatch", {"workspace": 5}, "workspace: must be text"),
    ("dispatch", {"workspace": "a", "agnet": "codex"}, "agnet: is not an argument of dispatch; did you mean agent?"),
    ("dispatch", {"workspace": "a", "priority": 10}, "priority: "),
    ("dispatch", {"workspace": "a", "priority": True}, "priority: must be a whole number"),
    ("dispatch", {"workspace": "a", "labels": "gpu"}, "labels: must be a list"),
    ("dispatch", {"workspace": "a", "repo": "a/b/c"}, "org: must be"),
    ("dispatch", {"workspace": "a", "otherwise": "wait"}, "otherwise: "),
    ("status", {"verb": 1, "self": 2}, "verb: is not an argument of status; it takes none"),
    ("start", {"key": "a b"}, "key: must be"),
    ("stop", {"until": "soon"}, "until: "),
    ("stop", {"until": {}}, "until: "),
    ("stop", {"reason": "two\nlines"}, "reason: must be one line"),
    ("stop", {"by": "me"}, "by: is not an argument of stop"),
    ("kill", {"all": "yes"}, "all: must be true or false"),
    ("kill", {"workspace": ""}, "workspace: must be"),
    ("kill", {"agent": "codex", "host": "h1"}, "agent, host: can not be given together"),
    ("poke", {"now": True}, "now: is not an argument of poke"),
    ("why", {"workspace": ["a"]}, "workspace: must be text"),
    ("resume", {"workspace": "a"}, "answer: is missing"),
    ("resume", {"workspace": "a", "answer": "x" * 70_000}, "answer: must be at most 64 KiB"),
    ("workspaces", {"status": "done"}, "status: "),
    ("workspaces", {"count": 0}, "count: "),
    ("workspaces", {"cursor": "x"}, "cursor: "),
    ("workspaces", {"newer": -1}, "newer: "),
    ("events_since", {"cursor": "yesterday"}, "cursor: must be the id of a stream entry"),
    ("events_since", {"count": 1000}, "count: "),
]


def test_a_wrong_argument_is_named_with_its_mend_and_changes_nothing(cli: Cli, client: Client) -> None:
    for tool, arguments, said in ARGUMENTS:
        result = client.call(tool, **arguments)
        text = result["content"][0]["text"]
        assert result["isError"], (tool, arguments)
        assert text.startswith(said), (tool, arguments, text)
        assert result["structuredContent"]["outcome"] == "invalid"
        assert text.startswith(result["structuredContent"]["problems"][0]["field"])
    assert (cli.json("status")["total"], cli.json("status")["frozen"]) == (0, True)


def test_a_call_that_waits_for_redis_keeps_no_other_waiting(cli: Cli, client: Client) -> None:
    client.told("start")
    with Redis.from_url(cli.url) as raw:
        raw.client_pause(2000)
        client.say("tools/call", id="slow", params={"name": "status"})
        assert client.ask("ping")["result"] == {}
        assert client.under("slow") == []
        wait_until_sync(lambda: client.under("slow"), "the call is answered", 20.0)
    assert client.under("slow")[0]["result"]["isError"] is False


def test_what_was_asked_before_the_client_left_is_answered(cli: Cli) -> None:
    client = Client()
    lines = [
        json.dumps({"jsonrpc": "2.0", "id": at, "method": "tools/call", "params": {"name": "status"}}).encode()
        for at in range(100)
    ]
    client.write(b"\n".join(lines)[:-1])
    assert client.process.stdin
    client.process.stdin.write(b'{"jsonrpc":"2.0","id":100,"method":"ping"}')  # no end of line
    assert client.leave() == 0
    answered = {message["id"] for message in client.heard if "result" in message}
    assert answered == {*range(99), 100}


def test_a_client_that_no_longer_reads_ends_it(cli: Cli) -> None:
    reading, writing = os.pipe()
    with subprocess.Popen([*COMMAND, "mcp"], stdin=subprocess.PIPE, stdout=writing) as process:
        os.close(writing)
        os.close(reading)
        assert process.stdin
        process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        process.stdin.flush()
        assert process.wait(20) == 0
