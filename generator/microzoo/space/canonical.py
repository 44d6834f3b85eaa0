"""Canonical form: equal text for architectures that are the same network, so that none is trained twice.

An architecture is lowered, which removes what cannot be reached (kernels beyond the map, pools on 1x1 maps, filters of
depthwise layers), and its graph is digested without names and without the order of branches: every tensor has a digest made of
its operator and of the digests that it reads (a Merkle tree), and the terms of a sum are sorted.
"""

from __future__ import annotations

from hashlib import blake2b

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad
from microzoo.space.architecture import Architecture
from microzoo.space.lowering import lower


def canonical(architecture: Architecture, input_shape: tuple[int, int, int], classes: int) -> str:
    """32 hex digits, equal for architectures that lower to the same graph up to names and the order of branches.

    The same in every process. Raises ArchitectureError where `lower` does.
    """
    return graph_digest(lower(architecture, input_shape, classes))


def graph_digest(graph: Graph) -> str:
    """32 hex digits of a graph's structure. Sums of more than two tensors count as one sum where no partial sum is read twice."""
    digests = {graph.input: _digest(("input", graph.input_shape))}
    terms: dict[str, list[str]] = {}
    readers: dict[str, int] = {}
    for op in graph.ops:
        for name in op.inputs:
            readers[name] = readers.get(name, 0) + 1
    for op in graph.ops:
        read = [digests[name] for name in op.inputs]
        if isinstance(op, Add):
            read = []
            for name in op.inputs:
                open_sum = name in terms and readers[name] == 1
                read += terms[name] if open_sum else [digests[name]]
            read.sort()
            if not op.relu:
                terms[op.output] = read
        digests[op.output] = _digest((_attributes(op), read))
    return digests[graph.output]


def _digest(value: object) -> str:
    return blake2b(repr(value).encode(), digest_size=16).hexdigest()


def _attributes(op: Op) -> tuple[object, ...]:
    """Kind and everything but names. A convolution is known by its window whether the layer was called pointwise or not."""
    match op:
        case Conv():
            return "conv", op.filters, op.kernel, op.stride, op.padding, op.batch_norm, op.relu
        case Depthwise():
            return "depthwise", op.kernel, op.stride, op.padding, op.batch_norm, op.relu
        case Dense():
            return "dense", op.units, op.relu
        case MaxPool():
            return "max", op.kernel, op.stride
        case AvgPool():
            return "avg", op.kernel, op.stride
        case Add():
            return "add", op.relu
        case Pad():
            return "pad", op.padding
        case Flatten():
            return ("flatten",)
