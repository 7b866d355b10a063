"""What people read of a release: its note with what was found of it, and the question before it goes live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.kreislauf.deployment.approval import trainers
from include.kreislauf.deployment.found import as_markdown
from include.kreislauf.deployment.note import release_note
from include.kreislauf.errors import ReleaseError
from include.kreislauf.handovers import Stage
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.store import contracts, live, messages, rollouts
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.release_files import MODEL
from include.kreislauf.store.rollouts import Rollout

COMPILED = ("compiled", "trees_")
"""How the names of a compiled model's files begin."""


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
    if found := same_as_taken_back(store, row):
        told["the same model"] = f"as in release {found[0]}, which was taken back: {found[1]}"
    return f"{release_note(contract, row, champion, {**told, **(facts or {})})}\n{as_markdown(rollout.evidence)}\n"


def stored_note(store: Store, use_case: str, version: int | None = None) -> str:
    """The note of a release, by default of the live one, as it stood when its deployment ended; else as it stands now.

    Raises
    ------
    ReleaseError: there is no such release, or its contract is no longer in the store.
    """
    with store.read() as db:
        pointer = live.live(db, use_case)
        number = version or (pointer.version if pointer else 0)
        row, rollout = live.find_release(db, use_case, number), rollouts.find(db, use_case, number)
        made = messages.find_handover_of(db, use_case, Stage.DEPLOYMENT, str(number))
        document = messages.document_of(db, made.id) if made else None
        contract = contracts.signed_contract(db, use_case, row.manifest.get("contract_hash")) if row else None
    if document:
        return document
    if row is None or contract is None:
        lacking = (
            f"there is no release {number or 'that is live'}" if row is None else "its contract is not signed"
        )
        raise ReleaseError(
            lacking, where=use_case, next_step=f"python -m include.kreislauf release list {use_case}"
        )
    if rollout is None:
        return release_note(contract, row, None)
    return f"{note_of(contract, store, rollout, row)}\n{rollout.state}: {rollout.note}\n"


def question(contract: Contract, store: Store, rollout: Rollout, row: ReleaseRow) -> str:
    """What a person is asked before a release goes live: its note, and who may not answer."""
    with store.read() as db:
        found = trainers(db, row.use_case, row.cycle_id)
    barred = [f"- {name} {what}, and may not approve it." for name, what in found.items()]
    return "\n".join([note_of(contract, store, rollout, row), *barred]).strip()


def same_as_taken_back(store: Store, row: ReleaseRow) -> tuple[int, str] | None:
    """The newest release with the very same model file that was taken back, and why; ``None``: there is none."""
    with store.read() as db:
        bad = live.taken_back(live.promotions_of(db, row.use_case))
        rows = [one for one in live.releases_of(db, row.use_case) if one.version in bad]
    same = [one.version for one in rows if one.version != row.version and _files(one) & _files(row)]
    return (same[-1], bad[same[-1]].reason.removeprefix(live.ROLLED_BACK)) if same else None


def _files(row: ReleaseRow) -> set[tuple[str, ...]]:
    """What decides the answers of a release: the model's hash, and those of the compiled model together."""
    files: Mapping[str, str] = row.manifest.get("files", {})
    compiled = sorted(f"{name} {sha}" for name, sha in files.items() if name.startswith(COMPILED))
    found = {(MODEL, files[MODEL])} if MODEL in files else set()
    return found | ({tuple(compiled)} if compiled else set())


def _model(row: ReleaseRow) -> tuple[Any, ...]:
    return tuple(row.manifest.get(name) for name in ("inputs", "family", "params"))
