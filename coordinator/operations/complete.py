"""complete: end a run, and hand its host the next in the same step."""

from typing import Annotated, Literal

from pydantic import Field

from coordinator.models import Grant, LuaList, Question, Record, Refusal
from coordinator.operations._fields import Ended, Limited, Line, Signed, StreamId, Text
from coordinator.operations._operation import Operation
from coordinator.operations.claim import Asking
from coordinator.words import Count, Millis, Status, Token, WorkspaceName


class _Next(Record):
    status: Status | None = None
    grants: LuaList[Grant] = ()
    refusal: Refusal | None = None
    retry_in: Millis | None = None
    more: bool = False


class Completed(_Next):
    """The ending was recorded; `status` is what the workspace now is (queued again after a usage limit)."""

    outcome: Literal["completed"] = "completed"


class AlreadyEnded(_Next):
    """It had ended before; nothing was changed."""

    outcome: Literal["already"] = "already"


class Stale(_Next):
    """The token or the report is older than the run; nothing was changed."""

    outcome: Literal["stale"] = "stale"


class UnknownWorkspace(_Next):
    """No such workspace."""

    outcome: Literal["unknown"] = "unknown"


CompleteReply = Annotated[Completed | AlreadyEnded | Stale | UnknownWorkspace, Field(discriminator="outcome")]


class Ending(Question):
    """How a run ended. `retry_after` (seconds) with a failure is a usage limit: it waits, and no attempt is spent."""

    workspace: WorkspaceName
    token: Token | None = None
    status: Ended
    verdict: Line | None = None
    exit_code: Signed | None = None
    question: Text | None = None
    pr_url: Line | None = None
    retry_after: Limited | None = None
    session: Line | None = None
    cost_usd: Count | None = None
    receipt: Text | None = None


class HoldersEnding(Ending):
    """An ending in its holder's own word: it names the run."""

    token: Token


class Complete(Ending, Operation[CompleteReply]):
    """End a run: with its token as its holder, without one as a report (dated by `as_of`) of a run no worker holds."""

    as_of: StreamId | None = None
    claim: Asking | None = None
