"""Verification without a build: files, dataset, golden vectors, predictions, with the test split and without."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from microzoo.build import verify as stage
from microzoo.build.predictions import predicted_figures
from microzoo.catalog.card import Card, Figure
from microzoo.catalog.golden import GOLDEN, Golden, golden_bytes
from microzoo.catalog.store import Entry, read_entry, sha256
from microzoo.cli import app
from microzoo.data.arrays import Dataset, Part
from microzoo.errors import CatalogError, MeasurementError
from microzoo.measure import arm
from microzoo.measure.c_runtime import CRuntime
from microzoo.measure.entry import FileMeasurement, Measurement, measure_entry, measure_files
from microzoo.measure.runtimes import TflmRuntime
from microzoo.spec.dataset import DatasetSpec
from microzoo.spec.load import load_folder

from ..measure.files import dataset_spec, images, raw_validation, residual_model  # noqa: TID252  # tests are no package with a name
from ..pages.cards import Synthetic, published  # noqa: TID252
from .truthful import AGAIN, SPECS, changed, measurement_of, truthful

DATASET = Dataset(*(Part(np.zeros((n, 8, 8, 1), np.float32), np.arange(n) % 10) for n in (1150, 287, 360)))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring gives the truth about `truthful`, at once; data are zeros."""
    monkeypatch.setattr(stage, "load", lambda _name, _spec: DATASET)
    monkeypatch.setattr(stage, "measure_entry", lambda *_, **__: AGAIN)


@pytest.mark.usefixtures("measured")
def test_the_dataset_s_record_is_compared_with_its_spec(tmp_path: Path) -> None:
    base = truthful()
    specs = load_folder(SPECS / "datasets", DatasetSpec)
    entry = read_entry(base.write(tmp_path))
    assert stage.verify(entry, specs, quick=False) == []
    changes = {
        ("dataset", "test"): 359,
        ("dataset", "train"): 1,
        ("dataset", "validation"): 1,
        ("dataset", "classes", 3): "five",
        ("dataset", "input_shape", 2): 3,
        ("preprocessing", "mean"): 0.5,
    }
    for path, value in changes.items():
        found = stage.verify(replace(entry, card=changed(entry.card, path, value)), specs, quick=False)
        name = "preprocessing" if path[0] == "preprocessing" else ".".join(str(step) for step in path[:2])
        assert [difference.what for difference in found if not difference.excused] == [name]


@pytest.fixture(scope="module")
def whole() -> Synthetic:
    return published()


def rewritten(made: Synthetic, **arrays: Any) -> Synthetic:
    """The entry with other golden vectors, and a card that lists them."""
    golden = replace(golden_of(made), **arrays)
    content = golden_bytes(golden)
    files = tuple(
        file.model_copy(update={"bytes": len(content), "sha256": sha256(content)}) if file.path == GOLDEN else file
        for file in made.card.files
    )
    return replace(made, card=made.card.model_copy(update={"files": files}), files=made.files | {GOLDEN: content})


def golden_of(made: Synthetic) -> Golden:
    with np.load(io.BytesIO(made.files[GOLDEN])) as found:
        return Golden(found["raw"], found["input"], found["output"], found["label"], "validation")


