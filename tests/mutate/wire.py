"""Tapes played bare: all commands of one in a single write, and answers compared with those of the library as it is.

It judges nothing: where a mutant answers otherwise, the laws are asked. Where it never does, they can not tell either.
"""

import json
import socket
from collections.abc import Iterator
from typing import Any, Final

import hiredis

from tests.model.world import ROOT
from tests.mutate.tapes import Tape

_EVERY: Final = 6  # commands between two looks at the keys
#: One number for all keys but the clock, and at the end all facts, without their ids.
_DIGEST: Final = """
local names, sum = redis.call('KEYS', ARGV[1] .. ':*'), {}
table.sort(names)
for _, name in ipairs(names) do
  local kind = redis.call('TYPE', name).ok
  local value = {}
  if kind == 'hash' then
    local flat = redis.call('HGETALL', name)
    for i = 1, #flat, 2 do value[#value + 1] = flat[i] .. '=' .. flat[i + 1] end
    table.sort(value)
  elseif kind == 'zset' then value = redis.call('ZRANGE', name, 0, -1, 'WITHSCORES')
  elseif kind == 'set' then
    value = redis.call('SMEMBERS', name)
    table.sort(value)
  elseif kind == 'string' then value = { redis.call('GET', name) }
  elseif ARGV[2] == 'all' then
    for _, entry in ipairs(redis.call('XRANGE', name, '-', '+')) do value[#value + 1] = table.concat(entry[2], ' ') end
  end
  sum[#sum + 1] = name .. ' ' .. table.concat(value, ' ')
end
return redis.sha1hex(table.concat(sum, '|'))
"""
_SUBSCRIBES: Final = ("SUBSCRIBE", "UNSUBSCRIBE")


class Wire:
    """One connection to one server, and what it answered to each tape."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._reader = hiredis.Reader()
        self._send([("HELLO", "3"), ("SCRIPT", "LOAD", _DIGEST)])
        _, sha = self._answers(2)
        self._sha = sha.decode()

    def close(self) -> None:
        self._socket.close()

    def play(self, tape: Tape, library: str) -> list[Any]:
        """Every answer, errors too."""
        commands = [*self._commands(tape, library)]
        self._send(commands)
        answers = self._answers(sum(command[0] not in _SUBSCRIBES for command in commands))
        return [_plain(answer) for answer in answers]

    def loads(self, library: str) -> bool:
        self._send([("FUNCTION", "LOAD", "REPLACE", library)])
        return not isinstance(self._answers(1)[0], Exception)

    def _commands(self, tape: Tape, library: str) -> Iterator[tuple[str, ...]]:
        yield ("FLUSHDB",)
        subscribed: set[str] = set()
        for count, command in enumerate(tape.sent, 1):
            if command[0] == "LOAD":
                yield ("FUNCTION", "LOAD", "REPLACE", library)
            else:
                yield command
            if command[0] in _SUBSCRIBES:
                (subscribed.add if command[0] == "SUBSCRIBE" else subscribed.discard)(command[1])
            if count % _EVERY == 0 or count == len(tape.sent):
                yield ("EVALSHA", self._sha, "0", ROOT, "all" if count == len(tape.sent) else "")
        for channel in sorted(subscribed):
            yield ("UNSUBSCRIBE", channel)

    def _send(self, commands: list[Any]) -> None:
        self._socket.sendall(b"".join(hiredis.pack_command(command) for command in commands))

    def _answers(self, count: int) -> list[Any]:
        """So many answers; what is told to subscribers comes in between."""
        found: list[Any] = []
        while len(found) < count:
            answer = self._reader.gets()
            if answer is False:
                data = self._socket.recv(1 << 16)
                assert data, "the server has gone"
                self._reader.feed(data)
            elif not isinstance(answer, hiredis.PushNotification):
                found.append(answer)
        return found


def _plain(answer: Any) -> Any:
    """An answer without the order of its lists and fields."""
    if isinstance(answer, hiredis.ReplyError):
        return "error"
    if isinstance(answer, bytes) and answer.startswith(b"{"):
        return _sorted(json.loads(answer))
    return answer


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(one) for name, one in value.items()} or []
    return sorted((_sorted(one) for one in value), key=repr) if isinstance(value, list) else value
