"""What every part of agents.yaml has in common."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Part(BaseModel):
    """Lines of `name: value` as a frozen record. A name with nothing behind it says nothing at all."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # unknown names are warned about, see fleet.py

    @model_validator(mode="before")
    @classmethod
    def _said(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            return {name: value for name, value in given.items() if value is not None}
        return {} if given is None else given
