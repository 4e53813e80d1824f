"""`python -m coordinator`: the command line."""

from coordinator.doors.cli import main

main()
