"""The laws. Each is checked after every call, on the real keys and against the truth; its name says what it forbids."""

from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

from coordinator.doors.keys import family
from coordinator.models import Refusal
from tests.model.ramp_laws import a_gate_never_opens_early, no_ramp_is_left_behind, the_ramp_never_exceeds_its_allowance
from tests.model.refusal_law import first_refusals_are_told
from tests.model.task_model import No
from tests.model.truth import Truth
from tests.model.view import View, fits, keys_of
from tests.model.world import ROOT


class Moment(NamedTuple):
    """The keys after a call, those before it, the truth, the hosts whose pokes have a receiver, and the new facts."""

    now: View
    before: View
    truth: Truth
    listening: set[str]
    facts: list[dict[str, Any]]


Law = Callable[[Moment], None]


def never_over_a_limit(at: Moment) -> None:
    """Nothing is admitted under a key that is full; only a run that somebody found alive may go beyond its limit."""
    for key, holders in at.now.slots.items():
        limit = at.truth.limit(key)
        if limit is not None and len(holders) > limit:
            grown = holders - at.before.slots.get(key, set())
            # What is tracked or told again runs already: no admission.
            facts = {name for name in grown if name in at.truth.restored or "tracked" in at.now.records[name]}
            assert grown == facts, f"{key} grew to {len(holders)}, its limit is {limit}"


def slots_are_exact(at: Moment) -> None:
    """A key's slots, a host's runs and the leases are exactly those that run: nothing leaks or is missing."""
    running = at.now.of_status("running")
    wanted: dict[str, set[str]] = {"*": running} if running else {}
    held: dict[str, set[str]] = {}
    for name in running:
        record = at.now.records[name]
        for key in keys_of(record):
            wanted.setdefault(key, set()).add(name)
        held.setdefault(record["host"], set()).add(name)
    assert at.now.slots == wanted, "a slot set is not the runs that name its key"
    assert at.now.held == held, "what a host holds is not the runs that name it"
    assert set(at.now.leases) == running, "a lease without a run, or a run without a lease"


def each_workspace_is_in_one_place(at: Moment) -> None:
    """A workspace is listed under its own status alone, and waits in its own lane only while it is queued."""
    awaited = {task.name for task in at.truth.queued() if task.awaited}
    for name, record in at.now.records.items():
        lists = {status for status, names in at.now.under("status").items() if name in names}
        assert lists == {record["status"]}, f"{name} is {record['status']} and listed under {lists}"
        lanes = [lane for lane, names in at.now.lanes.items() if name in names]
        stands = record["status"] == "queued" and name not in awaited
        assert lanes == ([record["lane"]] if stands else []), f"{name} waits in {lanes}"
    listed = {name for names in at.now.under("status").values() for name in names}
    assert listed <= set(at.now.records), f"no record of {listed - set(at.now.records)}"


def who_waits_for_a_time_stands_in_no_lane(at: Moment) -> None:
    """What waits for its time stands in no lane until a call moves it; the next moment of each is kept."""
    waits = {task.name: (task.not_before if task.awaited else task.start_by) for task in at.truth.queued()}
    wanted = {name: when for name, when in waits.items() if when is not None}
    assert at.now.later == wanted, f"{at.now.later} is kept, they wait for {wanted}"


