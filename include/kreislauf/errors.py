"""Errors that say what is wrong, where, what is allowed and what to do next.

Every error of the domain derives from :class:`KreislaufError` and keeps its parts as fields, so that a handover, a log
line and an API answer can each show the part they need.
"""

from __future__ import annotations

from collections.abc import Iterable


class KreislaufError(Exception):
    """Base of all errors of the domain.

    Parameters
    ----------
    what: what is wrong, in one sentence without a full stop.
    where: file, line, table or address the error is about.
    allowed: the values or the range that would have been accepted.
    next_step: what the reader can do about it.
    """

    def __init__(
        self, what: str, *, where: str = "", allowed: Iterable[str] | str = "", next_step: str = ""
    ) -> None:
        self.what = what
        self.where = where
        self.allowed = allowed if isinstance(allowed, str) else ", ".join(allowed)
        self.next_step = next_step
        super().__init__(self.text)

    @property
    def text(self) -> str:
        """The whole message, one part after the other, empty parts left out."""
        parts = [
            f"{self.where}: {self.what}" if self.where else self.what,
            f"allowed: {self.allowed}" if self.allowed else "",
            f"next: {self.next_step}" if self.next_step else "",
        ]
        return "; ".join(part for part in parts if part)


class SettingsError(KreislaufError):
    """An environment variable of the installation has a value that is not allowed."""


class ContractError(KreislaufError):
    """A use-case contract cannot be used: it does not parse, does not validate, or is not signed."""


class HandoverError(KreislaufError):
    """An event's payload is not a valid handover or loop, or does not fit the DAG that received it."""


class SourceError(KreislaufError):
    """A data source cannot give what the contract needs: missing column, wrong type, empty, unreachable.

    Parameters
    ----------
    transient: whether asking again later can help (a busy server), or not (a damaged file).
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        allowed: Iterable[str] | str = "",
        next_step: str = "",
        transient: bool = False,
    ) -> None:
        self.transient = transient
        super().__init__(what, where=where, allowed=allowed, next_step=next_step)


class PreparationError(KreislaufError):
    """Features cannot be built from the raw-data version."""


class TrainingError(KreislaufError):
    """No candidate could be trained, or a model family is unknown."""


class EvaluationError(KreislaufError):
    """Predictions cannot be compared: rows differ, repeat, or lack a prediction."""


class ReleaseError(KreislaufError):
    """A release is incomplete, was changed after it was written, or cannot be promoted."""


class QueryError(KreislaufError):
    """A live metric that another system knows cannot be had: no such connection, unreachable, or no such numbers."""


class StoreError(KreislaufError):
    """The workflow store is missing, of another version, or refuses an operation."""
