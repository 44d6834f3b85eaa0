"""Multiply-accumulates of a Graph: of convolutions and dense layers. Pooling, sums and padding count zero, by rule."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import assert_never

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad, Shape


def layer_macs(op: Op, shapes: Mapping[str, Shape]) -> int:
    """MACs of one operator: output positions x kernel x channels, padding counted as if it were multiplied, biases left out.

    shapes: tensor name -> shape, as `Graph.shapes`. Raises AssertionError on an operator without a rule.
    """
    match op:
        case Conv():
            return prod(shapes[op.output]) * op.kernel[0] * op.kernel[1] * shapes[op.input][2]
        case Depthwise():
            return prod(shapes[op.output]) * op.kernel[0] * op.kernel[1]
        case Dense():
            return op.units * shapes[op.input][0]
        case MaxPool() | AvgPool() | Add() | Pad() | Flatten():
            return 0
        case _:
            assert_never(op)


def macs(graph: Graph) -> int:
    """MACs of one inference."""
    shapes = graph.shapes
    return sum([layer_macs(op, shapes) for op in graph.ops])
