"""A private server for one machine: found by every command of a workspace root, alive while a process holds it."""

from coordinator.embedded.server import Server as Server
from coordinator.embedded.server import find as find
from coordinator.embedded.server import hold as hold
