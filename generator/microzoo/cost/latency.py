"""Instructions of one inference of the C export, as a function of the Graph.

A sum over operators, each a linear function of how often the loops of its kernel in `export/runtime/microzoo_nn.c` run. Fitted by
`benchmarks/latency_vs_macs.py` to calls of kernels in random networks on an emulated Cortex-M (arm-none-eabi-gcc 12.2 -O2):
non-negative least squares of the relative error of each call. Residuals of calls, mean: at most 0.1 % for convolutions, 0.5 %
for max pooling, 4 % (one 21 %) for padding, which takes little of a network. Whole networks that were not fitted are off by
0.007 % on an M4 (500 networks, mean; at most 0.18 %), by at most 0.041 % on the others (60 networks each, mean; at most 0.34 %).

What a Graph does not tell is left out: branches on values (Cortex-M0 and M0+ only), multipliers of 1/2 and more, which take a
longer way, and on a Cortex-M55 a padded convolution whose input has the zero point 0, which takes a shorter one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from operator import mul
from typing import Literal, assert_never

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad, Pads, Shape
from microzoo.spec.cores import Core

Kernels = Literal["scalar", "dsp", "mve"]
"""Which loops of the kernel library a core runs: plain C, four products at a time, sixteen at a time."""
Kernel = Literal["conv", "depthwise", "max_pool", "average_pool", "add", "pad"]

TERMS: dict[Kernel, tuple[str, ...]] = {
    "conv": ("call", "row", "pixel", "quad", "single", "line", "step", "rest", "stepped", "rested"),
    "depthwise": ("call", "row", "pixel", "quad", "line", "tap", "single", "single_line", "single_tap"),
    "max_pool": ("call", "row", "pixel", "quad", "line", "tap", "single", "single_line", "single_tap"),
    "average_pool": ("call", "row", "pixel", "single", "single_line", "single_tap"),
    "add": ("call", "element"),
    "pad": ("call", "row", "unaligned_row", "word", "rest", "unaligned_byte", "set_word", "set_rest"),
}
"""What of a kernel is counted. call: 1. row, pixel: of the output; in "pad", rows of the input. quad: four channels of one
pixel taken together, the last four of a layer too where they overlap those before; single: a channel by itself. line: a row
of the window inside the map, for each quad or single. step: a round of the innermost loop of a convolution, over one, four or
sixteen inputs. rest: inputs left over from rounds of four; of rounds of sixteen, those with a zero point to subtract.
stepped, rested: lines with a step, with a rest. tap: a position of the window. element: of an addition. word, rest, set_word,
set_rest: four bytes, and bytes that are left over, of copies in rows at multiples of four, and of the whole output;
unaligned_*: of other rows.
"""

WORST_ERROR = 0.005
"""Share of the emulated count that a prediction may be too low by: what the search keeps clear of a limit. Seen: 0.34 %."""
Counts = tuple[tuple[int, int], ...]
"""Pairs of an extent in rows or columns, and how many windows have it."""
ONE: Counts = ((1, 1),)


@dataclass(frozen=True)
class Costs:
    """kernels: which loops run. base: instructions of `model_invoke` itself. of: for each kernel, those of its TERMS in order."""

    kernels: Kernels
    base: float
    of: dict[Kernel, tuple[float, ...]]


def instructions(graph: Graph, core: Core) -> int:
    """Instructions of one inference of the C export of `graph` on `core`, input and output not copied.

    Raises AssertionError on an operator without a rule.
    """
    costs, shapes = TABLES[core], graph.shapes
    total = costs.base
    for op in graph.ops:
        found = operator_terms(op, shapes, costs.kernels)
        if found is not None:
            kernel, terms = found
            total += sum(map(mul, costs.of[kernel], terms))
    return round(total)


def operator_terms(op: Op, shapes: Mapping[str, Shape], kernels: Kernels) -> tuple[Kernel, tuple[int, ...]] | None:
    """The kernel that runs `op`, and how often each of its TERMS occurs; None where nothing runs (Flatten).

    shapes: tensor name -> shape, as `Graph.shapes`. Raises AssertionError on an operator without a rule.
    """
    match op:
        case Conv():
            (_, _, channels), lines, columns = shapes[op.input], *_extents(op, shapes)
            return "conv", _conv_terms(op.filters, channels, lines, columns, any(op.padding), kernels)
        case Dense():
            return "conv", _conv_terms(op.units, shapes[op.input][0], ONE, ONE, False, kernels)
        case Depthwise():
            lines, columns = _extents(op, shapes)
            return "depthwise", _window_terms(shapes[op.output], _total(lines), _total(columns), fours=True)
        case MaxPool():
            height, width, _ = shapes[op.output]
            fours = kernels != "scalar"
            return "max_pool", _window_terms(shapes[op.output], height * op.kernel[0], width * op.kernel[1], fours=fours)
        case AvgPool():
            height, width, channels = shapes[op.output]
            outputs = height * width * channels
            taps = outputs * op.kernel[0] * op.kernel[1]
            return "average_pool", (1, height, height * width, outputs, outputs * op.kernel[0], taps)
        case Add():
            return "add", (1, prod(shapes[op.output]))
        case Pad():
            return "pad", _pad_terms(shapes[op.input], shapes[op.output], op.padding)
        case Flatten():
            return None
        case _:
            assert_never(op)


def _window_terms(output: Shape, lines: int, columns: int, *, fours: bool) -> tuple[int, ...]:
    """Of a kernel that takes channels apart, by `fours` where they suffice. lines, columns: inside the map, of all windows."""
    height, width, channels = output
    quads, singles = _groups(channels) if fours else (0, channels)
    pixels, taps, lines = height * width, lines * columns, lines * width
    return (
        1, height, pixels,
        quads * pixels, quads * lines, quads * taps,
        singles * pixels, singles * lines, singles * taps,
    )  # fmt: skip


def _conv_terms(filters: int, channels: int, lines: Counts, columns: Counts, padded: bool, kernels: Kernels) -> tuple[int, ...]:
    """Of a convolution. lines, columns: how many windows have how many rows and columns inside the map."""
    rows, width = _windows(lines), _windows(columns)
    quads, singles = _groups(filters)
    groups = quads + singles
    steps = rest = stepped = rested = 0
    for extent, times in columns:
        inputs = extent * channels
        if kernels == "scalar":
            steps += times * inputs
        elif kernels == "dsp":
            steps += times * (inputs // 4)
            rest += times * (inputs % 4)
            stepped += times * (inputs >= 4)
            rested += times * (inputs % 4 > 0)
        else:
            steps += times * -(-inputs // 16)
    if kernels == "mve" and padded:
        rest = steps
    runs = groups * _total(lines)
    pixels = rows * width
    return (
        1, rows, pixels, quads * pixels, singles * pixels,
        runs * width, runs * steps, runs * rest, runs * stepped, runs * rested,
    )  # fmt: skip


def _pad_terms(source: Shape, target: Shape, padding: Pads) -> tuple[int, ...]:
    """Of a padding, whose rows memcpy moves by words where both ends lie at multiples of four."""
    height, row = source[0], source[1] * source[2]
    stride = target[1] * target[2]
    first = padding[0] * stride + padding[2] * source[2]
    aligned = sum([1 for y in range(height) if y * row % 4 == 0 and (first + y * stride) % 4 == 0])
    unaligned = height - aligned
    filled = prod(target)
    return (
        1, height, unaligned, aligned * (row // 4), aligned * (row % 4), unaligned * row, filled // 4, filled % 4,
    )  # fmt: skip


def _extents(op: Conv | Depthwise, shapes: Mapping[str, Shape]) -> tuple[Counts, Counts]:
    """Rows and columns of the windows of `op` that lie on the map."""
    (height, width, _), (out_height, out_width, _) = shapes[op.input], shapes[op.output]
    top, _, left, _ = op.padding
    lines = _inside(height, op.kernel[0], op.stride[0], top, out_height)
    return lines, _inside(width, op.kernel[1], op.stride[1], left, out_width)


@lru_cache(maxsize=4096)
def _inside(size: int, kernel: int, stride: int, before: int, windows: int) -> Counts:
    """How many rows (or columns) of a window lie inside a map of `size`, which `before` rows of padding precede."""
    found: dict[int, int] = {}
    for start in range(-before, windows * stride - before, stride):
        extent = min(size - start, kernel) - max(-start, 0)
        found[extent] = found.get(extent, 0) + 1
    return tuple(found.items())


def _total(counts: Counts) -> int:
    return sum([extent * windows for extent, windows in counts])


def _windows(counts: Counts) -> int:
    return sum([windows for _, windows in counts])


def _groups(channels: int) -> tuple[int, int]:
    """Groups of four, and channels that are taken by themselves: all where there are fewer than four."""
    return (0, channels) if channels < 4 else (-(-channels // 4), 0)


ARMV6M = Costs(
    kernels="scalar",
    base=20.1,
    of={
        "conv": (43.43, 13.59, 87.22, 391.39, 172.79, 26.12, 23, 0, 0, 0),
        "depthwise": (31.09, 26.89, 79.74, 380.83, 18.95, 32.01, 146.38, 11.13, 7.98),
        "max_pool": (33.19, 7.94, 27.25, 0, 0, 0, 18.67, 7.18, 6.03),
        "average_pool": (37.58, 2.63, 42.68, 110.24, 6.65, 5.06),
        "add": (59.4, 147.02),
        "pad": (96.98, 51.43, 0, 3.47, 0, 5.96, 1.66, 0),
    },
)
"""Cortex-M0 and M0+, for which the compiler makes the same code."""
ARMV7M = Costs(
    kernels="scalar",
    base=11.6,
    of={
        "conv": (28.62, 13.22, 61.98, 168.99, 94.02, 16.01, 12, 0, 0, 0),
        "depthwise": (27.19, 14.74, 58.89, 158.01, 13.99, 20, 78.14, 9, 7),
        "max_pool": (24.9, 12.92, 24.01, 0, 0, 0, 8.99, 5.01, 7),
        "average_pool": (26.15, 7.25, 23.97, 15, 5, 5),
        "add": (39.93, 54),
        "pad": (57.28, 38.54, 6.67, 2.24, 0, 0.58, 1.73, 19.2),
    },
)
"""Cortex-M3: no DSP instructions."""
CORTEX_M4 = Costs(
    kernels="dsp",
    base=12.4,
    of={
        "conv": (32.96, 13.94, 63, 144.99, 90.01, 17.01, 26, 15, 9, 5),
        "depthwise": (30.61, 12.28, 59.08, 131.98, 20.01, 14, 66.02, 9, 7),
        "max_pool": (23.81, 11.23, 22.52, 15.8, 9, 7, 10.11, 5.12, 6.99),
        "average_pool": (25.81, 7.49, 23.95, 15.01, 5, 5),
        "add": (39.82, 40),
        "pad": (53.97, 31.5, 0, 1.97, 3.48, 0.62, 1.83, 1.91),
    },
)
"""ARMv7E-M; what the compiler makes of it differs by up to 1 % between M4, M7 and M33."""
CORTEX_M7 = Costs(
    kernels="dsp",
    base=11.2,
    of={
        "conv": (32.68, 14.16, 63, 145.99, 90.01, 17.03, 26, 15, 7, 8.98),
        "depthwise": (29.09, 14.86, 63.89, 131.01, 18.99, 14, 66.17, 7.99, 7),
        "max_pool": (23.85, 9.2, 24.04, 14.01, 8.84, 7.01, 8.17, 6.82, 6.75),
        "average_pool": (30, 7, 24, 15, 5, 5),
        "add": (39.56, 40),
        "pad": (63.38, 32.48, 14.37, 2.15, 0, 0.55, 1.72, 10.64),
    },
)
"""ARMv7E-M."""
CORTEX_M33 = Costs(
    kernels="dsp",
    base=6.3,
    of={
        "conv": (32.01, 14.11, 64.02, 145.99, 89.97, 17.02, 26, 15, 7, 8.99),
        "depthwise": (28.41, 13.75, 56.96, 132.01, 19.99, 14, 66.14, 8.97, 7),
        "max_pool": (24.52, 10.41, 22.71, 15.11, 8.87, 7.01, 8.92, 5.94, 6.88),
        "average_pool": (26.84, 7.16, 23.96, 15.01, 5, 5),
        "add": (38, 38),
        "pad": (57.29, 38.53, 6.69, 2.24, 0, 0.58, 1.73, 19.3),
    },
)
"""ARMv8-M with DSP instructions."""
ARMV81M = Costs(
    kernels="mve",
    base=6.6,
    of={
        "conv": (31.99, 15.07, 63.01, 104, 90.99, 32, 39, 9, 0, 0),
        "depthwise": (23.35, 14.81, 54.03, 81, 7, 10, 67.06, 7.97, 8),
        "max_pool": (25.38, 10.44, 22.7, 15.12, 8.87, 7.01, 8.79, 6.03, 6.86),
        "average_pool": (27.26, 6.72, 24.04, 16, 5, 5),
        "add": (38.21, 38),
        "pad": (57.29, 38.54, 6.68, 2.24, 0, 0.58, 1.73, 19.31),
    },
)
"""Cortex-M55, with vectors."""
TABLES: dict[Core, Costs] = {
    "cortex-m0": ARMV6M,
    "cortex-m0plus": ARMV6M,
    "cortex-m3": ARMV7M,
    "cortex-m4": CORTEX_M4,
    "cortex-m7": CORTEX_M7,
    "cortex-m33": CORTEX_M33,
    "cortex-m55": ARMV81M,
}
