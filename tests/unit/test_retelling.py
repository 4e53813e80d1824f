"""What a host tells again: all that it can, in questions that do not keep the server, and not for ever."""

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.errors import GuardError
from coordinator.models import Grant
from coordinator.operations import Query, Renew, Restore, Thaw
from coordinator.operations._operation import Operation
from coordinator.operations.complete import HoldersEnding
from coordinator.operations.query import Found
from coordinator.operations.renew import Renewed
from coordinator.store import Store
from tests.guarding import a_host
from workers import retelling
from workers.clock import boot_ms
from workers.guarded import GRANT, Guard
from workers.held import Held
from workers.processes import Identity
from workers.retelling import Retelling
from workers.slip import Birth, Slip


class Watched(Store):
    """A store that keeps what it is asked to restore."""

    def __init__(self, redis: AsyncRedis) -> None:
        super().__init__(redis, "{t}")
        self.told: list[list[str]] = []

    async def run(self, operation: Operation[Any]) -> Any:
        if isinstance(operation, Restore):
            self.told.append([run.workspace for run in operation.runs])
        return await super().run(operation)


@pytest.fixture
async def store(raw: AsyncRedis) -> Watched:
    store = Watched(raw)
    await store.run(Thaw())
    return store


def held(name: str, token: int, agent: str = "codex", task: str = "") -> Held:
    return Held.of(Grant(workspace=name, token=token, ttl=300_000, agent=agent, task=task), boot_ms())


def host(store: Store) -> Retelling:
    return Retelling(store, "h1", "i1", "m1")


async def beat(store: Store, again: Retelling, *runs: Held) -> Renewed:
    asked = Renew(host="h1", incarnation="i1", machine="m1", held=[run.lease() for run in runs], epoch=again.epoch)
    answer = await store.run(asked)
    assert isinstance(answer, Renewed)
    return answer


async def known(store: Store) -> dict[str, str]:
    found: Found = await store.run(Query())
    return {run.workspace: run.status for run in found.workspaces}


def ended(run: Held) -> HoldersEnding:
    return HoldersEnding(workspace=run.workspace, token=run.token, status="completed")


async def test_a_run_that_can_not_be_told_does_not_keep_the_others_from_it(store: Watched) -> None:
    again, runs = host(store), [held("a", 5), held("b", 6, "claude"), held("c", 7)]
    await store.redis.set("{t}:slots:claude", "damaged")
    assert await again.after(await beat(store, again, *runs), runs) is False
    assert await known(store) == {"a": "running", "c": "running"}
    assert again.epoch == 0, "and the fleet does not count on all of it"
    await store.redis.delete("{t}:slots:claude")
    assert await again.after(await beat(store, again, *runs), runs) is True
    assert set(await known(store)) == {"a", "b", "c"}
    assert again.epoch > 0


async def test_a_run_of_which_nothing_says_what_it_is_makes_no_beat_hurry(store: Watched) -> None:
    again, run = host(store), Held("a", 5, 0)
    assert await again.after(await beat(store, again, run), [run]) is True
    assert run.order == "lost"
    assert await again.after(await beat(store, again, run), [run]) is False


async def test_only_what_is_unknown_is_told_in_an_epoch_in_which_all_was(store: Watched) -> None:
    again, first, second = host(store), held("a", 5), held("b", 6)
    await again.after(await beat(store, again, first), [first])
    await again.ending(held("z", 4), ended(held("z", 4)), "completed")
    store.told.clear()
    assert await again.after(await beat(store, again, first, second), [first, second]) is False
    assert store.told == [["b"]]


async def test_long_tasks_are_told_in_questions_of_their_own(store: Watched) -> None:
    again, runs = host(store), [held(f"w{number}", number + 1, task="x" * 400_000) for number in range(4)]
    await again.after(await beat(store, again, *runs), runs)
    assert store.told == [["w0", "w1"], ["w2", "w3"]]


