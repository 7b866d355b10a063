"""The base of every part of a contract."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

ColumnName = Annotated[str, Field(min_length=1, max_length=128)]


class Section(BaseModel):
    """Immutable, no unknown field, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def inconsistent(what: str, *, allowed: str) -> PydanticCustomError:
    """Parts of a contract that are valid alone, but not together."""
    return PydanticCustomError("inconsistent", "{what}", {"what": what, "expected": allowed})
