"""Notices: what a report says, told on a channel once, though every replica hears it."""

import hashlib
import json
from bisect import bisect_right
from collections import Counter
from typing import Final, assert_never

from coordinator.messages import ChannelPush, HarvestComplete, HarvestRejected, InboxMessage, Notice, RateLimitDetected
from coordinator.operations import Push

MOST: Final = 100_000
_REASON: Final = 60_000  # bytes of a reason as JSON: with the names beside it, what a notification may hold


def said(notice: Notice) -> tuple[str, str]:
    """Its channel, and its data as JSON text."""
    match notice:
        case ChannelPush(channel=channel, data=text):
            return channel, text
        case RateLimitDetected(pool=pool, account=account, duration=duration):
            named = {"account": account} if account else {}
            return "ratelimit.status", _json(pool=pool, **named, duration=duration)
        case HarvestComplete(repo=repo, branch=branch, files=files):
            return "harvest.status", _json(
                status="complete", repo=repo, branch=branch, **({"files": files} if files else {})
            )
        case HarvestRejected(repo=repo, branch=branch, reason=reason):
            return "harvest.status", _json(status="rejected", repo=repo, branch=branch, reason=_cut(reason))
        case InboxMessage(new=new, total=total):
            return "inbox.status", _json(new=new, total=total)
        case _:
            assert_never(notice)


def _cut(text: str) -> str:
    """As much of a text as may be told; written as JSON, it may be six times as long."""

    def size(characters: int) -> int:
        return len(_json(text=text[:characters]).encode())

    if size(len(text)) <= _REASON:
        return text
    return text[: bisect_right(range(len(text)), _REASON, key=size) - 1] + " ..."


def _json(**fields: str | float) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


class Notices:
    """Names each notice so that all replicas name it alike: by its text, the last fact that was heard before it, and
    how many times the text was heard since then.

    The same text twice is two notices. Whatever is told is a fact, so a replica that began late, or missed something,
    agrees with the others again from the next fact on.
    """

    def __init__(self) -> None:
        self._after = ""
        self._heard: Counter[str] = Counter()  # digest -> how often since the fact `_after`

    def push(self, notice: Notice, text: str, after: str, entry: str | None = None) -> Push:
        """The verb that tells `notice`, heard as `text` after the fact `after`, or read as this entry of the inbox."""
        channel, data = said(notice)
        return Push(channel=channel, data=data, id=f"inbox:{entry}" if entry else self._name(text, after))

    def _name(self, text: str, after: str) -> str:
        if after != self._after or len(self._heard) >= MOST:
            self._after = after
            self._heard.clear()
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
        self._heard[digest] += 1
        return f"{digest}:{after}:{self._heard[digest]}"