def each_lane_is_in_one_place(at: Moment) -> None:
    """A lane is ready or in the group of the one key that refused it, where it says, at the place of its head."""
    now = at.now
    places: dict[str, list[tuple[str, float]]] = {}
    for route, entries in now.ready.items():
        for entry, score in entries.items():
            if entry.startswith("@"):
                best = min(now.blocked(entry[1:], route).values(), default=None)
                assert score == best, f"{entry} in ready:{route} stands at {score}, its best lane at {best}"
            else:
                places.setdefault(entry, []).append((f"{route}|", score))
    grouped: dict[str, set[str]] = {}
    for key in now.keys.get("blocked", {}):
        for route in now.groups.get(key, set()):
            assert now.blocked(key, route), f"an empty group of {key} on {route}"
            for lane, score in now.blocked(key, route).items():
                places.setdefault(lane, []).append((f"{route}|{key}", score))
                grouped.setdefault(key, set()).add(f"blocked:{key}:{route}")
    assert set(now.groups) == set(now.keys.get("blocked", {})), "groups without their key in `blocked`, or the reverse"
    assert {name for name in now.keys if name.startswith("blocked:")} == set().union(*grouped.values()), "a lost group"
    said = {lane: f"{route}|{key}" for route, lanes in now.where.items() for lane, key in lanes.items()}
    scores = {lane: at.truth.fair.lanes[lane].score for lane in now.lanes}
    wanted = {lane: [(said.get(lane, "nowhere"), scores[lane])] for lane in now.lanes}
    assert places == wanted, f"a lane is not where it says, or not at its turn: {places} for {wanted}"
    assert set(said) == set(now.lanes), "`lanes` names others than there are"


def what_each_lane_has_used_is_charged(at: Moment) -> None:
    """Each lane has used what its runs took or were charged, and stands where that puts it: shares stay fair."""
    fair = at.truth.fair
    told = {name: text for fields in at.now.fair.values() for name, text in fields.items() if " " in name}
    assert told == {name: lane.told for name, lane in fair.lanes.items()}, "what the lanes have used"
    reached = {
        (route, int(name[1:])): int(text)
        for route, fields in at.now.fair.items()
        for name, text in fields.items()
        if name.startswith("v") and " " not in name
    }
    assert reached == fair.reached, "how far the bands of the routes are"
    ages = {name: lane.ages for name, lane in fair.lanes.items() if lane.ages}
    assert at.now.ages == ages, "when somebody looks after a lane that waits"


def every_key_is_known(at: Moment) -> None:
    """No key has a name that the documents and the doctor do not know."""
    strange = [name for name in at.now.keys if not family(ROOT, f"{ROOT}:{name}")]
    assert not strange, f"nobody knows {strange}"


def nothing_is_left_behind(at: Moment) -> None:
    """When nothing runs and nothing waits, no slot, lease, lane, group or mark is left."""
    if at.now.of_status("running") or at.now.of_status("queued"):
        return
    parts = ("slots:", "held:", "lane:", "lanes:", "ready:", "groups:", "blocked:", "leases", "blocked", "later")
    left = [name for name in at.now.keys if name.startswith(parts)]
    assert not left, f"nothing runs or waits, and there is still {left}"


def the_queue_is_drained_when_the_last_one_ends(at: Moment) -> None:
    """Endings are counted until nothing runs and nothing waits, and then told once."""
    ended = int(at.now.control.get("ended", 0))
    assert ended == at.truth.ended, f"{ended} ended since the queue was last empty, the truth is {at.truth.ended}"


def an_admitting_key_is_marked_on_every_route(at: Moment) -> None:
    """A key that admits again is marked on every route on which it keeps somebody waiting."""
    if at.now.opening:
        return
    for key, routes in at.now.groups.items():
        members = at.truth.members(key.partition(":")[2]) if key.startswith("accounts:") else []
        if at.truth.refuses(key) or any(at.now.timers.get(one, inf) <= at.truth.now for one in (key, *members)):
            continue
        for route in routes:
            assert f"@{key}" in at.now.ready.get(route, {}), f"{key} admits and its lanes on {route} are not marked"


def a_shut_gate_has_a_timer(at: Moment) -> None:
    """What the clock will open has a timer at exactly that moment."""
    truth = at.truth
    for key in {*truth.gates, *truth.freezes, *truth.paces, *truth.ramps, *at.now.groups, "*"}:
        ends = [truth.gate(key)] if truth.gate(key) else []
        freeze = truth.freeze_of(key)
        ends += [freeze[0]] if freeze and freeze[0] is not None else []
        ends += [truth.settling] if key == "*" and truth.settling > truth.now else []
        edge = truth.paces[key].changes(truth.now) if key in truth.paces else None
        ends += [edge] if edge is not None else []
        ramp = truth.ramp_of(key, truth.limit(key))
        ends += [ramp.changes(truth.now, truth.limit(key))] if ramp else []
        timer = at.now.timers.get(key)
        if ends:
            assert timer == min(ends) or (timer is not None and timer <= truth.now), f"{key} ends {ends}, timer {timer}"


