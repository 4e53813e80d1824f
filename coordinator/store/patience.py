"""How long a lost connection is tried again: by the clock, for redis-py nests its attempts and would multiply them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

T = TypeVar("T")
TRY_FOR: Final = 2.0  # seconds


class Patience(Retry):
    """Tries what failed again until TRY_FOR seconds are over: a restart is not noticed, and a server that does not
    answer is told of after the first answer that did not come in time."""

    def __init__(self) -> None:
        super().__init__(ExponentialWithJitterBackoff(cap=0.5, base=0.05), -1)

    async def call_with_retry(
        self,
        do: Callable[[], Awaitable[T]],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,  # as redis-py calls it
    ) -> T:
        """What `do` gives; its last error when the time is over. `fail` hears of each, and closes the connection."""
        until = time.monotonic() + TRY_FOR
        failures = 0
        while True:
            try:
                return await do()
            except self._supported_errors as error:
                if is_retryable and not is_retryable(error):
                    raise
                failures += 1
                await (fail(error, failures) if with_failure_count else fail(error))
                if time.monotonic() >= until:
                    raise
            await asyncio.sleep(self._backoff.compute(failures))
