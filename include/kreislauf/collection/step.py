"""Collect: gather what the contract's sources knew at one time, check it, and keep it as a raw-data version.

A version is one commit of the table ``raw``; it names the versions of all tables that it was made from.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from include.kreislauf.collection.access import Access
from include.kreislauf.collection.addressing import collection_address
from include.kreislauf.collection.counts import CountTable
from include.kreislauf.collection.crash_points import crash_point
from include.kreislauf.collection.emerging import Proposal, propose
from include.kreislauf.collection.gathering import Chunk, Gathering
from include.kreislauf.collection.panel import Observed, counted_panel, join, observe
from include.kreislauf.collection.quality import as_json, findings
from include.kreislauf.collection.registry import counted_sources
from include.kreislauf.collection.sheet import PICTURE, Contents, data_sheet, draw
from include.kreislauf.collection.source import CountedSource
from include.kreislauf.collection.table import read_table
from include.kreislauf.errors import SourceError
from include.kreislauf.handovers import (
    Edge,
    Evidence,
    Handover,
    Loop,
    Message,
    Reason,
    Stage,
    StepResult,
    WorkOrder,
)
from include.kreislauf.requirements.catalogue import Technology
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.requirements.loading import folder_of
from include.kreislauf.requirements.sources import OwnSource, Rows, SqlSource, TableSource
from include.kreislauf.settings import Settings
from include.kreislauf.store import messages
from include.kreislauf.store.database import Store
from include.kreislauf.store.reuse import Reuse, used_again
from include.kreislauf.store.tables import Tables

RAW, SHEET = "raw", "data_sheet.md"
WIDENING = (Edge.MONITORING_TO_DATA_ENGINEERING, Edge.DATA_SCIENCE_TO_DATA_ENGINEERING)
"""Loops that ask for more than the catalogue names."""


def collect(order: WorkOrder, contract: Contract, settings: Settings, **how: Any) -> StepResult:
    """Discipline 2. A raw-data version, or the loop to requirements when the sources cannot give what is needed.

    Parameters
    ----------
    how: further fields of :class:`Collection`.

    Raises
    ------
    SourceError: only where ``last_try`` is false: the same may succeed when it is tried again later.
    """
    return Collection(order, contract, settings, **how).finish()


@dataclass(frozen=True)
class Collection:
    """The collection of one order.

    Parameters
    ----------
    now: the clock; ``None``: time comes with the order (replay).
    connections: SQLAlchemy URL of a named connection (Airflow's, in a task).
    last_try: whether a source that cannot be reached sends the work back, or raises, to be tried again.
    taken: proposals that this collection takes in, once it has found them.
    """

    order: WorkOrder
    contract: Contract
    settings: Settings
    now: datetime | None = None
    connections: Callable[[str], str | None] | None = None
    last_try: bool = True
    taken: tuple[Proposal, ...] = ()

    def chunks(self) -> list[Chunk]:
        """What there is to read, in portions for one task each."""
        return self.gathering.chunks()

    def read(self, chunk: Chunk) -> None:
        """Read one portion and keep it.

        Raises
        ------
        SourceError: see :meth:`~include.kreislauf.collection.gathering.Gathering.read`.
        """
        self.gathering.read(chunk)

    def finish(self) -> StepResult:
        """Read what is still left, check everything, and make the version."""
        try:
            return self._finished()
        except SourceError as error:
            if not self.last_try and (error.transient or self.contract.quality.on_failure == "retry"):
                raise
            return StepResult(self._loop(error), document=f"# Collection stopped\n\n{error.text}\n")

    def _finished(self) -> StepResult:
        """The version of all that was read; one that is there already where the sources show the same as before."""
        self.gathering.read_all()
        address = collection_address(self)
        reuse = Reuse(self.order, address, self.settings, lambda earlier: self.tables.fault(earlier.output))
        return reuse.result(self._made, self._sheet_again)

    def _made(self) -> StepResult:
        observed = self.observed()
        proposals = propose(observed, self.technologies, self.contract.emerging)
        if taken := self._taken_in(proposals):
            return replace(self, taken=tuple(taken))._finished()
        return self._version(observed, proposals)

    @property
    def widens(self) -> bool:
        """Whether it may take in what is not in the catalogue: a loop asks for more, and the contract allows it."""
        asked = self.order.started_by in {f"loop/{edge}" for edge in WIDENING}
        return asked and not self.taken and self.contract.emerging.adopt > 0

    @cached_property
    def access(self) -> Access:
        """The way to remote and local files."""
        return Access.from_settings(self.settings, self.connections)

    @cached_property
    def tables(self) -> Tables:
        """The Delta tables of the use case."""
        return Tables(self.settings.tables, self.order.use_case)

    @cached_property
    def known_adopted(self) -> tuple[Technology, ...]:
        """Technologies outside the catalogue that earlier collections, or this one, have taken in."""
        with Store(self.settings.store).read() as db:
            last = messages.latest_handover(db, self.order.use_case, Stage.COLLECTION)
        before: Any = last.summary.get("adopted", []) if last else []
        found = {one["name"]: Technology.model_validate(one) for one in before}
        found |= {(one := proposal.technology()).name: one for proposal in self.taken}
        catalogue = {one.name for one in self.contract.technologies}
        return tuple(one for name, one in found.items() if name not in catalogue)

    @cached_property
    def technologies(self) -> tuple[Technology, ...]:
        """The catalogue and what was taken in."""
        return (*self.contract.technologies, *self.known_adopted)

    @cached_property
    def gathering(self) -> Gathering:
        """The reading of the counted sources."""
        adopted = frozenset(one.name for one in self.known_adopted)
        sources = counted_sources(
            self.contract, self.technologies, self.access, adopted=adopted, memory_url=self.settings.store
        )
        return Gathering(sources, self.tables, as_of=self.order.as_of, now=self.now or self.order.as_of)

    def observed(self) -> list[Observed]:
        """What each counted source shows as of the order's time."""
        return [self._observed(name, source) for name, source in self.gathering.sources.items()]

    def _observed(self, name: str, source: CountedSource[Any]) -> Observed:
        table, units = CountTable(self.tables, name), self.gathering.units(name)
        version = table.version()
        if not units or version is None:
            raise SourceError(
                f"there is nothing to read before {self.order.as_of:%Y-%m-%d}", where=name,
                next_step="check the source's field since, and the time that was asked for",
            )  # fmt: skip
        rows = table.rows(version, self.order.as_of)
        seen = observe(source, rows, units, self.order.as_of, self.contract.problem.calendar, version)
        return replace(seen, later=observed_later(table.known(), seen, self.order.as_of))

    def _taken_in(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """The best proposals, where they may be taken in."""
        most = self.contract.emerging.adopt if self.widens else 0
        names = {one.name for one in self.technologies}
        return [one for one in proposals if one.technology().name not in names][:most]

    def _version(self, observed: Sequence[Observed], proposals: Sequence[Proposal]) -> StepResult:
        contract, order = self.contract, self.order
        frame = self.panel(observed)
        found = findings(frame, observed, contract, order.as_of)
        if found[0].level == "broken":
            raise found[0].error()
        inputs = {one.source.config.name: one.version for one in observed}
        crash_point("before the version")
        commit = f"{order.key}|{order.attempt}"
        version = self.tables.write(RAW, frame, commit, inputs, cut_off=not order.fresh)
        crash_point("after the version")
        contents = Contents(frame, observed, found, proposals, self.taken, self.known_adopted, self._places())
        summary = _summary(frame, contract) | {
            "findings": as_json(found),
            "proposals": [one.shown for one in proposals],
            "adopted": [one.model_dump(mode="json") for one in self.known_adopted],
        }
        order = order.model_copy(update={"inputs": {**order.inputs, **inputs}})
        handover = order.handover(
            Stage.COLLECTION, code_version=self.settings.code, output=version, summary=summary
        )
        document = data_sheet(contents, contract, handover)
        self._keep_sheet(contents, handover, document)
        crash_point("before the record")
        return StepResult(handover, document=document)

    def panel(self, observed: Sequence[Observed]) -> pd.DataFrame:
        """All sources of the contract, joined on entity and time."""
        problem, quality = self.contract.problem, self.contract.quality
        counted = [counted_panel(one, self.technologies, problem, quality.min_coverage) for one in observed]
        rows = [self._rows(source) for source in self.contract.sources if isinstance(source, Rows)]
        return join([*rows, *counted], self.technologies, problem)

    def _rows(self, source: Rows) -> pd.DataFrame:
        problem, as_of = self.contract.problem, self.order.as_of
        if isinstance(source, SqlSource):
            from include.kreislauf.collection.sources.sql import read_sql

            return read_sql(source, problem, self.access, as_of)
        if isinstance(source, OwnSource):
            from include.kreislauf.collection.sources.own import read_own

            return read_own(
                source, problem, self.access, as_of, folder_of(self.settings.use_cases, self.contract.name)
            )
        assert isinstance(source, TableSource)  # noqa: S101 - the union holds no other
        return read_table(source, problem, self.settings.data, as_of, access=self.access)

    def _places(self) -> list[str]:
        """Where this installation reads from, where the contract leaves it open or the deployment says otherwise."""
        used = any("{data}" in getattr(one, "url", "") for one in self.contract.sources)
        places = [f"- `{{data}}` is `{self.settings.data}`"] if used else []
        mirrors = json.loads(self.settings.mirrors or "{}")
        return [*places, *(f"- `{base}` is asked for at `{mirror}`" for base, mirror in mirrors.items())]

    def _keep_sheet(self, contents: Contents, handover: Handover, document: str) -> None:
        """The sheet and its picture beside the artefacts, for people; made again when a step is repeated."""
        folder = self._sheet_folder(handover)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SHEET).write_text(document, encoding="utf-8")
        if contents.observed:
            title = f"{self.contract.title}: {handover.output}, as of {handover.as_of:%Y-%m-%d}"
            draw(contents, self.contract, folder / PICTURE, title)

    def _sheet_again(self, earlier: Handover) -> None:
        """The sheet of the earlier collection, whose result is used, as this one's; it says so."""
        folder = self._sheet_folder(earlier)
        if (folder / SHEET).is_file():
            shutil.copytree(folder, self._sheet_folder(self.order), dirs_exist_ok=True)
            sheet, note = (
                self._sheet_folder(self.order) / SHEET,
                used_again(earlier.reused_from or earlier.id),
            )
            text = sheet.read_text("utf-8").removeprefix(f"{note}\n\n")
            sheet.write_text(f"{note}\n\n{text}", encoding="utf-8")

    def _sheet_folder(self, of: Message) -> Path:
        return self.settings.artefacts / of.use_case / "data_sheets" / f"{of.cycle_id}-{of.attempt}"

    def _loop(self, error: SourceError) -> Loop:
        reason = Reason.COVERAGE_TOO_LOW if error.where == "quality" else Reason.SOURCE_FAILED
        evidence = (Evidence(name="fault", value=None, note=error.text),)
        return self.order.loop(Edge.DATA_ENGINEERING_TO_REQUIREMENTS, reason, error.text, evidence=evidence)


def collect_alone(
    contract: Contract,
    settings: Settings,
    *,
    as_of: datetime,
    now: datetime,
    widen: bool = False,
    fresh: bool = False,
) -> StepResult:
    """A collection outside of any cycle, for a person at a shell; the result is recorded nowhere but in its tables.

    Parameters
    ----------
    widen: whether technologies that are not in the catalogue may be taken in.
    fresh: whether a version is made although one of the same content is there.
    """
    order = WorkOrder(
        use_case=contract.name, cycle_id=f"alone-{as_of:%Y-%m-%d}-{now:%Y%m%d%H%M%S}", contract_hash=contract.hash,
        as_of=as_of, fresh=fresh,
        started_by=f"loop/{WIDENING[0]}" if widen else "command line",
    )  # fmt: skip
    Store(settings.store).upgrade()
    return collect(order, contract, settings, now=now)


def observed_later(known: pd.DataFrame, seen: Observed, as_of: datetime) -> str:
    """Of what is missing, how much was observed only after the time asked for."""
    unread = set(seen.coverage.of_state("unread"))
    late = known[known["unit"].isin(unread) & (known["observed_at"] > pd.Timestamp(as_of))]
    if late.empty:
        return ""
    return (
        f"{late['unit'].nunique()} of them were observed only on {late['observed_at'].min():%Y-%m-%d} or later, "
        f"after {as_of:%Y-%m-%d}: nobody can know what was shown before"
    )


def read_sources(order: WorkOrder, contract: Contract, settings: Settings) -> pd.DataFrame:
    """All sources of a contract, joined on entity and time, unchecked."""
    collection = Collection(order, contract, settings)
    collection.gathering.read_all()
    return collection.panel(collection.observed())


def _summary(frame: pd.DataFrame, contract: Contract) -> dict[str, Any]:
    """What a program needs to know of the version; of entities and periods only where rows have them."""
    problem = contract.problem
    told: dict[str, Any] = {"rows": len(frame)}
    if problem.entity:
        told["entities"] = int(frame[problem.entity].nunique())
    if problem.time:
        time = frame[problem.time]
        told |= {"first_period": time.min().date().isoformat(), "last_period": time.max().date().isoformat()}
    return told | {
        "missing_share": {
            name: round(float(share), 4) for name, share in frame.isna().mean().items() if share
        },
    }
