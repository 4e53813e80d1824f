"""Stories of work that waits for a time, or only until one, as in stories.py."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coordinator import operations as ops
from tests.model import choices as some
from tests.model.base import Base


class TimedStories(Base):
    """Times come, and priorities change meanwhile."""

    @rule(first=st.sampled_from([9, 0]), start=some.starts)
    def overtake(self, first: int, start: int | None) -> None:
        """Three wait for one slot, perhaps until a time; the last goes before the others, or the first behind them."""
        fleet = self.fleet
        fleet.limit(ops.Limit(key="codex", limit=0))
        for name in some.NAMES[:3]:
            fleet.submit(
                ops.Submit(workspace=name, agent="codex", again=True).model_copy(update=self._times(start, None))
            )
        fleet.prioritize(ops.Prioritize(workspace=some.NAMES[2 if first == 9 else 0], priority=first))
        fleet.pass_time(start or 0)
        fleet.limit(ops.Limit(key="codex", limit=1))
        self._settle_down()

    @rule(ask=some.submits, start=some.starts, left=some.lefts, twice=some.rarely, off=some.rarely)
    def submit_for_later(self, ask: ops.Submit, start: int | None, left: int | None, twice: bool, off: bool) -> None:
        """It may not start yet, or not too late; some are asked for twice, or called off and queued again."""
        self._submit(ask.model_copy(update=self._times(start, left)), twice=twice)
        if off:
            self.fleet.cancel(ops.Cancel(workspace=ask.workspace))
            self.fleet.retry(ops.Retry(workspace=ask.workspace))

    @rule(
        asks=st.lists(some.plain_submits, min_size=2, max_size=4),
        start=some.starts,
        left=some.lefts,
        early=st.integers(0, 1),
        cold=st.booleans(),
        name=some.hosts,
    )
    def come_of_age(
        self, asks: list[ops.Submit], start: int | None, left: int | None, early: int, cold: bool, name: str
    ) -> None:
        """Several wait for one time, or have one deadline, which comes, or nearly; perhaps in a frozen fleet."""
        fleet, times = self.fleet, self._times(start, left)
        if cold:
            fleet.freeze(ops.Freeze())
        for ask in asks:
            self._submit(ask.model_copy(update=times))
        for when in sorted(times.values()):
            fleet.pass_time(max(when - fleet.truth.now - early, 0))
            if cold and when == max(times.values()):
                fleet.thaw(ops.Thaw())
            self._claim(name, None)
        self._settle_down()

    @rule(over=st.sampled_from([600_000, 1, 0, -1]), ahead=st.integers(1, 2))
    def take_long(self, over: int, ahead: int) -> None:
        """Some runs of a lane go on past what was expected of them; then others start one by one, of two lanes."""
        fleet = self.fleet
        fleet.limit(ops.Limit(key="codex", limit=ahead))
        for name in some.NAMES[:4]:
            fleet.submit(ops.Submit(workspace=name, agent="codex", repo="web", again=True))
        self._settle_down()
        began = [task for task in fleet.truth.running() if task.name in some.NAMES[:4]]
        expected = fleet.truth.fair.lanes[began[0].lane].expected if began else 0
        fleet.pass_time(max(expected + over, 0))
        for name in some.NAMES[4:7]:
            fleet.submit(ops.Submit(workspace=name, agent="codex", again=True))
        for more in (1, 2, 3):
            fleet.limit(ops.Limit(key="codex", limit=ahead + more))
            for name in some.HOSTS[:3]:
                self._claim(name, 1)

    @rule(data=st.data(), start=some.starts, left=some.lefts, twice=some.rarely)
    def retry_for_later(self, data: st.DataObject, start: int | None, left: int | None, twice: bool) -> None:
        """One that has ended is told other times, or none."""
        ended = sorted(one.name for one in self.fleet.truth.tasks.values() if one.status not in ("queued", "running"))
        if ended:
            name, times = data.draw(st.sampled_from(ended)), {"not_before": 0, "deadline": 0} | self._times(start, left)
            self.fleet.retry(ops.Retry.model_validate({"workspace": name, **times}), twice=twice)

    @precondition(lambda self: any(task.start_by for task in self.fleet.truth.running()))
    @rule(data=st.data(), ending=some.endings)
    def end_after_its_deadline(self, data: st.DataObject, ending: dict[str, Any]) -> None:
        """A run that began in time goes on; when it meets a limit later it is not begun again."""
        late = [task for task in self._running() if task.start_by]
        task = data.draw(st.sampled_from(late))
        self.fleet.pass_time(max((task.start_by or 0) - self.fleet.truth.now, 0))
        self.fleet.complete(ops.Complete(workspace=task.name, token=task.token, **ending))

    def _times(self, start: int | None, left: int | None) -> dict[str, int]:
        """`not_before` in so many ms, and a `deadline` so long after it."""
        begin = self.fleet.truth.now + (start or 0)
        return ({} if start is None else {"not_before": begin}) | ({} if left is None else {"deadline": begin + left})
