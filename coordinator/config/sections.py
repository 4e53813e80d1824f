"""What every part of agents.yaml has in common."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator


class Part(BaseModel):
    """Lines of `name: value` as a frozen record. A name with nothing behind it says nothing at all."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # unknown names are warned about, see fleet.py

    nothing: ClassVar[tuple[object, ...]] = (None,)

    @model_validator(mode="before")
    @classmethod
    def _said(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            return {name: value for name, value in given.items() if value not in cls.nothing}
        return {} if given is None else given
