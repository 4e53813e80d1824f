"""What people are told, as the truth has it."""

from collections.abc import Collection

from coordinator.operations import Query
from coordinator.operations.status import FleetStatus
from coordinator.words import pool_of
from tests.model.task_model import No, Task
from tests.model.truth import Truth
from tests.model.view import View

_DONE = ("completed", "merged", "ready-for-review")
_STATUSES = ("running", "queued", "blocked", "failed", "ready-for-review", "completed", "merged")


def no_room(truth: Truth, task: Task, idle: set[str]) -> No | None:
    """Why a workspace that every key admits still waits; None while a host is on its way. `idle` hosts wait."""
    serving = [host for host in truth.hosts.values() if host.fits(task)]
    if not serving:
        return No(task.route, "no_host", 0, 0)
    if any(host.name in idle and not truth.silent(host) for host in serving):
        return None
    live = [host for host in serving if not host.quiet and not truth.silent(host)]
    cold = [no for host in live if (no := truth.cold(host.name))]
    live = [host for host in live if not truth.cold(host.name)]
    if cold and not live:
        return min(cold, key=lambda no: (no.until or float("inf"), no.key))
    if not live:
        return No(task.route, "no_host", 0, 0)
    used, slots = sum(len(truth.held(host.name)) for host in live), sum(host.room for host in live)
    return No(task.route, "hosts_full", used, slots) if used >= slots else None


def unserved(truth: Truth, standing: set[str]) -> list[tuple[str, int, int]]:
    """(route, lanes, since) of the work that no host can serve; `standing` are those in a lane. Most lanes first."""
    waiting = [task for task in truth.queued() if task.name in standing]
    here = [one for one in truth.hosts.values() if not one.quiet and not truth.silent(one) and not truth.cold(one.name)]
    heads: dict[str, dict[str, int]] = {}
    for task in waiting:  # in the order of their lanes
        if not any(host.fits(task) for host in here):
            heads.setdefault(task.route, {}).setdefault(task.lane, task.since)
    found = [(route, len(lanes), min(lanes.values())) for route, lanes in heads.items()]
    return sorted(found, key=lambda one: (-one[1], one[0]))


def all_hosts(truth: Truth) -> list[tuple[object, ...]]:
    """Every host by name: its state, its last beat, its slots, its mode, what it holds."""
    found: list[tuple[object, ...]] = []
    for name, host in sorted(truth.hosts.items()):
        state = "silent" if truth.silent(host) else "quiet" if host.quiet else "live"
        found.append((name, state, host.beat, host.room, host.mode, {task.name for task in truth.held(name)}))
    return found


def status_is_true(truth: Truth, told: FleetStatus) -> None:
    """The fleet at a glance: counts, keys and why nothing starts under them, settings, rates, what was forgotten."""
    counts = {status: sum(task.status == status for task in truth.tasks.values()) for status in _STATUSES}
    assert told.counts == counts
    assert (told.running, told.queued, told.total) == (counts["running"], counts["queued"], len(truth.tasks))
    assert (told.completed, told.failed) == (sum(counts[one] for one in _DONE), counts["failed"] + counts["blocked"])
    settling = truth.settling if truth.settling > truth.now else None
    state = bool(truth.freeze_of("*")), settling, not truth.configured, len(truth.hosts)
    assert (told.frozen, told.settling, told.new, told.hosts) == state
    summed = {pool: sum(one.counts.values()) for pool, one in told.summary.items()}
    assert sum(summed.values()) == truth.forgotten, told.summary
    settings = told.settings.model_dump()
    assert {name: settings[name] for name in truth.settings} == truth.settings
    assert {pool: rates.model_dump(exclude_none=True) for pool, rates in told.rates.items()} == truth.rates
    shown = {view.key for view in told.keys}
    assert {"*", *truth.limits, *truth.failures} <= shown, f"{shown} are shown"
    for view in told.keys:
        no = truth.refuses(view.key)
        why = (no.reason, no.until) if no else (None, None)
        assert (view.used, view.limit) == (truth.used(view.key), truth.limit(view.key)), view
        assert (view.reason, view.until) == why, view
        assert view.inherited == (view.limit is not None and view.key not in truth.limits), view
        assert view.fast_failures == truth.failures.get(view.key), view


def until_due(truth: Truth, whens: Collection[float]) -> int | None:
    """How long it is until the first of these moments; None when there is none."""
    return max(int(min(whens)) - truth.now, 0) if whens else None


def in_line(truth: Truth, view: View, task: Task) -> tuple[int | None, int | None]:
    """How many lanes go before that of a waiting workspace, and the priority that it has aged to."""
    places = view.where.get(task.route, {})
    if task.lane not in places:
        return None, None  # it waits for its time
    lane = truth.fair.lanes[task.lane]
    first = {name for name, place in places.items() if place == places[task.lane]} - {task.lane}
    mark = f"@{places[task.lane]}"
    before = sum((truth.fair.lanes[name].score, name) < (lane.score, task.lane) for name in first)
    ready = view.ready.get(task.route, {})
    if places[task.lane]:
        before += sum(score < lane.score for entry, score in ready.items() if entry != mark)
    else:
        before += sum((score, entry) < (lane.score, task.lane) for entry, score in ready.items() if entry[0] == "@")
    return before, lane.band // 2 if lane.band > lane.own else None


def in_order(truth: Truth, asked: Query) -> list[str]:
    """The names that a question by status and agent finds: newest first, of each status or over all."""
    found = [task for task in truth.tasks.values() if asked.status in (None, task.status)]
    found = [task for task in found if asked.agent in (None, task.agent, pool_of(task.agent))]
    found.sort(key=lambda task: (task.since, task.name), reverse=True)
    if not asked.recent:
        found.sort(key=lambda task: _STATUSES.index(task.status))
    return [task.name for task in found]


def found(truth: Truth, asked: Query) -> set[str]:
    """Those of a name or a host."""
    return {
        task.name
        for task in truth.tasks.values()
        if asked.workspace in (None, task.name) and asked.host in (None, task.host)
    }


def later(one: str, other: str) -> bool:
    """Whether stream id `one` is later than `other`."""
    return _parts(one) > _parts(other)


def _parts(text: str) -> tuple[int, int]:
    ms, _, count = text.partition("-")
    return int(ms), int(count or 0)
