"""Acting on reports: what services say on the bus and in the inbox, each turned into one verb."""

import logging
from typing import Final

from coordinator.messages import (
    AgentCompleted,
    AgentStarted,
    Fact,
    Ignored,
    Malformed,
    PokeQueue,
    RateLimitDetected,
    parse,
)
from coordinator.models import Workspace
from coordinator.operations import BackOff, Complete, Confirm, Query
from coordinator.replica.memory import Memory
from coordinator.replica.notices import Notices
from coordinator.replica.sweeper import Sweeper
from coordinator.store import Store

log = logging.getLogger(__name__)
_SET: Final = {"ConfigChanged", "Frozen", "Thawed", "RateLimitDetected"}  # facts after which more is to be remembered


class Reports:
    """Turns messages into verbs. Every replica does so; the first to record a report wins."""

    def __init__(self, store: Store, sweeper: Sweeper, memory: Memory | None = None) -> None:
        self._store, self._sweeper, self._memory, self._notices = store, sweeper, memory, Notices()
        self.malformed = 0

    async def act(self, text: str, as_of: str, *, entry: str | None = None) -> str | None:
        """Act on a message said after the fact `as_of`, or kept in the inbox as `entry`. Answers a fact's own id."""
        match parse(text):
            case Fact(seq=seq, type=kind):
                if self._memory and kind in _SET:
                    self._memory.look()
                return seq
            case PokeQueue():
                self._sweeper.poke()
            case AgentCompleted() as report:
                await self._complete(report, as_of)
            case AgentStarted() as report:
                await self._confirm(report)
            case RateLimitDetected() as report:
                await self._back_off(report)
                await self._store.run(self._notices.push(report, text, as_of, entry))
            case Malformed() as malformed:
                self._count(malformed)
            case Ignored(type=kind):
                log.debug("ignored type=%s", kind[:60])
            case notice:
                await self._store.run(self._notices.push(notice, text, as_of, entry))
        return None

    def _count(self, malformed: Malformed) -> None:
        self.malformed += 1
        log.warning("malformed count=%d %s", self.malformed, "; ".join(str(problem) for problem in malformed.problems))

    async def _back_off(self, report: RateLimitDetected) -> None:
        gate = report.gate()
        if isinstance(gate, Malformed):
            return self._count(gate)
        verb = BackOff(key=gate.key, duration=gate.duration, at_least=True, reason="RateLimitDetected")
        await self._store.run(verb)
        return None

    async def _complete(self, report: AgentCompleted, as_of: str) -> None:
        said = report.model_dump(exclude={"type", "agent", "repo", "workspace"}, exclude_none=True)
        names = [report.workspace] if report.workspace else [run.workspace for run in await self._runs_of(report)]
        for name in names:
            answer = await self._store.run(Complete(workspace=name, **said, as_of=as_of))
            log.info("reported workspace=%s status=%s answer=%s", name, report.status, answer.outcome)

    async def _runs_of(self, report: AgentCompleted) -> list[Workspace]:
        """What a report without a workspace is about: read to its end before anything is ended, which would move it.

        One that another replica ends meanwhile is `already`; one that starts meanwhile is newer than `as_of`.
        """
        found: list[Workspace] = []
        asked = Query(status="running", repo=report.repo, agent=report.agent or None, count=500)
        while True:
            page = await self._store.run(asked)
            found += page.workspaces
            if page.cursor is None:
                break
            asked = asked.model_copy(update={"cursor": page.cursor})
        if report.token is not None:
            return [run for run in found if run.token == report.token]
        return [run for run in found if run.mode != "pull"]

    async def _confirm(self, report: AgentStarted) -> None:
        if report.token is None:
            log.debug("ignored type=AgentStarted workspace=%s: it has no token", report.workspace)
            return
        answer = await self._store.run(Confirm(workspace=report.workspace, token=report.token))
        log.info("started workspace=%s answer=%s", report.workspace, answer.outcome)
