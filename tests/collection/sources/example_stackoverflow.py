"""The example of source kind ``stackoverflow`` that the checks of every source run on: a small data dump."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from include.kreislauf.collection.sources.stackoverflow import StackOverflow
from include.kreislauf.requirements.sources import CountColumn, StackOverflowSource
from tests.support.source_checks import TECHNOLOGIES, Example, local_access

ROW = '  <row Id="{id}" PostTypeId="{kind}" CreationDate="{day}T12:00:00.000" Tags="{tags}" />'


def example(tmp_path: Path) -> Example:
    """Four questions and an answer, of the two whole months between the dump's first and last day."""
    posts = [(1, "2014-12-31", "|go|"), (1, "2015-01-10", "|python|pandas|"), (2, "2015-01-11", ""),
             (1, "2015-01-31", "|go|"), (1, "2015-02-01", "|python|"), (1, "2015-02-28", "|c|"), (1, "2015-03-01", "|c|")]  # fmt: skip
    rows = [
        ROW.format(id=number, kind=kind, day=day, tags=tags)
        for number, (kind, day, tags) in enumerate(posts, 1)
    ]
    xml = ['<?xml version="1.0" encoding="utf-8"?>', "<posts>", *rows, "</posts>"]
    (tmp_path / "Posts.xml").write_text("\n".join(xml))
    config = StackOverflowSource(
        kind="stackoverflow", name="example", since=date(2015, 1, 1), url=str(tmp_path), read="dump",
        columns={"so_share": CountColumn(measure="questions", by="tag")},
    )  # fmt: skip
    source = StackOverflow(config, TECHNOLOGIES, period="quarter", access=local_access(), max_bad_lines=0.01)
    counted = {
        ("tag", "python", "questions"): 2,
        ("tag", "go", "questions"): 1,
        ("total", "", "questions"): 4,
    }
    return Example(source, start="2015-01-01", end="2015-03-01", counted=counted)
