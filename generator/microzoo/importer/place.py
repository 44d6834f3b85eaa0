"""Where every activation of a file lies in TFLM's arena: enters the graph in the order of execution, leaves an offset a tensor.

What may share bytes is what `export.plan` lets share, on any type: a RESHAPE is a view of its input, and an int8 ADD writes over
an operand that nothing reads afterwards, unless that is a view of the model's input or output. Blocks are placed by first fit,
the largest first; while one of them ends beyond the bound, it is moved forward in that order (seeded).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from microzoo.measure.activations import lifetimes, may_add_in_place
from microzoo.measure.tflite_file import TfliteModel

ALIGNMENT = 16
"""TFLM refuses offsets that are no multiple of it (MicroArenaBufferAlignment)."""
TRIES, MOST_STEPS = 400, 5_000_000
"""Orders tried, fewer where blocks meet so often that it would take more than seconds."""


@dataclass(frozen=True)
class Placement:
    """offsets: of each tensor, -1 for constants; total_bytes: end of the last; peak_bytes: most live at once, aligned."""

    offsets: tuple[int, ...]
    total_bytes: int
    peak_bytes: int


@dataclass
class _Block:
    """Tensors that share bytes, in use from operator `first` to `last`, both included."""

    tensors: list[int]
    size: int
    first: int
    last: int


def place(model: TfliteModel) -> Placement:
    """Offsets for the operators in the order that `model` has. The same graph gives the same offsets everywhere."""
    blocks = _blocks(model)
    bound = _bound(blocks, max(len(model.ops), 1))
    order = sorted(range(len(blocks)), key=lambda i: (-blocks[i].size, blocks[i].first))
    meets = _meetings(blocks, max(len(model.ops), 1))
    generator = random.Random(0)  # noqa: S311 - a search order, not a secret
    best = starts = _first_fit(blocks, order, meets)
    for _ in range(min(TRIES, MOST_STEPS // sum(map(len, meets)))):
        if _end(blocks, best) <= bound:
            break
        beyond = [index for index in order if starts[index] + blocks[index].size > bound]
        at = order.index(generator.choice(beyond))
        order.insert(generator.randrange(at) if at else 0, order.pop(at))
        starts = _first_fit(blocks, order, meets)
        best = min(best, starts, key=lambda found: _end(blocks, found))
    offsets = [-1] * len(model.tensors)
    for start, block in zip(best, blocks, strict=True):
        for tensor in block.tensors:
            offsets[tensor] = start
    return Placement(tuple(offsets), _end(blocks, best), bound)


def _blocks(model: TfliteModel) -> list[_Block]:
    spans, after = lifetimes(model), len(model.ops)
    last = {tensor: after if tensor in model.outputs else span[1] for tensor, span in spans.items()}
    home: dict[int, _Block] = {}
    blocks: list[_Block] = []

    def new(tensor: int, first: int) -> None:
        home[tensor] = _Block([tensor], model.tensors[tensor].bytes, first, max(last[tensor], first))
        blocks.append(home[tensor])

    for tensor in model.inputs:
        new(tensor, 0)
    held = [home[tensor] for tensor in model.inputs]
    for index, op in enumerate(model.ops):
        owner = None
        sources = [home[tensor] for tensor in op.inputs if tensor in home]
        if op.kind == "RESHAPE" and sources:
            owner = sources[0]
        elif may_add_in_place(model, op):
            owner = next((block for block in sources if block.last == index and block not in held), None)
        if owner is None or owner.size != model.tensors[op.outputs[0]].bytes:
            for tensor in op.outputs:
                new(tensor, index)
        else:
            owner.tensors.append(op.outputs[0])
            owner.last = max(owner.last, last[op.outputs[0]])
            home[op.outputs[0]] = owner
    for block in blocks:
        block.last = min(block.last, after - 1)
    return blocks


def _bound(blocks: list[_Block], steps: int) -> int:
    """Most aligned bytes in use at one step."""
    sizes: list[list[int]] = [[] for _ in range(steps)]
    for block in blocks:
        for step in range(block.first, block.last + 1):
            sizes[step].append(block.size)
    return max(_stacked(each) for each in sizes)


def _meetings(blocks: list[_Block], steps: int) -> list[list[int]]:
    """By block those that are in use at some step together with it, itself included."""
    begins: list[list[int]] = [[] for _ in range(steps)]
    for index, block in enumerate(blocks):
        begins[block.first].append(index)
    meets: list[list[int]] = [[] for _ in blocks]
    for index, block in enumerate(blocks):
        for step in range(block.first, block.last + 1):
            for other in begins[step]:
                meets[index].append(other)
                if step > block.first:
                    meets[other].append(index)
    return meets


def _stacked(sizes: list[int]) -> int:
    """Least bytes that blocks of these sizes need together: each but the topmost fills up to the next aligned offset."""
    gaps = [-size % ALIGNMENT for size in sizes]
    return sum(sizes) + sum(gaps) - max(gaps, default=0)


def _end(blocks: list[_Block], starts: list[int]) -> int:
    return max(start + block.size for start, block in zip(starts, blocks, strict=True))


def _first_fit(blocks: list[_Block], order: list[int], meets: list[list[int]]) -> list[int]:
    """Each block at the lowest aligned offset where nothing stands that it meets. meets: by block those in use with it."""
    starts = [-1] * len(blocks)
    for index in order:
        block = blocks[index]
        taken = sorted((starts[other], starts[other] + blocks[other].size) for other in meets[index] if starts[other] >= 0)
        start = 0
        for low, high in taken:
            if start + block.size <= low:
                break
            start = max(start, -(-high // ALIGNMENT) * ALIGNMENT)
        starts[index] = start
    return starts
