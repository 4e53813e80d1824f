"""One file per agent program: how to start it and how to read its ending."""
