"""One demo from its first process to its last: start the fleet, submit, watch until all has ended, count."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from coordinator import replica
from coordinator.config import fleet
from coordinator.config.settings import Settings
from coordinator.doors.demo import members, screen, sources
from coordinator.doors.demo.agents.marked import now_ns
from coordinator.doors.demo.place import Place
from coordinator.doors.demo.plans import Plan
from coordinator.doors.demo.summary import Summary, count, sum_up
from coordinator.doors.demo.tasks import Task, make_tasks
from coordinator.doors.demo.watch import Watch
from coordinator.doors.printing import note, say
from coordinator.doors.session import Session, question, server_of
from coordinator.operations import Submit, Thaw
from coordinator.store import Store


async def run(place: Place, plan: Plan, wanted: int, namespace: str, redis_url: str | None, *, quiet: bool) -> Summary:
    """Run `wanted` tasks; every process has ended when this returns. Raises CoordinatorError."""
    began = time.monotonic()
    environ = place.environment(os.environ, namespace, redis_url)
    place.config.write_text(plan.agents_yaml(place), encoding="utf-8")
    async with _opened(place, Settings.from_environ(environ)) as session, members.running(place, environ) as team:
        await replica.begin(session.store, fleet.load(place.config), thawed=True)
        await session.ask(Thaw(by="demo"))
        await team.start(slots=plan.slots)
        packages = sources.packages()
        base = await asyncio.to_thread(sources.make_repository, place.source, packages, environ)
        tasks = make_tasks(plan, wanted, [package.name for package in packages])
        if not quiet:
            say(f"{wanted} tasks on Python's own source files, for {plan.whom}")
            say(f"all of it happens in {place.directory}")
            say(f"look yourself: {session.cli}    (keys begin with {session.store.root})")
        try:
            with screen.opened(quiet=quiet) as shown:
                watch = Watch(session, plan, team, shown, wanted, began)
                await watch.until(lambda moment: len(moment.hosts) == len(members.HOSTS))
                submitted = await _submit(session, place.source, tasks)
                last = await watch.until(lambda moment: moment.ended == wanted)
        except asyncio.CancelledError:
            note("stopping: all that was started is ended first")
            raise
        await team.quiet()
        seconds = time.monotonic() - began
        counted = await asyncio.to_thread(count, place, plan, submitted, base)
        return sum_up(place, counted, last.workspaces, base, seconds)


@contextlib.asynccontextmanager
async def _opened(place: Place, settings: Settings) -> AsyncIterator[Session]:
    """The embedded server of this demo; or the given one, on which no key of the demo stays."""
    with server_of(settings, place.root) as (url, cli):
        async with Store.connect(url, settings.root) as store:
            session = Session(settings, store, cli)
            await session.within(store.server())
            try:
                yield session
            finally:
                if settings.redis_url:
                    await session.within(_forgotten(store))


async def _forgotten(store: Store) -> None:
    if names := list(await store.types()):
        await store.redis.unlink(*names)


async def _submit(session: Session, source: Path, tasks: list[Task]) -> dict[Task, int]:
    """Submit all, in order; when each was, on the clock of the marks."""
    when: dict[Task, int] = {}
    for task in tasks:
        when[task] = now_ns()
        fields = {"agent": task.agent, "task": task.text, "source": str(source), "org": "demo", "repo": "stdlib"}
        await session.ask(question(Submit, workspace=task.workspace, **fields))
    return when
