"""The page and its files, each by an explicit route: a mounted folder would answer without asking who is there."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, status
from fastapi.responses import FileResponse

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

pages = APIRouter()


@pages.get("/")
def show_page() -> FileResponse:
    """The page; its script fetches the data."""
    return _file("index.html")


@pages.get("/static/{name}")
def show_file(name: str) -> FileResponse:
    """A file of the page."""
    if name not in {path.name for path in FOLDER.iterdir()}:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"the workflow page has no file {name!r}")
    return _file(name)


def _file(name: str) -> FileResponse:
    return FileResponse(FOLDER / name, media_type=MEDIA_TYPES.get(Path(name).suffix))
