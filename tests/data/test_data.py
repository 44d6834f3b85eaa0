from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from microzoo.data.cache import fetch
from microzoo.data.load import checksum, load, prepare
from microzoo.data.readers import READERS
from microzoo.data.split import stratified_cut
from microzoo.errors import DataError
from microzoo.spec.dataset import DatasetSpec, Preprocess, Source
from microzoo.spec.load import load_folder

ROOT = Path(__file__).parents[2]
PACKED_FROM_ORIGINALS = {"geotec-har"}
"""Published as hundreds of CSV files: their description says where, and which arrays they are packed into."""
SPECS = load_folder(ROOT / "specs/datasets", DatasetSpec)


def idx(array: np.ndarray) -> bytes:
    magic = 0x803 if array.ndim == 3 else 0x801
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.astype(np.uint8).tobytes()


class Made:
    """A tiny IDX dataset in a cache folder, with its spec."""

    def __init__(self, cache: Path, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.arrays = {
            "train_images": rng.integers(0, 256, (40, 4, 5)),
            "train_labels": np.arange(40) % 2,
            "test_images": rng.integers(0, 256, (10, 4, 5)),
            "test_labels": np.arange(10) % 2,
        }
        self.folder = cache / "tiny"
        self.folder.mkdir(parents=True, exist_ok=True)
        sources = []
        for role, array in self.arrays.items():
            content = idx(array)
            (self.folder / f"{role}.gz").write_bytes(gzip.compress(content))
            sources.append({"role": role, "file": f"{role}.gz", "sha256": hashlib.sha256(content).hexdigest()})
        self.spec = DatasetSpec.model_validate(
            {
                "title": "tiny",
                "reader": "idx",
                "input_shape": (4, 5, 1),
                "classes": ("a", "b"),
                "sources": sources,
                "split": {"validation": 0.25},
                "preprocess": {"raw_min": 0, "raw_max": 255, "scale": 1 / 255},
                "licence": {"name": "none", "redistributable": False},
                "citation": "none",
            }
        )


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setenv("MICROZOO_DATA", str(tmp_path))
    return Made(tmp_path)


def test_idx_arrays_come_out_as_they_went_in(made: Made) -> None:
    data = load("tiny", made.spec)
    assert (len(data.train), len(data.validation), len(data.test)) == (30, 10, 10)
    expected = (made.arrays["test_images"][..., None] / np.float32(255)).astype(np.float32)
    np.testing.assert_allclose(data.test.x, expected, rtol=1e-6)
    assert (data.test.y == made.arrays["test_labels"]).all()
    everything = np.concatenate([data.train.x, data.validation.x])
    assert {image.tobytes() for image in everything} == {
        image.tobytes() for image in prepare(made.arrays["train_images"].astype(np.uint8)[..., None], made.spec.preprocess)
    }


def test_another_gzip_header_does_not_matter(made: Made) -> None:
    before = load("tiny", made.spec).train.x
    path = made.folder / "train_images.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1, mtime=99))
    assert (load("tiny", made.spec).train.x == before).all()


def damage_truncated_gzip(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def damage_not_gzip(path: Path) -> None:
    path.write_bytes(b"<html>not found</html>")


def damage_flipped(path: Path) -> None:
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[20] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (damage_truncated_gzip, "damaged or truncated compressed file"),
        (damage_not_gzip, "neither a gzip nor an xz file"),
        (damage_flipped, "SHA-256 of the uncompressed bytes is"),
        (Path.unlink, "train_images.gz is not at"),
    ],
)
def test_damaged_files_are_named(made: Made, damage: functools.partial[None], expected: str) -> None:
    damage(made.folder / "train_images.gz")
    with pytest.raises(DataError, match=expected) as caught:
        load("tiny", made.spec)
    assert "train_images.gz" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (idx(np.zeros((10,))), "magic number is 0x801, images have 0x803"),
        (idx(np.zeros((10, 4, 5)))[:-1], "promises 10 images of 4x5 = 216 bytes, file has 215"),
        (b"\0\0", "too few for an IDX header"),
        (idx(np.zeros((9, 4, 5))), "train has 9 images but 40 labels"),
        (idx(np.zeros((40, 5, 5))), r"train inputs have shape \(5, 5, 1\), the spec says input_shape = \[4, 5, 1\]"),
    ],
)
def test_wrong_idx_content_is_named(made: Made, content: bytes, expected: str) -> None:
    (made.folder / "train_images.gz").write_bytes(gzip.compress(content))
    raw = made.spec.model_dump()
    raw["sources"][0]["sha256"] = hashlib.sha256(content).hexdigest()
    with pytest.raises(DataError, match=expected):
        load("tiny", DatasetSpec.model_validate(raw))


