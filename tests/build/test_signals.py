"""Sound and sensor values through every stage: built, measured, verified, laid out for boards."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microzoo.build.job import limits_of
from microzoo.catalog.golden import golden_bytes, read_golden
from microzoo.catalog.layouts import laid_out
from microzoo.catalog.store import read_entry, sha256
from microzoo.cost.front_end import front_end_bytes
from microzoo.sound.logmel import front_end_of
from microzoo.spec.load import load_jobs

from ..data.recordings import beeps, motion, motion_spec, npz, sound_spec, tar  # noqa: TID252
from .workshop import Workshop, make_workshop

FAMILY = """
dataset = "{}"
targets = ["cortex-m4-64k"]
search = {{ evaluations = 2, epochs = 1, random_parents = 1, reference_widths = [0.25], parallel = 2 }}
train = {{ epochs = 6, batch_size = 8, seeds = 1, learning_rate = 0.05 }}
select = {{ finalists = 1 }}
"""
SOUND = """
title = "Beeps"
reader = "wav"
input_shape = [6, 6, 1]
classes = ["a", "b", "c"]
citation = "none"
known_limits = ["Tones, not words."]
recordings = {{ pattern = '(?P<class>[a-z])_(?P<group>[a-z]+)_[0-9]+\\.wav' }}
sound = {{ rate_hz = 8000, window = 64, hop = 64, low_hz = 200, high_hz = 3900 }}
split = {{ validation_groups = ["bob"], test_groups = ["eve"] }}
preprocess = {{ raw_min = 0, raw_max = 80, scale = 0.0125 }}
augment = {{ shift_time = 1, floor = 0.3 }}
licence = {{ name = "CC0-1.0", redistributable = true }}
sources = [{{ role = "archive", file = "beeps.tar", contents_sha256 = "{}" }}]
"""
MOTION = """
title = "Shaking"
reader = "windows"
input_shape = [10, 1, 2]
classes = ["still", "shaking"]
citation = "none"
signal = {{ rate_hz = 10, channels = ["x", "y"], units = ["g", "rad/s"], factors = [0.5, 1], step = 1 }}
split = {{ validation_groups = ["8"], test_groups = ["9"] }}
preprocess = {{ raw_min = -8, raw_max = 8 }}
licence = {{ name = "CC0-1.0", redistributable = true }}
sources = [{{ role = "archive", file = "motion.npz", sha256 = "{}" }}]
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Both entries, built by the command line."""
    workshop = make_workshop(tmp_path_factory.mktemp("signals"))
    archive, arrays = tar(beeps()), npz(**motion())
    for name, file, content in (("beeps", "beeps.tar", archive), ("motion", "motion.npz", arrays)):
        (workshop.folder / "data" / name).mkdir(parents=True)
        (workshop.folder / "data" / name / file).write_bytes(content)
        workshop.spec(FAMILY.format(name), name)
    checksums = sound_spec(archive).sources[0].checksum, motion_spec(arrays).sources[0].checksum
    for name, text, checksum in (("beeps", SOUND, checksums[0]), ("motion", MOTION, checksums[1])):
        (workshop.folder / "specs/datasets" / f"{name}.toml").write_text(text.format(checksum), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MICROZOO_DATA", str(workshop.folder / "data"))
        workshop.zoo("build", "specs/beeps.toml", "specs/motion.toml")
        yield workshop


def entry_of(workshop: Workshop, name: str) -> Path:
    return workshop.folder / "zoo" / name / "cortex-m4-64k" / "accurate"


@pytest.mark.arm
@pytest.mark.tflm
def test_a_model_of_sound_says_what_its_front_end_takes_and_verifies(built: Workshop) -> None:
    card = read_entry(entry_of(built, "beeps")).card
    assert card.dataset.sound is not None and card.dataset.sound.window == 64 and card.dataset.signal is None
    assert card.known_limits[0] == "Tones, not words."
    assert {file.path: file.role for file in card.files if "features" in file.path} == {
        "c/model_features.c": "features",
        "c/model_features.h": "features",
    }
    assert card.figures["features_differences"].value == 0 and card.figures["golden_differences"].value == 0
    assert card.headline.value > 0.6, "tones of three pitches, from another person"
    ram = next(limit for limit in card.limits if limit.name == "ram")
    assert ram.need > card.figures["c_ram"].value
    said = json.loads(built.zoo("verify", "beeps/cortex-m4-64k/accurate", "--json").stdout)
    assert said["differences"] == [] or all(each["excused"] for each in said["differences"])


@pytest.mark.arm
@pytest.mark.tflm
def test_other_recordings_in_the_golden_vectors_are_found(built: Workshop, tmp_path: Path) -> None:
    workshop = replace(built, folder=tmp_path)
    shutil.copytree(built.folder / "specs", tmp_path / "specs")
    shutil.copytree(built.folder / "zoo", tmp_path / "zoo")
    place = entry_of(workshop, "beeps")
    golden = read_golden(place / "golden.npz")
    # A change that the raw values do not show: only the dataset tells.
    front_end, sound = front_end_of(sound_spec()), golden.sound.copy()
    for at in range(sound.shape[1]):
        sound[0, at] ^= 1
        if np.array_equal(front_end.raw(sound), golden.raw):
            break
        sound[0, at] ^= 1
    assert not np.array_equal(sound, golden.sound)
    content = golden_bytes(replace(golden, sound=sound))
    (place / "golden.npz").write_bytes(content)
    card = json.loads((place / "card.json").read_text())
    (listed,) = (file for file in card["files"] if file["path"] == "golden.npz")
    listed |= {"sha256": sha256(content), "bytes": len(content)}
    (place / "card.json").write_text(json.dumps(card))
    said = json.loads(workshop.zoo("verify", "beeps/cortex-m4-64k/accurate", "--json", code=1).stdout)
    assert [each["what"] for each in said["differences"] if not each["excused"]] == ["golden.npz: inputs"]


def test_a_window_of_sensor_values_is_built_and_verifies(built: Workshop) -> None:
    card = read_entry(entry_of(built, "motion")).card
    assert card.dataset.signal is not None and card.dataset.signal.units == ("g", "rad/s")
    assert card.preprocessing.raw_type == "float32" and card.dataset.sound is None
    assert (card.dataset.train, card.dataset.validation, card.dataset.test) == (31, 16, 51)
    assert not [name for name in card.figures if "features" in name]
    built.zoo("verify", "motion/cortex-m4-64k/accurate")


@pytest.mark.arm
@pytest.mark.tflm
def test_where_data_have_no_address_entries_stay_and_all_but_the_test_split_is_verified(
    built: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop = replace(built, folder=shutil.copytree(built.folder, tmp_path / "elsewhere"))
    monkeypatch.setenv("MICROZOO_DATA", str(tmp_path / "nothing"))
    before = {path: path.read_bytes() for path in entry_of(workshop, "motion").rglob("*") if path.is_file()}
    said = workshop.zoo("build", "specs/motion.toml", "--force")
    reason = "motion: motion.npz is not on this machine and has no address to download it from"
    assert f"kept as it is: {reason}" in said.stdout + said.stderr
    assert before == {path: path.read_bytes() for path in entry_of(workshop, "motion").rglob("*") if path.is_file()}
    found = json.loads(workshop.zoo("verify", "motion/cortex-m4-64k/accurate", "--json").stdout)["differences"]
    assert [(each["what"], each["excused"]) for each in found] == [("test split", reason)]
    # What is wrong with a file is still found, and nothing can be built anew.
    golden = entry_of(workshop, "motion") / "golden.npz"
    golden.write_bytes(golden.read_bytes()[:-1])
    workshop.zoo("verify", "motion/cortex-m4-64k/accurate", code=1)
    shutil.rmtree(entry_of(workshop, "motion"))
    refused = workshop.zoo("build", "specs/motion.toml", code=1)
    assert "motion.npz is not at" in refused.stderr and "put it there" in refused.stderr


def test_the_search_leaves_the_front_end_its_memory(built: Workshop) -> None:
    (job,) = load_jobs([built.folder / "specs/beeps.toml"])
    needs, limits = front_end_bytes(front_end_of(job.dataset), "cortex-m4"), limits_of(job)
    assert limits.ram_bytes == 65536 - needs.ram_bytes and limits.flash_bytes == 65536 - needs.flash_bytes
    (other,) = load_jobs([built.folder / "specs/motion.toml"])
    assert (limits_of(other).ram_bytes, limits_of(other).flash_bytes) == (65536, 65536)


def test_the_layouts_for_boards_hold_the_front_end_and_pass(built: Workshop, tmp_path: Path) -> None:
    entry = read_entry(entry_of(built, "beeps"))
    files = {file.path: (entry.folder / file.path).read_bytes() for file in entry.card.files}
    for layout, content in laid_out(entry.card, files).items():
        for path, text in content.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, encoding="utf-8")
        (root,) = tmp_path.iterdir()
        assert "model_features` these from sound, int16 samples at 8000 Hz" in (root / "README.md").read_text()
        units = [path for path in root.rglob("*.c") if path.name != "main.c"]
        headers = {path.parent for path in root.rglob("*.h")}
        selftest = entry.folder / "selftest/model_selftest.c"
        chosen = [*(path for path in units if "selftest" not in path.name), selftest]
        command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", *(f"-I{folder}" for folder in headers), *chosen]
        done = subprocess.run([*command, "-o", tmp_path / "all"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (layout, done.stderr[:1500])
        said = subprocess.run([tmp_path / "all"], capture_output=True, text=True, check=False).stdout
        assert said == "PASS: 8 inputs, all outputs as published\n"
        shutil.rmtree(root)
        (tmp_path / "all").unlink()
