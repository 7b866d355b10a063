"""A draft on the disk: tried with all rows in a place of its own first, then written where use cases stand."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path

from include.kreislauf.collection.step import collect_alone
from include.kreislauf.drafting.draft import Draft
from include.kreislauf.drafting.table import DraftError
from include.kreislauf.handovers import Handover, StepResult
from include.kreislauf.preparation.step import prepare_alone
from include.kreislauf.requirements.loading import FILE_NAME, load_contract
from include.kreislauf.settings import Settings


def try_whole(draft: Draft, settings: Settings, now: datetime) -> str:
    """Load the contract as written, collect all rows by it and prepare them, where nothing else sees it.

    Returns
    -------
    What came of it, in a sentence.

    Raises
    ------
    DraftError: collection or preparation would send the work back; says why.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        contract = load_contract(write_contract(draft, home / "use_cases"))
        # an installation of its own: its store, tables and artefacts go with the folder
        alone = settings.model_copy(
            update={
                "home": home,
                "store_url": "",
                "tables_url": "",
                "tracking_url": "none",
                "use_cases": home / "use_cases",
            }
        )
        collected = _output(collect_alone(contract, alone, as_of=now, now=now), "collection")
        prepared = _output(prepare_alone(contract, alone, as_of=now, now=now), "preparation")
    return f"{collected.summary['rows']:,} rows collected, {prepared.summary['rows']:,} prepared"


def write_contract(draft: Draft, use_cases: Path) -> Path:
    """Write the contract into its folder, whole or not at all."""
    path = use_cases / draft.contract.name / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(draft.text, encoding="utf-8")
    new.replace(path)
    return path


def _output(result: StepResult, step: str) -> Handover:
    message = result.message
    if not isinstance(message, Handover):
        raise DraftError(
            f"{step} would send the work back: {message.text}", where=f"dry run ({message.reason})",
            next_step="correct the data, or the roles of the columns",
        )  # fmt: skip
    return message
