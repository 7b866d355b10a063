"""Model cards and data sheets, as the files that evaluation and collection left."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response, status
from fastapi.responses import FileResponse, PlainTextResponse

from include.kreislauf.feedback.documents import KINDS, document_file
from include.kreislauf.handovers import CYCLE_PATTERN, NAME_PATTERN
from include.kreislauf.settings import get_settings

HEADERS = {
    # a document is only looked at: it loads nothing, runs nothing, sends nothing, and belongs to no origin
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'; sandbox"
    )
}

documents = APIRouter(prefix="/documents")


@documents.get("/{use_case}/{cycle_id}/{attempt}/{name}", response_model=None)
def show_document(
    use_case: Annotated[str, Path(pattern=NAME_PATTERN)],
    cycle_id: Annotated[str, Path(pattern=CYCLE_PATTERN)],
    attempt: Annotated[int, Path(ge=1, le=10_000)],
    name: str,
) -> Response:
    """A document of one attempt of a cycle."""
    path = document_file(get_settings(), use_case, cycle_id, attempt, name)
    if path is None:
        return _nothing(f"{use_case}, cycle {cycle_id}, attempt {attempt}", name)
    return FileResponse(path, media_type=KINDS[name].media_type, headers=HEADERS)


def _nothing(where: str, name: str) -> Response:
    """An answer for people: they came here by a link."""
    what = KINDS[name].label or name if name in KINDS else f"document {name!r}"
    there = f"Allowed: {', '.join(KINDS)}. Each is written when its step is done in that attempt."
    text = f"There is no {what} of {where}. {there}\n"
    return PlainTextResponse(text, status.HTTP_404_NOT_FOUND, headers=HEADERS)
