"""What a raw-data version depends on: the time asked for, what was adopted, and what each source holds now."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from include.kreislauf.collection.counts import CountTable
from include.kreislauf.collection.table import resolve_url
from include.kreislauf.handovers import Stage
from include.kreislauf.requirements.sources import Rows, TableSource
from include.kreislauf.store.addresses import SHORT, Address, address_of, digest

if TYPE_CHECKING:
    from include.kreislauf.collection.step import Collection

NOT_KNOWN = "only read to be compared"


def collection_address(collection: Collection) -> Address:
    """The address of what a collection will make, once everything is read that can be read ahead.

    What a database or a far-away file holds is only known when it is read: such a collection is made each time, and
    writes no new version where its content turns out to be the newest version's.
    """
    sources = {one.name: one for one in collection.contract.sources}
    found = {
        name: fingerprint(source, collection.settings.data) if isinstance(source, Rows)
        else CountTable(collection.tables, name).version() or "nothing"
        for name, source in sources.items()
    }  # fmt: skip
    open_ones = [name for name, version in found.items() if not version]
    inputs = {
        "time": collection.order.as_of.isoformat(),
        "adopted": digest([one.model_dump(mode="json") for one in collection.known_adopted]),
        "widens": str(collection.widens),
        **{f"source {name}": version or NOT_KNOWN for name, version in found.items()},
    }
    untold = f"what {', '.join(open_ones)} holds is known only when it is read" if open_ones else ""
    return address_of(Stage.COLLECTION, collection.contract, collection.settings, inputs, untold=untold)


def fingerprint(source: Rows, data: str) -> str:
    """What a source of rows holds, where that can be told without reading its rows; else empty.

    Raises
    ------
    SourceError: the source uses ``{data}``, which is not set.
    """
    if not isinstance(source, TableSource):
        return ""
    path = Path(resolve_url(source, data))
    if (path / "_delta_log").is_dir():
        return _delta_version(path)
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:SHORT]


def _delta_version(path: Path) -> str:
    """Identity and version: a table that was deleted and made again is another one."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(str(path))
        return f"version {table.version()} of {table.metadata().id}"
    except (DeltaError, OSError):
        return ""  # the reading says what is wrong with it
