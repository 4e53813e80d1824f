"""The catalogue: the only ways state changes, and the ways to read it. One verb is one .py and one .lua file."""

from coordinator.operations.apply import Apply as Apply
from coordinator.operations.back_off import BackOff as BackOff
from coordinator.operations.backup import Backup as Backup
from coordinator.operations.cancel import Cancel as Cancel
from coordinator.operations.claim import Claim as Claim
from coordinator.operations.complete import Complete as Complete
from coordinator.operations.confirm import Confirm as Confirm
from coordinator.operations.explain import Explain as Explain
from coordinator.operations.freeze import Freeze as Freeze
from coordinator.operations.host import Host as Host
from coordinator.operations.hosts import Hosts as Hosts
from coordinator.operations.kill import Kill as Kill
from coordinator.operations.limit import Limit as Limit
from coordinator.operations.prioritize import Prioritize as Prioritize
from coordinator.operations.push import Push as Push
from coordinator.operations.query import Query as Query
from coordinator.operations.reap import Reap as Reap
from coordinator.operations.renew import Renew as Renew
from coordinator.operations.restore import Restore as Restore
from coordinator.operations.retry import Retry as Retry
from coordinator.operations.status import GetStatus as GetStatus
from coordinator.operations.submit import Submit as Submit
from coordinator.operations.thaw import Thaw as Thaw
from coordinator.operations.track import Track as Track
from coordinator.operations.what_if import WhatIf as WhatIf
