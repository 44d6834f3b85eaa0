"""Bytes of parameters in flash, as the C export stores them, and the count of parameters.

Per Conv and Depthwise: int8 weights, and per output channel an int32 bias, an int32 multiplier and an int8 shift. Per Dense: int8
weights and int32 biases; its one multiplier and shift are arguments in the code. Arrays of int8 fill up to whole 4-byte words.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import assert_never

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Pad, WeightedOp, weight_shape

WORD = 4


def weighted(graph: Graph) -> Iterator[tuple[WeightedOp, int, int]]:
    """Every operator with parameters, its number of weights and of output channels (= biases, BatchNorm folded).

    Raises AssertionError on an operator without a rule.
    """
    shapes = graph.shapes
    for op in graph.ops:
        match op:
            case Conv() | Depthwise() | Dense():
                yield op, prod(weight_shape(op, shapes[op.input])), shapes[op.output][-1]
            case MaxPool() | AvgPool() | Add() | Pad() | Flatten():
                pass
            case _:
                assert_never(op)


def parameters(graph: Graph) -> int:
    """Weights and biases after BatchNorm folding: one bias an output channel or unit."""
    return sum([weights + channels for _, weights, channels in weighted(graph)])


def weight_bytes(graph: Graph) -> int:
    """Bytes of all constant arrays of the C export: weights, biases and requantisation tables."""
    return sum([layer_weight_bytes(op, weights, channels) for op, weights, channels in weighted(graph)])


def layer_weight_bytes(op: WeightedOp, weights: int, channels: int) -> int:
    """Bytes of the constant arrays of one operator with that many weights and output channels."""
    tables = 0 if isinstance(op, Dense) else 4 * channels + _words(channels)
    return _words(weights) + 4 * channels + tables


def _words(count: int) -> int:
    return -(-count // WORD) * WORD
