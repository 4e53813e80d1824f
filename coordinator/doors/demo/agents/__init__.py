"""The demo's agents: small programs that read, check and change real source files. Standard library alone.

They run as a package of their own (`-m agents`): importing the coordinator would cost more than their work.
"""
