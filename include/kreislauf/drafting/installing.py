"""A draft on the disk: tried in a place of its own first, then written where use cases stand."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path

from include.kreislauf.collection.step import collect_alone
from include.kreislauf.drafting.draft import Draft
from include.kreislauf.drafting.table import DraftError, Table
from include.kreislauf.handovers import Handover, StepResult
from include.kreislauf.preparation.step import prepare_alone
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import FILE_NAME, load_contract
from include.kreislauf.requirements.sources import Rows, TableSource
from include.kreislauf.settings import Settings

MOST_CELLS = 20_000_000
"""Larger tables are tried by their sample: a collection holds all rows in memory, on a worker that has room for them."""


def try_out_whole(draft: Draft, table: Table, settings: Settings, now: datetime) -> str:
    """Load the contract as written, collect the rows by it and prepare them, where nothing else sees it.

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
        small = table.rows * len(table.frame.columns) <= MOST_CELLS
        if not small:
            contract = _of_sample(contract, table, home)
        # an installation of its own: its store, tables and artefacts go with the folder
        alone = settings.model_copy(
            update={
                "home": home, "store_url": "", "tables_url": "", "tracking_url": "none", "use_cases": home / "use_cases",
            }
        )  # fmt: skip
        collected = _output(collect_alone(contract, alone, as_of=now, now=now), "collection")
        prepared = _output(prepare_alone(contract, alone, as_of=now, now=now), "preparation")
    whose = "" if small else f" (of the sample: {table.rows:,} rows are not read whole here)"
    return f"{collected.summary['rows']:,} rows collected, {prepared.summary['rows']:,} prepared{whose}"


def write_contract(draft: Draft, use_cases: Path) -> Path:
    """Write the contract into its folder, whole or not at all."""
    path = use_cases / draft.contract.name / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(draft.text, encoding="utf-8")
    new.replace(path)
    return path


def _of_sample(contract: Contract, table: Table, folder: Path) -> Contract:
    """The same contract, on a file with the sample."""
    path = folder / "sample.parquet"
    table.frame.to_parquet(path)
    (source,) = contract.sources
    assert isinstance(source, Rows)  # noqa: S101 - a draft has no other
    instead = TableSource(kind="table", name=source.name, url=str(path), columns=source.columns)
    quality = contract.quality.model_copy(update={"min_rows": 1})
    return contract.model_copy(update={"sources": (instead,), "quality": quality})


def _output(result: StepResult, step: str) -> Handover:
    message = result.message
    if not isinstance(message, Handover):
        raise DraftError(
            f"{step} would send the work back: {message.text}", where=f"dry run ({message.reason})",
            next_step="correct the data, or the roles of the columns",
        )  # fmt: skip
    return message
