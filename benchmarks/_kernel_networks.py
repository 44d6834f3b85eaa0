"""The networks of `kernels.py`: three drawn by hand with random weights, and the published ones of the zoo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from _lab import ROOT
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad, Shape, same_padding, weight_shape

Builtin = schema.BuiltinOperator


def networks() -> dict[str, IntegerModel]:
    """Name -> model."""
    drawn = {"resdw": resdw(), "unas28": unas28(), "dscnn": dscnn()}
    models = {name: random_model(graph) for name, graph in drawn.items()}
    for path in sorted(ROOT.glob("zoo/*/*/accurate/model.tflite")):
        if path.parts[-4] in ("digits", "fashion-mnist"):
            models["/".join(path.parts[-4:-2])] = read_model(path.read_bytes())
    return models


class _Drawing:
    """Appends operators; each method returns the name of the new tensor."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.ops: list[Op] = []

    def _append(self, op: Op) -> str:
        self.ops.append(replace(op, name=f"op{len(self.ops)}", output=f"t{len(self.ops)}"))
        return self.ops[-1].output

    def graph(self) -> Graph:
        return Graph("x", self.shape, tuple(self.ops), self.ops[-1].output)

    def _window(self, x: str, kernel: tuple[int, int], stride: int, same: bool) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, Shape] = {"x": self.shape} if not self.ops else self.graph().shapes
        padding = same_padding(*shapes[x][:2], kernel, (stride, stride)) if same else (0, 0, 0, 0)
        return {"kernel": kernel, "stride": (stride, stride), "padding": padding}

    def conv(self, x: str, filters: int, kernel: tuple[int, int], stride: int = 1, same: bool = True, relu: bool = True) -> str:
        return self._append(Conv("", x, "", filters, relu=relu, **self._window(x, kernel, stride, same)))  # type: ignore[arg-type]

    def depthwise(self, x: str, stride: int = 1, same: bool = True, relu: bool = True) -> str:
        return self._append(Depthwise("", x, "", relu=relu, **self._window(x, (3, 3), stride, same)))  # type: ignore[arg-type]

    def max_pool(self, x: str) -> str:
        return self._append(MaxPool("", x, "", (2, 2), (2, 2)))

    def add(self, left: str, right: str, relu: bool) -> str:
        return self._append(Add("", left, right, "", relu))

    def classifier(self, x: str, window: tuple[int, int], units: tuple[int, ...]) -> Graph:
        x = self._append(Flatten("", self._append(AvgPool("", x, "", window, window)), ""))
        for index, count in enumerate(units):
            x = self._append(Dense("", x, "", count, relu=index + 1 < len(units)))
        return self.graph()


def resdw() -> Graph:
    """32x32x3, residual branches of depthwise and 3x3 convolutions."""
    d = _Drawing((32, 32, 3))
    stem = d.conv("x", 16, (3, 3), 2)
    x = d.add(d.conv(d.depthwise(stem), 16, (1, 1), relu=False), stem, relu=True)
    x = d.max_pool(d.conv(x, 24, (3, 3), same=False))
    side = d.conv(d.depthwise(x, 2, same=False), 32, (1, 1))
    x = d.add(d.conv(side, 32, (3, 3), relu=False), side, relu=False)
    return d.classifier(x, d.graph().shapes[x][:2], (10,))  # type: ignore[arg-type]


def unas28() -> Graph:
    """28x28x1, in the manner of the search space of µNAS: a 5x5 stem, two branches, average pooling, two dense layers."""
    d = _Drawing((28, 28, 1))
    pooled = d.max_pool(d.conv("x", 8, (5, 5), same=False))
    x = d.depthwise(d.conv(pooled, 16, (3, 3), same=False), same=False, relu=False)
    branch = d.conv(pooled, 16, (3, 3), same=False)
    padded = d._append(Pad("", x, "", (0, 2, 0, 2)))
    return d.classifier(d.add(padded, branch, relu=False), (3, 3), (32, 10))


def dscnn() -> Graph:
    """49x10x1, the depthwise separable network for key words: four blocks of 64 channels."""
    d = _Drawing((49, 10, 1))
    x = d.conv("x", 64, (10, 4), 2)
    for _ in range(4):
        x = d.conv(d.depthwise(x), 64, (1, 1))
    return d.classifier(x, (25, 5), (12,))


