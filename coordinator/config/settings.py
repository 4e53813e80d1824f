"""Where things are: Redis, the namespace, agents.yaml and the workspace root, from the environment and the options.

What the fleet is stands in agents.yaml (fleet.py). Nothing here is ever taken from the current directory.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from coordinator.config.redis_url import check, without_password
from coordinator.errors import ConfigError, Problem
from coordinator.problems import problems_of
from coordinator.words import shown, wrong

_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMES = ("REDIS_URL", "DISPATCH_NAMESPACE", "DISPATCH_CONFIG", "CORE_WORKSPACE", "CORE_AGENT_DISPATCH", "HOME")


def _namespace(value: str) -> str:
    bare = value[1:-1] if value.startswith("{") and value.endswith("}") else value
    if not _NAMESPACE.fullmatch(bare):
        raise wrong(f"must be 1 to 64 letters, digits and ._-, got {shown(value)}", "write it like dispatch")
    return bare


def _absolute(value: str) -> str:
    if not value.startswith(("/", "~/")) and value != "~":
        raise wrong(f"must be an absolute path, got {shown(value)}", "write it like ~/Code/.core")
    return value


class Settings(BaseModel):
    """The environment, checked. An empty variable counts as absent."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True)

    #: None: the embedded server of the workspace root. Holds the password, so it is kept out of the repr.
    redis_url: Annotated[str, AfterValidator(check)] | None = Field(None, alias="REDIS_URL", repr=False)
    namespace: Annotated[str, AfterValidator(_namespace)] = Field("dispatch", alias="DISPATCH_NAMESPACE")
    config: str | None = Field(None, alias="DISPATCH_CONFIG")
    core: Annotated[str, AfterValidator(_absolute)] | None = Field(None, alias="CORE_WORKSPACE")
    dispatch: str = Field("", alias="CORE_AGENT_DISPATCH")
    home: Annotated[str, AfterValidator(_absolute)] | None = Field(None, alias="HOME")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read `environ`. Raises ConfigError with every problem, each under its variable's name."""
        given: dict[str, Any] = {name: environ[name].strip() for name in _NAMES if environ.get(name, "").strip()}
        if "CORE_AGENT_DISPATCH" in given:
            given["CORE_AGENT_DISPATCH"] = environ["CORE_AGENT_DISPATCH"]  # exactly "1", not " 1"
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise ConfigError(problems_of(error)) from None

    @property
    def root(self) -> str:
        """The root of every key: the namespace as a hash tag, so that one fleet is one cluster slot."""
        return f"{{{self.namespace}}}"

    @property
    def thawed(self) -> bool:
        """Whether a new namespace begins thawed."""
        return self.dispatch == "1"

    @property
    def shown_url(self) -> str:
        """The Redis URL for people: without its password; empty when there is none."""
        return without_password(self.redis_url or "")

    def config_file(self, option: str | None = None) -> tuple[Path, bool]:
        """The path of agents.yaml, and whether somebody named it (`--config` or DISPATCH_CONFIG)."""
        named = _option("--config", option) or self.config
        return (self._path(named), True) if named else (self._core() / "agents.yaml", False)

    def workspace_root(self, option: str | None = None, file: str | None = None) -> Path:
        """The directory of all workspaces: `--root`, else the file's, else below the core directory; absolute."""
        named = _option("--root", option) or file
        return self._path(named) if named else self._core() / "workspace"

    def _core(self) -> Path:
        return self._path(self.core or "~/Code/.core")

    def _path(self, text: str) -> Path:
        if text == "~" or text.startswith("~/"):
            return self._home() / text[2:]
        return Path(text).absolute()

    def _home(self) -> Path:
        try:
            return Path(self.home) if self.home else Path.home()
        except RuntimeError:
            raise ConfigError([Problem("HOME", "is not set and this user has none", "set CORE_WORKSPACE")]) from None


def _option(name: str, value: str | None) -> str | None:
    if value is not None and not value.strip():
        # `--root "$UNSET"` must not come to mean the current directory.
        raise ConfigError([Problem(name, "is empty", "give a path, or leave the option out")])
    return value
