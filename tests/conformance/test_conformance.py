"""One IntegerModel, the same outputs everywhere: numpy, C, TensorFlow Lite Micro, LiteRT, ONNX Runtime, Ethos-U's compiler.

Corners and random networks of the search space, chunk by chunk; how many stands in conftest.py.
"""

import json
from dataclasses import replace

import numpy as np
import pytest

from microzoo.cost.flash import parameters
from microzoo.cost.macs import macs
from microzoo.cost.memory import peak_bytes
from microzoo.export.plan import plan
from microzoo.export.tflite import ARENA_ALIGNMENT, tflite
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Pad
from microzoo.quantise.reference import trace

from ..export.c_program import build_program, run_program  # noqa: TID252  # tests are no package with a name
from . import summary
from .architectures import MAX_MACS, MAX_PARAMETERS, SHAPES, architecture_graph
from .cases import CORNERS, IMAGES, chunk_cases
from .firmware import CORES, fits, run_on
from .interpreters import (
    XNNPACK_FACTOR,
    largest_factor,
    litert,
    litert_default,
    onnx_float_logits,
    onnx_layers,
    onnx_logits,
    tflm,
    vela,
)
from .summary import Record

SANITIZED = ("-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")
EMULATED = 12
"""Networks of each chunk that run on emulated cores."""


def test_the_networks_hold_every_operator_and_varied_outputs(cases):
    kinds = {type(op) for case in cases for op in case.model.graph.ops}
    assert kinds == {Conv, Depthwise, Dense, MaxPool, AvgPool, Add, Pad, Flatten}
    assert np.mean([len(np.unique(case.expected)) > 3 for case in cases]) > 0.8


def test_the_dead_layers_are_zero_when_calibrated_and_wake_up_on_the_inputs():
    for name, tensor in (("a dead depthwise layer", "t0"), ("a dead branch of an addition", "t1"), ("a dead addition", "t2")):
        (case,) = (case for case in chunk_cases(CORNERS) if case.name == name)
        zero, middle = case.model.tensors[tensor].zero_point, case.model.tensors["input"].zero_point
        calibrated = np.clip(case.inputs, middle - 21, middle + 21)
        assert (trace(case.model, calibrated)[tensor] == zero).all(), name  # 21 steps of 12 / 255: within [-1, 1]
        assert (trace(case.model, case.inputs)[tensor] > zero).any(), name


@pytest.mark.parametrize(
    ("runtime", "compiler", "flags"),
    [(summary.C_FAST, "gcc", ("-O2",)), (summary.C_CLANG, "clang", ("-O2",)), (summary.C_CHECKED, "gcc", SANITIZED)],
    ids=["gcc", "clang", "sanitizers"],
)
def test_generated_c_equals_the_reference(cases, tmp_path, record, runtime, compiler, flags):
    models = {case.name: case.model for case in cases}
    program = build_program(models, tmp_path, compiler, flags)
    _exactly(runtime, cases, run_program(program, {case.name: case.inputs for case in cases}, models), record)


