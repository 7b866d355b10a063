"""Why a DAG run was started: the events or the form it came with, and the answer when there is nothing to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from include.kreislauf.errors import HandoverError, KreislaufError
from include.kreislauf.handovers import CycleId, Edge, Frozen, Handover, Loop, Name, Role

ANYBODY = "a person"
"""Who filled in a form and left no name."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Refused(KreislaufError):
    """There is nothing to do for this DAG run, and this is why. Recorded, not an error of the run."""


class Form(Frozen):
    """What a person (or a program) fills in when triggering a DAG by hand."""

    use_case: Name
    reason: Text = Field(max_length=2000)
    by: Text = Field(ANYBODY, max_length=128)
    as_of: AwareDatetime | None = None
    loop: Edge | None = Field(
        None, description="The loop to raise; the DAG that raises it must be the one started."
    )
    cycle: CycleId | None = Field(None, description="The cycle of a loop that stays inside one.")
    override: bool = Field(
        False, description="Go on although the governor refuses; needs a reason and a name."
    )
    fresh: bool = Field(
        False, description="Do the work anew, although a result of the same address is there."
    )
    roll_back: bool = Field(
        False, description="Point back to the release that was live before, now; waits for nothing."
    )

    @model_validator(mode="after")
    def _override_has_a_name(self) -> Form:
        if self.override and self.by == ANYBODY:
            raise ValueError("an override needs the name of who decided it, in the field 'by'")
        return self


@dataclass(frozen=True)
class Incoming:
    """Everything a DAG run knows of why it was started."""

    role: Role
    run_id: str
    partition_key: str | None = None
    received: tuple[Handover | Loop, ...] = ()
    form: Form | None = None

    @property
    def origin(self) -> str:
        """What a cycle opened by this run is known by."""
        return f"{self.role}/{self.run_id}"


def read_form(values: Mapping[str, Any]) -> Form:
    """The filled-in form of a manual run; fields left empty (``None``) take their defaults.

    Raises
    ------
    HandoverError: a field is missing, not valid, or none of the form's; names each.
    """
    if unknown := sorted(set(values) - set(Form.model_fields)):
        raise HandoverError(
            f"the form has no field {', '.join(map(repr, unknown))}"[:500], where="manual run", allowed=Form.model_fields,
            next_step="trigger the DAG again with the fields of its form only",
        )  # fmt: skip
    given = {name: values[name] for name in Form.model_fields if values.get(name) is not None}
    try:
        return Form.model_validate(given)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'form'}: {fault['msg']}" for fault in error.errors()
        )
        raise HandoverError(
            f"the form is not complete: {faults}", where="manual run", allowed=Form.model_fields,
            next_step="trigger the DAG again and fill in the fields named",
        ) from error  # fmt: skip
