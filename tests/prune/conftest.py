"""Random branched graphs with random trained-looking weights, and the networks' cost by hand."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import pytest

from microzoo.graph.graph import Graph
from microzoo.graph.ops import (
    Add,
    AvgPool,
    Conv,
    Dense,
    Depthwise,
    Flatten,
    MaxPool,
    Op,
    Pad,
    output_shape,
    same_padding,
    weight_shape,
)
from microzoo.graph.weights import BatchNorm, LayerWeights, Weights


class Builder:
    """Appends operators with fresh names and keeps the shapes."""

    def __init__(self, generator: np.random.Generator, shape: tuple[int, int, int]) -> None:
        self.generator = generator
        self.input_shape = shape
        self.shapes: dict[str, tuple[int, ...]] = {"x": shape}
        self.ops: list[Op] = []

    def add(self, kind: type, *inputs: str, **fields: object) -> str:
        name = f"{kind.__name__.lower()}{len(self.ops)}"
        op = kind(name, *inputs, f"{name}.out", **fields)
        self.shapes[op.output] = output_shape(op, tuple(self.shapes[tensor] for tensor in inputs))
        self.ops.append(op)
        return op.output

    def flip(self) -> bool:
        return bool(self.generator.random() < 0.5)

    def conv(self, tensor: str, filters: int | None = None, stride: int = 1, kernel: int | None = None) -> str:
        """A same-padded Conv, or where `filters` is None maybe a Depthwise."""
        height, width, _ = self.shapes[tensor]
        kernel = kernel or int(self.generator.choice([1, 3, 5]))
        fields: dict[str, object] = {
            "kernel": (kernel, kernel),
            "stride": (stride, stride),
            "padding": same_padding(height, width, (kernel, kernel), (stride, stride)),
            "batch_norm": self.flip(),
            "relu": self.flip(),
        }
        if filters is None and self.flip():
            return self.add(Depthwise, tensor, **fields)
        return self.add(Conv, tensor, filters=filters or int(self.generator.integers(2, 7)), **fields)

    def residual(self, tensor: str) -> str:
        """One to three branches of one shape, added up; a branch may be the tensor itself or a depthwise convolution of it."""
        channels = self.shapes[tensor][-1]
        total = tensor if self.flip() else self.conv(tensor, channels)
        for _ in range(int(self.generator.integers(1, 3))):
            branch = self.conv(self.conv(tensor), channels)
            total = self.add(Add, total, branch, relu=self.flip())
        return total

    def shrink_map(self, tensor: str) -> str:
        height, width, _ = self.shapes[tensor]
        choice = int(self.generator.integers(0, 4))
        if choice == 0 and min(height, width) >= 2:
            return self.add(MaxPool, tensor, kernel=(2, 2), stride=(2, 2))
        if choice == 1 and min(height, width) >= 3:
            return self.add(AvgPool, tensor, kernel=(3, 2), stride=(2, 1))
        if choice == 2:
            return self.add(Pad, tensor, padding=(0, 1, 1, 0))
        return self.conv(tensor, stride=2)

    def graph(self) -> Graph:
        tensor = self.conv("x", int(self.generator.integers(2, 6)))
        for _ in range(int(self.generator.integers(2, 5))):
            tensor = (self.residual, self.conv, self.shrink_map)[int(self.generator.integers(0, 3))](tensor)
        tensor = self.add(Flatten, tensor)
        if self.flip():
            tensor = self.add(Dense, tensor, units=int(self.generator.integers(4, 9)), relu=True)
        logits = self.add(Dense, tensor, units=5)
        return Graph("x", self.input_shape, tuple(self.ops), logits)


def random_weights(graph: Graph, generator: np.random.Generator) -> Weights:
    result: Weights = {}
    for op in graph.ops:
        if not isinstance(op, (Conv, Depthwise, Dense)):
            continue
        shape = weight_shape(op, graph.shapes[op.inputs[0]])
        channels = graph.shapes[op.output][-1]

        def normal(*size: int) -> np.ndarray:
            return generator.standard_normal(size).astype(np.float32)

        norm = None
        if not isinstance(op, Dense) and op.batch_norm:
            norm = BatchNorm(normal(channels), normal(channels), normal(channels), np.square(normal(channels)) + 0.1, 1e-3)
        weight = normal(*shape) / np.float32(np.sqrt(prod(shape) / channels))
        result[op.name] = LayerWeights(weight.astype(np.float32), normal(channels), norm)
    return result


@pytest.fixture
def random_network() -> Callable[[int], tuple[Graph, Weights]]:
    """Seed -> a branched graph with weights whose biases, betas and means are far from zero."""

    def make(seed: int) -> tuple[Graph, Weights]:
        generator = np.random.default_rng(seed)
        graph = Builder(generator, (int(generator.integers(4, 9)), int(generator.integers(4, 9)), 2)).graph()
        return graph, random_weights(graph, generator)

    return make


@pytest.fixture
def macs() -> Callable[[Graph], int]:
    """Multiply-accumulates of convolutions and dense layers."""

    def count(graph: Graph) -> int:
        total = 0
        for op in graph.ops:
            if isinstance(op, (Conv, Depthwise, Dense)):
                pixels = prod(graph.shapes[op.output][:-1])
                total += pixels * prod(weight_shape(op, graph.shapes[op.inputs[0]]))
        return total

    return count
