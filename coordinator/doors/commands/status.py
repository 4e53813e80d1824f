"""status: the fleet at a glance."""

import asyncio
from collections.abc import Iterable

import typer

from coordinator import actions
from coordinator.doors.endings import way_on
from coordinator.doors.options import LOOK, Json, Root, command
from coordinator.doors.printing import emit, say, table
from coordinator.doors.session import Session, opened
from coordinator.doors.texts import short
from coordinator.doors.times import ago, ahead, clock
from coordinator.models import HostView, KeyView, Workspace
from coordinator.operations import Hosts, Query
from coordinator.operations.status import FleetStatus, Unserved

_QUESTIONS = 5  # so many are shown of those that wait for an answer


def add(app: typer.Typer) -> None:
    """Register it."""
    command(app, LOOK, "coordinator status", "coordinator status --json | jq .queued")(status)


def status(json: Json = False, root: Root = None) -> None:
    """The fleet at a glance.

    Counts, limit keys and what shuts them, hosts, and how to look with redis-cli."""
    asyncio.run(_status(root, as_json=json))


async def _status(root: str | None, *, as_json: bool) -> None:
    async with opened(root) as session:
        summary, known, asking = await asyncio.gather(
            actions.status(session), session.ask(Hosts()), session.ask(Query(status="blocked", count=_QUESTIONS))
        )
    if as_json:
        return emit(summary.fleet, redis_cli=session.cli)
    _print(session, summary, known.hosts, asking.workspaces)
    return None


def _print(
    session: Session, summary: actions.Summary, hosts: tuple[HostView, ...], asking: tuple[Workspace, ...]
) -> None:
    fleet = summary.fleet
    if fleet.frozen:
        say(_frozen(fleet), "bold yellow")
    if fleet.settling and fleet.settling > fleet.now:
        left = ahead(fleet.settling, fleet.now)
        say(f"settling: nothing starts until every host has reported, at the latest {left}", "yellow")
    say(summary.text)
    for one in asking:
        say(f"{one.workspace} asks: {short(one.question or 'nothing that is known')}", "yellow")
    if asking:
        more = "" if fleet.counts.get("blocked", 0) <= len(asking) else "; all: coordinator workspaces --status blocked"
        say(f"{way_on(asking[0])}{more}")
    for unserved in fleet.unserved:
        say(_nobodys(unserved, fleet.now), "yellow")
    if fleet.faults:
        say(f"{_entries(fleet.faults)} with the records: coordinator doctor names them, and mends with --fix", "yellow")
    if fleet.unserved_more:
        say(f"and {fleet.unserved_more} more routes that no host serves", "yellow")
    say("")
    print_keys(fleet.keys)
    for view in fleet.keys:
        if view.fast_failures:
            say(_failing(view), "yellow")
    say("")
    for host in hosts:
        said = (
            f"{len(host.held)}/{host.slots} slots"
            if host.state != "silent"
            else f"silent, last beat {ago(host.beat, fleet.now)}"
        )
        quiet = ", quiet" if host.state == "quiet" else ", frozen" if host.freeze else ""
        say(f"host {host.host}: {said}{quiet}, serves {', '.join(host.pools) or 'nothing'}")
    if not hosts:
        say("no host: start one with `worker run`, or all of one machine with `coordinator up`")
    say(f"look yourself: {session.cli}    (keys begin with {session.store.root})")


def print_keys(keys: Iterable[KeyView]) -> None:
    """Limit keys: how many hold each, how many may, and what keeps it shut or lets it go on step by step."""
    rows = [
        (
            "all (*)" if view.key == "*" else view.key,
            f"{view.used}/{'-' if view.limit is None else view.limit}",
            state_of(view),
        )
        for view in keys
    ]
    table(("limit key", "used", "nothing starts because"), rows)


def state_of(view: KeyView) -> str:
    """What keeps a limit key shut, or lets it go on step by step; empty for nothing."""
    waits = ", and work waits for it" if view.waiting and view.reason else ""
    if view.limit == 0 and view.reason == "full":
        return f"closed: its limit is 0{waits}"
    if view.ramp and not view.reason:
        return f"has reopened: {view.ramp.granted}/{view.ramp.allowance} started to try it, more may start now"
    ends = f", until {clock(view.until)}" if view.reason == "frozen" and view.until else ""
    return f"{view.text}{ends}{waits}" if view.reason and view.text else ""


def _nobodys(unserved: Unserved, now: int) -> str:
    lanes = "1 lane waits" if unserved.lanes == 1 else f"{unserved.lanes} lanes wait"
    first = f" (the first was queued {ago(unserved.since, now)})" if unserved.since else ""
    ends = f", until {clock(unserved.until)}" if unserved.until else ""
    return f"{lanes} for {unserved.route}{first}: {unserved.text}{ends}"


def _entries(count: int) -> str:
    return "1 entry of the keys disagrees" if count == 1 else f"{count} entries of the keys disagree"


def _failing(view: KeyView) -> str:
    count = view.fast_failures or 0
    runs = "the last run" if count == 1 else f"the last {count} runs"
    rests = "three in a row" if count < 3 else "the next"  # the count goes on when the rest is over
    said = f"{view.key}: {runs} failed within a minute of starting, and {rests} would rest it for 30m"
    return f"{said} (forgive with: coordinator backoff {view.key} clear)"


def _frozen(fleet: FleetStatus) -> str:
    text = "frozen"
    if fleet.freeze:
        text += f" by {fleet.freeze.by}" if fleet.freeze.by else ""
        text += f" {ago(fleet.freeze.at, fleet.now)}" if fleet.freeze.at else ""
        text += f": {fleet.freeze.reason}" if fleet.freeze.reason else ""
        text += f", until {clock(fleet.freeze.until)}" if fleet.freeze.until else ""
    elif fleet.new:
        text += ": this namespace is new"
    return f"{text} (nothing starts; thaw it with: coordinator start)"
