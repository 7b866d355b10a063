"""A small real world for the service: a store, a signed contract, releases with a pipeline, a server."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import uvicorn
from fastapi import FastAPI
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder
from sqlalchemy import Row, select

from include.kreislauf.inference.compiling import compile_model
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.service.app import create_app
from include.kreislauf.settings import Settings
from include.kreislauf.store import contracts, live, schema
from include.kreislauf.store.database import Store
from include.kreislauf.store.release_files import GOLDEN, MODEL, SNAPSHOT, dump_model, write_release
from include.kreislauf.store.signing import SigningKey

AS_OF = datetime(2016, 1, 1, tzinfo=UTC)
KINDS = ["framework", "language"]
SNAPSHOT_ROWS: dict[str, dict[str, Any]] = {
    "python": {"stars": 9.0, "share": 0.3, "kind": "language"},
    "rust": {"stars": 7.0, "share": 0.1, "kind": "language"},
    "django": {"stars": 4.0, "share": 0.2, "kind": "framework"},
}


def truth(version: int, features: dict[str, Any]) -> float:
    """What the model of a version learns: the version can be told from every value."""
    kind = 5.0 if features["kind"] == "language" else 0.0
    return float(version * 1000 + 2 * features["stars"] + 3 * features["share"] + kind)


@lru_cache
def fitted(version: int, handle_unknown: str = "ignore") -> Pipeline:
    """A pipeline that has learnt :func:`truth`."""
    grid = [(stars, share, kind) for stars in range(10) for share in (0.0, 0.5) for kind in KINDS]
    frame = pd.DataFrame(grid, columns=["stars", "share", "kind"]).astype({"stars": float})
    encode = ColumnTransformer(
        [
            ("numbers", "passthrough", ["stars", "share"]),
            ("kind", OneHotEncoder(handle_unknown=handle_unknown), ["kind"]),
        ]
    )
    target = [truth(version, row) for row in frame.to_dict("records")]  # type: ignore[arg-type]
    return Pipeline([("encode", encode), ("model", Ridge(alpha=1e-8))]).fit(frame, target)


def contract_for(use_case: str, control: float | None = None) -> Contract:
    """A contract with one reported metric.

    Parameters
    ----------
    control: share of the requests that the release before answers.
    """
    columns = {"tech": {"type": "text"}, "month": {"type": "date"}}
    return Contract.model_validate({
        "version": 1, "name": use_case, "title": "Radar", "purpose": "Test.", "owner": "tests",
        "problem": {"kind": "regression", "entity": "tech", "time": "month", "period": "month"},
        "sources": [{"kind": "table", "name": "panel", "url": "panel.csv", "columns": columns}],
        "training": {"candidates": [{"family": "ridge"}], "held_out_periods": 4},
        "performance": {"metric": "mae", "baseline": "persistence", "min_gain": 0.0},
        "business_metrics": [
            {"kind": "portfolio_uplift", "name": "uplift", "top": 2, "gate_threshold": 0.0, "threshold": 0.0,
             "window_periods": 2},
            {"kind": "reported", "name": "productivity", "threshold": 95.0, "window_periods": 2},
        ],
        "governor": {"cool_down_days": 1, "max_hops": 2},
        "monitoring": {"control": {"share": control} if control else None},
    })  # fmt: skip


def files_of(
    model: Pipeline, snapshot: dict[str, dict[str, Any]], golden_shift: float, compiled: bool
) -> dict[str, bytes]:
    """The files of a release but its manifest."""
    rows = list(SNAPSHOT_ROWS.values())
    outputs = (model.predict(pd.DataFrame(rows)) + golden_shift).tolist()
    return {
        MODEL: dump_model(model),
        SNAPSHOT: json.dumps(snapshot).encode(),
        GOLDEN: json.dumps({"rows": rows, "outputs": outputs}).encode(),
        **(compile_model(model, ["stars", "share"], {"kind": KINDS}).files() if compiled else {}),
    }


@dataclass
class World:
    """A store and the releases in it."""

    folder: Path
    store: Store

    @classmethod
    def live(cls, folder: Path, empty_store: Path) -> World:
        """A world of its own with release 1 of ``radar`` live and its contract signed."""
        path = folder / "kreislauf.db"
        shutil.copy(empty_store, path)
        world = cls(folder, Store(f"sqlite:///{path}"))
        world.sign()
        world.release(1)
        world.promote(1)
        return world

    def release(
        self, version: int, use_case: str = "radar", *, golden_shift: float = 0.0,
        snapshot: dict[str, dict[str, Any]] = SNAPSHOT_ROWS, manifest: dict[str, Any] | None = None,
        compiled: bool = True, handle_unknown: str = "ignore",
    ) -> Path:  # fmt: skip
        """Write a release to the disk and to the store.

        Parameters
        ----------
        golden_shift: how far the golden outputs are off.
        manifest: parts of the manifest to replace.
        compiled: whether it carries its model compiled, too.
        handle_unknown: of its one-hot encoder.
        """
        cycle_id = f"c{version:04}-2016-01"
        complete = {
            "use_case": use_case, "version": version, "cycle_id": cycle_id, "contract_hash": "0" * 64,
            "as_of": AS_OF.isoformat(), "family": "ridge", "params": {"alpha": 1e-8}, "metrics": {"mae": 0.1},
            "features": {"numeric": ["stars", "share"], "categorical": {"kind": KINDS}}, "libraries": {},
            **(manifest or {}),
        }  # fmt: skip
        name = f"releases/{use_case}/{version}"
        path = self.folder / "artefacts" / name
        files, key = (
            files_of(fitted(version, handle_unknown), snapshot, golden_shift, compiled),
            SigningKey.of(Settings(home=self.folder)),
        )
        complete, digest = write_release(path, complete, files, key)
        row = live.ReleaseRow(
            use_case, version, cycle_id, 1, name, digest, complete, AS_OF, datetime.now(UTC)
        )
        with self.store.write() as db:
            assert live.save_release(db, row)
        return path

    def promote(self, version: int, use_case: str = "radar") -> None:
        """Point to a release."""
        with self.store.write() as db:
            now = datetime.now(UTC)
            assert live.promote(
                db, use_case, version, expected=live.live(db, use_case), cycle_id="c0001-2016-01",
                reason="test", as_of=AS_OF, now=now,
            )  # fmt: skip

    def sign(self, use_case: str = "radar", control: float | None = None) -> None:
        """Sign a contract with the reported metric ``productivity``; see :func:`contract_for`."""
        contract = contract_for(use_case, control)
        with self.store.write() as db:
            contracts.record_contract(db, contract, AS_OF)
            sign_off = contracts.SignOff("signed", "tests", "automatic")
            contracts.record_sign_off(db, use_case, contract.hash, sign_off, AS_OF)

    def rows(self, table: str = "predictions") -> Sequence[Row[Any]]:
        """What stands in a table of the store."""
        with self.store.read() as db:
            return db.execute(select(schema.metadata.tables[table])).all()


@dataclass
class Running:
    """A server on a free port, and a client for it."""

    url: str
    client: httpx.Client
    app: FastAPI

    def predict(self, *rows: dict[str, Any], use_case: str = "radar", **body: Any) -> httpx.Response:
        """Ask for predictions as of the world's time."""
        # httpx itself would refuse what UTF-8 cannot carry
        content = json.dumps({"as_of": AS_OF.isoformat(), **body, "rows": list(rows)})
        headers = {"content-type": "application/json"}
        return self.client.post(f"/v1/{use_case}/predictions", content=content, headers=headers)

    def wait(self, done: Callable[[httpx.Response], bool], path: str = "/ready", seconds: float = 30) -> None:
        """Ask until the answer is the one waited for."""
        end = time.monotonic() + seconds
        while not done(found := self.client.get(path)):
            assert time.monotonic() < end, f"{path} still answers {found.status_code} {found.text}"
            time.sleep(0.02)

    def wait_for(self, version: int, use_case: str = "radar") -> None:
        """Wait until a version answers."""
        self.wait(lambda found: found.json()["use_cases"].get(use_case) == version)


