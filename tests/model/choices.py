"""What the machine chooses from: few names, so that they meet."""

from typing import Final, Literal

from hypothesis import strategies as st

from coordinator import operations as ops
from coordinator.operations.apply import FleetSettings, Rates
from coordinator.operations.track import OnDisk

HOSTS: Final = ("h1", "h2", "h3", "h4")
AGENTS: Final = ("codex", "codex:big", "codex:small", "claude")
NAMES: Final = tuple(f"w{number}" for number in range(10))
MODES: Final[tuple[Literal["pull", "push"], ...]] = ("pull", "push")
ACCOUNTS: Final = ("account:codex/a", "account:codex/b")
LIMIT_KEYS: Final = (
    "*",
    "codex",
    "codex:big",
    "claude",
    "repo:core/io",
    "repo:web",
    "org:core",
    "label:gpu",
    "team:a",
    *ACCOUNTS,
)
DEFAULTS: Final = ("repo:*", "codex:*", "org:*", "label:*", "team:*", "account:*")

workspaces = st.sampled_from(NAMES)
hosts = st.sampled_from(HOSTS)
keys = st.sampled_from(LIMIT_KEYS)
cold_keys = st.sampled_from((*LIMIT_KEYS, "host:h1", "host:h2", "host:h3"))
limit_names = st.sampled_from((*LIMIT_KEYS, *DEFAULTS))
limit = st.sampled_from([1, 2, None, 3, 0])
slots = st.sampled_from([2, 1, 3, 4])
count = st.sampled_from([None, None, None, 0, 1, 2])
mostly = st.sampled_from([True, True, True, False])
rarely = st.sampled_from([False, False, False, True])
durations = st.sampled_from([1, 500, 1000, 1000, 5000, 5000, 31_000, 61_000, 300_000, 3_700_000])
starts = st.sampled_from([None, 5000, 1, 900, 61_000])
lefts = st.sampled_from([None, 5000, 1, 1000, 400_000])
until = st.sampled_from([900, 5000, 5000, 1, None, -1, 0, 400_000])
limits = st.dictionaries(limit_names, st.sampled_from([2, 1, 3]), max_size=3)

_yes: st.SearchStrategy[bool] = st.sampled_from([True])
_again = st.sampled_from([None, True])
_repos = st.sampled_from([{}, {}, {"org": "core", "repo": "io"}, {"repo": "web"}, {"org": "core"}])
_extra = st.sampled_from([None, None, None, ["team:a"], ["team:b", "repo:core/io"], ["*"], ["team:*"], [ACCOUNTS[1]]])
_wanted = st.sampled_from([{}, {}, {}, {"host": "h1"}, {"labels": ["gpu"]}, {"host": "h2", "labels": ["gpu"]}])
_priority = st.sampled_from([None, None, None, 0, 8, 9])
_asker = st.sampled_from(
    [
        {},
        {},
        {},
        {"asker": "h1", "else": "queue"},
        {"asker": "cli", "else": "refuse"},
        {"asker": "cli", "ttl": 5000},
    ]
)
_ids = st.sampled_from([None, None, *(f"a{number}" for number in range(6))])


def _submit(name: str, agent: str | None, *parts: dict[str, object], **more: object) -> ops.Submit:
    fields = {name: value for part in (*parts, more) for name, value in part.items() if value is not None}
    return ops.Submit.model_validate({"workspace": name, **({"agent": agent} if agent else {}), **fields})


_agents = st.sampled_from((*AGENTS, None))
submits = st.builds(
    _submit,
    workspaces,
    _agents,
    _repos,
    _wanted,
    _asker,
    keys=_extra,
    priority=_priority,
    again=_again,
    id=_ids,
)
plain_submits = st.builds(_submit, workspaces, st.sampled_from(AGENTS), _repos, priority=_priority, again=_yes)


