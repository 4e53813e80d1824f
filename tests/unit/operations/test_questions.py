"""One corpus of questions, right and wrong: the types and the library name the same wrong fields."""

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from redis import Redis

from coordinator import library, operations
from coordinator.operations._operation import Operation
from coordinator.problems import problems_of
from tests.unit.operations import corpus

TYPES: dict[str, type[Operation[Any]]] = {
    one.name: one for one in vars(operations).values() if isinstance(one, type) and issubclass(one, Operation)
}
TOO_HIGH = "99999999999999"  # a question that needs a later library is checked, and nothing is done


@pytest.fixture
def redis(server_url: str) -> Iterator["Redis"]:
    with Redis.from_url(server_url) as client:
        client.function_load(library.TEXT)
        yield client


def _by_the_library(redis: "Redis", verb: str, text: str | bytes) -> list[str]:
    """The wrong fields; empty for a right question."""
    raw = text.encode() if isinstance(text, str) else text
    raw = raw[: raw.rindex(b"}")] + (b"," if len(raw) > 2 else b"") + b'"lib":' + TOO_HIGH.encode() + b"}"
    answer = json.loads(redis.fcall(f"dispatch_{verb}", 1, "{t}", raw))
    assert answer["outcome"] in ("invalid", "outdated"), answer
    assert redis.dbsize() == 0
    assert all(problem["problem"] for problem in answer.get("problems", ()))
    return sorted({problem["field"] for problem in answer.get("problems", ())})


def _by_the_types(verb: str, text: str | bytes) -> list[str]:
    try:
        TYPES[verb].model_validate_json(text)
    except ValidationError as error:
        return sorted({problem.field for problem in problems_of(error)})
    return []


def test_the_corpus_knows_every_verb_and_field() -> None:
    assert sorted(corpus.VERBS) == sorted(library.VERBS) == sorted(TYPES)
    for verb, (_, fields) in corpus.VERBS.items():
        assert sorted(fields) == sorted(field.alias or name for name, field in TYPES[verb].model_fields.items())


@pytest.mark.reference(39)
@pytest.mark.parametrize("verb", sorted(corpus.VERBS))
def test_types_and_library_name_the_same_wrong_fields(redis: "Redis", verb: str) -> None:
    base, fields = corpus.VERBS[verb]
    differ, right, wrong = [], 0, 0
    for field, kind in fields.items():
        for value in corpus.values(kind):
            text = corpus.question(base, {field: value})
            by_types, by_library = _by_the_types(verb, text), _by_the_library(redis, verb, text)
            right, wrong = right + (not by_types), wrong + bool(by_types)
            if by_types != by_library:
                differ.append((field, value[:80], by_types, by_library))
    assert differ == []
    assert not fields or (right >= len(fields) and wrong >= 3 * len(fields))


def _shapes(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation speaks of, in lists, maps or unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for one in get_args(annotation):
        yield from _shapes(one)


@pytest.mark.parametrize(("verb", "outer"), sorted(corpus.SHAPES))
def test_types_and_library_name_the_same_wrong_fields_of_what_a_question_holds(
    redis: "Redis", verb: str, outer: str
) -> None:
    form, right, fields = corpus.SHAPES[verb, outer]
    assert sorted(fields) == sorted(next(_shapes(TYPES[verb].model_fields[outer].annotation)).model_fields)
    differ, wrong = [], 0
    for field, kind in fields.items():
        for value in corpus.values(kind):
            text = corpus.question(corpus.VERBS[verb][0], {outer: form % corpus.question(right, {field: value})})
            by_types = _by_the_types(verb, text)
            wrong += bool(by_types)
            if by_types != _by_the_library(redis, verb, text):
                differ.append((field, value[:80], by_types))
    assert differ == []
    assert wrong >= 3 * len(fields)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_mixture_of_fields_is_judged_the_same(redis: "Redis", data: st.DataObject) -> None:
    verb = data.draw(st.sampled_from([verb for verb, (_, fields) in corpus.VERBS.items() if fields]))
    base, fields = corpus.VERBS[verb]
    chosen = data.draw(st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=4))
    near = st.text(st.sampled_from("aZ09._+@#=,-/:* \n\x00é"), max_size=12)
    any_text = (near | st.text(max_size=6)).map(lambda text: json.dumps(text, ensure_ascii=False))
    values = {}
    for field in chosen:
        listed = [value for value in corpus.values(fields[field]) if len(value) < 300]
        values[field] = data.draw(st.sampled_from(listed) | any_text)
    text = corpus.question(base, values)
    assert _by_the_types(verb, text) == _by_the_library(redis, verb, text)


