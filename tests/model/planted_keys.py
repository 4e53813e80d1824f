"""Bugs planted in which limit keys a run has, and in the defaults by kind: the model must catch every one."""

from typing import Final

from tests.model.plant import Plant

KEYS: Final = (
    Plant(
        "org_not_held",
        "A run does not count under its org.",
        "if org then add('org:' .. org) end",
        "if org then base.key(org) end",
    ),
    Plant(
        "labels_not_held",
        "A run does not count under the labels it requires.",
        "do add('label:' .. one) end",
        "do base.key(one) end",
    ),
    Plant(
        "default_of_repos_only",
        "A default stands for no key of its kind unless that is a repo.",
        "return kind and name ~= '*' and kind .. '*' or nil",
        "return kind == 'repo:' and name ~= '*' and kind .. '*' or nil",
    ),
    Plant(
        "default_before_its_own",
        "A key with a limit of its own has that of its default.",
        "if not limit then limit = call.supposed",
        "if limits[at] then limit = call.supposed",
    ),
    Plant(
        "default_opens_nothing",
        "A raised default is not felt by the keys it stands for.",
        "  defaults.changed(limit_key)\n  return was",
        "  return was",
    ),
    Plant(
        "walk_not_resumed",
        "A walk over many keys that stopped at its bound begins nowhere again.",
        "redis.call('SET', base.key('opening'), table.concat(walks, ' '))",
        "redis.call('GET', base.key('opening'))",
    ),
    Plant(
        "other_walks_forgotten",
        "A default that changes ends the walks of the other kinds.",
        "if kind_of(position) ~= walks[1] and kind_of(position) ~= walks[2] then walks",
        "if kind_of(position) == nil then walks",
    ),
    Plant(
        "one_walk_for_all",
        "A walk that has come to its end takes those that wait behind it with it.",
        "else table.remove(walks, 1) end",
        "else walks = {} end",
    ),
)
