"""One .npz file as a dataset: the arrays that `numpy.savez` wrote, none of them pickled."""

from __future__ import annotations

import io
import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microzoo.data.arrays import Labels, Raw, RawData
from microzoo.errors import DataError
from microzoo.spec.dataset import DatasetSpec

_UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,  # a zip that is compressed as the library does not know
    RuntimeError,  # one with a password
    OverflowError,  # a shape beyond 64 bits
    tokenize.TokenError,  # a header that ends within brackets
)


class NpzReader:
    """x_train, (N, H, W) or (N, H, W, C) of uint8 or float32; y_train, (N,) of integers; x_test, y_test, if there are."""

    def read(self, name: str, spec: DatasetSpec, files: dict[str, bytes]) -> RawData:
        """Reads the file whose role is `archive`. Raises DataError naming it and the array that does not fit."""
        del spec
        if "archive" not in files:
            raise DataError(f'specs/datasets/{name}.toml: sources: the npz reader needs a file with role = "archive"')
        arrays = named_arrays(name, files["archive"], ("x_train", "y_train", "x_test", "y_test"))
        x, y = _pair(name, arrays, "train")
        if "x_test" not in arrays and "y_test" not in arrays:
            return RawData(x, y)
        return RawData(x, y, *_pair(name, arrays, "test"))


def named_arrays(name: str, content: bytes, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """Those arrays of an .npz that are among `names`. name: of the dataset. Raises DataError where it cannot be read."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("holds a single array, no .npz archive")
            found: dict[str, Any] = {key: archive[key] for key in archive.files if key in names}
            if other := [key for key, array in found.items() if not isinstance(array, np.ndarray)]:
                raise ValueError(f"{other[0]} is no array")  # NumPy gives the bytes of what it does not know
            return found
    except _UNREADABLE as error:
        raise DataError(f"{name}: archive: cannot be read as .npz: {error}", "write it with numpy.savez") from error


def _pair(name: str, arrays: dict[str, NDArray[Any]], part: str) -> tuple[Raw, Labels]:
    missing = [key for key in (f"x_{part}", f"y_{part}") if key not in arrays]
    if missing:
        raise DataError(f"{name}: archive: {' and '.join(missing)} missing", f"numpy.savez(file, x_{part}=..., y_{part}=...)")
    x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if x.ndim not in (3, 4) or x.dtype not in (np.uint8, np.float32):
        problem = f"{name}: archive: x_{part} is {x.dtype} of shape {x.shape}"
        raise DataError(problem, "uint8 or float32 of shape (N, height, width) or (N, height, width, channels)")
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"{name}: archive: y_{part} is {y.dtype} of shape {y.shape}", "integers of shape (N,), from 0")
    if y.dtype == np.uint64 and len(y) and y.max() > np.iinfo(np.int64).max:
        raise DataError(f"{name}: archive: y_{part} has the label {y.max()}", "labels are the numbers of the classes, from 0")
    if len(x) != len(y):
        raise DataError(f"{name}: archive: x_{part} has {len(x)} inputs, y_{part} {len(y)} labels")
    return x if x.ndim == 4 else x[..., np.newaxis], y.astype(np.int64)
