"""Moments as people type them: `+2h`, `18:30` (the next time it is that here), `2026-11-24T18:30:00Z`."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from coordinator.config.measures import millis
from coordinator.doors.session import Session
from coordinator.errors import InvalidQuestion, Problem
from coordinator.operations import GetStatus
from coordinator.words import NUMBER_END, shown

FORMS: Final = "+2h, 18:30 or 2026-11-24T18:30:00Z"
_OF_DAY: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def moment(name: str, text: str, now: int) -> int:
    """Epoch ms of a moment; `now` is that of the server. Raises InvalidQuestion under `name`."""
    found = _of_day(text, now) or _after(text, now) or _date(text)
    if found is None or not 0 <= found < NUMBER_END:
        raise InvalidQuestion([Problem(name, f"must be a moment such as {FORMS}, got {shown(text)}", "write +2h")])
    return found


async def moments(session: Session, texts: Mapping[str, str]) -> dict[str, int]:
    """The moments of several options, by the server's clock."""
    if not texts:
        return {}
    now = (await session.ask(GetStatus())).now
    return {name: moment(name, text, now) for name, text in texts.items()}


def _after(text: str, now: int) -> int | None:
    try:
        return now + millis(text.removeprefix("+"))
    except ValueError:
        return None


def _of_day(text: str, now: int) -> int | None:
    match = _OF_DAY.fullmatch(text)
    if match is None:
        return None
    today = datetime.fromtimestamp(now / 1000)  # noqa: DTZ006  # people mean the time here
    then = today.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
    if then <= today:
        then += timedelta(days=1)
    return int(then.timestamp() * 1000)


def _date(text: str) -> int | None:
    if not text[:1].isdigit() or len(text) > 40:
        return None
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)  # without a zone: the time here
    except (ValueError, OverflowError, OSError):
        return None
