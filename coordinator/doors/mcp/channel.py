"""The channel: what happens from now on, told as it happens, at most once a second.

It follows the stream, not the bus: over an outage of Redis nothing is passed over. A message may still be lost on the
client's side, so each says which facts it tells: those after `after`, up to `seq`.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from coordinator.doors.mcp.reach import Reach
from coordinator.doors.mcp.rpc import notification
from coordinator.doors.mcp.told import News, news_of
from coordinator.doors.session import Session, question
from coordinator.errors import CoordinatorError, StoreUnavailable
from coordinator.operations import GetStatus, Query
from coordinator.steady import steadily
from coordinator.words import pool_of

log = logging.getLogger(__name__)
METHOD: Final = "notifications/claude/channel"
_QUIET: Final = 1.0  # seconds between two messages
_READ: Final = 1000  # facts in one message
_LINES: Final = 20  # of them, so many are told one by one
_COUNTED: Final = 500  # runs of a pool without a limit


class Channel:
    """Follows the facts for one client."""

    def __init__(self, reach: Reach, send: Callable[[dict[str, Any]], None]) -> None:
        self._reach, self._send = reach, send
        self._after = ""
        self._sent = float("-inf")

    async def run(self) -> None:
        """For ever, whatever happens to Redis."""
        await steadily("the channel", self._tell)

    async def _tell(self) -> None:
        session = await self._reach.session()
        if not self._after:
            self._after = await session.within(session.store.latest())
        entries = await session.store.read_events(self._after, _READ)
        if not entries:
            return
        now = asyncio.get_running_loop().time
        if (wait := self._sent + _QUIET - now()) > 0:
            await asyncio.sleep(wait)
            entries = await session.store.read_events(self._after, _READ)
        seq = entries[-1].id
        news = [one for entry in entries if (one := news_of(entry))]
        if news:
            counted = await _counted(session, news)
            meta = {"after": self._after, "seq": seq, "count": str(len(news))}
            self._send(notification(METHOD, {"content": _content(counted, self._after), "meta": _meta(counted) | meta}))
            self._sent = now()
        self._after = seq


def _content(news: list[News], after: str) -> str:
    lines = [one.line() for one in news[:_LINES]]
    if len(news) > _LINES:
        lines.append(f"and {len(news) - _LINES} more: the tool events_since tells all, with cursor {after}")
    return "\n".join(lines)


def _meta(news: list[News]) -> dict[str, str]:
    """The channels; and all fields of the one fact, where it is one."""
    names = dict.fromkeys(one.channel for one in news)
    alone = news[0].fields if len(news) == 1 else {}
    return {name: value.replace('"', "'") for name, value in {**alone, "channel": " ".join(names)}.items()}


async def _counted(session: Session, news: list[News]) -> list[News]:
    """The same, starts and endings with the count and the limit (0: none) of their pools as they are now."""
    agents = (one.fields["agent"] for one in news if one.fields)
    try:
        pools = await _pools(session, set(map(pool_of, agents)))
    except StoreUnavailable:
        raise
    except CoordinatorError as error:  # a key or a fact damaged by hand must not keep the others from being told
        log.warning("the channel tells no counts: %s", error)
        pools = {}
    return [
        one._replace(fields={**one.fields, **pools.get(pool_of(one.fields["agent"]), {})}) if one.fields else one
        for one in news
    ]


async def _pools(session: Session, pools: set[str]) -> dict[str, dict[str, str]]:
    if not pools:
        return {}
    keys = {view.key: view for view in (await session.ask(GetStatus())).keys}
    counts = {}
    for pool in sorted(filter(None, pools)):
        view = keys.get(pool)
        used = view.used if view else await _running(session, pool)
        counts[pool] = {"running": str(used), "limit": str(view.limit or 0) if view else "0"}
    return counts


async def _running(session: Session, pool: str) -> int:
    """Of a pool that status does not tell: it has no limit."""
    found = await session.ask(question(Query, status="running", agent=pool, names=True, count=_COUNTED))
    return len(found.names)