def what_falls_due_is_told(at: Moment) -> None:
    """Replicas sleep until the time they were told: nothing needs them earlier."""
    leases = {} if at.truth.settling > at.truth.now else at.now.leases
    parts = (at.now.timers, at.now.later, at.now.poked, at.now.ages, leases)
    whens = [when for part in parts for when in part.values()] + ([float(at.truth.now)] if at.now.opening else [])
    if whens:
        due = float(at.now.control.get("due", "inf"))
        assert due <= max(min(whens), at.truth.now), (
            f"something falls due at {min(whens):.0f}, replicas sleep until {due:.0f}"
        )


def work_conserving(at: Moment) -> None:
    """What could start on a host that waits has a host on its way to it."""
    now, truth = at.now, at.truth
    if now.opening or any(when <= truth.now for part in (now.timers, now.later) for when in part.values()):
        return
    for task in truth.queued():
        idle = set(now.waiting.get(task.route, {}))
        if idle and not truth.judge(task):
            assert any(task.route in now.serves.get(host, set()) for host in now.poked), (
                f"{task.name} could start, {sorted(idle)} wait for {task.route}, and nobody was woken"
            )


def tokens_only_grow(at: Moment) -> None:
    """A run has a higher token than every run before it."""
    assert int(at.now.keys.get("fence", 0)) >= int(at.before.keys.get("fence", 0)), "the fence went back"
    highest = max((int(one.get("token", 0)) for one in at.before.records.values()), default=0)
    known = max((int(one.get("token", 0)) for one in at.now.records.values()), default=0)
    assert int(at.now.keys.get("fence", 0)) >= known, "a token may be given again"
    for name, record in at.now.records.items():
        old = int(at.before.records.get(name, {}).get("token", 0))
        token = int(record.get("token", 0))
        if record["status"] == "running" and token != old:
            highest = 0 if name in at.truth.restored else highest
            assert token > max(old, highest), f"{name} has token {token} after {max(old, highest)}"


def who_waits_where_agrees(at: Moment) -> None:
    """Hosts wait for the routes that fit them alone; none waits and is poked; a poke went where somebody listens."""
    now = at.now
    assert set(now.hosts) == set(now.keys.get("hosts", {})), "`hosts` names others than have a record"
    for name, host in now.hosts.items():
        wanted = {route for route in now.keys.get("routes", {}) if fits(route, name, host)}
        assert now.serves.get(name, set()) == wanted, f"{name} serves other routes than fit it"
        waits = {route for route, names in now.waiting.items() if name in names}
        assert waits == (wanted if now.waits(name) else set()), f"{name} waits for other routes than it says"
        assert not (now.waits(name) and name in now.poked), f"{name} waits and is poked"
        assert not (now.waits(name) and "quiet" in host), f"{name} is quiet and waits"
        assert not (now.waits(name) and at.truth.cold(name)), f"{name} is frozen and waits"
    assert set(now.poked) <= set(now.hosts), "a host that is gone is poked"
    poked = {name for name in set(now.poked) - set(at.before.poked) if now.hosts[name]["mode"] == "pull"}
    assert poked <= at.listening, "a poke went where nobody listens"
    served = {(route, name) for route, names in now.served.items() for name in names}
    assert served == {(route, name) for name, routes in now.serves.items() for route in routes}, "served is not serves"


def a_push_host_with_room_waits(at: Moment) -> None:
    """A push host with room, which asks for nothing, is known to have it: what becomes ready finds it."""
    for name, host in at.truth.hosts.items():
        cold = at.truth.cold(name) or at.now.timers.get(f"host:{name}", at.truth.now + 1) <= at.truth.now
        if host.mode == "push" and not host.quiet and not at.truth.silent(host) and not cold:
            room = host.room > len(at.truth.held(name))
            assert not room or at.now.waits(name) or name in at.now.poked, f"{name} has room, and nobody knows"


