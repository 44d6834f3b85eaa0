"""Collects operators read from a file into an IntegerModel, and refuses what our integer arithmetic cannot say exactly.

What enters is in this project's layouts (`graph.ops`): maps (H, W, C), weights "OHWI". What leaves is the model in the order of
operators with the least peak. Every check here is one that quantising by ourselves makes beforehand: sums within int32, scales
that requantisation can hold, a fused activation that is a plain ReLU once it is quantised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isfinite, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microzoo.errors import ImportedModelError
from microzoo.graph.fixed_point import Multiplier
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
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
    Pads,
    Shape,
    output_shape,
    same_padding,
)
from microzoo.graph.requantisation import ADD_LEFT_SHIFT, INT8_MAX, INT8_MIN, add_multipliers, output_multipliers
from microzoo.importer.order import best_graph_order

INT32_MAX = 2**31 - 1
MAX_OFFSET = 255
"""Largest |q - zero_point| of an int8 activation."""
MAX_ONES = 1 << 20
"""Most weights of a depthwise convolution that stands for a mean."""
MAX_RATIO = 2.0**31
"""Largest ratio of scales that a multiplier holds."""
MALFORMED = (IndexError, KeyError, ValueError, TypeError, OverflowError, ZeroDivisionError)
"""What reading an operator raises that lacks an input or has an attribute of another type: a file may hold any."""


@dataclass
class Builder:
    """Operators so far. `place` names the operator that is being added, for errors: 'model.tflite: operator 3 (CONV_2D, "x")'."""

    where: str
    place: str = ""
    shapes: dict[str, Shape] = field(default_factory=dict)
    tensors: dict[str, Quantisation] = field(default_factory=dict)
    weights: dict[str, IntegerWeights] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    maps: dict[str, str] = field(default_factory=dict)
    """Flat tensor -> the map that it is a view of."""
    flats: dict[str, str] = field(default_factory=dict)
    """The other way round."""

    def refuse(self, problem: str, remedy: str = "") -> ImportedModelError:
        """An error about the operator at hand."""
        return ImportedModelError(f"{self.place or self.where}: {problem}", remedy)

    def malformed(self, error: Exception) -> ImportedModelError:
        """An error about the operator at hand, of which something of MALFORMED says that its kind has none like it."""
        cause = "".join(str(error).splitlines()[:1])[:100]
        return self.refuse(
            f"a malformed operator: its inputs or attributes are not those of its kind ({type(error).__name__}: {cause})",
            "export the model again with a current converter",
        )

    def input(self, shape: Shape, quantisation: Quantisation) -> str:
        """The model's input, a map."""
        assert len(shape) == 3, shape
        self.shapes["input"], self.tensors["input"] = shape, quantisation
        return "input"

    def quantisation(self, name: str, scales: tuple[float, ...], zero_points: tuple[int, ...]) -> Quantisation:
        """Parameters of an activation called `name` in the file, checked."""
        if len(scales) != 1 or len(zero_points) != 1:
            raise self.refuse(f'"{name}" has {len(scales)} scales; an int8 activation has one', "quantise the model to int8")
        if not isfinite(scales[0]) or scales[0] < float(np.finfo(np.float32).tiny):
            raise self.refuse(f'"{name}" has the scale {scales[0]:g}', "a scale must be a normal number above 0")
        if not INT8_MIN <= zero_points[0] <= INT8_MAX:
            raise self.refuse(f'"{name}" has the zero point {zero_points[0]}; int8 allows {INT8_MIN} to {INT8_MAX}')
        return Quantisation(scales[0], zero_points[0])

    def weighted(
        self,
        kind: type[Conv] | type[Depthwise] | type[Dense],
        source: str,
        to: Quantisation,
        layer: IntegerWeights,
        **options: Any,
    ) -> str:
        """A convolution, depthwise convolution or dense layer. options: of the operator. Scales (K,), or (1,) for Dense."""
        if not np.all(np.isfinite(layer.scales)) or (layer.scales < np.finfo(np.float32).tiny).any():
            raise self.refuse("a scale of its weights is not a normal number above 0")
        ratio = self.tensors[source].scale * float(layer.scales.max()) / to.scale
        if ratio >= MAX_RATIO:
            raise self.refuse(f"its scales are too far apart: input * weight / output is {ratio:.3g}")
        output = self._append(kind, source, to=to, layer=layer, **options)
        self._check_sums()
        return output

    def dense(self, source: str, to: Quantisation, layer: IntegerWeights, relu: bool) -> str:
        """A fully connected layer, weights (units, F) in the order of the map, scales (1,) or (units,).

        With scales that differ it is a convolution whose kernel is as large as the map.
        """
        units, scales = len(layer.weight), layer.scales
        if (scales == scales[0]).all():
            one = IntegerWeights(layer.weight, layer.bias, scales[:1].copy())
            return self.weighted(Dense, self.flat(source), to, one, units=units, relu=relu)
        source = self.maps.get(source, source)
        shape = self.shapes[source]
        if len(shape) != 3:
            raise self.refuse("a scale for each unit after a layer with one scale", "quantise both alike")
        wide = IntegerWeights(layer.weight.reshape(-1, *shape), layer.bias, scales)
        return self.weighted(Conv, source, to, wide, filters=units, kernel=shape[:2], relu=relu)

    def add(self, left: str, right: str, to: Quantisation, relu: bool) -> str:
        """The sum of two tensors of one shape, flat or not."""
        if len(self.shapes[left]) != len(self.shapes[right]):
            left, right = self.flat(left), self.flat(right)
        if self.shapes[left] != self.shapes[right]:
            raise self.refuse(f"it adds shapes {self.shapes[left]} and {self.shapes[right]}", "only equal shapes are supported")
        output = self._append(Add, left, right, to=to, relu=relu)
        self._check_sums()
        return output

    def pool(self, kind: type[MaxPool] | type[AvgPool], source: str, kernel: tuple[int, int], stride: tuple[int, int]) -> str:
        """Pooling of whole windows."""
        return self._append(kind, source, to=self.tensors[source], kernel=kernel, stride=stride)

    def mean(
        self, source: str, kernel: tuple[int, int], stride: tuple[int, int], to: Quantisation, *, relu: bool, pool: bool
    ) -> str:
        """Averages of whole windows, as AvgPool where `pool`, else as a depthwise convolution of ones, its scale 1 / count."""
        if pool:
            return self.pool(AvgPool, source, kernel, stride)
        channels = self.shapes[source][2]
        if prod(kernel) * channels > MAX_ONES:
            raise self.refuse(f"its mean over {kernel} of {channels} channels would take {prod(kernel) * channels:,} weights")
        scales = np.full(channels, 1.0 / prod(kernel), np.float32)
        layer = IntegerWeights(np.ones((*kernel, channels), np.int8), np.zeros(channels, np.int32), scales)
        return self.weighted(Depthwise, source, to, layer, kernel=kernel, stride=stride, relu=relu)

    def pad(self, source: str, padding: Pads) -> str:
        """Margins of real zero."""
        return self._append(Pad, source, to=self.tensors[source], padding=padding)

    def flat(self, name: str) -> str:
        """`name`, a map or flat already, as a flat tensor."""
        if len(self.shapes[name]) == 1:
            return name
        if name not in self.flats:
            flat = self._append(Flatten, name, to=self.tensors[name])
            self.flats[name], self.maps[flat] = flat, name
        return self.flats[name]

    def map(self, name: str, shape: Shape) -> str:
        """`name` as a map of `shape`: itself, or the map that it is a view of."""
        for found in (name, self.maps.get(name, name)):
            if self.shapes[found] == shape:
                return found
        raise self.refuse(f"it reads the shape {self.shapes[name]} as {shape}", "reshaping is supported to flat and back only")

    def finish(self, output: str) -> IntegerModel:
        """The whole model, `output` flattened, in the order of least peak."""
        output = self.flat(output)
        if not any(isinstance(op, Conv | Dense | Depthwise) for op in self.ops):
            raise self.refuse("it holds no convolution and no fully connected layer", "there is nothing to pack")
        graph = Graph("input", self.shapes["input"], tuple(self.ops), output)
        return IntegerModel(best_graph_order(graph), self.tensors, self.weights)

    def _append(self, kind: type[Op], *inputs: str, to: Quantisation, layer: IntegerWeights | None = None, **options: Any) -> str:
        index = len(self.ops)
        make: Callable[..., Op] = kind
        op = make(f"{kind.__name__.lower()}{index}", *inputs, output=f"t{index}", **options)
        try:
            shape = output_shape(op, tuple(self.shapes[name] for name in inputs))
        except AssertionError as error:
            raise self.refuse(f"a kernel larger than its input {self.shapes[inputs[0]]}") from error
        self.ops.append(op)
        self.shapes[op.output], self.tensors[op.output] = shape, to
        if layer is not None:
            self.weights[op.name] = layer
        return op.output

    def _check_sums(self) -> None:
        """No sum and no left shift of the newest operator may leave int32, whatever the input is."""
        op, model = self.ops[-1], IntegerModel(Graph("", (), (), ""), self.tensors, self.weights)
        if isinstance(op, Add):
            ratio = max(self.tensors[name].scale for name in op.inputs) / self.tensors[op.output].scale
            if ratio >= MAX_RATIO:
                raise self.refuse(f"its scales are too far apart: input / output is {ratio:.3g}")
            parts = add_multipliers(model, op)
            operand = float(MAX_OFFSET << ADD_LEFT_SHIFT)
            reach = np.array([sum(operand * part.mantissa * 2.0 ** (part.shift - 31) + 1 for part in parts[:2])])
            self._check_reach(reach, (parts.output,))
            return
        assert isinstance(op, Conv | Depthwise | Dense), op
        layer = self.weights[op.name]
        rows = layer.weight.astype(np.float64)
        rows = rows.reshape(-1, rows.shape[-1]).T if isinstance(op, Depthwise) else rows.reshape(len(rows), -1)
        reach = np.abs(layer.bias.astype(np.float64)) + MAX_OFFSET * np.abs(rows).sum(axis=1)
        self._check_reach(reach, output_multipliers(model, op))

    def _check_reach(self, reach: NDArray[np.float64], multipliers: tuple[Multiplier, ...]) -> None:
        shifts = np.array([max(multiplier.shift, 0) for multiplier in multipliers], np.float64)
        largest = float((reach * 2.0**shifts).max())
        if largest > INT32_MAX:
            raise self.refuse(f"its sums can reach {largest:.3g} during requantisation, beyond int32", "retrain or requantise it")


