"""Steps: one call of a verb each, with all that lay in the server before it, and what came of it.

A change that no single step feels is felt by no sequence of them: each begins where the one before it ended. So of a
whole tape only those calls are asked of a mutant that run what it changed, each of the state that it truly met.
"""

import json
import re
from typing import Any, Final, NamedTuple

from redis import Redis

from tests.mutate import texts

_DAMAGED: Final = re.compile(rb'"key":"[^"]*"')
#: What lies in the server as one number (facts only those after `from`), and if asked for each key's dump.
LOOK: Final = """
local from, names, rows, sum = cjson.decode(ARGV[1]), redis.call('KEYS', '*'), {}, {}
table.sort(names)
for _, name in ipairs(names) do
  local kind, value, last = redis.call('TYPE', name).ok, {}, nil
  if kind == 'hash' then
    local flat = redis.call('HGETALL', name)
    for i = 1, #flat, 2 do value[#value + 1] = flat[i] .. '=' .. flat[i + 1] end
    table.sort(value)
  elseif kind == 'zset' then value = redis.call('ZRANGE', name, 0, -1, 'WITHSCORES')
  elseif kind == 'set' then
    value = redis.call('SMEMBERS', name)
    table.sort(value)
  elseif kind == 'string' then value = { redis.call('GET', name) }
  elseif kind == 'stream' then
    for _, entry in ipairs(redis.call('XRANGE', name, from[name] and '(' .. from[name] or '-', '+')) do
      value[#value + 1] = table.concat(entry[2], ' ')
    end
    last = redis.call('XREVRANGE', name, '+', '-', 'COUNT', 1)[1]
  end
  local ttl = redis.call('PTTL', name)
  sum[#sum + 1] = name .. ' ' .. kind .. math.floor((ttl + 500) / 1000) .. ' ' .. table.concat(value, ' ')
  if ARGV[2] == 'dump' and (last or kind ~= 'stream') then
    rows[#rows + 1] = { name, last and '' or redis.call('DUMP', name), last and last[1] or math.max(ttl, 0) }
  end
end
return { redis.sha1hex(table.concat(sum, '|')), rows }
"""


class State(NamedTuple):
    """All that lies in a server, and what is not in keys."""

    keys: dict[str, tuple[bytes, int]]  # all but streams: the dump and ms to live, 0 for ever
    last: dict[str, str]  # of streams the last id
    listening: frozenset[str]  # channels that somebody hears
    epoch: bytes  # what the library remembers of the namespace


class Step(NamedTuple):
    """`owner` is the number of a tape or the name of a test, `call` which of the tape's calls asked it."""

    owner: int | str
    call: int
    tight: bool
    before: State
    command: tuple[str | bytes, ...]
    answer: Any
    digest: bytes
    ran: int  # one bit for each mark, see texts.bits
    told: tuple[bytes, ...] = ()  # what those who listen heard

    @property
    def root(self) -> str | bytes:
        return self.command[3]

    @property
    def way(self) -> tuple[object, ...]:
        """Steps of one way differ little: the same verb ran the same statements, or stopped at the same damaged key."""
        return str(self.command[1]), self.ran, self.damaged

    @property
    def damaged(self) -> bytes:
        """The damaged key at which it stopped; empty when it met none."""
        found = _DAMAGED.search(self.answer) if self.answer and b'"damaged"' in self.answer else None
        return found[0] if found else b""


class Watched:
    """A server with the library that counts, each call of which becomes a step."""

    def __init__(self, url: str) -> None:
        self.redis = Redis.from_url(url)
        self._look = self.redis.register_script(LOOK)
        self._same: dict[tuple[bytes, int], tuple[bytes, int]] = {}  # equal dumps lie in memory once

    def look(self, root: str | bytes, since: dict[str, str], listening: frozenset[str]) -> tuple[State, bytes, int]:
        """What lies there now, its number, and what has run since the last look."""
        hits = self.redis.fcall(texts.HITS, 1, root)
        epoch = self.redis.fcall(texts.MEMORY, 1, root)
        digest, rows = self._look(args=[json.dumps(since), "dump"])
        keys: dict[str, tuple[bytes, int]] = {}
        last: dict[str, str] = {}
        for name, dump, more in rows:
            if dump:
                keys[name.decode()] = self._same.setdefault((dump, int(more)), (dump, int(more)))
            else:
                last[name.decode()] = more.decode()
        return State(keys, last, listening, epoch), digest, texts.bits(hit.decode() for hit in hits)
