"""golden.npz: inputs with the outputs that the files of an entry must give, so that a download can be checked on any board.

Arrays, n >= 8 unless the dataset has fewer: `raw` (n, H, W, C) uint8 or float32, as a camera or sensor gives it; `input` int8 of
the same shape, prepared; `output` int8 (n, classes); `label` int32 (n,), the true class, -1 where there is none; `source`:
"validation", real inputs of the validation split, or "synthetic", seeded ones where the data's licence does not let samples be
shipped. Where the data is sound, `sound` too, int16 (n, samples): what the raw values were made from.
"""

from __future__ import annotations

import io
import lzma
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from microzoo.errors import CatalogError

GOLDEN = "golden.npz"
LEAST = 8
"""Vectors that every entry has at least, where its dataset has so many."""
Source = Literal["validation", "synthetic"]
_NAMES = ("raw", "input", "output", "label", "source")
_DATE = (1980, 1, 1, 0, 0, 0)
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    MemoryError,
    NotImplementedError,  # a zip that is compressed as the library does not know
    RuntimeError,  # one with a password
    OverflowError,  # a shape beyond 64 bits
    tokenize.TokenError,  # a header that ends within brackets
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
UNIX = 3
"""The system that archives say they were made on, so that they have the same bytes everywhere."""


@dataclass(frozen=True)
class Golden:
    """The vectors of one entry; shapes and types as in golden.npz."""

    raw: NDArray[np.uint8] | NDArray[np.float32]
    input: NDArray[np.int8]
    output: NDArray[np.int8]
    label: NDArray[np.int32]
    source: Source
    sound: NDArray[np.int16] | None = None

    def __len__(self) -> int:
        return len(self.label)


def golden_bytes(golden: Golden) -> bytes:
    """The vectors as .npz. The same vectors give the same bytes: nothing is compressed, and no clock is looked at."""
    arrays: dict[str, NDArray[Any]] = {
        "raw": golden.raw,
        "input": golden.input,
        "output": golden.output,
        "label": golden.label,
        "source": np.array(golden.source),
    }
    if golden.sound is not None:
        arrays["sound"] = golden.sound
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(
                content, np.ascontiguousarray(array).reshape(array.shape), version=(1, 0), allow_pickle=False
            )
            place = zipfile.ZipInfo(f"{name}.npy", _DATE)
            place.create_system = UNIX
            archive.writestr(place, content.getvalue())
    return packed.getvalue()


def read_golden(path: Path) -> Golden:
    """The vectors in a file. Raises CatalogError naming the file and the array that is not as it should be."""
    try:
        opened = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        if not isinstance(opened, np.lib.npyio.NpzFile):
            raise ValueError("holds a single array, no .npz archive")
        with opened as archive:
            arrays = {name: archive[name] for name in archive.files}
    except _UNREADABLE as error:
        raise CatalogError(f"{path}: cannot be read: {error}", "build the entry again") from error
    if missing := [name for name in _NAMES if name not in arrays]:
        raise CatalogError(f"{path}: lacks {', '.join(missing)}", "build the entry again")
    if bare := [name for name in _NAMES if not isinstance(arrays[name], np.ndarray)]:
        raise CatalogError(f"{path}: {bare[0]} is no array", "build the entry again")  # NumPy gives the bytes then
    raw, inputs, outputs, label = (arrays[name] for name in _NAMES[:4])
    source = str(arrays["source"])
    count = len(label) if label.ndim else 0
    wrong = {
        "raw": raw.ndim != 4 or raw.dtype not in (np.uint8, np.float32) or len(raw) != count,
        "input": inputs.dtype != np.int8 or inputs.shape != raw.shape,
        "output": outputs.dtype != np.int8 or outputs.ndim != 2 or len(outputs) != count,
        "label": label.dtype != np.int32 or label.ndim != 1 or count < 1,
    }
    sound = arrays.get("sound")
    if sound is not None:
        wrong["sound"] = sound.dtype != np.int16 or sound.ndim != 2 or len(sound) != count
    for name, is_wrong in wrong.items():
        if is_wrong:
            problem = f"{path}: {name} is {arrays[name].dtype} {arrays[name].shape}"
            raise CatalogError(f"{problem}; see microzoo.catalog.golden for what it must be", "build the entry again")
    if source not in get_args(Source):
        raise CatalogError(f'{path}: source = "{source}", known are {", ".join(get_args(Source))}', "build the entry again")
    return Golden(raw, inputs, outputs, label, "validation" if source == "validation" else "synthetic", sound)
