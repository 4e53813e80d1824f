"""kill: what runs is asked to end, what waits fails; in parts, by exactly one choice."""

import pytest

from coordinator.errors import InvalidQuestion
from coordinator.operations import GetStatus, Kill, Retry, Thaw
from coordinator.operations.kill import Killing
from tests.unit.operations.asking import Fleet


async def _all_parts(fleet: Fleet, **choice: object) -> tuple[list[str], int, int]:
    """Running, cleared, and how many parts it took."""
    running, cleared, parts, cursor = list[str](), 0, 0, None
    while True:
        answer = await fleet.store.run(Kill.model_validate({**choice, "cursor": cursor}))
        running, cleared, parts, cursor = (
            [*running, *answer.running],
            cleared + answer.cleared,
            parts + 1,
            answer.cursor,
        )
        if not answer.more:
            return sorted(running), cleared, parts


@pytest.mark.reference(19, "W13")
async def test_one_that_runs_keeps_its_slot_until_its_holder_says_that_it_ended(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.queue("a")
    (grant,) = (await fleet.claim()).grants
    assert await fleet.store.run(Kill(workspace="a", by="ana", reason="wrong")) == Killing(running=("a",))
    assert await fleet.store.run(Kill(workspace="a", by="bob")) == Killing(running=("a",))
    assert await fleet.redis.scard("{t}:slots:codex") == 1
    kill = (await fleet.record("a")).kill
    assert kill is not None
    assert (kill.by, kill.reason) == ("ana", "wrong")
    assert (await fleet.facts()).count("KillRequested") == 1
    await fleet.end(grant, "failed")
    assert (await fleet.record("a")).kill is None


@pytest.mark.reference(20)
async def test_one_that_waits_fails_and_says_by_whom(fleet: Fleet) -> None:
    await fleet.queue("a", "b")
    assert await fleet.store.run(Kill(workspace="a", by="ana", reason="wrong")) == Killing(cleared=1)
    record = await fleet.record("a")
    assert (record.status, record.verdict, record.question) == ("failed", "killed", "killed by ana: wrong")
    await fleet.host()
    assert await fleet.granted() == ["b"]


async def test_one_that_ended_and_one_nobody_knows_are_left_alone(fleet: Fleet) -> None:
    await fleet.end(await fleet.ask_for("a"))
    for name in ("a", "nobody"):
        assert await fleet.store.run(Kill(workspace=name)) == Killing()


@pytest.mark.reference(19)
async def test_everything_is_ended_in_parts_and_the_queue_is_frozen(fleet: Fleet) -> None:
    await fleet.host(slots=5)
    await fleet.track([f"w{number}" for number in range(310)])
    await fleet.claim()
    running, cleared, parts = await _all_parts(fleet, all=True, by="ana")
    assert (len(running), cleared) == (5, 305)
    assert parts > 2
    status = await fleet.store.run(GetStatus())
    assert (status.frozen, status.running, status.queued, status.failed) == (True, 5, 0, 305)


@pytest.mark.parametrize(
    ("choice", "running", "waiting"),
    [
        ({"agent": "codex"}, ["run-big", "run-io"], {"wait-claude"}),
        ({"agent": "codex:big"}, ["run-big"], {"wait-io", "wait-host", "wait-claude"}),
        ({"repo": "core/io"}, ["run-io"], {"wait-big", "wait-host", "wait-claude"}),
        ({"host": "h1"}, ["run-big", "run-io"], {"wait-big", "wait-io", "wait-claude"}),
    ],
)
async def test_a_choice_ends_just_those(fleet: Fleet, choice: object, running: list[str], waiting: set[str]) -> None:
    await fleet.host()
    await fleet.queue("run-big", agent="codex:big")
    await fleet.queue("run-io", org="core", repo="io")
    assert len(await fleet.granted()) == 2
    await fleet.queue("wait-big", agent="codex:big")
    await fleet.queue("wait-io", org="core", repo="io")
    await fleet.queue("wait-host", host="h1")
    await fleet.queue("wait-claude", agent="claude")
    assert isinstance(choice, dict)
    found, cleared, _ = await _all_parts(fleet, **choice)
    assert found == running
    assert set(await fleet.redis.zrange("{t}:status:queued", 0, -1)) == waiting
    assert cleared == 4 - len(waiting)
    assert not (await fleet.store.run(GetStatus())).frozen


@pytest.mark.parametrize("choice", [{}, {"workspace": "a", "all": True}, {"agent": "codex", "repo": "io"}])
async def test_exactly_one_choice_is_wanted(fleet: Fleet, choice: object) -> None:
    with pytest.raises(InvalidQuestion, match="exactly one of workspace, agent, repo, host, all is required"):
        await fleet.store.run(Kill.model_validate(choice))


@pytest.mark.reference(20)
async def test_what_a_kill_cleared_comes_back_whole_by_retry(fleet: Fleet) -> None:
    await fleet.queue("a", task="Fix it", repo="io", org="core")
    await _all_parts(fleet, all=True)
    await fleet.store.run(Retry(workspace="a"))
    await fleet.store.run(Thaw())
    await fleet.host()
    (grant,) = (await fleet.claim()).grants
    assert (grant.workspace, grant.task, grant.repo, grant.org) == ("a", "Fix it", "io", "core")
