"""Acting on reports: what services say on the bus and in the inbox, each turned into one verb."""

import logging

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
from coordinator.operations import BackOff, Complete, Confirm
from coordinator.replica.sweeper import Sweeper
from coordinator.store import Store

log = logging.getLogger(__name__)


class Reports:
    """Turns messages into verbs. Every replica does so; the first to record a report wins."""

    def __init__(self, store: Store, sweeper: Sweeper) -> None:
        self._store, self._sweeper = store, sweeper
        self.malformed = 0

    async def act(self, text: str, as_of: str) -> str | None:
        """Act on a message said after the fact `as_of`. Answers the id when it is itself a fact."""
        match parse(text):
            case Fact(seq=seq):
                return seq
            case PokeQueue():
                self._sweeper.poke()
            case AgentCompleted() as report:
                await self._complete(report, as_of)
            case AgentStarted() as report:
                await self._confirm(report)
            case RateLimitDetected(pool=pool, duration=duration):
                await self._store.run(BackOff(key=pool, duration=duration, at_least=True, reason="RateLimitDetected"))
            case Malformed(problems=problems):
                self.malformed += 1
                log.warning("malformed count=%d %s", self.malformed, "; ".join(str(problem) for problem in problems))
            case Ignored(type=kind):
                log.debug("ignored type=%s", kind[:60])
        return None

    async def _complete(self, report: AgentCompleted, as_of: str) -> None:
        said = report.model_dump(exclude={"type", "agent", "repo"}, exclude_none=True)
        answer = await self._store.run(Complete(**said, as_of=as_of))
        log.info("reported workspace=%s status=%s answer=%s", report.workspace, report.status, answer.outcome)

    async def _confirm(self, report: AgentStarted) -> None:
        if report.token is None:
            log.debug("ignored type=AgentStarted workspace=%s: it has no token", report.workspace)
            return
        answer = await self._store.run(Confirm(workspace=report.workspace, token=report.token))
        log.info("started workspace=%s answer=%s", report.workspace, answer.outcome)
