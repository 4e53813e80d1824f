"""The `dispatch` and `rates` sections: the fleet's defaults, its times, and the pace of its pools."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, ValidationError

from coordinator.config import resets
from coordinator.config.measures import Duration, Hours, SomeTime, written
from coordinator.config.sections import Part
from coordinator.errors import Problem
from coordinator.problems import path
from coordinator.words import AgentName, Count, shown, wrong

MISSED_BEATS: Final = 3  # a host that misses so many is silent
_TIMES: Final = ("lease_ttl", "beat", "kill_grace")
_ELSEWHERE: Final = ("runtime", "image", "gpu")  # what the reference runner starts agents in


def _root(value: str | None) -> str | None:
    """None for a path that is relative: it would be another directory for each who starts something."""
    if value and "\0" in value:
        raise wrong(f"must not hold a NUL character, got {shown(value)}", "leave it out")
    absolute = value and (value.startswith("~/") or PurePosixPath(value).is_absolute())
    return value if absolute else None


def _at_least_one(value: int) -> int:
    if value < 1:
        raise wrong(f"must be at least 1, got {value}", "write a number like 3")
    return value


class Dispatch(Part):
    """Fleet-wide defaults and settings. Given as in the file (a bare number is seconds), kept in milliseconds."""

    nothing = (None, "")  # an empty text too, as the reference runner reads it

    default_agent: AgentName = "claude"
    default_template: str = "coding"
    workspace_root: Annotated[str | None, AfterValidator(_root)] = None
    timeout_minutes: Count = 60  # of a run whose runner names no timeout; 0: none
    runtime: Any = None
    image: Any = None
    gpu: Any = None
    lease_ttl: SomeTime = 300_000
    beat: SomeTime = 10_000
    kill_grace: Duration = 15_000
    max_attempts: Annotated[Count, AfterValidator(_at_least_one)] = 3
    spawn_timeout: SomeTime = 60_000
    ageing: Duration = 3_600_000  # how long one of a kind waits for a start before it moves up a priority; 0: for ever
    history: Duration = 30 * 86_400_000  # how long the record of an ended workspace is kept; 0: to the next sweep

    def settings(self) -> dict[str, int]:
        """The part that every host must agree on: milliseconds, and max_attempts."""
        return self.model_dump(include={*_TIMES, "max_attempts", "spawn_timeout", "history", "ageing"})

    def timeout(self) -> int | None:
        """Milliseconds that a run may take where its runner names no timeout; None for any length."""
        return self.timeout_minutes * 60_000 or None


class Rates(Part):
    """How fast a pool may start agents. Given as in the file, kept in milliseconds."""

    reset_utc: Annotated[str, BeforeValidator(resets.clock)] = "06:00"
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


def relative_root(given: object) -> Iterator[Problem]:
    """A warning for a workspace_root that is no absolute path: the reference runner reads such and uses none."""
    root = given.get("workspace_root") if isinstance(given, Mapping) else None
    if root and _root(root) is None:
        said = f"{shown(root)} is no absolute path: $CORE_WORKSPACE/workspace is used, else ~/Code/.core/workspace"
        yield Problem("dispatch.workspace_root", said, "leave it out, or write it like ~/Code/.core/workspace")


def no_effect(dispatch: Dispatch) -> Iterator[Problem]:
    """One warning for all that the reference runner knows of containers."""
    given = [name for name in _ELSEWHERE if getattr(dispatch, name) is not None]
    if given:
        *most, last = given
        said = f"{', '.join(most)} and {last} do nothing here" if most else "does nothing here"
        problem = f"{said}: agents run as plain processes of this host"
        yield Problem(path("dispatch", given[0]), problem, "put the container command into runners")


def unpaced(pool: str, rates: Rates) -> Iterator[Problem]:
    """A warning where a pool has delays and no sustained_delay: without it the reference runner waits for nothing."""
    given = [name for name in ("min_delay", "burst_delay") if getattr(rates, name)]
    if given and not rates.sustained_delay:
        problem = f"without sustained_delay there is no pacing, whatever {' and '.join(given)} say"
        yield Problem(path("rates", pool, "sustained_delay"), problem, "write sustained_delay: 60, or leave them out")
