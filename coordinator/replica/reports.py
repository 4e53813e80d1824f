"""Acting on reports: what services say on the bus and in the inbox, each turned into one verb."""

import logging
from typing import Final

from coordinator.messages import (
    AgentCompleted,
    AgentStarted,
    Fact,
    Ignored,
    Malformed,
    Notice,
    PokeQueue,
    RateLimitDetected,
    parse,
)
from coordinator.models import Workspace
from coordinator.operations import BackOff, Complete, Confirm, Query
from coordinator.replica.floods import Budget, Lines
from coordinator.replica.memory import Memory
from coordinator.replica.notices import Notices
from coordinator.replica.running import running
from coordinator.replica.sweeper import Sweeper
from coordinator.store import Store

log = logging.getLogger(__name__)
_SET: Final = {"ConfigChanged", "Frozen", "Thawed", "RateLimitDetected"}  # facts after which more is to be remembered
_LONGEST_LINE: Final = 500  # characters of what is wrong with a message


class Reports:
    """Turns messages into verbs. Every replica does so; the first to record a report wins.

    Anybody who may publish may send anything, as fast as the network carries it. A report that comes to nothing becomes
    a fact, and of facts the newest 10,000 stay: so after 200 of them, and 5 a second, a report is looked at without a
    write first, and only one that will count is recorded. Notices beyond 1,000 and 50 a second are dropped, and so are
    reports that name no workspace, each of which reads all that runs, beyond 100 and 20 a second.
    """

    def __init__(self, store: Store, sweeper: Sweeper, memory: Memory) -> None:
        self._store, self._sweeper, self._memory, self._notices = store, sweeper, memory, Notices()
        self._fruitless, self._told, self._wide = Budget(200, 5), Budget(1000, 50), Budget(100, 20)
        self._wrong, self._vain, self._over = Lines(), Lines(), Lines()

    @property
    def malformed(self) -> int:
        """How many messages nobody could act on."""
        return self._wrong.count

    @property
    def dropped(self) -> int:
        """How many were not acted on since there were too many of them."""
        return self._over.count

    async def act(self, text: str, as_of: str, *, entry: str | None = None) -> str | None:
        """Act on a message said after the fact `as_of`, or kept in the inbox as `entry`. Answers a fact's own id."""
        match parse(text):
            case Fact(seq=seq, type=kind):
                if kind in _SET:
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
                await self._tell(report, text, as_of, entry)
            case Malformed() as malformed:
                self._count(malformed)
            case Ignored(type=kind):
                log.debug("ignored type=%s", kind[:60])
            case notice:
                await self._tell(notice, text, as_of, entry)
        return None

    def after_a_gap(self) -> None:
        """What was said meanwhile nobody heard: the keys are looked at again."""
        self._sweeper.poke()
        self._memory.look()

    async def _tell(self, notice: Notice, text: str, as_of: str, entry: str | None) -> None:
        if self._told.spend():
            await self._store.run(self._notices.push(notice, text, as_of, entry))
        else:
            self._drop(f"type={notice.type}")

    def _count(self, malformed: Malformed) -> None:
        if self._wrong.due():
            said = "; ".join(str(problem) for problem in malformed.problems[:5])
            log.warning("malformed count=%d %s", self._wrong.count, said[:_LONGEST_LINE])

    def _drop(self, what: str) -> None:
        if self._over.due():
            log.warning("dropped count=%d %s: more than a replica acts on", self._over.count, what)

    def _answered(self, what: str, workspace: str, outcome: str, *, counts: bool) -> None:
        """What became of a report; those that changed nothing are told of only now and then."""
        if counts:
            log.info("%s workspace=%s answer=%s", what, workspace, outcome)
            return
        if outcome != "already":  # it became a fact
            self._fruitless.spend()
        if self._vain.due():
            log.info("%s workspace=%s answer=%s without-effect=%d", what, workspace, outcome, self._vain.count)

    async def _back_off(self, report: RateLimitDetected) -> None:
        gate = report.gate()
        if isinstance(gate, Malformed):
            return self._count(gate)
        verb = BackOff(key=gate.key, duration=gate.duration, at_least=True, reason="RateLimitDetected")
        await self._store.run(verb)
        return None

    async def _complete(self, report: AgentCompleted, as_of: str) -> None:
        said = report.model_dump(exclude={"type", "agent", "repo", "workspace"}, exclude_none=True)
        if not report.workspace and not self._wide.spend():
            self._drop(f"type=AgentCompleted repo={report.repo}")
            return
        names = [report.workspace] if report.workspace else [run.workspace for run in await self._runs_of(report)]
        for name in names:
            if await self._may_count(name, report.token):
                answer = await self._store.run(Complete(workspace=name, **said, as_of=as_of))
                what = f"reported status={report.status}"
                self._answered(what, name, answer.outcome, counts=answer.outcome == "completed")

    async def _may_count(self, name: str, token: int | None) -> bool:
        """Whether to record a report: while few came to nothing each is, then only one whose run is there."""
        if self._fruitless.left:
            return True
        for run in (await self._store.run(Query(workspace=name))).workspaces:
            if run.status == "running" and (run.mode != "pull" if token is None else run.token == token):
                return True
        self._drop(f"workspace={name}")
        return False

    async def _runs_of(self, report: AgentCompleted) -> list[Workspace]:
        """What a report without a workspace is about: read to its end before anything is ended, which would move it.

        One that another replica ends meanwhile is `already`; one that starts meanwhile is newer than `as_of`.
        """
        found = [run async for run in running(self._store, repo=report.repo, agent=report.agent or None)]
        if report.token is not None:
            return [run for run in found if run.token == report.token]
        return [run for run in found if run.mode != "pull"]

    async def _confirm(self, report: AgentStarted) -> None:
        if report.token is None:
            log.debug("ignored type=AgentStarted workspace=%s: it has no token", report.workspace)
            return
        if await self._may_count(report.workspace, report.token):
            answer = await self._store.run(Confirm(workspace=report.workspace, token=report.token))
            self._answered("started", report.workspace, answer.outcome, counts=answer.outcome == "confirmed")
