"""Store: ask Redis for one atomic change and type its answer; hear, read and write the streams."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple, Self, TypeVar

import redis.asyncio as redis_client
from pydantic import ValidationError
from redis import exceptions as wrong

from coordinator import library
from coordinator.config.redis_url import without_password
from coordinator.errors import StoreUnavailable, StoreUnusable
from coordinator.operations._operation import Operation, Outdated
from coordinator.store import scan
from coordinator.store.connection import connect
from coordinator.store.entries import Entry, as_text, entries_of
from coordinator.store.listen import Heard, listen
from coordinator.store.replies import fault, fault_of, reply_of
from coordinator.store.trouble import explained, is_already_loaded, is_missing_function

Reply = TypeVar("Reply")


class _Missing(Exception):
    """The server has never seen the function library, or forgot it."""


class _Call(NamedTuple):
    verb: str
    reads: bool
    question: str
    answer: "asyncio.Future[bytes]"


class Store:
    """One namespace on one Redis. Calls made in the same turn of the event loop share one round trip."""

    def __init__(self, redis: "redis_client.Redis", root: str, where: str = "the test server") -> None:
        self.redis, self.root, self.where = redis, root, where
        self._waiting: list[_Call] = []
        self._flushes: set[asyncio.Task[None]] = set()
        self._loading = asyncio.Lock()

    @classmethod
    def connect(cls, url: str, root: str) -> Self:
        """A store on the server at `url`; the connection is made with the first call.

        `root` is the namespace, with or without its braces: without them its keys would be another fleet's.
        """
        return cls(connect(url), root if root.startswith("{") else f"{{{root}}}", without_password(url))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connections. Calls still under way fail."""
        if self._flushes:
            await asyncio.gather(*self._flushes, return_exceptions=True)
        await self.redis.aclose()

    async def run(self, operation: Operation[Reply]) -> Reply:
        """Ask for one atomic change. A verb is idempotent: after StoreUnavailable, asking again is safe.

        Raises InvalidQuestion, StoreUnavailable, StoreUnusable (also for a key damaged by hand), LibraryError.
        """
        text = operation.encoded()
        question = f'{{"lib":{library.LIB}{"," if len(text) > 2 else ""}{text[1:]}'
        answer = await self._ask(operation.name, operation.reads, question)
        if b'"outdated"' in answer and isinstance(fault_of(answer), Outdated):
            await self._load(replace=True)
            answer = await self._ask(operation.name, operation.reads, question)
        try:
            return reply_of(operation, answer)
        except ValidationError as error:
            raise fault(operation, answer, error) from None

    async def _ask(self, verb: str, reads: bool, question: str) -> bytes:
        try:
            for attempt in (self._send, self._send_or_load, self._send):
                with contextlib.suppress(_Missing):
                    return await attempt(verb, reads, question)
        except (wrong.RedisError, OSError) as error:
            raise explained(error, self.where) from error
        raise StoreUnavailable(f"Redis at {self.where} forgets the function library as soon as it is loaded")

    async def _send_or_load(self, verb: str, reads: bool, question: str) -> bytes:
        async with self._loading:  # of many that found it missing at once, the first loads it
            try:
                return await self._send(verb, reads, question)
            except _Missing:
                await self._load(replace=False)
                raise

    async def _send(self, verb: str, reads: bool, question: str) -> bytes:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        self._waiting.append(_Call(verb, reads, question, answer))
        if len(self._waiting) == 1:
            task = loop.create_task(self._flush())
            self._flushes.add(task)
            task.add_done_callback(self._flushes.discard)
        return await answer

    async def _flush(self) -> None:
        calls, self._waiting = self._waiting, []
        pipe = self.redis.pipeline(transaction=False)
        for call in calls:
            command = "FCALL_RO" if call.reads else "FCALL"
            pipe.execute_command(command, f"dispatch_{call.verb}", 1, self.root, call.question)
        try:
            answers: list[Any] = await pipe.execute(raise_on_error=False)
        except Exception as error:  # noqa: BLE001  # a surprise, too, is an answer: nobody may wait for ever
            answers = [error] * len(calls)
        for call, answer in zip(calls, answers, strict=True):
            if call.answer.done():
                continue  # its asker was cancelled
            if is_missing_function(answer):
                call.answer.set_exception(_Missing())
            elif isinstance(answer, Exception):
                call.answer.set_exception(answer)
            else:
                call.answer.set_result(answer.encode() if isinstance(answer, str) else answer)

    async def _load(self, *, replace: bool) -> None:
        """Give the server our library. Without `replace` one that is there stays."""
        try:
            await self.redis.function_load(library.TEXT, replace=replace)
        except wrong.ResponseError as error:
            if not is_already_loaded(error):
                raise explained(error, self.where) from error
        except (wrong.RedisError, OSError) as error:
            raise explained(error, self.where) from error

    def key(self, *parts: str) -> str:
        """The name of a key of this namespace."""
        return ":".join((self.root, *parts))

    async def publish(self, json: str) -> int:
        """Say something on the bus; the answer is how many heard it."""
        return int(await self._do("PUBLISH", self.key("bus"), json))

    async def hear(self, *names: str) -> AsyncGenerator[Heard]:
        """Messages of channels of this namespace (`bus`, `poke:<host>`). See `listen`.

        Raises StoreUnusable where this user may not hear them.
        """
        try:
            async with contextlib.aclosing(listen(self.redis, tuple(self.key(name) for name in names))) as heard:
                async for message in heard:
                    yield message
        except wrong.NoPermissionError as error:
            raise explained(error, self.where) from error

    async def latest(self, before: str | None = None) -> str:
        """The id of the newest fact, or of the newest `before` that one; `0-0` when there is none."""
        end = f"({before}" if before else "+"
        entries = entries_of(await self._do("XREVRANGE", self.key("events"), end, "-", "COUNT", 1))
        return entries[0].id if entries else "0-0"

    async def last_events(self, count: int) -> list[Entry]:
        """The newest facts, oldest first."""
        return entries_of(await self._do("XREVRANGE", self.key("events"), "+", "-", "COUNT", count))[::-1]

    async def read_events(self, after: str, count: int = 100, block_ms: int = 2000) -> list[Entry]:
        """Facts after an id, waiting up to `block_ms` (below the answer time-out) for the first."""
        return await self._read("events", after, count, block_ms)

    async def _read(self, stream: str, after: str, count: int, block_ms: int) -> list[Entry]:
        found = await self._do("XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS", self.key(stream), after)
        if not found:
            return []
        pairs = found.items() if isinstance(found, Mapping) else found
        return [entry for _, rows in pairs for entry in entries_of(rows)]

    async def inbox(self, after: str = "0-0", count: int = 64, block_ms: int = 2000) -> list[Entry]:
        """The oldest reports after an id that somebody wanted kept, waiting up to `block_ms` for one."""
        return await self._read("inbox", after, count, block_ms)

    async def clear_inbox(self, ids: list[str]) -> None:
        """Forget reports that were acted on."""
        if ids:
            await self._do("XDEL", self.key("inbox"), *ids)

    async def shorten_inbox(self, most: int) -> int:
        """Forget the oldest reports when more than about `most` wait; the answer is how many."""
        return int(await self._do("XTRIM", self.key("inbox"), "MAXLEN", "~", most))

    async def types(self) -> dict[str, str]:
        """Every key of this namespace and its type; for doctor, in steps that do not hold up the server."""
        found: dict[str, str] = {}
        async for keys in scan.steps(self._do, self.root):
            pipe = self.redis.pipeline(transaction=False)
            for key in keys:
                pipe.type(key)
            try:
                kinds = [as_text(kind) for kind in await pipe.execute()]
            except (wrong.RedisError, OSError) as error:
                raise explained(error, self.where) from error
            found |= {as_text(key): kind for key, kind in zip(keys, kinds, strict=True) if kind != "none"}  # gone since
        return found

    async def some_names(self, cursor: int, count: int = 128) -> tuple[int, list[str]]:
        """A step over the names of keys, without the root; with the cursor to go on with, 0 at the end."""
        cursor, found = await scan.step(self._do, self.root, cursor, count)
        return cursor, scan.names(self.root, found)

    async def names(self) -> list[str]:
        """All of them."""
        return [name async for keys in scan.steps(self._do, self.root) for name in scan.names(self.root, keys)]

    async def server(self) -> dict[str, Any]:
        """What INFO says of the server. Raises StoreUnusable when it is too old."""
        info: dict[str, Any] = {}
        try:
            info = await self.redis.info()
        except (wrong.RedisError, OSError) as error:
            raise explained(error, self.where) from error
        version = str(info.get("redis_version", "7.0"))
        if int(version.split(".", 1)[0]) < 7:
            raise StoreUnusable(f"Redis at {self.where} is {version}: Redis 7.0 or Valkey 7.2 is needed")
        return info

    async def _do(self, *command: str | bytes | int) -> Any:
        try:
            return await self.redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except (wrong.RedisError, OSError) as error:
            if str(error).startswith("WRONGTYPE"):
                key = next((one for one in command if isinstance(one, str) and one.startswith(self.root)), "")
                raise StoreUnusable(f"the key {key} was changed to another type by hand: delete it") from error
            raise explained(error, self.where) from error
