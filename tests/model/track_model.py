"""What the words of a disk do to the truth."""

from typing import Any, Final

from coordinator.operations import Track
from coordinator.operations.track import OnDisk
from tests.model.gate_model import Gates
from tests.model.task_model import Task

LONG: Final = 3_600_000  # ms; the lease of an asker that names none, and of a run that was found
NOBODY: Final = "tracked"
DAY: Final = 86_400_000


class Tracked(Gates):
    """Statements about workspaces: what is news, and whose word counts."""

    def track(self, ask: Track) -> tuple[int, int, int]:
        """How many were new, are known otherwise, and are another host's."""
        self.begin()
        last = {one.workspace: one for one in ask.workspaces}
        said = [self._track(one, ask.host) for one in ask.workspaces if last[one.workspace] is one]
        return said.count("new"), said.count("changed"), said.count("foreign")

    def _track(self, one: OnDisk, host: str | None) -> str | None:
        task = self.tasks.get(one.workspace)
        if not task:
            task = Task(one.workspace, self.default_agent, self.next_order())
            first = one.status or "queued"
            task.requires = host or (None if first == "running" else one.host)
            if self._is_too_old(one, first):  # it may be one that was forgotten
                first, task.requires = "blocked", host or one.host
            self.tasks[task.name] = task
            self._enter(task, one, host, first)
            return "new"
        if host and not {task.requires, task.host} <= {None, NOBODY, host}:
            return "foreign"
        if task.status == "running":
            return self._move(task, one, host or one.host or NOBODY)
        status = one.status or task.status
        lives = bool(host and one.status == "running" and one.pid)
        if task.status == "queued":
            return "changed" if lives and self._enter(task, one, host, status) else None
        proves = task.lapsed and self._is_its_own(task, one, host or one.host or NOBODY)
        proves = proves and (status != "running" or lives) and not self._is_too_old(one, status)
        if not proves and not self._is_news(task, one, status):
            return None
        return "changed" if self._enter(task, one, host, status) else None

    def _is_too_old(self, one: OnDisk, status: str) -> bool:
        old = one.token is not None and one.token < self.now - self.settings["history"]
        return old and status in ("queued", "running")

    def _is_news(self, task: Task, one: OnDisk, status: str) -> bool:
        if self._is_too_old(one, status):
            return False
        if one.token is not None and one.token <= task.token and status in ("queued", "running", task.status):
            return False
        return one.updated_at is None or (one.updated_at > task.ended_at and one.updated_at != task.dated)

    def _enter(self, task: Task, one: OnDisk, host: str | None, status: str) -> bool:
        """Whether that changed anything."""
        before, lane = self._shown(task), task.lane
        self._describe(task, one)
        if before == (status, *self._shown(task)[1:]):
            return False
        if status == "running":
            task.status = status
            self.left(lane)
            self.start(task, host or one.host or NOBODY, "asker", LONG, granted=False)
            task.tracked, task.account = True, one.account
        elif status == "queued":
            self.wait_again(task)
            self.requeue(task)
        else:
            task.status, task.tracked, task.took, task.lapsed = status, True, 0, False
            task.told = True
            task.ended_at = self.now if one.updated_at is None else min(one.updated_at, self.now)
            kept = self.settings["history"]
            task.since = max(task.ended_at, self.now - kept + min(DAY, kept // 2))
        task.dated = one.updated_at
        return True

    def _describe(self, task: Task, one: OnDisk) -> None:
        task.go_to(one.agent or task.agent)
        task.repo, task.org = one.repo or task.repo, one.org or task.org
        task.priority = task.priority if one.priority is None else one.priority

    def _shown(self, task: Task) -> tuple[Any, ...]:
        return task.status, task.agent, task.priority, task.lane, task.repo, task.org

    def _is_its_own(self, task: Task, one: OnDisk, holder: str) -> bool:
        """Whether a run is track's own, and this the word of its host, and no older than what began it."""
        if not task.tracked or not one.status or task.host != holder:
            return False
        if task.killed and one.status == "queued" and one.updated_at is None:
            return False
        began = task.since if task.status == "running" else task.token
        return one.updated_at is None or one.updated_at >= (began if task.dated is None else task.dated)

    def _move(self, task: Task, one: OnDisk, holder: str) -> str | None:
        if not one.status or not self._is_its_own(task, one, holder):
            return None
        if one.status == "running":
            task.deadline = self.now + LONG
            task.dated = task.dated if one.updated_at is None else one.updated_at
            return None
        if one.status == "queued" and not task.killed:
            self.requeue(task)
        elif one.status == "queued":
            self.finish(task, "failed")
        else:
            self.finish(task, one.status)
            task.told = True
            self._describe(task, one)
        task.dated = one.updated_at
        return "changed"
