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
names = some.lists(name, min_size=1, max_size=3)
number = some.integers(-2, 6)
most = some.integers(1, 4)
hashed, listed, member_of, string = (some.sampled_from([f"{kind}1", f"{kind}2"]) for kind in "hzst")


def _of(command: str, *arguments: some.SearchStrategy[Any]) -> some.SearchStrategy[Command]:
    """The command, with what may be one argument or several in each place."""
    spread = some.tuples(*arguments).map(lambda all_: [*(part for one in all_ for part in _spread(one))])
    return spread.map(lambda parts: (command, *parts))


def _spread(one: Any) -> list[Any]:
    return [part for pair in one for part in _spread(pair)] if isinstance(one, list | tuple) else [one]


def _in_pairs(*of: some.SearchStrategy[Any]) -> some.SearchStrategy[Any]:
    return some.lists(some.tuples(*of), min_size=1, max_size=3)


def _only(word: str) -> some.SearchStrategy[str]:
    return some.just(word)


ranges = some.tuples(some.integers(0, 2), some.integers(0, 3)).map(lambda range_: (range_[0], range_[0] + range_[1]))
WRITES = some.one_of(
    _of("HSET", hashed, _in_pairs(name, number)),
    _of("HDEL", hashed, names),
    _of("SADD", member_of, names),
    _of("SREM", member_of, names),
    _of("ZADD", listed, some.sampled_from([(), "NX", "XX"]), _in_pairs(number, name)),
    _of("ZADD", _only("lex"), _in_pairs(_only("0"), name)),
    _of("ZREM", some.one_of(listed, _only("lex")), names),
    _of("SET", string, name, some.sampled_from([(), "GET"])),
    _of("DEL", some.lists(some.one_of(hashed, listed, member_of, string), min_size=1, max_size=2)),
)
READS = some.one_of(
    _of("HGET", hashed, name),
    _of("HMGET", hashed, names),
    _of("HEXISTS", hashed, name),
    _of("HKEYS", hashed),
    _of("HGETALL", hashed),
    _of("SCARD", member_of),
    _of("SMEMBERS", member_of),
    _of("SRANDMEMBER", member_of, most),
    _of("ZCARD", listed),
    _of("ZMSCORE", listed, names),
    _of("ZSCORE", listed, name),
    _of("ZRANGE", listed, some.one_of(ranges, some.tuples(some.integers(0, 2), _only("-1").map(int)))),
    _of("ZRANGE", listed, ranges, _only("WITHSCORES")),
    _of("ZRANGEBYSCORE", listed, _only("-inf"), number, _only("LIMIT"), some.just(0), most),
    _of("ZRANGEBYLEX", _only("lex"), some.builds(str.__add__, some.sampled_from("[("), name),
        some.builds(str.__add__, _only("("), name), _only("LIMIT"), some.just(0), most),
    _of("GET", string),
    _of("MGET", some.lists(string, min_size=1, max_size=3)),
    _of("EXISTS", some.lists(some.one_of(hashed, listed, member_of, string), min_size=1, max_size=3)),
)  # fmt: skip


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


@given(some.lists(WRITES, max_size=12), some.lists(some.one_of(WRITES, READS), min_size=1, max_size=16))
@settings(max_examples=400, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_supposed_is_read_as_if_it_had_been_written(redis: "Redis", before: Commands, asked: Commands) -> None:
    redis.flushdb()
    _asked(redis, "server", before)
    stood = redis.execute_command("DEBUG", "DIGEST")  # type: ignore[no-untyped-call]
    supposed = _asked(redis, "overlay", asked)
    assert redis.execute_command("DEBUG", "DIGEST") == stood  # type: ignore[no-untyped-call]
    for at, (command, told) in enumerate(zip(asked, supposed, strict=True)):
        (written,) = _asked(redis, "server", [command])
        if command[0] not in _UNTOLD:
            assert _plain(command, told) == _plain(command, written), (at, command)
        if command[0] == "SRANDMEMBER":
            assert len(set(told)) == len(told) == len(written), (at, command)
            assert set(told) <= set(redis.smembers(command[1])), (at, command)
