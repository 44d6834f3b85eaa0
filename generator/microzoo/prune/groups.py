"""Channel groups of a Graph: which channels exist or vanish together. No framework.

Structured pruning removes whole channels. Add, Depthwise, pooling and padding carry a channel from their input to their output
unchanged, so all tensors that they connect share one set of channels: a group.
"""

from __future__ import annotations

from dataclasses import dataclass

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, Conv, Dense, Depthwise


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that are removed together.

    name: the first operator that writes the group, in execution order. channels: how many there are. writers: the weighted
    operators whose output channels these are; each has them on the axis that `graph.ops.weight_shape` calls K (Conv, Dense) or C
    (Depthwise).
    """

    name: str
    channels: int
    writers: tuple[str, ...]


def channel_groups(graph: Graph) -> tuple[ChannelGroup, ...]:
    """The prunable groups, in execution order of their first writer.

    Left out are the groups of the network's input, of its output (the classifier) and of the first weighted layer: "first and
    last layers kept", as in Lin et al. 2020, "Dynamic Model Pruning with Feedback". Hidden dense layers are groups
    too; their channels are their units.
    """
    root = _roots(graph)
    weighted = [op for op in graph.ops if isinstance(op, (Conv, Depthwise, Dense))]
    kept = {root[graph.input], root[graph.output]} | {root[op.output] for op in weighted[:1]}
    writers: dict[str, list[str]] = {}
    channels: dict[str, int] = {}
    for op in weighted:
        if root[op.output] not in kept:
            writers.setdefault(root[op.output], []).append(op.name)
            channels[root[op.output]] = graph.shapes[op.output][-1]
    return tuple(ChannelGroup(names[0], channels[key], tuple(names)) for key, names in writers.items())


def _roots(graph: Graph) -> dict[str, str]:
    """Tensor -> the tensor that stands for its group (union-find). Flatten keeps the group: its features are h, w, channel."""
    parent: dict[str, str] = {graph.input: graph.input}
    channels: dict[str, int] = {graph.input: graph.input_shape[-1]}

    def find(tensor: str) -> str:
        while parent[tensor] != tensor:
            tensor = parent[tensor]
        return tensor

    for op in graph.ops:
        if isinstance(op, (Conv, Dense)):
            parent[op.output] = op.output
            channels[op.output] = graph.shapes[op.output][-1]
            continue
        parent[op.output] = find(op.inputs[0])
        channels[op.output] = channels[op.inputs[0]]
        if isinstance(op, Add):
            if channels[op.left] != channels[op.right]:
                # A flattened map plus a vector: their features do not correspond to one set of channels, so both are kept.
                parent[find(op.left)] = find(graph.input)
            parent[find(op.right)] = find(op.left)
    return {tensor: find(tensor) for tensor in parent}
