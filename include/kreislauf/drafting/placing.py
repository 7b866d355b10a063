"""Where a use case is written to, and how its contract names its data."""

from __future__ import annotations

from pathlib import Path

from include.kreislauf.drafting.table import DraftError, Place
from include.kreislauf.requirements.loading import FILE_NAME


def refuse_existing(use_cases: Path, name: str, *, force: bool) -> None:
    """Whether nothing would be written over.

    Raises
    ------
    DraftError: there is a use case of this name, and it is not to be replaced.
    """
    path = use_cases / name / FILE_NAME
    if path.exists() and not force:
        raise DraftError(
            "there is a use case of this name already", where=str(path), allowed="a name that is not taken yet",
            next_step="choose another name, or write over its contract with --force",
        )  # fmt: skip


def place_of(data: str, connection: str, query: str, folder: str) -> Place:
    """The place that options name.

    Parameters
    ----------
    data: a path, relative to the working directory, or a URL; ``{data}`` allowed.
    folder: what ``{data}`` stands for in this installation: files below it are named by it, so that the contract holds
        wherever the data are.

    Raises
    ------
    DraftError: neither a file nor a query is named, or both.
    """
    if bool(data) == bool(connection or query) or bool(connection) != bool(query):
        raise DraftError(
            "where the rows are must be named once", where="--data, --sql, --query",
            allowed="--data PATH|URL, or --sql CONNECTION with --query SELECT", next_step="name one of them",
        )  # fmt: skip
    if connection:
        return Place(connection=connection, query=query)
    return Place(url=_named_by_folder(data, folder))


def _named_by_folder(data: str, folder: str) -> str:
    if "{data}" in data or "://" in data:
        return data
    path = Path(data).expanduser().absolute()
    ending = "/" if data.endswith("/") else ""
    if "{" in str(path) or "}" in str(path):
        raise DraftError(
            "a path with braces cannot stand in a contract",
            where=str(path),
            next_step="rename the file or folder",
        )
    if folder and "://" not in folder and path.is_relative_to(Path(folder).absolute()):
        return f"{{data}}/{path.relative_to(Path(folder).absolute())}{ending}"
    return f"{path}{ending}"
