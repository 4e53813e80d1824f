"""What lies in the keys, with names for what the laws speak of. Nothing here knows a rule of the library."""

import json
from typing import Any

from tests.model.world import Keys


class View:
    """Every key at one moment."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._parts: dict[str, dict[str, Any]] = {}
        for name, value in keys.items():
            part, _, rest = name.partition(":")
            self._parts.setdefault(part, {})[rest] = value
        self.records: dict[str, dict[str, str]] = self.under("workspace")
        self.hosts: dict[str, dict[str, str]] = self.under("host")
        self.slots: dict[str, set[str]] = self.under("slots")
        self.lanes: dict[str, dict[str, float]] = self.under("lane")
        self.where: dict[str, dict[str, str]] = self.under("lanes")
        self.ready: dict[str, dict[str, float]] = self.under("ready")
        self.held: dict[str, set[str]] = self.under("held")
        self.waiting: dict[str, dict[str, float]] = self.under("waiting")
        self.serves: dict[str, set[str]] = self.under("serves")
        self.served: dict[str, set[str]] = self.under("served")
        self.groups: dict[str, set[str]] = self.under("groups")
        self.control: dict[str, str] = keys.get("control", {})
        self.timers: dict[str, float] = keys.get("timers", {})
        self.later: dict[str, float] = keys.get("later", {})
        self.poked: dict[str, float] = keys.get("poked", {})
        self.ages: dict[str, float] = keys.get("ages", {})
        self.fair: dict[str, dict[str, str]] = self.under("fair")
        self.leases: dict[str, float] = keys.get("leases", {})
        self.opening: bool = "opening" in keys

    def under(self, part: str) -> dict[str, Any]:
        """Rest of the name -> value of every key `part:...`."""
        return {rest: value for rest, value in self._parts.get(part, {}).items() if rest}

    def of_status(self, status: str) -> set[str]:
        return {name for name, record in self.records.items() if record.get("status") == status}

    def blocked(self, key: str, route: str) -> dict[str, float]:
        """The lanes of a route that this key refused."""
        found: dict[str, float] = self.keys.get(f"blocked:{key}:{route}", {})
        return found

    def waits(self, host: str) -> bool:
        return "waiting" in self.hosts.get(host, {})

    def due(self, now: int) -> bool:
        """Whether a call would first do what time has made due."""
        return self.opening or any(
            when <= now for part in (self.timers, self.later, self.poked, self.ages) for when in part.values()
        )

    def lasting(self, *, wakes: bool = True) -> Keys:
        """What a call that changes nothing leaves as it was: all but counters (and who waits or is woken)."""
        kept = {name: value for name, value in self.keys.items() if name not in ("fence", "place")}
        kept["control"] = {name: value for name, value in self.control.items() if name != "due"}
        if wakes:
            return kept
        for name, host in self.hosts.items():
            kept[f"host:{name}"] = {field: text for field, text in host.items() if field not in ("waiting", "poked")}
        return {name: value for name, value in kept.items() if name != "poked" and not name.startswith("waiting:")}


def lane_of(record: dict[str, str]) -> tuple[str, list[str]]:
    """The route and the limit keys of a record, without `*`."""
    route, *keys = record["lane"].split(" ")
    return route, [key for key in keys if not key.startswith("#")]


def keys_of(record: dict[str, str]) -> list[str]:
    """The limit keys that a run holds, without `*`."""
    keys = lane_of(record)[1]
    return [*keys, f"account:{keys[0]}/{record['account']}"] if "account" in record else keys


def pools_of(host: dict[str, str]) -> set[str]:
    return set(json.loads(host.get("pools") or "[]"))


def labels_of(host: dict[str, str]) -> set[str]:
    return set(json.loads(host.get("labels") or "[]"))


def fits(route: str, name: str, host: dict[str, str]) -> bool:
    """Whether a host can serve a route, pool[@host][+label...]."""
    head, *labels = route.split("+")
    pool, _, wanted = head.partition("@")
    return pool in pools_of(host) and wanted in ("", name) and set(labels) <= labels_of(host)
