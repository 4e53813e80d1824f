"""A namespace in which every kind of key exists, made by verbs, and one question of each kind that touches them."""

import json
from typing import Any

from redis import Redis

from coordinator import library

ROOT = "{t}"
ACCOUNTS = {"cursor": ["a", "b"], "aider": ["one"]}
#: Some of every family in which there may be faults.
SOME_KEYS = [
    *(
        "workspace:run",
        "workspace:by-model",
        "workspace:in-time",
        "slots:*",
        "slots:codex",
        "held:h1",
        "leases",
        "later",
    ),
    *("status:queued", "status:running", "lane:codex:big codex codex:big", "lanes:gemini", "ready:gemini", "blocked"),
    *("blocked:claude:claude+gpu", "groups:claude", "hosts", "host:h1", "poked", "waiting:gemini", "served:codex"),
    "serves:h1",
]
LATER = 9_000_000_000_000  # epoch ms, far ahead


def ask(redis: "Redis", verb: str, question: object) -> dict[str, Any]:
    """One verb by its wire form, as any language would call it."""
    text = question if isinstance(question, str | bytes) else json.dumps(question)
    answer: dict[str, Any] = json.loads(redis.fcall(f"dispatch_{verb}", 1, ROOT, text))
    return answer


def _claim(host: str, seq: int) -> dict[str, object]:
    return {"host": host, "incarnation": "i1", "seq": seq}


def build(redis: "Redis") -> dict[str, int]:
    """Fills an empty server; answers the tokens of what runs."""
    redis.function_load(library.TEXT, replace=True)
    limits = {"*": 20, "codex": 9, "codex:big": 1, "repo:*": 3, "account:aider/one": 0}
    limits |= {"account:cursor/a": 2, "account:cursor/b": 1, "gemini": 9, "team": 9}
    rates = {"codex": {"min_delay": 5}, "cursor": {"sustained_delay": 3_600_000, "daily_limit": 9}}
    shared = {"rates": rates, "accounts": ACCOUNTS, "weights": {"team": 2}}
    ask(redis, "apply", {"limits": limits, **shared, "default_agent": "claude"})
    ask(redis, "thaw", {})
    for host, pools, labels in (("h1", ["codex", "claude"], ["gpu"]), ("h2", ["gemini"], []), ("h3", ["codex"], [])):
        beat = {"host": host, "incarnation": "i1", "machine": "m", "pools": pools, "labels": labels, "slots": 6}
        ask(redis, "renew", beat)
    ask(redis, "host", {"host": "h3", "action": "quiet"})
    for name in ("run", "hurt", "late", "done"):
        ask(
            redis,
            "submit",
            {"workspace": name, "agent": "codex:big" if name == "run" else "codex", "repo": "r", "org": "o"},
        )
        ask(redis, "limit", {"key": "repo:*", "limit": 9})
    ask(redis, "claim", _claim("h1", 1))
    ask(redis, "limit", {"key": "repo:*", "limit": 3})
    ask(redis, "submit", {"workspace": "asked", "agent": "cursor", "asker": "svc"})
    push = {"host": "p1", "incarnation": "i1", "pools": ["shell"], "slots": 2, "mode": "push"}
    ask(redis, "renew", push)
    ask(redis, "submit", {"workspace": "pushed", "agent": "shell"})
    runs = ("run", "hurt", "late", "done", "asked", "pushed")
    tokens = {name: int(redis.hget(f"{ROOT}:workspace:{name}", "token") or 0) for name in runs}
    ask(redis, "complete", {"workspace": "done", "token": tokens["done"], "status": "completed"})
    ask(redis, "complete", {"workspace": "hurt", "token": tokens["hurt"], "status": "failed"})
    ask(redis, "kill", {"workspace": "late"})
    ask(redis, "back_off", {"key": "claude", "until": LATER, "reason": "limit"})
    ask(redis, "freeze", {"key": "repo:o/cold", "by": "ana"})
    ask(redis, "freeze", {"key": "host:h9", "by": "ana"})
    found = [{"workspace": f"found-{at}", "agent": "cursor", "repo": "r", "status": "running"} for at in range(2)]
    ask(redis, "track", {"workspaces": found, "host": "h4"})
    ask(redis, "submit", {"workspace": "by-model", "agent": "codex:big"})
    ask(redis, "submit", {"workspace": "by-gate", "agent": "claude", "labels": ["gpu"]})
    ask(redis, "submit", {"workspace": "by-freeze", "agent": "codex", "org": "o", "repo": "cold"})
    ask(redis, "submit", {"workspace": "by-pace", "agent": "cursor"})
    ask(redis, "submit", {"workspace": "by-account", "agent": "aider"})
    ask(redis, "submit", {"workspace": "first", "agent": "gemini", "keys": ["team"]})  # a run whose lane is ready
    ask(redis, "claim", {**_claim("h2", 1), "count": 1})
    tokens["first"] = int(redis.hget(f"{ROOT}:workspace:first", "token") or 0)
    ask(redis, "submit", {"workspace": "ready", "agent": "gemini", "keys": ["team"]})
    ask(redis, "submit", {"workspace": "ready-2", "agent": "gemini", "keys": ["team"]})
    ask(redis, "submit", {"workspace": "by-far", "agent": "gemini", "keys": ["codex:big"]})  # a run of codex has it
    ask(redis, "submit", {"workspace": "by-time", "agent": "codex", "not_before": LATER, "deadline": LATER + 1})
    ask(redis, "submit", {"workspace": "in-time", "agent": "codex:big", "deadline": LATER})
    ask(redis, "claim", _claim("h1", 2))
    redis.zadd(f"{ROOT}:poked", {"h1": LATER})
    redis.zadd(f"{ROOT}:status:completed", {"done": 1})
    redis.hset(f"{ROOT}:summary", "codex completed", 1)
    redis.hset(f"{ROOT}:ramp", "shell", "2 1 1 1 w=2")
    redis.xadd(f"{ROOT}:inbox", {"json": "{}"})
    return tokens


