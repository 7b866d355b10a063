"""A compiled pipeline from its files: nothing heavy is imported, any thread may ask, damage is refused."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.errors import KreislaufError
from include.kreislauf.inference import gtil
from include.kreislauf.inference.compiled import COMPILED, CompiledError, Description, from_files
from include.kreislauf.inference.compiling import compile_model
from include.kreislauf.settings import ROOT
from tests.inference.worlds import CATEGORICAL, NUMERIC, Row, fitted, training

GAPLESS = "median, flagged, scaled"
KINDS = ("voting", "histogram boosting, three classes", "boosting, two classes")


def rows(count: int = 60) -> list[Row]:
    found: Any = training()[0].head(count).to_dict("records")
    return list(found)


def files(model: str = "voting") -> dict[str, bytes]:
    return compile_model(fitted(GAPLESS, model)[0], NUMERIC, CATEGORICAL).files()


SERVING = """
import sys
from pathlib import Path
from include.kreislauf.inference.compiled import from_files
predictor = from_files({one.name: one.read_bytes() for one in Path(sys.argv[1]).iterdir()}).predictor()
print(predictor.predict_one({"a": 1.0, "b": None, "gap": 0.5, "c": "x", "d": "unseen"}))
heavy = {"pandas", "sklearn", "scipy", "treelite", "joblib"} & set(sys.modules)
sys.exit(f"imported: {heavy}" if heavy else 0)
"""


@pytest.mark.parametrize("model", KINDS)
def test_serving_imports_neither_pandas_nor_scikit_learn(model: str, tmp_path: Path) -> None:
    for name, content in files(model).items():
        (tmp_path / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", SERVING, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = fitted(GAPLESS, model)[1].predict_one(
        {"a": 1.0, "b": None, "gap": 0.5, "c": "x", "d": "unseen"}
    )
    assert float(done.stdout) == expected


def test_threads_do_not_disturb_each_other() -> None:
    predictor, asked = fitted(GAPLESS, "voting")[1], rows()
    expected = predictor.predict(asked).tolist()

    def ask(number: int) -> list[float]:
        if number % 2:
            return predictor.predict(asked).tolist()
        return [predictor.predict_one(row) for row in asked]

    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert all(found == expected for found in pool.map(ask, range(80)))
    finally:
        sys.setswitchinterval(switching)


@pytest.mark.parametrize("model", KINDS)
def test_without_its_own_library_the_package_gives_the_same(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fitted(GAPLESS, model)[1].predict(rows())
    monkeypatch.setattr(gtil, "_library", lambda: None)
    slow = from_files(files(model)).predictor()
    np.testing.assert_array_equal(slow.predict(rows()), expected)
    assert [slow.predict_one(row) for row in rows(5)] == expected[:5].tolist()


def test_here_the_library_is_called_directly() -> None:
    content = files()["trees_0.bin"]
    assert isinstance(gtil.open_trees(content), gtil.NativeTrees)


def test_a_library_that_is_none_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libtreelite.so").write_text("no library")

    class Found:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(gtil.importlib.util, "find_spec", lambda name: Found)
    assert gtil._library.__wrapped__() is None


def test_what_are_no_trees_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CompiledError, match=r"^some\.bin: "):
        gtil.open_trees(b"", "some.bin")
    monkeypatch.setattr(gtil, "_library", lambda: None)
    with pytest.raises(CompiledError, match=r"^some\.bin: "):
        gtil.open_trees(b"", "some.bin")


@settings(deadline=None)
@given(name=st.sampled_from(["trees_0.bin", "trees_1.bin"]), data=st.data())
def test_changed_trees_are_refused(name: str, data: st.DataObject) -> None:
    content = bytearray(files()[name])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CompiledError, match=f"{name}: is missing or was changed"):
        from_files({**files(), name: bytes(content)})


@pytest.mark.parametrize("name", [COMPILED, "trees_0.bin", "trees_1.bin"])
def test_missing_files_are_refused(name: str) -> None:
    given_files = files()
    del given_files[name]
    with pytest.raises(CompiledError, match=f"^{name}: is missing"):
        from_files(given_files)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_a_changed_description_is_refused_or_harmless(data: st.DataObject) -> None:
    """Releases are signed; this holds without it: no change of a byte makes anything read beyond a row."""
    given_files = files()
    content = bytearray(given_files[COMPILED])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        predictor = from_files({**given_files, COMPILED: bytes(content)}).predictor()
        assert predictor.predict(rows(3)).shape == (3,)
    except KreislaufError as error:
        assert error.where


def changed(**fields: Any) -> dict[str, bytes]:
    described = msgspec.json.decode(files()[COMPILED], type=Description)
    return {**files(), COMPILED: msgspec.json.encode(msgspec.structs.replace(described, **fields))}


def test_parts_that_do_not_fit_are_refused() -> None:
    described = msgspec.json.decode(files()[COMPILED], type=Description)
    plan, (linear, forest, boosted) = described.plan, described.members
    replace = msgspec.structs.replace
    narrow = replace(plan, width=plan.width - 1, tables=plan.tables[:-1])
    elsewhere = replace(plan.numbers[0], place=plan.width + 7)
    cases = {
        "columns do not fill": {"plan": replace(plan, numbers=(elsewhere, *plan.numbers[1:]))},
        "made of no feature": {"plan": replace(plan, numeric=plan.numeric[1:])},
        "coefficients do not fit": {"plan": narrow},
        "trees read": {"plan": narrow, "members": (forest,)},
        "do not fit the classes": {"members": (replace(linear, link="softmax"),)},
        "does not fit the classes": {"classes": (0.0, 1.0)},
        "no model has a weight": {"members": (replace(boosted, weight=0.0),)},
    }
    for message, fields in cases.items():
        with pytest.raises(CompiledError, match=message.replace("do not fit the cl", "does not fit the cl")):
            from_files(changed(**fields)).predictor()
