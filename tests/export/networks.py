"""Networks for the conformance tests: hand-made corners, and seeded random ones of every operator."""

from __future__ import annotations

import numpy as np

from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad, Shape, same_padding, weight_shape
from microzoo.graph.weights import LayerWeights, Weights
from microzoo.quantise.integer import quantise


class Builder:
    """Appends operators, inventing names; every method returns the name of the new tensor."""

    def __init__(self, shape: Shape) -> None:
        self.shapes: dict[str, Shape] = {"input": shape}
        self.ops: list[Op] = []

    def _append(self, kind: type[Op], *args: object, **options: object) -> str:
        index = len(self.ops)
        op = kind(f"{kind.__name__.lower()}{index}", *args, output=f"t{index}", **options)  # type: ignore[call-arg, arg-type]
        self.ops.append(op)
        graph = Graph("input", self.shapes["input"], tuple(self.ops), op.output)
        self.shapes[op.output] = graph.shapes[op.output]
        return op.output

    def conv(self, x: str, filters: int, kernel: int = 3, stride: int = 1, same: bool = False, relu: bool = True) -> str:
        k, s = (min(kernel, self.shapes[x][0]), min(kernel, self.shapes[x][1])), (stride, stride)
        pads = same_padding(*self.shapes[x][:2], k, s) if same else (0, 0, 0, 0)
        return self._append(Conv, x, filters=filters, kernel=k, stride=s, padding=pads, relu=relu)

    def depthwise(self, x: str, kernel: int = 3, stride: int = 1, same: bool = False, relu: bool = True) -> str:
        k, s = (min(kernel, self.shapes[x][0]), min(kernel, self.shapes[x][1])), (stride, stride)
        pads = same_padding(*self.shapes[x][:2], k, s) if same else (0, 0, 0, 0)
        return self._append(Depthwise, x, kernel=k, stride=s, padding=pads, relu=relu)

    def pool(self, x: str, kind: str, kernel: int, stride: int | None = None) -> str:
        k = (min(kernel, self.shapes[x][0]), min(kernel, self.shapes[x][1]))
        s = (stride or k[0], stride or k[1])
        return self._append(MaxPool if kind == "max" else AvgPool, x, kernel=k, stride=s)

    def pad(self, x: str, padding: tuple[int, int, int, int]) -> str:
        return self._append(Pad, x, padding=padding)

    def add(self, left: str, right: str, relu: bool = False) -> str:
        return self._append(Add, left, right, relu=relu)

    def flatten(self, x: str) -> str:
        return self._append(Flatten, x)

    def dense(self, x: str, units: int, relu: bool = False) -> str:
        return self._append(Dense, x, units=units, relu=relu)

    def graph(self) -> Graph:
        return Graph("input", self.shapes["input"], tuple(self.ops), self.ops[-1].output)


def random_graph(seed: int, branches: int = 3) -> Graph:
    """A small network: a stem, layers of random kinds, branches joined by additions, pooling, one or two dense layers."""
    rng = np.random.default_rng(seed)
    b = Builder((int(rng.integers(3, 14)), int(rng.integers(3, 14)), int(rng.integers(1, 4))))
    x = "input"
    for _ in range(int(rng.integers(1, 4))):
        x = _layer(b, x, rng)
        if rng.random() < 0.6:
            x = _joined(b, x, rng, int(rng.integers(1, branches + 1)))
    if rng.random() < 0.4:
        x = b.pool(x, str(rng.choice(["avg", "max"])), int(rng.choice([2, 3, 4, 99])))
    x = b.flatten(x)
    if rng.random() < 0.4:
        x = b.dense(x, int(rng.integers(1, 17)), relu=True)
    b.dense(x, int(rng.integers(2, 11)))
    return b.graph()


def _layer(b: Builder, x: str, rng: np.random.Generator) -> str:
    same, relu, stride = bool(rng.random() < 0.5), bool(rng.random() < 0.8), int(rng.choice([1, 1, 2]))
    kind = rng.choice(["conv", "conv", "pointwise", "depthwise", "max", "avg", "pad"])
    if kind == "conv":
        return b.conv(x, int(rng.integers(1, 13)), int(rng.choice([2, 3, 5, 7])), stride, same, relu)
    if kind == "pointwise":
        return b.conv(x, int(rng.integers(1, 17)), 1, stride, False, relu)
    if kind == "depthwise":
        return b.depthwise(x, int(rng.choice([3, 5])), stride, same, relu)
    if kind == "pad":
        return b.pad(x, tuple(int(n) for n in rng.integers(0, 3, 4)))  # type: ignore[arg-type]
    return b.pool(x, str(kind), int(rng.choice([2, 3, 4])), int(rng.choice([1, 2, 3])))


