"""Where each public name of the package lives, for the interpreter: a name is loaded when it is first asked for."""

from typing import Final

#: Module to the names it holds. A module that is public itself stands under its own name.
_HOMES: Final = {
    "coordinator.actions": "actions",
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
        "Apply BackOff Backup Cancel Claim Complete Confirm Explain Faults Freeze GetStatus Host Hosts Kill Limit Mend "
        "Prioritize Push Query Reap Renew Restore Retry Submit Thaw Track WhatIf"
    ),
    "coordinator.operations._many": "Done",
    "coordinator.operations._operation": "Operation",
    "coordinator.operations.apply": "Applied",
    "coordinator.operations.back_off": "GateSet",
    "coordinator.operations.backup": "BackedUp",
    "coordinator.operations.claim": "Asking Claimed",
    "coordinator.operations.complete": "AlreadyEnded Completed Ending HoldersEnding Stale UnknownWorkspace",
    "coordinator.operations.confirm": "Confirmed",
    "coordinator.operations.explain": "Explained",
    "coordinator.operations.faults": "Fault FaultsFound",
    "coordinator.operations.freeze": "Frozen",
    "coordinator.operations.host": "HostHolds HostSet UnknownHost",
    "coordinator.operations.hosts": "HostList",
    "coordinator.operations.kill": "Killing",
    "coordinator.operations.limit": "LimitSet",
    "coordinator.operations.mend": "Mended NotMended",
    "coordinator.operations.prioritize": "Prioritized",
    "coordinator.operations.push": "AlreadyPushed Pushed",
    "coordinator.operations.query": "Found",
    "coordinator.operations.reap": "Lost Reaped",
    "coordinator.operations.renew": "Renewed Taken",
    "coordinator.operations.restore": "HeldRun Restored Unregistered",
    "coordinator.operations.status": "FleetStatus",
    "coordinator.operations.submit": "AlreadyKnown Granted Queued Refused",
    "coordinator.operations.thaw": "Thawed",
    "coordinator.operations.track": "OnDisk Tracked",
    "coordinator.operations.what_if": "Kept Start Supposed",
    "coordinator.problems": "problems_of",
    "coordinator.steady": "end insist steadily",
    "coordinator.store": "Entry Heard Store",
    "coordinator.words": "ACCOUNT HOST REASONS STATUSES WORKSPACE Reason Status limit_keys model_of pool_of shown",
}
HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names.split()}
