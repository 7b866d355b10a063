"""The catalogue of technologies: what it allows, and what it says of a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.kreislauf.errors import ContractError
from include.kreislauf.requirements.catalogue import Term
from include.kreislauf.requirements.loading import load_catalogue

HEAD = "version: 1\ntechnologies:\n"


def load(folder: Path, text: str) -> object:
    path = folder / "technologies.yaml"
    path.write_text(text)
    return load_catalogue(path)


def test_names_and_terms_are_read_as_they_are_written(tmp_path: Path) -> None:
    catalogue = load(tmp_path, HEAD + '''
  - {name: csharp, kind: language, languages: ["C#"], tags: ["c#"], terms: [{text: "C#"}, {text: C Sharp}]}
  - {name: go, kind: language, topics: [on, "no", yes], terms: [{text: Go, exact_case: true, not_in: ["Go {year}", let's go]}]}
''')  # fmt: skip
    csharp, go = catalogue.technologies  # type: ignore[attr-defined]
    assert (csharp.languages, csharp.tags, csharp.repositories) == (("C#",), ("c#",), ())
    assert go.topics == ("on", "no", "yes")
    assert go.terms == (Term(text="Go", exact_case=True, not_in=("Go {year}", "let's go")),)


@pytest.mark.parametrize(("entries", "said"), [
    ("  - {name: go, kind: language}\n  - {name: go, kind: web}\n", "named twice: go"),
    ("  - {name: Go, kind: language}\n", "technologies.yaml:3"),
    ("  - {name: go}\n", "kind"),
    ("  - {name: go, kind: language, terms: [golang]}\n", "terms"),
    ("  - {name: go, kind: language, terms: [{text: ''}]}\n", "text"),
    ("  - {name: go, kind: language, words: [golang]}\n", "words"),
    ("  - {name: go, kind: language, tags: [1]}\n", "tags"),
    ("  []\n", "technologies"),
])  # fmt: skip
def test_a_mistake_is_named_with_its_line(tmp_path: Path, entries: str, said: str) -> None:
    with pytest.raises(ContractError) as found:
        load(tmp_path, HEAD + entries)
    assert said in found.value.text
    assert "technologies.yaml:" in found.value.text
