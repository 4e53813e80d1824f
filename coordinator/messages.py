"""What travels on the bus: JSON objects told apart by `type`. Those with a `seq` are facts, the others are reports."""

from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from coordinator.config.measures import SomeTime
from coordinator.errors import Problem
from coordinator.models import Record
from coordinator.operations._fields import Ended, Limited, Line, Text
from coordinator.problems import problems_of
from coordinator.words import PoolName, Token, WorkspaceName

MOST_CHARACTERS: Final = 1 << 20


class AgentCompleted(Record):
    """A run ended, says a service. Without a token it can end only a run that no worker holds."""

    type: Literal["AgentCompleted"] = "AgentCompleted"
    workspace: WorkspaceName
    status: Ended
    agent: str = ""
    repo: str = ""
    token: Token | None = None
    question: Text | None = None
    pr_url: Line | None = None
    retry_after: Limited | None = None


class AgentStarted(Record):
    """A push host starts what it was given; only with its token does it confirm that run."""

    type: Literal["AgentStarted"] = "AgentStarted"
    workspace: WorkspaceName
    token: Token | None = None
    agent: str = ""
    repo: str = ""


class PokeQueue(Record):
    """Look at the queue now."""

    type: Literal["PokeQueue"] = "PokeQueue"


class RateLimitDetected(Record):
    """A provider refuses a pool for a while, such as `30m0s`."""

    type: Literal["RateLimitDetected"] = "RateLimitDetected"
    pool: PoolName
    duration: SomeTime


Report = Annotated[AgentCompleted | AgentStarted | PokeQueue | RateLimitDetected, Field(discriminator="type")]
_REPORT: TypeAdapter[Report] = TypeAdapter(Report)


class _Envelope(Record):
    type: str
    seq: str | None = None


class Fact(Record):
    """Something the library did; only its id matters to those who act on reports."""

    seq: str
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
        if envelope.type not in {"AgentCompleted", "AgentStarted", "PokeQueue", "RateLimitDetected"}:
            return Ignored(type=envelope.type)
        return _REPORT.validate_json(text)
    except ValidationError as error:
        return Malformed(problems=tuple(problems_of(error)))