def make_due(redis: "Redis") -> None:
    """As if time had passed: a gate ends, a poke is not answered, a walk is unfinished, leases and a route lapsed."""
    ask(redis, "submit", {"workspace": "rested", "agent": "codex", "labels": ["gpu"]})
    ask(redis, "cancel", {"workspace": "rested"})
    redis.zadd(f"{ROOT}:routes", {"codex+gpu": 1})
    redis.hset(f"{ROOT}:backoff", "claude", 1)
    redis.zadd(f"{ROOT}:timers", {"claude": 1, "cursor": 2})
    redis.hset(f"{ROOT}:control", "starts:cursor", "1 1 1")
    redis.zadd(f"{ROOT}:poked", {"h1": 1})
    redis.set(f"{ROOT}:opening", "repo:a")
    redis.zadd(f"{ROOT}:later", {"by-time": 1, "in-time": 1})
    redis.hset(f"{ROOT}:workspace:by-time", "not_before", 1)
    redis.hset(f"{ROOT}:workspace:in-time", "deadline", 1)
    redis.hset(f"{ROOT}:control", "due", 1)
    redis.zadd(f"{ROOT}:leases", {"hurt": 1, "late": 1, "asked": 1})


def _told(name: str, token: int, ended: str = "", **more: object) -> dict[str, object]:
    """What h1 says of a run that it was granted."""
    run: dict[str, object] = {"workspace": name, "token": token, "agent": "codex", "repo": "r", "org": "o", **more}
    if ended:
        run["ending"] = {"workspace": name, "token": token, "status": ended}
    return {"host": "h1", "incarnation": "i1", "runs": [run]}


