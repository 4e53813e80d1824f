"""What every rule of the machine stands on: a world, its truth, hosts that answer their pokes."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from coordinator import operations as ops
from coordinator.operations.apply import Rates
from coordinator.operations.backup import BackedUp
from coordinator.operations.restore import HeldRun
from tests.model import choices as some
from tests.model.driver import Driver
from tests.model.retelling import Kept
from tests.model.task_model import Task
from tests.model.world import World


class Base(RuleBasedStateMachine):
    """A subclass says how its world is made: see running.py."""

    open_world: Callable[[bool], World]
    driver: type[Driver] = Driver
    steps: ClassVar[int] = 0  # of all examples of this process

    @initialize(
        tight=st.booleans(),
        prompt=some.mostly,
        slots=st.tuples(some.slots, some.slots, some.slots),
        limits=some.limits,
        pushed=st.integers(0, 2),
        accounts=st.sampled_from([{}, {}, {"codex": ["a", "b"]}]),
    )
    def begin(
        self, tight: bool, prompt: bool, slots: tuple[int, ...], limits: dict[str, int], pushed: int, accounts: Any
    ) -> None:
        """Three hosts that wait, the last `pushed` of them push hosts, some limits, and the fleet thawed.

        With `tight` bounds a call stops early; `prompt` hosts answer every poke at once, and operators soon thaw.
        """
        self.prompt, self.cold = prompt, 0
        self.world = type(self).open_world(tight)
        self.fleet = type(self).driver(self.world)
        self.fact = "0-0"
        self.copy: Kept | None = None  # a copy of the server that may take its place
        self.saved: BackedUp | None = None  # what a replica remembers
        self.losses = 0
        self.memory: dict[str, list[HeldRun]] = {}  # what hosts were granted by a server that is gone
        self.fleet.apply(ops.Apply(limits=limits, rates={"codex": Rates(min_delay=5)}, accounts=accounts))
        self.fleet.thaw(ops.Thaw())
        for place, (name, count) in enumerate(zip(some.HOSTS, slots, strict=False)):
            self.world.listen(name)
            pools, mode = ["codex", "claude"][:count], some.MODES[place >= 3 - pushed]
            labels = ["gpu"] if place == 0 else []
            row = {"pools": pools, "labels": labels, "slots": count, "mode": mode}
            self.fleet.renew(ops.Renew(host=name, incarnation="i0", **row))
            self._answer(name)

    def teardown(self) -> None:
        if hasattr(self, "fleet"):
            try:
                if self.fleet.sound:
                    self._settle_down()
                    self.fleet.is_well()
            finally:
                self.world.close()

    @invariant()
    def pokes_are_answered(self) -> None:
        Base.steps += 1
        if hasattr(self, "fleet") and self.prompt:
            for name in sorted(set(self.fleet.view.poked) - self.fleet.dead):
                self._answer(name)
            self.cold = self.cold + 1 if self.fleet.truth.freeze_of("*") else 0
            if self.cold > 3:
                self.fleet.thaw(ops.Thaw())

    def _submit(self, ask: ops.Submit, *, same: bool = False, twice: bool = False) -> None:
        """Under a name that is free, where there is one, but for the `same`."""
        active = {task.name for task in (*self.fleet.truth.running(), *self.fleet.truth.queued())}
        free = [name for name in some.NAMES if name not in active]
        if free and not same and ask.workspace in active:
            ask = ask.model_copy(update={"workspace": free[0]})
        self.fleet.submit(ask, twice=twice)

    def _asking(self, name: str, count: int | None, back: int = 0, wrong: bool = False) -> dict[str, Any]:
        host = self.fleet.truth.hosts.get(name)
        seq, incarnation = (host.seq, host.incarnation) if host else (0, "i0")
        return {
            "host": name,
            "incarnation": "other" if wrong else incarnation,
            "seq": max(seq + 1 - back, 1),
            "count": count,
        }

    def _claim(self, name: str, count: int | None, *, twice: bool = False) -> bool:
        return self.fleet.claim(ops.Claim(**self._asking(name, count)), twice=twice)

    def _pushed(self, name: str) -> bool:
        host = self.fleet.truth.hosts.get(name)
        return host is not None and host.mode == "push"

    def _answer(self, name: str) -> None:
        """A worker that was poked claims; a replica looks for a push host."""
        if self._pushed(name):
            self.fleet.reap()
        else:
            self._claim(name, None)

    def _token(self, name: str, which: int) -> int:
        """0: the one in force; 1: an older one; 2: one that never was."""
        task = self.fleet.truth.tasks.get(name)
        token = task.token if task else 7
        return (token, max(token - 1, 0), token + 5)[which]

    def _running(self) -> list[Task]:
        return sorted(self.fleet.truth.running(), key=lambda task: task.name)

    def _settle_down(self) -> None:
        """Every poke is answered until all is quiet: then nothing that could start waits while a host waits for it."""
        fleet = self.fleet
        for _ in range(100):
            _to_the_end(fleet.reap)
            poked = sorted(fleet.view.poked)
            if not poked:
                break
            for name in poked:
                if name in fleet.dead or self._pushed(name):
                    fleet.pass_time(max(int(fleet.view.poked.get(name, 0)) - fleet.truth.now, 0))
                else:
                    _to_the_end(partial(self._claim, name, None))
        else:
            raise AssertionError("the pokes never end")
        for task in fleet.truth.queued():
            idle = fleet.view.waiting.get(task.route)
            assert not idle or fleet.truth.judge(task), f"{task.name} could start, and {sorted(idle)} wait for nothing"


def _to_the_end(ask: Callable[[], bool]) -> None:
    """Ask until it is answered that there is no more."""
    for _ in range(500):
        if not ask():
            return
    raise AssertionError("there is always more")