def test_a_required_field_that_is_absent_is_named(redis: "Redis") -> None:
    asked = set()
    for verb, (base, fields) in corpus.VERBS.items():
        for missing in fields:
            text = json.dumps({field: value for field, value in base.items() if field != missing})
            assert _by_the_types(verb, text) == _by_the_library(redis, verb, text), (verb, missing)
            asked |= {missing} if _by_the_types(verb, text) else set()
    for (verb, outer), (form, right, _) in corpus.SHAPES.items():
        for missing in sorted({*right} - ({"token"} if outer == "endings" else set())):  # a report needs none
            inner = json.dumps({field: value for field, value in right.items() if field != missing})
            text = corpus.question(corpus.VERBS[verb][0], {outer: form % inner})
            assert _by_the_types(verb, text) == _by_the_library(redis, verb, text), (verb, outer, missing)
    assert asked >= {"workspace", "host", "incarnation", "seq", "status", "key", "action", "channel", "token"}


NO_JSON = [
    *("", " ", "5", '"x"', "null", "true", "[]", '["workspace"]', '[{"workspace":"w"}]', "{", "{}}"),
    *("{'workspace':'w'}", '{"workspace":0x10}', '{"workspace":"w",}', '{"workspace":"\\ud800"}', '{"a":"\\udc00"}'),
    *(('{"workspace":' * 100_000), '{"workspace":' + "[" * 5000 + "]" * 5000 + "}", '{"workspace":"\\x41"}'),
]


@pytest.mark.parametrize("text", NO_JSON, ids=lambda text: text[:24])
def test_what_is_no_json_object_is_refused_as_a_whole(redis: "Redis", text: str) -> None:
    answer = json.loads(redis.fcall("dispatch_submit", 1, "{t}", text))
    assert [problem["field"] for problem in answer["problems"]] == [""]
    assert _by_the_types("submit", text) == [""]


def test_a_number_that_only_the_servers_reader_knows_is_still_wrong(redis: "Redis") -> None:
    for text in ('{"key":"codex","limit":nan}', '{"key":"codex","limit":inf}', '{"key":"codex","limit":-infinity}'):
        assert _by_the_library(redis, "limit", text) == ["limit"]
        assert _by_the_types("limit", text) == [""]


@pytest.mark.parametrize("field", ["workspace", "agent", "task", "branch", "source"])
@pytest.mark.parametrize("raw", [b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80"])
def test_bytes_that_are_no_utf_8_are_refused_by_the_name_of_their_field(redis: "Redis", field: str, raw: bytes) -> None:
    text = b'{"workspace":"w","%s":"%s"}' % (field.encode(), raw)
    assert _by_the_library(redis, "submit", text) == [field]
    assert _by_the_types("submit", text) == [""]


def test_the_last_of_two_equal_fields_counts(redis: "Redis") -> None:
    for text, wrong in (('{"workspace":"..","workspace":"w"}', []), ('{"workspace":"w","workspace":5}', ["workspace"])):
        assert _by_the_types("submit", text) == _by_the_library(redis, "submit", text) == wrong


@pytest.mark.reference(39)
def test_a_field_nobody_knows_is_a_misspelling_in_python_and_tomorrows_field_to_the_library(redis: "Redis") -> None:
    text = '{"workspace":"w","wrokspace":[null]}'
    assert _by_the_library(redis, "submit", text) == []
    assert _by_the_types("submit", text) == ["wrokspace"]


def test_an_answer_to_a_hostile_name_is_short_and_can_be_read(redis: "Redis") -> None:
    for name in (b"x" * 1_000_000 + b"\xff", b"\xff\n"):
        raw: Any = redis.fcall("dispatch_apply", 1, "{t}", b'{"limits":{"%s":1}}' % name)
        answer = json.loads(raw.decode())
        assert answer["outcome"] == "invalid"
        assert len(raw) < 1000


def test_one_key_and_one_object_are_what_a_verb_takes(redis: "Redis") -> None:
    for command in (("dispatch_status", 0), ("dispatch_status", 1, "{t}"), ("dispatch_status", 1, "{t}", "{}", "{}")):
        with pytest.raises(Exception, match=r"write FCALL dispatch_status 1 \{dispatch\}"):
            redis.execute_command("FCALL", *command)  # type: ignore[no-untyped-call]