def questions(tokens: dict[str, int]) -> list[tuple[str, dict[str, object]]]:
    """Questions that between them touch every key that `build` made."""
    held: list[dict[str, object]] = [{"workspace": name, "token": tokens[name]} for name in ("run", "late")]
    return [
        ("submit", {"workspace": "new", "agent": "codex", "repo": "r", "org": "o"}),
        ("submit", {"workspace": "new", "agent": "claude", "labels": ["gpu"]}),
        ("submit", {"workspace": "new", "agent": "codex", "host": "h1"}),
        ("submit", {"workspace": "new", "agent": "gemini", "keys": ["team"]}),
        ("submit", {"workspace": "new", "agent": "codex", "asker": "h1"}),
        ("submit", {"workspace": "new", "agent": "cursor"}),
        ("submit", {"workspace": "new", "agent": "codex", "not_before": LATER, "deadline": LATER + 1}),
        ("submit", {"workspace": "new", "agent": "shell"}),
        ("submit", {"workspace": "new", "agent": "aider"}),
        ("submit", {"workspace": "done", "again": True, "agent": "codex:big"}),
        ("claim", _claim("h1", 3)),
        ("claim", _claim("h2", 2)),
        ("renew", {"host": "h1", "incarnation": "i1", "held": held}),
        ("renew", {"host": "h1", "incarnation": "i2", "pools": ["gemini"], "slots": 2}),
        ("renew", {"host": "h1", "incarnation": "i1", "pools": ["shell"], "slots": 2}),
        ("renew", {"host": "h9", "incarnation": "i1", "pools": ["gemini", "codex"], "slots": 2}),
        ("renew", {"host": "h1", "incarnation": "i1", "endings": [{**held[0], "status": "completed"}]}),
        ("renew", {"host": "h1", "incarnation": "i1", "held": held, "epoch": 0}),
        ("restore", {"host": "h1", "incarnation": "i1", "runs": [{**one, "agent": "codex"} for one in held]}),
        ("restore", _told("new", 9_000_000_000_000, lane="codex@h1+gpu codex repo:o/r team #13")),
        ("restore", _told("run", tokens["run"] + 1)),
        ("restore", _told("by-gate", 9_000_000_000_000, ended="completed")),
        ("restore", _told("done", tokens["run"] + 1, ended="failed")),
        ("complete", {**held[0], "status": "completed"}),
        ("complete", {**held[0], "status": "failed", "retry_after": 60}),
        ("complete", {**held[1], "status": "completed", "claim": _claim("h1", 3)}),
        ("complete", {"workspace": "asked", "status": "completed", "claim": _claim("h2", 2)}),
        ("complete", {"workspace": "first", "token": tokens["first"], "status": "completed"}),
        ("complete", {"workspace": "run", "status": "completed"}),
        ("complete", {"workspace": "pushed", "status": "completed"}),
        ("confirm", {"workspace": "pushed", "token": tokens["pushed"]}),
        ("confirm", held[0]),
        ("kill", {"workspace": "run"}),
        ("kill", {"workspace": "by-gate"}),
        ("kill", {"workspace": "by-time"}),
        ("kill", {"agent": "codex"}),
        ("kill", {"agent": "gemini", "cursor": "q"}),
        ("kill", {"repo": "o/r"}),
        ("kill", {"host": "h1"}),
        ("kill", {"all": True}),
        ("kill", {"all": True, "cursor": "q"}),
        ("cancel", {"workspace": "by-model"}),
        ("cancel", {"workspace": "by-time"}),
        ("cancel", {"status": "queued"}),
        ("retry", {"workspace": "hurt"}),
        ("retry", {"workspace": "hurt", "not_before": LATER, "deadline": LATER + 1}),
        ("retry", {"status": "failed"}),
        ("retry", {"workspace": "hurt", "answer": "yes"}),
        ("retry", {"workspace": "hurt", "answer": "yes", "agent": "gemini"}),
        ("prioritize", {"workspace": "by-model", "priority": 9}),
        ("prioritize", {"workspace": "by-time", "priority": 9}),
        ("prioritize", {"workspace": "run", "priority": 9}),
        ("track", {"workspaces": [{"workspace": "new", "agent": "codex"}, {"workspace": "disk", "status": "running"}]}),
        ("track", {"workspaces": [{"workspace": "done", "status": "merged"}], "host": "h1"}),
        ("track", {"workspaces": [{"workspace": "disk", "status": status} for status in ("running", "failed")]}),
        ("track", {"workspaces": [{"workspace": "found-0", "status": "completed"}], "host": "h4"}),
        ("track", {"workspaces": [{"workspace": "found-1", "status": "queued"}], "host": "h4"}),
        ("freeze", {}),
        ("freeze", {"key": "codex", "until": LATER}),
        ("freeze", {"key": "host:h1"}),
        ("thaw", {"key": "host:h9"}),
        ("thaw", {}),
        ("thaw", {"key": "repo:o/cold"}),
        ("back_off", {"key": "codex", "until": LATER}),
        ("back_off", {"key": "claude", "clear": True}),
        ("back_off", {"key": "codex", "clear": True}),
        ("limit", {"key": "codex:big", "limit": 5}),
        ("limit", {"key": "repo:*", "clear": True}),
        ("limit", {"key": "account:*", "clear": True}),
        ("limit", {"key": "account:aider/one", "limit": 1}),
        ("limit", {"key": "account:cursor/b", "limit": 3}),
        ("apply", {"accounts": {"cursor": ["b"]}}),
        ("complete", {"workspace": "asked", "status": "failed", "retry_after": 60}),
        ("apply", {"limits": {"codex:big": 4}, "rates": {"codex": {"min_delay": 6}}, "settings": {"beat": 5000}}),
        ("host", {"host": "h1", "action": "quiet"}),
        ("host", {"host": "h3", "action": "thaw"}),
        ("host", {"host": "p1", "action": "thaw"}),
        ("host", {"host": "h2", "action": "forget"}),
        ("host", {"host": "h1", "action": "forget", "dead": True}),
        ("reap", {}),
        ("reap", {"faults": 3}),
        ("mend", {"keys": SOME_KEYS, "by": "ana"}),
        ("faults", {"keys": SOME_KEYS}),
        ("status", {}),
        ("query", {}),
        ("query", {"recent": True, "after": 1, "before": LATER}),
        ("query", {"name": "run"}),
        ("explain", {"workspace": "by-model"}),
        ("explain", {"workspace": "ready"}),
        ("explain", {"workspace": "by-time"}),
        ("what_if", {"limits": {"codex:big": 5, "repo:*": 9, "claude": 3}, "clear": ["*"]}),
        ("hosts", {}),
    ]