def _joined(b: Builder, x: str, rng: np.random.Generator, count: int) -> str:
    """`count` parallel paths from `x`, each brought to the shape of `x`, added one after the other."""
    height, width, channels = b.shapes[x]
    total = x if rng.random() < 0.5 else b.conv(x, channels, 1)
    for _ in range(count):
        side = b.conv(x, int(rng.integers(1, 9)), 3, int(rng.choice([1, 2])), bool(rng.random() < 0.5))
        side = b.conv(side, channels, 1, relu=bool(rng.random() < 0.5))
        rows, columns = height - b.shapes[side][0], width - b.shapes[side][1]
        if rows or columns:
            side = b.pad(side, (rows // 2, rows - rows // 2, columns // 2, columns - columns // 2))
        total = b.add(*((total, side) if rng.random() < 0.5 else (side, total)), relu=bool(rng.random() < 0.5))
    return total


def corner_graphs() -> dict[str, Graph]:
    """What random networks hit too rarely."""
    corners: dict[str, Graph] = {}

    b = Builder((1, 1, 1))
    b.dense(b.flatten(b.conv("input", 1, 1)), 2)
    corners["one pixel, one channel"] = b.graph()

    b = Builder((7, 9, 1))
    x = b.depthwise("input", 3, 2, same=True, relu=False)
    b.dense(b.flatten(b.pool(x, "avg", 2)), 3)
    corners["one channel depthwise, even average window, stride that does not divide"] = b.graph()

    b = Builder((6, 5, 2))
    x = b.conv("input", 4, 3, same=True)
    x = b.add(x, x)
    b.dense(b.flatten(x), 3)
    corners["a tensor added to itself"] = b.graph()

    b = Builder((5, 5, 3))
    x = b.add("input", b.conv("input", 3, 3, same=True, relu=False), relu=True)
    b.dense(b.flatten(b.add("input", x)), 2)
    corners["the input added twice"] = b.graph()

    b = Builder((4, 4, 2))
    x = b.pool(b.pad("input", (3, 0, 0, 2)), "max", 4, 3)
    b.dense(b.flatten(b.pool(x, "avg", 99)), 2)
    corners["no convolution"] = b.graph()

    b = Builder((9, 4, 5))
    x = b.conv("input", 7, 7, 2, same=True)
    x = b.conv(x, 33, 2, 1, same=True)
    b.dense(b.dense(b.flatten(b.pool(x, "avg", 4, 1)), 31, relu=True), 10)
    corners["kernel wider than the map, odd channels"] = b.graph()

    b = Builder((8, 8, 3))
    x = b.conv("input", 6, 3, same=True)
    y, z = b.depthwise(x, 3, same=True), b.conv(x, 6, 1)
    w = b.conv(x, 6, 5, same=True, relu=False)
    b.dense(b.flatten(b.pool(b.add(b.add(y, z), b.add(w, x)), "max", 2)), 4)
    corners["branches of four"] = b.graph()
    return corners


def random_weights(graph: Graph, seed: int) -> Weights:
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    for op in graph.ops:
        if isinstance(op, Conv | Depthwise | Dense):
            shape = weight_shape(op, graph.shapes[op.input])
            fan_in = np.prod(shape[:2] if isinstance(op, Depthwise) else shape[1:])
            channels = shape[-1] if isinstance(op, Depthwise) else shape[0]
            weights[op.name] = LayerWeights(
                rng.normal(0.0, 1.5 / np.sqrt(fan_in), shape).astype(np.float32),
                rng.normal(0.0, 0.3, channels).astype(np.float32),
            )
    return weights


def random_model(graph: Graph, seed: int) -> IntegerModel:
    """Random weights, calibrated on random images."""
    return quantise(graph, random_weights(graph, seed), _calibration(graph, seed))


def _calibration(graph: Graph, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (24, *graph.input_shape)).astype(np.float32)


def dead_models() -> dict[str, IntegerModel]:
    """Layers that are zero on every calibration image, and wake up on inputs beyond it, which input_range lets in."""
    models: dict[str, IntegerModel] = {}

    b = Builder((6, 6, 2))
    x = b.conv(b.pool(b.depthwise("input", 3, same=True), "max", 2), 5, 1)
    b.dense(b.flatten(b.pool(x, "avg", 2)), 3)
    models["a dead depthwise layer"] = _dead_model(b.graph(), ("depthwise0",))

    b = Builder((7, 5, 3))
    x = b.add(b.conv("input", 3, 3, same=True), b.depthwise("input", 3, same=True))
    b.dense(b.flatten(b.conv(x, 4, 3)), 3)
    models["a dead branch of an addition"] = _dead_model(b.graph(), ("depthwise1",))

    b = Builder((5, 6, 3))
    x = b.add(b.conv("input", 4, 3, same=True), b.conv("input", 4, 1), relu=True)
    x = b.conv(b.pad(x, (1, 0, 0, 1)), 6, 3)
    b.dense(b.flatten(x), 3)
    models["a dead addition"] = _dead_model(b.graph(), ("conv0", "conv1"))
    return models


def _dead_model(graph: Graph, dead: tuple[str, ...]) -> IntegerModel:
    """The layers `dead` read the input; their biases keep them negative for whatever lies in [-1, 1]."""
    weights = random_weights(graph, 0)
    for name in dead:
        kernel = np.abs(weights[name].weight)
        reach = kernel.sum(axis=(0, 1)) if name.startswith("depthwise") else kernel.sum(axis=(1, 2, 3))
        weights[name] = LayerWeights(weights[name].weight, -reach)
    return quantise(graph, weights, _calibration(graph, 0), input_range=(-6.0, 6.0))


def random_inputs(model: IntegerModel, count: int, seed: int) -> np.ndarray:
    """int8 images; the first two hold nothing but the extremes."""
    images = np.random.default_rng(seed).integers(-128, 128, (count, *model.graph.input_shape), dtype=np.int8)
    images[0], images[1] = -128, 127
    return images


def conformance_models(count: int) -> dict[str, IntegerModel]:
    graphs = corner_graphs() | {f"seed {seed}": random_graph(seed) for seed in range(count)}
    return {name: random_model(graph, index) for index, (name, graph) in enumerate(graphs.items())} | dead_models()
