"""A use case's own files: how they are loaded, and how it is told what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.kreislauf.errors import EvaluationError, SourceError
from include.kreislauf.own_code import fingerprint, function_of, load_own, naming_lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "bakery").mkdir()
    return tmp_path / "bakery" / "source.py"


def test_a_missing_file_is_told_with_its_folder(path: Path) -> None:
    with pytest.raises(SourceError) as error:
        load_own(path, SourceError)
    assert error.value.text == f"{path.parent}: has no source.py; next: add one (see the guide)"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("import os\n1 / 0\n", 2, "ZeroDivisionError: division by zero"),
        ("\n\ndef read(:\n", 3, "SyntaxError: "),
        ("import no_such_module\n", 1, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise ValueError\n", 1, "ValueError: "),
    ],
)
def test_what_cannot_be_imported_is_told_with_its_line(path: Path, text: str, line: int, what: str) -> None:
    path.write_text(text)
    with pytest.raises(EvaluationError) as error:
        load_own(path, EvaluationError)
    assert error.value.where == f"{path}, line {line}"
    assert error.value.what.startswith(f"cannot be imported: {what}")


@pytest.mark.parametrize(
    ("text", "what"), [("other = 1\n", "read is missing"), ("read = 1\n", "read is no function")]
)
def test_a_function_must_be_there(path: Path, text: str, what: str) -> None:
    path.write_text(text)
    with pytest.raises(SourceError) as error:
        function_of(path, "read", SourceError, "options")
    assert (error.value.what, error.value.next_step) == (what, "define read(options) in it")


def test_a_file_is_what_it_is_now(path: Path) -> None:
    """Not a compiled one of the same second and size; and none is left beside it."""
    for number in range(5):
        path.write_text(f"def read(): return {number}\n")
        assert function_of(path, "read", SourceError, "")() == number
    assert [one.name for one in path.parent.iterdir()] == ["source.py"]


def test_two_use_cases_do_not_share_their_code(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "source.py"
    other.parent.mkdir()
    for one, number in ((path, 1), (other, 2)):
        one.write_text(f"seen = []\ndef read():\n    seen.append({number})\n    return seen\n")
    first, second = (function_of(one, "read", SourceError, "") for one in (path, other))
    assert (first(), second(), first()) == ([1, 1], [2], [1, 1])


def test_of_several_files_the_own_line_is_named(path: Path) -> None:
    path.write_text("import json\n\ndef read():\n    return json.loads('{')\n")
    read = function_of(path, "read", SourceError, "")
    with pytest.raises(SourceError) as error, naming_lines(path, "read fails", SourceError):
        read()
    assert error.value.where == f"{path}, line 4"


def test_secrets_are_hidden_and_errors_that_say_enough_pass(path: Path) -> None:
    with pytest.raises(SourceError) as error, naming_lines(path, "read fails", SourceError, hide=str.upper):
        raise ValueError("key=abc")
    assert error.value.what == "read fails: ValueError: KEY=ABC"
    busy = SourceError("is busy", transient=True)
    with pytest.raises(SourceError) as passed, naming_lines(path, "x", SourceError, passes=(SourceError,)):
        raise busy
    assert passed.value is busy


def test_a_fingerprint_follows_the_content(path: Path) -> None:
    assert fingerprint(path) == ""
    path.write_text("a = 1\n")
    first = fingerprint(path)
    path.write_text("a = 2\n")
    assert len({first, fingerprint(path), ""}) == 3