def test_labels_and_values_outside_the_spec_are_named(made: Made) -> None:
    raw = made.spec.model_dump()
    with pytest.raises(DataError, match="raw_max = 100"):
        load("tiny", DatasetSpec.model_validate({**raw, "preprocess": {"raw_min": 0, "raw_max": 100}}))
    labels = idx(np.arange(40) % 3)
    (made.folder / "train_labels.gz").write_bytes(gzip.compress(labels))
    raw["sources"][1]["sha256"] = hashlib.sha256(labels).hexdigest()
    with pytest.raises(DataError, match="train has labels up to 2, the spec names 2 classes"):
        load("tiny", DatasetSpec.model_validate(raw))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    folder = tmp_path / "served"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def test_download_is_verified_and_cached(served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = served
    cache = tmp_path / "cache"
    monkeypatch.setenv("MICROZOO_DATA", str(cache))
    (folder / "a.gz").write_bytes(gzip.compress(b"right"))
    (folder / "wrong.gz").write_bytes(gzip.compress(b"wrong"))
    sha = hashlib.sha256(b"right").hexdigest()
    source = Source(
        file="a.gz", role="archive", sha256=sha, urls=(f"{address}missing.gz", f"{address}wrong.gz", f"{address}a.gz")
    )
    assert fetch("d", source) == b"right"
    (folder / "a.gz").unlink()
    assert fetch("d", source) == b"right"
    assert [path.name for path in (cache / "d").iterdir()] == ["a.gz"]


def test_failed_download_says_what_was_tried(served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = served
    monkeypatch.setenv("MICROZOO_DATA", str(tmp_path / "cache"))
    (folder / "a.gz").write_bytes(gzip.compress(b"wrong"))
    source = Source(file="a.gz", role="archive", sha256="0" * 64, urls=(f"{address}a.gz", f"{address}b.gz", "file:///etc/passwd"))
    with pytest.raises(DataError) as caught:
        fetch("d", source)
    message = str(caught.value)
    assert "the spec wants sha256 = 000" in message
    assert "404" in message
    assert "only http and https addresses are fetched" in message
    assert not (tmp_path / "cache/d/a.gz").exists()


def test_split_is_stratified_disjoint_and_repeatable() -> None:
    labels = np.array([0] * 100 + [1] * 10 + [2] * 3)
    rest, cut = stratified_cut(labels, 0.2, seed=5)
    assert sorted([*rest, *cut]) == list(range(113))
    assert [int((labels[cut] == label).sum()) for label in range(3)] == [20, 2, 1]
    again = stratified_cut(labels, 0.2, seed=5)
    assert (again[0] == rest).all()
    assert (stratified_cut(labels, 0.2, seed=6)[1] != cut).any()


def test_preprocessing_by_hand() -> None:
    how = Preprocess(raw_min=0, raw_max=16, scale=0.0625, mean=0.5, std=0.25)
    assert prepare(np.array([0, 8, 16], np.uint8), how).tolist() == [-2.0, 0.0, 2.0]
    assert how.real_range == (-2.0, 2.0)


def test_checksum_follows_what_decides_the_arrays_and_nothing_else() -> None:
    spec = SPECS["digits"]
    base = checksum(spec)
    assert checksum(spec.model_copy(update={"title": "x", "citation": "y"})) == base
    assert checksum(spec.model_copy(update={"split": spec.split.model_copy(update={"seed": 9})})) != base
    assert checksum(spec.model_copy(update={"arrays_sha256": "0" * 64})) != base


def test_digits_are_the_bundled_ones() -> None:
    data = load("digits", SPECS["digits"])
    assert (len(data.train), len(data.validation), len(data.test)) == (1151, 287, 359)
    assert data.train.x.shape[1:] == (8, 8, 1)
    assert data.train.x.dtype == np.float32
    assert (data.train.x.min(), data.train.x.max()) == (0.0, 1.0)


@pytest.mark.parametrize("name", SPECS)
def test_every_shipped_dataset_names_a_reader_and_every_file_it_needs(name: str) -> None:
    spec = SPECS[name]
    assert spec.reader in READERS
    assert spec.sources or spec.arrays_sha256
    assert all(source.urls for source in spec.sources) or name in PACKED_FROM_ORIGINALS


def test_fashion_mnist_loads_from_wherever_it_is() -> None:
    """The cache, or Debian's package dataset-fashion-mnist, which the setup installs."""
    from microzoo.data.cache import is_present

    spec = SPECS["fashion-mnist"]
    if not all(is_present("fashion-mnist", source) for source in spec.sources):
        pytest.skip("Fashion-MNIST is not on this machine: apt-get install dataset-fashion-mnist")
    data = load("fashion-mnist", spec)
    assert (len(data.train), len(data.validation), len(data.test)) == (54000, 6000, 10000)
    assert np.bincount(data.validation.y).tolist() == [600] * 10
    assert np.bincount(data.test.y).tolist() == [1000] * 10
