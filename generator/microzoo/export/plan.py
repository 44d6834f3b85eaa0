"""The memory plan: enters a Graph in its execution order, leaves an offset in one arena for every tensor.

What is live: the network's input from the start until its last reader is done; an operator's inputs together with its output
while it runs; the network's output to the end. Flatten moves no bytes, so its output shares its input's. Add writes over one of
its inputs that nothing reads afterwards, unless that is the network's input.

Add in place is safe where a kernel reads an element of both inputs no later than it writes that element. So do the generated C
and TensorFlow Lite Micro's reference kernels (the conformance suite runs them), and CMSIS-NN's arm_elementwise_add_s8 in each of
its paths (portable, DSP, MVE: it loads up to four elements of both, then stores four; tried on emulated Cortex-M3, M4 and M55).
`bakenn` carries no CMSIS-NN kernel for it: its sums are C of its own, in buffers of their own.

Finding the best offsets is NP-hard (dynamic storage allocation). Blocks are placed by first fit, the largest first; as long as
one of them ends beyond the peak of live bytes, which is a lower bound, it is moved to an earlier place in that order (seeded).
This reaches the bound on all but a few networks in a thousand.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import prod

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, Flatten

TRIES = 400
"""Orders tried before the best one so far is taken."""


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
    offsets = _search(parts, enough, alignment)
    by_name = {name: offset for offset, part in zip(offsets, parts, strict=True) for name in part.tensors}
    return MemoryPlan(
        {name: by_name[name] for name in graph.shapes}, _total(parts, offsets), peak_bytes=max(sum(sizes) for sizes in moments)
    )


def _aligned_sum(sizes: list[int], alignment: int) -> int:
    """Least bytes that blocks of these sizes need together: each but the topmost fills up to the next aligned offset."""
    gaps = [-size % alignment for size in sizes]
    return sum(sizes) + sum(gaps) - max(gaps)


def _search(parts: tuple[Block, ...], enough: int, alignment: int) -> list[int]:
    """Offsets of the blocks, in `enough` bytes if they are found."""
    order = sorted(range(len(parts)), key=lambda i: (-parts[i].size, parts[i].first))
    generator = random.Random(0)  # noqa: S311 - a search order, not a secret
    best = offsets = _first_fit(parts, order, alignment)
    for _ in range(TRIES):
        if _total(parts, best) == enough:
            break
        beyond = [index for index in order if offsets[index] + parts[index].size > enough]
        place = order.index(generator.choice(beyond))
        order.insert(generator.randrange(place) if place else 0, order.pop(place))
        offsets = _first_fit(parts, order, alignment)
        best = min(best, offsets, key=lambda found: _total(parts, found))
    return best


def _total(parts: tuple[Block, ...], offsets: list[int]) -> int:
    return max(offset + part.size for offset, part in zip(offsets, parts, strict=True))


def _first_fit(parts: tuple[Block, ...], order: list[int], alignment: int) -> list[int]:
    """Place each block at the lowest aligned offset where it meets nothing that is already placed."""
    offsets = [-1] * len(parts)
    for index in order:
        part = parts[index]
        taken = sorted(
            (offsets[other], offsets[other] + parts[other].size)
            for other in range(len(parts))
            if offsets[other] >= 0 and part.meets(parts[other])
        )
        offset = 0
        for start, end in taken:
            if offset + part.size <= start:
                break
            offset = max(offset, -(-end // alignment) * alignment)
        offsets[index] = offset
    return offsets