@pytest.mark.arm
@pytest.mark.parametrize("core", CORES)
def test_an_emulated_core_equals_the_reference(cases, tmp_path, record, core):
    small = [case for case in cases if fits(case)]
    some = small[:: max(1, len(small) // EMULATED)]
    different = run_on(core, some, tmp_path)
    names = {"cortex-m0plus": summary.M0, "cortex-m3": summary.M3, "cortex-m4": summary.M4, "cortex-m55": summary.M55}
    record(Record(names[core], len(some), sum(case.expected.size for case in some), different))
    assert different == 0


@pytest.mark.tflm
def test_tensorflow_lite_micro_equals_the_reference_within_the_planned_arena(cases, tmp_path, record):
    results, heads = tflm([case.model for case in cases], [case.inputs for case in cases], tmp_path)
    planned = [plan(case.model.graph, ARENA_ALIGNMENT).total_bytes for case in cases]
    peaks = [peak_bytes(case.model.graph) for case in cases]
    excess = [head - peak for head, peak in zip(heads, peaks, strict=True)]
    in_place = sum(_adds_in_place(case.model.graph) for case in cases)
    notes = {
        "bytes of the arenas' heads": sum(heads),
        "bytes of the live peaks": sum(peaks),
        "networks whose head is the live peak": excess.count(0),
        "most bytes of a head beyond the live peak": max(excess),
        "additions in place": in_place,
    }
    _exactly(summary.TFLM, cases, dict(zip((case.name for case in cases), results, strict=True)), record, notes)
    # TFLM fills every tensor up to whole 16 bytes; nothing else stands between the plan and the arena.
    assert heads == [-(-size // ARENA_ALIGNMENT) * ARENA_ALIGNMENT for size in planned]


def _adds_in_place(graph):
    offsets = plan(graph, ARENA_ALIGNMENT).offsets
    return sum(isinstance(op, Add) and offsets[op.output] in (offsets[op.left], offsets[op.right]) for op in graph.ops)


def _exactly(runtime, cases, results, record, notes=None):
    """Records and asserts that logits are the reference's."""
    different = {case.name: int(np.count_nonzero(results[case.name] != case.expected)) for case in cases}
    steps = [np.abs(results[case.name].astype(int) - case.expected).max() for case in cases]
    images, argmax = len(cases) * IMAGES, sum(case.argmax_differs(results[case.name]) for case in cases)
    values = sum(case.expected.size for case in cases)
    record(Record(runtime, len(cases), values, sum(different.values()), int(max(steps)), images, argmax, notes))
    assert {name: count for name, count in different.items() if count} == {}


def _layer_by_layer(runtime, cases, compute, allowed, record):
    """Compares every operator with the reference on the runtime's own inputs, so that nothing adds up. `allowed(op)`: steps."""
    beyond, worst, values, argmax, ones = {}, 0, 0, 0, 0
    for case in cases:
        found = compute(case)
        for op in case.model.graph.ops:
            if isinstance(op, Flatten):
                continue
            difference = case.worst(op, found)
            values += found[op.output].size
            worst = max(worst, difference)
            ones += difference > 0
            if difference > allowed(op):
                beyond[case.name, op.name] = difference
        argmax += case.argmax_differs(found[case.model.graph.output])
    images = len(cases) * IMAGES
    record(Record(runtime, len(cases), values, len(beyond), worst, images, argmax, {"layers with a difference": ones}))
    assert beyond == {}


def test_litert_reference_kernels_equal_the_reference_layer_by_layer(cases, record):
    # They round a fully connected layer once, TFLM and the reference twice: at most one step apart there.
    _layer_by_layer(
        summary.LITERT, cases, lambda case: litert(case.model, case.inputs), lambda op: int(isinstance(op, Dense)), record
    )


def _file_as_it_comes(runtime, cases, compute, record, notes=None):
    """Runs, and counts how far the logits are off and how often another class wins."""
    logits = [compute(case) for case in cases]
    assert all(found.shape == case.expected.shape for found, case in zip(logits, cases, strict=True))
    worst = max(int(np.abs(found.astype(int) - case.expected).max()) for found, case in zip(logits, cases, strict=True))
    argmax = sum(case.argmax_differs(found) for found, case in zip(logits, cases, strict=True))
    values = sum(case.expected.size for case in cases)
    record(Record(runtime, len(cases), values, 0, worst, len(cases) * IMAGES, argmax, notes))


def test_litert_runs_the_file_with_its_default_kernels(cases, record):
    # But for networks with a layer that hardly says anything, for whose scales these kernels have no arithmetic.
    logits = {case.name: litert_default(case.model, case.inputs) for case in cases}
    refused = {name for name, found in logits.items() if found is None}
    accepted = [case for case in cases if case.name not in refused]
    notes = {"networks that XNNPACK refuses for a requantisation factor of 256 or more": len(refused)}
    _file_as_it_comes(summary.LITERT_DEFAULT, accepted, lambda case: logits[case.name], record, notes)
    # It refuses convolutions and dense layers; a depthwise one falls back to other kernels.
    assert refused <= {case.name for case in cases if largest_factor(case.model) >= XNNPACK_FACTOR}


@pytest.mark.parametrize("optimised", [True, False], ids=["optimised", "plain"])
def test_onnx_runtime_is_within_one_step_a_layer(cases, record, optimised):
    _layer_by_layer(
        summary.ONNX if optimised else summary.ONNX_PLAIN,
        cases,
        lambda case: onnx_layers(case.model, case.inputs, optimised=optimised),
        lambda _: 1,
        record,
    )


def test_onnx_runtime_runs_the_file(cases, record):
    _file_as_it_comes(summary.ONNX_FILE, cases, lambda case: onnx_logits(case.model, case.inputs), record)


def test_onnx_with_float_ends_is_the_same_network(cases, record):
    # To the bit where the runtime computes what stands in the file. Its optimiser fuses the two files differently at their ends.
    different, optimised = {}, []
    for case in cases:
        target = case.model.tensors[case.model.graph.output]
        integers = onnx_logits(case.model, case.inputs, optimised=False)
        real = (integers.astype(np.float32) - np.float32(target.zero_point)) * np.float32(target.scale)
        logits = onnx_float_logits(case.model, case.inputs, optimised=False)
        assert logits.dtype == np.float32
        if count := int(np.count_nonzero(logits != real)):
            different[case.name] = count
        steps = onnx_float_logits(case.model, case.inputs) / np.float32(target.scale)
        optimised.append((np.rint(steps) + target.zero_point).astype(np.int8))
    values = sum(case.expected.size for case in cases)
    record(Record(summary.ONNX_FLOAT, len(cases), values, sum(different.values())))
    results = {case.name: logits for case, logits in zip(cases, optimised, strict=True)}
    _file_as_it_comes(summary.ONNX_FLOAT_FILE, cases, lambda case: results[case.name], record)
    assert different == {}


@pytest.mark.tflm  # the compiler's wheel exists for the same machines
def test_the_ethos_u_compiler_accepts_the_file(cases, tmp_path, record):
    shares = vela([tflite(case.model) for case in cases], tmp_path)
    whole = sum(share == 1.0 for share in shares)
    record(Record(summary.VELA, len(cases), 0, notes={"networks that run on the NPU alone": whole}))
    assert min(shares) > 0


def test_trace_ends_in_run_and_does_not_depend_on_the_batch(monkeypatch):
    for case in chunk_cases(CORNERS)[::10]:
        monkeypatch.setattr("microzoo.quantise.reference.BATCH_BYTES", 1)  # one image at a time
        one_by_one = trace(case.model, case.inputs)
        monkeypatch.undo()
        assert set(one_by_one) == set(case.model.graph.shapes)
        assert np.array_equal(one_by_one[case.model.graph.output], case.expected)


@pytest.mark.arm
@pytest.mark.parametrize("core", CORES)
def test_the_firmware_notices_one_wrong_step(tmp_path, core):
    case = chunk_cases(CORNERS)[0]
    wrong = case.expected.copy()
    wrong[3, 1] ^= 1
    assert run_on(core, [replace(case, expected=wrong)], tmp_path) == 1


def test_the_same_number_gives_the_same_network_and_both_spaces_and_all_shapes_come_up():
    networks = [architecture_graph(seed) for seed in range(2 * len(SHAPES))]
    assert networks == [architecture_graph(seed) for seed in range(2 * len(SHAPES))]
    assert {graph.input_shape for graph in networks} == set(SHAPES)
    assert all(macs(graph) <= MAX_MACS and parameters(graph) <= MAX_PARAMETERS for graph in networks)


def test_the_summary_adds_up():
    records = [
        Record(summary.TFLM, 2, 10, 1, 3, 4, 1, {"a": 1, "most b": 5}),
        Record(summary.TFLM, 1, 5, 0, 1, 2, 0, {"most b": 2}),
    ]
    (total,) = summary.total(records)
    assert total == Record(summary.TFLM, 3, 15, 1, 3, 6, 1, {"a": 1, "most b": 5})
    assert summary.table(records)[2].startswith(f"| {summary.TFLM} | 3 | 15 | 0 | 1 | 3 | 1 of 6 |")


def test_the_report_goes_between_the_marks_and_nowhere_else(tmp_path, monkeypatch):
    monkeypatch.setattr(summary, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(summary, "RESULT", tmp_path / "build" / "result.json")
    summary.PAGE.write_text(f"# Before\n{summary.BEGIN}\nold\n{summary.END}\nafter\n")
    for _ in range(2):
        summary.publish([Record(summary.TFLM, 2, 10, 0, 0, 4, 1, {"additions in place": 1234})], seconds=1.6)
    text = summary.PAGE.read_text()
    assert text.startswith(f"# Before\n{summary.BEGIN}\n| compared") and text.endswith(f"{summary.END}\nafter\n")
    assert "old" not in text and text.count("additions in place: 1,234.") == 1
    result = json.loads(summary.RESULT.read_text())
    assert (result["seconds"], result["runtimes"][0]["argmax"]) == (2, 1)
    assert {"tflite-micro", "onnxruntime", "gcc"} <= set(result["versions"])
