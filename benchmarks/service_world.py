"""A home with a store, an API key and releases of the product, as its own deployment makes them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sklearn.pipeline import Pipeline
from sqlalchemy import func, select, update

from benchmarks import service_model
from benchmarks.service_servers import PYTHON, Rows, Server
from include.kreislauf.deployment.release import make_release
from include.kreislauf.evaluation.winner import Winner
from include.kreislauf.handovers import Stage, WorkOrder
from include.kreislauf.settings import Settings
from include.kreislauf.store import live, messages
from include.kreislauf.store.api_keys import Scope, create_key
from include.kreislauf.store.database import Store
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.release_files import (
    GOLDEN,
    MANIFEST,
    SIGNATURE,
    SNAPSHOT,
    release_path,
    write_release,
)
from include.kreislauf.store.schema import predictions, releases
from include.kreislauf.store.signing import SigningKey

USE_CASE, OTHER = "bench", "narrow"
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
UNSIGNED = {"files", "signed_by"}


@dataclass(frozen=True)
class World:
    """One installation."""

    settings: Settings
    store: Store
    key: str

    @classmethod
    def new(cls, home: Path, store_url: str = "") -> World:
        """An installation in a folder that is emptied; its store is SQLite there, or at an address."""
        shutil.rmtree(home, ignore_errors=True)
        settings = Settings(home=home, store_url=store_url, tables_url="", tracking_url="none", clock="wall")
        store = Store(settings.store)
        store.upgrade()
        with store.write() as db:
            _, key = create_key(db, "benchmark", [Scope.PREDICT, Scope.OUTCOME], "benchmark", settings.now())
        return cls(settings, store, key)

    def release(
        self, model: Pipeline, use_case: str = USE_CASE, numeric: list[str] | None = None
    ) -> ReleaseRow:
        """Make a release of a model and record it; its number is the next one of the use case."""
        with self.store.read() as db:
            number = live.next_version(db, use_case)
        order = WorkOrder(
            use_case=use_case, cycle_id=f"c{number:04}-2026-01", contract_hash="0" * 64, as_of=AS_OF,
            started_by="benchmark", inputs={Stage.EVALUATION: f"candidates@{number}"},
        )  # fmt: skip
        evaluated = order.handover(
            Stage.EVALUATION, code_version=self.settings.code, output=order.inputs[Stage.EVALUATION],
            summary={"metrics": {"mae": 0.5}, "prediction_interval": {"half_width": 1.5}},
        )  # fmt: skip
        with self.store.write() as db:
            messages.save_handover(db, evaluated, "", self.settings.now())
        winner = Winner(
            family="hist_gradient_boosting", params={}, model=model, numeric=numeric or service_model.NUMERIC,
            categorical=service_model.CATEGORICAL, features=service_model.snapshot(), trained_until="2025-12-01",
            inputs={"candidates": "candidates@1"},
        )  # fmt: skip
        return make_release(order, winner, self.store, self.settings)

    def promote(self, version: int) -> None:
        """Point to a release, whatever it is worth."""
        with self.store.write() as db:
            promoted = live.promote(
                db, USE_CASE, version, expected=live.live(db, USE_CASE), cycle_id=f"c{version:04}-2026-01",
                reason="benchmark", as_of=AS_OF, now=self.settings.now(),
            )  # fmt: skip
        assert promoted

    def logged(self) -> int:
        """How many predictions are in the log."""
        with self.store.read() as db:
            return db.scalar(select(func.count()).select_from(predictions)) or 0

    def folder(self, version: int) -> Path:
        """Where the files of a release stand."""
        with self.store.read() as db:
            row = live.find_release(db, USE_CASE, version)
        assert row
        return release_path(self.settings, row)

    def corrupt(self, version: int) -> None:
        """Flip one bit in the middle of the largest file."""
        folder = self.folder(version)
        path = max(folder.iterdir(), key=lambda one: one.stat().st_size)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))

    def unsign(self, version: int) -> None:
        """Replace the signature by one of a key that nobody trusts."""
        folder = self.folder(version)
        (folder / SIGNATURE).write_bytes(SigningKey.new().sign((folder / MANIFEST).read_bytes()))

    def misshape(self, narrow: Pipeline) -> int:
        """A release that is signed and whole, whose model was made for other columns than its manifest tells."""
        other = release_path(self.settings, self.release(narrow, OTHER, service_model.NUMERIC[:-1]))
        row = self.release(service_model.fitted())
        folder = release_path(self.settings, row)
        kept = (SNAPSHOT, GOLDEN)
        names = row.manifest["files"]
        files = {name: ((folder if name in kept else other) / name).read_bytes() for name in names}
        manifest = {name: value for name, value in row.manifest.items() if name not in UNSIGNED}
        shutil.rmtree(folder)
        _, digest = write_release(folder, manifest, files, SigningKey.of(self.settings))
        where = (releases.c.use_case == USE_CASE, releases.c.version == row.version)
        with self.store.write() as db:
            db.execute(update(releases).where(*where).values(digest=digest))
        return row.version

    @property
    def headers(self) -> dict[str, str]:
        """With the key, as clients send it."""
        return {"Authorization": f"Bearer {self.key}"}

    def server(self, workers: int = 1) -> Server:
        """The product's service, with everything switched on that it has: keys, log, metrics."""
        command = [PYTHON, "-m", "include.kreislauf.service", "--port", "{port}", "--workers", str(workers)]
        return Server(
            "kreislauf", command, f"/v1/{USE_CASE}/predictions", _rows,
            lambda answer: [one["value"] for one in answer["predictions"]], "/ready",
            headers=self.headers,
            environment={"KREISLAUF_HOME": str(self.settings.home), "KREISLAUF_STORE_URL": self.settings.store,
                         "KREISLAUF_CLOCK": "wall"},
        )  # fmt: skip


def _rows(rows: Rows) -> dict[str, Rows]:
    return {"rows": [{"features": one} for one in rows]}
