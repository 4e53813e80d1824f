"""What a server is told again that came back empty, or without its last words; and what is remembered for it."""

import re
from typing import Any, Final

from coordinator.operations import Push, Restore
from coordinator.operations.restore import HeldRun
from coordinator.words import pool_of
from tests.model.task_model import COMMON, Task
from tests.model.truth import Truth

_HIGHEST: Final = 19  # the band of priority 9, put in front
_MINUTE: Final = 60_000


def restore(truth: Truth, ask: Restore, fence: int) -> tuple[int, list[str]] | None:
    """How many were forgotten, and which are not the host's any more; None: it is not registered.

    `fence` is the highest token that the server knew before.
    """
    truth.begin()
    host = truth.hosts.get(ask.host)
    if not host or host.incarnation != ask.incarnation:
        return None
    count, lost = 0, list[str]()
    stood = list[tuple[Task, HeldRun]]()
    for run in ask.runs:
        forgotten = _is_forgotten(truth, run, fence)
        if forgotten:
            _know_again(truth, run, ask)
            count += 1
        task = truth.tasks.get(run.workspace)
        if run.ending:
            told = run.ending.model_copy(update={"workspace": run.workspace, "token": run.token})
            truth.report(told, began=not forgotten or run.started_at is not None)
            continue
        if not task or not _holds(task, run, ask):
            lost.append(run.workspace)
            continue
        if not forgotten:
            truth.prolong(task)
        if run.stilled and task.mode == "pull":
            stood.append((task, run))
    if count and host.mode != "push" and host.fresh:
        if host.name not in truth.expected:
            truth.expect_unnamed()
        if _is_new(truth) and "*" not in truth.signed:
            truth.sign("*", None, "restore", f"the server came back empty: {host.name} tells of runs that it forgot")
    lost += [task.name for task, run in stood if _holds(task, run, ask) and truth.is_late(task)]
    return count, lost


def _holds(task: Task, run: HeldRun, ask: Restore) -> bool:
    return (task.status, task.host, task.token) == ("running", ask.host, run.token)


def _is_new(truth: Truth) -> bool:
    """Nobody has set or thawed anything who knew what there was: it may have forgotten more than these runs."""
    return truth.blind > 0 if truth.configured else "*" in truth.freezes


def _is_forgotten(truth: Truth, run: HeldRun, fence: int) -> bool:
    """The grant is newer than all that is known of the workspace. What ended may be forgotten before its host forgets
    it: then a token that was known once says that the ending was counted."""
    task = truth.tasks.get(run.workspace)
    if task is None and run.ending and truth.settings["history"] < truth.settings["lease_ttl"] and run.token <= fence:
        return False
    return (task.newest if task else 0) < run.token


def _know_again(truth: Truth, run: HeldRun, ask: Restore) -> None:
    """It runs on the host that tells of it, as it was granted; what ran or waited under its name does so no more."""
    task = truth.tasks.get(run.workspace)
    if task is None:
        task = truth.tasks[run.workspace] = Task(run.workspace, run.agent, truth.next_order())
    if task.status == "running":
        truth.give_back(task)
    lane, task.status = task.lane, ""
    truth.left(lane)
    task.agent, task.org, task.repo = run.agent, run.org, run.repo
    _stand_as(task, run)
    task.pinned, task.past = False, 0
    before = max((run.attempt or 1) - 1, 0)
    task.attempt, task.runs = before, max(task.runs, before)
    mode = "push" if truth.hosts[ask.host].mode == "push" else "pull"
    truth.start(task, ask.host, mode, truth.settings["lease_ttl"], granted=False, restored=True)
    task.token, task.machine, task.account = run.token, ask.machine, run.account
    task.confirmed = mode == "push"
    task.started = truth.now if run.started_at is None else run.started_at
    truth.restored.add(task.name)


def _stand_as(task: Task, run: HeldRun) -> None:
    """The wishes that its lane tells, where a submit could have made it."""
    route, *keys = (run.lane or "").split(" ")
    band = COMMON
    if keys and re.fullmatch(r"#\d+", keys[-1]):
        band = int(keys.pop()[1:])
    head, *labels = route.split("+")
    pool, _, wanted = head.partition("@")
    fine = keys and pool == keys[0] == pool_of(run.agent) and band <= _HIGHEST
    task.requires, task.labels = (wanted or None, frozenset(labels)) if fine else (None, frozenset())
    task.priority, front = divmod(band if fine else COMMON, 2)
    task.front, task.extra = bool(front), ()
    task.extra = tuple(key for key in keys if fine and key not in task.keys)  # it asked for these beyond its own


def backup(truth: Truth) -> dict[str, Any]:
    """What operators have set, and the hosts, those that beat last at the end."""
    freezes = {
        key: {"until": ends[0], **truth.signed[key]._asdict()} for key in truth.signed if (ends := truth.freeze_of(key))
    }
    return {
        "new": not truth.configured,
        "blind": truth.blind or None,
        "epoch": truth.epoch,
        "limits": truth.limits,
        "rates": truth.rates,
        "accounts": {pool: tuple(names) for pool, names in truth.accounts.items()},
        "weights": truth.fair.weights,
        "settings": truth.own,
        "default_agent": truth.named_agent,
        "gates": {key: {"until": truth.gate(key), "reason": truth.whys[key]} for key in truth.gates if truth.gate(key)},
        "freezes": {key: freeze for key, freeze in freezes.items() if key != "*"},
        "frozen": truth.freeze_of("*") is not None,
        "freeze": freezes.get("*"),
        "hosts": tuple(sorted(truth.hosts, key=lambda name: (truth.hosts[name].beat, name))),
        "now": truth.now,
    }


def push(truth: Truth, ask: Push) -> str:
    """Of all who ask under one id within a minute only the first is heard."""
    truth.begin()
    truth.pushed = {name: at for name, at in truth.pushed.items() if at > truth.now - _MINUTE}
    if ask.id in truth.pushed:
        return "already"
    if ask.id:
        truth.pushed[ask.id] = truth.now
    return "pushed"
