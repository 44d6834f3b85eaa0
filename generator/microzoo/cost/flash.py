"""Bytes of parameters in flash, as the C export stores them, and the count of parameters.

Per Conv, Depthwise and Dense: int8 weights, and for each output channel or unit an int32 bias, an int32 multiplier and an int8
shift (a Dense repeats one and the same, since the kernel of a Conv runs it). Arrays of int8 fill up to whole 4-byte words.
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
    return sum([layer_weight_bytes(weights, channels) for _, weights, channels in weighted(graph)])


def layer_weight_bytes(weights: int, channels: int) -> int:
    """Bytes of the constant arrays of one operator with that many weights and output channels."""
    return _words(weights) + 8 * channels + _words(channels)


def _words(count: int) -> int:
    return -(-count // WORD) * WORD
