"""The coordinator decides which agent may start now; Redis remembers.

These are the names for services and workers: ask with `await store.run(verb)`, and `match` the answer.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from coordinator import embedded, log
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
        Cancel,
        Claim,
        Complete,
        Confirm,
        Explain,
        Freeze,
        GetStatus,
        Host,
        Hosts,
        Kill,
        Limit,
        Query,
        Reap,
        Renew,
        Retry,
        Submit,
        Thaw,
        Track,
    )
    from coordinator.operations._many import Done
    from coordinator.operations._operation import Operation
    from coordinator.operations.apply import Applied
    from coordinator.operations.back_off import GateSet
    from coordinator.operations.claim import Asking, Claimed
    from coordinator.operations.complete import AlreadyEnded, Completed, Ending, Stale, UnknownWorkspace
    from coordinator.operations.confirm import Confirmed
    from coordinator.operations.explain import Explained
    from coordinator.operations.freeze import Frozen
    from coordinator.operations.host import HostHolds, HostSet, UnknownHost
    from coordinator.operations.hosts import HostList
    from coordinator.operations.kill import Killing
    from coordinator.operations.limit import LimitSet
    from coordinator.operations.query import Found
    from coordinator.operations.reap import Lost, Reaped
    from coordinator.operations.renew import Renewed, Taken
    from coordinator.operations.status import FleetStatus
    from coordinator.operations.submit import AlreadyKnown, Granted, Queued, Refused
    from coordinator.operations.thaw import Thawed
    from coordinator.operations.track import OnDisk, Tracked
    from coordinator.steady import end, insist, steadily
    from coordinator.store import Entry, Heard, Store
    from coordinator.words import HOST, REASONS, STATUSES, Reason, Status, limit_keys, model_of, pool_of, shown

__all__ = [
    "HOST",
    "PLACEHOLDER",
    "REASONS",
    "STATUSES",
    "AgentCompleted",
    "AgentStarted",
    "AlreadyEnded",
    "AlreadyKnown",
    "Applied",
    "Apply",
    "Asking",
    "BackOff",
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
    "Host",
    "HostHolds",
    "HostList",
    "HostSet",
    "HostTaken",
    "HostView",
    "Hosts",
    "InvalidQuestion",
    "KeyView",
    "Kill",
    "Killing",
    "LibraryError",
    "Limit",
    "LimitSet",
    "Lost",
    "OnDisk",
    "Operation",
    "PokeQueue",
    "Problem",
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
    "Retry",
    "Runner",
    "Settings",
    "Stale",
    "Status",
    "Store",
    "StoreUnavailable",
    "StoreUnusable",
    "Submit",
    "Taken",
    "Thaw",
    "Thawed",
    "Track",
    "Tracked",
    "UnknownHost",
    "UnknownWorkspace",
    "WorkerError",
    "Workspace",
    "WorkspaceError",
    "embedded",
    "end",
    "first",
    "fleet",
    "insist",
    "limit_keys",
    "log",
    "model_of",
    "pool_of",
    "shown",
    "steadily",
]

#: Where each name lives: the same as above, for the interpreter. A module lives where it is.
_HOMES: Final = {
    "coordinator.config.fleet": "fleet Fleet",
    "coordinator.config.runners": "PLACEHOLDER Runner",
    "coordinator.config.settings": "Settings",
    "coordinator.embedded": "embedded",
    "coordinator.errors": (
        "ConfigError CoordinatorError GuardError HostTaken InvalidQuestion LibraryError Problem StoreUnavailable "
        "StoreUnusable WorkerError WorkspaceError first"
    ),
    "coordinator.log": "log",
    "coordinator.messages": "AgentCompleted AgentStarted Fact PokeQueue RateLimitDetected",
    "coordinator.models": "Grant Held HostView KeyView Refusal Workspace",
    "coordinator.operations": (
        "Apply BackOff Cancel Claim Complete Confirm Explain Freeze GetStatus Host Hosts Kill Limit Query Reap Renew "
        "Retry Submit Thaw Track"
    ),
    "coordinator.operations._many": "Done",
    "coordinator.operations._operation": "Operation",
    "coordinator.operations.apply": "Applied",
    "coordinator.operations.back_off": "GateSet",
    "coordinator.operations.claim": "Asking Claimed",
    "coordinator.operations.complete": "AlreadyEnded Completed Ending Stale UnknownWorkspace",
    "coordinator.operations.confirm": "Confirmed",
    "coordinator.operations.explain": "Explained",
    "coordinator.operations.freeze": "Frozen",
    "coordinator.operations.host": "HostHolds HostSet UnknownHost",
    "coordinator.operations.hosts": "HostList",
    "coordinator.operations.kill": "Killing",
    "coordinator.operations.limit": "LimitSet",
    "coordinator.operations.query": "Found",
    "coordinator.operations.reap": "Lost Reaped",
    "coordinator.operations.renew": "Renewed Taken",
    "coordinator.operations.status": "FleetStatus",
    "coordinator.operations.submit": "AlreadyKnown Granted Queued Refused",
    "coordinator.operations.thaw": "Thawed",
    "coordinator.operations.track": "OnDisk Tracked",
    "coordinator.steady": "end insist steadily",
    "coordinator.store": "Entry Heard Store",
    "coordinator.words": "HOST REASONS STATUSES Reason Status limit_keys model_of pool_of shown",
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names.split()}

if not TYPE_CHECKING:  # a checker that saw it would believe in any name

    def __getattr__(name: str) -> Any:
        """A name when it is first asked for: whoever needs one verb waits for no Redis client and no file reader."""
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module 'coordinator' has no attribute {name!r}")
        module = importlib.import_module(home)
        found = module if home.endswith(f".{name}") else getattr(module, name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
