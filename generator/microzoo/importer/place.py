"""Where every activation of a file lies in TFLM's arena: enters the graph in the order of execution, leaves an offset a tensor.

What may share bytes is what `export.plan` lets share, on any type: a RESHAPE is a view of its input, and an int8 ADD writes over
an operand that nothing reads afterwards, unless that is a view of the model's input or output. Blocks are placed as `export.fit`
does it, the largest first; where very many meet, once, in the order of execution.
"""

from __future__ import annotations

from dataclasses import dataclass

from microzoo.export.fit import TRIES, arranged, end
from microzoo.measure.activations import check_spans, lifetimes, may_add_in_place
from microzoo.measure.tflite_file import TfliteModel

ALIGNMENT = 16
"""TFLM refuses offsets that are no multiple of it (MicroArenaBufferAlignment)."""
MOST_STEPS = 5_000_000
"""Fewer orders are tried where blocks meet so often that it would take more than seconds."""
MOST_MEETINGS = 500_000
"""Pairs of blocks in use together up to which blocks are placed by size: beyond, one pass in the order of execution."""


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
    """Offsets for the operators in the order that `model` has. The same graph gives the same offsets everywhere.

    Raises MeasurementError where more is live at once than can be listed.
    """
    blocks, steps = _blocks(model), max(len(model.ops), 1)
    bound = _bound(blocks, steps)
    if _pairs(blocks, steps) > MOST_MEETINGS:
        return _placement(model, blocks, _in_order(blocks), bound)
    order = sorted(range(len(blocks)), key=lambda i: (-blocks[i].size, blocks[i].first))
    meets = _meetings(blocks, steps)
    tries = min(TRIES, MOST_STEPS // sum(map(len, meets)))
    return _placement(model, blocks, arranged([block.size for block in blocks], order, meets, bound, ALIGNMENT, tries), bound)


def _placement(model: TfliteModel, blocks: list[_Block], starts: list[int], bound: int) -> Placement:
    offsets = [-1] * len(model.tensors)
    for start, block in zip(starts, blocks, strict=True):
        for tensor in block.tensors:
            offsets[tensor] = start
    return Placement(tuple(offsets), end([block.size for block in blocks], starts), bound)


def _blocks(model: TfliteModel) -> list[_Block]:
    spans, after = lifetimes(model), len(model.ops)
    check_spans(model, spans)
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
    """Most aligned bytes in use at one step: each block but the topmost fills up to the next aligned offset."""
    begin, end = _events(blocks, steps)
    total, gaps, most = 0, [0] * ALIGNMENT, 0
    for begins, ends in zip(begin, end, strict=True):
        for index in begins:
            gap = -blocks[index].size % ALIGNMENT
            total += blocks[index].size + gap
            gaps[gap] += 1
        most = max(most, total - max((gap for gap, count in enumerate(gaps) if count), default=0))
        for index in ends:
            gap = -blocks[index].size % ALIGNMENT
            total -= blocks[index].size + gap
            gaps[gap] -= 1
    return most


def _events(blocks: list[_Block], steps: int) -> tuple[list[list[int]], list[list[int]]]:
    """By step the blocks whose use begins there, and those whose use ends there."""
    begin: list[list[int]] = [[] for _ in range(steps)]
    end: list[list[int]] = [[] for _ in range(steps)]
    for index, block in enumerate(blocks):
        begin[block.first].append(index)
        end[block.last].append(index)
    return begin, end


def _pairs(blocks: list[_Block], steps: int) -> int:
    """How many pairs of blocks are in use together at some step."""
    live = pairs = 0
    for begins, ends in zip(*_events(blocks, steps), strict=True):
        new = len(begins)
        pairs += new * live + new * (new - 1) // 2
        live += new - len(ends)
    return pairs


def _in_order(blocks: list[_Block]) -> list[int]:
    """Each block at the lowest aligned offset that is free when its use begins, larger ones first among those of one step."""
    starts = [-1] * len(blocks)
    taken: list[tuple[int, int, int]] = []  # (start, aligned end, last step), by start
    step = -1
    for index in sorted(range(len(blocks)), key=lambda i: (blocks[i].first, -blocks[i].size)):
        block = blocks[index]
        if block.first > step:
            step = block.first
            taken = [each for each in taken if each[2] >= step]
        start = place = 0
        for low, high, _ in taken:
            if start + block.size <= low:
                break
            start, place = high, place + 1
        taken.insert(place, (start, -(-(start + block.size) // ALIGNMENT) * ALIGNMENT, block.last))
        starts[index] = start
    return starts


def _meetings(blocks: list[_Block], steps: int) -> list[list[int]]:
    """By block those that are in use at some step together with it, itself included."""
    begins, _ = _events(blocks, steps)
    meets: list[list[int]] = [[] for _ in blocks]
    for index, block in enumerate(blocks):
        for step in range(block.first, block.last + 1):
            for other in begins[step]:
                meets[index].append(other)
                if step > block.first:
                    meets[other].append(index)
    return meets
