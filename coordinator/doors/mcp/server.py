"""One client's connection: the handshake, the tools, the channel. Nothing a client says ends it; its leaving does."""

import asyncio
import importlib.metadata
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

from coordinator.doors.mcp import rpc
from coordinator.doors.mcp.channel import Channel
from coordinator.doors.mcp.instructions import INSTRUCTIONS
from coordinator.doors.mcp.looking import LOOKING
from coordinator.doors.mcp.reach import Reach
from coordinator.doors.mcp.six import SIX
from coordinator.doors.mcp.told import clean
from coordinator.doors.mcp.tool import Caller, failed
from coordinator.doors.mcp.wire import Lines, Out
from coordinator.errors import CoordinatorError
from coordinator.problems import guess
from coordinator.steady import end

log = logging.getLogger(__name__)
#: Newest first. A client that wants another one is offered the first. None newer: it could not carry the channel.
VERSIONS: Final = ("2025-06-18", "2025-03-26", "2024-11-05")
_NAME: Final = "dispatch-coordinator"
TOOLS: Final = {tool.name: tool for tool in (*SIX, *LOOKING)}
_AT_ONCE: Final = 32  # calls under way; the next line is read when one has ended


async def serve(source: AsyncIterator[bytes], out: Out, reach: Reach) -> None:
    """Answer a client until it leaves; what it asked before is still answered."""
    client, lines = _Connection(out, reach), Lines()
    try:
        async for block in source:
            for line in lines.feed(block):
                await client.hear(line)
        await client.hear(lines.rest())
        await client.answered()
    finally:
        await client.end()


class _Connection:
    def __init__(self, out: Out, reach: Reach) -> None:
        self._out, self._reach = out, reach
        self._client = ""
        self._begun = False
        self._channel: asyncio.Task[None] | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def hear(self, line: bytes | None) -> None:
        """Act on one line."""
        match rpc.read(line):
            case rpc.Request() as request:
                await self._answer(request)
            case rpc.Notice(method="notifications/initialized") if self._begun and not self._channel:
                self._channel = asyncio.create_task(Channel(self._reach, self._out.send).run())
            case rpc.Fault() as fault:
                self._out.send(rpc.error(fault))

    async def answered(self) -> None:
        """Wait for the calls that are under way."""
        while self._calls:
            await asyncio.wait(self._calls)

    async def end(self) -> None:
        """Nothing is told any more."""
        await end([*self._calls, *([self._channel] if self._channel else [])])

    async def _answer(self, request: rpc.Request) -> None:
        match request.method:
            case "initialize":
                self._reply(request, self._initialize(request.params))
            case "ping":
                self._reply(request, {})
            case "tools/list":
                self._reply(request, _listed(request.params))
            case "tools/call":
                while len(self._calls) >= _AT_ONCE:
                    await asyncio.wait(self._calls, return_when=asyncio.FIRST_COMPLETED)
                call = asyncio.create_task(self._call(request))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
            case method:  # server/discover too: who is refused it falls back to initialize, and keeps the channel
                self._reply(request, rpc.Fault(rpc.NO_METHOD, f"there is no method {clean(method, 100)}"))

    def _reply(self, request: rpc.Request, answer: dict[str, Any] | rpc.Fault) -> None:
        if isinstance(answer, rpc.Fault):
            self._out.send(rpc.error(answer._replace(id=request.id)))
        else:
            self._out.send(rpc.result(request.id, answer))

    def _initialize(self, params: dict[str, Any]) -> dict[str, Any] | rpc.Fault:
        wanted, info = params.get("protocolVersion"), params.get("clientInfo")
        if not isinstance(wanted, str):
            return rpc.Fault(rpc.INVALID_PARAMS, f"protocolVersion must be text, such as {VERSIONS[0]}")
        if isinstance(info, dict) and isinstance(info.get("name"), str):
            self._client = clean(info["name"], 60)
        self._begun = True
        return {
            "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[0],
            "capabilities": {"tools": {}, "experimental": {"claude/channel": {}}},
            "serverInfo": {
                "name": "dispatch-coordinator",
                "version": importlib.metadata.version("dispatch-coordinator"),
            },
            "instructions": INSTRUCTIONS,
        }

    async def _call(self, request: rpc.Request) -> None:
        try:
            self._reply(request, await self._called(request.params))
        except Exception:
            log.exception("a tool met a surprise")
            self._reply(request, rpc.Fault(rpc.INTERNAL, "a bug: the server's log tells more"))

    async def _called(self, params: dict[str, Any]) -> dict[str, Any] | rpc.Fault:
        name, arguments = params.get("name"), params.get("arguments")
        if not isinstance(name, str) or name not in TOOLS:
            mend = guess(name, TOOLS) if isinstance(name, str) else ""
            return rpc.Fault(
                rpc.INVALID_PARAMS, f"name: there is no such tool; {mend or 'there are ' + ', '.join(TOOLS)}"
            )
        if arguments is not None and not isinstance(arguments, dict):
            return rpc.Fault(rpc.INVALID_PARAMS, "arguments must be an object")
        tool = TOOLS[name]
        try:
            given = tool.given(arguments or {})
            session = await self._reach.session()
            answer = await tool.call(Caller(session, self._client), given)
        except CoordinatorError as error:
            answer = failed(error)
        return answer.shown()


def _listed(params: dict[str, Any]) -> dict[str, Any] | rpc.Fault:
    if params.get("cursor") is not None:
        return rpc.Fault(rpc.INVALID_PARAMS, "cursor: there is one page; leave it out")
    return {"tools": [tool.listed() for tool in TOOLS.values()]}
