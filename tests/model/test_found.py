"""What the machine once found, each as the shortest way to it. Every call checks every law: most need no more."""

from collections.abc import Iterator
from typing import Any

import pytest

from coordinator import operations as ops
from coordinator.models import Held
from coordinator.operations.apply import FleetSettings
from coordinator.operations.claim import Asking
from coordinator.operations.complete import HoldersEnding
from coordinator.operations.restore import HeldRun
from tests.model import build
from tests.model.driver import Driver
from tests.model.world import World
from tests.servers import Servers


@pytest.fixture
def fleet(server_kind: str, servers: Servers) -> Iterator[Driver]:
    world = World(server_kind, servers, build.text())
    driver = Driver(world)
    driver.thaw(ops.Thaw())
    yield driver
    world.close()


@pytest.fixture
def tight(server_kind: str, servers: Servers) -> Iterator[Driver]:
    """As `fleet`, but a call stops after two lanes or one key."""
    world = World(server_kind, servers, build.text(tight=True), tight=True)
    driver = Driver(world)
    driver.thaw(ops.Thaw())
    yield driver
    world.close()


def waiting(fleet: Driver, *names: str, hears: bool = True, **row: Any) -> None:
    """Hosts that found nothing to do."""
    for name in names:
        if hears:
            fleet.world.listen(name)
        fleet.renew(ops.Renew(host=name, incarnation="i", **{"pools": ["codex"], "slots": 2, **row}))
        fleet.claim(ops.Claim(host=name, incarnation="i", seq=1))


def claim(fleet: Driver, name: str, *, twice: bool = False) -> None:
    fleet.claim(ops.Claim(host=name, incarnation="i", seq=fleet.truth.hosts[name].seq + 1), twice=twice)


def submit(fleet: Driver, name: str, **fields: Any) -> None:
    fleet.submit(ops.Submit(workspace=name, **{"agent": "codex", **fields}))


def test_a_poke_goes_on_when_its_host_leaves_the_pool(fleet: Driver) -> None:
    waiting(fleet, "h1", "h2")
    submit(fleet, "w")
    fleet.renew(ops.Renew(host="h1", incarnation="i", pools=["claude"]))
    assert "h2" in fleet.view.poked


def test_a_poke_goes_on_when_its_host_is_forgotten(fleet: Driver) -> None:
    waiting(fleet, "h1", "h2")
    submit(fleet, "w")
    fleet.host(ops.Host(host="h1", action="forget"))
    assert "h2" in fleet.view.poked


def test_a_host_more_that_a_second_thaw_wakes_is_no_change_of_the_next_question(fleet: Driver) -> None:
    waiting(fleet, "h1", "h2")
    fleet.freeze(ops.Freeze())
    submit(fleet, "a")
    fleet.thaw(ops.Thaw(), twice=True)
    assert {*fleet.view.poked} == {"h1", "h2"}
    fleet.complete(ops.Complete(workspace="nobody", status="completed"))


def test_a_silent_push_host_that_asks_for_itself_waits_for_nothing(fleet: Driver) -> None:
    fleet.renew(ops.Renew(host="p1", incarnation="i", mode="push", pools=["codex"], slots=2))
    fleet.pass_time(300_000)
    submit(fleet, "w")
    fleet.claim(ops.Claim(host="p1", incarnation="i", seq=1, count=0))


def test_what_a_run_without_an_account_took_counts_for_those_whom_the_accounts_keep(fleet: Driver) -> None:
    fleet.renew(ops.Renew(host="h1", incarnation="i", pools=["codex"], slots=1))
    submit(fleet, "w")
    fleet.claim(ops.Claim(host="h1", incarnation="i", seq=1))
    fleet.limit(ops.Limit(key="account:codex/a", limit=0))
    fleet.apply(ops.Apply(accounts={"codex": ["a"]}, limits={"account:codex/a": 0}))
    submit(fleet, "next")
    assert fleet.view.blocked("accounts:codex", "codex")
    fleet.pass_time(60_000)
    token = int(fleet.view.records["w"]["token"])
    fleet.complete(ops.Complete(workspace="w", token=token, status="completed"))


def test_many_that_hear_nothing_do_not_hide_one_that_hears(fleet: Driver) -> None:
    waiting(fleet, *(f"d{number}" for number in range(9)), hears=False)
    waiting(fleet, "h1")
    submit(fleet, "w")
    assert set(fleet.view.poked) == {"h1"}


