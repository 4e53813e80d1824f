"""What may be published by anybody, and what is made of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.messages import (
    AgentCompleted,
    AgentStarted,
    ChannelPush,
    Fact,
    Gate,
    HarvestComplete,
    HarvestRejected,
    Ignored,
    InboxMessage,
    Malformed,
    PokeQueue,
    RateLimitDetected,
    parse,
)
from coordinator.operations import Push
from coordinator.replica.notices import Notices, said

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


def test_a_report_with_a_seq_is_a_fact_whatever_else_it_says() -> None:
    text = '{"type":"AgentCompleted","workspace":"a","status":"completed","seq":"17-0"}'
    assert parse(text) == Fact(seq="17-0", type="AgentCompleted")


def test_the_reports_we_act_on() -> None:
    assert parse('{"type":"PokeQueue","host":"h1"}') == PokeQueue()
    assert parse('{"type":"RateLimitDetected","pool":"codex","duration":"30m0s"}') == RateLimitDetected(
        pool="codex", duration="30m0s"
    )
    completed = parse('{"type":"AgentCompleted","agent":"codex","repo":"go-io","workspace":"a/b","status":"merged"}')
    assert isinstance(completed, AgentCompleted)
    assert (completed.workspace, completed.status, completed.token) == ("a/b", "merged", None)


def test_a_start_is_told_with_or_without_its_token() -> None:
    assert parse('{"type":"AgentStarted","agent":"codex","workspace":"a/b","token":17}') == AgentStarted(
        workspace="a/b", agent="codex", token=17
    )
    bare = parse('{"type":"AgentStarted","agent":"codex","repo":"go-io","workspace":"a/b"}')
    assert isinstance(bare, AgentStarted)
    assert bare.token is None


@pytest.mark.reference(26, 34, 83, "T32")
def test_types_nobody_acts_on_are_ignored() -> None:
    for kind in ("QueueDrained", "PRCreated", "Nobody", ""):
        assert parse(json.dumps({"type": kind, "completed": 3})) == Ignored(type=kind)


@pytest.mark.reference(36, "T85", "T86", "T89")
def test_what_is_told_on_which_channel() -> None:
    for text, channel, data in (
        (
            '{"type":"HarvestComplete","repo":"go-io","branch":"agent/x","files":3}',
            "harvest.status",
            {"status": "complete", "repo": "go-io", "branch": "agent/x", "files": 3},
        ),
        (
            '{"type":"HarvestComplete","repo":"go-io","branch":"agent/x","files":0}',
            "harvest.status",
            {"status": "complete", "repo": "go-io", "branch": "agent/x"},
        ),
        (
            '{"type":"HarvestRejected","repo":"go-io","branch":"x","reason":"no \\"tests\\""}',
            "harvest.status",
            {"status": "rejected", "repo": "go-io", "branch": "x", "reason": 'no "tests"'},
        ),
        ('{"type":"InboxMessage","new":2,"total":5}', "inbox.status", {"new": 2, "total": 5}),
        ('{"type":"ChannelPush","channel":"x y","data":[{},[],null,"é"]}', "x y", [{}, [], None, "é"]),
        ('{"type":"ChannelPush","channel":"x","data":null}', "x", None),
        ('{"type":"ChannelPush","channel":"x"}', "x", None),
        (
            '{"type":"RateLimitDetected","pool":"codex","duration":"30m0s"}',
            "ratelimit.status",
            {"pool": "codex", "duration": "30m0s"},
        ),
    ):
        report = parse(text)
        assert isinstance(report, RateLimitDetected | HarvestComplete | HarvestRejected | InboxMessage | ChannelPush)
        told, body = said(report)
        assert (told, json.loads(body)) == (channel, data)


@pytest.mark.parametrize("reason", ["x" * 65_500, "\x1b[31m" * 9_000, 'a"\n' * 15_000, "é" * 32_000, "no"])
def test_a_long_reason_is_cut_to_what_a_notification_may_hold(reason: str) -> None:
    report = parse(json.dumps({"type": "HarvestRejected", "repo": '"' * 500, "branch": '"' * 500, "reason": reason}))
    assert isinstance(report, HarvestRejected)
    data = Push(channel="x", data=said(report)[1]).data or ""
    told = json.loads(data)["reason"]
    assert reason.startswith(told.removesuffix(" ..."))
    assert told == reason or 50_000 < len(data.encode()) <= 65_536


@pytest.mark.reference(35, "T87", "T88")
def test_a_usage_limit_names_a_pool_and_a_duration_or_shuts_nothing() -> None:
    for duration, millis in (("30m", 1_800_000), ("30m0s", 1_800_000), ("45s", 45_000), (90, 90_000)):
        gate = RateLimitDetected(pool="codex", duration=duration).gate()
        assert isinstance(gate, Gate)
        assert (gate.pool, gate.duration) == ("codex", millis)
    named = RateLimitDetected(pool="codex", account="a/b", duration="30m").gate()
    assert isinstance(named, Malformed)
    assert [problem.field for problem in named.problems] == ["account"]
    for pool, duration, field in (
        ("codex", "soon", "duration"),
        ("codex", "0s", "duration"),
        ("codex", "", "duration"),
        ("codex", "9000h", "duration"),
        ("", "30m", "pool"),
        ("co dex", "30m", "pool"),
    ):
        found = RateLimitDetected(pool=pool, duration=duration).gate()
        assert isinstance(found, Malformed), (pool, duration)
        assert [problem.field for problem in found.problems] == [field]


def test_each_wrong_field_is_named() -> None:
    cases = {
        '{"type":"AgentCompleted","workspace":"../x","status":"completed"}': "workspace",
        '{"type":"AgentCompleted","workspace":5,"repo":"x","status":"completed"}': "workspace",
        '{"type":"AgentCompleted","workspace":"x","status":"running"}': "status",
        '{"type":"AgentCompleted","workspace":"x","status":"failed","retry_after":-1}': "retry_after",
        '{"type":"AgentCompleted","status":"failed"}': "repo",
        '{"type":"AgentCompleted","status":"failed","workspace":"","repo":"a b"}': "repo",
        '{"type":"AgentCompleted","status":"failed","repo":"a","agent":"co dex"}': "agent",
        '{"type":"RateLimitDetected","pool":5}': "pool",
        '{"type":"RateLimitDetected","pool":"codex","duration":true}': "duration",
        '{"type":"RateLimitDetected","pool":"codex","duration":NaN}': "duration",
        '{"type":"HarvestComplete","branch":"x"}': "repo",
        '{"type":"HarvestRejected","repo":"x","reason":5}': "reason",
        '{"type":"InboxMessage","new":-1,"total":2}': "new",
        '{"type":"InboxMessage","new":1}': "total",
        '{"type":"ChannelPush","channel":"x","data":NaN}': "data",
        '{"type":"ChannelPush","channel":"x","data":1e400}': "data",
        '{"type":"ChannelPush","data":1}': "channel",
        '{"type":"AgentStarted","workspace":"x","token":-1}': "token",
    }
    for text, field in cases.items():
        found = parse(text)
        assert isinstance(found, Malformed), text
        assert field in str(found.problems[0]), text


@pytest.mark.parametrize("channel", ["", "  "])
def test_a_blank_channel_is_required(channel: str) -> None:
    found = parse(json.dumps({"type": "ChannelPush", "channel": channel, "data": 1}))
    assert isinstance(found, Malformed)
    assert "channel: is required" in str(found.problems[0])


def test_replicas_name_what_they_hear_alike_and_a_text_heard_again_otherwise() -> None:
    one, other = Notices(), Notices()

    def named(notices: Notices, text: str, after: str) -> str | None:
        return notices.push(ChannelPush(channel="x"), text, after).id

    first, second = named(one, "a", "5-0"), named(one, "a", "5-0")
    assert first != second
    assert (named(other, "a", "5-0"), named(other, "b", "5-0")) == (first, named(one, "b", "5-0"))
    assert named(other, "a", "5-0") == second
    third, late = named(one, "a", "5-1"), Notices()
    assert third not in (first, second)
    assert named(late, "a", "5-1") == third  # one that heard nothing before that fact
    assert one.push(ChannelPush(channel="x"), "a", "5-1", entry="5-0").id == "inbox:5-0"


def test_a_null_is_as_good_as_absent() -> None:
    said_by = {"type": "AgentCompleted", "workspace": "x", "status": "completed"}
    nulls = dict.fromkeys(("agent", "repo", "token", "question", "pr_url", "retry_after"))
    assert parse(json.dumps(said_by | nulls)) == AgentCompleted(workspace="x", status="completed")
    assert parse('{"type":"HarvestComplete","repo":"x","branch":null,"files":null}') == HarvestComplete(repo="x")
    assert parse('{"type":"HarvestRejected","repo":"x","reason":null}') == HarvestRejected(repo="x")
    assert isinstance(parse('{"type":"AgentCompleted","workspace":"x","status":null}'), Malformed)


@pytest.mark.parametrize("seq", ["x", "-1", "1-2-3", "1e3", "5-", "18446744073709551616-0", "5-18446744073709551616"])
def test_a_fact_has_the_id_of_a_stream_entry(seq: str) -> None:
    assert isinstance(parse(json.dumps({"type": "AgentStarted", "seq": seq})), Malformed)


@given(_JSON)
def test_no_json_surprises(value: object) -> None:
    assert parse(json.dumps(value)) is not None
    for kind in ("AgentCompleted", "RateLimitDetected", "HarvestComplete", "InboxMessage", "ChannelPush"):
        fields = dict.fromkeys(
            ("workspace", "status", "repo", "channel", "data", "new", "total", "pool", "duration"), value
        )
        assert parse(json.dumps({"type": kind, **fields})) is not None
        assert parse(json.dumps({"type": kind, "channel": "x", "repo": "x", "data": value})) is not None


@given(st.text())
def test_no_text_surprises(text: str) -> None:
    assert isinstance(parse(text), Malformed | Ignored | Fact)
