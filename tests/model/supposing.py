"""What would start with another limit, and what then starts: random states, asked and then tried."""

import json
from random import Random
from typing import Any, Final

from coordinator import operations as ops
from coordinator.operations.apply import Rates
from tests.model.world import ROOT, START, World

_HOSTS: Final = ("h1", "h2", "p1", "p2", "p3")
_AGENTS: Final = ("codex", "codex:big", "claude", "gemini")
_KEYS: Final = ("*", "codex", "codex:big", "claude", "gemini", "repo:core/io", "repo:core/web", "repo:*", "team")
_SECONDS: Final = (1, 3, 20, 61, 400, 4000)


Limits = dict[str, int | None]


def _asked(limits: Limits, count: int) -> ops.WhatIf:
    given = {key: limit for key, limit in limits.items() if limit is not None}
    return ops.WhatIf(limits=given or None, clear=[key for key in limits if key not in given] or None, count=count)


class States:
    """A world that is moved on at random."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.random, self.now, self.last = world, Random(seed), START + seed * 7, 0
        world.clear()
        self._clock(0)
        self._ask(ops.Thaw())
        limits = {key: self.random.randint(1, 3) for key in self.random.sample(_KEYS, self.random.randint(2, 6))}
        weights = {key: self.random.randint(1, 4) for key in self.random.sample(_KEYS[1:], 2)}
        rates = {"gemini": Rates(sustained_delay=20_000), "claude": Rates(daily_limit=2)}
        self._ask(ops.Apply(limits=limits, weights=weights, rates=self.random.choice([None, None, rates])))
        for name in _HOSTS:
            world.listen(name)
            self._beat(name, new=True)

    def _ask(self, operation: ops.Submit | Any) -> Any:
        answer = self.world.ask(operation)
        assert answer.outcome not in ("invalid", "damaged"), answer
        return answer

    def _clock(self, ms: int) -> None:
        self.now += ms
        self.world.set_clock(self.now)

    def _beat(self, name: str, *, new: bool = False) -> None:
        more: dict[str, Any] = {}
        if new:
            pools = self.random.sample(["codex", "claude", "gemini"], self.random.randint(1, 3))
            labels = self.random.choice([[], ["gpu"]])
            mode = "push" if name.startswith("p") else "pull"
            more = {"pools": pools, "labels": labels, "slots": self.random.randint(1, 8), "mode": mode}
        held = [{"workspace": one, "token": token} for one, token in self._running(name)]
        self._ask(ops.Renew.model_validate({"host": name, "incarnation": "i", "held": held, **more}))

    def _running(self, host: str) -> list[tuple[str, int]]:
        """What runs on a host, as its worker would say."""
        names = sorted(str(one) for one in self.world.redis.smembers(f"{ROOT}:held:{host}"))
        return [(one, int(str(self.world.redis.hget(f"{ROOT}:workspace:{one}", "token")))) for one in names]

    def _claim(self, host: str) -> bool:
        seq = int(str(self.world.redis.hget(f"{ROOT}:host:{host}", "seq") or 0)) + 1
        return bool(self._ask(ops.Claim(host=host, incarnation="i", seq=seq)).more)

    def _submit(self) -> None:
        self.last += 1
        asked: dict[str, Any] = {"workspace": f"w{self.last}", "agent": self.random.choice(_AGENTS)}
        asked |= self.random.choice([{}, {"org": "core", "repo": "io"}, {"org": "core", "repo": "web"}])
        asked |= self.random.choice([{}, {}, {"labels": ["gpu"]}, {"host": "h1"}, {"keys": ["team"]}, {"priority": 8}])
        self._ask(ops.Submit.model_validate(asked))

    def _end(self) -> None:
        running = [run for host in _HOSTS for run in self._running(host)]
        if running:
            name, token = self.random.choice(running)
            how: dict[str, Any] = self.random.choice([{}, {}, {"retry_after": 5}])
            status = "failed" if how else "completed"
            self._ask(
                ops.Complete(workspace=name, token=token, status=status, verdict="limited" if how else None, **how)
            )

    def _gate(self) -> None:
        key, kind = self.random.choice(_KEYS[1:-2]), self.random.choice([0, 1, 2, 3, 3])
        match kind:
            case 0:
                self._ask(ops.BackOff.model_validate({"key": key, "for": self.random.choice(_SECONDS) * 1000}))
            case 1:
                self._ask(ops.Freeze(key=key, until=self.now + self.random.choice(_SECONDS) * 1000))
            case 2:
                self._ask(ops.Thaw(key=key))
            case _:
                self._ask(ops.Limit(key=self.random.choice(_KEYS), limit=self.random.randint(0, 3)))

    def step(self) -> None:
        """One random verb."""
        doing = self.random.choice("sssssssssccegtppp")
        match doing:
            case "s":
                self._submit()
            case "c":
                self._claim(self.random.choice(_HOSTS[:2]))
            case "e":
                self._end()
            case "g":
                self._gate()
            case "t":
                self._clock(self.random.choice(_SECONDS) * 1000)
                self._rest()
            case _:
                self._come_all()

    def _rest(self) -> None:
        """Every host beats, and nothing is left that is due."""
        for name in _HOSTS:
            self._beat(name)
        while self._ask(ops.Reap()).more:
            pass

    def _come_all(self) -> None:
        """Hosts come in the order in which they were poked, until nobody is poked."""
        for _ in range(200):
            first: Any = self.world.redis.zrange(f"{ROOT}:poked", 0, 0)
            if not first:
                return
            if str(first[0]).startswith("p"):
                self._ask(ops.Reap())
            else:
                while self._claim(str(first[0])):
                    pass
        raise AssertionError("the pokes never end")

    def _started(self, after: str) -> list[tuple[str, str, str]]:
        entries: Any = self.world.redis.xrange(f"{ROOT}:events", min=f"({after}")
        facts = [json.loads(fields["json"]) for _, fields in entries if fields["type"] == "AgentStarted"]
        return [(one["workspace"], one["host"], one["agent"]) for one in facts]

    def compare(self) -> tuple[int, int]:
        """Ask, then do: the same starts, in the same order, on the same hosts; and asking wrote nothing.

        How many started, and how many were kept from it.
        """
        self._rest()
        blocked: Any = self.world.redis.zrange(f"{ROOT}:blocked", 0, -1)
        before, fact = self.world.keys(), self.world.last_fact()
        for _ in range(6):  # mostly one that starts something
            keys = self.random.sample([*blocked, *blocked, *_KEYS], self.random.choice([1, 1, 2, 3]))
            limits = {key: self.random.choice([None, 0, 2, 3, 4, 9]) for key in keys}
            asked = _asked(limits, self.random.choice([1, 3, 64, 64, 64]))
            told = self._ask(asked)
            if told.starts:
                break
        assert (self.world.keys(), self.world.last_fact()) == (before, fact), "a question wrote something"
        self._set(limits)
        self._come_all()
        said = [(one.workspace, one.host, one.agent) for one in told.starts]
        done = self._started(fact)
        assert said == done[: asked.count], f"{asked}: said {told}, done {done}"
        assert told.more == (len(done) > (asked.count or 0)), f"{asked}: said {told}, done {done}"
        if told.more:
            return len(done), 0
        assert (told.refusal is None) == (not self._refuses_all()), f"{told}"
        for kept in told.kept:
            why = self._ask(ops.Explain(workspace=kept.workspace))
            assert why.status == "queued", kept
            assert (why.refusal and (why.refusal.key, why.refusal.reason, why.refusal.used, why.refusal.until)) == (
                kept.refusal.key,
                kept.refusal.reason,
                kept.refusal.used,
                kept.refusal.until,
            ), f"{kept} for {why}"
        return len(done), len(told.kept)

    def _set(self, limits: Limits) -> None:
        """One by its own verb, several at once."""
        if len(limits) == 1:
            for key, limit in limits.items():
                self._ask(ops.Limit(key=key, limit=limit, clear=limit is None or None))
            return
        stand: Any = self.world.redis.hgetall(f"{ROOT}:limits")
        wanted: Limits = {**{str(key): int(limit) for key, limit in stand.items()}, **limits}
        self._ask(ops.Apply(limits={key: limit for key, limit in wanted.items() if limit is not None}))

    def _refuses_all(self) -> bool:
        star: Any = self._ask(ops.GetStatus()).keys
        limit = next((view for view in star if view.key == "*"), None)
        return bool(limit and limit.limit is not None and limit.used >= limit.limit)


def try_states(world: World, seeds: range) -> dict[str, int]:
    """So many random states; the sums of what started and what was kept, for a look at whether they were worth it."""
    sums = {"states": 0, "with starts": 0, "starts": 0, "kept": 0}
    for seed in seeds:
        state = States(world, seed)
        for _ in range(state.random.randint(20, 60)):
            state.step()
        try:
            started, kept = state.compare()
        except AssertionError as error:
            raise AssertionError(f"state {seed}: {error}") from error
        for name, count in zip(sums, (1, bool(started), started, kept), strict=True):
            sums[name] += count
    return sums
