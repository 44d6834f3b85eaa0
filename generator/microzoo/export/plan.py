"""The memory plan: enters a Graph in its execution order, leaves an offset in one arena for every tensor.

What is live: the network's input from the start until its last reader is done; an operator's inputs together with its output
while it runs; the network's output to the end. Flatten moves no bytes, so its output shares its input's. Add writes over one of
its inputs that nothing reads afterwards, unless that is the network's input.

Add in place is safe where a kernel reads an element of both inputs no later than it writes that element. So do the generated C
and TensorFlow Lite Micro's reference kernels (the conformance suite runs them), and CMSIS-NN's arm_elementwise_add_s8 in each of
its paths (portable, DSP, MVE: it loads up to four elements of both, then stores four; tried on emulated Cortex-M3, M4 and M55).
`bakenn` carries no CMSIS-NN kernel for it: its sums are C of its own, in buffers of their own.

Blocks are placed as `export.fit` does it, the largest first, within the peak of live bytes, which is a lower bound. This reaches
the bound on all but a few networks in a thousand.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from microzoo.export.fit import arranged, end
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, Flatten


@dataclass(frozen=True)
class MemoryPlan:
    """offsets: tensor -> first byte in the arena, int8 elements. total_bytes: size of the arena. peak_bytes: most bytes live at
    once, which no arena can undercut.
    """

    offsets: dict[str, int]
    total_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class Block:
    """Tensors that share their bytes, and the operators (first and last index, both included) during which these are in use."""

    tensors: tuple[str, ...]
    size: int
    first: int
    last: int

    def meets(self, other: Block) -> bool:
        """Whether both are in use at some moment."""
        return self.first <= other.last and other.first <= self.last


def blocks(graph: Graph) -> tuple[Block, ...]:
    """The tensors of `graph` grouped by what shares memory, in the order of writing."""
    shapes, last_use = graph.shapes, graph.last_use
    home = {graph.input: graph.input}
    members = {graph.input: [graph.input]}
    first, last = {graph.input: 0}, {graph.input: max(last_use[graph.input], 0)}
    for index, op in enumerate(graph.ops):
        owner = op.output
        if isinstance(op, Flatten):
            owner = home[op.input]
        elif isinstance(op, Add):
            dying = [home[name] for name in op.inputs if last[home[name]] == index and home[name] != graph.input]
            owner = dying[0] if dying else owner
        home[op.output] = owner
        members.setdefault(owner, []).append(op.output)
        first.setdefault(owner, index)
        last[owner] = max(last.get(owner, index), last_use[op.output], index)
    return tuple(
        Block(tuple(names), prod(shapes[names[0]]), first[owner], min(last[owner], len(graph.ops) - 1))
        for owner, names in members.items()
    )


def plan(graph: Graph, alignment: int = 1) -> MemoryPlan:
    """Offsets for `graph` in its own order, multiples of `alignment` bytes. The same graph gives the same plan everywhere."""
    parts = blocks(graph)
    moments = [[part.size for part in parts if part.first <= step <= part.last] for step in range(max(len(graph.ops), 1))]
    enough = max(_aligned_sum(sizes, alignment) for sizes in moments)
    sizes = [part.size for part in parts]
    order = sorted(range(len(parts)), key=lambda i: (-parts[i].size, parts[i].first))
    meets = [[other for other, there in enumerate(parts) if part.meets(there)] for part in parts]
    offsets = arranged(sizes, order, meets, enough, alignment)
    by_name = {name: offset for offset, part in zip(offsets, parts, strict=True) for name in part.tensors}
    return MemoryPlan(
        {name: by_name[name] for name in graph.shapes}, end(sizes, offsets), peak_bytes=max(sum(live) for live in moments)
    )


def _aligned_sum(sizes: list[int], alignment: int) -> int:
    """Least bytes that blocks of these sizes need together: each but the topmost fills up to the next aligned offset."""
    gaps = [-size % alignment for size in sizes]
    return sum(sizes) + sum(gaps) - max(gaps)
