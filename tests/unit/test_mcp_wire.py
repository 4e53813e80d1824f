"""Lines from a client, whatever their bytes; and what a model is shown of texts that others wrote."""

import json

from hypothesis import given
from hypothesis import strategies as some

from coordinator.doors.mcp import rpc
from coordinator.doors.mcp.told import LONGEST, clean, news_of, quoted, shorter
from coordinator.doors.mcp.wire import Lines
from coordinator.store import Entry

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = some.fixed_dictionaries(
    {}, optional={"jsonrpc": some.just("2.0") | JSON, "id": JSON, "method": some.text() | JSON, "params": JSON}
)


def cut(data: bytes, size: int, longest: int) -> list[bytes | None]:
    lines = Lines(longest)
    found = [line for at in range(0, len(data), size) for line in lines.feed(data[at : at + size])]
    return [*found, lines.rest()]


@given(some.binary(max_size=200), some.integers(1, 50), some.integers(0, 30))
def test_lines_are_the_same_however_they_arrive_and_long_ones_cost_only_themselves(
    data: bytes, size: int, longest: int
) -> None:
    whole = [line if len(line) <= longest else None for line in data.split(b"\n")]
    assert cut(data, size, longest) == whole


@given(some.binary() | MESSAGES.map(lambda message: json.dumps(message).encode()))
def test_any_line_is_a_question_a_notice_a_fault_or_nothing(line: bytes) -> None:
    found = rpc.read(line)
    assert found is None or isinstance(found, rpc.Request | rpc.Notice | rpc.Fault)
    if isinstance(found, rpc.Fault):
        assert json.loads(json.dumps(rpc.error(found)))["error"]["code"] in (-32700, -32600, -32602)
    if isinstance(found, rpc.Request):  # its id goes back as it came
        assert json.loads(json.dumps(rpc.result(found.id, {})))["id"] == json.loads(line)["id"]


@given(some.text())
def test_what_somebody_wrote_can_neither_end_its_quotation_nor_its_line(text: str) -> None:
    shown = quoted(text)
    assert shown[0] == shown[-1] == '"'
    assert not set(shown[1:-1]) & set('"<>\n\r\u2028')
    assert all(char.isprintable() for char in shown)
    assert len(clean(text * 100)) <= LONGEST


@given(JSON)
def test_any_json_in_the_stream_is_told_as_one_line_or_not_at_all(found: object) -> None:
    for kind in ("AgentStarted", "AgentCompleted", "ChannelPush", "Frozen"):
        told = news_of(Entry("1-1", kind, json.dumps(found)))
        assert (told is None) == (kind == "Frozen")
        assert told is None or "\n" not in told.line()


@given(JSON)
def test_only_long_texts_are_cut(found: object) -> None:
    assert shorter(found) == found
    assert shorter({"a": ["x" * 501, "x" * 500]}) == {"a": ["x" * 499 + "…", "x" * 500]}
