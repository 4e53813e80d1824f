"""Records that somebody edited by hand: what does not fit is absent, and nothing else is hidden by it."""

import json
from collections.abc import AsyncIterator

import pytest

from coordinator.doors.facts import fact_of
from coordinator.errors import StoreUnusable
from coordinator.operations import Claim, Explain, GetStatus, Hosts, Query, Renew, Submit, Thaw
from coordinator.operations.explain import Explained
from coordinator.operations.renew import Renewed
from coordinator.replica.faults import Faults
from coordinator.store import Entry, Store


@pytest.fixture
async def store(server_url: str) -> AsyncIterator[Store]:
    async with Store.connect(server_url, "{t}") as store:
        await store.run(Thaw())
        await store.run(Renew(host="h1", incarnation="i", pools=["codex"], slots=4))
        for name in ("good", "odd"):
            await store.run(Submit(workspace=name, agent="codex", task="x"))
        yield store


async def test_a_byte_that_is_no_text_is_shown_as_such_and_its_run_is_granted(store: Store) -> None:
    await store.redis.hset("{t}:workspace:odd", "task", b"caf\xe9")
    granted = (await store.run(Claim(host="h1", incarnation="i", seq=1, count=4))).grants
    assert {grant.workspace: grant.task for grant in granted} == {"good": "x", "odd": "caf\ufffd"}
    again = await store.run(Renew(host="h1", incarnation="i", held=[]))
    assert isinstance(again, Renewed)
    assert {grant.workspace for grant in again.unseen} == {"good", "odd"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("mode", "foo"), ("labels", '{"x":1}'), ("kill", '{"by":1}'), ("not_before", "-5"), ("started_at", "-5")),
        *(("queued_at", "-1"), ("token", "-7")),
    ],
)
async def test_a_field_that_does_not_fit_is_absent_and_all_others_are_told(
    store: Store, field: str, value: str
) -> None:
    await store.redis.hset("{t}:workspace:odd", field, value)
    found = {record.workspace: record for record in (await store.run(Query())).workspaces}
    assert (found["odd"].task, found["good"].task) == ("x", "x")
    assert getattr(found["odd"], field) in (None, ())


@pytest.mark.parametrize("status", ["done", "", "RUNNING"])
async def test_a_status_that_is_none_is_shown_as_it_was_written_and_hides_no_other(store: Store, status: str) -> None:
    await store.redis.hset("{t}:workspace:odd", "status", status)
    found = {record.workspace: record.status for record in (await store.run(Query())).workspaces}
    assert found == {"odd": status, "good": "queued"}
    explained = await store.run(Explain(workspace="odd"))
    assert isinstance(explained, Explained)
    assert explained.status == status


async def test_why_is_answered_also_where_the_status_was_taken_out(store: Store) -> None:
    await store.redis.hdel("{t}:workspace:odd", "status")
    assert await store.run(Explain(workspace="odd")) == Explained(workspace="odd", agent="codex")


async def test_a_host_with_an_odd_field_is_told_with_the_others(store: Store) -> None:
    await store.run(Renew(host="h2", incarnation="i", pools=["codex"], slots=4))
    await store.redis.hset("{t}:host:h1", "mode", "x")
    assert [(host.host, host.mode) for host in (await store.run(Hosts())).hosts] == [("h1", "pull"), ("h2", "pull")]


async def test_a_stream_that_is_none_any_more_is_named(store: Store) -> None:
    await store.redis.delete("{t}:events")
    await store.redis.set("{t}:events", "x")
    with pytest.raises(StoreUnusable, match=r"the key {t}:events was changed to another type by hand: delete it"):
        await store.last_events(1)


async def test_a_key_that_no_question_can_name_does_not_end_a_walk(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordinator.replica.faults.PAUSE", 0.0)
    for name in (b"", b"a\nb", b"a\0b", b"\xe9", b"x" * 4097):
        await store.redis.set(b"{t}:" + name, "x")
    walk = Faults(store)
    for _ in range(20):
        if (count := await walk.part()) is not None:
            break
    assert count == 0
    assert (await store.run(GetStatus())).queued == 2


@pytest.mark.parametrize("data", ["1e999", "-1e999", "NaN", "[Infinity]"])
def test_a_number_that_is_no_json_is_told_as_text(data: str) -> None:
    told = fact_of(Entry("1-0", "ChannelPush", f'{{"type":"ChannelPush","data":{data}}}'))
    assert told == {"type": "ChannelPush", "text": f'{{"type":"ChannelPush","data":{data}}}'}
    json.dumps(told, allow_nan=False)
