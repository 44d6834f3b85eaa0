"""The parser: what a file states comes out, and damaged bytes give one line, quickly, and nothing else."""

import struct
import time

import numpy as np
import pytest

from microzoo.errors import MeasurementError
from microzoo.measure.layers import layer_rows
from microzoo.measure.tflite_file import MAX_FILE_BYTES, parse_tflite, read_tflite

from .files import rewritten


@pytest.fixture
def data(entry):
    return (entry / "model.tflite").read_bytes()


def test_what_the_file_states(data):
    model = parse_tflite(data)
    assert [op.kind for op in model.ops] == [
        "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED",
    ]  # fmt: skip
    assert [op.relu for op in model.ops] == [True, False, True, False, False, False]
    assert [op.stride for op in model.ops] == [(1, 1), (1, 1), None, (2, 2), None, None]
    assert model.ops[3].kernel == (2, 2)
    source, result = model.tensors[model.inputs[0]], model.tensors[model.outputs[0]]
    assert (source.name, source.shape, source.dtype, source.bytes) == ("x", (1, 6, 6, 1), "INT8", 36)
    assert (result.name, result.shape, result.zero_points) == ("y", (1, 3), (11,))
    assert source.scales == (pytest.approx(0.02, rel=1e-6),)
    assert [tensor.constant for tensor in model.tensors].count(True) == 6
    assert model.offline_offsets is not None and len(model.offline_offsets) == len(model.tensors)
    assert model.file_bytes == len(data)


def test_no_plan_gives_no_offsets(data):
    assert parse_tflite(rewritten(data, lambda m: setattr(m, "metadata", []))).offline_offsets is None


def _two_subgraphs(m):
    m.subgraphs.append(m.subgraphs[0])


def _dynamic(m):
    m.subgraphs[0].tensors[0].shapeSignature = [1, -1, 6, 1]


def _empty_dimension(m):
    m.subgraphs[0].tensors[1].shape = [1, 0, 6, 4]


def _string_tensor(m):
    m.subgraphs[0].tensors[1].type = 5


def _custom(m):
    m.operatorCodes[0].builtinCode, m.operatorCodes[0].customCode = 32, "MyOp"


def _no_such_buffer(m):
    m.subgraphs[0].tensors[1].buffer = 999


def _short_constant(m):
    index = m.subgraphs[0].operators[0].inputs[1]
    m.buffers[m.subgraphs[0].tensors[index].buffer].data = np.zeros(3, np.uint8)


def _no_such_tensor(m):
    m.subgraphs[0].operators[1].inputs = [77, 3, 4]


def _no_such_code(m):
    m.subgraphs[0].operators[1].opcodeIndex = 9


def _reads_ahead(m):
    m.subgraphs[0].operators.reverse()


def _short_plan(m):
    entry = next(e for e in m.metadata if e.name in (b"OfflineMemoryAllocation", "OfflineMemoryAllocation"))
    m.buffers[entry.buffer].data = m.buffers[entry.buffer].data[:-4]


def _huge(m):
    m.subgraphs[0].tensors[1].shape = [2**31 - 1] * 4


def _negative_scale(m):
    m.subgraphs[0].tensors[1].quantization.scale = [-1.0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_two_subgraphs, "2 subgraphs"),
        (_dynamic, r'"x" has the dynamic shape \(1, -1, 6, 1\)'),
        (_empty_dimension, r"\(1, 0, 6, 4\); dimensions must be at least 1"),
        (_string_tensor, "STRING"),
        (_custom, "operator 0 is the custom operator 'MyOp'"),
        (_no_such_buffer, "names buffer 999 of"),
        (_short_constant, "needs 36 bytes, its buffer holds 3"),
        (_no_such_tensor, "inputs of operator 1 name tensor 77 of"),
        (_no_such_code, "operator 1 names operator code 9 of"),
        (_reads_ahead, "before it is written"),
        (_short_plan, "OfflineMemoryAllocation has"),
        (_huge, "would take"),
        (_negative_scale, "negative or not finite"),
    ],
)
def test_each_fault_is_named(data, change, text):
    with pytest.raises(MeasurementError, match=text) as caught:
        parse_tflite(rewritten(data, change), "some.tflite")
    assert str(caught.value).startswith("some.tflite: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [b"", b"TFL3", b"GIF89a......", b"\0\0\0\0TFL3", bytes(100)])
def test_what_is_no_tflite_at_all(wrong):
    with pytest.raises(MeasurementError):
        parse_tflite(wrong)


def test_a_missing_and_a_huge_file(tmp_path):
    with pytest.raises(MeasurementError, match="cannot be read"):
        read_tflite(tmp_path / "none.tflite")
    with (tmp_path / "huge.tflite").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(MeasurementError, match="at most"):
        read_tflite(tmp_path / "huge.tflite")


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_give_one_line_and_never_hang(data, seed):
    rng = np.random.default_rng(seed)
    refused: list[str] = []
    for _ in range(100):
        mutant = bytearray(data)
        for _ in range(int(rng.integers(1, 6))):
            place = int(rng.integers(8, len(mutant) - 4))
            if rng.random() < 0.5:
                mutant[place] ^= 1 << int(rng.integers(8))
            else:
                extremes = (0, 1, -1, 2**31 - 1, -(2**31), 2**24, int(rng.integers(-1000, 1000)))
                struct.pack_into("<i", mutant, place & ~3, extremes[int(rng.integers(len(extremes)))])
        if rng.random() < 0.3:
            del mutant[int(rng.integers(8, len(mutant))) :]
        started = time.perf_counter()
        try:
            layer_rows(parse_tflite(bytes(mutant)))
        except MeasurementError as error:
            refused.append(str(error))
        assert time.perf_counter() - started < 2.0, seed
    assert not any("\n" in text for text in refused), seed
    assert len(refused) > 20, "the mutations hit nothing"
