"""The front end of sound as it is measured: to the bit what the golden vectors say, and what it takes of the chip."""

import re
import shutil
from importlib import resources

import numpy as np
import pytest

from microzoo.catalog.golden import golden_bytes, read_golden
from microzoo.cost.front_end import front_end_bytes
from microzoo.errors import MeasurementError
from microzoo.export.c import KERNEL_FILES
from microzoo.export.features import features_sources
from microzoo.export.wasm import wasm
from microzoo.measure import arm, emulate, front_end
from microzoo.measure.entry import measure_entry, measure_files
from microzoo.measure.front_end import find_front_end, front_end_figures
from microzoo.measure.golden import golden_figures, read_vectors
from microzoo.spec.models import TargetBudget, TargetSpec

from ..sound.front_ends import FRONT_ENDS  # noqa: TID252
from .files import images, residual_model, write_sound_entry

CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    return write_sound_entry(tmp_path_factory.mktemp("sound"), residual_model())


def target(runtime="c"):
    budget = TargetBudget(ram_bytes=8192, flash_bytes=65536, macs=10000)
    return TargetSpec(title="part", core="cortex-m4", clock_mhz=80.0, runtime=runtime, budget=budget)


@pytest.mark.arm
@pytest.mark.tflm
def test_a_model_of_sound_is_charged_for_its_front_end(entry):
    found = measure_entry(entry, target(), images(8), np.zeros(8, int))
    values = {name: figure.value for name, figure in found.figures.items()}
    assert values["features_differences"] == 0 and values["golden_differences"] == 0
    method = found.figures["features_differences"].method
    assert "8 recordings" in method and "generated C, gcc" in method and "WebAssembly" in method
    # 64 samples, a spectrum of 32 complex values of 32 bits each, 6 energies of 64 bits, 36 raw values, three counters.
    counted = 64 * 2 + 32 * 2 * 4 + 6 * 8 + 36 + 3 * 4
    assert counted <= values["c_features_ram"] <= counted + 8
    assert 10_000 < values["features_instructions"] < 80_000
    ram, flash, _ = found.limits
    assert ram.need == values["c_ram"] + values["c_features_ram"] + max(0, values["c_features_stack"] - values["c_stack"])
    assert flash.need == values["c_flash"] + values["c_features_flash"] and flash.kind == "measured"
    assert "c_features_ram: the front end of sound" in ram.method and ram.kind == "estimated"
    again = measure_files(entry, target())
    assert {name: again.figures[name] for name in again.figures if "features" in name} == {
        name: figure for name, figure in found.figures.items() if "features" in name
    }


def test_the_self_test_hears(entry, tmp_path):
    folder = shutil.copytree(entry, tmp_path / "entry")
    vectors = read_vectors(folder, folder / "c", folder / "model.tflite")
    assert "model_selftest.c says PASS" in golden_figures(vectors, (6, 6, 1), 3)["golden_differences"].method
    header = folder / "selftest/model_golden.h"
    text = header.read_text()
    start = text.index("model_golden_sound[MODEL_SOUND_SAMPLES] = {")
    header.write_text(text[:start] + re.sub(r",(-?)\d{4},", r",\g<1>1,", text[start:], count=8))
    with pytest.raises(MeasurementError, match="FAIL: the recording does not give the published raw values"):
        golden_figures(vectors, (6, 6, 1), 3)


