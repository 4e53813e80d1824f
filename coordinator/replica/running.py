"""What runs, read to its end."""

from collections.abc import AsyncIterator

from coordinator.models import Workspace
from coordinator.operations import Query
from coordinator.store import Store


async def running(store: Store, *, repo: str | None = None, agent: str | None = None) -> AsyncIterator[Workspace]:
    """Every run, or those of a repo or an agent."""
    asked = Query(status="running", repo=repo, agent=agent, count=500)
    while True:
        page = await store.run(asked)
        for run in page.workspaces:
            yield run
        if page.cursor is None:
            return
        asked = asked.model_copy(update={"cursor": page.cursor})
