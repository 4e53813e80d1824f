"""The six actions as tools: dispatch, status, start, stop, kill, poke."""

from typing import Any, Final

from coordinator import actions
from coordinator.doors.mcp.tool import WORDS, Answer, Caller, Given, Tool, fields_of, properties, text
from coordinator.doors.session import duration, question
from coordinator.doors.times import clock
from coordinator.errors import InvalidQuestion, Problem
from coordinator.operations import Freeze, Kill, Submit, Thaw

_SELECTORS: Final = ("workspace", "agent", "repo", "host")


async def _dispatch(caller: Caller, given: Given) -> Answer:
    repo = given.get("repo")
    if isinstance(repo, str) and "/" in repo and "org" not in given:
        org, _, name = repo.rpartition("/")
        given = {**given, "org": org, "repo": name}
    asked = question(Submit, **given)
    told = await actions.dispatch(caller.session, **asked.model_dump(exclude_none=True))
    return Answer(told.text, fields_of(told.reply, workspace=asked.workspace))


async def _status(caller: Caller, given: Given) -> Answer:
    summary = await actions.status(caller.session)
    lines = [summary.text]
    if summary.fleet.frozen:
        lines.append("queue is frozen: nothing starts until start")
    for view in summary.fleet.keys:
        limit = "no limit" if view.limit is None else str(view.limit)
        lines.append(f"{view.key}: {view.used} of {limit}" + (f", {view.text}" if view.text else ""))
    return Answer("\n".join(lines), fields_of(summary.fleet))


async def _start(caller: Caller, given: Given) -> Answer:
    key = question(Thaw, **given, by=caller.by).key
    started = await actions.start(caller.session, key, by=caller.by)
    return Answer(started.text, fields_of(started.reply))


async def _stop(caller: Caller, given: Given) -> Answer:
    until = given.pop("until", None)
    lasts = duration("until", until) if until is not None else None
    asked = question(Freeze, **given, by=caller.by)
    stopped = await actions.stop(caller.session, asked.key, by=asked.by, reason=asked.reason, lasts=lasts)
    told = stopped.text + (f" until {clock(stopped.until)}" if stopped.until else "")
    return Answer(told, fields_of(stopped.reply, until=stopped.until))


async def _kill(caller: Caller, given: Given) -> Answer:
    asked = question(Kill, **given, by=caller.by)
    named = {name: value for name in _SELECTORS if (value := getattr(asked, name)) is not None}
    if not named and not asked.all:  # a client that leaves a field out must not end everything
        fix = f"name one of {', '.join(_SELECTORS)}; or set all to true, which ends everything and freezes the queue"
        raise InvalidQuestion([Problem("all", "is needed where nothing is named", fix)])
    actions.chosen(bool(asked.all), **named)
    killed = await actions.kill(caller.session, **named, by=asked.by, reason=asked.reason)
    fields: dict[str, Any] = {"outcome": "killing", "running": list(killed.running), "cleared": killed.cleared}
    return Answer(killed.text, fields | {"frozen": killed.frozen})


async def _poke(caller: Caller, given: Given) -> Answer:
    poked = await actions.poke(caller.session)
    lost = [one.model_dump(mode="json", exclude_none=True) for one in poked.lost]
    return Answer(poked.text, {"outcome": "poked", "heard": poked.heard, "lost": lost, "opened": list(poked.opened)})


SIX: Final = (
    Tool(
        "dispatch",
        "Dispatch an agent",
        "Ask that a coding agent works on a workspace. The answer says granted, queued (and what holds it back), "
        "refused, or already known. What is queued starts by itself: do not ask again, asking twice is asking once.",
        _dispatch,
        properties(
            Submit,
            workspace="",
            agent="The agent, such as codex or codex:gpt-5.4; the fleet's default where none is named.",
            task="What the agent is told to do, whole: it knows nothing of this conversation.",
            repo="The repository it is about: name or org/name.",
            org="The organisation of the repository, where repo does not say it.",
            branch="The branch to work on.",
            source="A git URL, or a path on the host, to make the agent's checkout from.",
            dir="The directory on the host in which it lies already, instead of source.",
            priority="9 goes first; 5 where none is given.",
            host="Only this host may run it.",
            labels="Only hosts with all of these labels may run it.",
            keys="More limit keys it counts under.",
            not_before="It does not start before this moment: milliseconds since 1970.",
            deadline="What has not started by then has failed: milliseconds since 1970.",
            again="Run one that has ended once more, from the start; resume goes on with it instead.",
            asker="For a service that runs the agent itself: its host name. Granted at once where it may start.",
            ttl="Of an asker: how many milliseconds its run may last.",
            otherwise="Where it may not start now: queue it (as without this field), or refuse and keep nothing.",
            id="A name of this question: asked twice under it, an asker gets one grant, and `again` runs it once.",
        ),
        ("workspace",),
    ),
    Tool(
        "status",
        "Fleet at a glance",
        "How many run, wait, have completed and failed; whether the queue is frozen; the use of each limit.",
        _status,
        reads=True,
    ),
    Tool(
        "start",
        "Thaw the queue",
        "What waits may start, until somebody stops it again. Answers `dispatch started`.",
        _start,
        properties(Thaw, key=""),
    ),
    Tool(
        "stop",
        "Freeze the queue",
        "Nothing more starts; what runs goes on. It is remembered until start. Answers `queue frozen`.",
        _stop,
        properties(Freeze, key="", reason="") | {"until": text("Thaw by itself after so long, such as 90s or 2h30m.")},
    ),
    Tool(
        "kill",
        "End agents",
        "End what runs and fail what waits: of one workspace, agent, repo or host, or everything with all: true, "
        "which also freezes the queue. Give exactly one of them. No directory is deleted.",
        _kill,
        properties(
            Kill,
            workspace="End this one.",
            agent="End all of this agent or pool.",
            repo="End all of this repository: name or org/name.",
            host="End all on this host.",
            all="true ends everything and freezes the queue.",
            reason=WORDS["reason"],
        ),
        destroys=True,
    ),
    Tool(
        "poke",
        "Look now",
        "Wake the replicas and do what time has made due. Nothing needs it; it only hurries.",
        _poke,
    ),
)
