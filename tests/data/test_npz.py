"""The npz reader, and the page that says how to use it: its own lines are what is run here."""

import hashlib
import io
import re
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from microzoo.data.load import load
from microzoo.data.npz import NpzReader
from microzoo.errors import DataError
from microzoo.spec.dataset import DatasetSpec
from microzoo.spec.load import load_jobs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "site/pages/dataset.md").read_text(encoding="utf-8")
CODE, SPEC, FAMILY = (
    re.search(rf"```{language}\n((?:(?!```).)*{marker}.*?)```", PAGE, re.DOTALL)[1]
    for language, marker in (("python", "savez"), ("toml", 'reader = "npz"'), ("toml", "dataset = "))
)


def content(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def zipped(member, method=None, *, password=False):
    """A zip with x_train.npy only. method, password: how its directory claims that it was packed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x_train.npy", member)
    found = bytearray(buffer.getvalue())
    entry = found.rindex(b"PK\1\2")
    if method is not None:
        found[entry + 10] = method
    found[entry + 8] |= password
    return bytes(found)


def headed(header):
    """An .npy file of this header and nothing else."""
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode()


def read(archive):
    return NpzReader().read("tiny", None, {"archive": archive})


def test_the_ten_lines_of_the_page_make_a_dataset_that_can_be_built(tmp_path, monkeypatch):
    assert len(SPEC.strip().splitlines()) <= 10
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 256, (60, 32, 32), dtype=np.uint8), np.arange(60) % 2
    (tmp_path / "data" / "leaves").mkdir(parents=True)
    monkeypatch.setenv("MICROZOO_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path / "data" / "leaves")
    exec(CODE, {"x": x, "y": y})
    checksum = hashlib.sha256(Path("leaves.npz").read_bytes()).hexdigest()
    specs = tmp_path / "specs"
    (specs / "datasets").mkdir(parents=True)
    (specs / "datasets" / "leaves.toml").write_text(SPEC.replace('"..."', f'"{checksum}"'))
    (specs / "targets").symlink_to(ROOT / "specs" / "targets")
    (specs / "leaves.toml").write_text(FAMILY)
    (job,) = load_jobs([specs / "leaves.toml"])
    assert job.place == "leaves/cortex-m0plus-8k"
    data = load("leaves", job.dataset)
    assert (len(data.train), len(data.validation), len(data.test)) == (44, 4, 12)
    everything = np.concatenate([part.x for part in (data.train, data.validation, data.test)])
    found = {image.tobytes() for image in np.rint(everything * 255).astype(np.uint8)[..., 0]}
    assert found == {image.tobytes() for image in x}


def test_a_test_part_of_its_own_and_channels_are_kept():
    x = np.random.default_rng(0).random((6, 4, 5, 3)).astype(np.float32)
    raw = read(content(x_train=x[:4], y_train=[0, 1, 0, 1], x_test=x[4:], y_test=np.array([1, 0], np.uint8)))
    assert np.array_equal(raw.x, x[:4]) and np.array_equal(raw.x_test, x[4:]) and raw.y_test.tolist() == [1, 0]
    grey = read(content(x_train=x[..., 0], y_train=np.zeros(6, int)))
    assert grey.x.shape == (6, 4, 5, 1) and grey.x_test is None


IMAGES, LABELS = np.zeros((4, 3, 3), np.uint8), np.zeros(4, int)


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (b"no zip", "cannot be read as .npz"),
        (content(x_train=IMAGES, y_train=LABELS)[:-40], "cannot be read as .npz"),
        (content(x_train=IMAGES), "y_train missing"),
        (content(x_train=IMAGES, y_train=LABELS, x_test=IMAGES), "y_test missing"),
        (content(x_train=IMAGES.astype(np.float64), y_train=LABELS), "x_train is float64 of shape"),
        (content(x_train=IMAGES[0], y_train=LABELS), "x_train is uint8 of shape"),
        (content(x_train=IMAGES, y_train=LABELS.astype(float)), "y_train is float64"),
        (content(x_train=IMAGES, y_train=LABELS[:3]), "x_train has 4 inputs, y_train 3 labels"),
        (content(x_train=np.array([{"a": 1}], object), y_train=LABELS), "cannot be read as .npz"),
        (content(x_train=IMAGES, y_train=np.full(4, 2**64 - 1, np.uint64)), "y_train has the label 18446744073709551615"),
        (zipped(b"hello"), "cannot be read as .npz: x_train is no array"),
        (zipped(headed("((((")), "cannot be read as .npz"),
        (zipped(headed(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({10**25}, 2, 2)}}\n")), "cannot be read as .npz"),
        (zipped(b"hello", password=True), "cannot be read as .npz"),
        (zipped(b"hello", 99), "cannot be read as .npz"),
    ],
)
def test_what_does_not_fit_is_named(archive, words):
    with pytest.raises(DataError, match=words):
        read(archive)


def test_a_file_with_another_role_is_named():
    with pytest.raises(DataError, match='needs a file with role = "archive"'):
        NpzReader().read("tiny", None, {"train_images": b""})


def test_the_four_sources_of_the_page_are_those_that_idx_needs():
    text = re.search(r"```toml\n(sources = \[\n.*?)```", PAGE, re.DOTALL)[1].replace('"..."', f'"{64 * "0"}"')
    spec = tomllib.loads(SPEC.replace('"..."', f'"{64 * "0"}"')) | tomllib.loads(text) | {"reader": "idx"}
    roles = {source.role for source in DatasetSpec.model_validate(spec).sources}
    assert roles == {"train_images", "train_labels", "test_images", "test_labels"}
