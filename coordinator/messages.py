"""What travels on the bus: JSON objects told apart by `type`. Those with a `seq` are facts, the others are reports."""

import json
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from coordinator.config.measures import SomeTime
from coordinator.errors import Problem
from coordinator.models import Record
from coordinator.operations._fields import Channel, Ended, EntryId, JsonText, Limited, Line, RepoPath, Text
from coordinator.problems import problems_of
from coordinator.words import AccountName, AgentName, Count, PoolName, Token, WorkspaceName, wrong

MOST_CHARACTERS: Final = 1 << 20


def _written(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError):
        raise wrong("must be JSON that can be passed on", "send plain numbers, and nest less") from None


def _given(value: Any) -> Any:
    return value or None


class _Said(Record):
    """A report: a field that is null is one that is absent, as many languages write it."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, said: Any) -> Any:
        return {name: value for name, value in said.items() if value is not None} if isinstance(said, dict) else said


class AgentCompleted(_Said):
    """A run ended, says a service; with no workspace, those of a repo. Without a token, only what no worker holds."""

    type: Literal["AgentCompleted"] = "AgentCompleted"
    workspace: Annotated[WorkspaceName | None, BeforeValidator(_given)] = None
    status: Ended
    agent: str = ""
    repo: str = ""
    token: Token | None = None
    question: Text | None = None
    pr_url: Line | None = None
    retry_after: Limited | None = None

    @model_validator(mode="after")
    def _names_runs(self) -> Self:
        if not self.workspace:
            Runs.model_validate({"repo": self.repo or None, "agent": self.agent or None})
        return self


class AgentStarted(_Said):
    """A push host starts what it was given; only with its token does it confirm that run."""

    type: Literal["AgentStarted"] = "AgentStarted"
    workspace: WorkspaceName
    token: Token | None = None
    agent: str = ""
    repo: str = ""


class PokeQueue(_Said):
    """Look at the queue now."""

    type: Literal["PokeQueue"] = "PokeQueue"


class RateLimitDetected(_Said):
    """A provider refuses a pool, or one `account` of it, for a while: `30m0s`. Told on whatever it says; see `gate`."""

    type: Literal["RateLimitDetected"] = "RateLimitDetected"
    pool: Line = ""
    account: Line = ""
    duration: Line | Annotated[float, Field(strict=True, allow_inf_nan=False)] = ""

    def gate(self) -> "Gate | Malformed":
        """What is to be shut, and for how long."""
        try:
            return Gate(pool=self.pool, account=self.account or None, duration=self.duration)
        except ValidationError as error:
            return Malformed(problems=tuple(problems_of(error)))


class HarvestComplete(_Said):
    """What an agent made of a repo was taken in."""

    type: Literal["HarvestComplete"] = "HarvestComplete"
    repo: Line
    branch: Line = ""
    files: Count = 0


class HarvestRejected(_Said):
    """What an agent made of a repo was not taken in, and why."""

    type: Literal["HarvestRejected"] = "HarvestRejected"
    repo: Line
    branch: Line = ""
    reason: Text = ""


class InboxMessage(_Said):
    """Somebody has mail: how many are new, of how many."""

    type: Literal["InboxMessage"] = "InboxMessage"
    new: Count
    total: Count


class ChannelPush(_Said):
    """A service's own notification; `data` is the text of any JSON value."""

    type: Literal["ChannelPush"] = "ChannelPush"
    channel: Channel
    data: Annotated[JsonText, BeforeValidator(_written)] = "null"


Notice = RateLimitDetected | HarvestComplete | HarvestRejected | InboxMessage | ChannelPush
Report = Annotated[AgentCompleted | AgentStarted | PokeQueue | Notice, Field(discriminator="type")]
_REPORT: TypeAdapter[Report] = TypeAdapter(Report)
REPORTS: Final = (AgentCompleted, AgentStarted, PokeQueue, *get_args(Notice))
_TYPES: Final = frozenset(kind.__name__ for kind in REPORTS)


class Gate(Record):
    """A pool, or one account of it, and for how many ms it is shut: a year at most."""

    pool: PoolName
    account: AccountName | None = None
    duration: Annotated[SomeTime, Field(le=31_536_000_000)]

    @property
    def key(self) -> str:
        """The limit key that is shut."""
        return f"account:{self.pool}/{self.account}" if self.account else self.pool


class Runs(Record):
    """Which runs a report without a workspace is about."""

    repo: RepoPath
    agent: AgentName | None = None


class _Envelope(Record):
    type: str
    seq: str | None = None


class Fact(Record):
    """Something the library did; only its id matters to those who act on reports."""

    seq: EntryId
    type: str


class Ignored(Record):
    """A message of a type nobody here acts on."""

    type: str


class Malformed(Record):
    """A message nobody can act on, and why."""

    problems: tuple[Problem, ...]


def parse(text: str) -> Report | Fact | Ignored | Malformed:
    """What a message says. Never raises: anybody may publish anything."""
    if len(text) > MOST_CHARACTERS:
        return Malformed(problems=(Problem("message", "is longer than 1 MiB", "send a shorter one"),))
    try:
        envelope = _Envelope.model_validate_json(text)
        if envelope.seq:
            return Fact(seq=envelope.seq, type=envelope.type)
        if envelope.type not in _TYPES:
            return Ignored(type=envelope.type)
        return _REPORT.validate_json(text)
    except ValidationError as error:
        return Malformed(problems=tuple(problems_of(error)))
