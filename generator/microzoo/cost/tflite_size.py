"""Bytes of the .tflite of a Graph before it exists: enters a Graph, leaves the size of what `export/tflite.py` writes for it.

A flatbuffer is written from its end. What is written, in which order and at which multiples of bytes follows from the graph
alone: weights are as many bytes whatever their values are. So the writing is done again here, on the count of bytes only.
Source: the flatbuffers format (its Python builder) and TensorFlow Lite's schema.fbs, whose field numbers these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import assert_never

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad, weight_shape

DESCRIPTION = "Microzoo int8 model"
RUNTIME_BYTES = 16
"""Of the metadata min_runtime_version."""
BUFFER_ALIGNMENT = 16
REFERENCE, INT, BYTE = 4, 4, 1

Field = tuple[int, int]
"""Number of a field in its table, and its bytes; only fields that do not have their default value are written."""


@dataclass
class _Written:
    """bytes: so far, counted from the end of the file. layouts: the field tables written, of which equal ones are shared."""

    bytes: int = 0
    widest: int = 1
    layouts: set[tuple[int, ...]] = field(default_factory=set)

    def align(self, to: int, before: int = 0) -> None:
        """Fill up so that `before` more bytes end at a multiple of `to`."""
        self.widest = max(self.widest, to)
        self.bytes += -(self.bytes + before) % to

    def vector(self, items: int, size: int, alignment: int = 4) -> None:
        """`items` values of `size` bytes, and their number."""
        self.align(4, items * size)
        self.align(max(alignment, size), items * size)
        self.bytes += items * size + 4

    def string(self, text: str) -> None:
        """UTF-8, a zero, and the length."""
        self.vector(len(text.encode()) + 1, 1)

    def table(self, *fields: Field) -> None:
        """Fields in the order of writing, and where they are, unless a table like it has said so."""
        start, ends = self.bytes, {}
        for number, size in fields:
            self.align(size)
            self.bytes += size
            ends[number] = self.bytes
        self.align(4)
        self.bytes += 4
        most = max(ends, default=-1) + 1
        layout = (*(self.bytes - ends[number] if number in ends else 0 for number in range(most)), self.bytes - start)
        if layout not in self.layouts:
            self.layouts.add(layout)
            self.bytes += 2 * most + 4

    def buffer(self, size: int) -> None:
        """Data at a multiple of 16 bytes, and the table that refers to it."""
        self.vector(size, 1, BUFFER_ALIGNMENT)
        self.table((0, REFERENCE))


@dataclass(frozen=True)
class _Constant:
    """A tensor that the file holds. scales: how many its quantisation has, 0 for none. last_axis: quantised along that one."""

    bytes: int
    rank: int
    scales: int = 0
    last_axis: bool = False


def tflite_bytes(graph: Graph, metadata: Sequence[tuple[str, int]] = ()) -> int:
    """Size of the .tflite of `graph`, its BatchNorm folded.

    metadata: name and bytes of what is added for people, labels and such, in the order of writing. Raises AssertionError
    on an operator without a rule.
    """
    file = _Written()
    constants = [constant for op in graph.ops for constant in _constants(graph, op)]
    kinds = list(dict.fromkeys(type(op) for op in graph.ops))
    for kind in kinds:  # the number of ADD is 0 and the version of RESHAPE 1, the defaults
        numbers, version = ([] if kind is Add else [(0, BYTE), (3, INT)]), ([] if kind is Flatten else [(2, INT)])
        file.table(*numbers[:1], *version, *numbers[1:])
    file.vector(len(kinds), REFERENCE)
    _subgraph(file, graph, constants, kinds)
    file.vector(1, REFERENCE)
    file.string(DESCRIPTION)
    tensors = len(graph.shapes) + len(constants)
    named = [("OfflineMemoryAllocation", INT * (3 + tensors)), ("min_runtime_version", RUNTIME_BYTES), *metadata]
    file.table()  # the empty buffer of tensors without data
    for size in (*(constant.bytes for constant in constants), *(size for _, size in named)):
        file.buffer(size)
    file.vector(1 + len(constants) + len(named), REFERENCE)
    for name, _ in named:
        file.string(name)
        file.table((0, REFERENCE), (1, INT))
    file.vector(len(named), REFERENCE)
    file.table(*((number, REFERENCE) for number in (0, 1, 2, 3, 4, 6)))
    file.align(file.widest, 8)  # the root's offset and the file's identifier
    return file.bytes + 8


def _subgraph(file: _Written, graph: Graph, constants: list[_Constant], kinds: list[type[Op]]) -> None:
    for name, shape in graph.shapes.items():
        file.vector(1 + len(shape), INT)
        file.string(name)
        _quantisation(file, 1)
        file.table((0, REFERENCE), (1, BYTE), (3, REFERENCE), (4, REFERENCE))
    for constant in constants:
        file.vector(constant.rank, INT)
        if constant.scales:
            _quantisation(file, constant.scales, last_axis=constant.last_axis)
        file.table((0, REFERENCE), (1, BYTE), (2, INT), *([(4, REFERENCE)] if constant.scales else []))
    file.vector(len(graph.shapes) + len(constants), REFERENCE)
    file.vector(1, INT)
    file.vector(1, INT)
    for op in graph.ops:
        file.vector(len(op.inputs) + len(_constants(graph, op)), INT)
        file.vector(1, INT)
        _options(file, graph, op)
        first = [] if kinds.index(type(op)) == 0 else [(0, INT)]
        file.table(*first, (1, REFERENCE), (2, REFERENCE), (3, BYTE), (4, REFERENCE))
    file.vector(len(graph.ops), REFERENCE)
    file.string("main")
    file.table(*((number, REFERENCE) for number in range(5)))


def _quantisation(file: _Written, scales: int, *, last_axis: bool = False) -> None:
    """A float32 scale and an int64 zero point for each; the axis where it is not the first."""
    file.vector(scales, 4)
    file.vector(scales, 8)
    file.table((2, REFERENCE), (3, REFERENCE), *([(6, INT)] if last_axis else []))


def _constants(graph: Graph, op: Op) -> list[_Constant]:
    match op:
        case Conv() | Depthwise() | Dense():
            shape, outputs = weight_shape(op, graph.shapes[op.input]), graph.shapes[op.output][-1]
            one = isinstance(op, Dense)
            weight = _Constant(prod(shape), 2 if one else 4, 1 if one else outputs, last_axis=isinstance(op, Depthwise))
            return [weight, _Constant(4 * outputs, 1, scales=int(one))]
        case Pad():
            return [_Constant(32, 2)]
        case MaxPool() | AvgPool() | Add() | Flatten():
            return []
        case _:
            assert_never(op)


def _options(file: _Written, graph: Graph, op: Op) -> None:
    """The table of an operator's options."""
    relu = getattr(op, "relu", False)
    match op:
        case Conv() | Depthwise():
            # Same padding is the default; without any both are right, and the export says valid.
            valid = [] if any(op.padding) else [(0, BYTE)]
            multiplier = [(3, INT)] if isinstance(op, Depthwise) else []
            activation = 4 if isinstance(op, Depthwise) else 3
            file.table(*valid, (1, INT), (2, INT), *multiplier, *([(activation, BYTE)] if relu else []))
        case Dense():
            file.table(*([(0, BYTE)] if relu else []))
        case MaxPool() | AvgPool():
            file.table((0, BYTE), *((number, INT) for number in (1, 2, 3, 4)))
        case Add():
            file.table(*([(0, BYTE)] if relu else []), (1, BYTE))
        case Pad():
            file.table()
        case Flatten():
            file.vector(1 + len(graph.shapes[op.output]), INT)
            file.table((0, REFERENCE))
        case _:
            assert_never(op)