def test_a_claim_asked_again_says_again_that_there_is_more(tight: Driver) -> None:
    for name in ("a", "b", "c"):
        submit(tight, name, keys=[name])
        tight.limit(ops.Limit(key=name, limit=0))
    tight.world.listen("h1")
    tight.renew(ops.Renew(host="h1", incarnation="i", pools=["codex"], slots=1))
    assert tight.claim(ops.Claim(host="h1", incarnation="i", seq=1), twice=True)


def test_a_repeated_grant_lasts_what_is_left_of_its_lease(fleet: Driver) -> None:
    waiting(fleet, "h1")
    submit(fleet, "w")
    claim(fleet, "h1")
    fleet.pass_time(100_000)
    fleet.claim(ops.Claim(host="h1", incarnation="i", seq=2))  # the truth knows what is left


def test_a_push_host_confirms_every_run_anew(fleet: Driver) -> None:
    waiting(fleet, "h1", mode="push")
    submit(fleet, "w")
    claim(fleet, "h1")
    token = fleet.truth.tasks["w"].token
    fleet.renew(ops.Renew(host="h1", incarnation="i", held=[Held(workspace="w", token=token)]))
    fleet.complete(ops.Complete(workspace="w", token=token, status="failed", retry_after=1))
    fleet.pass_time(1000)
    claim(fleet, "h1")
    fleet.pass_time(60_000)
    fleet.reap()
    assert fleet.truth.tasks["w"].status == "queued"


@pytest.mark.reference(80, "T95")
def test_a_push_run_that_is_not_confirmed_goes_back_though_its_host_beats(fleet: Driver) -> None:
    waiting(fleet, "h1", mode="push")
    submit(fleet, "w")
    old = fleet.truth.tasks["w"].token
    for _ in range(2):
        fleet.pass_time(30_000)
        fleet.renew(ops.Renew(host="h1", incarnation="i"))
    fleet.reap()  # and the host, which has room again, is handed it anew
    assert fleet.truth.tasks["w"].attempt == 2
    fleet.confirm(ops.Confirm(workspace="w", token=old))
    assert not fleet.truth.tasks["w"].confirmed


def test_replicas_hear_of_a_lease_that_became_shorter(fleet: Driver) -> None:
    waiting(fleet, "h1")
    submit(fleet, "w")
    claim(fleet, "h1")
    fleet.apply(ops.Apply(settings=FleetSettings(lease_ttl=60_000)))
    held = [Held(workspace="w", token=fleet.truth.tasks["w"].token)]
    fleet.reap()
    fleet.renew(ops.Renew(host="h1", incarnation="i", held=held))


def test_replicas_hear_of_leases_when_the_fleet_has_settled(fleet: Driver) -> None:
    waiting(fleet, "h1")
    submit(fleet, "w", asker="cli", ttl=60_000)
    fleet.restart()
    fleet.reap()
    fleet.renew(ops.Renew(host="h1", incarnation="i"))


def test_settling_that_ended_by_the_clock_hides_no_lease(fleet: Driver) -> None:
    waiting(fleet, "h1")
    submit(fleet, "w")
    fleet.restart()
    fleet.reap()
    fleet.pass_time(300_000)
    fleet.thaw(ops.Thaw())
    claim(fleet, "h1")
    fleet.reap()


def test_an_unfinished_walk_is_told_to_the_replicas_until_it_ends(tight: Driver) -> None:
    tight.limit(ops.Limit(key="repo:*", limit=0))
    for name in ("a", "b", "c"):
        submit(tight, name, repo=name)
    tight.limit(ops.Limit(key="repo:*", limit=1))
    while tight.reap():
        pass
    assert not tight.view.opening


def test_a_killed_run_of_a_dead_host_stays_killed(fleet: Driver) -> None:
    waiting(fleet, "h1")
    submit(fleet, "w")
    claim(fleet, "h1")
    fleet.kill(ops.Kill(workspace="w"))
    fleet.host(ops.Host(host="h1", action="forget", dead=True))
    assert fleet.truth.tasks["w"].status == "failed"


def test_an_asker_that_is_not_the_wanted_host_is_refused(fleet: Driver) -> None:
    fleet.submit(
        ops.Submit.model_validate({"workspace": "w", "agent": "codex", "host": "h1", "asker": "h2", "else": "refuse"})
    )
    assert not fleet.truth.tasks


def test_an_asker_that_never_beat_can_not_be_made_quiet(fleet: Driver) -> None:
    submit(fleet, "w", asker="cli")
    fleet.host(ops.Host(host="cli", action="quiet"))


