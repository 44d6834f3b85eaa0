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

    def written(self, index: int, done: int) -> int:
        """Bytes that operator `index` takes on top of what is live once `done` have run: 0 for a Flatten and for an Add in
        place.
        """
        target = self.writes[index]
        if target < 0:
            return 0
        if self.in_place[index]:
            rest = ~(done | 1 << index)
            for storage in self.reads[index]:
                if storage and not self.readers[storage] & rest:
                    return 0
        return self.sizes[target]

    def change(self, index: int, done: int) -> int:
        """Live bytes after operator `index` minus those before it, once `done` have run."""
        rest = ~(done | 1 << index)
        target = self.writes[index]
        change = self.sizes[target] if target >= 0 and self.readers[target] & rest else 0
        for storage in self.reads[index]:
            if not self.readers[storage] & rest:
                change -= self.sizes[storage]
        return change

    def profile(self, order: Iterable[int]) -> list[int]:
        """Bytes live while each operator runs, in the given order of all operators."""
        live, done, profile = self.sizes[0], 0, []
        for index in order:
            profile.append(live + self.written(index, done))
            live += self.change(index, done)
            done |= 1 << index
        return profile


def liveness(graph: Graph, *, in_place: bool) -> Liveness:
    """Liveness of `graph`, int8: one byte an element. in_place: whether an Add may write over an input that dies there."""
    shapes = graph.shapes
    storage_of = {graph.input: 0}
    producer_of = {graph.input: 0}
    sizes, readers = [prod(graph.input_shape)], [0]
    writes, reads, producers, adds = [], [], [], []
    bit = 1
    for op in graph.ops:
        if isinstance(op, Flatten):
            storage_of[op.output] = storage_of[op.input]
            writes.append(-1)
        else:
            storage_of[op.output] = len(sizes)
            writes.append(len(sizes))
            sizes.append(prod(shapes[op.output]))
            readers.append(0)
        producer_of[op.output] = bit
        needs, storages = 0, []
        for name in op.inputs:
            storage = storage_of[name]
            if storage not in storages:
                storages.append(storage)
                readers[storage] |= bit
            needs |= producer_of[name]
        reads.append(tuple(storages))
        producers.append(needs)
        adds.append(in_place and isinstance(op, Add))
        bit <<= 1
    readers[storage_of[graph.output]] |= bit
    return Liveness(tuple(sizes), tuple(writes), tuple(reads), tuple(readers), tuple(producers), tuple(adds))
