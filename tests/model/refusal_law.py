"""The first refusal of a lane by a key is told, once."""

from typing import Any, Protocol

from tests.model.view import View


class Moment(Protocol):
    """What of a moment this looks at."""

    @property
    def now(self) -> View: ...
    @property
    def before(self) -> View: ...
    @property
    def facts(self) -> list[dict[str, Any]]: ...


def a_first_refusal_is_told(at: Moment) -> None:
    """A lane that came under a key in this call said so; one that stayed under its key said nothing."""
    now, before = at.now, at.before
    told: dict[str, list[str]] = {}
    for fact in at.facts:
        if fact["type"] == "Waiting":
            name = fact["workspace"]
            lanes = {now.records[name]["lane"]}
            if not any(name in names for names in now.lanes.values()):  # it has ended, perhaps in another lane
                lanes |= {lane for lane, names in before.lanes.items() if name in names}
            for lane in lanes:
                told.setdefault(lane, []).append(fact["key"])
    for route, places in now.where.items():
        for lane, key in places.items():
            was = before.where.get(route, {}).get(lane, "")
            if key and key != was:
                assert told.get(lane, [""])[-1] == key, f"{lane} waits for {key} now: told {told}"
            elif key == was and before.lanes.get(lane, {}).keys() & now.lanes[lane].keys():
                assert len(told.get(lane, ())) != 1, f"{lane} stays under {key or 'none'}: told {told}"
