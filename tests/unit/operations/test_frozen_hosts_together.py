"""Several frozen hosts: which of their freezes is the reason; and whom the end of one tells to look."""

import pytest

from coordinator.operations import Freeze, Thaw
from coordinator.operations.submit import Queued
from tests.unit.operations.asking import Fleet
from tests.waiting import wait_until

SOON, LATER = 4_102_444_800_000, 4_102_444_900_000


@pytest.mark.parametrize("order", [("h1", "h2"), ("h2", "h1")])
@pytest.mark.parametrize(
    ("one", "other", "first"),
    [
        (SOON, LATER, "h1"),
        (LATER, SOON, "h2"),
        (None, SOON, "h2"),
        (SOON, None, "h1"),
        (SOON, SOON, "h1"),
        (None, None, "h1"),
    ],
)
async def test_what_waits_for_two_frozen_hosts_waits_for_the_freeze_that_ends_first(
    fleet: Fleet, order: tuple[str, str], one: int | None, other: int | None, first: str
) -> None:
    for name in order:
        await fleet.host(name)
        await fleet.store.run(Freeze(key=f"host:{name}", until=one if name == "h1" else other))
    answer = await fleet.submit("w")
    assert isinstance(answer, Queued)
    no = answer.refusal
    assert no
    assert (no.key, no.reason, no.used, no.until) == (f"host:{first}", "frozen", 0, one if first == "h1" else other)


async def test_a_host_is_told_to_look_when_its_freeze_ends_and_not_while_it_lasts(fleet: Fleet) -> None:
    await fleet.host()
    await fleet.host("h2")
    await fleet.store.run(Freeze(key="host:h1"))
    async with fleet.listening("h1", "h2") as pokes:
        await fleet.limit("host:h1", 5)
        await fleet.limit("host:h2", 5)
        await fleet.store.run(Thaw(key="host:h1"))
        heard: list[str] = []
        while "h1" not in heard:
            heard += await wait_until(pokes.heard, "a host is poked")
        assert heard[0] == "h2"
