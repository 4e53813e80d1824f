"""demo: watch real work being dispatched under tight limits, with nothing set up."""

import asyncio
import os
import secrets
import signal
from collections.abc import Coroutine
from typing import Annotated, Any

import typer

from coordinator.config import fleet
from coordinator.config.settings import Settings
from coordinator.doors.demo import place, plans, report, running, sources
from coordinator.doors.demo.plans import Plan
from coordinator.doors.demo.summary import Summary
from coordinator.doors.failing import refused
from coordinator.doors.options import RUN, Config, Json, command
from coordinator.doors.printing import emit, say


def add(app: typer.Typer) -> None:
    """Register it."""
    command(app, RUN, "coordinator demo", "coordinator demo --agent claude --tasks 3")(demo)


def demo(  # one parameter an option
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="A real agent of agents.yaml instead, which costs what it costs.")
    ] = None,
    tasks: Annotated[
        int | None, typer.Option(min=1, max=500, help="How many; 24 by default, 6 with --agent.", show_default=False)
    ] = None,
    redis_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Use this server, in a namespace of its own that is removed again."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Keep the directory with the results.")] = True,
    config: Config = None,
    json: Json = False,
) -> None:
    """Real work under tight limits, with nothing set up: a server, two replicas, two workers and three pools of agents.

    The agents are small programs that read, check and change packages of Python's standard library, and commit. Nothing
    of your own fleet or directories is touched. Exit code 0: all completed, every limit reached and none exceeded.
    """
    sources.need_git()
    plan = _plan(agent, config)
    with place.made(keep=keep) as where:
        if plan.spends and not json:
            say(f"{agent} is a real agent: {tasks or plan.tasks} tasks will use its account. Ctrl-C ends it.")
        namespace = f"demo-{secrets.token_hex(3)}"
        work = running.run(where, plan, tasks or plan.tasks, namespace, redis_url, quiet=json)
        summary = asyncio.run(_stoppable(work))
        if not keep:
            summary = summary.model_copy(update={"directory": None, "sample": None})
        if json:
            emit(summary)
        else:
            report.print_summary(summary)
    if not summary.ok:
        raise refused(f"the demo did not end well: {'; '.join(summary.problems)}")


def _plan(agent: str | None, config: str | None) -> Plan:
    if agent is None:
        return plans.programs()
    path, named = Settings.from_environ(os.environ).config_file(config)
    text = fleet.read(path, explicit=named)
    known = fleet.unconfigured() if text is None else fleet.parse(text, path.name)[0]  # what is odd is no part of this
    return plans.chosen(agent, known, str(path))


async def _stoppable(work: Coroutine[Any, Any, Summary]) -> Summary:
    """A closed terminal or a TERM ends it as Ctrl-C does: everything it started is stopped."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