def test_a_tracked_workspace_keeps_the_keys_and_labels_it_named(fleet: Driver) -> None:
    fleet.limit(ops.Limit(key="team", limit=0))
    submit(fleet, "w", keys=["team"], labels=["gpu"])
    fleet.cancel(ops.Cancel(workspace="w"))
    found = {"workspace": "w", "status": "merged", "agent": "codex:big"}
    fleet.track(ops.Track.model_validate({"workspaces": [found], "host": "h1"}))
    fleet.retry(ops.Retry(workspace="w"))
    assert "codex+gpu codex codex:big label:gpu team" in fleet.view.lanes


def test_hosts_full_is_said_only_when_they_are(fleet: Driver) -> None:
    waiting(fleet, "h1", slots=1)
    submit(fleet, "a")
    submit(fleet, "b")  # h1 is on its way: nothing refuses it yet
    claim(fleet, "h1")
    fleet.explain(ops.Explain(workspace="b"))
    fleet.host(ops.Host(host="h1", action="quiet"))
    fleet.explain(ops.Explain(workspace="b"))
    fleet.host(ops.Host(host="h1", action="thaw"))
    fleet.pass_time(30_001)
    fleet.explain(ops.Explain(workspace="b"))


def test_a_worker_hears_that_an_asker_of_its_host_has_ended(fleet: Driver) -> None:
    waiting(fleet, "h1", slots=1)
    submit(fleet, "a", asker="h1")
    submit(fleet, "b")
    claim(fleet, "h1")
    fleet.world.heard()
    fleet.complete(ops.Complete(workspace="a", status="completed"))
    assert fleet.world.heard() == ["h1"]


def test_what_a_gate_let_go_is_pushed_before_what_waited_behind_it(fleet: Driver) -> None:
    fleet.renew(ops.Renew(host="p1", incarnation="i0", pools=["codex"], slots=1, mode="push"))
    fleet.limit(ops.Limit(key="repo:web", limit=0))
    submit(fleet, "behind", repo="web")
    fleet.freeze(ops.Freeze(key="codex", until=fleet.truth.now + 5000))
    submit(fleet, "first", priority=9)
    fleet.pass_time(5000)  # and nobody has looked since
    fleet.limit(ops.Limit(key="repo:web", clear=True))
    assert fleet.truth.tasks["first"].status == "running"


def test_what_comes_of_age_while_its_key_is_full_starts_with_the_ending_that_opens_it(fleet: Driver) -> None:
    fleet.limit(ops.Limit(key="codex", limit=1))
    waiting(fleet, "h1", slots=1)
    submit(fleet, "a")
    claim(fleet, "h1")
    fleet.submit(ops.Submit(workspace="b", agent="codex", not_before=fleet.truth.now + 5000))
    fleet.pass_time(5000)  # and nobody has looked since
    ending = ops.Complete(workspace="a", token=fleet.truth.tasks["a"].token, status="completed")
    fleet.complete(ending.model_copy(update={"claim": Asking(host="h1", incarnation="i", seq=3)}))
    assert fleet.truth.tasks["b"].status == "running"


def test_what_comes_of_age_behind_a_run_that_goes_back_in_the_same_call_is_let_go_by_it(fleet: Driver) -> None:
    fleet.apply(ops.Apply(limits={"codex": 1}, accounts={"codex": ["x", "y"]}))
    submit(fleet, "a", asker="svc")
    submit(fleet, "b", not_before=fleet.truth.now + 5000)
    fleet.pass_time(5000)  # and nobody has looked since, and nothing was blocked before
    fleet.complete(ops.Complete(workspace="a", status="failed", retry_after=5))


def test_who_was_awaited_in_vain_is_not_awaited_again_after_a_restart(fleet: Driver) -> None:
    fleet.renew(ops.Renew(host="h1", incarnation="i"))
    fleet.apply(ops.Apply(hosts=["gone"]))
    fleet.pass_time(300_000)
    fleet.restart()
    fleet.renew(ops.Renew(host="h1", incarnation="i"))
    assert "settling" not in fleet.view.control


def test_the_ending_of_a_forgotten_run_is_told_as_the_last(fleet: Driver) -> None:
    fleet.renew(ops.Renew(host="h1", incarnation="i"))
    ending = HoldersEnding(workspace="w", token=5, status="completed")
    run = HeldRun(workspace="w", token=5, agent="codex", ending=ending)
    fleet.restore(ops.Restore(host="h1", incarnation="i", runs=[run]), twice=True)


