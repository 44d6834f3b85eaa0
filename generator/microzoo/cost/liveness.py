"""Which bytes are live while which operator runs: the arithmetic under `cost.memory`, on integers and bit sets.

Sets of executed operators are bit masks over the graph's own order. Tensors that share their bytes whatever the order is (the
input and the output of a Flatten) are one storage; storage 0 holds the network's input.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, Flatten


@dataclass(frozen=True)
class Liveness:
    """What the memory of a graph depends on.

    sizes: bytes by storage. writes: storage that an operator writes, -1 for a Flatten. reads: distinct storages that it reads.
    readers: by storage the mask of operators that read it; the bit after the last operator stands for the network's output, which
    nothing ever finishes reading. producers: by operator the mask of those whose outputs it reads. in_place: by operator
    whether it may write over an input that dies there.
    """

    sizes: tuple[int, ...]
    writes: tuple[int, ...]
    reads: tuple[tuple[int, ...], ...]
    readers: tuple[int, ...]
    producers: tuple[int, ...]
    in_place: tuple[bool, ...]

    def without_input(self) -> Liveness:
        """The same with the network's input at 0 bytes, as µNAS counts."""
        return replace(self, sizes=(0, *self.sizes[1:]))

    def aligned(self, alignment: int) -> Liveness:
        """The same with every storage filled up to a multiple of `alignment` bytes."""
        return replace(self, sizes=tuple([-(-size // alignment) * alignment for size in self.sizes]))

    def users(self) -> tuple[int, ...]:
        """By operator the mask of those that read what it produced."""
        users = [0] * len(self.producers)
        for index, needs in enumerate(self.producers):
            while needs:
                low = needs & -needs
                users[low.bit_length() - 1] |= 1 << index
                needs ^= low
        return tuple(users)

    def effect(self, index: int, done: int) -> tuple[int, int]:
        """Bytes that operator `index` takes on top of what is live once `done` have run, and live bytes after it minus before it.

        The first is 0 for a Flatten and for an Add in place.
        """
        rest = ~(done | 1 << index)
        target, readers = self.writes[index], self.readers
        taken = self.sizes[target] if target >= 0 else 0
        change = taken if target >= 0 and readers[target] & rest else 0
        for storage in self.reads[index]:
            if not readers[storage] & rest:
                change -= self.sizes[storage]
                if storage and self.in_place[index]:
                    taken = 0
        return taken, change

    def least(self) -> list[int]:
        """Bytes that each operator needs in any order: its inputs, and its output unless that may be in place."""
        sizes = self.sizes
        least = []
        for target, reads, in_place in zip(self.writes, self.reads, self.in_place, strict=True):
            needed = 0 if target < 0 or in_place else sizes[target]
            for storage in reads:
                needed += sizes[storage]
            least.append(needed)
        return least

    def profile(self, order: Iterable[int]) -> list[int]:
        """Bytes live while each operator runs, in the given order of all operators."""
        live, done, profile = self.sizes[0], 0, []
        for index in order:
            taken, change = self.effect(index, done)
            profile.append(live + taken)
            live += change
            done |= 1 << index
        return profile


def liveness(graph: Graph, *, in_place: bool) -> Liveness:
    """Liveness of `graph`, int8: one byte an element. in_place: whether an Add may write over an input that dies there."""
    shapes = graph.shapes
    sizes, readers = [prod(graph.input_shape)], [0]
    places = {graph.input: (0, 0)}  # tensor -> its storage, the bit of its producer
    writes, reads, producers, adds = [], [], [], []
    bit = 1
    for op in graph.ops:
        needs, storages = 0, []
        for name in op.inputs:
            storage, producer = places[name]
            needs |= producer
            if storage not in storages:
                storages.append(storage)
                readers[storage] |= bit
        if isinstance(op, Flatten):
            places[op.output] = storages[0], bit
            writes.append(-1)
        else:
            places[op.output] = len(sizes), bit
            writes.append(len(sizes))
            sizes.append(prod(shapes[op.output]))
            readers.append(0)
        reads.append(tuple(storages))
        producers.append(needs)
        adds.append(in_place and isinstance(op, Add))
        bit <<= 1
    readers[places[graph.output][0]] |= bit
    return Liveness(tuple(sizes), tuple(writes), tuple(reads), tuple(readers), tuple(producers), tuple(adds))