def the_keys_tell_the_truth(at: Moment) -> None:
    """Every record says what the plain truth says: status, place, attempts, holder, token, deadline."""
    assert set(at.now.records) == set(at.truth.tasks)
    for name, task in at.truth.tasks.items():
        record = at.now.records[name]
        counts = (int(record.get(field, 0)) for field in ("priority", "attempt", "runs"))
        seen = (record["status"], record["lane"], *counts)
        assert seen == (task.status, task.lane, task.priority, task.attempt, task.runs), name
        known = tuple(record.get(field) for field in ("answer", "requires", "agent", "repo", "org", "ran_on", "asked"))
        told = (task.answer, task.requires, task.agent, task.repo, task.org, task.ran_on, task.asked)
        assert known == told, name
        times = [int(record[name]) if name in record else None for name in ("not_before", "deadline")]
        assert times == [task.not_before, task.start_by], name
        assert at.now.keys[f"status:{task.status}"][name] == task.since, f"{name} changed its status at another time"
        assert task.status != "queued" or "account" not in record, f"{name} waits and has an account"
        if task.status == "running":
            run = (record["host"], record["mode"], int(record["token"]), int(at.now.leases[name]), "kill" in record)
            assert run == (task.host, task.mode, task.token, task.deadline, task.killed), name
            assert (("confirmed" in record), ("tracked" in record)) == (task.confirmed, task.tracked), name
            assert record.get("account") == task.account, f"{name} runs under another account"
        stilled = task.status == "running" and task.stilled
        assert ("stilled" in record) == stilled, f"{name} is {'not ' * stilled}marked as one whose agent stands still"
        assert record.get("receipt") == task.receipt, f"{name}: what its end found is {record.get('receipt')}"


def what_was_forgotten_is_counted(at: Moment) -> None:
    """What was forgotten is in the summary of its pool, once."""
    told = {field: int(text) for field, text in at.now.keys.get("summary", {}).items()}
    assert told == {field: total for field, total in at.truth.summary.items() if total}


def hosts_tell_the_truth(at: Moment) -> None:
    """Every host, limit, rate and count of failures is what the plain truth says."""
    assert set(at.now.hosts) == set(at.truth.hosts)
    for name, host in at.truth.hosts.items():
        row = at.now.hosts[name]
        assert (row["incarnation"], row.get("slots"), row["mode"]) == (host.incarnation, host.slots_text, host.mode)
        told = "quiet" in row, int(row.get("seq", 0)), int(row["epoch"]), "fresh" in row
        assert told == (host.quiet, host.seq, host.epoch, host.fresh), name
    failures = {pool: int(count) for pool, count in at.now.keys.get("fail_count", {}).items()}
    assert failures == at.truth.failures, "fast failures in a row"
    limits = {key: int(limit) for key, limit in at.now.keys.get("limits", {}).items()}
    assert limits == at.truth.limits, "limits"
    assert at.now.under("accounts") == {pool: {*names} for pool, names in at.truth.accounts.items()}, "accounts"
    assert at.now.control.get("accounts", "").split() == sorted(at.truth.accounts), "the pools that have accounts"
    rates = {name.partition(":")[2]: fields for name, fields in at.now.keys.items() if name.startswith("rates:")}
    assert rates == {pool: {name: str(value) for name, value in one.items()} for pool, one in at.truth.rates.items()}
    assert at.now.control.get("paced", "").split() == sorted(at.truth.rates), "the pools that have rates"


def it_settles_until_all_have_told(at: Moment) -> None:
    """After a loss nothing is granted until every host that is or was there has told what it holds, or in time."""
    settling = int(at.now.control.get("settling", 0))
    assert max(settling, at.truth.now) == max(at.truth.settling, at.truth.now), "settling"
    if settling <= at.truth.now:
        return
    assert {*at.now.control.get("expected", "").split()} == at.truth.expected, "other hosts are expected"
    started = {fact["workspace"] for fact in at.facts if fact["type"] == "AgentStarted" and "restored" not in fact}
    granted = {name for name in started if not at.truth.tasks[name].tracked}
    assert not granted, f"{granted} were granted before all have told"