async def test_endings_are_kept_up_to_a_bound(store: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (retelling._MOST_PAST, retelling._MOST_PAST_TEXT) == (2000, 32 << 20)
    monkeypatch.setattr(retelling, "_MOST_PAST", 3)
    monkeypatch.setattr(retelling, "_MOST_PAST_TEXT", 250)
    again = host(store)
    await again.after(await beat(store, again), [])
    for number in range(9):
        run = held(f"w{number}", number + 1, task="x" * 100 * (number % 2))
        await again.ending(run, ended(run), "completed")
    again.epoch = 0
    await again.after(await beat(store, again), [])
    assert store.told == [["w6", "w7", "w8"]]
    for number in range(9):
        run = held(f"w{number}", number + 20, task="x" * 100)
        await again.ending(run, ended(run), "completed")
    store.told.clear()
    again.epoch = 0
    await again.after(await beat(store, again), [])
    assert store.told == [["w7", "w8"]]


async def told_anew(store: Watched, again: Retelling, *runs: Held) -> list[list[str]]:
    """What is told to the server in a new epoch."""
    store.told.clear()
    again.epoch = 0
    await again.after(await beat(store, again, *runs), runs)
    return store.told


async def test_the_ending_of_a_run_whose_workspace_another_has_is_never_told_again(store: Watched) -> None:
    again, late, newer = host(store), held("a", 5), held("a", 9)
    await again.after(await beat(store, again, newer), [newer])
    assert await again.ending(late, ended(late), "stale") is True
    assert await told_anew(store, again) == []
    await store.redis.flushall()
    await beat(store, again)
    assert await again.ending(late, ended(late), "unknown") is True
    assert await told_anew(store, again) == [["a"]]


async def test_a_run_whose_lease_was_lost_is_told_neither_while_it_ends_nor_later(store: Watched) -> None:
    again, run, other = host(store), held("a", 5), held("b", 6)
    run.end("lost")
    assert await told_anew(store, again, run, other) == [["b"]]
    lost = HoldersEnding(workspace="a", token=5, status="failed", verdict="lost")
    assert await again.ending(run, lost, "already") is True
    assert await told_anew(store, again) == []
    unproved = HoldersEnding(workspace="a", token=5, status="blocked", verdict="lost")
    assert await again.ending(run, unproved, "already") is True
    assert await told_anew(store, again) == [["a"]]


async def test_an_ending_is_not_told_to_a_server_that_does_not_know_the_host(store: Watched) -> None:
    again, run = host(store), held("a", 5)
    assert await again.ending(run, ended(run), "unknown") is False
    await beat(store, again)
    assert await again.ending(run, ended(run), "unknown") is True
    assert await known(store) == {"a": "completed"}


async def test_a_grant_that_was_changed_by_hand_tells_nothing(store: Watched) -> None:
    again, bad, good = host(store), held("a", 5, agent="no agent"), held("b", 6)
    await again.after(await beat(store, again, bad, good), [bad, good])
    assert await known(store) == {"b": "running"}
    assert bad.order == "lost"


@pytest.mark.parametrize(("workspace", "token", "fits"), [("a", 7, True), ("a", 8, False), ("b", 7, False)])
def test_a_note_is_of_the_run_beside_which_it_lies(tmp_path: Path, workspace: str, token: int, fits: bool) -> None:
    path = tmp_path / "7.run"
    Slip.create(path, Birth(Identity(1, 1), "", 7, 300, 300, "a"), 5).close()
    grant = Grant(workspace=workspace, token=token, ttl=5, agent="codex")
    path.with_suffix(GRANT).write_text(grant.model_dump_json())
    assert (Guard(path).grant == grant) is fits


async def test_an_adopted_run_without_a_note_is_learnt_from_the_server_while_that_knows_it(store: Watched) -> None:
    again, first, bare = host(store), held("a", 5, task="x" * 400), Held("a", 5, 0)
    await again.after(await beat(store, again, first), [first])
    found: Found = await store.run(Query(workspace="a"))
    assert Held("a", 4, 0).learn(found.workspaces[0]) is None
    assert bare.learn(found.workspaces[0])
    assert bare.learn(found.workspaces[0]) is None
    await store.redis.flushall()
    await again.after(await beat(store, again, bare), [bare])
    assert bare.order is None
    (run,) = (await store.run(Query(workspace="a"))).workspaces
    assert (run.status, run.task) == ("running", "x" * 400)


async def test_nothing_is_left_of_a_grant_that_was_not_started(tmp_path: Path) -> None:
    async with a_host(tmp_path) as here:
        here.guards.note(Grant(workspace="a", token=7, ttl=5, agent="codex"))
        with pytest.raises(GuardError):
            await here.start(7, argv=())
        assert list(here.guards.home.glob(f"*{GRANT}")) == []
