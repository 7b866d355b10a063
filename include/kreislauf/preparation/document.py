"""What preparation tells the data scientist: where a feature version comes from, and what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from include.kreislauf.preparation.cleaning import Cleaned
from include.kreislauf.preparation.features import TARGET, FeatureModule, columns_of
from include.kreislauf.requirements.contract import Contract


@dataclass(frozen=True)
class Account:
    """What was done to make a feature version.

    Parameters
    ----------
    excluded: features that were left out, and why.
    cuts: times at which features were built anew without the future.
    """

    raw_version: str
    raw_rows: int
    cleaning: Sequence[Cleaned]
    excluded: Mapping[str, str]
    cuts: Sequence[date]


def summary(frame: pd.DataFrame, module: FeatureModule, account: Account) -> dict[str, Any]:
    """The handover's summary: what the next discipline, and a program, needs to know."""
    numeric, categorical = columns_of(frame, module)
    return {
        "rows": len(frame),
        "rows_with_target": int(frame[TARGET].notna().sum()),
        "entities": int(frame["entity"].nunique()),
        "first_period": frame["period"].min().date().isoformat(),
        "last_period": frame["period"].max().date().isoformat(),
        "numeric": list(numeric),
        "categorical": list(categorical),
        "excluded": dict(account.excluded),
        "cleaning": [f"{one.step}: {one.changed} {one.unit}" for one in account.cleaning],
        "leak_checks": [f"{cut:%Y-%m-%d}" for cut in account.cuts],
    }


def document(
    contract: Contract, version: str, frame: pd.DataFrame, module: FeatureModule, account: Account
) -> str:
    """The version in Markdown: lineage, rows, cleaning, what was left out, leak checks, and every feature."""
    told = summary(frame, module, account)
    parts = [
        f"# Features: {contract.title}",
        f"Version `{version}`, made from `{account.raw_version}` ({account.raw_rows} rows).",
        f"{told['rows']} rows of {told['entities']} entities, {told['first_period']} to {told['last_period']}; "
        f"the target is known in {told['rows_with_target']}.",
        _list("Cleaning", map(_cleaned, account.cleaning), "The contract asks for none."),
        _list("Left out", (f"`{name}`: {why}" for name, why in account.excluded.items()), "No feature."),
        _leak_checks(contract, account.cuts),
        "## Features\n\n" + feature_table(frame, module),
    ]
    return "\n\n".join(parts) + "\n"


def feature_table(frame: pd.DataFrame, module: FeatureModule) -> str:
    """Smallest, median and largest value of every numeric feature, the values of every categorical one."""
    numeric, categorical = columns_of(frame, module)
    lines = ["| feature | smallest | median | largest | missing |", "| --- | ---: | ---: | ---: | ---: |"]
    for name in (*numeric, TARGET):
        values = frame[name]
        numbers = (f"{one:.4g}" for one in (values.min(), values.median(), values.max()))
        lines.append(f"| `{name}` | {' | '.join(numbers)} | {values.isna().mean():.1%} |")
    for name in categorical:
        values = frame[name]
        lines.append(f"| `{name}` | {values.nunique()} values | | | {values.isna().mean():.1%} |")
    return "\n".join(lines)


def _cleaned(one: Cleaned) -> str:
    done = "left out" if one.unit == "rows" else "changed"
    return f"`{one.step}` on {', '.join(one.columns)}: {one.changed} {one.unit} {done}"


def _leak_checks(contract: Contract, cuts: Sequence[date]) -> str:
    days = ", ".join(f"{cut:%Y-%m-%d}" for cut in cuts)
    again = (
        f"Built anew without the future at {days}: nothing of it differs."
        if days
        else "Not built anew without the future."
    )
    limit = contract.preparation.leak_correlation
    return (
        f"## Leak checks\n\n{again} No numeric feature's rank correlation with the target reaches {limit:g}."
    )


def _list(title: str, lines: Iterable[str], otherwise: str) -> str:
    return f"## {title}\n\n" + ("\n".join(f"- {line}" for line in lines) or otherwise)
