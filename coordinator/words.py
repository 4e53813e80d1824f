"""The vocabulary as types: how each kind of name is spelt, and which words exist.

The function library keeps the same rules in Lua; a question that passes here passes there, and the other way round.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

NUMBER_END: Final = 10**14  # cjson writes 14 digits; a longer number would come back changed
TASK_BYTES: Final = 1024 * 1024
LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # half a character: no UTF-8 can carry it


class Rule(NamedTuple):
    """How one kind of name is spelt."""

    pattern: re.Pattern[str]
    longest: int  # bytes of UTF-8
    allowed: str
    example: str

    def accepts(self, value: str) -> bool:
        """Whether `value` is a name of this kind."""
        fits = len(value) <= self.longest and len(value.encode(errors="surrogatepass")) <= self.longest
        return fits and self.pattern.fullmatch(value) is not None

    def check(self, value: str) -> str:
        """`value` itself; a wrong one raises an error that says what is allowed."""
        if self.accepts(value):
            return value
        raise wrong(f"must be 1 to {self.longest} {self.allowed}, got {shown(value)}", f"write it like {self.example}")


def wrong(problem: str, fix: str = "") -> PydanticCustomError:
    """A validation error that keeps what is wrong and what to write instead apart (see problems.py)."""
    return PydanticCustomError("wrong", "{problem}", {"problem": problem, "fix": fix})


def shown(value: object) -> str:
    """`value` for a message: printable ASCII, one line, at most 60 characters."""
    if isinstance(value, str):
        value = value[:60]  # a name may be a megabyte long
    elif isinstance(value, int) and abs(value) >= 10**30:  # Python refuses to write out a very long number
        return "a number of more than 30 digits"
    elif value is None:
        return "nothing"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < NUMBER_END or value % 1:
        raise wrong(f"must be a whole number of at least 0 and below 1e14, got {shown(value)}", "write a number like 1")
    return int(value)


def _task(value: str) -> str:
    if LONE_SURROGATE.search(value):
        raise wrong("must be Unicode text, got a lone surrogate", "send it as UTF-8")
    size = len(value.encode())
    if size > TASK_BYTES:
        raise wrong(
            f"must be at most {TASK_BYTES} bytes of UTF-8, got {size}", "put the text in a file and name it in the task"
        )
    return value


WORKSPACE: Final = Rule(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@#=,-]*(/(?!\.+(?:/|\Z))[A-Za-z0-9_.][A-Za-z0-9._+@#=,-]*)*"),
    200,
    "letters, digits and ._+@#=,- in parts separated by '/', no part being only dots",
    "core/go-io/task-5",
)
POOL: Final = Rule(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"), 100, "letters, digits and ._- (a letter or digit first)", "codex"
)
AGENT: Final = Rule(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(:[A-Za-z0-9][A-Za-z0-9._:/@+-]*)?"),
    100,
    "letters, digits and ._- naming the base, and where a model is wanted ':' and its name",
    "codex:gpt-5.4",
)
HOST: Final = Rule(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"), 64, "letters, digits and ._- (a letter or digit first)", "h1"
)
LABEL: Final = Rule(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._=/-]*"), 64, "letters, digits and ._=/- (a letter or digit first)", "gpu=a100"
)
ACCOUNT: Final = Rule(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*"), 50, "letters, digits and ._@+- (a letter or digit first)", "work"
)
LIMIT_KEY: Final = Rule(
    re.compile(r"\*|(?!accounts:)[A-Za-z0-9][A-Za-z0-9._:/@+*=-]*"),
    160,
    "letters, digits and ._:/@+*=- (a letter or digit first), or '*' alone; not accounts:..., but account:codex/work",
    "codex:gpt-5.4",
)
REPO: Final = Rule(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"), 100, "letters, digits and ._- (a letter or digit first), no '/'", "go-io"
)
BRANCH: Final = Rule(
    re.compile(r"(?!-)(?:(?!\.\.)[^\x00-\x20\x7f\ud800-\udfff])+"),
    200,
    "bytes without spaces, control characters or '..', not starting with '-'",
    "agent/fix-io",
)


WorkspaceName = Annotated[str, AfterValidator(WORKSPACE.check)]
PoolName = Annotated[str, AfterValidator(POOL.check)]
AgentName = Annotated[str, AfterValidator(AGENT.check)]
HostName = Annotated[str, AfterValidator(HOST.check)]
AccountName = Annotated[str, AfterValidator(ACCOUNT.check)]
Accounts = Annotated[list[AccountName], Field(max_length=32)]  # the interchangeable ones of a pool
Label = Annotated[str, AfterValidator(LABEL.check)]
LimitKey = Annotated[str, AfterValidator(LIMIT_KEY.check)]
RepoName = Annotated[str, AfterValidator(REPO.check)]  # of an org too
Branch = Annotated[str, AfterValidator(BRANCH.check)]
Task = Annotated[str, AfterValidator(_task)]
Count = Annotated[int, BeforeValidator(_whole)]
Millis = Count  # a duration, or a moment since 1970, in milliseconds
Token = Count  # the fencing number of a lease

Status = Literal["queued", "running", "completed", "merged", "ready-for-review", "failed", "blocked"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
#: How summaries add statuses up.
STATUS_GROUPS: Final[dict[str, tuple[Status, ...]]] = {
    "running": ("running",),
    "queued": ("queued",),
    "completed": ("completed", "merged", "ready-for-review"),
    "failed": ("failed", "blocked"),
}
Reason = Literal[
    "frozen", "backoff", "pace", "quota", "full", "ramp", "hosts_full", "no_host", "not_before", "settling"
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)  # why a refusal refuses
#: What stands before the colon of limit keys that are not those of a model. Callers may invent more.
KINDS: Final = ("repo", "org", "label", "account", "accounts")


def pool_of(agent: str) -> str:
    """The base of an agent's name: all before the first colon."""
    return agent.partition(":")[0]


def model_of(agent: str) -> str:
    """The model an agent's name asks for: all after the first colon, empty when it asks for none."""
    return agent.partition(":")[2]


def limit_keys(
    agent: str, org: str = "", repo: str = "", extra: Iterable[str] = (), labels: Iterable[str] = ()
) -> list[str]:
    """The limit keys one run holds, in the order in which admission looks at them, each once."""
    keys = ["*", pool_of(agent)]
    if model_of(agent):
        keys.append(agent)
    if repo:
        keys.append(f"repo:{org}/{repo}" if org else f"repo:{repo}")
    if org:
        keys.append(f"org:{org}")
    keys += [f"label:{label}" for label in sorted(labels)]
    return list(dict.fromkeys([*keys, *extra]))