def wanted_fields(key: str, number: int) -> dict[str, object]:
    """What a workspace says that needs this limit key; of a default, one of the keys it stands for."""
    repos: list[dict[str, object]] = [{"org": "core", "repo": "io"}, {"repo": "web"}]
    odd = bool(number % 2)
    parts: dict[str, dict[str, object]] = {
        "codex:big": {"agent": "codex:big"},
        "claude": {"agent": "claude"},
        "repo:core/io": repos[0],
        "repo:web": repos[1],
        "repo:*": repos[odd],
        "codex:*": {"agent": ("codex:big", "codex:small")[odd]},
        "org:core": {"org": "core"},
        "org:*": {"org": ("core", "io")[odd]},
        "label:gpu": {"labels": ["gpu"]},
        "label:*": {"labels": [("gpu", "tpu")[odd]]},
        "team:a": {"keys": ["team:a"]},
        "team:*": {"keys": [("team:a", "team:b")[odd]]},
    }
    return {"agent": "codex", **parts.get(key, {})}


def wanting(name: str, key: str, number: int) -> st.SearchStrategy[ops.Submit]:
    """A workspace that needs this limit key."""
    fixed = wanted_fields(key, number)
    return st.builds(_submit, st.just(name), st.none(), st.just(fixed), _wanted, priority=_priority, again=_yes)


