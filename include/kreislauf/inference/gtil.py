"""Trees evaluated by treelite's library, called directly.

``treelite.gtil.predict`` parses a configuration, asks for shapes and makes arrays for each call: 69 µs a row, of which
the trees take 11. Importing the package costs 0.2 s, most of it scipy. Neither is needed to walk trees: this module
loads the package's library alone. Where that fails, the package is used as its makers meant it.

The same functions stand in the library twice here: through ``PyDLL``, which keeps Python's lock, for one row (giving
the lock away for 10 µs can cost 5 ms until it comes back); through ``CDLL``, which gives it away, for many.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import sys
from array import array
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from include.kreislauf.inference.compiled import CompiledError

Floats = npt.NDArray[np.float64]
CONFIGURATION = b'{"predict_type": "raw", "nthread": 1}'
_NAMES = {"win32": "treelite.dll", "darwin": "libtreelite.dylib"}
_ONE = ctypes.c_uint64(1)
_DOUBLE = b"float64"


class Trees(Protocol):
    """An ensemble of trees; any thread may call it, each call has its own buffers."""

    features: int
    outputs: int

    def one(self, row: array[float]) -> array[float]:
        """Sums of one row of ``features`` numbers; (outputs,)."""

    def many(self, rows: Floats) -> Floats:
        """Sums of rows, (n, features); (n, outputs)."""


def open_trees(content: bytes, name: str = "trees") -> Trees:
    """Trees from what ``treelite.Model.serialize_bytes`` gave; its hash must have been verified.

    Raises
    ------
    CompiledError: treelite cannot read it.
    """
    library = _library()
    return PackageTrees(content, name) if library is None else NativeTrees(library, content, name)


class Library:
    """The functions that are used of treelite's library, with the one configuration.

    Raises
    ------
    OSError: there is no such library.
    AttributeError: it lacks a function.
    """

    def __init__(self, path: Path) -> None:
        holding, releasing = ctypes.PyDLL(str(path)), ctypes.CDLL(str(path))
        self.predict_one: Any = holding.TreeliteGTILPredict
        self.predict_many: Any = releasing.TreeliteGTILPredict
        # takes milliseconds, in which others answer
        self.deserialize: Any = releasing.TreeliteDeserializeModelFromBytes
        self.free: Any = holding.TreeliteFreeModel
        self.shape: Any = holding.TreeliteGTILGetOutputShape
        self.features: Any = holding.TreeliteQueryNumFeature
        self.input_type: Any = holding.TreeliteGetInputType
        self.output_type: Any = holding.TreeliteGetOutputType
        self.last_error: Any = holding.TreeliteGetLastError
        self.last_error.restype = ctypes.c_char_p
        self.configuration = ctypes.c_void_p()
        self.check(holding.TreeliteGTILParseConfig(CONFIGURATION, ctypes.byref(self.configuration)))

    def check(self, returned: int, name: str = "treelite") -> None:
        """Raise :class:`CompiledError` with the library's own words unless a call went well."""
        if returned:
            raise CompiledError((self.last_error() or b"").decode(errors="replace").strip(), where=name)


@functools.cache
def _library() -> Library | None:
    """``find_spec`` finds the package without importing it."""
    found = importlib.util.find_spec("treelite")
    folders = [Path(one) / "lib" for one in (found.submodule_search_locations or ())] if found else []
    for folder in folders:
        try:
            return Library(folder / _NAMES.get(sys.platform, "libtreelite.so"))
        except (OSError, AttributeError, CompiledError):
            continue
    return None


class NativeTrees:
    """Trees in the library's own memory, freed with this object."""

    def __init__(self, library: Library, content: bytes, name: str) -> None:
        self._library, self._name = library, name
        self._handle = ctypes.c_void_p()
        size = ctypes.c_size_t(len(content))
        library.check(library.deserialize(content, size, ctypes.byref(self._handle)), name)
        features, kinds = ctypes.c_size_t(), (ctypes.c_char_p(), ctypes.c_char_p())
        library.check(library.features(self._handle, ctypes.byref(features)), name)
        library.check(library.input_type(self._handle, ctypes.byref(kinds[0])), name)
        library.check(library.output_type(self._handle, ctypes.byref(kinds[1])), name)
        if {kind.value for kind in kinds} != {_DOUBLE}:
            raise CompiledError("the trees do not compute in double precision", where=name)
        self.features = features.value
        self.outputs = self._shape()
        self._zeros = array("d", [0.0]) * self.outputs

    def one(self, row: array[float]) -> array[float]:
        """Sums of one row of ``features`` numbers; (outputs,)."""
        sums = self._zeros[:]
        library = self._library
        failed = library.predict_one(
            self._handle, ctypes.c_void_p(row.buffer_info()[0]), _DOUBLE, _ONE,
            ctypes.c_void_p(sums.buffer_info()[0]), library.configuration,
        )  # fmt: skip
        if failed:
            library.check(failed, self._name)
        return sums

    def many(self, rows: Floats) -> Floats:
        """Sums of rows, (n, features); (n, outputs)."""
        rows = np.ascontiguousarray(rows, dtype=np.float64)
        sums = np.zeros((len(rows), self.outputs))
        library = self._library
        failed = library.predict_many(
            self._handle, ctypes.c_void_p(rows.ctypes.data), _DOUBLE, ctypes.c_uint64(len(rows)),
            ctypes.c_void_p(sums.ctypes.data), library.configuration,
        )  # fmt: skip
        library.check(failed, self._name)
        return sums

    def _shape(self) -> int:
        """How many numbers the library writes for a row."""
        shape, dimensions = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
        library = self._library
        returned = library.shape(
            self._handle, _ONE, library.configuration, ctypes.byref(shape), ctypes.byref(dimensions)
        )
        library.check(returned, self._name)
        return int(np.prod([shape[place] for place in range(dimensions.value)], dtype=np.int64))

    def __del__(self) -> None:
        if self._handle:
            self._library.free(self._handle)


class PackageTrees:
    """The same through the package's own functions, slower."""

    def __init__(self, content: bytes, name: str) -> None:
        import treelite

        try:
            self._model = treelite.Model.deserialize_bytes(content)
        except treelite.TreeliteError as error:
            raise CompiledError(str(error).strip(), where=name) from error
        self.features = int(self._model.num_feature)
        self.outputs = self.many(np.zeros((1, self.features))).shape[1]

    def one(self, row: array[float]) -> array[float]:
        """Sums of one row of ``features`` numbers; (outputs,)."""
        return array("d", self.many(np.frombuffer(row)[None, : self.features])[0].tolist())

    def many(self, rows: Floats) -> Floats:
        """Sums of rows, (n, features); (n, outputs)."""
        from treelite import gtil

        sums = gtil.predict(self._model, rows, nthread=1, pred_margin=True)
        return np.asarray(sums, dtype=np.float64).reshape(len(rows), -1)
