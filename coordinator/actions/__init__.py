"""The six actions by their names: dispatch, status, start, stop, kill, poke. On every door they mean this.

Each takes a store and answers a frozen value with a `text` for people. InvalidQuestion names every wrong field;
StoreUnavailable when Redis can not be reached.
"""

from coordinator.actions.answers import Dispatched as Dispatched
from coordinator.actions.answers import Killed as Killed
from coordinator.actions.answers import Poked as Poked
from coordinator.actions.answers import Started as Started
from coordinator.actions.answers import Stopped as Stopped
from coordinator.actions.answers import Summary as Summary
from coordinator.actions.asked import Answering as Answering
from coordinator.actions.asked import chosen as chosen
from coordinator.actions.asked import dispatch as dispatch
from coordinator.actions.asked import kill as kill
from coordinator.actions.asked import poke as poke
from coordinator.actions.asked import start as start
from coordinator.actions.asked import status as status
from coordinator.actions.asked import stop as stop
