"""What a tool is: a name, what it takes, what it answers. A refusal is an answer; a wrong argument names its mend."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from coordinator.doors.session import Session, who
from coordinator.errors import CoordinatorError, InvalidQuestion, Problem
from coordinator.problems import guess, path

#: Words for arguments that mean the same in every tool.
WORDS: Final = {
    "workspace": "Its name, such as core/go-io/task-5.",
    "agent": "A coding program base[:model], such as codex or codex:gpt-5.4.",
    "host": "The name of a host.",
    "repo": "A repository: name or org/name.",
    "key": "Only this limit key, such as codex or repo:core/go-io.",
    "reason": "Why, in one line; shown to whoever asks.",
    "status": "Only those of this status.",
}
Schema = dict[str, Any]


class Answer(NamedTuple):
    """A sentence for whoever reads, and the fields for whoever computes."""

    text: str
    fields: dict[str, Any]
    wrong: bool = False

    def shown(self) -> dict[str, Any]:
        """As the protocol writes it."""
        content = [{"type": "text", "text": self.text}]
        return {"content": content, "structuredContent": self.fields, "isError": self.wrong}


class Caller(NamedTuple):
    """On whose behalf a tool acts, and where."""

    session: Session
    client: str = ""

    @property
    def by(self) -> str:
        """For the record of what was done: `ana (claude-code)`."""
        return " ".join(part for part in (who(), self.client and f"({self.client})") if part) or "mcp"


Given = dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """One tool. `properties` is the JSON schema of its arguments."""

    name: str
    title: str
    description: str
    call: Callable[[Caller, Given], Awaitable[Answer]]
    properties: Schema = field(default_factory=dict)
    required: tuple[str, ...] = ()
    reads: bool = False
    destroys: bool = False

    def listed(self) -> dict[str, Any]:
        """As `tools/list` tells it."""
        taken: Schema = {"type": "object", "properties": self.properties, "additionalProperties": False}
        if self.required:
            taken["required"] = list(self.required)
        hints = {"title": self.title, "readOnlyHint": self.reads, "openWorldHint": False}
        if not self.reads:
            hints |= {"destructiveHint": self.destroys, "idempotentHint": True}
        return {"name": self.name, "description": self.description, "inputSchema": taken, "annotations": hints}

    def given(self, arguments: Given) -> Given:
        """Those that say something. A misspelt one is refused: what it meant would be missing."""
        unknown = [name for name in arguments if name not in self.properties]
        if unknown:
            raise InvalidQuestion(
                [Problem(path("", name), f"is not an argument of {self.name}", self._mend(name)) for name in unknown]
            )
        said = {name: value for name, value in arguments.items() if value is not None}
        missing = [name for name in self.required if name not in said]
        if missing:
            raise InvalidQuestion(
                [Problem(name, "is missing", self.properties[name]["description"]) for name in missing]
            )
        return said

    def _mend(self, name: str) -> str:
        return guess(name, self.properties) or f"it takes {', '.join(self.properties) or 'none'}"


def properties(verb: type[BaseModel], **words: str) -> Schema:
    """The schema of those fields of a verb that `words` describes; an empty text stands for the common words."""
    known = verb.model_json_schema(by_alias=False)["properties"]
    return {name: _plain(known[name]) | {"description": text or WORDS[name]} for name, text in words.items()}


def text(description: str) -> Schema:
    """The schema of a text that no verb has."""
    return {"type": "string", "description": description}


def _plain(schema: Schema) -> Schema:
    """Without null, which stands for an absent field, and without what only names it; bounds in JSON schema's words."""
    kept = next((one for one in schema.get("anyOf", ()) if one.get("type") != "null"), schema)
    bounds = {"ge": "minimum", "le": "maximum"}
    return {bounds.get(name, name): value for name, value in kept.items() if name not in ("title", "default")}


def fields_of(record: BaseModel, **more: Any) -> dict[str, Any]:
    """The fields of an answer, and `more`. What is absent stays absent."""
    whole = record.model_dump(mode="json", exclude_none=True) | more
    return {name: value for name, value in whole.items() if value is not None}


def failed(error: CoordinatorError) -> Answer:
    """What an error says: each wrong argument with its mend, or why the server could not be asked."""
    if isinstance(error, InvalidQuestion):
        problems = [problem._asdict() for problem in error.problems]
        return Answer(str(error), {"outcome": "invalid", "problems": problems}, wrong=True)
    return Answer(str(error), {"outcome": "unreachable", "problem": str(error)}, wrong=True)
