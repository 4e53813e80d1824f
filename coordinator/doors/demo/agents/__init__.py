"""The demo's agents: small programs that read, check and change real source files. Standard library alone."""
