"""One server as the model sees it: verbs asked, the clock set, hosts listening, and every key read at once."""

import json
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar

import fakeredis
from redis import Redis
from redis.exceptions import ResponseError

from coordinator.errors import LibraryError
from coordinator.library import located
from coordinator.operations._operation import Operation
from tests.servers import FAKE, Servers

Reply = TypeVar("Reply")
ROOT: Final = "{model}"
START: Final = 1_750_000_000_000  # epoch ms; the fleet's clock begins here
#: A key's type and value without its root: hash and zset are dicts, set is a set, string is a text.
Keys = dict[str, Any]

_READ_ALL: Final = """
local out = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local kind, value = redis.call('TYPE', key).ok, nil
  if kind == 'hash' then value = redis.call('HGETALL', key)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  elseif kind == 'string' then value = redis.call('GET', key) end
  if value then out[#out + 1] = { key, kind, value } end
end
return out
"""


class World:
    """An empty server with a library, and the clients that the model needs."""

    calls: ClassVar[int] = 0  # questions asked by this process

    def __init__(self, kind: str, servers: Servers, library: str, *, tight: bool = False) -> None:
        self.kind, self.library, self.tight = kind, library, tight
        if kind == FAKE:
            self._fake = fakeredis.FakeServer(version=(7,))
            self.redis: Redis = fakeredis.FakeRedis(server=self._fake, decode_responses=True)
        else:
            self.redis = Redis.from_url(servers.url(kind), decode_responses=True)
            self.redis.flushall()
        self._ears = self.redis.pubsub()  # type: ignore[no-untyped-call]
        self.listening: set[str] = set()
        self._seen, self._read = "", 0  # the last fact that was looked at, and of a fake server how many
        self._call: Callable[..., Any] = self.redis.execute_command
        self.load()

    def close(self) -> None:
        for host in sorted(self.listening):
            self.deafen(host)  # a receiver that lingers would hear the pokes of the next world
        self._ears.close()
        self.redis.close()

    def load(self) -> None:
        """Load the library anew: its memory is gone, as after a restart."""
        self.redis.function_load(self.library, replace=True)

    def clear(self) -> None:
        """Every key is gone; the library stays."""
        self._seen, self._read = "", 0
        for name in list(self.redis.scan_iter(match="*", count=1000)):
            self.redis.delete(name)

    def kept(self) -> Any:
        """Every key as it lies there, but the facts: no copy tells them a second time."""
        return self.keys()

    def put_back(self, kept: Any) -> None:
        """These keys, and no others."""
        self.clear()
        for name, value in kept.items():
            key = f"{ROOT}:{name}"
            match value:
                case str():
                    self.redis.set(key, value)
                case set():
                    self.redis.sadd(key, *value)
                case _ if all(isinstance(one, float) for one in value.values()):
                    self.redis.zadd(key, value)
                case _:
                    self.redis.hset(key, mapping=value)

    def set_clock(self, now: int) -> None:
        self.redis.set(f"{ROOT}:clock", now)

    def listen(self, host: str) -> None:
        """From now on pokes of this host have a receiver."""
        if host not in self.listening:
            self.listening.add(host)
            self._ears.subscribe(f"{ROOT}:poke:{host}")
            self._heard(1)

    def deafen(self, host: str) -> None:
        """The host hears nothing more."""
        if host in self.listening:
            self.listening.discard(host)
            self._ears.unsubscribe(f"{ROOT}:poke:{host}")
            self._heard(1)

    def heard(self) -> list[str]:
        """The hosts whose pokes arrived since the last look."""
        found = []
        self._ears.subscribe(f"{ROOT}:end")  # its answer comes after every poke that was sent before
        while (message := self._ears.get_message(timeout=5.0)) is not None and message["type"] == "message":
            found.append(str(message["channel"]).rpartition(":")[2])
        self._ears.unsubscribe(f"{ROOT}:end")
        self._heard(1)
        return found

    def _heard(self, answers: int) -> None:
        """A change of the subscription is in force when it was answered."""
        until = time.monotonic() + 5
        while answers:
            message = self._ears.get_message(timeout=1.0)
            answers -= bool(message and message["type"].endswith("subscribe"))
            assert time.monotonic() < until, "the server does not answer a subscription"

    def ask(self, operation: Operation[Reply]) -> Reply:
        """The typed answer of a verb."""
        World.calls += 1
        command = "FCALL_RO" if operation.reads else "FCALL"
        try:
            text = self._call(command, f"dispatch_{operation.name}", 1, ROOT, operation.encoded())
        except ResponseError as error:
            raise LibraryError(f"{operation!r}: {located(str(error))}") from error
        answer: Reply = operation.reply.validate_json(text)
        return answer

    def facts(self) -> list[dict[str, Any]]:
        """The facts since the last look."""
        if self.kind == FAKE:
            return self._fake_facts()
        entries: Any = self.redis.xrange(f"{ROOT}:events", min=f"({self._seen}" if self._seen else "-")
        self._seen = entries[-1][0] if entries else self._seen
        return [json.loads(fields["json"]) for _, fields in entries]

    def last_fact(self) -> str:
        entries: Any = self.redis.xrevrange(f"{ROOT}:events", count=1)
        return str(entries[0][0]) if entries else "0-0"

    def _fake_facts(self) -> list[dict[str, Any]]:
        item = self._fake.dbs[0].get(f"{ROOT}:events".encode())
        stream: dict[Any, list[bytes]] = item.value._values_dict if item else {}
        new = dict(list(stream.items())[self._read :])
        self._read = len(stream)
        return [json.loads(flat[flat.index(b"json") + 1]) for flat in new.values()]

    def keys(self) -> Keys:
        """Every key but the stream of facts and the model's clock."""
        found = self._fake_keys() if self.kind == FAKE else self._real_keys()
        found.pop("clock", None)
        return found

    def _real_keys(self) -> Keys:
        return read_keys(self.redis, ROOT)

    def _fake_keys(self) -> Keys:
        """Straight from the fake server's memory: a hundred times faster than asking it."""
        found: Keys = {}
        for name, item in list(self._fake.dbs[0].items()):
            key, value = name.decode()[len(ROOT) + 1 :], item.value
            if isinstance(value, bytes):
                found[key] = value.decode()
                continue
            match type(value).__name__:
                case "Hash":
                    found[key] = {field.decode(): text.decode() for field, text in value._values.items()}
                case "ZSet":
                    found[key] = {member.decode(): float(score) for member, score in value._bylex.items()}
                case "ExpiringMembersSet":
                    found[key] = {member.decode() for member in value}
        return found


def read_keys(redis: Redis, root: str) -> Keys:
    """Every key of a namespace at one moment, but streams; of a client that decodes."""
    rows: Any = redis.eval(_READ_ALL, 0, f"{root}:*")
    return {name[len(root) + 1 :]: _shaped(kind, value) for name, kind, value in rows}


def _shaped(kind: str, value: Any) -> Any:
    if kind == "string":
        return value
    if kind == "set":
        return set(value)
    pairs = dict(zip(value[::2], value[1::2], strict=True))
    return pairs if kind == "hash" else {member: float(score) for member, score in pairs.items()}
