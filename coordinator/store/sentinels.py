"""Which server is the primary, as its sentinels say it: `redis+sentinel://[user:password@]h1:26379,h2:26379/main/0`."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import redis.asyncio as redis_client
from redis import exceptions as wrong
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, SentinelConnectionPool
from redis.backoff import NoBackoff

Address = tuple[str, int]
ANSWER_WITHIN: Final = 3.0  # seconds for a sentinel; whoever needs it tries again


class Sentinels:
    """Asks all at once; the first that names a living primary is believed.

    In the place of redis-py's own, which asks one after the other, each for seconds, and keeps connections open.
    """

    def __init__(self, addresses: list[Address]) -> None:
        self._addresses = addresses

    async def discover_master(self, name: str) -> Address:
        """Host and port. Raises MasterNotFoundError, with what each sentinel said."""
        asked = [asyncio.ensure_future(_ask(address, name)) for address in self._addresses]
        try:
            for answer in asyncio.as_completed(asked):
                found = await answer
                if not isinstance(found, str):
                    return found
            said = ", ".join(str(task.result()) for task in asked)
            raise MasterNotFoundError(f"no sentinel names a primary: {said}")
        finally:
            for task in asked:
                task.cancel()
            await asyncio.wait(asked)


async def _ask(address: Address, name: str) -> Address | str:
    """What one sentinel says: the address, or why it names none."""
    host, port = address
    options: dict[str, Any] = {"socket_timeout": ANSWER_WITHIN, "socket_connect_timeout": ANSWER_WITHIN}
    line = redis_client.Connection(host=host, port=port, retry=Retry(NoBackoff(), 0), decode_responses=True, **options)
    try:
        await line.connect()  # type: ignore[no-untyped-call]
        await line.send_command("SENTINEL", "MASTER", name)
        answer: Any = await line.read_response()
    except (wrong.RedisError, OSError) as error:
        return f"{host}:{port}: {error}"
    finally:
        await line.disconnect(nowait=True)  # also of one that is cancelled meanwhile: it waits for nothing
    found = answer if isinstance(answer, Mapping) else dict(zip(answer[::2], answer[1::2], strict=True))
    if any(flag in found["flags"] for flag in ("s_down", "o_down")):
        return f"{host}:{port}: {name} is down, and no other is promoted yet"
    return found["ip"], int(found["port"])


def by_sentinel(url: str, options: dict[str, Any]) -> "redis_client.Redis":
    """A client of whatever server is the primary; the login of `url` is the data server's."""
    login, _, servers = urlsplit(url).netloc.rpartition("@")
    user, _, password = login.partition(":")
    name, _, database = urlsplit(url).path.removeprefix("/").partition("/")
    if password:
        options |= {"username": unquote(user) or None, "password": unquote(password)}
    sentinels = Sentinels([_address(server) for server in servers.split(",")])
    pool = SentinelConnectionPool(name, sentinels, db=int(database or 0), **options)  # type: ignore[no-untyped-call]
    return redis_client.Redis.from_pool(pool)


def _address(server: str) -> Address:
    host, _, port = server.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)
