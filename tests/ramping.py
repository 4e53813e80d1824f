"""A pool whose runs all meet one usage limit, and how it goes on after that: shared by a test and a bench."""

import json
from typing import Any

from coordinator import operations as ops
from coordinator.models import Grant
from tests.model.world import ROOT, START, World

POOL = "codex"
LANE = f"{ROOT}:lane:{POOL} {POOL}"


def facts(world: World, kind: str) -> list[dict[str, Any]]:
    rows: Any = world.redis.xrange(f"{ROOT}:events")
    return [json.loads(fields["json"]) for _, fields in rows if fields["type"] == kind]


class Pool:
    """One host with room for all, and the runs of one pool; the clock is a key."""

    def __init__(self, world: World, host: str = "h1") -> None:
        self.world, self.host, self.now, self.seq = world, host, START, 0

    def at(self, now: int) -> None:
        self.now = now
        self.world.set_clock(now)

    def queue(self, *names: str, agent: str = POOL, **more: Any) -> None:
        for name in names:
            self.world.ask(ops.Submit(workspace=name, agent=agent, again=True, **more))

    def claim(self) -> list[Grant]:
        """All that may start now."""
        given: list[Grant] = []
        while True:
            self.seq += 1
            answer = self.world.ask(ops.Claim(host=self.host, incarnation="i", seq=self.seq))
            given += answer.grants
            if not answer.more:
                return given

    def end(self, *grants: Grant, status: str = "completed", **more: Any) -> None:
        for one in grants:
            ending = {"workspace": one.workspace, "token": one.token, "status": status, **more}
            assert self.world.ask(ops.Complete.model_validate(ending)).outcome == "completed"

    def why(self, name: str) -> Any:
        return self.world.ask(ops.Explain(workspace=name)).refusal

    def timer(self, key: str = POOL) -> int | None:
        """When the clock next changes the key."""
        found: Any = self.world.redis.zscore(f"{ROOT}:timers", key)
        return None if found is None else int(found)

    def row(self, key: str = POOL) -> str | None:
        found: Any = self.world.redis.hget(f"{ROOT}:ramp", key)
        return found if found is None else str(found)

    def waiting(self) -> list[str]:
        """The lane, in order."""
        found: Any = self.world.redis.zrange(LANE, 0, -1)
        return list(found)


def meet_a_limit(pool: Pool, count: int, retry_after: int) -> list[str]:
    """`count` runs of the pool start, and all report the same usage limit at once; their names in their order."""
    pool.queue(*(f"w{number:03}" for number in range(count)))
    order = pool.waiting()
    grants = pool.claim()
    assert [one.workspace for one in grants] == order
    pool.end(*grants, status="failed", retry_after=retry_after)
    return order


def go_on(pool: Pool, *, alive: bool) -> list[tuple[int, list[str]]]:
    """When the clock let how many start, until none waits: each ends by itself a second later, or stays `alive`."""
    steps = []
    while pool.waiting():
        edge = pool.timer()
        assert edge is not None, "nobody looks"
        pool.at(edge - 1)
        assert pool.claim() == [], "before its time"
        pool.at(edge)
        grants = pool.claim()
        if grants:
            steps.append((edge, [one.workspace for one in grants]))
            assert pool.claim() == [], "more than its step"
            if not alive:
                pool.at(edge + 1000)
                pool.end(*grants)
    return steps
