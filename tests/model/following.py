"""Asks one question of the server, and checks every law of what it left behind."""

from typing import Any

from coordinator.operations._operation import Operation
from tests.model import laws
from tests.model.task_model import Task
from tests.model.truth import Truth
from tests.model.view import View
from tests.model.world import World


class Following:
    """A world and its truth, moved on together."""

    def __init__(self, world: World) -> None:
        self.world, self.truth = world, Truth()
        self.dead: set[str] = set()
        self.sound = True  # whether the last call was answered and found lawful
        world.set_clock(self.truth.now)
        self.view = self.before = View(world.keys())

    def pass_time(self, ms: int) -> None:
        self.truth.now += ms
        self.world.set_clock(self.truth.now)

    def restart(self) -> None:
        """The server forgets what was only in its memory."""
        self.world.load()
        self.truth.remembers = False

    def _ask(self, operation: Operation[Any]) -> Any:
        self.before, self.sound = self.view, False
        answer = self.world.ask(operation)
        self.view = View(self.world.keys())
        return answer

    def _lawful(self, operation: Operation[Any], answer: Any, twice: bool) -> None:
        """Every law holds; and when the question is asked again, nothing changes twice."""
        self._follow_pushes()
        for name, part in self.view.keys.items():
            for lane, score in part.items() if name.startswith(("ready:", "blocked:")) else ():
                if not lane.startswith("@"):
                    self.truth.fair.look(lane, score, self.truth.now)
        self.truth.drain()
        moment = laws.Moment(self.view, self.before, self.truth, self.world.listening, self.world.facts())
        for law in laws.ALWAYS:
            law(moment)
        self.truth.told.clear()
        self.truth.restored.clear()
        if twice and not self.view.due(self.truth.now) and not self._wakes_a_push_host(answer):
            again, once = self.world.ask(operation), self.view
            self.view = View(self.world.keys())  # it may have woken one host more
            laws.a_retry_changes_nothing_twice(once, self.view, answer, again)
            laws.what_happened_is_told(moment._replace(facts=self.world.facts()))
        self.sound = True

    def _unfinished(self) -> bool:
        """Whether keys still wait to be opened, or did while something started: work may have been passed over."""
        due = (*self.view.timers.values(), *self.view.ages.values())
        return self.view.opening or self._left_timers or any(when <= self.truth.now for when in due)

    @property
    def _fires(self) -> int:
        """How many timers, and as many of each other kind, a call sees to at first."""
        return 1 if self.world.tight else 8

    @property
    def _left_timers(self) -> bool:
        """Whether more timers were due than a call fires at first: a start, or what its end hands out, moves others."""
        return sum(when <= self.truth.now for when in self.before.timers.values()) > self._fires

    def _tidy(self, most: int | None = None, *, lean: bool = False) -> None:
        """What a call does first of what is due; a lean one, only when something is said to be."""
        self.truth.begin()
        due, most = self.before.control.get("due"), most or self._fires
        if not (lean and due and int(due) > self.truth.now):
            self.truth.come_of_age(self.truth.due()[:most])
            self.truth.fair.age(self.truth.now, most)

    def _follow_the_clock(self) -> bool:
        """Where it hands out to push hosts, the end of a call moves some of what is due, too; a drain gives up others.

        Whether that may have happened in more than one go.
        """
        moved = [task for task in self.truth.due() if self._was_moved(task)]
        self.truth.come_of_age(moved)
        return self.world.tight and len(moved) > 1

    def _was_moved(self, task: Task) -> bool:
        record = self.view.records.get(task.name, {"status": "failed", "verdict": "deadline"})  # perhaps forgotten
        if self.truth.missed(task):
            return (record["status"], record.get("verdict")) == ("failed", "deadline")
        return record["status"] != "queued" or task.name in self.view.lanes.get(task.lane, {})

    def _follow_pushes(self) -> None:
        """What runs and nobody asked for was handed to push hosts at the end of the call, in this order."""
        unfinished = self._follow_the_clock() or self._unfinished()
        new = {name for name in self.view.of_status("running") if self.truth.tasks[name].status != "running"}
        for name in sorted(new, key=lambda name: int(self.view.records[name]["token"])):
            record = self.view.records[name]
            self.truth.push(name, record["host"], best=not unfinished)
            self.truth.tasks[name].token = int(record["token"])

    def _wakes_a_push_host(self, answer: Any) -> bool:
        """Whether this question, asked again, wakes one host more, and that host starts something."""
        waits = any(host.mode == "push" and self.view.waits(name) for name, host in self.truth.hosts.items())
        return waits and answer.outcome in ("set", "thawed")

    def _nothing_changed(self, pending: bool) -> None:
        if not pending:
            laws.nothing_changed(self.before, self.view)

    @property
    def _pending(self) -> bool:
        """Whether the next call has something of its own to do first."""
        return self.view.due(self.truth.now) or not self.truth.remembers
