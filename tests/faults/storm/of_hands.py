"""What people and other programs do meanwhile: end work, ask for it again, freeze, change limits, babble."""

import asyncio
import json
from typing import Any, Final

from redis.exceptions import RedisError

from coordinator.errors import CoordinatorError
from coordinator.operations import Cancel, Freeze, Kill, Limit, Query, Retry, Thaw
from tests.faults.storm.fleet import HOSTS, LIMITS
from tests.faults.storm.kinds import Kind, kind
from tests.faults.storm.ledger import epoch_ms
from tests.faults.storm.storm import REPOS, Storm

KINDS: list[Kind] = []
_BY: Final = "storm"


async def _kill(storm: Storm, **chosen: Any) -> str:
    """Ask for the end of some; what ran must not start after the answer."""
    running: list[str] = []
    cleared, cursor, more = 0, None, True
    while more:
        reply = await storm.ask(Kill(**chosen, by=_BY, cursor=cursor))
        more, cursor = reply.more, reply.cursor
        cleared += reply.cleared
        running += reply.running
        storm.ledger.killed |= dict.fromkeys(reply.running, epoch_ms())
    return f"{chosen}: {len(running)} running, {cleared} waiting"


async def _names(storm: Storm, status: str) -> list[str]:
    return sorted((await storm.ask(Query.model_validate({"status": status, "names": True, "count": 500}))).names)


@kind(KINDS, "kill of a workspace", "rules")
async def kill_workspace(storm: Storm) -> str:
    names = await _names(storm, storm.chance.choice(("running", "running", "queued")))
    return await _kill(storm, workspace=storm.chance.choice(names)) if names else ""


@kind(KINDS, "kill of a repo", "rules")
async def kill_repo(storm: Storm) -> str:
    return await _kill(storm, repo=f"core/{storm.chance.choice(REPOS)}")


@kind(KINDS, "kill of all of a host", "rules")
async def kill_host(storm: Storm) -> str:
    return await _kill(storm, host=storm.chance.choice(HOSTS))


@kind(KINDS, "kill of all", "rules")
async def kill_all(storm: Storm) -> str:
    said = await _kill(storm, all=True)
    await storm.ask(Thaw(by=_BY))
    return said


@kind(KINDS, "cancel", "rules")
async def cancel(storm: Storm) -> str:
    names = await _names(storm, "queued")
    chosen = storm.chance.sample(names, min(3, len(names)))
    for name in chosen:
        await storm.ask(Cancel(workspace=name, by=_BY))
    return " ".join(chosen)


@kind(KINDS, "retry", "rules")
async def retry(storm: Storm) -> str:
    ended = sorted(storm.told.ended())[-200:]
    chosen = storm.chance.sample(ended, min(3, len(ended)))
    for name in chosen:
        storm.ledger.retried(name)
        await storm.ask(Retry(workspace=name, by=_BY))
    return " ".join(chosen)


@kind(KINDS, "freeze and thaw", "rules")
async def freeze(storm: Storm) -> str:
    key = storm.chance.choice(("*", "codex", f"repo:core/{storm.chance.choice(REPOS)}", f"host:{HOSTS[0]}"))
    for_s = storm.chance.uniform(0.3, 2)
    by_itself = storm.chance.random() < 0.3

    def asked() -> Freeze:
        return Freeze(key=key, by=_BY, until=epoch_ms() + int(for_s * 1000) if by_itself else None)

    await storm.insist(lambda store: store.run(asked()))  # with an end of its own each time
    await asyncio.sleep(for_s)
    await storm.ask(Thaw(key=key, by=_BY))
    return f"{key} for {for_s:.1f} s"


@kind(KINDS, "limit lowered and raised", "rules")
async def limit(storm: Storm) -> str:
    key = storm.chance.choice((*LIMITS, f"repo:core/{storm.chance.choice(REPOS)}"))
    base = LIMITS.get(key, LIMITS["repo:*"])
    most = base if key == "repo:*" else base + 2  # a repo's own limit may be forgotten, and nobody here knows
    now = storm.chance.choice((0, 1, 1, 2, most))
    await set_limit(storm, key, now)
    for_s = storm.chance.uniform(0.5, 2.5)
    await asyncio.sleep(for_s)
    await set_limit(storm, key, base)
    return f"{key}: {base}, {now} for {for_s:.1f} s, {base}"


async def set_limit(storm: Storm, key: str, value: int) -> None:
    """The newest limit counts from before it is asked for; the older ones until it was answered."""
    if key not in storm.ledger.limits:  # it had that of its default
        storm.ledger.may_hold(key, LIMITS["repo:*"], since=0)
    storm.ledger.may_hold(key, value)
    await storm.ask(Limit(key=key, limit=value, by=_BY))
    storm.ledger.holds(key)


@kind(KINDS, "babble on the bus and in the inbox")
async def babble(storm: Storm) -> str:
    """What is malformed, forged, late or said twice: none of it ends a run that a worker holds, or starts one."""
    store, running = storm.fleet.store, await _names(storm, "running")
    ended = sorted(storm.told.ended())[-50:]
    done = {"type": "AgentCompleted", "status": "completed"}
    said = [
        *("}{", '{"type":', "[]", '"text"', "\x00\x01"),
        _json(type="Unheard of"),
        _json(type="PokeQueue"),
        _json(type="AgentCompleted"),
        _json(type="AgentCompleted", workspace="../x", status=5),
        _json(type="RateLimitDetected", pool="claude", duration="1s"),
        _json(type="AgentStarted", workspace="core/a/nobody", agent="codex", token=5, seq="1-1"),
        *(_json(**done, workspace=name) for name in (*running, *ended)),
        *(_json(**done, workspace=name, token=7) for name in running),
    ]
    chosen = storm.chance.sample(said, min(8, len(said)))
    heard = 0
    for text in chosen:
        for _ in range(storm.chance.choice((1, 1, 2, 5))):
            try:
                heard += await store.publish(text)
                if storm.chance.random() < 0.5:
                    await store.redis.xadd(f"{store.root}:inbox", {"json": text})
            except (CoordinatorError, RedisError, OSError):
                break
    return f"{len(chosen)} texts, heard {heard} times"


def _json(**fields: object) -> str:
    return json.dumps(fields)