def random_model(graph: Graph) -> IntegerModel:
    """Random weights whose sums spread over the int8 range; a tensor after a ReLU has its zero point at -128."""
    rng = np.random.default_rng(0)
    tensors = {graph.input: Quantisation(0.05, -3)}
    weights = {}
    for op in graph.ops:
        keeps = isinstance(op, MaxPool | AvgPool | Pad | Flatten)
        zero_point = -128 if getattr(op, "relu", False) else 4
        tensors[op.output] = tensors[op.inputs[0]] if keeps else Quantisation(0.05, zero_point)
        if isinstance(op, Conv | Depthwise | Dense):
            shape, channels = weight_shape(op, graph.shapes[op.inputs[0]]), graph.shapes[op.output][-1]
            taps = int(np.prod(shape)) // channels
            scales = rng.uniform(0.5, 1.0, 1 if isinstance(op, Dense) else channels) / (73.0 * np.sqrt(taps))
            biases = rng.integers(-2000, 2000, channels).astype(np.int32)
            weights[op.name] = IntegerWeights(rng.integers(-127, 128, shape).astype(np.int8), biases, scales.astype(np.float32))
    return IntegerModel(graph, tensors, weights)


def read_model(data: bytes) -> IntegerModel:
    """The IntegerModel that a .tflite of our own export was written from."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    main = model.subgraphs[0]
    names = [f"t{index}" for index in range(len(main.tensors))]
    shapes = [tuple(int(size) for size in tensor.shape[1:]) for tensor in main.tensors]
    ops: list[Op] = []
    weights: dict[str, IntegerWeights] = {}
    for index, operator in enumerate(main.operators):
        name, options = f"op{index}", operator.builtinOptions
        ops.append(_operator(model, operator, name, names, shapes))
        if len(operator.inputs) == 3:
            weight, bias = (main.tensors[i] for i in operator.inputs[1:])
            shape = weight.shape[1:] if isinstance(ops[-1], Depthwise) else weight.shape
            values = np.frombuffer(bytes(model.buffers[weight.buffer].data), np.int8).reshape(shape)
            biases = np.frombuffer(bytes(model.buffers[bias.buffer].data), "<i4").astype(np.int32)
            weights[name] = IntegerWeights(values, biases, np.asarray(weight.quantization.scale, np.float32))
        assert options is not None
    first = int(main.inputs[0])
    graph = Graph(names[first], shapes[first], tuple(ops), names[int(main.outputs[0])])
    scales = {
        name: Quantisation(float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0]))
        for name, tensor in zip(names, main.tensors, strict=True)
        if name in graph.shapes
    }
    return IntegerModel(graph, scales, weights)


def _operator(model: schema.ModelT, operator: schema.OperatorT, name: str, names: list[str], shapes: list[Shape]) -> Op:
    options, kind = operator.builtinOptions, model.operatorCodes[operator.opcodeIndex].builtinCode
    source, target = int(operator.inputs[0]), names[int(operator.outputs[0])]
    x, tensors = names[source], model.subgraphs[0].tensors
    relu = getattr(options, "fusedActivationFunction", 0) == schema.ActivationFunctionType.RELU
    if kind == Builtin.ADD:
        return Add(name, x, names[int(operator.inputs[1])], target, relu)
    if kind == Builtin.FULLY_CONNECTED:
        return Dense(name, x, target, int(tensors[operator.inputs[1]].shape[0]), relu)
    if kind == Builtin.RESHAPE:
        return Flatten(name, x, target)
    stride = (options.strideH, options.strideW)
    if kind in (Builtin.MAX_POOL_2D, Builtin.AVERAGE_POOL_2D):
        pool = MaxPool if kind == Builtin.MAX_POOL_2D else AvgPool
        return pool(name, x, target, (options.filterHeight, options.filterWidth), stride)
    filters, height, width, _ = (int(size) for size in tensors[operator.inputs[1]].shape)
    same = options.padding == schema.Padding.SAME
    padding = same_padding(*shapes[source][:2], (height, width), stride) if same else (0, 0, 0, 0)
    if kind == Builtin.CONV_2D:
        return Conv(name, x, target, filters, (height, width), stride, padding, relu=relu)
    assert kind == Builtin.DEPTHWISE_CONV_2D, kind
    return Depthwise(name, x, target, (height, width), stride, padding, relu=relu)
