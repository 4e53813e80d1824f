"""What may be published by anybody, and what is made of it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from coordinator.messages import (
    AgentCompleted,
    AgentStarted,
    Fact,
    Ignored,
    Malformed,
    PokeQueue,
    RateLimitDetected,
    parse,
)

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


def test_types_nobody_acts_on_are_ignored() -> None:
    assert parse('{"type":"HarvestComplete","repo":"x"}') == Ignored(type="HarvestComplete")


def test_each_wrong_field_is_named() -> None:
    cases = {
        '{"type":"AgentCompleted","workspace":"../x","status":"completed"}': "workspace",
        '{"type":"AgentCompleted","workspace":"x","status":"running"}': "status",
        '{"type":"AgentCompleted","workspace":"x","status":"failed","retry_after":-1}': "retry_after",
        '{"type":"AgentStarted","workspace":"x","token":-1}': "token",
        '{"type":"RateLimitDetected","pool":"codex","duration":"soon"}': "duration",
        '{"type":"RateLimitDetected","pool":"co dex","duration":"30m"}': "pool",
    }
    for text, field in cases.items():
        found = parse(text)
        assert isinstance(found, Malformed), text
        assert field in str(found.problems[0]), text


@given(_JSON)
def test_no_json_surprises(value: object) -> None:
    assert parse(json.dumps(value)) is not None
    assert parse(json.dumps({"type": "AgentCompleted", "workspace": value, "status": value})) is not None


@given(st.text())
def test_no_text_surprises(text: str) -> None:
    assert isinstance(parse(text), Malformed | Ignored | Fact)
