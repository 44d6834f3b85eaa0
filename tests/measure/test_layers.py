"""Rows and sums, worked by hand for the residual model (files.py).

x 6*6*1 = 36 B; a, b, c 6*6*4 = 144 B; d, e 3*3*4 = 36 B; y 3 B.
parameters: conv 4*9*1 + 4 = 40; depthwise 9*4 + 4 = 40; dense 3*36 + 3 = 111.
MACs: conv 144*9 = 1296; depthwise 144*9 = 1296; dense 3*36 = 108.
"""

import dataclasses

import pytest

from microzoo.errors import MeasurementError
from microzoo.measure.activations import live_bytes, paper_ram_bytes, peak_bytes, planned_bytes
from microzoo.measure.layers import layer_rows, mac_count, parameter_count, weighted_channels
from microzoo.measure.tflite_file import parse_tflite, read_tflite

from .files import rewritten


@pytest.fixture
def parsed(entry):
    return read_tflite(entry / "model.tflite")


def test_rows_by_hand(parsed):
    rows = layer_rows(parsed)
    assert [(row.kind, row.inputs, row.output) for row in rows] == [
        ("CONV_2D", ("x",), "a"),
        ("DEPTHWISE_CONV_2D", ("a",), "b"),
        ("ADD", ("a", "b"), "c"),
        ("MAX_POOL_2D", ("c",), "d"),
        ("RESHAPE", ("d",), "e"),
        ("FULLY_CONNECTED", ("e",), "y"),
    ]
    assert [row.parameters for row in rows] == [40, 40, 0, 0, 0, 111]
    assert [row.macs for row in rows] == [1296, 1296, 0, 0, 0, 108]
    assert [row.kernel for row in rows] == [(3, 3), (3, 3), None, (2, 2), None, None]
    assert [row.output_shape for row in rows] == [(6, 6, 4), (6, 6, 4), (6, 6, 4), (3, 3, 4), (36,), (3,)]
    assert (parameter_count(parsed), mac_count(parsed), weighted_channels(parsed)) == (191, 2700, 8)


def test_four_definitions_of_live_bytes_by_hand(parsed):
    # While the sum is formed a, b and c are live; in place, c lies on a or b; the input is gone by then.
    assert peak_bytes(parsed) == 3 * 144
    assert paper_ram_bytes(parsed) == 2 * 144
    assert planned_bytes(parsed) == 2 * 144
    assert live_bytes(parsed) == (36 + 144, 288, 288, 144 + 36, 36, 36 + 3)


def test_without_a_plan_nothing_is_placed(parsed):
    bare = dataclasses.replace(parsed, offline_offsets=None)
    assert planned_bytes(bare) is None
    assert live_bytes(bare) == (180, 288, 432, 180, 72, 39)
    partial = dataclasses.replace(parsed, offline_offsets=tuple(-1 for _ in parsed.tensors))
    assert planned_bytes(partial) is None


def test_the_paper_excludes_the_input(parsed):
    # The first convolution alone: input 36 B + output 144 B live, of which the paper counts the output.
    first = dataclasses.replace(parsed, ops=parsed.ops[:1], outputs=parsed.ops[0].outputs)
    assert (peak_bytes(first), paper_ram_bytes(first)) == (180, 144)


def test_a_plan_that_overlaps_live_tensors_is_refused(parsed):
    flat = dataclasses.replace(parsed, offline_offsets=tuple(0 for _ in parsed.tensors))
    with pytest.raises(MeasurementError, match='overlaps "x" and "a", both live at operator 0'):
        planned_bytes(flat)


def test_an_operator_without_a_rule_is_named_never_zero(entry):
    def tanh(m):
        m.operatorCodes[2].builtinCode = m.operatorCodes[2].deprecatedBuiltinCode = 28
        m.subgraphs[0].operators[2].builtinOptions = None
        m.subgraphs[0].operators[2].builtinOptionsType = 0

    with pytest.raises(MeasurementError, match='operator 2 is TANH, written to "c": no rule'):
        layer_rows(parse_tflite(rewritten((entry / "model.tflite").read_bytes(), tanh)))


def test_weights_that_do_not_fit_are_refused(parsed):
    weights = parsed.ops[0].inputs[1]
    tensors = list(parsed.tensors)
    tensors[weights] = dataclasses.replace(tensors[weights], shape=(5, 3, 3, 1))
    with pytest.raises(MeasurementError, match=r"operator 0 \(CONV_2D\): weights"):
        layer_rows(dataclasses.replace(parsed, tensors=tuple(tensors)))
