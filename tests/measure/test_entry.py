"""A whole entry: every accuracy on its own file, runtimes that must agree, and machines on which tools are missing."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from microzoo.catalog.card import Figure
from microzoo.errors import MeasurementError, ToolMissingError
from microzoo.measure import arm
from microzoo.measure.accuracy import NOMINAL_SECONDS, affordable_inputs, confusion_matrix
from microzoo.measure.c_runtime import CRuntime
from microzoo.measure.entry import entry_files, measure_entry, nominal_inputs
from microzoo.measure.runtimes import LiteRtRuntime, OnnxRuntime, TflmRuntime
from microzoo.quantise.reference import run as reference
from microzoo.spec.models import TargetBudget, TargetSpec

from .files import images, residual_model, write_entry

N = 40
PREDICTED = {
    "predicted_ram": Figure(value=400, unit="bytes", kind="predicted", method="formula"),
    "predicted_flash": Figure(value=4000, unit="bytes", kind="predicted", method="formula"),
}


def target(runtime="c"):
    budget = TargetBudget(ram_bytes=8192, flash_bytes=65536, macs=10000)
    return TargetSpec(title="part", core="cortex-m4", clock_mhz=80.0, runtime=runtime, budget=budget)


def labels(model):
    """The golden predictions, every fourth replaced by the next class: an accuracy of 75 % by construction."""
    y = np.argmax(reference(model, images(N)), axis=1)
    y[::4] = (y[::4] + 1) % 3
    return y


@pytest.mark.arm
@pytest.mark.tflm
def test_everything_of_an_entry(entry, model):
    found = measure_entry(entry, target(), images(N), labels(model), predicted=PREDICTED)
    assert set(found.accuracies) == {"c/model.c", "model.tflite", "model.onnx"}
    c, tflm = found.accuracies["c/model.c"][0], found.accuracies["model.tflite"][0]
    assert (c.correct, c.n, c.value, c.split) == (30, 40, 0.75, "test") and tflm.correct == 30
    assert tflm.runtime.startswith("TensorFlow Lite Micro ") and len(found.accuracies["model.tflite"]) == 2
    assert (found.headline, found.headline_file) == (c, "c/model.c")
    assert sum(map(sum, found.confusion)) == 40 and sum(found.confusion[i][i] for i in range(3)) == 30
    assert found.figures["c_tflm_differences"].value == 0 and found.known_limits == ()
    assert (found.input.shape, found.input.zero_point, found.output.shape, found.output.zero_point) == ((6, 6, 1), 3, (3,), 11)
    assert found.figures["macs"].value == 2700 and found.figures["predicted_ram"] == PREDICTED["predicted_ram"]
    assert found.figures["arena_head"].value == found.figures["activations"].value == 288
    assert found.figures["tflite_bytes"].value == (entry / "model.tflite").stat().st_size
    assert [limit.name for limit in found.limits] == ["ram", "flash", "compute"] and all(limit.fits for limit in found.limits)
    assert len(found.layers) == 6
    assert found == measure_entry(entry, target(), images(N), labels(model), predicted=PREDICTED)


def test_a_c_file_that_is_another_model_is_never_published(tmp_path, entry):
    if TflmRuntime().missing():
        pytest.skip(TflmRuntime().missing())
    folder = tmp_path / "mixed"
    shutil.copytree(entry, folder)
    other = write_entry(tmp_path / "other", residual_model(filters=5))
    shutil.copy(other / "c" / "model.c", folder / "c" / "model.c")
    shutil.copy(other / "c" / "model.h", folder / "c" / "model.h")
    with pytest.raises(MeasurementError, match=r"generated C, .* and TensorFlow Lite Micro .* differ on"):
        measure_entry(folder, target(), images(6), np.zeros(6, np.int64))


def test_a_slow_runtime_says_how_many_inputs_it_ran(entry, model):
    # 2,700 MACs at a nominal 1e9 a second: 2.7e-5 s pay for ten inputs.
    found = measure_entry(entry, target("tflm"), images(N), labels(model), predicted=PREDICTED, max_seconds_per_runtime=2.7e-5)
    by_runtime = {accuracy.runtime.split()[0]: accuracy.n for accuracy in found.accuracies["model.tflite"]}
    if TflmRuntime().missing() is None:
        assert by_runtime == {"TensorFlow": 10, "LiteRT": N}
    assert found.headline_file == "model.tflite" and found.headline.n == N and found.headline.runtime.startswith("LiteRT")
    assert [limit.kind for limit in found.limits] == ["estimated", "estimated", "measured"]


def test_the_number_of_inputs_depends_on_macs_alone():
    assert affordable_inputs(2_000_000, 10_000, 60.0, 1e9) == 10_000
    assert affordable_inputs(60_000_000, 10_000, 60.0, 1e9) == 1_000
    assert affordable_inputs(60_000_000, 10_000, 60.0, 2e9) == 2_000
    assert affordable_inputs(10**12, 10_000, 60.0, 1e9) == 1
    assert affordable_inputs(0, 5, 60.0, 1e9) == 5
    assert nominal_inputs(target("c"), 5_000_000, 10_000, NOMINAL_SECONDS) == (10_000, 10_000)
    assert nominal_inputs(target("c"), 60_000_000, 10_000, NOMINAL_SECONDS) == (1_000, 1_000)
    assert nominal_inputs(target("tflm"), 60_000_000, 10_000, NOMINAL_SECONDS) == (1_000, 10_000), "the headline needs them all"


def test_litert_is_bounded_too_and_says_the_same_where_it_stands_in_for_the_c(entry, model, monkeypatch):
    def litert(found):
        return next(accuracy for accuracy in found.accuracies["model.tflite"] if accuracy.runtime.startswith("LiteRT"))

    arguments = (entry, target(), images(N), labels(model))
    with_c = measure_entry(*arguments, predicted=PREDICTED, max_seconds_per_runtime=2.7e-5)
    assert (litert(with_c).n, with_c.headline.n, with_c.headline_file) == (10, N, "c/model.c")
    monkeypatch.setattr(CRuntime, "missing", lambda _: "no compiler")
    without = measure_entry(*arguments, predicted=PREDICTED, max_seconds_per_runtime=2.7e-5)
    assert litert(without) == litert(with_c)
    assert (without.headline.n, without.headline_file) == (N, "model.tflite")
    assert sum(map(sum, without.confusion)) == N


def test_a_machine_without_tools_says_what_was_not_run(entry, model, monkeypatch):
    monkeypatch.setattr(arm, "COMPILER", "arm-none-eabi-absent")
    monkeypatch.setattr(TflmRuntime, "missing", lambda _: "no wheel")
    monkeypatch.setattr(CRuntime, "missing", lambda _: "no compiler")
    found = measure_entry(entry, target(), images(8), labels(model)[:8], predicted=PREDICTED)
    assert [runtime.split()[0] for entry in found.accuracies.values() for runtime in [entry[0].runtime]] == [
        "LiteRT",
        "onnxruntime",
    ]
    assert found.headline_file == "model.tflite"
    assert [text.split(": ")[1] for text in found.known_limits] == ["no compiler", "no wheel"]
    for name in ("arena_head", "arena_total", "c_flash", "c_ram", "c_tflm_differences", "onnx_argmax_disagreements"):
        assert found.figures[name].value is None and found.figures[name].method.startswith("not "), name
    assert found.figures["arena_total_32bit"].value > 288
    assert [limit.kind for limit in found.limits] == ["predicted", "predicted", "measured"]
    monkeypatch.setattr(LiteRtRuntime, "missing", lambda _: "no litert")
    monkeypatch.setattr(OnnxRuntime, "missing", lambda _: "no onnxruntime")
    with pytest.raises(ToolMissingError, match="no compiler; no wheel; no litert; no onnxruntime"):
        measure_entry(entry, target(), images(8), labels(model)[:8], predicted=PREDICTED)


def test_missing_and_surplus_files(tmp_path, entry):
    folder = tmp_path / "e"
    shutil.copytree(entry, folder)
    shutil.copy(folder / "model.onnx", folder / "second.onnx")
    with pytest.raises(MeasurementError, match=r"exactly one \.onnx file, has model\.onnx, second\.onnx"):
        entry_files(folder)
    (folder / "model.tflite").unlink()
    with pytest.raises(MeasurementError, match=r"exactly one \.tflite file, has none"):
        entry_files(folder)


def test_confusion_by_hand():
    y = np.array([[5, 1, 0], [0, 9, 9], [1, 2, 3], [7, 7, 7]], np.int8)  # predicts 0, 1 (first of equals), 2, 0
    assert confusion_matrix(y, np.array([0, 2, 2, 1])) == ((1, 0, 0), (1, 0, 0), (0, 1, 1))


def test_importing_brings_no_runtime_along():
    code = "import sys, microzoo.measure.entry; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "onnxruntime", "onnx", "ai_edge_litert", "tflite_micro", "flatbuffers", "microzoo.space"}
