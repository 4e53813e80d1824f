"""Names for workspaces that were given none."""

import secrets
from collections.abc import Mapping
from typing import Any

from coordinator.words import pool_of


def made_name(fields: Mapping[str, Any]) -> str:
    """A name for a workspace that was given none: `core/go-io/task-1f8e2c`."""
    agent = fields.get("agent")
    about = (
        [fields.get("org"), fields.get("repo")]
        if fields.get("repo")
        else [pool_of(agent) if isinstance(agent, str) else ""]
    )
    return "/".join([*(str(part) for part in about if part), f"task-{secrets.token_hex(3)}"])