def changed(entry, folder):
    """The entry with one number of the window another."""
    shutil.copytree(entry, folder)
    source = folder / "c/model_features.c"
    text = source.read_text()
    start = text.index("hann[HALF_WINDOW + 1] = {\n") + len("hann[HALF_WINDOW + 1] = {\n")
    numbers = text[start : text.index("}", start)].split(",")
    numbers[16] = str(int(numbers[16]) // 2)
    source.write_text(text[:start] + ",".join(numbers) + text[text.index("}", start) :])
    return folder


def test_another_front_end_is_found_out_here_and_on_the_core(entry, tmp_path, monkeypatch):
    folder, golden = changed(entry, tmp_path / "entry"), read_golden(entry / "golden.npz")
    with monkeypatch.context() as patch:
        patch.setattr(front_end, "emulator_missing", lambda: "not here")
        with pytest.raises(MeasurementError, match=r"the front end, generated C, .* and golden\.npz differ on . of 8 inputs"):
            front_end_figures(folder / "c", "cortex-m4", golden)
    if emulate.missing() is None:
        with pytest.raises(MeasurementError, match=r"the front end on an emulated cortex-m4 and golden\.npz differ"):
            front_end_figures(folder / "c", "cortex-m4", golden)


def test_a_module_with_another_front_end_is_found_out(entry, tmp_path):
    folder, golden = changed(entry, tmp_path / "entry"), read_golden(entry / "golden.npz")
    module = tmp_path / "model.wasm"
    module.write_bytes(wasm({path.name: path.read_text() for path in (folder / "c").iterdir()}))
    with pytest.raises(MeasurementError, match=r"the front end, the front end in WebAssembly.* and golden.npz differ"):
        front_end_figures(entry / "c", "cortex-m4", golden, module)
    without = {path.name: path.read_text() for path in (folder / "c").iterdir() if "_features" not in path.name}
    module.write_bytes(wasm(without))
    with pytest.raises(MeasurementError, match="does not export sound, samples, features"):
        front_end_figures(entry / "c", "cortex-m4", golden, module)


def test_what_is_missing_is_named(entry, tmp_path):
    folder = shutil.copytree(entry, tmp_path / "entry")
    golden = read_golden(folder / "golden.npz")
    assert golden.sound.dtype == np.int16 and golden.sound.shape == (8, 384)
    silent = type(golden)(**{**vars(golden), "sound": None})
    with pytest.raises(MeasurementError, match="has a front end of sound, and no recordings to try it with"):
        front_end_figures(folder / "c", "cortex-m4", silent)
    (folder / "golden.npz").write_bytes(golden_bytes(silent))
    with pytest.raises(MeasurementError, match="no recordings to try it with"):
        measure_files(folder, target())
    header = folder / "c/model_features.h"
    header.write_text(header.read_text().replace("#define MODEL_SOUND_FRAMES", "#define MODEL_FRAMES"))
    with pytest.raises(MeasurementError, match="does not define MODEL_SOUND_FRAMES"):
        find_front_end(folder / "c")
    (folder / "c/model_features.c").unlink()
    shutil.copy(entry / "c/model_features.h", header)
    with pytest.raises(MeasurementError, match=r"model_features\.c: missing"):
        front_end_figures(folder / "c", "cortex-m4", golden)


def test_without_tools_the_figures_say_why(entry, monkeypatch):
    golden = read_golden(entry / "golden.npz")
    monkeypatch.setattr(arm, "missing", lambda: "no compiler")
    monkeypatch.setattr(front_end, "emulator_missing", lambda: "no emulator")
    monkeypatch.setattr(front_end, "CRuntime", front_end.WasmFrontEnd)
    monkeypatch.setattr(front_end.WasmFrontEnd, "missing", lambda _: "no wasmtime")
    found = front_end_figures(entry / "c", "cortex-m4", golden, entry / "model.wasm")
    assert [figure.value for figure in found.values()] == [None] * 5
    assert {figure.method for figure in found.values()} == {
        "not measured: no compiler",
        "not emulated: no emulator",
        "not compared: no wasmtime; no wasmtime",
    }


def test_other_models_have_none(tmp_path):
    assert front_end_figures(tmp_path, "cortex-m4", None) == {}


def test_golden_sound_of_data_that_may_not_be_shipped_is_synthetic(tmp_path):
    golden = read_golden(write_sound_entry(tmp_path, residual_model(), redistributable=False) / "golden.npz")
    assert golden.source == "synthetic" and set(golden.label.tolist()) == {-1}
    assert not golden.sound[0].any() and not golden.raw[0].any()
    assert len({clip.tobytes() for clip in golden.sound}) == 8 and golden.raw.max() == 80


@pytest.mark.arm
@pytest.mark.parametrize("name", FRONT_ENDS)
def test_predictions_are_upper_estimates(name, tmp_path):
    front = FRONT_ENDS[name]
    library = resources.files("microzoo.export") / "runtime"
    for file, text in features_sources("model", front).items():
        (tmp_path / file).write_text(text)
    for file in KERNEL_FILES:
        (tmp_path / file).write_text((library / file).read_text("utf-8"))
    found_front_end = find_front_end(tmp_path)
    with front_end._as_model(found_front_end) as place:
        for core in CORES:
            found = front_end._footprint(found_front_end, place, core)
            predicted = front_end_bytes(front, core)
            ram, flash = found["c_features_ram"].value, found["c_features_flash"].value
            assert ram <= predicted.ram_bytes <= ram + 32, core
            assert flash <= predicted.flash_bytes <= flash + 500, core
