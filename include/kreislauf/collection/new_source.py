"""``make add-source NAME=…``: the skeleton of a counted source, its part of the contract, and its example for the tests.

What is written works: a file of one name per line for each month. Replace its reading by that of the new source.
"""

from __future__ import annotations

import re
from keyword import iskeyword
from pathlib import Path

from include.kreislauf.errors import SourceError

MODELS = Path("include/kreislauf/requirements/sources.py")
REGISTRY = Path("include/kreislauf/collection/registry.py")
_NAME = re.compile(r"[a-z][a-z0-9_]{1,31}")
_MODEL_MARK = "# make add-source: models above this line\n"
_UNION_MARK = '    Field(discriminator="kind"),\n'
_KIND_MARK = "    # make add-source: kinds above this line\n"

_MODEL = '''class {title}Source(Counted):
    """TODO: what is counted, and where it comes from."""

    GIVES: ClassVar[Mapping[str, tuple[str, ...]]] = {{"tag": ("mentions",)}}

    kind: Literal["{name}"]
    url: Url = Field(
        min_length=1,
        description="Folder or base URL of YYYY-MM.txt; {{data}} allowed.",
        examples=["{{data}}/{name}"],
    )


'''

_SOURCE = '''"""Source kind ``{name}``: TODO what it is, where its format is described, which limits its server has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from include.kreislauf.collection.access import NotThere
from include.kreislauf.collection.source import TOTAL, Count, CountedSource, Reading, Unit
from include.kreislauf.periods import shift, start_of
from include.kreislauf.requirements.catalogue import Technology
from include.kreislauf.requirements.sources import {title}Source


class {title}(CountedSource[{title}Source]):
    """One file per month, one name per line."""

    kind = "{name}"

    def units(self, start: datetime, end: datetime) -> Iterator[Unit]:
        """Every month that lies within a time, oldest first."""
        month = start_of(start, "month")
        while (following := shift(month, "month", 1)) <= end:
            if month >= start:
                yield Unit(id=f"{{month:%Y-%m}}", start=month, end=following, weight=0.1)
            month = following

    def read(self, unit: Unit) -> Reading:
        """One month's file; every line is kept, ignored with a reason, or set aside."""
        reading, names = Reading(unit), Counter[str]()
        url = f"{{self.config.url.rstrip('/')}}/{{unit.id}}.txt"
        try:
            with self.access.open(url) as file:
                lines = file.read().splitlines()
        except NotThere:
            return Reading(unit, missing="no such file")
        for number, line in enumerate(lines, start=1):
            self._take(line, number, names, reading)
        reading.counts = [Count("tag", name, "mentions", count) for name, count in sorted(names.items())]
        reading.counts.append(Count(TOTAL, "", "mentions", reading.kept))
        reading.check(url, self.max_bad_lines)
        return reading

    def names(self, technology: Technology, by: str) -> Sequence[str]:
        """The technology's tags."""
        return technology.tags if by == "tag" else ()

    def _take(self, line: bytes, number: int, names: Counter[str], reading: Reading) -> None:
        reading.read += 1
        try:
            name = line.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            reading.quarantine(number, f"not UTF-8: {{error.reason}}", line)
            return
        if not name:
            reading.ignored["empty"] += 1
            return
        names[name] += 1
        reading.kept += 1
'''

_EXAMPLE = '''"""The example of source kind ``{name}`` that the checks of every source run on."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from include.kreislauf.collection.sources.{name} import {title}
from include.kreislauf.requirements.sources import CountColumn, {title}Source
from tests.support.source_checks import TECHNOLOGIES, Example, local_access


def example(tmp_path: Path) -> Example:
    """Two months of files."""
    for month in ("2015-01", "2015-02"):
        (tmp_path / f"{{month}}.txt").write_text("python\\ngo\\n\\npython\\n")
    config = {title}Source(
        kind="{name}", name="example", since=date(2015, 1, 1), url=str(tmp_path),
        columns={{"mentions": CountColumn(measure="mentions", by="tag")}},
    )  # fmt: skip
    how = {{"period": "quarter", "access": local_access(), "max_bad_lines": 0.01}}
    source = {title}(config, TECHNOLOGIES, **how)
    return Example(source, start="2015-01-01", end="2015-04-01", counted={{("tag", "python", "mentions"): 4}})
'''


def add_source(root: Path, name: str) -> list[Path]:
    """Write the skeleton of a source kind into a checkout; returns the files written or changed.

    Raises
    ------
    SourceError: the name is not one, or is taken; the marks that show where to write are gone.
    """
    if not _NAME.fullmatch(name) or iskeyword(name):
        raise SourceError(
            f"{name!r} is no name for a source kind", where="add-source",
            allowed="lower-case letters, digits and underscores, 2 to 32, starting with a letter, no word of Python's",
        )  # fmt: skip
    source = root / "include/kreislauf/collection/sources" / f"{name}.py"
    if source.exists() or f'kind: Literal["{name}"]' in (root / MODELS).read_text(encoding="utf-8"):
        raise SourceError(f"{name} is there already", where=str(MODELS), next_step="choose another name")
    parts = {"name": name, "title": "".join(word.capitalize() for word in name.split("_"))}
    _insert(root / MODELS, _MODEL_MARK, _MODEL.format(**parts))
    _insert(root / MODELS, _UNION_MARK, f"    | {parts['title']}Source,\n".replace(",\n", "\n"), union=True)
    kind = f'    Declared("{name}", "{name}", "{parts["title"]}", "TODO: what is counted"),\n'
    _insert(root / REGISTRY, _KIND_MARK, kind)
    example = root / "tests/collection/sources" / f"example_{name}.py"
    source.write_text(_SOURCE.format(**parts), encoding="utf-8")
    example.write_text(_EXAMPLE.format(**parts), encoding="utf-8")
    return [root / MODELS, root / REGISTRY, source, example]


def _insert(path: Path, mark: str, text: str, *, union: bool = False) -> None:
    """Write a text before a mark; a member of the union also moves the comma that ends it."""
    content = path.read_text(encoding="utf-8")
    before, found, after = content.rpartition(mark)
    if not found or (union and not before.endswith(",\n")):
        raise SourceError(
            f"the line {mark.strip()!r} is gone",
            where=str(path),
            next_step="put it back, or write the kind by hand",
        )
    if union:
        before, text = before.removesuffix(",\n") + "\n", text.removesuffix("\n") + ",\n"
    path.write_text(f"{before}{text}{found}{after}", encoding="utf-8")
