"""Logs are for reading: one line a change, a past-tense word and key=value, on stderr. Configured once, at a door."""

import logging
import os


def configure(level: int = logging.INFO) -> None:
    """Write this process's log lines to stderr; DISPATCH_LOG=debug shows those where nothing changed."""
    if os.environ.get("DISPATCH_LOG", "").lower() == "debug":
        level = logging.DEBUG
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s %(message)s", datefmt="%H:%M:%S")
    for noisy in ("asyncio", "redis"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
