"""Frozen records: what travels in questions and answers. An absent field is absent, never null."""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from coordinator.words import Count, HostName, LimitKey, Millis, Reason, Token, WorkspaceName, wrong

T = TypeVar("T")


def _list(value: Any) -> Any:
    return value or ()


#: A list in an answer: the server's JSON writes an empty one as `{}`.
LuaList = Annotated[tuple[T, ...], BeforeValidator(_list)]


class Record(BaseModel):
    """A frozen value of an answer. Fields are only ever added, so unknown ones are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)


class Question(BaseModel):
    """A frozen value of a question. A misspelt field is an error here, where it can be mended."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_null(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.mode == "json":
            raise wrong("must not be null", "leave the field out")
        return value


class Refusal(Record):
    """A no, with the key that says it, the numbers and the earliest time where there is one."""

    key: str
    reason: Reason
    text: str
    used: int = 0
    limit: int | None = None
    until: Millis | None = None
    holders: LuaList[str] = ()

    model_config = ConfigDict(frozen=True, extra="ignore")


class Grant(Record):
    """A workspace handed to a host: its lease lasts `ttl` ms, its token only ever grows."""

    workspace: WorkspaceName
    token: Token
    ttl: Millis
    attempt: int = 1
    agent: str
    task: str = ""
    repo: str | None = None
    org: str | None = None
    branch: str | None = None
    source: str | None = None
    dir: str | None = None
    session: str | None = None
    answer: str | None = None
    account: str | None = None
    lane: str | None = None  # for its `restore`


class Kill(Record):
    """Who asked to end a run, and why."""

    by: str | None = None
    reason: str | None = None
    at: Millis | None = None


class FreezeView(Record):
    """Who froze a key, why, since when, and until when where it ends by itself."""

    by: str | None = None
    reason: str | None = None
    at: Millis | None = None
    until: Millis | None = None


class EndedProcess(Record):
    """A process that was ended, by which signal; `left`: it may live."""

    pid: int
    command: str = ""
    by: str = ""


class Receipt(Record):
    """What the end of a run found: the processes that were ended (`more` are not named), and what its tree had used."""

    ended: LuaList[EndedProcess] = ()
    more: int = 0
    cpu_ms: int | None = None
    peak_memory: int | None = None


def _receipt(value: Any) -> Any:
    """A worker's own word, kept as a text; another's may be anything."""
    try:
        return Receipt.model_validate_json(value) if isinstance(value, str) else value
    except ValidationError:
        return None


class Edited(Record):
    """A record whose keys people may edit: what does not fit into a field that may be absent is absent."""

    @model_validator(mode="wrap")
    @classmethod
    def _without_what_does_not_fit(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            odd = {one["loc"][0] for one in error.errors() if one["loc"]}
            if not isinstance(value, dict) or not odd & value.keys():
                raise
            return handler({name: each for name, each in value.items() if name not in odd})


class Workspace(Edited):
    """The record of one workspace. Times are epoch milliseconds (`since`: of its status), money is in millionths."""

    workspace: str
    status: str  # a word of Status, or what somebody wrote there by hand
    since: Millis | None = None
    agent: str = ""
    repo: str | None = None
    org: str | None = None
    task: str = ""
    branch: str | None = None
    source: str | None = None
    dir: str | None = None
    host: str | None = None
    requires: str | None = None
    pinned: bool = False
    labels: LuaList[str] = ()
    priority: int = 5
    token: Token | None = None
    attempt: int = 0
    runs: int = 0
    mode: Literal["pull", "push", "asker"] | None = None
    pid: int | None = None
    question: str | None = None
    verdict: str | None = None
    exit_code: int | None = None
    pr_url: str | None = None
    session: str | None = None
    answer: str | None = None
    ran_on: str | None = None
    account: str | None = None
    cost_usd: int | None = None
    queued_at: Millis | None = None
    not_before: Millis | None = None
    deadline: Millis | None = None
    started_at: Millis | None = None
    ended_at: Millis | None = None
    kill: Kill | None = None
    receipt: Annotated[Receipt | None, BeforeValidator(_receipt)] = None


class Held(Question):
    """One run a host says it holds."""

    workspace: WorkspaceName
    token: Token
    pid: Count | None = None


class HostView(Edited):
    """One host: what it can serve, what it holds, when it last beat (epoch ms)."""

    host: HostName
    state: Literal["live", "silent", "quiet"]
    beat: Millis
    slots: int
    mode: Literal["pull", "push"] = "pull"
    machine: str | None = None
    held: LuaList[str] = ()
    pools: LuaList[str] = ()
    labels: LuaList[str] = ()
    waiting: Millis | None = None
    freeze: FreezeView | None = None
    incarnation: str | None = None
    trouble: str | None = None


class RampView(Record):
    """One step of a key whose gate has opened: so many may start in it, so many have."""

    allowance: int
    granted: int


class KeyView(Record):
    """One limit key: how many hold it, how many may, and what keeps it shut.

    `inherited`: the limit is its default's, such as `repo:*`. `fast_failures`: of a pool or an account, in a row.
    `ramp`: after its gate has opened.
    """

    key: LimitKey
    used: int
    limit: int | None = None
    inherited: bool = False
    until: Millis | None = None
    reason: Reason | None = None
    text: str | None = None
    waiting: bool = False
    fast_failures: int | None = None
    ramp: RampView | None = None


class Change(Record):
    """One setting that a configuration changed."""

    path: str
    was: int | str | None = None
    now: int | str | None = None
