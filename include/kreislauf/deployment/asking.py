"""What people read of a release: its note with what was found of it, and the question before it goes live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.kreislauf.deployment.approval import trainers
from include.kreislauf.deployment.found import as_markdown
from include.kreislauf.deployment.note import release_note
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.store import live
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.rollouts import Rollout


def note_of(
    contract: Contract,
    store: Store,
    rollout: Rollout,
    row: ReleaseRow,
    facts: Mapping[str, Any] | None = None,
) -> str:
    """The release beside the one that was live when it began, and what was found of it since.

    Parameters
    ----------
    facts: what else became of it; each is a line.
    """
    with store.read() as db:
        champion = live.find_release(db, row.use_case, rollout.champion) if rollout.champion else None
        before = [one for one in live.releases_of(db, row.use_case) if one.version < row.version]
    same = next((one.version for one in reversed(before) if _model(one) == _model(row)), None)
    told = {"the same candidate": f"as in release {same}"} if same else {}
    return f"{release_note(contract, row, champion, {**told, **(facts or {})})}\n{as_markdown(rollout.evidence)}\n"


def question(contract: Contract, store: Store, rollout: Rollout, row: ReleaseRow) -> str:
    """What a person is asked before a release goes live: its note, and who may not answer."""
    with store.read() as db:
        found = trainers(db, row.use_case, row.cycle_id)
    barred = [f"- {name} {what}, and may not approve it." for name, what in found.items()]
    return "\n".join([note_of(contract, store, rollout, row), *barred]).strip()


def _model(row: ReleaseRow) -> tuple[Any, ...]:
    return tuple(row.manifest.get(name) for name in ("inputs", "family", "params"))
