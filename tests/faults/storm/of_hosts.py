"""Misfortunes of hosts: their workers, guards and agents."""

import asyncio
import contextlib
import signal

import psutil

from coordinator.operations import Host
from tests.faults.storm.fleet import HOSTS, LEASE_S
from tests.faults.storm.kinds import Kind, kind
from tests.faults.storm.storm import Storm

KINDS: list[Kind] = []


@kind(KINDS, "worker killed", "host")
async def worker_killed(storm: Storm, host: str) -> str:
    return await storm.fleet.be_away(host, storm.chance.choice((0.0, 0.0, 1.0, LEASE_S + 1)))


@kind(KINDS, "worker stopped beyond its leases", "host")
async def worker_stopped(storm: Storm, host: str) -> str:
    return await storm.fleet.stand_still(host, LEASE_S + storm.chance.uniform(0.2, 2))


@kind(KINDS, "worker stopped for a moment", "host")
async def worker_stopped_shortly(storm: Storm, host: str) -> str:
    return await storm.fleet.stand_still(host, storm.chance.uniform(0.5, LEASE_S))


@kind(KINDS, "worker restarted politely", "host")
async def worker_upgraded(storm: Storm, host: str) -> str:
    storm.fleet.signal(host)
    if not await _left(storm, host, 8):
        storm.fleet.signal(host)
        if not await _left(storm, host, 20):
            storm.violated(f"did not end: {host}, told to twice, by {storm.ledger.now():.0f} s")
            storm.fleet.kill(host)
    storm.fleet.start(host)
    return host


async def _left(storm: Storm, host: str, seconds: float) -> bool:
    for _ in range(int(seconds * 10)):
        await asyncio.sleep(0.1)
        if storm.fleet.processes[host].poll() is not None:
            return True
    return False


@kind(KINDS, "guard killed", "host")
async def guard_killed(storm: Storm, host: str) -> str:
    run = storm.fleet.run_of(host, storm.chance)
    if run is None:
        return ""
    with contextlib.suppress(psutil.Error):
        psutil.Process(run[1]).kill()
    return f"{host}, of {run[0]}"


@kind(KINDS, "guard stopped", "host")
async def guard_stopped(storm: Storm, host: str) -> str:
    run = storm.fleet.run_of(host, storm.chance)
    if run is None:
        return ""
    with contextlib.suppress(psutil.Error):
        guard = psutil.Process(run[1])
        guard.suspend()
        await asyncio.sleep(LEASE_S + storm.chance.uniform(-2, 2))
        guard.resume()
    return f"{host}, of {run[0]}"


@kind(KINDS, "agent killed")
async def agent_killed(storm: Storm) -> str:
    for host in storm.chance.sample(HOSTS, len(HOSTS)):
        if run := storm.fleet.run_of(host, storm.chance):
            with contextlib.suppress(psutil.Error):
                psutil.Process(run[2]).send_signal(storm.chance.choice((signal.SIGKILL, signal.SIGTERM)))
            return f"{host}, of {run[0]}"
    return ""


@kind(KINDS, "fork server killed", "host")
async def fork_server_killed(storm: Storm, host: str) -> str:
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        pid = int((storm.fleet.home(host) / "forkserver.2.lock").read_text())
        if any(process.pid == pid for process in storm.fleet.overseers(host)):
            psutil.Process(pid).kill()
            return host
    return ""


@kind(KINDS, "overseers killed, worker back at once", "host")
async def overseers_killed(storm: Storm, host: str) -> str:
    """Worker, fork server and guards at once, their agents' children not: the next worker ends these."""
    storm.fleet.processes[host].kill()
    count = storm.fleet.kill_overseers(host)
    storm.fleet.processes[host].wait()
    storm.fleet.start(host)
    until = storm.ledger.now() + LEASE_S - 1.5
    while storm.fleet.unguarded(host):
        await asyncio.sleep(0.05)
        if storm.ledger.now() > until:  # too slow a machine: what nobody guards must not outlive its lease
            storm.fleet.kill_agents(host)
            return f"{host}, {count} beside its worker, which began too late"
    return f"{host}, {count} beside its worker"


@kind(KINDS, "power cut, silence", "host")
async def power_cut_silence(storm: Storm, host: str) -> str:
    count = storm.fleet.power_cut(host)
    away = storm.chance.choice((0.5, LEASE_S + 1.5))
    await asyncio.sleep(away)
    storm.fleet.start(host)
    return f"{host}, {count} processes, back after {away} s"


@kind(KINDS, "power cut, said to be dead", "host")
async def power_cut_forgotten(storm: Storm, host: str) -> str:
    count = storm.fleet.power_cut(host)
    more = True
    while more:
        reply = await storm.ask(Host(host=host, action="forget", dead=True))
        more = bool(getattr(reply, "more", False))
    storm.fleet.start(host)
    return f"{host}, {count} processes"


@kind(KINDS, "status.json can not be written", "host")
async def status_unwritable(storm: Storm, host: str) -> str:
    """A directory lies where the file of a running workspace is."""
    run = storm.fleet.run_of(host, storm.chance)
    if run is None:
        return ""
    path = storm.fleet.root_of(host) / run[0] / "status.json"
    aside = path.with_suffix(".aside")
    with contextlib.suppress(OSError):
        path.rename(aside)
        (path / "in the way").mkdir(parents=True)
        await asyncio.sleep(2)
    with contextlib.suppress(OSError):
        (path / "in the way").rmdir()
        path.rmdir()
        aside.rename(path)
    return f"{host}, of {run[0]}"
