"""The tools beside the six: why, resume, workspaces, events_since."""

import asyncio
import json
from typing import Any, Final

from pydantic import Field, ValidationError

from coordinator.doors.commands.why import in_line
from coordinator.doors.endings import ended, sentence, state
from coordinator.doors.facts import fact_of
from coordinator.doors.listing import about, found, told
from coordinator.doors.mcp.told import clean, quoted, shorter
from coordinator.doors.mcp.tool import Answer, Caller, Given, Tool, fields_of, properties, text
from coordinator.doors.pools import unserved
from coordinator.doors.session import duration, question
from coordinator.doors.texts import because
from coordinator.doors.times import ago
from coordinator.errors import InvalidQuestion
from coordinator.models import Question, Workspace
from coordinator.operations import Explain, GetStatus, Query, Retry
from coordinator.operations._fields import EntryId, Positive
from coordinator.operations.explain import Explained
from coordinator.problems import problems_of

_PAGE: Final = 20
_MOST: Final = 200
_OLDEST: Final = "0-0"


class EventsSince(Question):
    """Facts after the one with this id, oldest first."""

    cursor: EntryId | None = None
    count: Positive | None = Field(default=None, le=_MOST)


async def _why(caller: Caller, given: Given) -> Answer:
    asked = question(Explain, **given)
    why = await caller.session.ask(asked)
    if not isinstance(why, Explained):
        return _nobody(asked.workspace)
    if why.status != "queued":
        record = await ended(caller.session, why.workspace)
        if record and why.status != "running":
            theirs = f": {quoted(record.question)}" if record.question else ""
            said = sentence(record.model_copy(update={"question": None}))
            return Answer(clean(said) + theirs, shorter(fields_of(why)))
        host = f" on {why.host}" if why.host else ""
        return Answer(f"{why.workspace} does not wait: it is running{host}", shorter(fields_of(why)))
    place = in_line(why)
    because_of = because(why.refusal) if why.refusal else "nothing refuses it, a host is being woken for it"
    hints = await unserved(caller.session, [why.agent])
    return Answer("\n".join([f"{why.workspace} is queued{place}: {because_of}", *hints]), fields_of(why))


async def _resume(caller: Caller, given: Given) -> Answer:
    asked = question(Retry, **given, by=caller.by)
    done = await caller.session.ask(asked)
    name = str(asked.workspace)
    why = await caller.session.ask(Explain(workspace=name))
    if not isinstance(why, Explained):
        return _nobody(name)
    if not done.count:
        said = await state(caller.session, name)
        return Answer(said, {"outcome": "refused", "workspace": name, "status": why.status})
    record = await ended(caller.session, name)
    host = f", for host {record.requires}" if record and record.requires else ""
    waits = f": {because(why.refusal)}" if why.refusal else ""
    return Answer(f"{name} queued again in front{host}{waits}", fields_of(done, workspace=name, **_refusal(why)))


async def _workspaces(caller: Caller, given: Given) -> Answer:
    count = given.pop("count", None)
    ages = {name: given.pop(name) for name in ("newer", "older") if name in given}
    asked = question(Query, **given, count=count)
    spans = {name: duration(name, age) for name, age in ages.items()}
    now = (await caller.session.ask(GetStatus())).now
    times = {
        field: max(now - spans[name], 0) for field, name in (("after", "newer"), ("before", "older")) if name in spans
    }
    page = await found(caller.session, asked.model_copy(update=times), asked.count or _PAGE)
    lines = [
        f"{row.workspace} {row.status} {row.agent}{f' on {row.host}' if row.host else ''} {ago(row.since, now)}"
        f" {_about(row)}".rstrip()
        for row in page.workspaces
    ]
    more = [f"more with cursor {page.cursor}"] if page.cursor else []
    return Answer("\n".join([*(lines or ["no workspace"]), *more]), shorter(told(page)))


