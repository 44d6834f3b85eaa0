"""Sensor values as a dataset: windows against a brute-force cut, splits by people, and errors that name the array."""

import numpy as np
import pytest
from pydantic import ValidationError

from microzoo.data.load import load
from microzoo.data.readers import READERS
from microzoo.errors import DataError

from .recordings import motion, motion_spec, npz


def read(arrays, **changes):
    return READERS["windows"].read("motion", motion_spec(**changes), {"archive": npz(**arrays)})


def test_windows_lie_within_recordings_and_have_the_label_of_most_of_their_samples():
    arrays = motion()
    found = read(arrays)
    scaled = np.clip(arrays["signal"] * np.float32([0.5, 1]), -8, 8)
    assert np.abs(scaled).max() == 8, "something is cut"
    expected = []
    for person, start, end in ((7, 0, 40), (8, 40, 65), (9, 65, 125), (9, 125, 134)):
        for at in range(start, end - 9, 5):
            shaking = int(arrays["label"][at : at + 10].sum())
            expected.append((scaled[at : at + 10].tolist(), 1 if shaking > 5 else 0, str(person)))
    assert len(expected) == 7 + 4 + 11 == len(found.y)
    assert [
        (x[:, 0].tolist(), int(y), str(group)) for x, y, group in zip(found.x, found.y, found.groups, strict=True)
    ] == expected
    assert found.x.dtype == np.float32 and found.x.shape == (22, 10, 1, 2)


def test_people_keep_to_their_part(tmp_path, monkeypatch):
    monkeypatch.setenv("MICROZOO_DATA", str(tmp_path))
    (tmp_path / "motion").mkdir()
    content = npz(**motion())
    (tmp_path / "motion/motion.npz").write_bytes(content)
    dataset = load("motion", motion_spec(content))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (7, 4, 11)
    assert dataset.validation_sound is None
    del (arrays := motion())["subject"]
    nameless = npz(**arrays)
    (tmp_path / "motion/motion.npz").write_bytes(nameless)
    with pytest.raises(DataError, match=r"split.test_groups: the data name no groups"):
        load("motion", motion_spec(nameless))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.pop("label"), "label missing"),
        (lambda a: a.update(signal=a["signal"][:, :1]), r"signal is float32 of shape \(134, 1\)"),
        (lambda a: a.update(signal=a["signal"].astype(int)), "signal is int64"),
        (lambda a: a["signal"].__setitem__((3, 1), np.nan), "no number, first in row 3"),
        (lambda a: a.update(label=a["label"][1:]), "label is uint8 of shape"),
        (lambda a: a.update(label=a["label"] + 1), "label goes from 1 to 2, the spec names 2 classes"),
        (lambda a: a.update(offsets=a["offsets"][:1]), "offsets is int64 of shape"),
        (lambda a: a.update(offsets=a["offsets"][:-1]), "offsets must rise from 0 to 134"),
        (lambda a: a.update(offsets=a["offsets"][[0, 2, 1, 3, 4]]), "offsets must rise"),
        (lambda a: a.update(subject=a["subject"][:2]), r"subject has shape \(2,\), must be \(4,\)"),
        (lambda a: a.update(offsets=np.arange(0, 135, 1)), "no recording has 10 samples"),
    ],
)
def test_an_array_that_does_not_fit_is_named(change, words):
    arrays = motion()
    change(arrays)
    arrays = arrays | ({"subject": np.zeros(len(arrays["offsets"]) - 1)} if words.startswith("no recording") else {})
    with pytest.raises(DataError, match=words) as raised:
        read(arrays)
    assert str(raised.value).startswith("motion: archive: ")


def test_a_spec_that_contradicts_itself():
    for changes, words in (
        ({"input_shape": (10, 2, 1)}, "a window is 10, 1, 2 channels"),
        ({"signal": None}, r"needs \[signal\]"),
        ({"signal": {"rate_hz": 10, "channels": ["x", "y"], "units": ["g"], "step": 5}}, "units has 1 values for 2 channels"),
        ({"signal": {"rate_hz": 10, "channels": ["x", "y"], "units": ["g", "g"], "factors": [1], "step": 5}}, "factors has 1"),
    ):
        with pytest.raises(ValidationError, match=words):
            motion_spec(**changes)
    with pytest.raises(DataError, match="needs a file with role"):
        READERS["windows"].read("motion", motion_spec(), {})
