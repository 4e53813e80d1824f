"""Stories of a server that comes back empty or behind, and is told again what it knew, as in stories.py."""

from typing import Any, Final, Literal

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from coordinator import operations as ops
from coordinator.models import Held
from coordinator.operations.apply import FleetSettings, Rates
from coordinator.operations.backup import BackedUp
from coordinator.operations.claim import Asking
from coordinator.operations.complete import HoldersEnding
from coordinator.operations.restore import HeldRun
from tests.model import choices as some
from tests.model.stories_times import TimedStories
from tests.model.task_model import Host, Task

#: What a host does when the server is back: it is gone, beats as one that can not tell again, has not yet said that
#: it has told all, or does all of it.
_COMES: Final = st.sampled_from(["tells", "tells", "tells", "half", "beats", "gone"])
#: What is otherwise in what a host tells of a run.
_ODD: Final = st.sampled_from(
    [
        {},
        {},
        {},
        {},
        {"lane": None},
        {"lane": "claude claude"},
        {"lane": "codex codex #99"},
        {"account": "z"},
        {"started_at": None},
        {"attempt": 3},
        {"stilled": True},
        {"stilled": True, "attempt": 3},
    ]
)
_ENDS: Final = st.none() | some.endings
_PICKS: Final = st.lists(st.tuples(st.integers(0, 9), _ODD, st.one_of(st.none(), _ENDS)), max_size=4)


