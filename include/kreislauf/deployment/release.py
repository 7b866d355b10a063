"""A release of an evaluation's winner: made, signed, recorded; and verified as those who serve it do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from include.kreislauf.deployment.contents import NUMBERS, Contents, contents_of, problem_of
from include.kreislauf.deployment.manifest import manifest_of
from include.kreislauf.deployment.note import release_note
from include.kreislauf.errors import KreislaufError, ReleaseError
from include.kreislauf.evaluation.winner import Winner, load_winner
from include.kreislauf.handovers import Stage, WorkOrder
from include.kreislauf.inference.problem import ServedProblem
from include.kreislauf.inference.served import load_served
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.settings import Settings
from include.kreislauf.store import live
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.release_files import release_path, write_release
from include.kreislauf.store.signing import SigningKey

MAX_NUMBERS = 5
"""How often a version number is taken anew when another process took it first."""


@dataclass(frozen=True)
class Verified:
    """What was checked of a release, and found right.

    Parameters
    ----------
    signed_by: id of the trusted key that signed its manifest.
    files: how many have the hash that the manifest says.
    engine: what answers: ``compiled`` or ``scikit-learn``.
    golden_rows: how many gave the output that the model gave when the release was made.
    """

    use_case: str
    version: int
    digest: str
    signed_by: str
    files: int
    engine: str
    golden_rows: int

    @property
    def text(self) -> str:
        """All of it in a sentence."""
        return (
            f"{self.use_case} release {self.version}: signed by {self.signed_by}, {self.files} files unchanged, "
            f"{self.golden_rows} golden rows right ({self.engine})"
        )


def make_release(
    order: WorkOrder, winner: Winner, store: Store, settings: Settings, problem: ServedProblem = NUMBERS
) -> ReleaseRow:
    """Write the release of an attempt, or find the one it made before; its row in the store comes last.

    Parameters
    ----------
    problem: see :func:`~include.kreislauf.deployment.contents.problem_of`.

    Raises
    ------
    ReleaseError: it cannot be signed, or others took every number.
    """
    contents: Contents | None = None
    for _ in range(MAX_NUMBERS):
        with store.read() as db:
            known = live.release_of(db, order.use_case, order.cycle_id, order.attempt)
            version = live.next_version(db, order.use_case)
        if known:
            return known
        contents = contents or contents_of(winner, problem)
        path = f"releases/{order.use_case}/{version:04d}-{order.cycle_id}-{order.attempt}"
        row = _written(path, order, winner, contents, version, store, settings)
        with store.write() as db:
            if live.save_release(db, row):
                return row
    raise ReleaseError("no free version number", where=order.use_case, next_step="clear the task")


def verify_release(row: ReleaseRow, settings: Settings) -> Verified:
    """Load a release as the service does: signature, hashes, which release it is, and its golden rows.

    Raises
    ------
    ReleaseError: it cannot be believed, or does not answer as the model did when it was made.
    """
    try:
        served = load_served(settings, row)
    except ReleaseError:
        raise
    except KreislaufError as error:
        folder = str(release_path(settings, row))
        raise ReleaseError(f"cannot be served: {error.text}", where=folder) from error
    loaded = served.release
    return Verified(
        row.use_case, row.version, row.digest, loaded.signed_by, files=len(loaded.manifest["files"]),
        engine=served.kind, golden_rows=len(loaded.golden["rows"]),
    )  # fmt: skip


def release_alone(order: WorkOrder, contract: Contract, settings: Settings, version: str) -> tuple[Path, str]:
    """A release of a winner, written and verified, and neither recorded nor live; its folder and its note.

    Raises
    ------
    ReleaseError: the winner is not among the candidates, or the release does not answer as the model did.
    TrainingError: the training's files are missing or were changed.
    """
    winner, store = load_winner(settings, order.use_case, version), Store(settings.store)
    order = order.model_copy(update={"inputs": {Stage.EVALUATION: version}})
    path = f"releases-alone/{order.use_case}/{order.cycle_id}"
    contents = contents_of(winner, problem_of(winner, contract))
    row = _written(path, order, winner, contents, 0, store, settings)
    verified = verify_release(row, settings)
    with store.read() as db:
        champion = live.live_release(db, order.use_case)
    return release_path(settings, row), release_note(contract, row, champion, {"verified": verified.text})


def _written(
    path: str, order: WorkOrder, winner: Winner, contents: Contents, version: int, store: Store, settings: Settings
) -> ReleaseRow:  # fmt: skip
    """The release's folder, below the artefacts, and the row that the store is to have of it."""
    manifest, digest = write_release(
        settings.artefacts / path, manifest_of(order, winner, contents, version, store, settings), contents.files,
        SigningKey.of(settings),
    )  # fmt: skip
    return ReleaseRow(
        use_case=order.use_case, version=version, cycle_id=order.cycle_id, attempt=order.attempt, path=path,
        digest=digest, manifest=manifest, as_of=order.as_of, created_at=settings.now(),
    )  # fmt: skip
