import pytest

from microzoo.errors import MeasurementError
from microzoo.measure.activations import planned_bytes
from microzoo.measure.arena import measure_arena, tail_32bit_bytes, total_32bit_bytes
from microzoo.measure.tflite_file import read_tflite

from .files import rewritten


@pytest.mark.tflm
def test_the_head_is_what_the_file_plans(entry, tmp_path):
    arena = measure_arena(entry / "model.tflite")
    model = read_tflite(entry / "model.tflite")
    assert arena.head_bytes == planned_bytes(model) == 288
    assert arena.total_bytes == arena.head_bytes + arena.tail_bytes
    assert tail_32bit_bytes(model) < arena.tail_bytes, "pointers of 32 bits are shorter"
    # Without the plan TFLM's own planner does not add in place: a, b and c at once.
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(rewritten((entry / "model.tflite").read_bytes(), lambda m: setattr(m, "metadata", [])))
    assert measure_arena(bare).head_bytes == 3 * 144


def test_the_32_bit_estimate_by_hand(entry):
    model = read_tflite(entry / "model.tflite")
    # 13 tensors (7 activations, 3 weights, 3 biases), 6 operators, 8 convolution channels.
    assert tail_32bit_bytes(model) == 12 * 13 + 92 * 6 + 8 * 8 + 614
    assert total_32bit_bytes(model, None) == 288 + tail_32bit_bytes(model)
    assert total_32bit_bytes(model, 1000) == 1000 + tail_32bit_bytes(model)


@pytest.mark.tflm
def test_a_file_that_tflm_refuses_is_one_line(entry, tmp_path):
    def old_pool(m):
        m.subgraphs[0].tensors[m.subgraphs[0].outputs[0]].quantization = None

    broken = tmp_path / "broken.tflite"
    broken.write_bytes(rewritten((entry / "model.tflite").read_bytes(), old_pool))
    with pytest.raises(MeasurementError, match=r"broken\.tflite in TensorFlow Lite Micro") as caught:
        measure_arena(broken)
    assert "\n" not in str(caught.value)