def test_golden_vectors_are_those_that_seed_and_preprocessing_give(
    whole: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, labels = raw_validation()
    parts = (Part(np.zeros((n, 6, 6, 1), np.float32), np.arange(n) % 3) for n in (200, 50, whole.card.dataset.test))
    train, validation, test = parts
    dataset = Dataset(train, replace(validation, y=labels), test, raw)
    monkeypatch.setattr(stage, "load", lambda _name, _spec: dataset)
    monkeypatch.setattr(stage, "compare", lambda *_: [])
    monkeypatch.setattr(stage, "measure_entry", lambda *_, **__: AGAIN)
    inputs = golden_of(whole).input.copy()
    inputs[2, 0, 0] += 1
    pixels = golden_of(whole).raw.copy()
    pixels[4, 0, 0] ^= 1
    cases: dict[str, tuple[Synthetic, set[str]]] = {
        "a": (whole, set()),
        "b": (replace(whole, card=changed(whole.card, ("golden", "n"), 9)), {"golden.n"}),
        "c": (replace(whole, card=changed(whole.card, ("golden", "seed"), 1)), {"golden.npz: inputs"}),
        "d": (replace(whole, card=changed(whole.card, ("golden", "source"), "synthetic")), {"golden.source"}),
        "e": (replace(whole, card=changed(whole.card, ("preprocessing", "raw_type"), "float32")), {"preprocessing.raw_type"}),
        "f": (rewritten(whole, input=inputs), {"golden.npz: int8 inputs that the preprocessing does not give"}),
        "g": (rewritten(whole, label=golden_of(whole).label[::-1]), {"golden.npz: inputs"}),
        "h": (rewritten(whole, source="synthetic"), {"golden.source", "golden.npz: source"}),
        "i": (
            rewritten(whole, raw=pixels),
            {"golden.npz: inputs", "golden.npz: int8 inputs that the preprocessing does not give"},
        ),
    }
    for name, (made, expected) in cases.items():
        made = replace(made, card=made.card.model_copy(update={"id": f"digits/cortex-m4-64k/{name}"}))
        found = stage.verify(read_entry(made.write(tmp_path)), {"digits": dataset_spec()}, quick=False)
        assert {difference.what for difference in found} == expected, name


@pytest.mark.usefixtures("measured")
def test_an_entry_that_cannot_be_measured_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        base = truthful(name)
        card = changed(base.card, ("dataset", "checksum"), "0" * 64) if name == "a" else base.card
        replace(base, card=card).write(tmp_path)

    def measure(folder: Path, *_: object, **__: object) -> Measurement:
        if folder.name == "b":
            raise MeasurementError("model.tflite: ended by SIGSEGV")
        return measurement_of(read_entry(folder).card)

    monkeypatch.setattr(stage, "measure_entry", measure)
    done = CliRunner().invoke(app, ["verify", "--out", str(tmp_path), "--specs", str(SPECS), "--json"])
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert [entry.rsplit("/", 1)[1] for entry in told["entries"]] == ["a", "b", "c"]
    first, second = told["differences"]
    assert first["entry"].endswith("/a") and "checksum 000000000000" in first["found"]
    assert second["entry"].endswith("/b") and second["found"] == "not possible: model.tflite: ended by SIGSEGV"
    assert not first["excused"] and not second["excused"]


def test_a_folder_that_is_not_there_is_an_error_and_an_empty_one_is_not(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="typo: no such folder; give the zoo by --out"):
        stage.verify_zoo(tmp_path / "typo", None, SPECS, quick=True)
    assert stage.verify_zoo(tmp_path, None, SPECS, quick=True) == ([], [])


@pytest.fixture(scope="module")
def true_entry(whole: Synthetic, tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """Real files, and a card that says what measuring them gave."""
    folder = whole.write(tmp_path_factory.mktemp("true"))
    target = stage.target_spec(whole.card)
    predicted = predicted_figures(residual_model(), target, dataset_spec())
    found = measure_entry(folder, target, images(40), np.arange(40) % 3, predicted=predicted)
    files = tuple(file.model_copy(update={"accuracy": found.accuracies.get(file.path, ())}) for file in whole.card.files)
    names = ("input", "output", "figures", "limits", "layers", "confusion", "headline", "headline_file", "known_limits")
    card = whole.card.model_copy(update={"files": files} | {name: getattr(found, name) for name in names})
    (folder / "card.json").write_text(card.model_dump_json(), encoding="utf-8")
    return read_entry(folder)


@pytest.fixture
def measured_once(true_entry: Entry, files_again: FileMeasurement, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """The entry, of whose files the measurement is at hand: it depends on them alone, whatever the card says."""

    def measure(*_: object, predicted: dict[str, Figure]) -> FileMeasurement:
        return replace(files_again, figures=files_again.figures | predicted)

    monkeypatch.setattr(stage, "measure_files", measure)
    return true_entry


@pytest.fixture(scope="module")
def files_again(true_entry: Entry) -> FileMeasurement:
    return measure_files(true_entry.folder, stage.target_spec(true_entry.card))


def quick_faults(entry: Entry, card: Card) -> list[str]:
    return [found.what for found in stage.verify(replace(entry, card=card), {}, quick=True) if not found.excused]


@pytest.mark.arm
@pytest.mark.tflm
def test_quick_measures_all_that_needs_no_test_split(measured_once: Entry) -> None:
    card = measured_once.card
    assert stage.verify(measured_once, {}, quick=True) == [], "and no dataset is asked for"
    figures = ("activations", "arena_head", "c_arena", "c_flash", "c_ram", "instructions", "emulated_ram", "tflite_bytes")
    for name in (*figures, "golden_differences"):
        more = changed(card, ("figures", name, "value"), (card.figures[name].value or 0) + 1)
        assert quick_faults(measured_once, more) == [name]
    wrong: dict[str, tuple[str | int, ...]] = {
        "layers[0]": ("layers", 0, "macs"),
        "golden.n": ("golden", "n"),
        "limits[1]": ("limits", 1, "need"),
        f"{GOLDEN}: int8 inputs that the preprocessing does not give": ("preprocessing", "mean"),
    }
    for what, path in wrong.items():
        assert quick_faults(measured_once, changed(card, path, 99)) == [what]
    assert quick_faults(measured_once, changed(card, ("preprocessing", "scale"), 0.0)) == ["preprocessing"]


@pytest.mark.arm
@pytest.mark.tflm
def test_quick_leaves_what_the_test_split_tells_as_it_stands_and_in_agreement(measured_once: Entry) -> None:
    card = measured_once.card
    assert quick_faults(measured_once, changed(card, ("figures", "onnx_argmax_disagreements", "value"), 39)) == []
    more = card.headline.correct + 1
    assert quick_faults(measured_once, changed(card, ("headline", "correct"), more)) == ["confusion matrix", "headline"]
    cell = card.confusion[0][0] + 1
    assert quick_faults(measured_once, changed(card, ("confusion", 0, 0), cell)) == ["confusion matrix"]


@pytest.mark.arm
@pytest.mark.tflm
def test_a_published_prediction_that_the_files_do_not_bear_out(measured_once: Entry) -> None:
    flash = int(measured_once.card.figures["c_flash"].value or 0)
    card = changed(measured_once.card, ("figures", "predicted_flash", "value"), flash + flash // 10)
    (found,) = stage.verify(replace(measured_once, card=card), {}, quick=True)
    assert (found.what, found.published, found.found) == ("predicted_flash", f"{flash + flash // 10:,}", f"c_flash = {flash:,}")


@pytest.mark.arm
@pytest.mark.tflm
def test_quick_excuses_what_is_not_installed_and_older_versions(
    true_entry: Entry, files_again: FileMeasurement, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = Card.model_validate_json(
        true_entry.card.model_dump_json().replace(TflmRuntime().name, "TensorFlow Lite Micro 0.dev1")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "measure_files", lambda *_, predicted: replace(files_again, figures=files_again.figures | predicted))
        assert quick_faults(true_entry, older) == []
    monkeypatch.setattr(CRuntime, "missing", lambda _: "no compiler")
    monkeypatch.setattr(TflmRuntime, "missing", lambda _: "no wheel")
    monkeypatch.setattr(arm, "COMPILER", "arm-none-eabi-absent")
    found = stage.verify(true_entry, {}, quick=True)
    assert {"golden_differences", "c_flash", "arena_head", "instructions", "emulated_ram"} <= {one.what for one in found}
    assert all(difference.excused for difference in found), found


@pytest.mark.arm
@pytest.mark.tflm
def test_the_command_with_quick_needs_no_specs_and_exits_1_on_a_difference(measured_once: Entry, tmp_path: Path) -> None:
    zoo = measured_once.folder.parents[2]
    done = CliRunner().invoke(app, ["verify", "--quick", "--out", str(zoo), "--specs", str(tmp_path / "none")])
    assert done.exit_code == 0 and "1 entries, every number but those of the test split: 0 differences" in done.stdout
    copy = tmp_path / "zoo" / measured_once.folder.relative_to(zoo)
    shutil.copytree(measured_once.folder, copy)
    card = changed(measured_once.card, ("figures", "instructions", "value"), 1)
    (copy / "card.json").write_text(card.model_dump_json(), encoding="utf-8")
    done = CliRunner().invoke(app, ["verify", "--quick", "--out", str(tmp_path / "zoo"), "--json"])
    assert done.exit_code == 1
    (difference,) = json.loads(done.stdout)["differences"]
    assert (difference["what"], difference["published"]) == ("instructions", "1")
