"""The coordinator decides which agent may start now; Redis remembers.

These are the names for services and workers: ask with `await store.run(verb)`, and `match` the answer.
"""

import importlib
from typing import TYPE_CHECKING, Any

from coordinator.homes import HOME_OF

if TYPE_CHECKING:
    from coordinator import actions, embedded, log
    from coordinator.config import fleet
    from coordinator.config.fleet import Fleet
    from coordinator.config.runners import PLACEHOLDER, Runner
    from coordinator.config.settings import Settings
    from coordinator.errors import (
        ConfigError,
        CoordinatorError,
        GuardError,
        HostTaken,
        InvalidQuestion,
        LibraryError,
        Problem,
        StoreUnavailable,
        StoreUnusable,
        WorkerError,
        WorkspaceError,
        first,
    )
    from coordinator.messages import AgentCompleted, AgentStarted, Fact, PokeQueue, RateLimitDetected
    from coordinator.models import Grant, Held, HostView, KeyView, Refusal, Workspace
    from coordinator.operations import (
        Apply,
        BackOff,
        Backup,
        Cancel,
        Claim,
        Complete,
        Confirm,
        Explain,
        Faults,
        Freeze,
        GetStatus,
        Host,
        Hosts,
        Kill,
        Limit,
        Mend,
        Prioritize,
        Push,
        Query,
        Reap,
        Renew,
        Restore,
        Retry,
        Submit,
        Thaw,
        Track,
        WhatIf,
    )
    from coordinator.operations._many import Done
    from coordinator.operations._operation import Operation
    from coordinator.operations.apply import Applied
    from coordinator.operations.back_off import GateSet
    from coordinator.operations.backup import BackedUp
    from coordinator.operations.claim import Asking, Claimed
    from coordinator.operations.complete import AlreadyEnded, Completed, Ending, HoldersEnding, Stale, UnknownWorkspace
    from coordinator.operations.confirm import Confirmed
    from coordinator.operations.explain import Explained
    from coordinator.operations.faults import Fault, FaultsFound
    from coordinator.operations.freeze import Frozen
    from coordinator.operations.host import HostHolds, HostSet, UnknownHost
    from coordinator.operations.hosts import HostList
    from coordinator.operations.kill import Killing
    from coordinator.operations.limit import LimitSet
    from coordinator.operations.mend import Mended, NotMended
    from coordinator.operations.prioritize import Prioritized
    from coordinator.operations.push import AlreadyPushed, Pushed
    from coordinator.operations.query import Found
    from coordinator.operations.reap import Lost, Reaped
    from coordinator.operations.renew import Renewed, Taken
    from coordinator.operations.restore import HeldRun, Restored, Unregistered
    from coordinator.operations.status import FleetStatus
    from coordinator.operations.submit import AlreadyKnown, Granted, Queued, Refused
    from coordinator.operations.thaw import Thawed
    from coordinator.operations.track import OnDisk, Tracked
    from coordinator.operations.what_if import Kept, Start, Supposed
    from coordinator.problems import problems_of
    from coordinator.steady import end, insist, steadily
    from coordinator.store import Entry, Heard, Store
    from coordinator.words import (
        ACCOUNT,
        HOST,
        REASONS,
        STATUSES,
        WORKSPACE,
        Reason,
        Status,
        limit_keys,
        model_of,
        pool_of,
        shown,
    )

__all__ = [
    "ACCOUNT",
    "HOST",
    "PLACEHOLDER",
    "REASONS",
    "STATUSES",
    "WORKSPACE",
    "AgentCompleted",
    "AgentStarted",
    "AlreadyEnded",
    "AlreadyKnown",
    "AlreadyPushed",
    "Applied",
    "Apply",
    "Asking",
    "BackOff",
    "BackedUp",
    "Backup",
    "Cancel",
    "Claim",
    "Claimed",
    "Complete",
    "Completed",
    "ConfigError",
    "Confirm",
    "Confirmed",
    "CoordinatorError",
    "Done",
    "Ending",
    "Entry",
    "Explain",
    "Explained",
    "Fact",
    "Fault",
    "Faults",
    "FaultsFound",
    "Fleet",
    "FleetStatus",
    "Found",
    "Freeze",
    "Frozen",
    "GateSet",
    "GetStatus",
    "Grant",
    "Granted",
    "GuardError",
    "Heard",
    "Held",
    "HeldRun",
    "HoldersEnding",
    "Host",
    "HostHolds",
    "HostList",
    "HostSet",
    "HostTaken",
    "HostView",
    "Hosts",
    "InvalidQuestion",
    "Kept",
    "KeyView",
    "Kill",
    "Killing",
    "LibraryError",
    "Limit",
    "LimitSet",
    "Lost",
    "Mend",
    "Mended",
    "NotMended",
    "OnDisk",
    "Operation",
    "PokeQueue",
    "Prioritize",
    "Prioritized",
    "Problem",
    "Push",
    "Pushed",
    "Query",
    "Queued",
    "RateLimitDetected",
    "Reap",
    "Reaped",
    "Reason",
    "Refusal",
    "Refused",
    "Renew",
    "Renewed",
    "Restore",
    "Restored",
    "Retry",
    "Runner",
    "Settings",
    "Stale",
    "Start",
    "Status",
    "Store",
    "StoreUnavailable",
    "StoreUnusable",
    "Submit",
    "Supposed",
    "Taken",
    "Thaw",
    "Thawed",
    "Track",
    "Tracked",
    "UnknownHost",
    "UnknownWorkspace",
    "Unregistered",
    "WhatIf",
    "WorkerError",
    "Workspace",
    "WorkspaceError",
    "actions",
    "embedded",
    "end",
    "first",
    "fleet",
    "insist",
    "limit_keys",
    "log",
    "model_of",
    "pool_of",
    "problems_of",
    "shown",
    "steadily",
]

if not TYPE_CHECKING:  # a checker that saw it would believe in any name

    def __getattr__(name: str) -> Any:
        """A name when it is first asked for: whoever needs one verb waits for no Redis client and no file reader."""
        home = HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module 'coordinator' has no attribute {name!r}")
        module = importlib.import_module(home)
        found = module if home.endswith(f".{name}") else getattr(module, name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
