"""The base of every part of a contract."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """Immutable, no unknown field, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def inconsistent(what: str, *, allowed: str) -> PydanticCustomError:
    """Parts of a contract that are valid alone, but not together."""
    return PydanticCustomError("inconsistent", "{what}", {"what": what, "expected": allowed})


def _visible(name: str) -> str:
    """A line break in a name would break documents, logs and answers."""
    if any(unicodedata.category(one) == "Cc" for one in name):
        raise inconsistent(
            f"{name!r} holds a control character, such as a line break",
            allowed="any other characters: rename the column in the source",
        )
    return name


ColumnName = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_visible)]
