"""Graph: tensors and operators with shapes, no framework, batch dimension left out.

Layout is channels last: an activation is (H, W, C) or, after Flatten, (F,). Convolution weights are (K, kh, kw, C) "OHWI",
depthwise weights (kh, kw, C), dense weights (units, F) with F in (H, W, C) order. This is TFLite's own layout, so that export
never permutes.

Legend: H, W height and width; C input channels; K output channels; kh, kw kernel; F features.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]
Pads = tuple[int, int, int, int]
"""Zero padding in elements: top, bottom, left, right."""


@dataclass(frozen=True)
class Conv:
    """2-D convolution, then BatchNorm where `batch_norm`, then ReLU where `relu`."""

    name: str
    input: str
    output: str
    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Pads = (0, 0, 0, 0)
    batch_norm: bool = False
    relu: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclass(frozen=True)
class Depthwise:
    """Depthwise 2-D convolution with multiplier 1, then BatchNorm where `batch_norm`, then ReLU where `relu`."""

    name: str
    input: str
    output: str
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Pads = (0, 0, 0, 0)
    batch_norm: bool = False
    relu: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclass(frozen=True)
class Dense:
    """Fully connected layer on a flat input, then ReLU where `relu`."""

    name: str
    input: str
    output: str
    units: int
    relu: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclass(frozen=True)
class MaxPool:
    """Max pooling without padding; rows and columns that do not fill a window are dropped."""

    name: str
    input: str
    output: str
    kernel: tuple[int, int]
    stride: tuple[int, int]

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclass(frozen=True)
class AvgPool:
    """Average pooling without padding. Global pooling is a window as large as the map."""

    name: str
    input: str
    output: str
    kernel: tuple[int, int]
    stride: tuple[int, int]

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclass(frozen=True)
class Add:
    """Element-wise sum of two tensors of one shape, then ReLU where `relu`."""

    name: str
    left: str
    right: str
    output: str
    relu: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.left, self.right)


@dataclass(frozen=True)
class Pad:
    """Zero padding of height and width (real zero: the zero point once quantised)."""

    name: str
    input: str
    output: str
    padding: Pads

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclass(frozen=True)
class Flatten:
    """(H, W, C) to (H*W*C,), row-major, channels last. Moves no bytes."""

    name: str
    input: str
    output: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


Op = Conv | Depthwise | Dense | MaxPool | AvgPool | Add | Pad | Flatten
WeightedOp = Conv | Depthwise | Dense


def windows(size: int, kernel: int, stride: int) -> int:
    """How many windows of `kernel` fit into `size` elements at `stride`, whole ones only."""
    return (size - kernel) // stride + 1


def same_padding(height: int, width: int, kernel: tuple[int, int], stride: tuple[int, int]) -> Pads:
    """Padding of TensorFlow's SAME rule: output ceil(size/stride), the odd element at the bottom and the right."""

    def one(size: int, k: int, s: int) -> tuple[int, int]:
        total = max((-(-size // s) - 1) * s + k - size, 0)
        return total // 2, total - total // 2

    return one(height, kernel[0], stride[0]) + one(width, kernel[1], stride[1])


def output_shape(op: Op, inputs: tuple[Shape, ...]) -> Shape:
    """Shape of what `op` writes, given the shapes of what it reads. Raises AssertionError on shapes that do not fit."""
    match op:
        case Conv() | Depthwise():
            h, w, c = inputs[0]
            top, bottom, left, right = op.padding
            out_h = windows(h + top + bottom, op.kernel[0], op.stride[0])
            out_w = windows(w + left + right, op.kernel[1], op.stride[1])
            assert out_h >= 1 and out_w >= 1, (op.name, inputs)
            return (out_h, out_w, op.filters if isinstance(op, Conv) else c)
        case MaxPool() | AvgPool():
            h, w, c = inputs[0]
            out_h, out_w = windows(h, op.kernel[0], op.stride[0]), windows(w, op.kernel[1], op.stride[1])
            assert out_h >= 1 and out_w >= 1, (op.name, inputs)
            return (out_h, out_w, c)
        case Pad():
            h, w, c = inputs[0]
            top, bottom, left, right = op.padding
            return (h + top + bottom, w + left + right, c)
        case Add():
            assert inputs[0] == inputs[1], (op.name, inputs)
            return inputs[0]
        case Flatten():
            return (prod(inputs[0]),)
        case Dense():
            assert len(inputs[0]) == 1, (op.name, inputs)
            return (op.units,)


def weight_shape(op: WeightedOp, input_shape: Shape) -> Shape:
    """Shape of the weights of `op`: (K, kh, kw, C), (kh, kw, C) or (units, F)."""
    match op:
        case Conv():
            return (op.filters, *op.kernel, input_shape[2])
        case Depthwise():
            return (*op.kernel, input_shape[2])
        case Dense():
            return (op.units, input_shape[0])