def fused_relu(activation: str, to: Quantisation) -> bool | None:
    """Whether a fused activation is a ReLU (True) or nothing (False) once it is quantised; None where it is neither.

    activation: TFLite's name. A clamp above that lies at or beyond 127, as a RELU6 over a range that ends at 6, is none. Rounded
    as TFLM's CalculateActivationRangeQuantized does: float32 division, halves away from zero.
    """
    bounds = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}.get(activation)
    if bounds is None:
        return None
    low, high = (None if bound is None else _quantised(bound, to) for bound in bounds)
    if high is not None and high < INT8_MAX:
        return None
    if low is None or (low <= INT8_MIN and low != to.zero_point):
        return False
    return True if low == to.zero_point else None


def _quantised(real: float, to: Quantisation) -> int:
    with np.errstate(over="ignore"):
        steps = float(np.float32(real) / np.float32(to.scale))
    if not isfinite(steps):  # a scale next to nothing: far beyond int8
        steps = float(np.sign(real) * INT32_MAX)
    return to.zero_point + int(np.sign(steps) * np.floor(abs(steps) + 0.5))


def with_pads(model: IntegerModel) -> IntegerModel:
    """The same arithmetic, with paddings that are neither none nor SAME in Pad operators, as .tflite needs them."""
    ops: list[Op] = []
    tensors = dict(model.tensors)
    for op in model.graph.ops:
        if isinstance(op, Conv | Depthwise) and any(op.padding):
            height, width, _ = model.graph.shapes[op.input]
            if op.padding != same_padding(height, width, op.kernel, op.stride):
                padded = f"{op.output}/padded"
                tensors[padded] = tensors[op.input]
                ops.append(Pad(f"{op.name}/pad", op.input, padded, op.padding))
                op = replace(op, input=padded, padding=(0, 0, 0, 0))
        ops.append(op)
    return replace(model, graph=replace(model.graph, ops=tuple(ops)), tensors=tensors)