def test_what_somebody_thaws_after_its_environment_goes_on_when_a_worker_tells_of_a_run(fleet: Driver) -> None:
    fleet.lose_everything()
    fleet.apply(ops.Apply(thaw=True))
    fleet.thaw(ops.Thaw())
    fleet.renew(ops.Renew(host="h1", incarnation="i"))
    fleet.restore(ops.Restore(host="h1", incarnation="i", runs=[HeldRun(workspace="w", token=5, agent="codex")]))
    assert fleet.view.control["frozen"] == "0"


def blocked(fleet: Driver, host: str, name: str, repo: str | None) -> None:
    """A host tells of a run that was forgotten and has ended."""
    ending = HoldersEnding(workspace=name, token=5, status="blocked")
    run = HeldRun(workspace=name, token=5, agent="codex", repo=repo, ending=ending)
    fleet.restore(ops.Restore(host=host, incarnation="i", runs=[run]))


def test_those_that_are_retried_and_start_in_the_same_call_start_by_name(fleet: Driver) -> None:
    fleet.renew(ops.Renew(host="p1", incarnation="i", mode="push", pools=["codex"], slots=2))
    for name, repo in (("z", "web"), ("a", "io")):
        blocked(fleet, "p1", name, repo)
    fleet.retry(ops.Retry(status="blocked"))
    assert fleet.truth.tasks["a"].token < fleet.truth.tasks["z"].token


def test_of_those_that_are_retried_one_has_a_run_under_way(fleet: Driver) -> None:
    fleet.renew(ops.Renew(host="h1", incarnation="i", pools=["codex"], slots=9))
    for seq, (name, repo) in enumerate((("r", None), ("y1", "web"), ("y2", "web")), 1):
        fleet.submit(ops.Submit(workspace=name, agent="codex", repo=repo))
        fleet.claim(ops.Claim(host="h1", incarnation="i", seq=seq))
    for name, repo in (("a", "io"), ("z", None)):
        blocked(fleet, "h1", name, repo)
    fleet.retry(ops.Retry(status="blocked"))


def test_a_freeze_that_the_clock_has_ended_keeps_nobody_standing_still(fleet: Driver) -> None:
    fleet.freeze(ops.Freeze(key="*", until=fleet.truth.now + 1000))
    fleet.renew(ops.Renew(host="h1", incarnation="i"))
    fleet.pass_time(1000)
    fleet.renew(ops.Renew(host="h1", incarnation="i"))  # its timer has not fired yet
    fleet.reap()
    fleet.renew(ops.Renew(host="h1", incarnation="i"))
    assert not fleet.truth.is_too_early()


def test_what_a_host_shows_of_an_older_run_is_none_that_stands_still(fleet: Driver) -> None:
    fleet.lose_everything()
    fleet.renew(ops.Renew(host="h1", incarnation="i", epoch=0))
    run = HeldRun(workspace="w", token=5, agent="codex", stilled=True)
    fleet.restore(ops.Restore(host="h1", incarnation="i", runs=[run]))
    fleet.apply(ops.Apply(hosts=["h1"]))
    older = [Held(workspace="w", token=4)]
    fleet.renew(ops.Renew(host="h1", incarnation="i", epoch=fleet.truth.epoch, held=older))
    assert not fleet.truth.is_too_early()
    assert fleet.truth.tasks["w"].stilled


def test_timers_that_go_off_after_a_claim_was_answered(tight: Driver) -> None:
    tight.world.listen("h1")
    tight.renew(ops.Renew(host="h1", incarnation="i", pools=["codex"], slots=9))
    tight.renew(ops.Renew(host="p1", incarnation="i", mode="push", pools=["codex"], slots=9))
    tight.limit(ops.Limit(key="codex", limit=2))
    tight.freeze(ops.Freeze(key="*", until=tight.truth.now + 1000))
    for name in ("a", "b", "c"):
        submit(tight, name)
        tight.back_off(ops.BackOff(key=f"repo:{name}", until=tight.truth.now + 1000))
    tight.pass_time(1000)
    tight.claim(ops.Claim(host="h1", incarnation="i", seq=1))


def test_of_two_runs_of_a_workspace_that_a_host_tells_in_one_question_the_newer_is_there(fleet: Driver) -> None:
    fleet.renew(ops.Renew(host="h1", incarnation="i"))
    runs = [HeldRun(workspace="w", token=token, agent="codex") for token in (5, 6)]
    fleet.restore(ops.Restore(host="h1", incarnation="i", runs=runs))
    assert fleet.truth.tasks["w"].token == 6
