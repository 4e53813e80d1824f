"""What is in force for the whole fleet, and what a configuration would change about it."""

from collections.abc import Collection, Mapping

from coordinator.config.measures import written
from coordinator.models import Change
from coordinator.operations import Apply
from coordinator.operations.apply import Rates
from coordinator.operations.status import FleetStatus, PoolRates

_TIMES = (
    *("lease_ttl", "beat", "kill_grace", "spawn_timeout", "history", "ageing"),
    *("min_delay", "sustained_delay", "burst_window", "burst_delay"),
)


def limits_of(status: FleetStatus) -> dict[str, int]:
    """The limits that are set, each under its own key."""
    return {view.key: view.limit for view in status.keys if view.limit is not None and not view.inherited}


def changes(status: FleetStatus, asked: Apply) -> list[Change]:
    """What `asked` would change about `status`: what it would answer, found without asking."""
    was = _flat(
        limits_of(status),
        status.rates,
        status.settings.model_dump(),
        status.default_agent,
        status.accounts,
        status.weights,
    )
    now = _flat(
        limits_of(status) if asked.limits is None else asked.limits,
        status.rates if asked.rates is None else asked.rates,
        status.settings.model_dump() | (asked.settings.model_dump(exclude_none=True) if asked.settings else {}),
        asked.default_agent or status.default_agent,
        status.accounts if asked.accounts is None else asked.accounts,
        status.weights if asked.weights is None else asked.weights,
    )
    paths = sorted({*was, *now})
    return [Change(path=path, was=was.get(path), now=now.get(path)) for path in paths if was.get(path) != now.get(path)]


def value(path: str, found: int | str | None) -> str:
    """One side of a change for people."""
    if found is None:
        return "unlimited" if path.startswith("limits.") else "-"
    return setting(path.rpartition(".")[2], found)


def setting(name: str, found: int | str) -> str:
    """The value of a setting, or of one of a pool's rates, for people."""
    return written(found) if isinstance(found, int) and name in _TIMES else str(found)


def _flat(
    limits: Mapping[str, int],
    rates: Mapping[str, Rates | PoolRates],
    settings: Mapping[str, int],
    default_agent: str | None,
    accounts: Mapping[str, Collection[str]],
    weights: Mapping[str, int],
) -> dict[str, int | str]:
    """Path to value, the paths as `apply` tells them."""
    found: dict[str, int | str] = {f"limits.{key}": limit for key, limit in limits.items()}
    for pool, one in rates.items():
        found |= {f"rates.{pool}.{name}": part for name, part in one.model_dump(exclude_none=True).items()}
    found |= {f"accounts.{pool}": " ".join(sorted({*names})) for pool, names in accounts.items() if names}
    found |= {f"weights.{key}": weight for key, weight in weights.items()}
    found |= {f"settings.{name}": part for name, part in settings.items()}
    return found | ({"default_agent": default_agent} if default_agent else {})
