"""Canonical form: equal text for architectures that are the same network, so that none is trained twice.

An architecture is lowered, which removes what cannot be reached (kernels beyond the map, pools on 1x1 maps, filters of
depthwise layers), and its graph is written as a term without names and without the order of branches: every tensor is the text of
its operator and of the tensors that it reads, the terms of a sum are sorted, and what is read more than once is replaced by a
digest of its text, so that texts stay short (a Merkle tree).
"""

from __future__ import annotations

from functools import lru_cache
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
    texts = {graph.input: f"input{graph.input_shape}"}
    sums: dict[str, list[str]] = {}
    readers: dict[str, int] = {}
    for op in graph.ops:
        for name in op.inputs:
            readers[name] = readers.get(name, 0) + 1
    for op in graph.ops:
        output = op.output
        if isinstance(op, Add):
            terms: list[str] = []
            for name in op.inputs:
                terms += sums[name] if name in sums and readers[name] == 1 else [texts[name]]
            terms.sort()
            if not op.relu:
                sums[output] = terms
            text = f"{_attributes(op)}({'+'.join(terms)})"
        else:
            text = f"{_attributes(op)}({texts[op.input]})"
        texts[output] = text if readers.get(output) == 1 and output != graph.output else _digest(text)
    return texts[graph.output]


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _attributes(op: Op) -> str:
    """Kind and everything but names. A convolution is known by its window whether the layer was called pointwise or not."""
    match op:
        case Conv():
            return f"conv{op.filters}{_window(op.kernel, op.stride, op.padding)}{op.batch_norm:d}{op.relu:d}"
        case Depthwise():
            return f"depthwise{_window(op.kernel, op.stride, op.padding)}{op.batch_norm:d}{op.relu:d}"
        case Dense():
            return f"dense{op.units},{op.relu:d}"
        case MaxPool():
            return f"max{_window(op.kernel, op.stride)}"
        case AvgPool():
            return f"avg{_window(op.kernel, op.stride)}"
        case Add():
            return f"add{op.relu:d}"
        case Pad():
            return f"pad{op.padding}"
        case Flatten():
            return "flatten"


@lru_cache(4096)
def _window(*sizes: tuple[int, ...]) -> str:
    """Kernel, stride and padding as text; few occur, and they take longest to write."""
    return str(sizes)
