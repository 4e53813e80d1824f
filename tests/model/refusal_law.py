"""The first refusal of a lane by a key is told, once."""

from typing import Any

from tests.model.view import View


def first_refusals_are_told(now: View, before: View, facts: list[dict[str, Any]]) -> None:
    """A lane that came under a key in this call said so; one that stayed under its key said nothing."""
    told: dict[str, list[str]] = {}
    ran = {fact["workspace"] for fact in facts if fact["type"] == "AgentStarted"}  # also what has come back since
    for fact in facts:
        if fact["type"] == "Waiting":
            name = fact["workspace"]
            waits = now.records[name]["status"] == "queued"
            waited = set() if waits else {lane for lane, names in before.lanes.items() if name in names}
            for lane in waited | {now.records[name]["lane"]}:
                told.setdefault(lane, []).append(fact["key"])
    for route, places in now.where.items():
        for lane, key in places.items():
            was = before.where.get(route, {}).get(lane, "")
            if key and key != was:
                assert told.get(lane, [""])[-1] == key, f"{lane} waits for {key} now: told {told}"
            elif key == was and (before.lanes.get(lane, {}).keys() & now.lanes[lane].keys()) - ran:
                assert len(told.get(lane, ())) != 1, f"{lane} stays under {key or 'none'}: told {told}"
