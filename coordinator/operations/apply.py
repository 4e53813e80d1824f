"""apply: make a whole configuration true."""

from typing import Annotated, Final, Literal

from pydantic import Field

from coordinator.models import Change, LuaList, Question, Record
from coordinator.operations._fields import Line, Positive
from coordinator.operations._operation import Operation
from coordinator.words import Accounts, AgentName, Count, HostName, LimitKey, PoolName

Duration = Annotated[Count, Field(ge=100)]
MOST_HOSTS: Final = 1024
#: How many shares of its route a lane gets that has this key: 1 where none of its keys has a weight.
Weight = Annotated[Positive, Field(le=1000)]


class Applied(Record):
    """What was changed. With `more` that was a part of it: ask the same again."""

    outcome: Literal["applied"] = "applied"
    changes: LuaList[Change] = ()
    more: bool = False


class Rates(Question):
    """The pacing of a pool: times in ms, `daily_limit` in starts a day, `reset_utc` as HH:MM."""

    reset_utc: Line | None = None
    daily_limit: Count | None = None
    min_delay: Count | None = None
    sustained_delay: Count | None = None
    burst_window: Count | None = None
    burst_delay: Count | None = None


class FleetSettings(Question):
    """The fleet's settings: durations in ms, and max_attempts."""

    lease_ttl: Duration | None = None
    beat: Duration | None = None
    kill_grace: Count | None = None
    max_attempts: Positive | None = None
    spawn_timeout: Duration | None = None
    history: Count | None = None
    ageing: Count | None = None


class Apply(Operation[Applied]):
    """Make limits, rates, accounts, weights (absent ones go) and settings true; with `if_new` where there are none.

    `hosts` must have told all that they hold before anything is granted: the server had them before it came back empty.
    `thaw`, once all is true: but not where somebody has frozen it.
    """

    limits: Annotated[dict[LimitKey, Count], Field(max_length=4096)] | None = None
    rates: Annotated[dict[PoolName, Rates], Field(max_length=4096)] | None = None
    accounts: Annotated[dict[PoolName, Accounts], Field(max_length=4096)] | None = None
    weights: Annotated[dict[LimitKey, Weight], Field(max_length=4096)] | None = None
    settings: FleetSettings | None = None
    default_agent: AgentName | None = None
    by: Line | None = None
    if_new: bool | None = Field(default=None, strict=True)
    hosts: Annotated[list[HostName], Field(max_length=MOST_HOSTS)] | None = None
    thaw: bool | None = Field(default=None, strict=True)
