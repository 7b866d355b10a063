"""What preparation tells the data scientist: where a feature version comes from, and what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from include.kreislauf.preparation.cleaning import Cleaned
from include.kreislauf.preparation.declared import NOTHING
from include.kreislauf.preparation.features import TARGET, FeatureModule, columns_of
from include.kreislauf.requirements.contract import Contract, Problem


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


def summary(
    frame: pd.DataFrame, contract: Contract, module: FeatureModule, account: Account
) -> dict[str, Any]:
    """The handover's summary: what the next discipline, and a program, needs to know; of entities, periods and classes
    only where rows have them.
    """
    numeric, categorical = columns_of(frame, module)
    problem = contract.problem
    return {
        "rows": len(frame),
        "rows_with_target": int(frame[TARGET].notna().sum()),
        **({"entities": int(frame["entity"].nunique())} if problem.entity else {}),
        **(_extent(frame) if problem.time else {}),
        **({"classes": classes_of(frame[TARGET], problem)} if problem.classes else {}),
        "numeric": list(numeric),
        "categorical": list(categorical),
        "excluded": dict(account.excluded),
        "cleaning": [f"{one.step}: {one.changed} {one.unit}" for one in account.cleaning],
        "leak_checks": [f"{cut:%Y-%m-%d}" for cut in account.cuts],
    }


def _extent(frame: pd.DataFrame) -> dict[str, str]:
    return {
        "first_period": frame["period"].min().date().isoformat(),
        "last_period": frame["period"].max().date().isoformat(),
    }


def classes_of(target: pd.Series, problem: Problem) -> dict[str, int]:
    """In how many rows each class happened, in the contract's order."""
    counts = target.value_counts()
    return {name: int(counts.get(place, 0)) for place, name in enumerate(problem.classes)}


def document(
    contract: Contract, version: str, frame: pd.DataFrame, module: FeatureModule, account: Account
) -> str:
    """The version in Markdown: lineage, rows, cleaning, what was left out, leak checks, and every feature."""
    told = summary(frame, contract, module, account)
    of = f" of {told['entities']} entities" if "entities" in told else ""
    when = f", {told['first_period']} to {told['last_period']}" if "first_period" in told else ""
    parts = [
        f"# Features: {contract.title}",
        f"Version `{version}`, made from `{account.raw_version}` ({account.raw_rows} rows).",
        f"{told['rows']} rows{of}{when}; the target is known in {told['rows_with_target']}.",
        *([_classes(told["classes"])] if "classes" in told else []),
        _list("Cleaning", map(_cleaned, account.cleaning), "The contract asks for none."),
        _list("Left out", (f"{_code(name)}: {why}" for name, why in account.excluded.items()), "No feature."),
        _leak_checks(contract, account.cuts),
        "## Features\n\n" + feature_table(frame, contract, module),
    ]
    return "\n\n".join(parts) + "\n"


def feature_table(frame: pd.DataFrame, contract: Contract, module: FeatureModule) -> str:
    """Smallest, median and largest value of every numeric feature, the values of every categorical one."""
    numeric, categorical = columns_of(frame, module)
    target = [] if contract.problem.classes else [TARGET]
    lines = ["| feature | smallest | median | largest | missing |", "| --- | ---: | ---: | ---: | ---: |"]
    for name in (*numeric, *target):
        values = frame[name]
        numbers = (f"{one:.4g}" for one in (values.min(), values.median(), values.max()))
        lines.append(f"| {_code(name)} | {' | '.join(numbers)} | {values.isna().mean():.1%} |")
    for name in categorical:
        values = frame[name]
        missing = (values.isna() | (values == NOTHING)).mean()
        lines.append(f"| {_code(name)} | {values.nunique()} values | | | {missing:.1%} |")
    return "\n".join(lines)


def _classes(counts: Mapping[str, int]) -> str:
    """A table of the classes, each with its share of the rows whose target is known."""
    rows = max(1, sum(counts.values()))
    lines = ["## Target", "", "| class | rows | share |", "| --- | ---: | ---: |"]
    lines += [f"| {_code(name)} | {count} | {count / rows:.2%} |" for name, count in counts.items()]
    return "\n".join(lines)


def _code(name: str) -> str:
    """A name as Markdown shows it as it is, also in a table."""
    shown = name.replace("|", r"\|")
    return f"`` {shown} ``" if "`" in name else f"`{shown}`"


def _cleaned(one: Cleaned) -> str:
    done = "left out" if one.unit == "rows" else "changed"
    return f"`{one.step}` on {', '.join(one.columns)}: {one.changed} {one.unit} {done}"


def _leak_checks(contract: Contract, cuts: Sequence[date]) -> str:
    days = ", ".join(f"{cut:%Y-%m-%d}" for cut in cuts)
    again = (
        "Not built anew without the future."
        if contract.problem.time
        else "Rows have no time: none knows the future."
    )
    if days:
        again = f"Built anew without the future at {days}: nothing of it differs."
    limit = contract.preparation.leak_correlation
    return f"## Leak checks\n\n{again} No feature's association with the target reaches {limit:g}."


def _list(title: str, lines: Iterable[str], otherwise: str) -> str:
    return f"## {title}\n\n" + ("\n".join(f"- {line}" for line in lines) or otherwise)
