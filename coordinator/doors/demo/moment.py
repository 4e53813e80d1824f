"""What Redis says of the demo right now: how many run and wait under each limit key, and why the next one waits."""

import asyncio
import collections
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coordinator.doors.demo.plans import Plan
from coordinator.doors.endings import ENDED
from coordinator.doors.session import Session
from coordinator.doors.texts import because
from coordinator.models import HostView, Refusal, Workspace
from coordinator.operations import Explain, Hosts, Query
from coordinator.operations.explain import Explained
from coordinator.words import pool_of


@dataclass(frozen=True)
class KeyRow:
    """One limit key: its agents by what they do, and why the next of them waits."""

    key: str
    limit: int
    running: int
    waiting: int
    ended: int
    why: str


@dataclass(frozen=True)
class Moment:
    """One look at the fleet."""

    rows: tuple[KeyRow, ...]
    hosts: tuple[HostView, ...]
    workspaces: tuple[Workspace, ...]

    @property
    def statuses(self) -> tuple[str, ...]:
        """How each workspace stands; equal to an earlier look's when nothing has changed."""
        return tuple(one.status for one in sorted(self.workspaces, key=lambda one: one.workspace))

    @property
    def ended(self) -> int:
        """Workspaces that have ended, well or not."""
        return sum(one.status in ENDED for one in self.workspaces)


async def look(session: Session, plan: Plan) -> Moment:
    """Two round trips: the records and hosts, then why the next workspace of each agent waits."""
    hosts, records = await asyncio.gather(session.ask(Hosts()), _records(session))
    queued = sorted((one for one in records if one.status == "queued"), key=lambda one: one.queued_at or 0)
    heads = {one.agent: one.workspace for one in reversed(queued)}
    told = await asyncio.gather(*(session.ask(Explain(workspace=name)) for name in heads.values()))
    refusals = {agent: reply.refusal for agent, reply in zip(heads, told, strict=True) if isinstance(reply, Explained)}
    rows = tuple(_row(key, limit, records, refusals) for key, limit in plan.limits.items())
    return Moment(rows, hosts.hosts, tuple(records))


async def _records(session: Session) -> list[Workspace]:
    found = await session.ask(Query(count=500))
    records = list(found.workspaces)
    while found.cursor:
        found = await session.ask(Query(count=500, cursor=found.cursor))
        records += found.workspaces
    return records


def _row(key: str, limit: int, records: Sequence[Workspace], refusals: Mapping[str, Refusal | None]) -> KeyRow:
    of_key = [one for one in records if key in (one.agent, pool_of(one.agent))]
    count = collections.Counter("ended" if one.status in ENDED else one.status for one in of_key)
    said = [refusal for agent, refusal in refusals.items() if refusal and key in (agent, pool_of(agent))]
    ours = [refusal for refusal in said if refusal.key == key] or said
    return KeyRow(key, limit, count["running"], count["queued"], count["ended"], _why(ours[0]) if ours else "")


def _why(refusal: Refusal) -> str:
    if refusal.reason != "full":
        return because(refusal)
    held = ", ".join(name.removeprefix("demo/") for name in refusal.holders)
    return f"{refusal.key} is full ({refusal.used}/{refusal.limit}): {held}"
