"""The `dispatch` and `rates` sections: the fleet's defaults, its times, and the pace of its pools."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from coordinator.config.measures import Duration, Hours, SomeTime, written
from coordinator.errors import Problem
from coordinator.words import AgentName, Count, shown, wrong

MISSED_BEATS: Final = 3  # a host that misses so many is silent
_TIMES: Final = ("lease_ttl", "beat", "kill_grace")


def _root(value: str) -> str:
    if not value.startswith("~/") and not PurePosixPath(value).is_absolute():
        raise wrong(f"must be an absolute path, got {shown(value)}", "write it like ~/Code/.core/workspace")
    return value


def _clock(value: str) -> str:
    match = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", value)
    if not match:
        raise wrong(f"must be a time of day in UTC from 00:00 to 23:59, got {shown(value)}", 'write "06:00"')
    return f"{int(match[1]):02}:{match[2]}"


def _at_least_one(value: int) -> int:
    if value < 1:
        raise wrong(f"must be at least 1, got {value}", "write a number like 3")
    return value


class Dispatch(BaseModel):
    """Fleet-wide defaults and settings. Given as in the file (a bare number is seconds), kept in milliseconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    default_agent: AgentName = "claude"
    default_template: str = "coding"
    workspace_root: Annotated[str, AfterValidator(_root)] | None = None
    lease_ttl: SomeTime = 300_000
    beat: SomeTime = 10_000
    kill_grace: Duration = 15_000
    max_attempts: Annotated[Count, AfterValidator(_at_least_one)] = 3
    spawn_timeout: SomeTime = 60_000
    history: Annotated[Count, AfterValidator(_at_least_one)] = 1000  # entries

    def settings(self) -> dict[str, int]:
        """The part that every host must agree on: milliseconds and counts."""
        return self.model_dump(include={*_TIMES, "max_attempts", "spawn_timeout", "history"})


class Rates(BaseModel):
    """How fast a pool may start agents. Given as in the file, kept in milliseconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    reset_utc: Annotated[str, AfterValidator(_clock)] = "06:00"
    daily_limit: Count = 0  # 0: none
    min_delay: Duration = 0
    sustained_delay: Duration = 0
    burst_window: Hours = 0  # before the reset; the reference runner counts it in hours
    burst_delay: Duration = 0


def timing_problems(given: object) -> list[Problem]:
    """A lease must outlast three beats and the grace of a kill, else one late beat would stop a healthy agent."""
    if not isinstance(given, Mapping):
        return []
    times: dict[str, Any] = {name: given[name] for name in _TIMES if name in given}
    try:
        dispatch = Dispatch.model_validate(times)
    except ValidationError:
        return []  # named already, each by its own path
    least = MISSED_BEATS * dispatch.beat + dispatch.kill_grace
    if dispatch.lease_ttl >= least:
        return []
    said = f"{written(dispatch.lease_ttl)} is below {MISSED_BEATS} beats and kill_grace ({written(least)})"
    return [Problem("dispatch.lease_ttl", said, f"write lease_ttl: {written(least)}")]
