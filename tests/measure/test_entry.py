"""A whole entry: every accuracy on its own file, runtimes that must agree, and machines on which tools are missing."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from microzoo.catalog.card import Figure
from microzoo.catalog.golden import golden_bytes, read_golden
from microzoo.errors import MeasurementError, ToolMissingError
from microzoo.measure import arm
from microzoo.measure.accuracy import NOMINAL_SECONDS, affordable_inputs, confusion_matrix
from microzoo.measure.c_runtime import CRuntime
from microzoo.measure.entry import measure_entry
from microzoo.measure.golden import golden_figures, read_vectors
from microzoo.measure.runs import entry_files, nominal_inputs
from microzoo.measure.runtimes import LiteRtRuntime, OnnxRuntime, TflmRuntime
from microzoo.quantise.reference import run as reference
from microzoo.spec.models import TargetBudget, TargetSpec

from .files import images, residual_model, write_entry, write_full_entry

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


@pytest.mark.arm
@pytest.mark.tflm
def test_everything_of_an_entry_with_golden_vectors(full_entry, model):
    found = measure_entry(full_entry, target(), images(N), labels(model), predicted=PREDICTED)
    assert list(found.accuracies) == ["c/model.c", "model.tflite", "model.onnx", "model_float.onnx", "model.wasm"]
    (wasm,), (ends,) = found.accuracies["model.wasm"], found.accuracies["model_float.onnx"]
    assert (wasm.correct, wasm.n) == (30, 40) and wasm.runtime.startswith("WebAssembly, wasmtime ")
    assert ends.runtime.startswith("onnxruntime ") and ends.n == 40
    for name in ("golden_differences", "c_wasm_differences", "c_tflm_differences"):
        assert found.figures[name].value == 0, name
    method = found.figures["golden_differences"].method
    assert "TensorFlow" in method and "generated C" in method and method.endswith("model_selftest.c says PASS")
    assert 20 <= found.figures["c_prepare_flash"].value <= 400
    assert found.known_limits == ()
    ram, parts = found.figures["emulated_ram"], [found.figures[name].value for name in ("c_static_ram", "emulated_stack")]
    assert (ram.value, ram.kind) == (sum(parts), "emulated") and ram.value <= found.figures["c_ram"].value
    assert found.figures["c_arena"].value == 288 == parts[0]


def test_golden_vectors_of_real_values(tmp_path, model):
    folder = write_full_entry(tmp_path / "entry", model, "float32")
    assert "float" in (folder / "c" / "model_prepare.h").read_text()
    vectors = read_vectors(folder, folder / "c", folder / "model.tflite")
    assert golden_figures(vectors, (6, 6, 1), 3)["golden_differences"].value == 0
    assert golden_figures(None, (6, 6, 1), 3) == {}


@pytest.mark.parametrize(
    ("name", "index", "message"),
    [
        (
            "output",
            (3, 1),
            r"generated C, .* and golden\.npz differ on 1 of 8 inputs, first in logit 1 of input 3: -?\d+ against",
        ),
        ("selftest", None, r"model_selftest\.c: FAIL: input 0, output 0: -?\d+, must be -?\d+; do not publish"),
        ("prepare", None, r"model_selftest\.c: FAIL: input 0: model_prepare does not give the published int8 input"),
    ],
)
def test_a_false_golden_vector_is_never_published(name, index, message, full_entry, tmp_path, model):
    if CRuntime().missing():
        pytest.skip(CRuntime().missing())
    folder = tmp_path / "false"
    shutil.copytree(full_entry, folder)
    if name == "output":
        golden = read_golden(folder / "golden.npz")
        golden.output[index] ^= 1
        (folder / "golden.npz").write_bytes(golden_bytes(golden))
    else:
        path = folder / {"selftest": "selftest/model_golden.h", "prepare": "c/model_prepare.c"}[name]
        changed = {
            "selftest": ("golden_output[vector][output])", "golden_output[vector][output] + 1)"),
            "prepare": ("- 128", "- 127"),
        }
        assert changed[name][0] in path.read_text()
        path.write_text(path.read_text().replace(*changed[name]))
    with pytest.raises(MeasurementError, match=message):
        measure_entry(folder, target(), images(6), labels(model)[:6])


def test_golden_vectors_of_another_model(full_entry, tmp_path, model):
    folder = tmp_path / "other"
    shutil.copytree(full_entry, folder)
    golden = read_golden(folder / "golden.npz")
    wider = replace(golden, output=np.concatenate([golden.output] * 2, axis=1))
    (folder / "golden.npz").write_bytes(golden_bytes(wider))
    with pytest.raises(MeasurementError, match=r"golden\.npz: inputs \(6, 6, 1\) and 6 outputs, the model has \(6, 6, 1\) and 3"):
        measure_entry(folder, target(), images(6), labels(model)[:6])


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
