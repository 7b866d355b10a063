"""What a model card is built of: blocks that become Markdown here, and HTML in ``card_html``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from include.kreislauf.statistics.verdicts import Verdict

MARKS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?"}


@dataclass(frozen=True)
class Code:
    """A name or version as it stands in a file or a store."""

    text: str


@dataclass(frozen=True)
class Strong:
    """What the reader should not miss."""

    text: str


Inline = str | Code | Strong | Verdict
Text = Inline | tuple[Inline, ...]


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the document's."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Running text; ``lead`` is the sentence that a reader sees first."""

    text: Text
    lead: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list of points."""

    items: tuple[Text, ...]


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    caption: what the rows are, for people who do not see the table.
    align: one letter for each column, ``l`` for words and ``r`` for numbers.
    """

    caption: str
    heads: tuple[str, ...]
    align: str
    rows: tuple[tuple[Text, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A picture in a file beside the document; ``alt`` says what is to be seen."""

    file: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Command:
    """Something to be typed."""

    text: str


Block = Heading | Paragraph | Bullets | Table | Picture | Command


def inlines(text: Text) -> tuple[Inline, ...]:
    """The parts of a text."""
    return text if isinstance(text, tuple) else (text,)


def markdown(blocks: Sequence[Block]) -> str:
    """Blocks as CommonMark with tables; names from the data cannot become markup."""
    return "\n\n".join(_block(block) for block in blocks) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {_escaped(block.text)}"
        case Paragraph():
            return _line(block.text)
        case Bullets():
            return "\n".join(f"- {_line(item)}" for item in block.items)
        case Table():
            return _table(block)
        case Picture():
            return f"![{_escaped(block.alt)}]({block.file})\n\n{_line(block.caption)}"
        case Command():
            fence = "`" * max(3, _longest_run(block.text) + 1)
            return f"{fence}sh\n{block.text}\n{fence}"


def _table(table: Table) -> str:
    rule = "|".join("---:" if letter == "r" else "---" for letter in table.align)
    lines = [_row(table.heads), f"|{rule}|", *(_row(row) for row in table.rows)]
    return "\n".join(lines)


def _row(cells: Sequence[Text]) -> str:
    # a table's columns are split before anything else is read, in code too
    return "| " + " | ".join(_text(cell, in_table=True) for cell in cells) + " |"


def _line(text: Text) -> str:
    """A text at the beginning of a line, where some characters would begin a list or a heading."""
    line = _text(text).strip()
    return re.sub(r"^(\d{0,9})([-+=.)]|#+)(?=\s|[-=]|$)", r"\1\\\2", line)


def _text(text: Text, *, in_table: bool = False) -> str:
    return "".join(_inline(part, in_table=in_table) for part in inlines(text))


def _inline(part: Inline, *, in_table: bool) -> str:
    match part:
        case Verdict():
            return f"**{MARKS[part]} {part}**"
        case Code():
            return _code(part.text, in_table=in_table)
        case Strong():
            return f"**{_escaped(part.text)}**"
        case _:
            return _escaped(part)


def _code(text: str, *, in_table: bool) -> str:
    text = " ".join(text.split())
    if not text:
        return ""
    fence = "`" * (_longest_run(text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text.replace('|', chr(92) + '|') if in_table else text}{space}{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _escaped(text: str) -> str:
    """Plain text; an underscore inside a word is none of Markdown's."""
    text = re.sub(r"([\\`*<>\[\]|~$&!])", r"\\\1", re.sub(r"\s+", " ", text))
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)
