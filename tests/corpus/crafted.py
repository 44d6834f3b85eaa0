"""Sound flatbuffers and protobufs whose graphs are not: operators without inputs, odd attributes, long and wide graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import helper, numpy_helper

from ..importer.onnx_like import OnnxModel, broadcast_sum, flat_sum  # noqa: TID252  # tests are no package with a name
from ..importer.tf_like import TfModel  # noqa: TID252  # tests are no package with a name


def tflite_files() -> dict[str, bytes]:
    """By what is wrong with them."""
    made = {}

    def case(name: str, end: Callable[[TfModel, int], int]) -> None:
        """end: (file, a 4 x 4 x 4 map that a convolution writes) -> the output."""
        m = TfModel()
        x = m.tensor((1, 6, 6, 3), 0.05, 1)
        y = m.conv(x, 4)
        output = end(m, y)
        made[name] = m.data([x], [output])

    def result(m: TfModel, shape: tuple[int, ...] = (1, 4, 4, 4)) -> int:
        return m.tensor(shape, 0.1, 1)

    def without_options(m: TfModel, y: int) -> int:
        m.operators[-1].builtinOptions, m.operators[-1].builtinOptionsType = None, 0
        return y

    def with_zero_points(m: TfModel, y: int, values: list[int]) -> int:
        m.tensors[y].quantization.zeroPoint = values
        return y

    axes = np.zeros(0, np.int32)
    case("constant output", lambda m, _: m.constant(np.zeros((1, 4), np.int8), 0.1))
    for kind in (
        "RESHAPE",
        "SOFTMAX",
        "QUANTIZE",
        "DEQUANTIZE",
        "ADD",
        "MEAN",
        "PAD",
        "CONV_2D",
        "FULLY_CONNECTED",
        "MAX_POOL_2D",
    ):
        case(f"{kind} of nothing", lambda m, _, kind=kind: m.op(kind, [], result(m)))
        case(f"{kind} of what is left out", lambda m, _, kind=kind: m.op(kind, [-1, -1], result(m)))
        if kind != "SOFTMAX":  # which reads one
            case(f"{kind} of one", lambda m, y, kind=kind: m.op(kind, [y], result(m)))
    case("tiny scale", lambda m, y: m.conv(y, 4, 1, activation="RELU6", scale=1.2e-38))
    case("convolution without options", without_options)
    case("pooling without options", lambda m, y: without_options(m, m.pool(y, "AVERAGE_POOL_2D", 2, 2)))
    case("no zero point", lambda m, y: with_zero_points(m, y, []))
    case("huge zero point", lambda m, y: with_zero_points(m, y, [2**62]))
    case("sum with a number", lambda m, y: m.op("ADD", [y, m.constant(np.int8(3).reshape(()), 0.1)], result(m), "AddOptions"))
    case("mean over nothing", lambda m, y: m.op("MEAN", [y, m.constant(axes)], result(m, (1, 4)), "ReducerOptions"))
    case("flat padding", lambda m, y: m.op("PAD", [y, m.constant(np.zeros((4, 2), np.int32))], result(m, (1, 64))))
    case("shape of rank 1", lambda m, y: m.op("RESHAPE", [y], result(m, (64,))))
    return made


def long_and_wide() -> dict[str, bytes]:
    """2,000 operators one after the other with a memory plan, and 1,500 that are all kept to the end."""
    m = TfModel()
    x = y = m.tensor((1, 8, 8, 1), 0.05, 1)
    for _ in range(2000):
        y = m.op("LOGISTIC", [y], m.tensor((1, 8, 8, 1), 0.05, 1))
    plan = [1, 0, len(m.tensors), *(index % 2 * 64 for index in range(len(m.tensors)))]
    m.buffers.append(schema.BufferT(data=np.frombuffer(np.array(plan, "<i4").tobytes(), np.uint8)))
    m.metadata.append(schema.MetadataT(name=b"OfflineMemoryAllocation", buffer=len(m.buffers) - 1))
    made = {"long": m.data([x], [y])}
    m = TfModel()
    x = m.tensor((1, 4), 0.05, 1)
    ends = [m.op("LOGISTIC", [x], m.tensor((1, 4), 0.05, 1)) for _ in range(1500)]
    joined = m.op("CONCATENATION", ends, m.tensor((1, 6000), 0.05, 1), "ConcatenationOptions")
    return made | {"wide": m.data([x], [joined])}


def onnx_files() -> dict[str, bytes]:
    """By what is wrong with them."""
    made = {"flat sum": flat_sum(), "broadcast sum": broadcast_sum()}

    def case(name: str, change: Callable[[OnnxModel], Any]) -> None:
        m = OnnxModel((1, 2, 3, 3))
        output = m.gemm(m.node("Flatten", m.conv(m.quantised("x"), 2, 4, 3)), 4, 5)
        change(m)
        made[name] = m.data(output)

    def attribute(kind: str, name: str, value: Any) -> Callable[[OnnxModel], Any]:
        return lambda m: m.find(kind).attribute.append(helper.make_attribute(name, value))

    def quantised(m: OnnxModel) -> str:
        return str(m.find("DequantizeLinear").output[0])

    def empty_scale(m: OnnxModel, place: int) -> None:
        name = m.find("DequantizeLinear", place).input[1]
        next(each for each in m.constants if each.name == name).CopyFrom(numpy_helper.from_array(np.zeros(0, np.float32), name))

    for kind in ("QuantizeLinear", "DequantizeLinear"):
        case(f"{kind} of one input", lambda m, kind=kind: [m.find(kind).input.pop() for _ in range(2)])
    for kind, name, value in (
        ("Conv", "group", "abc"), ("Conv", "dilations", 1), ("Conv", "auto_pad", "a\nb\x1b"), ("Gemm", "alpha", "x"),
        ("Gemm", "transB", "x"), ("DequantizeLinear", "axis", "abc"), ("Flatten", "axis", "abc"),
    ):  # fmt: skip
        case(f"{name} {value!r} of {kind}", attribute(kind, name, value))
    case("axes that are no list", lambda m: m.node("ReduceMean", quantised(m), axes=3))
    case("window of 0", lambda m: m.node("MaxPool", quantised(m), kernel_shape=[0, 0], strides=[0, 0]))
    case("sum of one", lambda m: m.node("Add", quantised(m)))
    case("Relu of nothing", lambda m: m.node("Relu"))
    case("Clip of a constant", lambda m: m.node("Clip", "c0", "c1"))
    case("empty scale of the input", lambda m: empty_scale(m, 0))
    case("empty scale of weights", lambda m: empty_scale(m, 1))
    return made
