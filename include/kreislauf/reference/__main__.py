"""``make reference``: write every page of ``docs/reference``."""

from __future__ import annotations

from include.kreislauf.reference.pages import FOLDER, PAGES

for name, page in PAGES.items():
    (FOLDER / name).write_text(page(), encoding="utf-8")
    print(FOLDER / name)
