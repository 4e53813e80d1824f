"""The facts that the fleet told, as far as the server still knows them."""

import asyncio
import json

from coordinator.store.entries import Entry
from tests.faults.storm.checker import Ending
from tests.fleet import Fleet

FIRST = "0-0"


class Told:
    """Reads the stream of facts, and forgets what the server forgets."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._after = self._newest = FIRST
        self._rewound, self._reading = 0, asyncio.Lock()
        self._endings: list[tuple[str, Ending]] = []
        self._restored: set[int] = set()
        self.ever: set[str] = set()
        """Every workspace whose ending was ever told, also by a server that has forgotten it."""
        self.grants = self.endings = self.losses = 0

    @property
    def now(self) -> list[Ending]:
        """The endings that the server's present memory tells, oldest first."""
        return [ending for _, ending in self._endings]

    def ended(self) -> set[str]:
        """The workspaces of these endings."""
        return {ending.workspace for _, ending in self._endings}

    async def read(self) -> None:
        """Read what is new."""
        async with self._reading:
            more = True
            while more:
                life = self._rewound
                entries = await self._fleet.store.read_events(self._after, 1000, block_ms=1)
                more = bool(entries)
                if life == self._rewound:
                    for entry in entries:
                        self._take(entry)

    def _take(self, entry: Entry) -> None:
        fact, self._after = json.loads(entry.json), entry.id
        new = _order(entry.id) > _order(self._newest)
        self._newest = entry.id if new else self._newest
        if fact["type"] == "AgentStarted":
            self.grants += new
            if fact.get("restored"):
                self._restored.add(fact["token"])
        elif fact["type"] == "AgentLost":
            self.losses += new
        elif fact["type"] == "AgentCompleted":
            self.endings += new
            self.ever.add(fact["workspace"])
            retold = fact.get("token") in self._restored and fact.get("verdict") != "lost"
            self._endings.append((entry.id, Ending(fact["workspace"], _order(entry.id)[0], retold)))

    def rewind(self, seq: str = FIRST) -> None:
        """The server came back with what it knew at this fact, or with nothing: what came after is read again."""
        self._rewound += 1
        self._endings = [(at, ending) for at, ending in self._endings if _order(at) <= _order(seq)]
        self._after = seq


def _order(seq: str) -> tuple[int, int]:
    ms, _, number = seq.partition("-")
    return int(ms), int(number)
