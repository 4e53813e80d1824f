"""doctor: is everything as it must be, and if not, how to mend it."""

import asyncio
import os

import typer

from coordinator.config.settings import Settings
from coordinator.doors.checks import Finding, of_machine, of_server
from coordinator.doors.failing import REFUSED
from coordinator.doors.options import LOOK, Json, Root, command
from coordinator.doors.printing import emit, say
from coordinator.doors.session import opened

_STYLES = {"ok": "green", "note": "yellow", "wrong": "red"}


def add(app: typer.Typer) -> None:
    """Register it."""
    command(app, LOOK, "coordinator doctor")(doctor)


def doctor(json: Json = False, root: Root = None) -> None:
    """Check the server, its keys, the hosts and agents.yaml.

    Each thing that is wrong comes with its mend; exit 1 when there is one."""
    asyncio.run(_doctor(root, as_json=json))


async def _doctor(root: str | None, *, as_json: bool) -> None:
    findings = list(of_machine(Settings.from_environ(os.environ)))
    if not as_json:
        _print(findings)
    async with opened(root) as session:
        async for finding in of_server(session):
            findings.append(finding)
            if not as_json:
                _print([finding])
    wrong = sum(finding.state == "wrong" for finding in findings)
    if as_json:
        emit({"outcome": "checked", "ok": not wrong, "findings": [finding._asdict() for finding in findings]})
    else:
        say("all is well" if not wrong else f"{wrong} things are wrong", "red bold" if wrong else "green bold")
    if wrong:
        raise typer.Exit(REFUSED)


def _print(findings: list[Finding]) -> None:
    for what, state, text, fix in findings:
        say(f"{state:<6} {what:<12} {text}", _STYLES[state] if state != "ok" else "")
        if fix:
            say(f"{'':<19} -> {fix}")