#: What a fact of each of these kinds says.
_OF_RUNS = {
    "AgentStarted": ("workspace", "host", "attempt", "restored"),
    "SpawnQueued": ("workspace", "host"),
    "AgentCompleted": ("workspace", "host", "status"),
    "AgentLost": ("workspace", "host"),
    "KillRequested": ("workspace", "host"),
    "QueueDrained": ("completed",),
    "ChannelPush": ("channel", "data"),
}


def what_happened_is_told(at: Moment) -> None:
    """Every start, ending, loss and wish for an end is one fact, and there is none of what did not happen."""
    told = sorted(
        (fact["type"], *(str(fact.get(field, "")) for field in _OF_RUNS[fact["type"]]))
        for fact in at.facts
        if fact["type"] in _OF_RUNS and fact.get("channel") != "ratelimit.status"
    )
    assert told == sorted(at.truth.told), f"told {told}, what happened is {sorted(at.truth.told)}"
    # of each workspace the last: a host may tell of two of its runs in one question
    last = {fact["workspace"]: fact for fact in at.facts if fact["type"] == "AgentStarted"}
    for name, fact in last.items():
        record = at.now.records.get(name, {})
        if record.get("status") == "running":
            assert (fact["token"], fact["agent"]) == (int(record["token"]), record["agent"]), fact


def nothing_changed(before: View, after: View, *, wakes: bool = True) -> None:
    """What a stale holder, a refused host or a reader asks leaves every key as it was."""
    was, now = before.lasting(wakes=wakes), after.lasting(wakes=wakes)
    assert now == was, f"changed: {sorted(name for name in {*was, *now} if was.get(name) != now.get(name))}"


def a_retry_changes_nothing_twice(before: View, after: View, first: Any, second: Any) -> None:
    """A question that is asked again changes nothing and is answered alike."""
    nothing_changed(before, after, wakes=first.outcome not in ("set", "thawed"))  # those wake a host more: no harm
    if first.outcome == second.outcome:
        lost = ("lost", "unknown", "ttl") if first.outcome in ("renewed", "restored") else ()
        for part in ("grants", "more", "kill", "unseen", "place", *lost):
            assert _as_set(getattr(first, part, None)) == _as_set(getattr(second, part, None)), (
                f"{first}, then {second}"
            )


def _as_set(value: Any) -> Any:
    return {repr(one) for one in value} if isinstance(value, tuple) else value


def refusal_is_true(said: Refusal | None, no: No | None) -> None:
    """A refusal names the first key that refuses, with its numbers and its time."""
    told = said and No(said.key, said.reason, said.used, said.limit, said.until)
    assert told == no, f"said {said}, true is {no}"


def a_first_refusal_is_told(at: Moment) -> None:
    """A lane that comes under another key says so with its head, once; one that stays says nothing."""
    first_refusals_are_told(at.now, at.before, at.facts)


ALWAYS: tuple[Law, ...] = (
    a_first_refusal_is_told,
    never_over_a_limit,
    slots_are_exact,
    each_workspace_is_in_one_place,
    who_waits_for_a_time_stands_in_no_lane,
    each_lane_is_in_one_place,
    what_each_lane_has_used_is_charged,
    every_key_is_known,
    nothing_is_left_behind,
    the_queue_is_drained_when_the_last_one_ends,
    an_admitting_key_is_marked_on_every_route,
    a_shut_gate_has_a_timer,
    no_ramp_is_left_behind,
    the_ramp_never_exceeds_its_allowance,
    a_gate_never_opens_early,
    what_falls_due_is_told,
    work_conserving,
    tokens_only_grow,
    who_waits_where_agrees,
    a_push_host_with_room_waits,
    the_keys_tell_the_truth,
    what_was_forgotten_is_counted,
    hosts_tell_the_truth,
    it_settles_until_all_have_told,
    what_happened_is_told,
)

#: What is asked of an answer, beside the laws of every moment.
OF_ANSWERS: tuple[Callable[..., None], ...] = (nothing_changed, a_retry_changes_nothing_twice, refusal_is_true)
