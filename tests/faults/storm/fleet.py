"""The fleet that the storm is over: three hosts with roots of their own, two replicas, one server with a file."""

import asyncio
import contextlib
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil
from redis import Redis

from coordinator.config import fleet as files
from coordinator.operations import Apply
from coordinator.replica.replica import application
from tests.faults.storm.ledger import Ledger
from tests.fleet import ROOT, Fleet
from tests.forgetful import Forgetful
from tests.model.world import Keys, read_keys
from workers.guards import Guards
from workers.orphans import guard_of
from workers.processes import alive
from workers.slip import MARK, Slip
from workers.start import home_of
from workers.strangers import carriers

AGENT = str(Path(__file__).parent / "agent.sh")
HOSTS: Final = ("h1", "h2", "h3")
REPLICAS: Final = ("r1", "r2")
SLOTS: Final = 4
LEASE_S: Final = 3.0
LIMITS: Final[dict[str, int]] = {"*": 7, "codex": 4, "codex:gpt-5.4": 2, "claude": 4, "repo:*": 2}
TIMES: Final = {"lease_ttl": "3s", "beat": "400ms", "kill_grace": "600ms", "max_attempts": 20, "history": "5m"}


class StormFleet(Fleet):
    """Use as a context. Processes that the storm stopped go on before they are told to end."""

    def __init__(self, server: Forgetful, place: Path, ledger: Ledger) -> None:
        runner = {"command": ["sh", AGENT, str(place / "marks"), "{workspace}", "{agent}", "{task}"]}
        concurrency: dict[str, object] = {
            "*": LIMITS["*"],
            "codex": {"total": LIMITS["codex"], "gpt-5.4": LIMITS["codex:gpt-5.4"]},
            "claude": LIMITS["claude"],
            "repo:*": LIMITS["repo:*"],
        }
        super().__init__(server.url, place, concurrency, dict.fromkeys(("codex", "claude"), runner), **TIMES)
        self.server, self.ledger = server, ledger
        self._begun_at: dict[str, int] = {}
        for key, limit in LIMITS.items():
            ledger.may_hold(key, limit, since=0)

    def root_of(self, host: str) -> Path:
        return self.place / "hosts" / host

    def start(self, name: str) -> None:
        """Start a replica or a worker (again)."""
        self._begun_at[name] = len(self.said(name)) if self._log(name).exists() else 0
        if name in REPLICAS:
            self.serve(name)
        else:
            self.root = self.root_of(name)
            self.work(name, SLOTS)

    def begun(self, name: str) -> bool:
        """Whether it lives and has found the server since it was started."""
        said = self.said(name)[self._begun_at[name] :]
        return self.processes[name].poll() is None and any(word in said for word in ("serving root=", "working host="))

    def refused(self, name: str) -> bool:
        """Whether it ended since it found no server, or an unfit one, as it started: so it is documented."""
        said = self.said(name)[self._begun_at[name] :]
        return self.processes[name].poll() == 3 and "serving root=" not in said and "working host=" not in said

    async def stand_still(self, name: str, seconds: float) -> str:
        """It is stopped for so long."""
        self.signal(name, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.signal(name, signal.SIGCONT)
        return f"{name} for {seconds:.1f} s"

    async def kill_and_wait(self, name: str) -> None:
        await asyncio.to_thread(self.kill, name)

    async def be_away(self, name: str, seconds: float) -> str:
        """It is killed, and started again after so long."""
        await self.kill_and_wait(name)
        await asyncio.sleep(seconds)
        self.start(name)
        return f"{name}, back after {seconds:.1f} s"

    def home(self, host: str) -> Path:
        """Where the slips of a host's runs lie."""
        return Guards(home_of(self.root_of(host), host) / "runs").home

    def overseers(self, host: str) -> list[psutil.Process]:
        """The fork server of a host and all guards."""
        wanted, found = ["workers.forkserver", str(self.home(host))], []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cmdline()[-2:] == wanted:
                    found.append(process)
        return found

    def agents(self, host: str) -> list[int]:
        """Every process of every run of a host."""
        home = f"{self.home(host)}/"
        return [pid for pid, env in carriers(MARK).items() if env[MARK].startswith(home)]

    def unguarded(self, host: str) -> bool:
        """Whether something of a run lives whose guard does not."""
        for pid, env in carriers(MARK).items():
            path = Path(env[MARK])
            if path.parent == self.home(host):
                try:
                    with Slip.open(path) as slip:
                        guard = guard_of(slip)
                except OSError:
                    continue
                if psutil.pid_exists(pid) and not (guard and alive(guard)):
                    return True
        return False

    def run_of(self, host: str, chance: random.Random) -> tuple[str, int, int] | None:
        """Some run of a host: its workspace, its guard's pid and its agent's; None where nothing runs there."""
        for path in chance.sample(found := sorted(self.home(host).glob("*.run")), len(found)):
            with contextlib.suppress(OSError), Slip.open(path) as slip:
                birth, agent = slip.birth(), slip.agent()
                if birth and agent and slip.state()[0] == "running":
                    return birth.workspace, birth.guard.pid, agent[0].pid
        return None

    def power_cut(self, host: str) -> int:
        """Everything of a host at once: worker, fork server, guards, agents. How many there were beside agents."""
        self.processes[host].kill()
        count = 1 + self.kill_overseers(host)
        self.kill_agents(host)
        self.processes[host].wait()
        return count

    def kill_overseers(self, host: str) -> int:
        """The fork server and all guards; how many that were."""
        overseers = self.overseers(host)
        for process in overseers:
            with contextlib.suppress(psutil.Error):
                process.kill()
        return len(overseers)

    def kill_agents(self, host: str) -> None:
        """Every process of every run, until there is none."""
        while left := self.agents(host):
            for pid in left:
                with contextlib.suppress(psutil.Error):
                    psutil.Process(pid).kill()

    def configuration(self) -> Apply:
        """What an operator applies when nobody remembers what was set."""
        text = files.read(self.config, explicit=True)
        assert text is not None
        return application(files.parse(text, self.config.name)[0], by="storm")

    async def keys(self) -> Keys:
        """Every key at one moment."""

        def read() -> Keys:
            with Redis.from_url(self.url, decode_responses=True, socket_timeout=5) as client:
                return read_keys(client, ROOT)

        return await asyncio.to_thread(read)

    def strays(self) -> Iterator[str]:
        """Processes of any run or guard that live, once all has ended."""
        for host in HOSTS:
            for pid in [*self.agents(host), *(process.pid for process in self.overseers(host))]:
                with contextlib.suppress(psutil.Error):
                    yield f"{host}: {pid} {' '.join(psutil.Process(pid).cmdline())}"

    def files_left(self) -> list[str]:
        """Slips and notes of runs that lie there, once all has ended."""
        return [str(path) for host in HOSTS for kind in ("run", "grant") for path in self.home(host).glob(f"*.{kind}")]
