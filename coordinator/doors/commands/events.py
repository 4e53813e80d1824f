"""events: the durable stream of facts."""

import asyncio
import json
from typing import Annotated, Any

import typer

from coordinator.doors.facts import fact_of
from coordinator.doors.options import LOOK, Json, Root, command
from coordinator.doors.printing import emit, note, say
from coordinator.doors.session import Session, opened
from coordinator.doors.times import clock
from coordinator.errors import StoreUnavailable
from coordinator.store import Entry

_SUBJECTS = ("workspace", "key", "host", "pool", "channel")
_ORDER = (
    "agent",
    "repo",
    "host",
    "attempt",
    "status",
    "verdict",
    "key",
    "by",
    "reason",
    "used",
    "limit",
    "question",
    "pr_url",
)
_HIDDEN = {"type", "seq", "token"}


def add(app: typer.Typer) -> None:
    """Register it."""
    command(app, LOOK, "coordinator events --follow", "coordinator events --count 1000 --json")(events)


def events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more happens.")] = False,
    count: Annotated[int, typer.Option(min=0, max=10_000, metavar="N", help="The newest N facts first.")] = 20,
    json: Json = False,
    root: Root = None,
) -> None:
    """Print what happened, newest last.

    Runs started, ended and lost, freezes, changed limits; in JSON as they were written."""

    async def run() -> None:
        async with opened(root) as session:
            after = await session.within(session.store.latest())
            for entry in await session.within(session.store.last_events(count)) if count else ():
                _print(entry, as_json=json)
                after = entry.id
            if follow:
                await _follow(session, after, as_json=json)

    asyncio.run(run())


async def _follow(session: Session, after: str, *, as_json: bool) -> None:
    away = False
    while True:
        try:
            entries = await session.store.read_events(after)
        except StoreUnavailable as error:
            if not away:
                note(f"{error}; still trying")
            away = True
            await asyncio.sleep(1)
            continue
        away = False
        for entry in entries:
            _print(entry, as_json=as_json)
            after = entry.id


def _print(entry: Entry, *, as_json: bool) -> None:
    fact = fact_of(entry)
    if as_json:
        return emit(fact, seq=entry.id)
    subject, says = _told(entry.type, fact)
    names = sorted(says, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))
    rest = [f"{name}={_short(says[name])}" for name in names]
    at = entry.id.partition("-")[0]
    return say(f"{clock(int(at)) if at.isdigit() else at}  {entry.type:<15} {subject}  {' '.join(rest)}".rstrip())


def _told(kind: str, fact: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What it is about, and what it says of that; a notification is about its channel, and says its data."""
    if kind == "ChannelPush":
        data = fact.get("data")
        return str(fact.get("channel", "")), data if isinstance(data, dict) else {"data": data}
    if kind == "ConfigChanged":
        fact = {name: said for name, said in fact.items() if name != "changes"} | _changes(fact.get("changes"))
    subject = next((str(fact[name]) for name in _SUBJECTS if name in fact), "")
    return subject, {name: said for name, said in fact.items() if name not in _HIDDEN and str(said) != subject}


def _changes(changes: Any) -> dict[str, Any]:
    """Each setting that was changed, with what it is now and what it was."""
    found = [one for one in changes if isinstance(one, dict)] if isinstance(changes, list) else []
    now = {str(one.get("path")): str(one.get("now", "none")) for one in found}
    was = {str(one.get("path")): f" (was {one['was']})" for one in found if "was" in one}
    return {name: said + was.get(name, "") for name, said in now.items()}


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if " " not in text else json.dumps(text, ensure_ascii=False)
