"""A configuration is applied in parts: the same question, until there is no more."""

from collections.abc import AsyncIterator, Awaitable, Callable

from coordinator.errors import CoordinatorError
from coordinator.models import Change
from coordinator.operations import Apply
from coordinator.operations.apply import Applied


async def parts(ask: Callable[[Apply], Awaitable[Applied]], asked: Apply) -> AsyncIterator[tuple[Change, ...]]:
    """What each part changed. Stopped half-way, the next that applies it goes on with what is left.

    Raises CoordinatorError when another configuration is applied at the same time: each would undo the other for ever.
    """
    seen: set[str] = set()
    more = True
    while more:
        reply = await ask(asked)
        paths = {change.path for change in reply.changes}
        if paths and paths <= seen:
            raise CoordinatorError(f"somebody else changes {min(paths)} at the same time: apply it again")
        seen |= paths
        yield reply.changes
        more = reply.more
