"""Loops that go on over what is wrong, and end when they are told to."""

import asyncio

import pytest

from coordinator.errors import LibraryError, StoreUnavailable
from coordinator.steady import end, insist, steadily


@pytest.mark.reference(26)
async def test_a_loop_goes_on_over_errors_known_and_unknown() -> None:
    turns: list[int] = []
    enough = asyncio.Event()

    async def work() -> None:
        turns.append(len(turns))
        if len(turns) == 1:
            raise StoreUnavailable
        if len(turns) == 2:
            raise ZeroDivisionError
        enough.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(steadily("test", work))
    await enough.wait()
    await end([task])
    assert turns == [0, 1, 2]


async def test_a_task_that_loses_a_cancellation_is_told_again() -> None:
    lost: list[int] = []

    async def careless() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost.append(1)
                if len(lost) == 2:
                    raise

    task = asyncio.create_task(careless())
    await asyncio.sleep(0)
    await end([task])
    assert task.cancelled()


async def test_asking_is_repeated_until_redis_answers_but_not_over_a_bug() -> None:
    answers: list[object] = [StoreUnavailable(), "yes", LibraryError("a bug")]

    async def ask() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await insist("test", ask) == "yes"
    with pytest.raises(LibraryError):
        await insist("test", ask)
