"""The door for MCP clients: JSON-RPC on stdin and stdout, tools, and a channel of what happens.

Written without an SDK: release 2 of the Python one loses the channel once a client probes with a newer protocol.
"""
