"""YAML as plain mappings, lists, text, whole numbers and nothing: what agents.yaml needs, and no more.

Everything else that YAML would guess (`yes` a truth, `16:00` a number, `5.40` a fraction) stays the text it is, so a
name or a time is never changed by being written without quotes. A key given twice is a problem, not a silent choice.
"""

import re
from typing import Any, Final

import yaml

from coordinator.errors import ConfigError, Problem
from coordinator.problems import path
from coordinator.words import LONE_SURROGATE, shown

MOST_BYTES: Final = 1024 * 1024
MOST_VALUES: Final = 20_000  # with every alias written out: a few lines of aliases can stand for billions of values
_MERGE: Final = "tag:yaml.org,2002:merge"


class _TooManyValues(Exception):  # a stop, caught in this file
    pass


class _Loader(yaml.SafeLoader):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.composed = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.composed += 1
        if self.composed > MOST_VALUES:
            raise _TooManyValues
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {}
# Only whole numbers that are written in one way, so that a number can be turned back into the text it was.
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?[1-9][0-9]{0,29}\Z|0\Z"), list("-0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:~|null|)\Z"), ["~", "n", ""])
_Loader.add_implicit_resolver(_MERGE, re.compile(r"<<\Z"), ["<"])


def read(text: str, name: str) -> tuple[dict[str, Any], list[Problem]]:
    """The mapping that `text` holds, and the problems found on the way (keys given twice and the like).

    `name` is the file's name for messages. Text that is no mapping at all raises ConfigError with one problem.
    """
    if len(text) > MOST_BYTES:
        raise ConfigError([too_large(name)])
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            got = "nothing" if root is None else "a list or a single value"
            raise ConfigError([Problem(name, f"must hold lines of 'name: value', got {got}", "begin with version: 1")])
        reader = _Reader()
        return reader.value(root, ""), reader.problems
    except yaml.YAMLError as error:
        raise ConfigError([_syntax(error, name)]) from None
    except (ValueError, OverflowError):  # such as "\U00110000"
        problem = f"line {loader.line + 1}: holds a number or a character that there is not"
        raise ConfigError([Problem(name, problem, "write it as it is")]) from None
    except _TooManyValues:
        problem = f"holds more than {MOST_VALUES} values, aliases written out"
        raise ConfigError([Problem(name, problem, "write it with fewer aliases")]) from None
    except RecursionError:
        raise ConfigError([Problem(name, "is nested too deeply", "write it flatter")]) from None


def too_large(name: str) -> Problem:
    """What to say of a file that can not be an agents.yaml."""
    return Problem(name, "is larger than 1 MiB", "give the path of an agents.yaml")


class _Reader:
    """Turns nodes into values, and keeps the problems."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._values = 0

    def value(self, node: yaml.Node, place: str) -> Any:
        self._values += 1
        if self._values > MOST_VALUES:
            raise _TooManyValues
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        scalar = isinstance(node, yaml.ScalarNode)
        if scalar and kind == "null":
            return None
        if scalar and kind == "int" and re.fullmatch(r"-?[0-9]{1,30}", node.value):
            return int(node.value)
        if kind not in {"map", "seq", "str", "merge"}:
            self.problems.append(Problem(place, f"has the tag {shown(node.tag)}", "leave the tag out"))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, path(place, at)) for at, item in enumerate(node.value)]
        return self._text(node.value, place)

    def _text(self, value: str, place: str) -> str:
        if LONE_SURROGATE.search(value):  # written as an escape: no file name, argument or question can carry it
            self.problems.append(Problem(place, f"is no Unicode text: {shown(value)}", "write the character itself"))
        return LONE_SURROGATE.sub("?", value)

    def _mapping(self, node: yaml.MappingNode, place: str) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(Problem(place or "top level", f"line {line}: a name must be text", "quote it"))
                continue
            inside = path(place, key.value)
            name = self._text(key.value, inside)
            if name in lines:
                problem = f"is given twice, in lines {lines[name]} and {line}"
                self.problems.append(Problem(inside, problem, "keep one of them"))
            elif key.tag == _MERGE:
                merged.update(self._merge(item, place))
            else:
                own[name] = self.value(item, inside)
            lines.setdefault(name, line)
        return merged | own

    def _merge(self, node: yaml.Node, place: str) -> dict[str, Any]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in reversed(parts):  # the first of several counts most
            given = self.value(part, path(place, "<<"))
            if isinstance(given, dict):
                merged.update(given)
            else:
                self.problems.append(Problem(path(place, "<<"), "must name a mapping", "write <<: *name"))
        return merged


def _syntax(error: yaml.YAMLError, name: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    parts = [getattr(error, part, None) for part in ("context", "problem", "reason")]
    found = ", ".join(part.removeprefix(", ") for part in parts if part) or "can not be read"
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    fix = "see the line before it too"
    if "'\\t'" in found:
        fix = "indent with spaces, not with tabs"
    elif "alias" in found:
        fix = "write a name that begins with * in quotes"
    elif mark is None:
        fix = "save it as plain UTF-8 text"
    return Problem(name, f"{place}{shown(found) if not found.isprintable() else found}", fix)
