"""One coordinator process: hears reports, reads the inbox, sweeps what time makes due."""

from coordinator.replica.replica import application as application
from coordinator.replica.replica import begin as begin
from coordinator.replica.replica import serve as serve
from coordinator.replica.replica import stop_on_signals as stop_on_signals
