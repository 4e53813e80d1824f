"""mcp: the actions for an MCP client, on stdin and stdout."""

import asyncio
import contextlib
import os

import typer

from coordinator.doors.mcp.reach import Reach
from coordinator.doors.mcp.server import serve
from coordinator.doors.mcp.wire import Out, blocks
from coordinator.doors.options import RUN, Root, command
from coordinator.log import configure


def add(app: typer.Typer) -> None:
    """Register it."""
    command(app, RUN, "coordinator mcp", "claude mcp add dispatch -- coordinator mcp")(mcp)


def mcp(root: Root = None) -> None:
    """An MCP server on stdin and stdout, for Claude Code and other clients.

    Tools of the same names as the commands, and what happens as channel messages. It ends with its stdin.
    """
    configure()
    # What else this process may print goes where logs go: the client reads stdout to the letter.
    with contextlib.closing(Out(os.dup(1))) as out:
        os.dup2(2, 1)
        asyncio.run(_mcp(root, out))


async def _mcp(root: str | None, out: Out) -> None:
    async with Reach(root) as reach:
        await serve(blocks(0, out.gone), out, reach)
