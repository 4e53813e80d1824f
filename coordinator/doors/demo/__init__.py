"""The demo: real work by real processes under tight limits, on this machine, watched and then counted."""
