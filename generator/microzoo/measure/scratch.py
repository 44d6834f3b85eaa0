"""Temporary folders: where inputs, outputs and compiled programs lie while something is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from microzoo.catalog.files import writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def writing_scratch() -> AbstractContextManager[None]:
    """Turns an OSError while writing temporary files into a StorageError; one that names no file is put down to TMPDIR."""
    return writing(Path("TMPDIR"))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder, removed with all it holds. Raises StorageError where it cannot be made."""
    with writing_scratch():
        folder = TemporaryDirectory(prefix="microzoo-", ignore_cleanup_errors=True)
    with folder as name:
        yield Path(name)


def write_scratch(path: Path, content: bytes) -> None:
    """Write a temporary file. Raises StorageError where the disk is full."""
    with writing_scratch():
        path.write_bytes(content)


def save_array(path: Path, array: NDArray[np.int8]) -> None:
    """Write `array` as .npy. Raises StorageError where the disk is full."""
    from numpy.lib.format import header_data_from_array_1_0, write_array_header_1_0  # children start before numpy is loaded

    with writing_scratch(), path.open("wb") as file:
        # Not np.save: on a full disk it loses the reason.
        write_array_header_1_0(file, header_data_from_array_1_0(array))
        file.write(array.tobytes())
