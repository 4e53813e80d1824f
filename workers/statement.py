"""What one status.json says. Whatever lies there is read or named, and nothing raises."""

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from coordinator.errors import Problem
from coordinator.operations.track import OnDisk
from coordinator.problems import problems_of
from coordinator.words import shown
from workers.tree import STATUS, content, plain

_READ: Final = (
    "status", "agent", "task", "repo", "org", "branch", "question", "pr_url", "pid", "runs", "token", "started_at",
    "updated_at", "account",
)  # fmt: skip
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_PAUSES: Final = (0.01, 0.1)  # seconds
_JUST_NOW: Final = 1.0  # seconds
_ANEW: Final = "write it anew, or move its directory away"


class Statement(NamedTuple):
    """What a file says. Fields in `doubted` could not be taken as they stand there; it was written at `written`.

    `runtime` is what the agent runs in where that is no process of its own.
    """

    said: OnDisk
    doubted: frozenset[str]
    written: float  # epoch seconds
    runtime: str = ""


def read(root: Path, name: str) -> tuple[Statement | None, list[Problem]]:
    """What the file of a workspace says; None, mostly with a reason, when it says nothing.

    One that says nothing and was written just now is read again: its writer may not be done.
    """
    for pause in (*_PAUSES, None):
        try:
            raw, written = content(root / name / STATUS)
        except ValueError as error:
            return None, [Problem(f"{plain(name)}/{STATUS}", str(error), _ANEW)]
        statement, problems = parse(name, raw, written)
        if statement or pause is None or abs(time.time() - written) > _JUST_NOW:
            break
        time.sleep(pause)
    return statement, problems


def parse(name: str, raw: bytes, written: float) -> tuple[Statement | None, list[Problem]]:
    """What these bytes say of a workspace. Without a date of its own the file is as old as its last change.

    A wrong field is left out and named. A file without a status that can be known says nothing at all; nor does
    one of a workspace that has another name than its directory, which the registry alone knows.
    """
    where = f"{name}/{STATUS}"
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None, [Problem(where, "is half-written or no JSON" if raw.strip() else "is empty", _ANEW)]
    if not isinstance(found, dict):
        return None, [Problem(where, f"must be one JSON object, got {shown(found)}", _ANEW)]
    if found.get("workspace", name) != name:
        return None, []
    fields, problems = _fields(where, found)
    try:
        OnDisk.model_validate({"workspace": name, **fields})
    except ValidationError as error:
        problems += problems_of(error, where)
        for one in error.errors(include_url=False):
            fields.pop(str(one["loc"][0]), None)
    if "status" not in fields:
        said = [one for one in problems if one.field == f"{where}.status"]
        return None, said or [Problem(f"{where}.status", "is missing", "write one, such as failed")]
    fields.setdefault("updated_at", max(int(written * 1000), 0))
    doubted = frozenset(one.field.removeprefix(f"{where}.") for one in problems)
    runtime = found.get("runtime")
    said_of = OnDisk.model_validate({"workspace": name, **fields})
    return Statement(said_of, doubted, written, runtime if isinstance(runtime, str) else ""), problems


def _fields(where: str, found: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The fields that are there and say something, times as epoch milliseconds."""
    fields: dict[str, Any] = {}
    problems = []
    for name in _READ:
        value, doubt = found.get(name), ""
        if name.endswith("_at") and value not in (None, ""):
            value, doubt = _moment(value)
        elif name == "pid" and type(value) is int and value <= 0:
            value = None  # of a reservation, or of nothing
        elif isinstance(value, str) and not _is_text(value):
            value, doubt = None, "must be Unicode text, got a lone surrogate"
        if doubt:
            problems.append(Problem(f"{where}.{name}", doubt, _FIXES.get(name, "")))
        if value not in (None, ""):
            fields[name] = value
    return fields, problems


_FIXES: Final = dict.fromkeys(("started_at", "updated_at"), "write it like 2026-03-26T10:00:00Z")


def _moment(value: Any) -> tuple[int | None, str]:
    """A moment as epoch milliseconds, or None; and what is doubtful about it. The year 1 means that there is none."""
    match = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return None, f"must be an RFC 3339 time, got {shown(value)}"
    day, time, fraction, zone = match.groups()
    if day.startswith("0001-"):
        return None, ""
    try:
        moment = datetime.fromisoformat(f"{day}T{time}{(zone or 'Z').upper().replace('Z', '+00:00')}")
        ms = int(moment.astimezone(UTC).timestamp()) * 1000 + int((fraction or "0").ljust(3, "0")[:3])
    except (ValueError, OverflowError):
        return None, f"is no time there ever was: {shown(value)}"
    if not 0 <= ms < 10**14:
        return None, f"must lie between 1970 and 5138, got {shown(value)}"
    return ms, "" if zone else "has no time zone: it is taken as UTC"


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
