"""Notices: what a report says, told on a channel once, though every replica hears it."""

import hashlib
import json
import time
from collections.abc import Callable
from typing import Final, assert_never

from coordinator.messages import ChannelPush, HarvestComplete, HarvestRejected, InboxMessage, Notice, RateLimitDetected
from coordinator.operations import Push

#: Seconds after which a text that is heard again is counted anew: longer than the library remembers an id, so that the
#: first of a new count is never taken for the first of the old one.
FORGOTTEN: Final = 65.0
MOST: Final = 10_000


def said(notice: Notice) -> tuple[str, str]:
    """Its channel, and its data as JSON text."""
    match notice:
        case ChannelPush(channel=channel, data=text):
            return channel, text
        case RateLimitDetected(pool=pool, duration=duration):
            return "ratelimit.status", _json(pool=pool, duration=duration)
        case HarvestComplete(repo=repo, branch=branch, files=files):
            return "harvest.status", _json(
                status="complete", repo=repo, branch=branch, **({"files": files} if files else {})
            )
        case HarvestRejected(repo=repo, branch=branch, reason=reason):
            return "harvest.status", _json(status="rejected", repo=repo, branch=branch, reason=reason)
        case InboxMessage(new=new, total=total):
            return "inbox.status", _json(new=new, total=total)
        case _:
            assert_never(notice)


def _json(**fields: str | float) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


class Notices:
    """Names each notice so that all replicas name it alike: by its text, and how many times that text was heard lately.

    The same text twice is two notices. A replica that missed the first hearing takes the second for it: the others tell
    both; where there is no other, it heard one and tells one. Replicas part only where a text comes again FORGOTTEN
    seconds later to the millisecond, as their clocks differ: it is then told twice.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: dict[str, tuple[int, float]] = {}  # digest -> how often, and when last; oldest first

    def push(self, notice: Notice, text: str, entry: str | None = None) -> Push:
        """The verb that tells `notice`, which was heard as `text`, or read as this entry of the inbox."""
        channel, data = said(notice)
        return Push(channel=channel, data=data, id=f"inbox:{entry}" if entry else self._name(text))

    def _name(self, text: str) -> str:
        now = self._clock()
        while self._heard:
            oldest = next(iter(self._heard))
            if self._heard[oldest][1] > now - FORGOTTEN and len(self._heard) < MOST:
                break
            del self._heard[oldest]
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
        count = self._heard.pop(digest, (0, now))[0] + 1
        self._heard[digest] = count, now
        return f"{digest}:{count}"
