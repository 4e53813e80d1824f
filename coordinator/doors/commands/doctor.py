"""doctor: is everything as it must be, and if not, how to mend it."""

import asyncio
import os
from typing import Annotated, Any, get_args

import typer

from coordinator.config.settings import Settings
from coordinator.doors import faults
from coordinator.doors.checks import Finding, of_machine, of_server
from coordinator.doors.failing import REFUSED
from coordinator.doors.machine import Wrong
from coordinator.doors.options import LOOK, Json, Root, command
from coordinator.doors.printing import emit, say, table
from coordinator.doors.session import Session, opened, who, workspace_root
from coordinator.errors import ConfigError, CoordinatorError, StoreUnavailable
from coordinator.operations.faults import FaultClass

_STYLES = {"ok": "green", "note": "yellow", "wrong": "red"}


def add(app: typer.Typer) -> None:
    """Register it."""
    command(app, LOOK, "coordinator doctor", "coordinator doctor --fix")(doctor)


def doctor(
    json: Json = False,
    root: Root = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what the records prove to be wrong.")] = False,
) -> None:
    """Check the server, its keys, the hosts, this machine's runs and files, and agents.yaml.

    Each thing that is wrong comes with its mend; exit 1 when there is one. What is leaked has no owner, what is
    doubled is in two places, what is orphaned is not known where it belongs. --fix ends no run but one that a newer
    run of the same workspace has replaced, and mends nothing while the hosts have still to tell what they hold."""
    asyncio.run(_doctor(root, as_json=json, mend=fix))


async def _doctor(root: str | None, *, as_json: bool, mend: bool) -> None:
    findings = list(of_machine(Settings.from_environ(os.environ)))
    if not as_json:
        _print(findings)
    async with opened(root) as session:
        seen = await _faults(session, root, mend=True) if mend else None  # so that the checks see what it left
        async for finding in of_server(session):
            findings.append(finding)
            if not as_json:
                _print([finding])
        wrong, mended, refused = seen or await _faults(session, root, mend=False)
    bad = sum(finding.state == "wrong" for finding in findings) + len(wrong) + bool(refused)
    if as_json:
        shown = [_shown(one) for one in wrong]
        emit({"outcome": "checked", "ok": not bad, "findings": [finding._asdict() for finding in findings]},
             faults=shown, mended=[dict(zip(("class", "place", "workspace"), one, strict=True)) for one in mended],
             refused=refused or None)  # fmt: skip
    else:
        _say(wrong, mended, refused)
        said = "all is well" if not bad else "1 thing is wrong" if bad == 1 else f"{bad} things are wrong"
        say(said, "red bold" if bad else "green bold")
    if bad:
        raise typer.Exit(REFUSED)


async def _faults(
    session: Session, root: str | None, *, mend: bool
) -> tuple[list[Wrong], list[tuple[str, str, str]], str]:
    """What is wrong, after it was mended where that was asked for; what was mended; why nothing could be proved."""
    try:
        place = workspace_root(session.settings, root)
    except ConfigError:  # it was named above, with all else that is wrong with the file
        place = session.settings.workspace_root(root, None)
    try:
        refused = await faults.doubt(session, place)
        wrong = await faults.look(session, place)
        mended: list[tuple[str, str, str]] = []
        if mend and not refused:
            mended = await faults.fix(session, wrong, who())
            wrong = await faults.look(session, place)
            await faults.tell(session, wrong)
    except StoreUnavailable:
        raise
    except CoordinatorError as error:
        return [], [], str(error)
    return wrong, mended, refused


def _say(wrong: list[Wrong], mended: list[tuple[str, str, str]], refused: str) -> None:
    for klass, place, workspace in mended:
        say(f"mended {klass:<9} {place} {workspace}".rstrip(), "green")
    if refused:
        say(f"wrong  faults       nothing is proved: {refused}", "red")
    if wrong:
        rows = [(one.klass, one.workspace or "-", one.place, one.text, one.fix) for one in wrong]
        table(("class", "workspace", "where", "what", "mend"), rows, dict.fromkeys(get_args(FaultClass), "red"))
    elif not refused:
        say("ok     faults       nothing is leaked, doubled or orphaned")


def _shown(one: Wrong) -> dict[str, Any]:
    return {"class": one.klass, "place": one.place, "workspace": one.workspace, "text": one.text, "fix": one.fix}


def _print(findings: list[Finding]) -> None:
    for what, state, text, fix in findings:
        say(f"{state:<6} {what:<12} {text}", _STYLES[state] if state != "ok" else "")
        if fix:
            say(f"{'':<19} -> {fix}")
