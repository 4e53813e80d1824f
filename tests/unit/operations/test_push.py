"""push: a notification is one fact for each id, its data kept to the letter."""

import json

import pytest
from redis.asyncio import Redis as AsyncRedis

from coordinator.errors import InvalidQuestion
from coordinator.operations import Push
from coordinator.operations.push import AlreadyPushed, Pushed
from coordinator.store import Store
from tests.model.world import START, World
from tests.unit.operations.asking import Fleet


@pytest.mark.reference("W25")
async def test_a_notification_is_a_fact_and_is_told_with_its_id(fleet: Fleet) -> None:
    async with fleet.hearing() as heard:
        answer = await fleet.store.run(Push(channel="inbox.status", data='{"new":2,"total":5}'))
        assert isinstance(answer, Pushed)
        told = '"type":"ChannelPush","channel":"inbox.status","data":{"new":2,"total":5}}'
        assert await heard.texts() == [f'{{"seq":"{answer.seq}",{told}']
    (entry,) = await fleet.store.last_events(1)
    assert entry == (answer.seq, "ChannelPush", "{" + told)


@pytest.mark.parametrize("data", ["[]", "{}", "[[],{}]", "null", '"a\\/b"', "1e400", ' {"a" : []} '])
async def test_data_is_kept_to_the_letter(fleet: Fleet, data: str) -> None:
    await fleet.store.run(Push(channel='a "quoted"/one', data=data))
    (entry,) = await fleet.store.last_events(1)
    assert entry.json == f'{{"type":"ChannelPush","channel":"a \\"quoted\\"/one","data":{data}}}'


async def test_absent_data_is_null(fleet: Fleet) -> None:
    await fleet.store.run(Push(channel="x"))
    (entry,) = await fleet.store.last_events(1)
    assert json.loads(entry.json)["data"] is None


async def test_one_id_is_told_once_whoever_asks_and_whatever_it_says(fleet: Fleet) -> None:
    assert (await fleet.store.run(Push(channel="x", data="1", id="a"))).outcome == "pushed"
    other = Store(fleet.redis, fleet.store.root)
    assert await other.run(Push(channel="x", data="1", id="a")) == AlreadyPushed()
    assert await other.run(Push(channel="y", data="2", id="a")) == AlreadyPushed()
    assert (await other.run(Push(channel="x", data="1", id="b"))).outcome == "pushed"
    assert (await fleet.facts()).count("ChannelPush") == 2


async def test_without_an_id_each_time_counts(fleet: Fleet, raw: AsyncRedis) -> None:
    for _ in range(2):
        assert (await fleet.store.run(Push(channel="x"))).outcome == "pushed"
    assert await raw.exists(fleet.store.key("pushed")) == 0


async def test_an_id_is_forgotten_after_a_minute(fleet: Fleet, raw: AsyncRedis) -> None:
    for name in ("a", "b"):
        await fleet.store.run(Push(channel="x", id=name))
    seconds, _ = await raw.time()
    await raw.zadd(fleet.store.key("pushed"), {"a": (seconds - 61) * 1000, "b": (seconds - 50) * 1000})
    assert (await fleet.store.run(Push(channel="x", id="b"))).outcome == "already"
    assert await raw.zrange(fleet.store.key("pushed"), 0, -1) == ["b"]
    assert (await fleet.store.run(Push(channel="x", id="a"))).outcome == "pushed"


def test_an_id_is_remembered_to_the_last_millisecond_of_its_minute(world: World) -> None:
    for after, outcome in ((0, "pushed"), (59_999, "already"), (60_000, "pushed")):
        world.set_clock(START + after)
        assert world.ask(Push(channel="x", id="a")).outcome == outcome


async def test_at_most_ten_thousand_ids_are_remembered(fleet: Fleet, raw: AsyncRedis) -> None:
    seconds, _ = await raw.time()
    await raw.zadd(fleet.store.key("pushed"), {f"{number:05}": seconds * 1000 for number in range(10_000)})
    await fleet.store.run(Push(channel="x", id="new"))
    assert await raw.zcard(fleet.store.key("pushed")) == 10_000
    assert await raw.zscore(fleet.store.key("pushed"), "new") is not None
    assert await raw.zscore(fleet.store.key("pushed"), "00000") is None


@pytest.mark.parametrize("channel", ["", "   "])
async def test_a_blank_channel_is_required(fleet: Fleet, channel: str) -> None:
    with pytest.raises(InvalidQuestion, match="channel: is required"):
        await fleet.store.run(Push.model_construct(channel=channel))
