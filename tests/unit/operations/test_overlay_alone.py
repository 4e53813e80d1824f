"""What is only supposed: commands on the overlay are answered as the server answers them, and nothing is written."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from redis import Redis

from coordinator import library
from tests.servers import REDIS
from tests.unit.operations import kept

pytestmark = pytest.mark.parametrize("server_kind", [REDIS], indirect=True)

Command = tuple[Any, ...]
Commands = list[Command]

_VERB = """
verb.register { name = 'try', writes = true, question = { on = 'line', commands = 'text' },
  answer = function(ask)
    local ways = { server = redis.call, overlay = overlay.ask }
    local told = {}
    overlay.begin(redis.call)
    for i, command in ipairs(cjson.decode(ask.commands)) do told[i] = { ways[ask.on](unpack(command)) or false } end
    return { outcome = 'tried', told = told }
  end }
"""
#: Their order in a sorted set is that of their bytes, whatever a locale says.
_NAMES = ["a", "B", "aa", "b", "é", "~", "9", "10"]
#: What these answer nobody reads; a member that is drawn is another each time.
_UNTOLD = {"HSET", "ZADD", "DEL", "SRANDMEMBER"}

name = some.sampled_from(_NAMES)
names = some.lists(name, min_size=1, max_size=4)
number = some.integers(-2, 6)
most = some.integers(1, 4)


def _of(command: str, *arguments: some.SearchStrategy[Any]) -> some.SearchStrategy[Command]:
    """The command, with what may be one argument or several in each place."""
    return some.tuples(*arguments).map(lambda all_: (command, *_spread(all_)))


def _spread(one: Any) -> list[Any]:
    return [part for inner in one for part in _spread(inner)] if isinstance(one, list | tuple) else [one]


def _in_pairs(*of: some.SearchStrategy[Any]) -> some.SearchStrategy[Any]:
    return some.lists(some.tuples(*of), min_size=1, max_size=6)


def _some_keys(*keys: str) -> some.SearchStrategy[Any]:
    return some.lists(some.sampled_from(keys), min_size=1, max_size=3)


def _bounds(first: str) -> some.SearchStrategy[str]:
    return some.tuples(some.sampled_from(first), name).map("".join)


just = some.just
range_ = some.tuples(some.integers(0, 2), some.integers(0, 4))
limit = some.tuples(just("LIMIT"), just(0), most)
#: What is asked of one kind of key, of two keys of it: first what writes, then what reads.
OF_A_KIND = [
    (
        [_of("HSET", some.sampled_from("hH"), _in_pairs(name, number)), _of("HDEL", some.sampled_from("hH"), names)],
        [
            *(_of("HGET", just("h"), name), _of("HMGET", just("h"), names), _of("HEXISTS", just("h"), name)),
            *(_of("HKEYS", just("h")), _of("HGETALL", just("h")), _of("EXISTS", _some_keys("h", "H"))),
        ],
    ),
    (
        [_of("SADD", some.sampled_from("sS"), names), _of("SREM", some.sampled_from("sS"), names)],
        [
            *(_of("SCARD", just("s")), _of("SMEMBERS", just("s")), _of("SRANDMEMBER", just("s"), most)),
            _of("EXISTS", _some_keys("s", "S")),
        ],
    ),
    (
        [
            _of("ZADD", some.sampled_from("zZ"), some.sampled_from([(), "NX", "XX"]), _in_pairs(number, name)),
            _of("ZREM", some.sampled_from("zZ"), names),
        ],
        [
            *(_of("ZCARD", just("z")), _of("ZMSCORE", just("z"), names), _of("ZSCORE", just("z"), name)),
            *(_of("ZRANGE", just("z"), range_), _of("ZRANGE", just("z"), range_, just("WITHSCORES"))),
            *(_of("ZRANGE", just("z"), some.integers(0, 2), just(-1)), _of("EXISTS", _some_keys("z", "Z"))),
            _of("ZRANGEBYSCORE", just("z"), just("-inf"), number, limit),
        ],
    ),
    (
        [_of("ZADD", just("z"), _in_pairs(just(0), name)), _of("ZREM", just("z"), names)],
        [_of("ZRANGEBYLEX", just("z"), _bounds("[("), _bounds("("), limit), _of("ZRANGE", just("z"), range_)],
    ),
    (
        [_of("SET", some.sampled_from("tT"), name, some.sampled_from([(), "GET"]))],
        [_of("GET", just("t")), _of("MGET", _some_keys("t", "T")), _of("EXISTS", _some_keys("t", "T"))],
    ),
]


def _commands(writes: list[Any], reads: list[Any]) -> some.SearchStrategy[tuple[Commands, Commands]]:
    gone = _of("DEL", _some_keys(*"hHsSzZtT"))
    before = some.lists(some.one_of(writes), min_size=3, max_size=8)
    return some.tuples(before, some.lists(some.one_of(*writes, *reads, gone), min_size=6, max_size=20))


@pytest.fixture
def redis(server_url: str) -> Iterator["Redis"]:
    with Redis.from_url(server_url, decode_responses=True) as redis:
        redis.function_load(library.TEXT + _VERB, replace=True)
        yield redis


def _asked(redis: "Redis", on: str, commands: Commands) -> list[Any]:
    question = json.dumps({"on": on, "commands": json.dumps(commands)})
    answer = json.loads(redis.fcall("dispatch_try", 1, "{t}", question))
    assert answer["outcome"] == "tried", answer
    return [one[0] for one in answer["told"]] if answer["told"] else []


def _plain(command: Command, told: Any) -> Any:
    """What counts of an answer: fields and members come in any order."""
    if command[0] == "HGETALL":
        return dict(zip(told[::2], told[1::2], strict=True)) if told else {}
    if command[0] == "SET":
        return told if command[-1] == "GET" else None
    return sorted(told) if command[0] in ("HKEYS", "SMEMBERS") else told


def _compare(redis: "Redis", before: Commands, asked: Commands) -> None:
    """What is asked of the overlay is answered as the server answers it after, and nothing is written."""
    redis.flushdb()
    _asked(redis, "server", before)
    stood = kept.digest(redis)
    supposed = _asked(redis, "overlay", asked)
    assert kept.digest(redis) == stood
    for at, (command, told) in enumerate(zip(asked, supposed, strict=True)):
        (written,) = _asked(redis, "server", [command])
        if command[0] not in _UNTOLD:
            assert _plain(command, told) == _plain(command, written), (at, command)
        if command[0] == "SRANDMEMBER":
            assert len(set(told)) == len(told) == len(written), (at, command)
            assert set(told) <= set(redis.smembers(command[1])), (at, command)


@given(some.one_of([_commands(*of_a_kind) for of_a_kind in OF_A_KIND]))
@settings(max_examples=500, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_supposed_is_read_as_if_it_had_been_written(redis: "Redis", both: tuple[Commands, Commands]) -> None:
    _compare(redis, *both)


@pytest.mark.parametrize(
    ("before", "asked"),
    [
        ([], [("HSET", "h", "a", 1.5), ("HGET", "h", "a")]),
        ([("ZADD", "z", 1.5, "a")], [("ZADD", "z", 2.25, "b"), ("ZRANGE", "z", 0, -1, "WITHSCORES")]),
        ([], [("HSET", "h", "a", 1_750_000_000_000), ("HGET", "h", "a")]),
        ([("SADD", "s", "5")], [("SADD", "s", 5), ("SADD", "s", 7), ("SCARD", "s"), ("SMEMBERS", "s")]),
        ([], [("HSET", "h", 5, "a"), ("HSET", "h", "5", "b"), ("HGETALL", "h")]),
    ],
)
def test_numbers_are_kept_as_the_server_keeps_them(redis: "Redis", before: Commands, asked: Commands) -> None:
    _compare(redis, before, asked)
