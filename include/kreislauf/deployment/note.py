"""The release note: what changed against the live release, with numbers, for the people who approve and run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from include.kreislauf.inference.problem import ServedProblem
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.store.live import ReleaseRow

NONE = "–"


def release_note(
    contract: Contract, row: ReleaseRow, champion: ReleaseRow | None, facts: Mapping[str, Any] | None = None
) -> str:
    """A release beside the one that it is to replace, in Markdown.

    Parameters
    ----------
    champion: the live release; ``None``: there is none.
    facts: what else became of it, such as who serves it; each is a line.
    """
    new, old = row.manifest, champion.manifest if champion else {}
    parts = [
        f"# Release {row.version or '(alone)'}: {contract.title}",
        _opening(row, champion),
        _lines([*_about(new, old), *(f"{name}: {value}" for name, value in (facts or {}).items())]),
        f"## Metrics\n\n{_metrics(row, champion)}",
        *_decisions(new, old),
        f"## Features\n\n{_lines(_features(new, old))}",
        f"## Made from\n\n{_lines(_origin(new, old))}",
    ]
    return "\n\n".join(parts) + "\n"


def _opening(row: ReleaseRow, champion: ReleaseRow | None) -> str:
    against = (
        f"Compared with release {champion.version}."
        if champion
        else "The first release: nothing to compare with."
    )
    return f"Cycle `{row.cycle_id}`, attempt {row.attempt}. {against}"


def _about(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    engine = new.get("engine", {})
    why = f": {engine['reason']}" if engine.get("reason") else ""
    proof = ""
    if engine.get("parity") is not None:
        proof = f" (differs from scikit-learn by at most {engine['parity']:.1g} on {engine['rows']} rows)"
    approver = new.get("approver") or {}
    return [
        f"model: {_changed(_model(new), _model(old))}",
        f"answers by: {engine.get('kind', NONE)}{why}{proof}",
        *_answers(new, old),
        f"contract approved by: {approver.get('by', 'nobody')} ({approver.get('how', NONE)})",
        *([f"evaluation: {new['decision']}"] if new.get("decision") else []),
    ]


def _answers(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    """What is answered to whom, by kind of problem."""
    problem, before = (ServedProblem.of(one) for one in (new, old or new))
    lines = [f"classes: {_changed(_classes(problem), _classes(before))}"] if problem.classes else []
    if problem.requests == "features":
        lines.append("requests: bring all features; no entities are kept")
    else:
        lines.append(f"entities known: {_changed(new.get('entities'), old.get('entities'))}")
    if problem.may_be_missing:
        lines.append(f"numbers that may be missing: {_quoted(problem.may_be_missing)}")
    return lines


def _classes(problem: ServedProblem) -> str:
    shown = _quoted(problem.classes)
    return f"{shown} (the last one's probability is logged)" if problem.kind == "binary" else shown


def _decisions(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    """The matrix of costs as a part of its own; none without one."""
    costs, before = ServedProblem.of(new).decision, ServedProblem.of(old or new).decision
    if costs is None:
        return []
    head = (
        f"| action | {' | '.join(_cell(one) for one in costs.classes)} |\n|---|{'---|' * len(costs.classes)}"
    )
    rows = [f"| `{name}` | {' | '.join(f'{cost:g}' for cost in row)} |"
            for name, row in zip(costs.names, costs.matrix.tolist(), strict=True)]  # fmt: skip
    text = f"Cost of each action, by what then happens; without a model `{costs.without}`."
    changed = "" if costs == before else " Changed against the release before."
    return [f"## Decisions\n\n{text}{changed}\n\n" + "\n".join([head, *rows])]


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def _model(manifest: Mapping[str, Any]) -> str | None:
    return f"`{manifest['family']}` `{manifest.get('params', {})}`" if manifest.get("family") else None


def _metrics(row: ReleaseRow, champion: ReleaseRow | None) -> str:
    new, old = row.manifest.get("metrics", {}), champion.manifest.get("metrics", {}) if champion else {}
    names = [*new, *(name for name in old if name not in new)]
    beside = f"release {champion.version}" if champion else "before"
    head = f"| metric | release {row.version or 'alone'} | {beside} | change |\n|---|---|---|---|"
    rows = (f"| {name} | {_number(new.get(name))} | {_number(old.get(name))} | {_change(new.get(name), old.get(name))} |"
            for name in names)  # fmt: skip
    interval = row.manifest.get("interval", {})
    width = interval.get("half_width")
    if width is None:
        return "\n".join([head, *rows])
    return "\n".join(
        [head, *rows, "", f"Interval around a prediction: ±{_number(width)} at {interval.get('level')}."]
    )


def _features(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    now, before = _names(new), _names(old)
    if not before:
        return [f"all {len(now)}: {_quoted(now)}"]
    added, removed = [one for one in now if one not in before], [one for one in before if one not in now]
    return [f"added: {_quoted(added)}", f"removed: {_quoted(removed)}", f"kept: {len(now) - len(added)}"]


def _names(manifest: Mapping[str, Any]) -> list[str]:
    features = manifest.get("features", {})
    return [*features.get("numeric", []), *features.get("categorical", {})]


def _origin(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    versions = [(name, new.get("inputs", {}).get(name), old.get("inputs", {}).get(name))
                for name in ("collection", "preparation", "candidates")]  # fmt: skip
    rest = [(name.replace("_", " "), new.get(name), old.get(name)) for name in
            ("trained_until", "as_of", "contract_hash", "code_version")]  # fmt: skip
    run = new.get("mlflow", {}).get("run")
    known, before = new.get("libraries", {}), old.get("libraries", {})
    changed = [f"{name} {_changed(value, before.get(name))}" for name, value in known.items()
               if before and value != before.get(name)]  # fmt: skip
    return [
        *(f"{name}: {_changed(now, then, '`')}" for name, now, then in [*versions, *rest]),
        f"MLflow run: {f'`{run}`' if run else 'not tracked'}",
        f"libraries: {', '.join(changed or (f'{name} {value}' for name, value in known.items()))}",
    ]


def _changed(now: Any, before: Any, quote: str = "") -> str:
    """A value, and what it was before where that differs."""
    shown = NONE if now in (None, "") else f"{quote}{now}{quote}"
    return shown if before in (None, "", now) else f"{shown} (was {quote}{before}{quote})"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else NONE


def _change(now: Any, before: Any) -> str:
    return (
        f"{now - before:+.4g}" if isinstance(now, int | float) and isinstance(before, int | float) else NONE
    )


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _lines(items: Iterable[str]) -> str:
    return "\n".join(f"- {' '.join(str(one).split())}" for one in items)
