"""What the names in an .onnx in QDQ format stand for: int8 tensors of the builder, constants, and sums that wait for a scale.

The file speaks of floats; each is made from int8 by a DequantizeLinear or becomes int8 by a QuantizeLinear. Those two are taken
over here, everything between them in `importer.onnx`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microzoo.graph.integer import Quantisation
from microzoo.importer.builder import Builder, fused_relu
from microzoo.measure.onnx_file import OnnxGraph, OnnxNode


@dataclass(frozen=True)
class Value:
    """An int8 tensor as the file sees it. name: the builder's; moved: its elements are in channels-last order already."""

    name: str
    moved: bool = False


@dataclass(frozen=True)
class Constant:
    """Dequantised (scale: 0-d or along `axis`), or float where `scale` is None."""

    values: NDArray[Any]
    scale: NDArray[np.float32] | None = None
    axis: int = 0


@dataclass(frozen=True)
class Pending:
    """A float result that waits for its QuantizeLinear. make: (quantisation, relu) -> the builder's tensor; moved: see Value."""

    make: Callable[[Quantisation, bool], str]
    activation: str = "NONE"
    moved: bool = False


class Tensors:
    """All names of one file, as far as its nodes have been walked. A node that cannot be taken over raises ImportedModelError."""

    def __init__(self, graph: OnnxGraph, where: str) -> None:
        """where: the file's name, for errors."""
        self.graph = graph
        self.builder = Builder(where)
        self.values: dict[str, Value] = {}
        self.constants = {name: Constant(values) for name, values in graph.values.items()}
        self.pending: dict[str, Pending] = {}
        self.after_softmax: set[str] = set()

    def value(self, name: str) -> Value:
        """An int8 tensor that an operator reads through its DequantizeLinear."""
        if name in self.values:
            return self.values[name]
        raise self.builder.refuse(
            f'it reads "{name}", which is not a quantised tensor',
            "quantise the model with onnxruntime's quantize_static, QDQ format",
        )

    def map(self, name: str) -> str:
        """The builder's tensor for what an operator reads as a map with its channels first."""
        value = self.value(name)
        if value.moved:
            raise self.builder.refuse(
                f'it reads "{name}", which was transposed to channels last',
                "after that only flattening and products are supported",
            )
        return value.name

    def check_shape(self, name: str) -> None:
        """The builder's shape of an int8 tensor must be the one that the file has for it."""
        if name not in self.values:
            return
        value, stated = self.values[name], self.graph.shapes[name]
        found = self.builder.shapes[value.name]
        expected: tuple[int, ...] = (1, prod(found))
        if len(stated) == 4 and len(found) == 3:
            height, width, channels = found
            expected = (1, height, width, channels) if value.moved else (1, channels, height, width)
        if stated != expected:
            raise self.builder.refuse(f'"{name}" has the shape {stated} in the file, its inputs make it {expected}')

    def reordered(self, value: Value) -> bool:
        """Whether the elements stand in another order than in the file: a map of several places and channels, or its view."""
        shape = self.builder.shapes[self.builder.maps.get(value.name, value.name)]
        return not value.moved and len(shape) == 3 and prod(shape[:2]) > 1 and shape[2] > 1

    def put(self, node: OnnxNode, make: Callable[[Quantisation, bool], str], *, moved: bool = False) -> None:
        """The node's result: made once its QuantizeLinear says with which scale."""
        self.pending[node.outputs[0]] = Pending(make, moved=moved)

    def parameters(self, node: OnnxNode) -> Quantisation:
        """Scale and zero point of a QuantizeLinear or DequantizeLinear of an activation, as int8."""
        scale = self.constants.get(node.inputs[1])
        if scale is None:
            raise self.builder.refuse("its scale is computed; it must be a constant")
        if len(node.inputs) > 2 and node.inputs[2]:
            zero = self.constants.get(node.inputs[2])
        else:  # left out it is 0 of the quantised side's type
            quantised = self.graph.dtypes[(node.inputs if node.kind == "DequantizeLinear" else node.outputs)[0]]
            zero = Constant(np.zeros(1, {"INT8": np.int8, "UINT8": np.uint8}.get(quantised, np.int32)))
        if zero is None or zero.values.dtype not in (np.int8, np.uint8):
            raise self.builder.refuse("its zero point must be a constant, int8 or uint8", "quantise activations to 8 bits")
        shift = 128 if zero.values.dtype == np.uint8 else 0
        scales = tuple(float(each) for each in scale.values.reshape(-1))
        zeros = tuple(int(each) - shift for each in zero.values.reshape(-1))
        return self.builder.quantisation(node.outputs[0], scales, zeros)

    def quantise(self, node: OnnxNode) -> None:
        """A QuantizeLinear: of the file's input, of a result that waits, or of what is int8 already."""
        source, to = node.inputs[0], self.parameters(node)
        if source in self.graph.inputs:
            self.values[node.outputs[0]] = self.input(source, to)
        elif source in self.pending:
            waiting = self.pending[source]
            relu = fused_relu(waiting.activation, to)
            if relu is None:
                raise self.builder.refuse(f"the {waiting.activation} before it cuts off within the int8 range")
            self.values[node.outputs[0]] = Value(waiting.make(to, relu), waiting.moved)
        else:
            value = self.value(source)
            if source in self.after_softmax:
                self.after_softmax.add(node.outputs[0])
            elif self.builder.tensors[value.name] != to:
                raise self.builder.refuse(
                    "what it reads has another scale or zero point already", "share them among such tensors"
                )
            self.values[node.outputs[0]] = value

    def dequantise(self, node: OnnxNode) -> None:
        """A DequantizeLinear: of a constant, or of an int8 tensor, which keeps its scale."""
        source = node.inputs[0]
        if source in self.constants:
            scale = self.constants.get(node.inputs[1])
            zero = self.constants.get(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
            if scale is None or (zero is not None and zero.values.any()):
                raise self.builder.refuse("the zero point of constants must be 0", "quantise weights to int8, symmetric")
            values, axis = self.constants[source].values, int(node.attributes.get("axis", 1))
            self.constants[node.outputs[0]] = Constant(values, scale.values.astype(np.float32), axis % max(values.ndim, 1))
            return
        if source in self.graph.inputs and source not in self.values:
            self.values[source] = self.input(source, self.parameters(node))
        value = self.value(source)
        if source in self.after_softmax:
            self.after_softmax.add(node.outputs[0])
        elif self.builder.tensors[value.name] != self.parameters(node):
            raise self.builder.refuse("it has another scale or zero point than what it reads")
        self.values[node.outputs[0]] = value

    def input(self, name: str, quantisation: Quantisation) -> Value:
        """The file's input, (1, C, H, W) or (1, F)."""
        shape = self.graph.shapes[name]
        if "input" in self.builder.shapes:
            raise self.builder.refuse("the model's input is quantised twice")
        if shape[:1] != (1,) or len(shape) not in (2, 4):
            raise self.builder.refuse(f'the input "{name}" has the shape {shape}', "(1, C, H, W) and (1, F) are supported")
        maps = (shape[2], shape[3], shape[1]) if len(shape) == 4 else (1, 1, shape[1])
        return Value(self.builder.input(maps, quantisation))

    def weights(self, node: OnnxNode, channels: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """int8 weights, and their scales, along `channels` if several."""
        found = self.constants.get(node.inputs[1])
        if found is None or found.scale is None or found.values.dtype != np.int8:
            kind = "computed" if found is None else str(found.values.dtype)
            raise self.builder.refuse(f"its weights are {kind}, supported is int8, symmetric", "quantise with weight_type=QInt8")
        scales = found.scale.reshape(-1)
        if not len(scales):
            raise self.builder.refuse("its weights have no scale")
        if len(scales) > 1 and (found.axis != channels or len(scales) != found.values.shape[channels]):
            raise self.builder.refuse(f"{len(scales)} scales along dimension {found.axis} of weights {found.values.shape}")
        return found.values, scales

    def bias(self, node: OnnxNode, source: str, scales: NDArray[np.float32], units: int) -> NDArray[np.int32]:
        """Biases at scale input * weight, (K,)."""
        if len(node.inputs) < 3 or not node.inputs[2]:
            return np.zeros(units, np.int32)
        found = self.constants.get(node.inputs[2])
        if found is None or found.values.size != units:
            raise self.builder.refuse(f"its bias must be a constant of {units} values")
        wanted = np.broadcast_to(scales, units).astype(np.float64) * self.builder.tensors[source].scale
        own = np.ones(units) if found.scale is None else np.broadcast_to(found.scale.reshape(-1), units).astype(np.float64)
        exact = found.values.reshape(-1).astype(np.float64)
        if not np.allclose(own, wanted, rtol=1e-5, atol=0.0):
            exact = np.rint(exact * own / wanted)
        if not np.isfinite(exact).all() or np.abs(exact).max(initial=0.0) >= 2**31:
            raise self.builder.refuse("a bias does not fit into int32 at the scale input * weight")
        return exact.astype(np.int32)
