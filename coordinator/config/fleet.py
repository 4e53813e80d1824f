"""agents.yaml: what the fleet is. Read as a whole or not at all, with every problem named at once."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from coordinator.config import resets, yamltext
from coordinator.config.concurrency import limits_of
from coordinator.config.dispatching import Dispatch, Rates, no_effect, relative_root, timing_problems, unpaced
from coordinator.config.identities import Identity
from coordinator.config.runners import ADAPTERS, Runner, contradictions, oddities
from coordinator.errors import ConfigError, Problem
from coordinator.problems import path, problems_of, unknown_keys
from coordinator.words import Accounts, Count, LimitKey, PoolName, pool_of, shown

log = logging.getLogger(__name__)

VERSION: Final = 1
_SECTIONS: Final = ("version", "dispatch", "concurrency", "rates", "accounts", "weights", "runners", "agents")
_IDENTITIES: Final = TypeAdapter(dict[str, Identity])
_ACCOUNTS: Final = TypeAdapter(dict[PoolName, Accounts])
_RATES: Final = TypeAdapter(dict[PoolName, Rates])
_RUNNERS: Final = TypeAdapter(dict[PoolName, Runner])
_WEIGHTS: Final = TypeAdapter(dict[LimitKey, Annotated[Count, Field(ge=1, le=1000)]])


class Fleet(BaseModel):
    """One agents.yaml: the fleet's settings, limits, rates and accounts, this host's own runners, and named agents."""

    model_config = ConfigDict(frozen=True)

    dispatch: Dispatch = Dispatch()
    concurrency: dict[str, int] = Field(default_factory=dict)  # limit key to limit, as in Redis: absent is no limit
    pace: dict[str, Rates] = Field(default_factory=dict)
    accounts: dict[str, list[str]] = Field(default_factory=dict)  # pool to its interchangeable accounts
    weights: dict[str, int] = Field(default_factory=dict)  # limit key to shares of its route; absent is 1
    runners: dict[str, Runner] = Field(default_factory=dict)
    identities: dict[str, Identity] = Field(default_factory=dict)  # the section `agents`

    def limits(self) -> dict[str, int]:
        """Limit key to the most that may run under it."""
        return dict(self.concurrency)

    def settings(self) -> dict[str, int]:
        """lease_ttl, beat, kill_grace, spawn_timeout, history and ageing in milliseconds; max_attempts."""
        return self.dispatch.settings()

    def rates(self) -> dict[str, dict[str, int | str]]:
        """Pool to its reset_utc (HH:MM), daily_limit, and delays and burst window in milliseconds."""
        return {pool: rates.model_dump() for pool, rates in self.pace.items()}


def unconfigured() -> Fleet:
    """The fleet where there is no agents.yaml."""
    return Fleet(concurrency={"claude": 1, "gemini": 3})


def load(file: Path, *, explicit: bool = True) -> Fleet:
    """The fleet that `file` describes; warnings go to the log. Raises ConfigError with every problem.

    A file that someone named must be there; one that nobody named (`explicit=False`) may be missing.
    """
    text = read(file, explicit=explicit)
    if text is None:
        return unconfigured()
    fleet, warnings = parse(text, file.name)
    for warning in warnings:
        log.warning("config %s", warning)
    return fleet


def read(file: Path, *, explicit: bool = True) -> str | None:
    """The text of `file`; None when it is missing and nobody named it. Raises ConfigError when it can not be read."""
    try:
        with file.open("rb") as source:
            data = source.read(yamltext.MOST_BYTES + 1)  # never more: the path may be a device without an end
        if len(data) <= yamltext.MOST_BYTES:
            return data.decode()
        problem = yamltext.too_large(str(file))
    except FileNotFoundError:
        if not explicit:
            return None
        problem = Problem(str(file), "there is no such file", "write one with: coordinator init")
    except UnicodeDecodeError as error:
        problem = Problem(str(file), f"byte {error.start + 1} is not UTF-8", "save it as plain UTF-8 text")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        problem = Problem(shown(str(file)), f"can not be read: {said}", "give the path of an agents.yaml")
    raise ConfigError([problem])


def parse(text: str, name: str = "agents.yaml") -> tuple[Fleet, list[Problem]]:
    """The fleet that `text` describes, and what is odd about it. Raises ConfigError with every problem."""
    tree, problems = yamltext.read(text, name)
    dispatch = _section(Dispatch.model_validate, tree, "dispatch", problems)
    limits = limits_of(tree.get("concurrency"))
    pace = _section(_RATES.validate_python, tree, "rates", problems)
    accounts = _section(_ACCOUNTS.validate_python, tree, "accounts", problems)
    weights = _section(_WEIGHTS.validate_python, tree, "weights", problems)
    runners = _section(_RUNNERS.validate_python, tree, "runners", problems)
    identities = _section(_IDENTITIES.validate_python, tree, "agents", problems)
    problems += limits.problems + timing_problems(tree.get("dispatch"))
    problems += [problem for pool, given in _parts(tree, "runners") for problem in contradictions(pool, given)]
    if problems:
        raise ConfigError(problems)
    runners = {pool: runner.within(dispatch.timeout()) for pool, runner in runners.items()}
    fleet = Fleet(
        dispatch=dispatch,
        concurrency=limits.limits,
        pace=pace,
        accounts=accounts,
        weights=weights,
        runners=runners,
        identities=identities,
    )
    return fleet, [*_unknown(tree), *limits.warnings, *_odd(fleet, tree)]


def _section(validate: Any, tree: Mapping[str, Any], name: str, problems: list[Problem]) -> Any:
    given = tree.get(name)
    try:
        return validate({} if given is None else given)  # a name with nothing behind it says nothing
    except ValidationError as error:
        problems += problems_of(error, name)
        return None


def _parts(tree: Mapping[str, Any], section: str) -> list[tuple[str, Any]]:
    given = tree.get(section)
    return list(given.items()) if isinstance(given, Mapping) else []


def _unknown(tree: Mapping[str, Any]) -> list[Problem]:
    found = [*unknown_keys(tree, _SECTIONS), *unknown_keys(tree.get("dispatch"), Dispatch.model_fields, "dispatch")]
    for section, fields in (
        ("rates", Rates.model_fields),
        ("runners", Runner.model_fields),
        ("agents", Identity.model_fields),
    ):
        for pool, given in _parts(tree, section):
            found += unknown_keys(given, fields, path(section, pool))
    return found


def _odd(fleet: Fleet, tree: Mapping[str, Any]) -> list[Problem]:
    found: list[Problem] = []
    version = tree.get("version", VERSION)
    if version != VERSION:
        found.append(Problem("version", f"is {shown(version)}, and this program knows 1", "write version: 1"))
    agent = fleet.dispatch.default_agent
    named = "default_agent" in fleet.dispatch.model_fields_set
    known = fleet.runners or ADAPTERS  # a host whose file names none starts the known programs it has
    if (named or fleet.runners) and pool_of(agent) not in known:
        fix = f"name another, or add {pool_of(agent)} to runners"
        found.append(Problem("dispatch.default_agent", f"no runner of this host serves {agent}", fix))
    found += [*relative_root(tree.get("dispatch")), *no_effect(fleet.dispatch)]
    for pool, given in _parts(tree, "rates"):
        found += [*resets.oddities(pool, given), *unpaced(pool, fleet.pace[pool])]
    for pool, runner in fleet.runners.items():
        found += oddities(pool, runner)
        if pool not in fleet.concurrency and pool not in dict(_parts(tree, "concurrency")):
            problem = "has no limit, so any number of its agents may run at once"
            found.append(Problem(path("runners", pool), problem, f"add {pool}: 1 to concurrency"))
    return found