class LosingStories(TimedStories):
    """The server loses what it knew."""

    @rule(copies=some.mostly, early=st.sampled_from([None, None, 0, 1]))
    def remember(self, copies: bool, early: int | None) -> None:
        """A replica asks what operators have set; perhaps a copy of the server falls behind from here.

        It may ask when a gate has just ended, or is just about to.
        """
        if early is not None:
            self.fleet.back_off(ops.BackOff.model_validate({"key": "claude", "for": 1000}))
            self.fleet.pass_time(1000 - early)
        saved = self.fleet.back_up()
        self.saved = self.saved if saved.new else saved
        if copies:
            self.copy = self.fleet.keep()

    @rule(sure=st.sampled_from([False, False, False, False, True]))
    def lose_everything(self, sure: bool) -> None:
        """The server comes back empty, to hosts that can not tell it again what they hold."""
        if sure:
            hosts = self._lost(behind=False)
            for host in hosts:
                self.fleet.renew(self._beat(host, None))

    @precondition(lambda self: self.losses < 3)
    @rule(
        asks=st.lists(some.plain_submits, min_size=1, max_size=3),
        last=st.lists(some.plain_submits, max_size=2),
        kept=st.sampled_from(["all", "copy", "saved", "before", "nothing"]),
        comes=st.tuples(_COMES, _COMES, _COMES, _COMES),
        ending=_ENDS,
        began=some.mostly,
        settles=st.booleans(),
        stilled=st.booleans(),
    )
    def come_back(
        self,
        asks: list[ops.Submit],
        last: list[ops.Submit],
        kept: str,
        comes: tuple[str, ...],
        ending: dict[str, Any] | None,
        began: bool,
        settles: bool,
        stilled: bool,
    ) -> None:
        """The server comes back, empty or without what was `last`; a replica may remember what was set."""
        self.losses += 1
        for ask in asks:
            self._submit(ask)
        self._settle_down()
        if kept in ("all", "saved"):
            self.remember(copies=kept == "all", early=None)
        elif kept == "copy":
            self.copy = self.fleet.keep()
        if last:
            self.work({"status": "completed"})
        for ask in last:
            self._submit(ask)
        self._settle_down()
        hosts = self._lost(behind=kept in ("all", "copy", "before"))
        if self.saved and kept != "nothing" and not self.fleet.truth.configured:
            self._write_back(self.saved)
        if stilled:
            for name, runs in self.memory.items():
                self.memory[name] = [run.model_copy(update={"stilled": True}) for run in runs]
        for host, how in zip(hosts, comes, strict=False):
            self._come(host, how, ending, began=began)
        if settles:
            self._settle_down()

    @precondition(lambda self: self.losses < 3)
    @rule(asks=st.lists(some.plain_submits, min_size=1, max_size=4), waits=some.mostly, limit=st.integers(0, 2))
    def come_back_to_nobody(self, asks: list[ops.Submit], waits: bool, limit: int) -> None:
        """No replica remembers anything when the server comes back empty; the agents of all but one host stand still.

        All tell, and wait for those whom nobody can name; only then somebody says how many may run.
        """
        self.losses += 1
        for ask in asks:
            self._submit(ask)
        self._settle_down()
        hosts = self._lost(behind=False)
        for host in hosts[1:]:
            runs = self.memory[host.name]
            self.memory[host.name] = [run.model_copy(update={"stilled": True}) for run in runs]
        for host in reversed(hosts):
            self._come(host, "tells", None, began=True)
        if waits:
            self.fleet.pass_time(max(self.fleet.truth.settling - self.fleet.truth.now, 0))
        for _ in range(2):
            for host in hosts:
                self.fleet.renew(self._beat(host, self.fleet.truth.epoch))
            self.fleet.apply(ops.Apply(limits={"codex": limit}, if_new=True, thaw=True))

    def _come(self, host: Host, how: str, ending: dict[str, Any] | None, *, began: bool) -> None:
        """A host meets the server that is back; of the last that it ran it may tell how it has ended."""
        if how != "gone":
            self.fleet.renew(self._beat(host, None if how == "beats" else 0))
        if how in ("tells", "half"):
            self._tell(host, self._remembered(host.name, ending, began=began))
        if how == "tells":
            self.fleet.renew(self._beat(host, self.fleet.truth.epoch))

    @rule(ending=some.endings)
    def work(self, ending: dict[str, Any]) -> None:
        """Every worker ends what it runs and asks for the next."""
        for task in self._running():
            if task.mode != "asker" and task.status == "running" and task.host in self.fleet.truth.hosts:
                claim = Asking(**self._asking(task.host, None))
                self.fleet.complete(ops.Complete(workspace=task.name, token=task.token, claim=claim, **ending))

    @rule(name=some.hosts, picks=_PICKS, knows=some.mostly, twice=some.rarely)
    def tell_again(self, name: str, picks: list[Any], knows: bool, twice: bool) -> None:
        """A host tells of some runs: of those that it was ever granted, of those it has, or of such as it never had."""
        fleet = self.fleet
        host = fleet.truth.hosts.get(name)
        runs = [*self.memory.get(name, ()), *map(_as_granted, self._ran_on(name))]
        runs += [self._unheard_of(name) for name in some.NAMES[:2]]
        told = [_otherwise(runs[which % len(runs)], odd, ending) for which, odd, ending in picks]
        incarnation = host.incarnation if host and knows else "other"
        fleet.restore(ops.Restore(host=name, incarnation=incarnation, machine="m1", runs=told), twice=twice)

    @precondition(lambda self: self._ended())
    @rule(data=st.data(), odd=_ODD, ending=_ENDS, twice=some.rarely)
    def tell_late(self, data: st.DataObject, odd: dict[str, Any], ending: dict[str, Any] | None, twice: bool) -> None:
        """What has ended is asked for anew, and only then its host tells of the run that it was."""
        task = data.draw(st.sampled_from(self._ended()))
        run, host = _as_granted(task), self.fleet.truth.hosts[task.host or ""]
        self.fleet.submit(ops.Submit(workspace=task.name, agent=task.agent, again=True))
        told = _otherwise(run if ending else run.model_copy(update={"ending": None}), odd, ending)
        asked = ops.Restore(host=host.name, incarnation=host.incarnation, machine=host.machine, runs=[told])
        self.fleet.restore(asked, twice=twice)

    @rule(
        names=st.none() | st.sets(some.hosts, max_size=2),
        new=st.sampled_from([None, None, True]),
        thaw=st.sampled_from([True, None]),
        frozen=some.rarely,
    )
    def begin_anew(
        self, names: set[str] | None, new: Literal[True] | None, thaw: Literal[True] | None, frozen: bool
    ) -> None:
        """A replica begins, perhaps one that knows which hosts there were; perhaps somebody has frozen the fleet."""
        if frozen:
            self.fleet.freeze(ops.Freeze(by="op"))
        hosts = None if names is None else sorted(names)
        self.fleet.apply(ops.Apply(hosts=hosts, if_new=new, thaw=thaw), whole=False)

    @precondition(lambda self: self.fleet.truth.settling > self.fleet.truth.now)
    @rule(forgets=st.booleans(), early=st.integers(0, 1), twice=some.rarely)
    def wait_no_longer(self, forgets: bool, early: int, twice: bool) -> None:
        """Those that do not come are forgotten, or their leases are over, or nearly."""
        fleet = self.fleet
        late = {host.name for host in fleet.truth.hosts.values() if host.epoch != fleet.truth.epoch}
        for name in sorted(late | (fleet.truth.expected - {*fleet.truth.hosts, "*"})) if forgets else ():
            fleet.host(ops.Host(host=name, action="forget", dead=True), twice=twice)
        if not forgets:
            fleet.pass_time(max(fleet.truth.settling - fleet.truth.now - early, 0))
        self._settle_down()

    @rule(
        channel=st.sampled_from(["build.status", "agent.status"]),
        data=st.sampled_from([None, "[]", '{"state":"green"}']),
        key=st.sampled_from([None, "a", "b"]),
        twice=some.rarely,
    )
    def notify(self, channel: str, data: str | None, key: str | None, twice: bool) -> None:
        self.fleet.push(ops.Push(channel=channel, data=data, id=key), twice=twice)

    def _ended(self) -> list[Task]:
        """What has ended on a host that is there."""
        ran = [task for name in sorted(self.fleet.truth.hosts) for task in self._ran_on(name)]
        return [task for task in ran if task.status not in ("running", "queued")]

    def _epoch(self, which: int | None) -> int | None:
        """None: it can not tell; 0: none; else the last, or one before it."""
        return self.fleet.truth.epoch + min(which, 0) if which else which

    def _lost(self, *, behind: bool) -> list[Host]:
        """What the hosts hold is remembered by them alone. Those that there were."""
        fleet = self.fleet
        hosts = [fleet.truth.hosts[name] for name in sorted(fleet.truth.hosts)]
        for host in hosts:
            kept = [run for run in self.memory.get(host.name, ()) if run.workspace not in fleet.truth.tasks]
            self.memory[host.name] = [*kept, *map(_as_granted, self._ran_on(host.name))]
        fleet.pass_time(1000)  # the clock is ahead of every token that was given
        if behind and self.copy:
            fleet.go_back(self.copy)
        else:
            fleet.lose_everything()
        return hosts

    def _ran_on(self, name: str) -> list[Task]:
        """What runs on a host, or ended there."""
        tasks = sorted(self.fleet.truth.tasks.values(), key=lambda task: task.name)
        return [task for task in tasks if task.host == name and task.mode != "asker" and task.token]

    def _beat(self, host: Host, epoch: int | None) -> ops.Renew:
        """With all that it holds."""
        held = [Held(workspace=run.workspace, token=run.token) for run in self.memory[host.name] if not run.ending]
        row = {"pools": sorted(host.pools), "labels": sorted(host.labels), "slots": host.room, "mode": host.mode}
        return ops.Renew(host=host.name, incarnation=host.incarnation, held=held, epoch=epoch, **row)

    def _remembered(self, name: str, ending: dict[str, Any] | None, *, began: bool) -> list[HeldRun]:
        """What it tells: of the last that it runs perhaps that it has ended meanwhile."""
        runs = [run if began else run.model_copy(update={"started_at": None}) for run in self.memory[name]]
        last = max((at for at, run in enumerate(runs) if not run.ending), default=None)
        return [_otherwise(run, {}, ending if at == last else None) for at, run in enumerate(runs)]

    def _tell(self, host: Host, runs: list[HeldRun]) -> None:
        self.fleet.restore(
            ops.Restore(host=host.name, incarnation=host.incarnation, machine=host.machine, runs=runs), twice=True
        )

    def _unheard_of(self, name: str) -> HeldRun:
        """A run of later than all that the server knows."""
        token = int(self.fleet.view.keys.get("fence", 0)) + 5
        return HeldRun(workspace=name, token=token, agent="codex:big", lane="codex+gpu codex codex:big label:gpu #16")

    def _write_back(self, saved: BackedUp) -> None:
        """As a replica does: the configuration last. Then all is as it was set."""
        fleet, now, found = self.fleet, self.fleet.truth.now, self.fleet.back_up()
        frozen = saved.frozen and not (saved.freeze and saved.freeze.until and saved.freeze.until <= now)
        freeze_of_all = [("*", saved.freeze)] if frozen and saved.freeze and not found.freeze else []
        for key, gate in saved.gates.items():
            if gate.until > now:
                fleet.back_off(ops.BackOff(key=key, until=gate.until, reason=gate.reason))
        for key, freeze in (*saved.freezes.items(), *freeze_of_all):
            if freeze.until is None or freeze.until > now:
                fleet.freeze(ops.Freeze(key=key, by=freeze.by, reason=freeze.reason, until=freeze.until))
        fleet.apply(
            ops.Apply(
                limits=saved.limits,
                rates={
                    pool: Rates.model_validate(one.model_dump(exclude_none=True)) for pool, one in saved.rates.items()
                },
                accounts={pool: list(names) for pool, names in saved.accounts.items()},
                weights=saved.weights,
                settings=FleetSettings.model_validate(saved.settings),
                default_agent=saved.default_agent,
                if_new=True,
                thaw=None if frozen else True,
                hosts=list(saved.hosts),
            )
        )
        again = fleet.back_up()
        for part in ("limits", "rates", "accounts", "weights", "settings", "default_agent"):
            assert getattr(again, part) == getattr(saved, part), f"{part}: {again} for {saved}"
        assert again.frozen == (frozen or bool(found.freeze and found.freeze.by != "restore")), f"{again} for {saved}"


def _as_granted(task: Task) -> HeldRun:
    """A run as its host knows it: from its grant, and how it ended."""
    ended = task.status not in ("running", "queued")
    ending = HoldersEnding(workspace=task.name, token=task.token, status=task.status) if ended else None
    return HeldRun.model_validate(
        {
            "workspace": task.name,
            "token": task.token,
            "agent": task.agent,
            "lane": task.lane if task.mode == "pull" else None,
            "org": task.org,
            "repo": task.repo,
            "account": task.account,
            "attempt": task.attempt,
            "started_at": task.started,
            "ending": ending,
        }
    )


def _otherwise(run: HeldRun, odd: dict[str, Any], ending: dict[str, Any] | None) -> HeldRun:
    told = ending and HoldersEnding(workspace=run.workspace, token=run.token, **ending)
    return run.model_copy(update={**odd, **({"ending": told} if told else {})})
