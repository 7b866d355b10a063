"""The readable documents of a use case's cycles: where their files are, and which of them there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from include.kreislauf.feedback.overview_models import Document
from include.kreislauf.handovers import Stage
from include.kreislauf.settings import Settings
from include.kreislauf.store.schema import handovers

MAX_HANDOVERS = 500


@dataclass(frozen=True)
class Kind:
    """A kind of file that is kept for an attempt of a cycle.

    Parameters
    ----------
    folder: below the use case's artefacts; a folder for each attempt is in it.
    label: how people call it; empty for what only belongs to another document.
    """

    stage: Stage
    folder: str
    file: str
    media_type: str
    label: str = ""


KINDS: Mapping[str, Kind] = {
    "model_card": Kind(
        Stage.EVALUATION, "model_cards", "model_card.html", "text/html; charset=utf-8", "model card"
    ),
    "data_sheet": Kind(
        Stage.COLLECTION, "data_sheets", "data_sheet.md", "text/plain; charset=utf-8", "data sheet"
    ),
    "data_sheet.png": Kind(Stage.COLLECTION, "data_sheets", "data_sheet.png", "image/png"),
}
"""By the last part of their address."""

Attempts = Mapping[tuple[str, Stage], list[int]]


def document_file(settings: Settings, use_case: str, cycle_id: str, attempt: int, name: str) -> Path | None:
    """The file of a document; ``None`` where there is none.

    Use case and cycle become parts of the path: both must have been checked against their patterns.
    """
    kind = KINDS.get(name)
    if kind is None:
        return None
    path = settings.artefacts / use_case / kind.folder / f"{cycle_id}-{attempt}" / kind.file
    return path if path.is_file() else None


def handed_over(db: Connection, use_case: str, cycle_ids: Iterable[str]) -> Attempts:
    """Attempts of cycles that may have left a document, newest first, by cycle and stage.

    A training that was handed over has been evaluated, or is: its card is there also where the answer was no, or waits.
    """
    stages = {Stage.TRAINING, *(kind.stage for kind in KINDS.values())}
    table = handovers.c
    query = select(table.cycle_id, table.stage, table.attempt).where(
        table.use_case == use_case, table.cycle_id.in_(set(cycle_ids)), table.stage.in_(stages)
    )
    found: dict[tuple[str, Stage], list[int]] = {}
    for row in db.execute(query.order_by(table.created_at.desc(), table.attempt.desc()).limit(MAX_HANDOVERS)):
        stage = Stage.EVALUATION if row.stage == Stage.TRAINING else Stage(row.stage)
        attempts = found.setdefault((row.cycle_id, stage), [])
        if row.attempt not in attempts:
            attempts.append(row.attempt)
    return {key: sorted(attempts, reverse=True) for key, attempts in found.items()}


def documents_of(
    settings: Settings, use_case: str, cycle_id: str, attempts: Attempts, until: int | None = None
) -> tuple[Document, ...]:
    """The newest document of each kind that a cycle has, with its address below the page.

    Parameters
    ----------
    until: the last attempt that counts: what a release was made from.
    """
    found = []
    for name, kind in KINDS.items():
        made = (one for one in attempts.get((cycle_id, kind.stage), []) if until is None or one <= until)
        newest = next((one for one in made if document_file(settings, use_case, cycle_id, one, name)), None)
        if kind.label and newest is not None:
            address = f"documents/{use_case}/{cycle_id}/{newest}/{name}"
            found.append(Document(name=kind.label, href=address))
    return tuple(found)