async def _events_since(caller: Caller, given: Given) -> Answer:
    try:
        asked = EventsSince.model_validate(given)
    except ValidationError as error:
        raise InvalidQuestion(problems_of(error)) from None
    store = caller.session.store
    count = asked.count or _PAGE
    if asked.cursor is None:
        entries = await caller.session.within(store.last_events(count))
        cursor = entries[-1].id if entries else _OLDEST
        gone = False
    else:
        entries, first = await asyncio.gather(
            caller.session.within(store.read_events(asked.cursor, count, block_ms=1)),
            caller.session.within(store.read_events(_OLDEST, 1, block_ms=1)),
        )
        cursor = entries[-1].id if entries else asked.cursor
        gone = bool(first) and asked.cursor != _OLDEST and _order(asked.cursor) < _order(first[0].id)
    facts = [shorter(fact_of(entry) | {"seq": entry.id}) for entry in entries]
    fields: dict[str, Any] = {"facts": facts, "cursor": cursor, "more": len(entries) == count and bool(asked.cursor)}
    lines = [json.dumps(fact, ensure_ascii=False) for fact in facts] or ["nothing since"]
    if gone:
        fields["trimmed"] = True
        lines.insert(0, "the oldest facts are no longer kept: some after this cursor may be missing; see workspaces")
    return Answer("\n".join([*lines, f"cursor {cursor}"]), fields)


def _about(row: Workspace) -> str:
    asks = "asks" if row.status == "blocked" else "said"
    if row.question and not row.kill:
        return f"{asks} {quoted(row.question)}"
    return clean(about(row), 200)


def _order(seq: str) -> tuple[int, int]:
    millis, _, number = seq.partition("-")
    return int(millis), int(number or 0)


def _refusal(why: Explained) -> dict[str, Any]:
    return {"refusal": fields_of(why.refusal)} if why.refusal else {}


def _nobody(name: str) -> Answer:
    said = f"workspace: there is no workspace {name}; the tool workspaces lists those there are"
    return Answer(said, {"outcome": "unknown", "workspace": name}, wrong=True)


LOOKING: Final = (
    Tool(
        "why",
        "Why one waits",
        "What holds a waiting workspace back: the first limit key that says no, who holds it, and the earliest time.",
        _why,
        properties(Explain, workspace=""),
        ("workspace",),
        reads=True,
    ),
    Tool(
        "resume",
        "Answer an agent",
        "Answer what the agent of a blocked workspace asked, and let it go on, in front of what waits. One that has "
        "failed or completed may be told more in the same way.",
        _resume,
        properties(
            Retry,
            workspace="",
            answer="What the agent is told; at most 64 KiB.",
            agent="Let another agent go on with it.",
        ),
        ("workspace", "answer"),
    ),
    Tool(
        "workspaces",
        "Find workspaces",
        "Which workspaces there are, newest first: by status, agent, repo, host or age. Long texts are cut.",
        _workspaces,
        properties(
            Query,
            workspace="One by its name; other fields do not count then.",
            status="",
            agent="Only those of this agent or pool.",
            repo="Only those of this repository: name or org/name.",
            host="Only those that run or last ran there.",
            recent="true: newest first over all statuses, not one status after the other.",
            count=f"At most so many; {_PAGE} where none is given.",
            cursor="Of the answer before, with the same other fields: go on where it ended.",
        )
        | {
            "newer": text("Only those that changed their status in the last 90s, 5m, 1h30m."),
            "older": text("Only those that did not change it in that time."),
        },
        reads=True,
    ),
    Tool(
        "events_since",
        "Facts after a cursor",
        "What happened after a cursor (the seq of a fact, or the cursor of the last answer), oldest first; without one "
        "the newest facts. Nothing is missing here that a channel message may have missed. Long texts are cut.",
        _events_since,
        properties(
            EventsSince,
            cursor="The id after which to begin, such as 1795414690569-0.",
            count=f"At most so many; {_PAGE} where none is given.",
        ),
        reads=True,
    ),
)
