"""The data sheet: what the data scientist reads before using a raw-data version."""

from __future__ import annotations

import pandas as pd

from include.kreislauf.handovers import Handover
from include.kreislauf.requirements.contract import Contract


def data_sheet(frame: pd.DataFrame, contract: Contract, handover: Handover) -> str:
    """Markdown: origin, extent, and each column with its type, range and missing share."""
    summary = handover.summary
    sources = "\n".join(f"- `{source.name}` ({source.kind}): `{source.url}`" for source in contract.sources)
    rows = "\n".join(_row(name, frame[name]) for name in frame.columns)
    return f"""# Data sheet: {contract.title}

Raw-data version `{handover.output}`, as of {handover.as_of:%Y-%m-%d}, cycle `{handover.cycle_id}`,
contract `{handover.contract_hash[:12]}`, code `{handover.code_version}`.

{summary["rows"]} rows of {summary["entities"]} entities, {contract.problem.period}s {summary["first_period"]}
to {summary["last_period"]}.

## Sources

{sources}

## Columns

| column | type | smallest | largest | missing |
|---|---|---|---|---|
{rows}
"""


def _row(name: str, values: pd.Series) -> str:
    present = values.dropna()
    low, high = (present.min(), present.max()) if len(present) else ("", "")
    return f"| {name} | {values.dtype} | {low} | {high} | {values.isna().mean():.1%} |"