askers = st.builds(
    _submit,
    workspaces,
    st.sampled_from(AGENTS),
    _repos,
    st.sampled_from([{"asker": "cli"}, {"asker": "h1"}, {"asker": "h2", "ttl": 5000}]),
    again=_yes,
    id=_ids,
)
kills = st.one_of(
    st.builds(ops.Kill, workspace=workspaces),
    st.builds(ops.Kill, agent=st.sampled_from(AGENTS)),
    st.builds(ops.Kill, repo=st.sampled_from(["core/io", "web"])),
    st.builds(ops.Kill, host=hosts),
    st.just(ops.Kill(all=True, by="op")),
)
cancels = st.builds(ops.Cancel, workspace=workspaces) | st.just(ops.Cancel(status="queued"))
answers = st.fixed_dictionaries(
    {},
    optional={
        "answer": st.sampled_from(["yes", "8080"]),
        "agent": st.sampled_from(AGENTS),
        "front": st.booleans(),
    },
)
retries = st.one_of(
    st.builds(ops.Retry, workspace=workspaces),
    st.builds(ops.Retry, status=st.sampled_from(["failed", "blocked", "completed"])),
)
_on_disk = st.builds(
    OnDisk,
    workspace=workspaces,
    status=st.sampled_from(["queued", "running", "running", "completed", "merged", "failed", None]),
    agent=_agents,
    priority=_priority,
    repo=st.sampled_from([None, None, "web"]),
    host=st.sampled_from([None, None, "svc"]),
    pid=st.sampled_from([None, 5]),
    account=st.sampled_from([None, None, None, "a", "z"]),
)
on_disk = st.lists(_on_disk, max_size=3)
ages = st.sampled_from([None, None, 0, 1, 1000, 31_000, -500_000, "same", "same"])
tracks = st.builds(ops.Track, workspaces=on_disk, host=st.none() | hosts)
_settings = st.builds(
    FleetSettings,
    lease_ttl=st.sampled_from([60_000, 300_000]),
    max_attempts=st.sampled_from([1, 3]),
    spawn_timeout=st.sampled_from([1000, 60_000]),
    beat=st.sampled_from([None, None, 5000]),
    kill_grace=st.sampled_from([None, None, 0]),
    history=st.sampled_from([None, None, 60_000, 0]),
    ageing=st.sampled_from([None, None, 60_000, 0]),
)
#: A burst of a minute, none, one of most of a day, one of more than a day.
rates_of_a_pool = st.builds(
    Rates,
    reset_utc=st.sampled_from(["15:08", "06:00"]),
    daily_limit=st.sampled_from([0, 0, 2, 1]),
    min_delay=st.sampled_from([0, 0, 1000, 70_000]),
    sustained_delay=st.sampled_from([5000, 61_000, 300_000, 0]),
    burst_window=st.sampled_from([60_000, 0, 80_000_000, 90_000_000]),
    burst_delay=st.sampled_from([0, 1000, 5000, 400_000]),
)
rates = st.none() | st.dictionaries(st.sampled_from(["codex", "claude"]), rates_of_a_pool, max_size=2)
accounts = st.dictionaries(
    st.sampled_from(["codex", "claude"]), st.lists(st.sampled_from(["a", "b", "c"]), max_size=3), max_size=2
)
applies = st.builds(
    ops.Apply,
    limits=st.none() | limits,
    rates=rates,
    accounts=st.none() | accounts,
    weights=st.none()
    | st.dictionaries(st.sampled_from(["repo:core/io", "repo:web", "codex"]), st.sampled_from([2, 3]), max_size=2),
    settings=st.none() | _settings,
    default_agent=st.sampled_from([None, "codex", "claude"]),
)
host_actions = st.builds(
    ops.Host,
    host=st.sampled_from((*HOSTS, "cli")),
    action=st.sampled_from(["quiet", "thaw", "thaw", "forget"]),
    dead=st.sampled_from([None, True]),
)
changes = st.one_of(kills, kills, tracks, tracks, applies, cancels)
endings = st.sampled_from(
    [
        {"status": "completed", "cost_usd": 7},
        {"status": "failed", "retry_after": 5, "receipt": '{"cpu_ms":5}'},
        {"status": "failed"},
        {"status": "failed", "verdict": "start_failed"},
        {"status": "failed", "verdict": "stopped", "receipt": '{"cpu_ms":7}'},
        {"status": "failed", "retry_after": 600, "cost_usd": 40},
        {"status": "completed", "retry_after": 5},
        {"status": "blocked", "retry_after": 0},
        {"status": "merged", "receipt": '{"ended":[{"pid":71,"command":"node","by":"KILL"}]}'},
        {"status": "ready-for-review"},
    ]
)
THAWED: Final = {"status": "thawed"}
CLEARED: Final = {"status": "cleared"}
#: What becomes of one that goes first after a gate: it goes on (None), or ends so; or an operator opens the key.
#: And how early the next look is.
trials = st.tuples(
    st.sampled_from([0, 0, 0, 1]),
    st.sampled_from(
        [
            None,
            None,
            {"status": "completed"},
            {"status": "completed"},
            {"status": "failed", "verdict": "killed"},
            {"status": "failed", "verdict": "throttled"},
            {"status": "failed", "retry_after": 5},
            THAWED,
            CLEARED,
        ]
    ),
)
#: What is said of a gate or a freeze.
whys = st.sampled_from([{"by": "op"}, {"by": "op"}, {}, {"reason": "limit"}, {"by": "op", "reason": "limit"}])
hows = st.sampled_from(["until", "least", "for", "clear"])
#: In which epoch a host has told what it holds: it can not tell (None), in none, so many before the last.
epochs = st.sampled_from([None, None, None, 0, -1, 1])
host_rows = st.fixed_dictionaries(
    {"incarnation": st.sampled_from(["i0", "i0", "i1"])},
    optional={
        "machine": st.sampled_from(["m1", "m2"]),
        "pools": st.sampled_from([["codex"], ["claude"], ["codex", "claude"], []]),
        "labels": st.sampled_from([[], ["gpu"]]),
        "slots": slots | st.just(0),
        "mode": st.sampled_from(["pull", "pull", "push"]),
    },
)
reads = st.sampled_from(
    [
        ops.GetStatus(),
        ops.WhatIf(limits={"codex": 9}),
        ops.WhatIf(clear=["*", "repo:*"]),
        ops.Hosts(),
        ops.Query(host="h1"),
        ops.Query(workspace="w0"),
    ]
)
pages = st.builds(
    ops.Query,
    status=st.sampled_from([None, None, "queued", "completed", "failed"]),
    recent=st.sampled_from([None, True]),
    names=st.sampled_from([None, True]),
    agent=st.sampled_from([None, None, "codex", "claude"]),
    count=st.integers(1, 4),
)
