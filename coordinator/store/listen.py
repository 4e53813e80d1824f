"""Hearing what is published, over lost connections."""

import asyncio
import random
from collections.abc import AsyncGenerator
from typing import NamedTuple

import redis.asyncio as redis_client
from redis import exceptions as wrong

QUIET_FOR = 10.0  # seconds without a message before the connection is tested
_PONG_WITHIN = 5.0
_MOST = (4 << 20) + 4  # bytes: more than the longest message in UTF-8


class Heard(NamedTuple):
    """A message, or with no channel the news that the subscription is (again) in place: look at the keys now."""

    channel: str = ""
    text: str = ""


async def listen(redis: "redis_client.Redis", channels: tuple[str, ...]) -> AsyncGenerator[Heard]:
    """Every message of `channels`. First and after each gap an empty `Heard`; a message may be lost.

    Raises NoPermissionError.
    """
    wait = 0.05
    while True:
        subscription = redis.pubsub(ignore_subscribe_messages=False)
        try:
            await subscription.subscribe(*channels)
            waited = False
            while True:
                message = await subscription.get_message(timeout=_PONG_WITHIN if waited else QUIET_FOR)
                if message is None:
                    if waited:
                        raise wrong.TimeoutError("no answer to a ping")
                    waited = True
                    await subscription.ping()
                    continue
                waited = False
                if message["type"] == "subscribe" and message["data"] == len(channels):
                    wait = 0.05
                    yield Heard()
                elif message["type"] == "message":
                    yield Heard(_text(message["channel"]), _text(message["data"]))
        except wrong.NoPermissionError:  # it would never hear anything
            raise
        except (wrong.RedisError, OSError):
            await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, so that hosts do not come back as one
            wait = min(wait * 2, 2.0)
        finally:
            await subscription.aclose()  # type: ignore[no-untyped-call]


def _text(data: bytes | str) -> str:
    """What was published may be anything: a wrong byte must not end the loop that reads it, nor a huge one fill memory.

    What is cut is still longer than any message may be, and so refused by its reader.
    """
    data = data[:_MOST]
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else data
