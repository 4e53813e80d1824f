"""Misfortunes of the server, the replicas and the way between them and the hosts."""

import asyncio
import signal

from coordinator.errors import CoordinatorError
from coordinator.operations import GetStatus, Thaw
from coordinator.replica.applying import parts
from tests.faults.storm.fleet import LEASE_S, LIMITS, REPLICAS
from tests.faults.storm.kinds import Kind, kind
from tests.faults.storm.of_hands import set_limit
from tests.faults.storm.storm import Storm
from tests.faults.storm.told import FIRST
from tests.fleet import ROOT
from tests.refusals import cut

KINDS: list[Kind] = []
OTHER = ("claude", 3)
REMEMBERED_WITHIN = 3.2  # seconds after which a replica has seen what was set, also one that waits after an error


@kind(KINDS, "replica killed", "replica")
async def replica_killed(storm: Storm, replica: str) -> str:
    return await storm.fleet.be_away(replica, storm.chance.uniform(0, 2))


@kind(KINDS, "replica stopped", "replica")
async def replica_stopped(storm: Storm, replica: str) -> str:
    return await storm.fleet.stand_still(replica, storm.chance.uniform(1, 5))


@kind(KINDS, "replica restarted", "replica")
async def replica_restarted(storm: Storm, replica: str) -> str:
    storm.fleet.signal(replica)
    await storm.fleet.ended(replica)
    storm.fleet.start(replica)
    return replica


@kind(KINDS, "server killed, back with its file", "server")
async def server_killed(storm: Storm) -> str:
    await asyncio.to_thread(storm.fleet.server.kill)
    away = storm.chance.uniform(0, 2)
    await asyncio.sleep(away)
    await asyncio.to_thread(storm.fleet.server.start)
    return f"for {away:.1f} s"


@kind(KINDS, "server killed, back a second behind", "server", "rules")
async def server_behind(storm: Storm) -> str:
    server, last = storm.fleet.server, await storm.insist(lambda store: store.latest())
    await asyncio.to_thread(server.keep)
    behind = storm.chance.uniform(0.3, 1.5)
    await asyncio.sleep(behind)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.go_back)
    await asyncio.to_thread(server.start)
    storm.told.rewind(last)
    await _known_again(storm)
    return f"{behind:.1f} s behind"


@kind(KINDS, "server killed, back empty", "server", "rules", "replicas")
async def server_empty(storm: Storm) -> str:
    """A replica that remembers lives on; sometimes a new one starts at the same moment as the server.

    One limit is another than in the file: it comes back as it was set.
    """
    if not all(storm.fleet.begun(replica) for replica in REPLICAS):
        return ""  # one found no server as it started, and is started again later
    await set_limit(storm, *OTHER)
    await asyncio.sleep(REMEMBERED_WITHIN)
    with_new = storm.chance.random() < 0.5
    if with_new:
        await storm.fleet.kill_and_wait(REPLICAS[1])
    await _emptied(storm)
    if with_new:
        storm.fleet.start(REPLICAS[1])
    for _ in range(100):
        status = await storm.ask(GetStatus())
        limits = {view.key: view.limit for view in status.keys}
        if not status.frozen and limits.get(OTHER[0]) == OTHER[1]:
            break
        await asyncio.sleep(0.1)
    else:
        storm.violated(f"not written back by {REPLICAS[0]}: {status.frozen=} {limits=} at {storm.ledger.now():.0f} s")
        await _configure(storm)
    await _known_again(storm)
    await set_limit(storm, OTHER[0], LIMITS[OTHER[0]])
    return "a new replica starts too" if with_new else "both replicas remember"


@kind(KINDS, "server killed, back empty, and no replica remembers", "server", "rules", "replicas")
async def server_empty_and_forgotten(storm: Storm) -> str:
    for replica in REPLICAS:
        storm.fleet.processes[replica].kill()
    await _emptied(storm)
    for replica in REPLICAS:
        await storm.fleet.kill_and_wait(replica)
        storm.fleet.start(replica)
    await asyncio.sleep(storm.chance.uniform(0, 4))
    await _configure(storm)
    await _known_again(storm)
    return "configured by hand"


@kind(KINDS, "server stopped", "server")
async def server_stopped(storm: Storm) -> str:
    storm.fleet.server.signal(signal.SIGSTOP)
    away = storm.chance.uniform(0.5, 5)
    await asyncio.sleep(away)
    storm.fleet.server.signal(signal.SIGCONT)
    return f"for {away:.1f} s"


@kind(KINDS, "connections cut", "rules")
async def connections_cut(storm: Storm) -> str:
    which = storm.chance.choice(("normal", "pubsub"))
    try:
        many = await cut(storm.fleet.store.redis, which)
    except Exception:  # noqa: BLE001  # the server is away just now, which cuts them too
        return ""
    await asyncio.sleep(1)
    return f"{many} of {which}"


@kind(KINDS, "library flushed", "server")
async def library_flushed(storm: Storm) -> str:
    await storm.fleet.store.redis.execute_command("FUNCTION", "FLUSH", "SYNC")  # type: ignore[no-untyped-call]
    return "FUNCTION FLUSH"


DAMAGED = ("limits", "control", "leases", "events", "backoff", "fence", "status:running", "status:queued", "hosts",
           "slots:*", "slots:codex", "slots:repo:core/a", "held:h1", "host:h2", "routes", "ready:codex", "timers",
           "lanes:claude", "inbox", "opening", "blocked", "ramp", "frozen")  # fmt: skip


@kind(KINDS, "a key changed by hand, and mended", "server", "rules")
async def key_damaged(storm: Storm) -> str:
    name = storm.chance.choice(DAMAGED)
    key, aside, redis = f"{ROOT}:{name}", f"{ROOT}-damaged:{name}", storm.fleet.store.redis
    there = await redis.exists(key)
    async with redis.pipeline(transaction=True) as step:
        if there:
            step.rename(key, aside)
        if name in ("fence", "opening"):
            step.hset(key, "oops", "1")
        else:
            step.set(key, "oops")
        await step.execute()
    for_s = storm.chance.uniform(0.3, 2)
    await asyncio.sleep(for_s)
    async with redis.pipeline(transaction=True) as step:
        step.delete(key)
        if there:
            step.rename(aside, key)
        await step.execute()
    return f"{name} for {for_s:.1f} s"


async def _emptied(storm: Storm) -> None:
    server = storm.fleet.server
    await storm.told.read()
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.go_back)
    await asyncio.sleep(storm.chance.uniform(0, 2))
    await asyncio.to_thread(server.start)
    storm.told.rewind(FIRST)
    storm.ledger.killed.clear()  # what was asked of a server that has forgotten it


async def _configure(storm: Storm) -> None:
    """Somebody applies the file, and thaws."""
    for key, limit in LIMITS.items():
        storm.ledger.may_hold(key, limit)
    while True:
        try:
            async for _ in parts(storm.ask, storm.fleet.configuration()):
                pass
            break
        except CoordinatorError:  # somebody else applies another at the same time
            await asyncio.sleep(0.2)
    for key in LIMITS:
        storm.ledger.holds(key)
    await asyncio.sleep(LEASE_S)  # nobody knows which hosts there were: a run that is told of later has been stilled
    await storm.ask(Thaw(by="storm"))


async def _known_again(storm: Storm) -> None:
    """Once every host has told what it holds, what is still unknown is asked for again."""
    for _ in range(100):
        status = await storm.ask(GetStatus())
        if not status.settling or status.settling <= status.now:
            break
        await asyncio.sleep(0.1)
    await storm.told.read()
    await storm.submit_again()