Start = Callable[..., Running]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store file at the right revision, to be copied: faster than a migration for each test."""
    path = tmp_path_factory.mktemp("store") / "kreislauf.db"
    store = Store(f"sqlite:///{path}")
    store.upgrade()
    store.engine.dispose()
    return path


@pytest.fixture
def world(tmp_path: Path, empty_store: Path) -> Iterator[World]:
    """An empty world."""
    path = tmp_path / "kreislauf.db"
    shutil.copy(empty_store, path)
    store = Store(f"sqlite:///{path}")
    yield World(tmp_path, store)
    store.engine.dispose()


@contextmanager
def serving(world: World, *, ready: bool = True, key: str = "", **settings: Any) -> Iterator[Running]:
    """A server in this process; its client sends the key, if one is given."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    app = create_app(Settings(home=world.folder, store_url=world.store.url, **settings))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=url, timeout=30, headers=headers) as client:
        running = Running(url, client, app)
        if ready:
            running.wait(lambda found: found.status_code == 200)
        yield running
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def start() -> Iterator[Start]:
    """Start servers; they are stopped at the end of the test."""
    with ExitStack() as stack:
        yield lambda *args, **settings: stack.enter_context(serving(*args, **settings))


@pytest.fixture
def service(world: World, start: Start) -> Running:
    """A server with release 1 of ``radar`` live and its contract signed."""
    world.sign()
    world.release(1)
    world.promote(1)
    return start(world)


@pytest.fixture(scope="session")
def shared(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, World]]:
    """As ``service``, but one for all tests that store nothing."""
    world = World.live(tmp_path_factory.mktemp("shared"), empty_store)
    with serving(world) as running:
        yield running, world


@pytest.fixture
def refused(shared: tuple[Running, World]) -> Iterator[Running]:
    """A server that is asked for nothing it can grant: its store stays empty."""
    service, world = shared
    yield service
    assert [world.rows(table) for table in ("predictions", "outcomes", "reports")] == [[], [], []]
