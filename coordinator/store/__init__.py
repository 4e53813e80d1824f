"""The only door to Redis: nothing outside this folder imports redis."""

from coordinator.store.listen import Heard as Heard
from coordinator.store.store import Entry as Entry
from coordinator.store.store import Store as Store
