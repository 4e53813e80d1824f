"""Hosts, processes and directories: the part that runs agents."""
