"""A model card as one HTML file: nothing is loaded from elsewhere, nothing runs, light and dark."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape

from include.kreislauf.evaluation.card_blocks import (
    MARKS,
    Block,
    Bullets,
    Code,
    Command,
    Heading,
    Inline,
    Paragraph,
    Picture,
    Strong,
    Table,
    Text,
    inlines,
)
from include.kreislauf.statistics.verdicts import Verdict

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""Content security policy of the file, wherever it is opened."""

LEAD = ' class="lead"'

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --paper: #fff; --edge: #dde1e7; --text: #1c2330; --muted: #566072;
  --good: #15733a; --bad: #bd2424; --warn: #9a4a05; --code: #eef1f5; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0f1115; --paper: #181b21; --edge: #2f343d; --text: #e7eaf0; --muted: #a5aebd;
    --good: #63d493; --bad: #ff8f86; --warn: #ffb766; --code: #252a33; }
  img { filter: invert(.91) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1200px; margin: 24px auto; padding: 24px 40px 40px; background: var(--paper);
  border: 1px solid var(--edge); border-radius: 12px; overflow-wrap: anywhere; }
h1 { margin: 0 0 16px; font-size: 28px; line-height: 1.25; }
h2 { margin: 40px 0 12px; padding-bottom: 4px; border-bottom: 1px solid var(--edge); font-size: 20px; }
h3 { margin: 24px 0 8px; font-size: 16px; }
p, ul { margin: 0 0 12px; }
p, li { max-width: 900px; }
li { margin-bottom: 4px; }
.lead { max-width: none; padding: 12px 16px; border: 1px solid var(--edge); border-left: 5px solid var(--muted); border-radius: 8px;
  font-size: 18px; }
.lead:has(.pass) { border-left-color: var(--good); }
.lead:has(.fail) { border-left-color: var(--bad); }
.lead:has(.inconclusive) { border-left-color: var(--warn); }
.pass, .fail, .inconclusive { font-weight: 600; white-space: nowrap; }
.pass { color: var(--good); } .fail { color: var(--bad); } .inconclusive { color: var(--warn); }
code { padding: 1px 5px; border-radius: 4px; background: var(--code);
  font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { margin: 0 0 12px; padding: 12px 14px; overflow-x: auto; border-radius: 8px; background: var(--code); }
pre code { padding: 0; background: none; }
.scroll { margin: 0 0 16px; overflow-x: auto; }
.picture { margin: 0; }
.scroll:focus-visible, pre:focus-visible { outline: 2px solid var(--muted); outline-offset: 2px; }
table { width: 100%; border-collapse: collapse; font-size: 14px; overflow-wrap: normal; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { min-width: 60px; max-width: 380px; padding: 7px 16px 7px 0; border-bottom: 1px solid var(--edge);
  text-align: left; vertical-align: top; overflow-wrap: break-word; }
thead th { color: var(--muted); font-weight: 500; font-size: 13px; vertical-align: bottom; }
tbody th { font-weight: 600; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
figure { max-width: 900px; margin: 0 0 28px; }
img { display: block; width: 100%; height: auto; border-radius: 8px; background: #fff; }
figcaption { margin-top: 6px; color: var(--muted); font-size: 14px; }
@media (max-width: 640px) {
  main { margin: 0; padding: 16px 14px 32px; border: 0; border-radius: 0; }
  h1 { font-size: 23px; }
  th, td { min-width: 84px; }
  th:first-child { min-width: 130px; }
  img { min-width: 560px; }
}
@media print { body { background: none; } main { border: 0; padding: 0; } .scroll { overflow: visible; } }
"""


def html(blocks: Sequence[Block], title: str, pictures: Mapping[str, bytes]) -> str:
    """A whole HTML document; every text is escaped.

    Parameters
    ----------
    pictures: PNG files by the name that the blocks call them by; they become part of the document.
    """
    body = "\n".join(_block(block, pictures) for block in blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _block(block: Block, pictures: Mapping[str, bytes]) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
        case Paragraph():
            return f"<p{LEAD if block.lead else ''}>{_text(block.text)}</p>"
        case Bullets():
            return "<ul>" + "".join(f"<li>{_text(item)}</li>" for item in block.items) + "</ul>"
        case Table():
            return _table(block)
        case Picture():
            data = b64encode(pictures[block.file]).decode()
            image = f'<img alt="{escape(block.alt)}" src="data:image/png;base64,{data}">'
            return f'<figure><div class="scroll picture" tabindex="0">{image}</div><figcaption>{escape(block.caption)}</figcaption></figure>'
        case Command():
            return f'<pre tabindex="0"><code>{escape(block.text)}</code></pre>'


def _table(table: Table) -> str:
    heads = "".join(_cell("th", text, n, table, "col") for n, text in enumerate(table.heads))
    rows = "\n".join(f"<tr>{_row(row, table)}</tr>" for row in table.rows)
    caption = escape(table.caption)
    # focusable, so that a keyboard can scroll it too
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}"><table><caption>{caption}</caption>'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table></div>"
    )


def _row(row: Sequence[Text], table: Table) -> str:
    first, *rest = row
    cells = (_cell("td", text, n, table) for n, text in enumerate(rest, start=1))
    return _cell("th", first, 0, table, "row") + "".join(cells)


def _cell(tag: str, text: Text, number: int, table: Table, scope: str = "") -> str:
    attributes = (f' scope="{scope}"' if scope else "") + (
        ' class="number"' if table.align[number] == "r" else ""
    )
    return f"<{tag}{attributes}>{_text(text)}</{tag}>"


def _text(text: Text) -> str:
    return "".join(_inline(part) for part in inlines(text))


def _inline(part: Inline) -> str:
    match part:
        case Verdict():
            return f'<span class="{part.value}">{MARKS[part]} {part.value}</span>'
        case Code():
            return f"<code>{escape(part.text)}</code>"
        case Strong():
            return f"<strong>{escape(part.text)}</strong>"
        case _:
            return escape(part)
