"""How many architectures a second one core samples, changes, lowers and predicts: the search's speed before any training.

    python benchmarks/sampling.py [--count 2000] [--branched 1000] [--repetitions 5]

Two goals: at least 2,000 architectures a second and core through sampling (or a morphism), lowering, canonical form and the gate
of the search (64 KB of RAM, 64 KB of flash, 5 M multiply-accumulates; what surely does not fit has its order not searched), in
either space; and the minimum-peak order of any branched graph of 30 operators within 5 ms. Times are the least over the
repetitions, one architecture at a time; every repetition draws the same architectures.

Peers, measured in the same run on the same architectures: a deep copy of an architecture (what a search on mutable objects does
for each child) against a morphism; torch's own count of MACs and parameters (modules built on the meta device, flop counter)
against lowering + prediction; a plain dynamic programme over all sets of executed operators against the minimum-peak order.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from _lab import setting
from microzoo.cost.liveness import liveness
from microzoo.cost.memory import best_order
from microzoo.cost.predict import predict, predict_within
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad
from microzoo.search.gate import Limits
from microzoo.space.architecture import Architecture
from microzoo.space.canonical import graph_digest
from microzoo.space.lowering import lower
from microzoo.space.morphisms import morph
from microzoo.space.sampling import MICROZOO_SPACE, MUNAS_SPACE, SpaceRules, sample

INPUT_SHAPE, CLASSES = (28, 28, 1), 10
LIMITS = Limits(65536, 65536, 5_000_000)
GOAL_RATE, GOAL_ORDER_MS, BRANCHED_OPERATORS = 2000, 5.0, 30
PLAIN_LIMIT = 20_000
"""Graphs with more sets of operators than this are left out of the comparison with the plain dynamic programme."""


def seconds_each(
    work: Callable[[Any], object], items: Sequence[Any], repetitions: int, rng: np.random.Generator | None = None
) -> list[float]:
    """Seconds of `work` on each item, the least over the repetitions. rng: what `work` draws from, the same in each of them."""
    best = [float("inf")] * len(items)
    state = rng.bit_generator.state if rng else {}
    for _ in range(repetitions):
        if rng:
            rng.bit_generator.state = state
        for index, item in enumerate(items):
            start = perf_counter()
            work(item)
            best[index] = min(best[index], perf_counter() - start)
    return best


def torch_op(op: Op, values: dict[str, torch.Tensor], modules: nn.ModuleList) -> torch.Tensor:
    """`op` by torch on the meta device; its module is kept in `modules`."""
    x = values[op.inputs[0]]
    match op:
        case Conv() | Depthwise():
            top, bottom, left, right = op.padding
            channels = x.shape[1]
            filters, groups = (op.filters, 1) if isinstance(op, Conv) else (channels, channels)
            modules.append(nn.Conv2d(channels, filters, op.kernel, op.stride, groups=groups, device="meta"))
            return modules[-1](functional.pad(x, (left, right, top, bottom)))
        case Dense():
            modules.append(nn.Linear(x.shape[1], op.units, device="meta"))
            return modules[-1](x)
        case MaxPool():
            return functional.max_pool2d(x, op.kernel, op.stride)
        case AvgPool():
            return functional.avg_pool2d(x, op.kernel, op.stride)
        case Add():
            return x + values[op.right]
        case Pad():
            return functional.pad(x, (0, op.padding[3], 0, op.padding[1]))
        case Flatten():
            return x.flatten(1)


def torch_counts(graph: Graph) -> tuple[int, int]:
    """MACs and parameters as torch counts them."""
    h, w, c = graph.input_shape
    values, modules = {graph.input: torch.empty(1, c, h, w, device="meta")}, nn.ModuleList()
    with FlopCounterMode(display=False) as counter:
        for op in graph.ops:
            values[op.output] = torch_op(op, values, modules)
    return counter.get_total_flops() // 2, sum(parameter.numel() for parameter in modules.parameters())


def plain_minimum(graph: Graph) -> int | None:
    """The least peak by a recursion over all sets of executed operators; None beyond PLAIN_LIMIT sets."""
    live = liveness(graph, in_place=True)
    count, visited = len(graph.ops), 0

    @cache
    def remaining(done: int, held: int) -> int:
        nonlocal visited
        visited += 1
        if visited > PLAIN_LIMIT:
            raise OverflowError
        least = None
        for index in range(count):
            if not done >> index & 1 and not live.producers[index] & ~done:
                taken, change = live.effect(index, done)
                peak = max(held + taken, remaining(done | 1 << index, held + change))
                least = peak if least is None else min(least, peak)
        return least or 0

    try:
        return remaining(0, live.sizes[0])
    except OverflowError:
        return None


def row(what: str, seconds: Sequence[float], note: str = "") -> float:
    """One line of the table; gives its rate per second."""
    each = np.array(seconds)
    rate, median, tail = len(each) / each.sum(), np.median(each) * 1e6, np.percentile(each, 99) * 1e6
    print(f"  {what:<34}{rate:>9.0f} /s   median {median:>6.0f} µs   p99 {tail:>7.0f} µs   {note}")
    return float(rate)


def verdict(met: bool) -> str:
    """A goal's outcome in words."""
    return "met" if met else "MISSED"


