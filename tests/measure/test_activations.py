"""Live bytes against brute force on random graphs: simulate the run and add up what some later operator still reads."""

import numpy as np
import pytest

from microzoo.errors import MeasurementError
from microzoo.measure.activations import live_bytes, paper_ram_bytes, peak_bytes, planned_bytes
from microzoo.measure.tflite_file import TfliteModel, TfliteOp, TfliteTensor


def random_model(seed: int) -> TfliteModel:
    """Up to 12 operators over tensors of few sizes, so that sums in place occur; every operator reads earlier tensors."""
    rng = np.random.default_rng(seed)
    sizes = [int(rng.choice([8, 16, 24]))]
    ops = []
    for index in range(int(rng.integers(1, 13))):
        reads = rng.integers(0, index + 1, 2).tolist()
        if rng.random() < 0.4 and sizes[reads[0]] == sizes[reads[1]]:
            ops.append(TfliteOp("ADD", tuple(reads), (index + 1,)))
            sizes.append(sizes[reads[0]])
        else:
            ops.append(TfliteOp("CONV_2D", (reads[0],), (index + 1,)))
            sizes.append(int(rng.choice([8, 16, 24])))
    tensors = tuple(TfliteTensor(f"t{i}", (1, size), "INT8", size, False, (), ()) for i, size in enumerate(sizes))
    return TfliteModel(tensors, tuple(ops), (0,), (len(ops),), None, 0)


def brute_force_peak(model: TfliteModel) -> int:
    """At every operator: what exists and is read now or later, or is the model's output, and what is being written."""
    peak = 0
    for index, op in enumerate(model.ops):
        exists = {0, *(o for former in model.ops[:index] for o in former.outputs)}
        needed = {i for later in model.ops[index:] for i in later.inputs} | set(model.outputs)
        peak = max(peak, sum(model.tensors[i].bytes for i in (exists & needed) | set(op.outputs)))
    return peak


def brute_force_paper(model: TfliteModel) -> int:
    """The same without the input; a sum takes no bytes of its own where an operand other than the input is not needed later."""
    peak = 0
    for index, op in enumerate(model.ops):
        exists = {o for former in model.ops[:index] for o in former.outputs}
        needed = {i for later in model.ops[index:] for i in later.inputs} | set(model.outputs)
        after = {i for later in model.ops[index + 1 :] for i in later.inputs} | set(model.outputs)
        in_place = op.kind == "ADD" and any(i not in after and i != 0 for i in op.inputs)
        peak = max(peak, sum(model.tensors[i].bytes for i in (exists & needed) | (set() if in_place else set(op.outputs))))
    return peak


def test_peaks_equal_brute_force():
    in_place = 0
    for seed in range(400):
        model = random_model(seed)
        assert peak_bytes(model) == brute_force_peak(model), seed
        assert paper_ram_bytes(model) == brute_force_paper(model), seed
        assert max(live_bytes(model)) == peak_bytes(model), seed
        in_place += any(op.kind == "ADD" for op in model.ops)
    assert in_place > 100


def test_a_plan_side_by_side_is_its_sum_and_any_partial_overlap_is_refused():
    for seed in range(50):
        model = random_model(seed)
        starts = np.cumsum([0, *(tensor.bytes for tensor in model.tensors)]).tolist()
        apart = TfliteModel(model.tensors, model.ops, (0,), model.outputs, tuple(starts[:-1]), 0)
        assert planned_bytes(apart) == starts[-1], seed
        shifted = tuple(start - 1 if i else 0 for i, start in enumerate(starts[:-1]))
        first = model.ops[0]
        if first.inputs[0] == 0 and first.outputs == (1,):
            with pytest.raises(MeasurementError, match="overlaps"):
                planned_bytes(TfliteModel(model.tensors, model.ops, (0,), model.outputs, shifted, 0))
