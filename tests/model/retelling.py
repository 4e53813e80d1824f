"""A server that comes back empty, or behind, and what it is told again."""

import copy
import json
from typing import Any, NamedTuple

from coordinator import operations as ops
from tests.model import laws, restore_model
from tests.model.following import Following
from tests.model.truth import Truth
from tests.model.view import View


class Kept(NamedTuple):
    """What lay in the server at a moment, and the truth then."""

    keys: Any
    truth: Truth


class Retelling(Following):
    """The server loses what it knew; hosts and replicas tell it."""

    def keep(self) -> Kept:
        """What there is now, to come back to."""
        return Kept(self.world.kept(), copy.deepcopy(self.truth))

    def go_back(self, kept: Kept) -> None:
        """The server comes back without its last words: a copy that was behind has taken its place."""
        self.world.put_back(kept.keys)
        self.restart()
        self._is_now(copy.deepcopy(kept.truth))

    def lose_everything(self) -> None:
        """The server comes back empty."""
        self.world.clear()
        self._is_now(Truth())

    def _is_now(self, truth: Truth) -> None:
        now, self.truth = self.truth.now, truth
        self.truth.remembers = False
        self.pass_time(now - self.truth.now)
        self.view = self.before = View(self.world.keys())

    def back_up(self) -> Any:
        """What a replica remembers."""
        answer = self._ask(ops.Backup())
        told, wanted = answer.model_dump(exclude={"outcome"}), restore_model.backup(self.truth)
        told["rates"] = {pool: rates.model_dump(exclude_none=True) for pool, rates in answer.rates.items()}
        assert told == wanted, f"{told} for {wanted}"
        laws.nothing_changed(self.before, self.view)
        self.sound = True
        return answer

    def restore(self, ask: ops.Restore, *, twice: bool = False) -> None:
        pending = self._pending
        fence = int(self.view.keys.get("fence", 0))
        answer = self._ask(ask)
        told = restore_model.restore(self.truth, ask, fence)
        if told is None:
            assert answer.outcome == "unregistered", answer
            self._nothing_changed(pending)
        else:
            count, lost = told
            wanted = "restored", count, lost, self.truth.settings["lease_ttl"]
            assert (answer.outcome, answer.count, [*answer.lost], answer.ttl) == wanted, f"{answer} for {wanted}"
        # Of two runs under one name the first is known for a moment only: told again, it is lost.
        self._lawful(ask, answer, twice and len({run.workspace for run in ask.runs}) == len(ask.runs))

    def push(self, ask: ops.Push, *, twice: bool = False) -> None:
        answer = self._ask(ask)
        outcome = restore_model.push(self.truth, ask)
        assert answer.outcome == outcome, f"{answer} for {outcome}"
        if outcome == "pushed":
            self.truth.told.append(("ChannelPush", ask.channel, str(json.loads(ask.data or "null"))))
        self._lawful(ask, answer, twice and ask.id is not None)
