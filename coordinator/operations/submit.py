"""submit: put a workspace into the queue, or have it granted at once to an asker that runs it itself."""

from typing import Annotated, Literal

from pydantic import Field

from coordinator.models import Grant, Record, Refusal
from coordinator.operations._fields import Id, PathText, Positive, Priority
from coordinator.operations._operation import Operation
from coordinator.words import (
    AgentName,
    Branch,
    HostName,
    Label,
    LimitKey,
    Millis,
    RepoName,
    Status,
    Task,
    WorkspaceName,
)


class Granted(Record):
    """The asker may start it now, under this lease and token."""

    outcome: Literal["granted"] = "granted"
    grant: Grant


class Queued(Record):
    """It waits: its place in its lane, and what holds it back (nothing when a host is being woken for it).

    Before its `not_before` it stands in no lane: place 0.
    """

    outcome: Literal["queued"] = "queued"
    place: int
    refusal: Refusal | None = None


class AlreadyKnown(Record):
    """It waits, runs or has ended; nothing was changed. `again` queues one that has ended."""

    outcome: Literal["already"] = "already"
    status: Status
    host: str | None = None


class Refused(Record):
    """Not now, and the asker did not want it queued."""

    outcome: Literal["refused"] = "refused"
    refusal: Refusal


SubmitReply = Annotated[Granted | Queued | AlreadyKnown | Refused, Field(discriminator="outcome")]


class Submit(Operation[SubmitReply]):
    """Ask that an agent works on a workspace. Asking twice is asking once, also to run `again` where it has an `id`."""

    workspace: WorkspaceName
    agent: AgentName | None = None
    task: Task | None = None
    repo: RepoName | None = None
    org: RepoName | None = None
    branch: Branch | None = None
    priority: Priority | None = None
    source: PathText | None = None
    dir: PathText | None = None
    host: HostName | None = None
    labels: Annotated[list[Label], Field(max_length=8)] | None = None
    keys: Annotated[list[LimitKey], Field(max_length=8)] | None = None
    not_before: Millis | None = None
    deadline: Millis | None = None
    asker: HostName | None = None
    ttl: Positive | None = None
    otherwise: Literal["queue", "refuse"] | None = Field(default=None, alias="else")
    again: bool | None = Field(default=None, strict=True)
    id: Id | None = None
