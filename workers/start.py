"""From a grant to a running agent: its directory, its checkout, its command, its guard."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from coordinator.config.runners import Runner
from coordinator.errors import WorkerError
from coordinator.models import Grant
from coordinator.words import ACCOUNT, model_of, pool_of, shown
from workers.agents import commands
from workers.prompt import prompt
from workers.run import Run
from workers.sessions import note, session_for
from workers.source import branch_for, checkout
from workers.workspace import Workspace, rfc3339

_MOST_RUNS: Final = 1 << 31  # what others may have written there fits an integer of theirs


async def prepare(
    grant: Grant, workspace: Workspace, runners: Mapping[str, Runner], host: str, kill_grace_ms: int
) -> Run:
    """Make the workspace ready and say what to run on this host. Raises WorkerError when this host can not."""
    runner = runners.get(pool_of(grant.agent))
    if runner is None:
        raise WorkerError(f"this host has no runner for {pool_of(grant.agent)}: add it to runners in agents.yaml")
    if grant.account and not ACCOUNT.accepts(grant.account):  # it may become part of a path
        raise WorkerError(f"its account {shown(grant.account)} was changed by hand into what is no name")
    workspace.prepare(grant)
    branch = grant.branch or branch_for(grant.workspace)
    if grant.source:
        await checkout(grant.source, workspace.repo, branch)
    workspace.tell(grant.answer)
    session = session_for(grant, workspace, runner, host)
    again = bool(runner.adapter) and _runs(workspace) > 0  # a command's {task} may be read by a program
    values = {
        "workspace": grant.workspace, "dir": str(workspace.path), "agent": grant.agent,
        "task": prompt(grant, goes_on=bool(session and session.goes_on), again=again),
        "model": model_of(grant.agent), "repo": grant.repo or "", "branch": branch,
        "account": grant.account or "",
    }  # fmt: skip
    named = {"DISPATCH_SESSION": grant.session} if grant.session and not runner.adapter else {}
    named |= {"DISPATCH_ACCOUNT": grant.account} if grant.account else {}
    run = Run(
        token=grant.token,
        workspace=grant.workspace,
        argv=commands.argv(runner, values, session),
        env=commands.environment(runner, os.environ, grant.account or "") | named,
        cwd=workspace.work,
        log=workspace.log(grant.agent),
        kill_grace_ms=kill_grace_ms,
        stdin=commands.stdin_text(runner, values),
        timeout_ms=runner.timeout,
        memory_max=runner.memory_max,
        log_max=runner.log_max,
        log_full_ends=runner.log_full == "end",
        stalled_ms=runner.stalled,
    )
    note(grant, workspace, runner, host, session)
    return run


def running(grant: Grant, workspace: Workspace, pid: int) -> None:
    """Write status.json of a run that has started."""
    workspace.write({
        "status": "running", "agent": grant.agent, "repo": grant.repo or "", "org": grant.org, "task": grant.task,
        "branch": grant.branch or (branch_for(grant.workspace) if grant.source else None), "pid": pid or None,
        "question": None, "started_at": rfc3339(), "runs": _runs(workspace) + 1,
        "token": grant.token, "account": grant.account, "cpu_ms": None, "peak_memory": None,
        "workspace": grant.workspace if grant.dir not in (None, grant.workspace) else None,
    })  # fmt: skip


def _runs(workspace: Workspace) -> int:
    """How often an agent was started in this directory."""
    found = workspace.read().get("runs")
    return found if isinstance(found, int) and 0 <= found < _MOST_RUNS else 0


def home_of(root: Path, host: str) -> Path:
    """Where a host keeps its lock and the slips of its guards."""
    return root / ".hosts" / host