def report(name: str, rules: SpaceRules, count: int, repetitions: int) -> list[float]:
    """The table of one space; gives the rates per second that the goal is about, sampled and changed."""
    rng = np.random.default_rng(0)
    print(f"\n{name}: {count} architectures, input {INPUT_SHAPE}, least of {repetitions} repetitions")
    architectures = [sample(rng, rules) for _ in range(count)]
    graphs = [lower(architecture, INPUT_SHAPE, CLASSES) for architecture in architectures]

    def gated(architecture: Architecture) -> object:
        graph = lower(architecture, INPUT_SHAPE, CLASSES)
        return predict_within(graph, "c", "cortex-m4", LIMITS.fits), graph_digest(graph)

    def predicted(architecture: Architecture) -> object:
        graph = lower(architecture, INPUT_SHAPE, CLASSES)
        return predict(graph, "c", "cortex-m4"), graph_digest(graph)

    def figures(architecture: Any) -> object:
        return predict(lower(architecture, INPUT_SHAPE, CLASSES), "c", "cortex-m4")

    row("sample", seconds_each(lambda _: sample(rng, rules), architectures, repetitions, rng))
    changes = seconds_each(lambda a: morph(rng, a, rules), architectures, repetitions, rng)
    copies = seconds_each(deepcopy, architectures, 1)
    row("morph", changes, f"{sum(copies) / sum(changes):.1f} x as fast as a deep copy")
    row("lower", seconds_each(lambda a: lower(a, INPUT_SHAPE, CLASSES), architectures, repetitions))
    predictions = seconds_each(figures, architectures, repetitions)
    few = range(0, count, max(1, count // 100))
    torch_counts(graphs[0])
    peer = sum(seconds_each(torch_counts, [graphs[i] for i in few], 1)) / sum(predictions[i] for i in few)
    row("lower + predict", predictions, f"{peer:.0f} x as fast as torch's module and flop counter")
    whole = seconds_each(lambda _: predicted(sample(rng, rules)), architectures, repetitions, rng)
    row("sample + lower + predict + digest", whole, "whether it fits or not")
    sampled = seconds_each(lambda _: gated(sample(rng, rules)), architectures, repetitions, rng)
    changed = seconds_each(lambda a: gated(morph(rng, a, rules)[1]), architectures, repetitions, rng)
    rates = [row("sample + lower + gate + digest", sampled), row("morph + lower + gate + digest", changed)]
    orders = seconds_each(best_order, graphs, repetitions)
    row("minimum-peak order", orders, f"worst {max(orders) * 1e3:.1f} ms, {len(graphs[int(np.argmax(orders))].ops)} operators")
    small = [index for index, graph in enumerate(graphs) if plain_minimum(graph) is not None]
    plain = sum(seconds_each(plain_minimum, [graphs[i] for i in small], 1)) / sum(orders[i] for i in small)
    assert all(plain_minimum(graphs[i]) == best_order(graphs[i])[1] for i in small)
    print(f"  the order is found {plain:.0f} x as fast as by the plain programme, with the same peaks, on {len(small)} graphs;")
    print(f"  the plain programme gives up on the other {count - len(small)}, which have more than {PLAIN_LIMIT} sets")
    return rates


def branched(rules: SpaceRules, count: int) -> list[Graph]:
    """Random graphs of BRANCHED_OPERATORS operators with at least one sum."""
    rng = np.random.default_rng(30)
    graphs: list[Graph] = []
    while len(graphs) < count:
        graph = lower(sample(rng, rules), INPUT_SHAPE, CLASSES)
        if len(graph.ops) == BRANCHED_OPERATORS and any(isinstance(op, Add) for op in graph.ops):
            graphs.append(graph)
    return graphs


def report_orders(count: int, repetitions: int) -> None:
    """The worst time for the order of a branched graph, and the plain programme on a few of the same graphs."""
    graphs = [graph for rules in (MUNAS_SPACE, MICROZOO_SPACE) for graph in branched(rules, count)]
    print(f"\nMinimum-peak order: {len(graphs)} branched graphs of {BRANCHED_OPERATORS} operators, half from each space")
    seconds = seconds_each(best_order, graphs, repetitions)
    row("minimum-peak order", seconds)
    few = [i for i in range(0, len(graphs), max(1, len(graphs) // 40)) if plain_minimum(graphs[i]) is not None]
    plain = sum(seconds_each(plain_minimum, [graphs[i] for i in few], 1)) / sum(seconds[i] for i in few)
    print(f"  {plain:.0f} x as fast as the plain programme, on {len(few)} of them that it solves within {PLAIN_LIMIT} sets")
    worst = max(seconds) * 1e3
    print(f"  worst {worst:.1f} ms; goal {GOAL_ORDER_MS:.0f} ms: {verdict(worst < GOAL_ORDER_MS)}")


def main() -> None:
    """Print the tables of both spaces."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--branched", type=int, default=1000, help="branched graphs of each space")
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{setting()}; one core")
    for name, rules in (("µNAS' space", MUNAS_SPACE), ("Microzoo's space", MICROZOO_SPACE)):
        slowest = min(report(name, rules, arguments.count, arguments.repetitions))
        met = verdict(slowest >= GOAL_RATE)
        print(f"  sampling, canonical form and gate: {slowest:.0f} a second and core; goal {GOAL_RATE}: {met}")
    report_orders(arguments.branched, arguments.repetitions)


if __name__ == "__main__":
    main()
