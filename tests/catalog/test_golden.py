"""golden.npz as anybody may have left it: read as it was written, or refused with the file and the array."""

import io
import random
import zipfile

import numpy as np
import pytest

from microzoo.catalog.golden import Golden, golden_bytes, read_golden
from microzoo.errors import CatalogError

SHAPE = (8, 4, 4, 1)
ARRAYS = {
    "raw": np.arange(128, dtype=np.uint8).reshape(SHAPE),
    "input": np.arange(-64, 64, dtype=np.int8).reshape(SHAPE),
    "output": np.arange(24, dtype=np.int8).reshape(8, 3),
    "label": np.arange(8, dtype=np.int32),
}


def compressed():
    """The same vectors as NumPy compresses them: damage is found by the decompressor there."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **ARRAYS, source=np.array("synthetic"))
    return packed.getvalue()


@pytest.mark.parametrize(
    "content", [golden_bytes(Golden(**ARRAYS, source="synthetic")), compressed()], ids=["ours", "compressed"]
)
def test_damaged_vectors_are_refused_or_still_vectors(tmp_path, content):
    path = tmp_path / "golden.npz"
    path.write_bytes(content)
    assert all((getattr(read_golden(path), name) == array).all() for name, array in ARRAYS.items())
    seed, refused = 20261124, []
    generator = random.Random(seed)
    for number in range(600):
        damaged = bytearray(content)
        for _ in range(generator.choice((1, 3))):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        if number % 10 == 0:
            del damaged[generator.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        try:
            assert read_golden(path).raw.shape[0] > 0, (seed, number)
        except CatalogError as error:
            refused.append(str(error))
    assert len(refused) > 300 and all(str(path) in words for words in refused)


def zipped(**members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return packed.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy(np.zeros(3)), "cannot be read: holds a single array, no .npz archive"),
        (zipped(raw=b"x"), "lacks input, output, label, source"),
        (zipped(**dict.fromkeys(("raw", "input", "output", "label", "source"), b"x")), "raw is no array"),
    ],
)
def test_what_is_no_such_archive_is_named(tmp_path, content, words):
    (tmp_path / "golden.npz").write_bytes(content)
    with pytest.raises(CatalogError, match="build the entry again") as caught:
        read_golden(tmp_path / "golden.npz")
    assert f"golden.npz: {words}" in str(caught.value)
