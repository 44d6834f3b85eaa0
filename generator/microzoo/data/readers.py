"""Readers by format: from verified bytes to raw arrays. A new format is a class with `read` and a line in READERS."""

from __future__ import annotations

import hashlib
import struct
from typing import Protocol

import numpy as np

from microzoo.data.arrays import Labels, Raw, RawData
from microzoo.data.npz import NpzReader
from microzoo.data.wav import WavReader
from microzoo.data.windows import WindowsReader
from microzoo.errors import DataError
from microzoo.spec.dataset import DatasetSpec

IDX_IMAGES, IDX_LABELS = 0x803, 0x801


class Reader(Protocol):
    """Turns the files of a dataset into arrays.

    A reader is deterministic, keeps the order of the files, never normalises, and raises DataError with the file's name on
    anything that does not add up.
    """

    def read(self, name: str, spec: DatasetSpec, files: dict[str, bytes]) -> RawData:
        """name: of the dataset, for errors; files: role -> uncompressed bytes, checksums verified."""
        ...


class IdxReader:
    """MNIST's IDX format: big-endian header (magic, counts), then unsigned bytes."""

    def read(self, name: str, spec: DatasetSpec, files: dict[str, bytes]) -> RawData:
        """Reads the four files of an MNIST-like dataset."""
        del spec
        missing = [role for role in ("train_images", "train_labels", "test_images", "test_labels") if role not in files]
        if missing:
            raise DataError(f"specs/datasets/{name}.toml: sources: the idx reader also needs {', '.join(missing)}")
        x, y = self._pair(name, files, "train")
        x_test, y_test = self._pair(name, files, "test")
        return RawData(x, y, x_test, y_test)

    def _pair(self, name: str, files: dict[str, bytes], part: str) -> tuple[Raw, Labels]:
        images = _idx_images(f"{name}: {part}_images", files[f"{part}_images"])
        labels = _idx_labels(f"{name}: {part}_labels", files[f"{part}_labels"])
        if len(images) != len(labels):
            raise DataError(f"{name}: {part} has {len(images)} images but {len(labels)} labels", "get both files from one source")
        return images, labels


class SklearnDigitsReader:
    """The 8x8 digits that scikit-learn carries: 1,797 images with values 0 to 16."""

    def read(self, name: str, spec: DatasetSpec, files: dict[str, bytes]) -> RawData:
        """Reads from the installed package and checks `arrays_sha256`."""
        del files
        from sklearn.datasets import load_digits

        digits = load_digits()
        x = np.asarray(digits.images).astype(np.uint8)[..., None]
        y = np.asarray(digits.target).astype(np.int64)
        found = hashlib.sha256(x.tobytes() + y.astype(np.uint8).tobytes()).hexdigest()
        if found != spec.arrays_sha256:
            raise DataError(
                f"{name}: scikit-learn's digits have SHA-256 {found}, the spec wants arrays_sha256 = {spec.arrays_sha256}",
                "install the scikit-learn version of requirements/all.txt",
            )
        return RawData(x, y)


READERS: dict[str, Reader] = {
    "idx": IdxReader(),
    "npz": NpzReader(),
    "sklearn_digits": SklearnDigitsReader(),
    "wav": WavReader(),
    "windows": WindowsReader(),
}


def _idx_images(what: str, content: bytes) -> Raw:
    if len(content) < 16:
        raise DataError(f"{what}: {len(content)} bytes are too few for an IDX header of 16")
    magic, count, height, width = struct.unpack(">IIII", content[:16])
    if magic != IDX_IMAGES:
        raise DataError(
            f"{what}: IDX magic number is {magic:#x}, images have {IDX_IMAGES:#x}", "check which file plays which role"
        )
    expected = 16 + count * height * width
    if len(content) != expected:
        raise DataError(f"{what}: header promises {count} images of {height}x{width} = {expected} bytes, file has {len(content)}")
    return np.frombuffer(content, np.uint8, offset=16).reshape(count, height, width, 1)


def _idx_labels(what: str, content: bytes) -> Labels:
    if len(content) < 8:
        raise DataError(f"{what}: {len(content)} bytes are too few for an IDX header of 8")
    magic, count = struct.unpack(">II", content[:8])
    if magic != IDX_LABELS:
        raise DataError(
            f"{what}: IDX magic number is {magic:#x}, labels have {IDX_LABELS:#x}", "check which file plays which role"
        )
    if len(content) != 8 + count:
        raise DataError(f"{what}: header promises {count} labels, file has {len(content) - 8}")
    return np.frombuffer(content, np.uint8, offset=8).astype(np.int64)
