"""The end of a tree whose guard was killed. Worker and fork server both see to it; the first writes the ending."""

import fcntl
from dataclasses import replace
from pathlib import Path

from workers import families, processes
from workers.clock import boot_ms, epoch_ms
from workers.processes import Identity, Process
from workers.run import Exit, Order
from workers.slip import MARK, Slip


def guard_of(slip: Slip) -> Identity | None:
    """The guard that made this slip; None when it can not live: it is of another boot, or did not write its name."""
    born = slip.birth()
    return born.guard if born and born.boot == processes.boot() else None


def tree_of(slip: Slip) -> list[Process]:
    """What lives of a run, parents before children, but for its guard."""
    guard, agent = guard_of(slip), slip.agent()
    roots = [guard, *([agent[0]] if agent else [])] if guard else []  # pids of another boot mean nothing
    return [each for each in families.tree(slip.marker, *roots) if each.identity != guard]


def end_orphans(slip: Slip) -> Exit:
    """Kill what a guard left that was killed itself, and write the ending in its place; returns the one that is known.

    Blocks until nothing of the tree lives, or until another process that does the same is done.
    """
    fcntl.flock(slip.fileno(), fcntl.LOCK_EX)  # until the slip is closed
    known = slip.exit()
    if known and slip.state()[0] == "ended":
        return known
    receipt = processes.end_family(lambda: tree_of(slip))
    if known:  # the guard was killed while it swept
        ending = replace(known, receipt=known.receipt + receipt)
    else:
        agent, order, now = slip.agent(), slip.order(), epoch_ms()
        error = f"the guard of token {slip.path.stem} was killed; its processes were ended"
        ending = Exit(None, None, order[0] if order else "guard_died", agent[1] if agent else now, now, error, receipt)
    slip.set_exit(ending)
    slip.set_state("ended", boot_ms())
    return ending


def end_marked(slip: Path, order: Order | None) -> Exit:
    """Kill what carries the mark of a slip that is gone, once its guard has ended; returns all that is known.

    Blocks until none of it lives.
    """
    receipt = processes.end_family(lambda: families.marked(f"{MARK}={slip}"))
    now, error = epoch_ms(), f"the slip of token {slip.stem} is gone, so its processes were ended"
    return Exit(None, None, order or "guard_died", now, now, error, receipt)
