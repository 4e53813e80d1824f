"""The actions themselves: each asks its verbs to the end."""

import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeVar

from coordinator.actions.answers import Dispatched, Killed, Poked, Started, Stopped, Summary
from coordinator.errors import InvalidQuestion, Problem
from coordinator.operations import Freeze, GetStatus, Kill, Reap, Submit, Thaw
from coordinator.operations._operation import Operation, question
from coordinator.operations.reap import Lost

Reply = TypeVar("Reply")


class Answering(Protocol):
    """Whoever answers verbs: a Store, or one with less patience."""

    async def run(self, operation: Operation[Reply]) -> Reply:
        """Ask for one atomic change."""
        ...

    async def publish(self, json: str) -> int:
        """Say something on the bus; the answer is how many heard it."""
        ...


async def dispatch(
    store: Answering,
    workspace: str,
    agent: str | None = None,
    *,
    task: str | None = None,
    repo: str | None = None,
    org: str | None = None,
    branch: str | None = None,
    source: str | None = None,
    dir: str | None = None,  # noqa: A002  # the field's name on every door
    priority: int | None = None,
    host: str | None = None,
    labels: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    not_before: int | None = None,
    deadline: int | None = None,
    again: bool | None = None,
    asker: str | None = None,
    ttl: int | None = None,
    otherwise: Literal["queue", "refuse"] | None = None,
    id: str | None = None,  # noqa: A002
) -> Dispatched:
    """Ask that an agent, the fleet's default where none is named, works on a workspace.

    It is granted to an `asker` at once where it may start; `otherwise` says what is done where it may not. Asked again
    with its `id`, it is answered with the same grant, and has not run twice; a question that names none gets a new one.
    Times are epoch ms: before `not_before` it does not start; what has not started at its `deadline` has failed.
    """
    if (asker or again) and id is None:
        id = secrets.token_hex(8)  # noqa: A001  # an answer that was lost on its way is given again
    asked = question(
        Submit, workspace=workspace, agent=agent, task=task, repo=repo, org=org, branch=branch, source=source, dir=dir,
        priority=priority, host=host, labels=_listed(labels), keys=_listed(keys), not_before=not_before,
        deadline=deadline, again=again, asker=asker, ttl=ttl,
        otherwise=otherwise, id=id,
    )  # fmt: skip
    return Dispatched(workspace, await store.run(asked))


async def status(store: Answering) -> Summary:
    """The fleet at a glance."""
    return Summary(await store.run(GetStatus()))


async def start(store: Answering, key: str | None = None, *, by: str | None = None) -> Started:
    """Thaw the queue, or one limit key. It is remembered until somebody stops it."""
    return Started(await store.run(question(Thaw, key=key, by=by)))


async def stop(
    store: Answering,
    key: str | None = None,
    *,
    by: str | None = None,
    reason: str | None = None,
    lasts: int | None = None,
    until: int | None = None,
) -> Stopped:
    """Freeze the queue, one limit key, or a host (`host:build-1`).

    For `lasts` ms, or `until` a moment (epoch ms), else until somebody starts it.
    """
    asked = question(Freeze, key=key, by=by, reason=reason)
    if lasts is not None:
        until = (await store.run(GetStatus())).now + lasts
    if until is None:
        return Stopped(await store.run(asked))
    return Stopped(await store.run(question(Freeze, key=key, by=by, reason=reason, until=until)), until)


def chosen(everything: bool = False, *, by: str | None = None, reason: str | None = None, **named: str | None) -> Kill:
    """What a kill is about: the one of `workspace agent repo host` that is named, else everything.

    An empty name is a mistake (`kill "$UNSET"`) and never means everything: InvalidQuestion.
    """
    given: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    given |= {"all": True} if everything or not given else {}
    if len(given) > 1:
        raise InvalidQuestion([Problem(", ".join(given), "can not be given together", "choose by one of them")])
    return question(Kill, **given, by=by, reason=reason)


async def kill(
    store: Answering,
    workspace: str | None = None,
    *,
    agent: str | None = None,
    repo: str | None = None,
    host: str | None = None,
    by: str | None = None,
    reason: str | None = None,
) -> Killed:
    """End what runs and fail what waits: what the one selector names, else everything, which also freezes the queue."""
    asked = chosen(workspace=workspace, agent=agent, repo=repo, host=host, by=by, reason=reason)
    running: dict[str, None] = {}
    cleared = 0
    while True:
        part = await store.run(asked)
        running |= dict.fromkeys(part.running)
        cleared += part.cleared
        if not part.more:
            return Killed(tuple(running), cleared, frozen=bool(asked.all))
        asked = asked.model_copy(update={"cursor": part.cursor})


async def poke(store: Answering) -> Poked:
    """Look now: wake the replicas, and do what time has made due. Nothing needs it; it only hurries."""
    heard = await store.publish('{"type":"PokeQueue"}')
    lost: list[Lost] = []
    opened: Counter[str] = Counter()
    while True:
        part = await store.run(Reap())
        lost += part.lost
        opened.update(part.opened)
        if not part.more:
            return Poked(heard, tuple(lost), tuple(opened.elements()))


def _listed(names: Sequence[str] | None) -> Any:
    return names if names is None or isinstance(names, str) else list(names)  # a text is no list of its letters
