"""``make reference``: write what below ``docs`` follows from the code."""

from __future__ import annotations

from include.kreislauf.reference.pages import DOCS, PAGES

for name, page in PAGES.items():
    (DOCS / name).write_text(page(), encoding="utf-8")
    print(DOCS / name)
