"""The `agents` section: named agents with a host, a runner and roles. Nothing is scheduled by them yet."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from coordinator.config.sections import Part
from coordinator.words import AgentName, shown, wrong

_TRUTHS: Final = {**dict.fromkeys(("true", "yes", "on"), True), **dict.fromkeys(("false", "no", "off"), False)}


def _truth(value: Any) -> bool:
    found = _TRUTHS.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise wrong(f"must be true or false, got {shown(value)}", "write true")
    return found


class Identity(Part):
    """One named agent: the host it works on, the runner that starts it, whether it is in service, what it may do."""

    host: str | None = None
    runner: AgentName | None = None
    active: Annotated[bool, BeforeValidator(_truth)] = False
    roles: tuple[str, ...] = ()
