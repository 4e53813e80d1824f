"""The Redis users of docs/acl on a real server that enforces them."""

import re
from pathlib import Path

import redis.asyncio

from tests.servers import Servers

FOLDER = Path(__file__).parent.parent / "docs" / "acl"
ROLES = ("replica", "worker", "publisher", "viewer")
_DENIED = re.compile("has no permissions|No permissions|can't run this command|can't access")
PLACEHOLDER = "CHANGE-THIS-PASSWORD"


class Guarded:
    """A server whose users are those of docs/acl, and `url`, where an administrator reaches it."""

    def __init__(self, servers: Servers, kind: str, place: Path) -> None:
        file = place / "users.acl"
        lines = [(FOLDER / f"{role}.acl").read_text() for role in ROLES]
        file.write_text("user default on nopass ~* &* +@all\n" + "".join(lines).replace(PLACEHOLDER, "s3cr3t-word"))
        self.url = servers.special(kind, "--aclfile", str(file))

    def url_of(self, role: str) -> str:
        """Where a role reaches it."""
        return self.url.replace("unix://", f"unix://dispatch-{role}:s3cr3t-word@")

    async def refused(self, role: str, *command: str | int) -> str:
        """What the server says when a role may not do this; empty when it may, whatever comes of it."""
        async with redis.asyncio.Redis.from_url(self.url_of(role)) as client:
            try:
                await client.execute_command(*command)  # type: ignore[no-untyped-call]
            except redis.exceptions.ResponseError as error:
                return str(error) if _DENIED.search(str(error)) else ""
        return ""
