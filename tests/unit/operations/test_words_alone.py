"""The words of the library by themselves, to their edges: numbers, names, texts, lists, times."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from coordinator import library, words
from tests.servers import REDIS
from tests.unit.operations.trying import Trial

pytestmark = pytest.mark.parametrize("server_kind", [REDIS], indirect=True)
LAST = 99_999_999_999_999


@pytest.fixture
def client(server_url: str) -> Iterator[Redis]:
    with Redis.from_url(server_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def trial(client: Redis) -> Trial:
    return Trial(client)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        *(("workspace", words.WORKSPACE), ("agent", words.AGENT), ("pool", words.POOL), ("host", words.HOST)),
        *(("label", words.LABEL), ("account", words.ACCOUNT), ("key", words.LIMIT_KEY), ("repo", words.REPO)),
        ("branch", words.BRANCH),
    ],
)
def test_a_name_is_as_long_as_its_kind_allows(trial: Trial, kind: str, rule: words.Rule) -> None:
    longest = rule.longest
    assert trial.takes(kind, "a", "a" * longest, "a" * (longest + 1), "") == [True, True, False, False]


def test_a_model_is_as_long_as_an_agent_allows(trial: Trial) -> None:
    assert trial.takes("agent", "a:" + "b" * 98, "a:" + "b" * 99) == [True, False]


@pytest.mark.parametrize(("kind", "longest"), [("line", 500), ("path", 4096), ("id", 100), ("text", 65_536)])
def test_a_text_is_as_long_as_its_kind_allows(trial: Trial, kind: str, longest: int) -> None:
    assert trial.takes(kind, "a" * longest, "a" * (longest + 1)) == [True, False]


def test_a_text_is_unicode_whatever_its_first_byte(trial: Trial) -> None:
    assert trial.takes("task", "é", "日本", "😀", "a") == [True] * 4


def test_a_name_with_dots_is_taken_by_the_letter(trial: Trial) -> None:
    assert trial.takes("branch", "a..b", "..", "a.b", "ab/c") == [False, False, True, True]
    assert trial.takes("workspace", "a//b", "a/./b", "a/b", "a.b", "a/...") == [False, False, True, True, False]


MANY = "{ is = 'list', of = 'signed' }"
MAP = "{ is = 'map', names = 'key', of = 'integer' }"


@pytest.mark.parametrize(
    ("kind", "text", "field", "problem"),
    [
        (MANY, str([1] * 64), None, ""),
        (MANY, str([1] * 65), "field", "must have at most 64 entries"),
        (MANY, '[1,"a"]', "field.1", "must be a whole number"),
        (MANY, "[-99999999999999,99999999999999]", None, ""),
        (MANY, "[1e14]", "field.0", "must be a whole number"),
        (MANY, "[-1e14]", "field.0", "must be a whole number"),
        (MANY, '{"a":1}', "field", "must be a list"),
        ("'integer'", "99999999999999", None, ""),
        ("'integer'", "1e14", "field", "must be a whole number from 0 to 99999999999999"),
        ("'integer'", "null", "field", "must not be null"),
        ("'line'", "null", "field", "must not be null"),
        ("'line'", b'"\xff"', "field", "must be UTF-8 text"),
        ("'line'", "5", "field", "must be a text"),
        (MAP, '{"":1}', "field.''", "must be * or a limit key like repo:core/go-io"),
        (MAP, json.dumps({" " * 61: 1}), f"field.{' ' * 60}", "must be * or a limit key like repo:core/go-io"),
        (MAP, '{"a\u00e9":1}', "field.a??", "must be * or a limit key like repo:core/go-io"),
        (MAP, "[1]", "field", "must be an object"),
        ("'json'", '"[[[]]]"', None, ""),
        ("'json'", '"false"', None, ""),
        ("'json'", '"nul"', "field", "must be the text of one JSON value, at most 64 KiB and 64 deep"),
        ("'integer'", "0x5", "", "the question must be one JSON object"),
        ("'line'", '"0x5"', None, ""),
        ("'line'", '"\\"0x5"', None, ""),
    ],
)
def test_what_is_wrong_is_named(trial: Trial, kind: str, text: str, field: str | None, problem: str) -> None:
    told = [(one["field"], one["problem"]) for one in trial.problems(kind, text)]
    assert told == ([] if field is None else [(field, problem)])


@pytest.mark.parametrize("text", ["[5]", "5", "", "[]", "{", ' {"field":5} x'])
def test_a_question_is_one_object(trial: Trial, text: str) -> None:
    (told,) = trial.problems("'integer'", text, b"%s")
    assert told["problem"] == "the question must be one JSON object"


def test_a_field_may_be_required(trial: Trial) -> None:
    told = trial.problems("{ is = 'line', must = true }", ' {"other":null}', b"%s")
    assert [(one["field"], one["problem"]) for one in told] == [("field", "is required")]


def test_what_is_wrong_is_told_in_the_order_of_its_fields_each_with_what_to_write(trial: Trial) -> None:
    entries = ",".join(f'"k{number}":-1' for number in range(9, 0, -1))
    told = trial.problems(MAP, f'{{{entries},"k0":null}}')
    assert [one["field"] for one in told] == [f"field.k{number}" for number in range(10)]
    assert [one["fix"] for one in told[:2]] == ["leave the field out", "write field.k1: 1"]
    assert trial.problems(MAP, "5")[0]["fix"] == ""


@pytest.mark.parametrize(("deep", "problems"), [(64, 0), (65, 1)])
def test_what_is_told_as_json_is_at_most_so_deep(trial: Trial, deep: int, problems: int) -> None:
    for text in ("[" * deep + "]" * deep, "[" + "[]," * 70 + "[" * (deep - 1) + "]" * (deep - 1) + "]"):
        assert len(trial.problems("'json'", f'"{text}"')) == problems


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("'5'", 5), ("'5.9'", 5), ("'-5'", -5), ("'0'", 0), (f"'{LAST}'", LAST), (f"'-{LAST}'", -LAST)),
        *(("'100000000000000'", None), ("'-100000000000000'", None), ("'nan'", None), ("'x'", None), ("nil", None)),
    ],
)
def test_a_number_of_a_record_has_fourteen_digits(trial: Trial, text: str, number: int | None) -> None:
    assert trial.of(f"base.number({text})") == number


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        *((0, "0s"), (1, "1s"), (59_000, "59s"), (59_001, "1m00s"), (90_500, "1m31s"), (3_599_000, "59m59s")),
        *((3_599_001, "1h00m"), (3_660_000, "1h01m"), (79_140_000, "21h59m"), (79_200_000, "22h00m")),
    ],
)
def test_a_duration_is_written_for_people(trial: Trial, ms: int, text: str) -> None:
    assert trial.of(f"base.duration({ms})") == text


@pytest.mark.parametrize(
    ("one", "other", "before"),
    [("a", "b", True), ("b", "a", False), ("a", "a", False), ("a", "ab", True), ("ab", "a", False), ("Z", "a", True)],
)
def test_names_are_ordered_by_their_bytes(trial: Trial, one: str, other: str, before: bool) -> None:
    assert trial.of(f"base.before('{one}', '{other}')") is before


@pytest.mark.parametrize(
    ("lua", "value"),
    [
        ("base.distinct({ 'b', 'a', 'b', 'c', 'a' })", ["a", "b", "c"]),
        ("base.distinct(nil)", {}),
        ("base.split(' a  b c', ' ')", ["a", "b", "c"]),
        ("base.split('a|b', '|')", ["a", "b"]),
        ("base.parse('[1,2]')", [1, 2]),
        *((f"base.parse('{text}') == nil", True) for text in ("", "5", "[1", "null", '"a"')),
        ("base.parse(nil) == nil", True),
        ("base.some({}) == nil and base.some(nil) == nil", True),
        ("base.some({ a = 1 })", {"a": 1}),
        (f"base.text({LAST})", str(LAST)),
        ("base.text('a')", "a"),
        ("type(base.text(5))", "string"),
        ("base.until_after(5) - call.now", 5),
        (f"base.until_after({LAST})", LAST),
        ("base.key('a') .. base.key('b', 'c') .. base.key('d', 'e', 'f')", "{t}:a{t}:b:c{t}:d:e:f"),
        ("cjson.decode(base.encode({ at = 'a/b//c', of = 1 })).at", "a/b//c"),
        ("base.encode({ 'a/b' })", '["a/b"]'),
        ("base.list({ 'a', 'b' })", ["a", "b"]),
    ],
)
def test_a_word_for_tables_and_texts(trial: Trial, lua: str, value: Any) -> None:
    assert trial.of(lua) == value


def test_a_name_among_names_is_that_name_alone(trial: Trial) -> None:
    named = "call.control.paced = 'abc b-c d'"
    for name, is_there in (("abc", True), ("a.c", False), ("bc", False), ("d", True), ("abc b-c", True), ("", False)):
        assert trial.after(named, f"base.is_named('paced', '{name}')") is is_there, name
    assert trial.of("base.is_named('paced', 'a')") is False


@pytest.mark.parametrize(
    ("before", "name", "is_there", "after"),
    [
        *(("nil", "b", "true", "b"), ("'a c'", "b", "true", "a b c"), ("'a b c'", "b", "true", "a b c")),
        *(("'a b c'", "b", "false", "a c"), ("'b'", "b", "false", None), ("'a'", "b", "false", "a")),
    ],
)
def test_a_name_comes_and_goes_in_its_place(
    trial: Trial, before: str, name: str, is_there: str, after: str | None
) -> None:
    lua = f"call.control.paced = {before} base.name('paced', '{name}', {is_there})"
    assert trial.after(lua, "call.control.paced or 'none'") == (after or "none")


def test_what_is_kept_is_written_once_and_seen_at_once(trial: Trial, client: Redis) -> None:
    lua = "base.keep('one', 5) base.keep('two', false) base.keep('three', 'x')"
    client.hset("{t}:control", mapping={"two": "2"})
    assert trial.after(lua, "call.control.one .. call.control.three") == "5x"
    client.hdel("{t}:control", "epoch")
    assert client.hgetall("{t}:control") == {"one": "5", "three": "x"}


def test_the_next_of_a_line_is_the_time(trial: Trial, client: Redis) -> None:
    for behind in ("5", "x", None):
        client.delete("{t}:fence")
        if behind:
            client.set("{t}:fence", behind)
        assert trial.of("base.next('fence') - call.now") == 0
        assert int(str(client.get("{t}:fence"))) > 1_700_000_000_000


def test_the_next_of_a_line_that_is_ahead_is_one_more(trial: Trial, client: Redis) -> None:
    client.set("{t}:fence", 4 * 10**13)
    assert trial.of("base.next('fence')") == 4 * 10**13 + 1
    assert client.get("{t}:fence") == str(4 * 10**13 + 1)


def test_a_command_that_is_wrong_names_the_line_that_asked_it(trial: Trial) -> None:
    lines = []
    for lua in ("redis.call('HGET', 'a')", "\n\nredis.call('HGET', 'a')"):
        with pytest.raises(ResponseError, match=r"args.* at user_function:(\d+)") as told:
            trial.of(lua)
        lines.append(int(str(told.value).split(" at user_function:")[1].split(":")[0]))
    assert lines[1] - lines[0] == 2
    assert lines[0] > library.TEXT.count("\n")  # none of the library's own


def test_a_key_of_the_wrong_type_is_named_with_what_was_expected(trial: Trial, client: Redis) -> None:
    client.set("{t}:slots:b", "x")
    client.set("{t}:slots:a", "x")
    asked = ("redis.call('ZCARD', base.key('slots', 'b'))", "base.expect('set', base.key('slots', 'a'))")
    told = [trial.answer(lua) for lua in asked]
    assert [(one["outcome"], one["key"], one["expected"], one["found"]) for one in told] == [
        ("damaged", "{t}:slots:b", "key fit for ZCARD", "string"),
        ("damaged", "{t}:slots:a", "set", "string"),
    ]
