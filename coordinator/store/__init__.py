"""The only door to Redis: nothing outside this folder imports redis."""

from coordinator.store.entries import Entry as Entry
from coordinator.store.listen import Heard as Heard
from coordinator.store.store import Store as Store
