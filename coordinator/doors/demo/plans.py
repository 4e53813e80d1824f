"""What a demo runs: its limits, its runners, and which agents take turns."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from coordinator.config.fleet import Fleet
from coordinator.config.measures import written
from coordinator.config.runners import ADAPTERS, Runner
from coordinator.doors.demo.agents import marked
from coordinator.doors.demo.place import Place
from coordinator.errors import ConfigError, Problem
from coordinator.problems import guess
from coordinator.words import AGENT, model_of, pool_of, shown
from workers.agents.builtin import COMMANDS

INDEX: Final = (
    "In {place}: write {place}/INDEX.md, which lists the functions and classes of every module with their line counts."
)
DOCUMENT: Final = (
    "In {place}: give every public function and class that has no docstring one line of docstring. Change no code, "
    "and see that every changed module still compiles."
)
CHECK: Final = (
    "In {place}: look for unused imports, lines longer than 100 characters, bare excepts and notes such as TODO, "
    "and write what you find to {place}/CHECKS.md."
)
_KINDS: Final = {"index": INDEX, "document": DOCUMENT, "check": CHECK}


@dataclass(frozen=True)
class Turn:
    """One of the agents that take turns, and its kind of work."""

    agent: str
    kind: str

    @property
    def text(self) -> str:
        """The task in words, with `{place}` for the directory."""
        return f"{_KINDS[self.kind]} Commit the result."


@dataclass(frozen=True)
class Plan:
    """`limits` is limit key to the most that may run; `runners` as agents.yaml has them."""

    limits: Mapping[str, int]
    runners: Mapping[str, Mapping[str, Any]]
    turns: tuple[Turn, ...]
    tasks: int
    whom: str
    spends: bool = False

    @property
    def slots(self) -> int:
        """Slots of each of two hosts: more than half of what the limits allow, so that a limit is what holds back."""
        return sum(limit for key, limit in self.limits.items() if not model_of(key)) * 2 // 3 or 1

    def agents_yaml(self, place: Place) -> str:
        """The file that the fleet of the demo reads."""
        pools = {pool: {"total": total} for pool, total in self.limits.items() if ":" not in pool}
        for agent, limit in self.limits.items():
            if model := model_of(agent):
                pools[pool_of(agent)][model] = limit
        own = {**place.git_environment, marked.MARKS: str(place.marks)}
        runners = {pool: {**runner, "env": {**runner.get("env", {}), **own}} for pool, runner in self.runners.items()}
        default = self.turns[0].agent
        settings = {"default_agent": default, "kill_grace": 5, "timeout_minutes": 0}  # a runner names its own
        whole = {"version": 1, "dispatch": settings, "concurrency": pools, "runners": runners}
        return yaml.safe_dump(whole, sort_keys=False, width=200)


def programs() -> Plan:
    """Three pools of small programs that come with the demo, under tight limits, one of them for a model."""
    kinds = {"codex": "index", "claude": "document", "gemini": "check"}
    one, other = "codex", "codex:gpt-5.4"  # half for the model, which may have a third: in the end it alone waits
    order = (one, "claude", other, "gemini", "claude", one, other, "claude", one, "gemini", "claude", other)
    # -P: the checkout, in which it runs, holds modules of the same names as the standard library's.
    python, env = (sys.executable, "-P", "-B", "-m", "agents"), {"PYTHONPATH": str(Path(__file__).parent)}
    return Plan(
        limits={"codex": 3, "codex:gpt-5.4": 1, "claude": 2, "gemini": 1},
        runners={
            pool: {"command": [*python, kind], "stdin": "task", "timeout": "10m", "env": env}
            for pool, kind in kinds.items()
        },
        turns=tuple(Turn(agent, kinds[pool_of(agent)]) for agent in order),
        tasks=24,
        whom="three pools of small programs",
    )


def chosen(agent: str, known: Fleet, file: str) -> Plan:
    """An agent of the user's own agents.yaml, or one we know how to start. Raises ConfigError."""
    pool = pool_of(agent)
    if not AGENT.accepts(agent):
        raise _wrong(f"{shown(agent)} is no agent's name", "write it like claude or codex:gpt-5.4")
    runner = known.runners.get(pool) or (Runner(adapter=pool) if pool in ADAPTERS else None)
    if runner is None:
        near = guess(pool, [*known.runners, *ADAPTERS])
        raise _wrong(f"{file} has no runner for {pool}", near or f"add {pool} to its runners")
    limits = {pool: known.limits().get(pool, 2)}
    if agent in known.limits() and model_of(agent):
        limits[agent] = known.limits()[agent]
    turns = tuple(Turn(agent, kind) for kind in _KINDS)
    runners = {pool: _between_marks(agent, runner)}
    return Plan(limits=limits, runners=runners, turns=turns, tasks=6, whom=f"{agent} itself", spends=True)


def _between_marks(agent: str, runner: Runner) -> dict[str, Any]:
    given = runner.model_dump(exclude_none=True, exclude={"adapter", "command", "args", "env"}, mode="json")
    arguments = (*(runner.command or ()), *runner.args)
    if runner.adapter:
        arguments = COMMANDS[runner.adapter](model_of(agent), runner.args, None)
        given.setdefault("stdin", "task")
    if shutil.which(arguments[0]) is None:
        raise _wrong(f"there is no program {shown(arguments[0])} on PATH", "install it, or leave --agent out")
    command = [sys.executable, "-I", marked.__file__, *arguments]
    given |= {name: written(given[name]) for name in ("timeout", "stalled") if name in given}
    return {**given, "command": command, "env": dict(runner.env)}


def _wrong(problem: str, fix: str) -> ConfigError:
    return ConfigError([Problem("--agent", problem, fix)])
