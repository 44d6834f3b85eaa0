"""Int8 .tflite files as TensorFlow's converter lays them out, written by hand: what our own exporter never writes.

Constants stand before activations, each activation function is fused or not, biases carry scales, shapes have a signature with a
batch of -1, and operators may be any of the schema.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

KINDS = {name: number for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
TYPES = {np.dtype(np.int8): 9, np.dtype(np.int32): 2, np.dtype(np.float32): 0, np.dtype(np.uint8): 3, np.dtype(np.int64): 4}
VERSIONS = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 12, "MAX_POOL_2D": 2, "AVERAGE_POOL_2D": 2, "ADD": 2, "PAD": 2,
    "SOFTMAX": 2, "MEAN": 2, "DEQUANTIZE": 2, "LOGISTIC": 2,
}  # fmt: skip
"""The first version of each with int8 tensors; 1 for all others."""


class TfModel:
    """Tensors by index; every operator method returns the index of what it writes."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors: list[Any] = []
        self.buffers: list[Any] = [schema.BufferT()]
        self.codes: list[int] = []
        self.operators: list[Any] = []
        self.metadata: list[Any] = []

    def tensor(self, shape: tuple[int, ...], scale: Any = None, zero: int = 0, dtype: Any = np.int8, **more: Any) -> int:
        quantisation, axis = None, more.pop("axis", 0)
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32)).tolist()
            quantisation = schema.QuantizationParametersT(scale=scales, zeroPoint=[zero] * len(scales), quantizedDimension=axis)
        kind = TYPES[np.dtype(dtype)]
        name = more.pop("name", f"functional/tensor:{len(self.tensors)}")
        signature = [-1, *shape[1:]] if len(shape) > 1 and "buffer" not in more else None
        tensor = schema.TensorT(
            shape=list(shape), shapeSignature=signature, type=kind, name=name, quantization=quantisation, **more
        )
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, values: Any, scale: Any = None, axis: int = 0) -> int:
        self.buffers.append(schema.BufferT(data=np.frombuffer(values.tobytes(), np.uint8)))
        return self.tensor(values.shape, scale, 0, values.dtype, buffer=len(self.buffers) - 1, axis=axis)

    def op(self, kind: str, inputs: list[int], output: int, options: str | None = None, **fields: Any) -> int:
        number = KINDS[kind]
        if number not in self.codes:
            self.codes.append(number)
        table = getattr(schema, f"{options}T")(**fields) if options else None
        self.operators.append(
            schema.OperatorT(
                opcodeIndex=self.codes.index(number),
                inputs=inputs,
                outputs=[output],
                builtinOptionsType=getattr(schema.BuiltinOptions, options) if options else 0,
                builtinOptions=table,
            )
        )
        return output

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(self.tensors[index].shape)

    def scale(self, index: int) -> float:
        return float(self.tensors[index].quantization.scale[0])

    def zero(self, index: int) -> int:
        return int(self.tensors[index].quantization.zeroPoint[0])

    def weights(self, shape: tuple[int, ...], axis: int, *, per_channel: bool, low: int = -127) -> tuple[int, Any, int]:
        """Index of the weights, their scales, units."""
        values = self.rng.integers(low, 128, shape, dtype=np.int8)
        values.reshape(-1)[: 3 if low == -128 else 0] = -128
        scales = self.rng.uniform(0.002, 0.006, shape[axis] if per_channel else 1).astype(np.float32)
        return self.constant(values, scales, axis), scales, shape[axis]

    def bias(self, x: int, scales: Any, units: int) -> int:
        product = np.broadcast_to((np.float32(self.scale(x)) * scales).astype(np.float32), len(scales))
        return self.constant(self.rng.integers(-3000, 3000, units, dtype=np.int32), product)

    def _out(self, x: int, scales: Any, terms: int) -> float:
        """A scale that spreads the sums over the int8 range."""
        return float(np.mean(scales)) * self.scale(x) * sqrt(terms) * 73 * 74 / 50

    def conv(
        self,
        x: int,
        filters: int,
        kernel: int = 3,
        stride: int = 1,
        padding: str = "VALID",
        activation: str = "NONE",
        **more: Any,
    ) -> int:
        n, h, w, c = self.shape(x)
        depthwise, dilation = more.get("depthwise", False), more.get("dilation", 1)
        shape = (1, kernel, kernel, filters) if depthwise else (filters, kernel, kernel, c // more.get("groups", 1))
        weight, scales, units = self.weights(
            shape, 3 if depthwise else 0, per_channel=more.get("per_channel", True), low=more.get("low", -127)
        )
        inputs = [x, weight, *([self.bias(x, scales, units)] if more.get("bias", True) else [])]
        reach = dilation * (kernel - 1) + 1
        size = [-(-e // stride) if padding == "SAME" else (e - reach) // stride + 1 for e in (h, w)]
        scale = more.get("scale", self._out(x, scales, kernel * kernel * (1 if depthwise else c)))
        y = self.tensor((n, *size, filters), scale, more.get("zero", -128 if activation != "NONE" else 5))
        fields = {
            "padding": getattr(schema.Padding, padding), "strideH": stride, "strideW": stride, "dilationHFactor": dilation,
            "dilationWFactor": dilation, "fusedActivationFunction": getattr(schema.ActivationFunctionType, activation),
        }  # fmt: skip
        if depthwise:
            return self.op("DEPTHWISE_CONV_2D", inputs, y, "DepthwiseConv2DOptions", depthMultiplier=filters // c, **fields)
        return self.op("CONV_2D", inputs, y, "Conv2DOptions", **fields)

    def dense(self, x: int, units: int, activation: str = "NONE", **more: Any) -> int:
        features = prod(self.shape(x)) // self.shape(x)[0] if "features" not in more else more["features"]
        weight, scales, _ = self.weights(
            (units, features), 0, per_channel=more.get("per_channel", False), low=more.get("low", -127)
        )
        bias = self.bias(x, scales, units)
        shape = (*self.shape(x)[:-1], units) if more.get("keep") else (self.shape(x)[0], units)
        y = self.tensor(shape, self._out(x, scales, features), more.get("zero", -128 if activation != "NONE" else -9))
        return self.op(
            "FULLY_CONNECTED", [x, weight, bias], y, "FullyConnectedOptions", keepNumDims=bool(more.get("keep")),
            fusedActivationFunction=getattr(schema.ActivationFunctionType, activation),
        )  # fmt: skip

    def pool(
        self, x: int, kind: str, kernel: int, stride: int, padding: str = "VALID", activation: str = "NONE", **more: Any
    ) -> int:
        n, h, w, c = self.shape(x)
        size = [-(-e // stride) if padding == "SAME" else (e - kernel) // stride + 1 for e in (h, w)]
        y = self.tensor((n, *size, c), more.get("scale", self.scale(x)), self.zero(x))
        return self.op(
            kind, [x], y, "Pool2DOptions", padding=getattr(schema.Padding, padding), strideH=stride, strideW=stride,
            filterHeight=kernel, filterWidth=kernel, fusedActivationFunction=getattr(schema.ActivationFunctionType, activation),
        )  # fmt: skip

    def add(self, a: int, b: int, activation: str = "NONE", zero: int = -20) -> int:
        y = self.tensor(self.shape(a), 0.8 * (self.scale(a) + self.scale(b)), zero)
        return self.op("ADD", [a, b], y, "AddOptions", fusedActivationFunction=getattr(schema.ActivationFunctionType, activation))

    def like(self, kind: str, x: int, shape: tuple[int, ...], *constants: Any, options: str | None = None, **fields: Any) -> int:
        """An operator that keeps scale and zero point."""
        inputs = [x, *(self.constant(np.asarray(each)) for each in constants)]
        return self.op(kind, inputs, self.tensor(shape, self.scale(x), self.zero(x)), options, **fields)

    def reshape(self, x: int, shape: tuple[int, ...]) -> int:
        return self.like("RESHAPE", x, shape, np.array(shape, np.int32), options="ReshapeOptions", newShape=list(shape))

    def mean(self, x: int, scale: float, zero: int, *, keep: bool = False) -> int:
        n, _, _, c = self.shape(x)
        y = self.tensor((n, 1, 1, c) if keep else (n, c), scale, zero)
        return self.op("MEAN", [x, self.constant(np.array([1, 2], np.int32))], y, "ReducerOptions", keepDims=keep)

    def softmax(self, x: int) -> int:
        return self.op("SOFTMAX", [x], self.tensor(self.shape(x), 1 / 256, -128), "SoftmaxOptions", beta=1.0)

    def data(self, inputs: list[int], outputs: list[int]) -> bytes:
        graph = schema.SubGraphT(tensors=self.tensors, inputs=inputs, outputs=outputs, operators=self.operators, name=b"main")
        names = {number: name for name, number in KINDS.items()}
        codes = [
            schema.OperatorCodeT(deprecatedBuiltinCode=min(n, 127), builtinCode=n, version=VERSIONS.get(names[n], 1))
            for n in self.codes
        ]
        signature = schema.SignatureDefT(
            inputs=[schema.TensorMapT(name=b"x", tensorIndex=inputs[0])],
            outputs=[schema.TensorMapT(name=b"y", tensorIndex=outputs[0])],
            signatureKey=b"serving_default",
        )  # fmt: skip
        self.buffers.append(schema.BufferT(data=np.frombuffer(b"1.14.0\0\0", np.uint8)))
        metadata = [*self.metadata, schema.MetadataT(name=b"min_runtime_version", buffer=len(self.buffers) - 1)]
        model = schema.ModelT(
            version=3, operatorCodes=codes, subgraphs=[graph], description=b"MLIR Converted.", buffers=self.buffers,
            signatureDefs=[signature], metadata=metadata,
        )  # fmt: skip
        builder = flatbuffers.Builder(1 << 14)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def mobile(seed: int = 0, softmax: bool = True) -> bytes:
    """Conv, depthwise, pointwise, a residual sum, average pooling, dense on a map without RESHAPE, softmax."""
    m = TfModel(seed)
    x = m.tensor((1, 12, 12, 3), 1 / 255, -128)
    a = m.conv(x, 8, 3, 2, "SAME", "RELU6", scale=6 / 255)
    b = m.conv(a, 8, 3, 1, "SAME", "RELU6", depthwise=True, scale=6 / 255)
    c = m.conv(b, 8, 1, 1, "VALID", "NONE", zero=17)
    d = m.add(a, c, "RELU", zero=-128)
    e = m.pool(d, "AVERAGE_POOL_2D", 6, 6)
    y = m.dense(e, 5)
    return m.data([x], [m.softmax(y) if softmax else y])


def corners() -> dict[str, bytes]:
    """What converters write and our exporter does not, all within what can be taken over."""
    found = {"mobile": mobile(softmax=False)}

    m = TfModel(1)
    x = m.tensor((1, 7, 6, 2), 0.04, 11)
    a = m.conv(x, 5, 3, 2, "SAME", "RELU", per_channel=False, low=-128, bias=False, zero=-100)
    b = m.conv(a, 5, 3, 1, "SAME", "NONE", depthwise=True, low=-128, per_channel=False)
    found["-128 weights, one scale, no bias, a ReLU at -100"] = m.data([x], [m.dense(m.reshape(b, (1, 60)), 3, low=-128)])

    m = TfModel(2)
    x = m.tensor((1, 5, 5, 2), 0.05, -3)
    a = m.conv(x, 6, 3, 1, "VALID", "RELU")
    b = m.dense(a, 7, "RELU", per_channel=True)
    found["dense with a scale for each unit"] = m.data([x], [m.dense(b, 4, per_channel=True)])

    m = TfModel(3)
    x = m.tensor((1, 20), 0.1, 4)
    a = m.dense(x, 16, "RELU", keep=True)
    b = m.add(a, m.dense(x, 16), zero=30)
    found["no map at all"] = m.data([x], [m.dense(b, 20)])

    m = TfModel(4)
    x = m.tensor((1, 8, 5, 1), 0.1, 4)
    a = m.conv(x, 6, 3, 1, "SAME", "RELU", depthwise=True)
    b = m.like("PAD", a, (1, 10, 8, 6), np.array([[0, 0], [1, 1], [2, 1], [0, 0]], np.int32), options="PadOptions")
    c = m.conv(b, 4, 3, 2, "VALID", "RELU_N1_TO_1", scale=1 / 128, zero=0)
    found["one channel multiplied, a pad, a clamp to the whole range"] = m.data([x], [c])

    for size, seed in ((4, 5), (8, 6)):
        m = TfModel(seed)
        x = m.tensor((1, size, size, 3), 0.03, -20)
        a = m.conv(x, 9, 3, 1, "SAME", "RELU")
        found[f"mean over {size} x {size}"] = m.data([x], [m.dense(m.mean(a, m.scale(a) * 0.6, -128, keep=size == 4), 4)])

    m = TfModel(7)
    x = m.tensor((1, 48), 0.03, -20)
    a = m.conv(m.reshape(x, (1, 6, 4, 2)), 4, 3, 1, "SAME", "RELU")
    b = m.pool(a, "MAX_POOL_2D", 2, 2, "SAME", "RELU")
    c = m.like("SQUEEZE", m.pool(b, "AVERAGE_POOL_2D", 2, 1), (1, 2, 4), options="SqueezeOptions", squeezeDims=[2])
    found["reshaped input, pools padded by nothing"] = m.data([x], [m.dense(m.reshape(c, (1, 8)), 4)])
    return found


def branches(seed: int = 0) -> bytes:
    """Two branches in the worse order, joined: the file's order holds two wide tensors at once, and the sum is not in place."""
    m = TfModel(seed)
    x = m.tensor((1, 8, 8, 4), 0.05, 2)
    wide, wide2 = m.conv(x, 32, 1, activation="RELU"), m.conv(x, 32, 3, padding="SAME", activation="RELU")
    a, b = m.conv(wide, 8, 1), m.conv(wide2, 8, 1)
    c = m.add(a, b)
    return m.data([x], [m.softmax(m.dense(m.pool(c, "AVERAGE_POOL_2D", 8, 8), 6))])
