"""status: the fleet at a glance."""

from typing import ClassVar, Literal

from pydantic import Field

from coordinator.models import FreezeView, KeyView, LuaList, Record
from coordinator.operations._operation import Operation
from coordinator.words import Millis, Status


class Settings(Record):
    """The settings in force: durations in ms."""

    lease_ttl: Millis
    beat: Millis
    kill_grace: Millis
    max_attempts: int
    spawn_timeout: Millis
    history: Millis
    ageing: Millis


class PoolRates(Record):
    """The rates of a pool in force: durations in ms, `reset_utc` as HH:MM."""

    reset_utc: str | None = None
    daily_limit: int | None = None
    min_delay: Millis | None = None
    sustained_delay: Millis | None = None
    burst_window: Millis | None = None
    burst_delay: Millis | None = None


class Summed(Record):
    """What was forgotten of a pool: workspaces by status, how long their last runs took (ms), what all runs cost."""

    counts: dict[Status, int] = Field(default_factory=dict)
    ms: Millis = 0
    cost_usd: int = 0


class Unserved(Record):
    """A route with waiting `lanes` that no host serves, or only hosts that are quiet, silent or frozen.

    `since`: when the first of them was queued. `until`: when a frozen host of it is thawed.
    """

    route: str
    lanes: int
    since: Millis | None = None
    text: str = ""
    until: Millis | None = None


class FleetStatus(Record):
    """Counts by status and by group, limit keys with their use, and whether anything is frozen; `summary` by pool.

    `faults`: so many entries disagree with the records, says the last walk of a replica; `doctor` names them.
    """

    outcome: Literal["status"] = "status"
    lib: int
    new: bool = False
    frozen: bool
    freeze: FreezeView | None = None
    settling: Millis | None = None
    counts: dict[Status, int]
    running: int
    queued: int
    completed: int
    failed: int
    total: int
    unserved: LuaList[Unserved] = ()
    unserved_more: int = 0
    faults: int = 0
    keys: LuaList[KeyView] = ()
    hosts: int
    summary: dict[str, Summed] = Field(default_factory=dict)
    default_agent: str | None = None
    settings: Settings
    rates: dict[str, PoolRates] = Field(default_factory=dict)
    accounts: dict[str, LuaList[str]] = Field(default_factory=dict)
    weights: dict[str, int] = Field(default_factory=dict)
    now: Millis


class GetStatus(Operation[FleetStatus]):
    """The fleet at a glance."""

    name: ClassVar[str] = "status"
    reads: ClassVar[bool] = True
