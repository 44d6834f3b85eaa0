"""How well do MACs tell instructions, and how well does `cost/latency.py`? A figure of the µNAS paper repeated on a Cortex-M.

    python benchmarks/latency_vs_macs.py [--count 1000] [--others 120] [--draw]     (needs arm-none-eabi-gcc, qemu-system-arm)

Random architectures of the search space, five input shapes in turn, are exported as C with random weights, and the
instructions of one inference are counted by QEMU: of the first half call by call, which fits the tables of `cost/latency.py`
(printed, to be pasted), and of the second half as wholes, which no fit has seen and on which the errors are taken. The peer
is a line on MACs, fitted to the first half: for its mean error by least squares of the relative error, for its R² by plain
least squares.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from _lab import RESULTS, ROOT, into_page, setting, write_results
from _latency_lab import Counted, count_all, networks, random_model
from _latency_plot import document
from microzoo.cost.latency import TABLES, TERMS, Costs, Kernel, instructions, operator_terms
from microzoo.cost.macs import macs
from microzoo.export.c import c_sources
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Flatten
from microzoo.measure.c_runtime import compiler_version
from microzoo.measure.emulate import emulate, emulator_version
from microzoo.spec.cores import Core

FILE = RESULTS / "latency.json"
ASSETS = ROOT / "site" / "pages" / "assets"
SEED = 5
MAIN_CORE: Core = "cortex-m4"
CORES: tuple[Core, ...] = ("cortex-m4", "cortex-m0plus", "cortex-m3", "cortex-m7", "cortex-m33", "cortex-m55")
"""The compiler makes the same code for a Cortex-M0 as for an M0+."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="networks on the Cortex-M4")
    parser.add_argument("--others", type=int, default=120, help="networks on each other core, the first ones of the same")
    parser.add_argument(
        "--draw", action="store_true", help="only judge the tables and write the page from the counts that are kept"
    )
    arguments = parser.parse_args()
    graphs = networks(arguments.count, SEED)
    kept: dict[str, Any] = json.loads(FILE.read_text()) if arguments.draw else {"counts": {}}
    if arguments.draw:
        graphs = networks(max(len(totals) for totals in kept["counts"].values()), SEED)
    else:
        tools = f"arm-none-eabi-gcc {compiler_version('arm-none-eabi-gcc')} -O2, {emulator_version()}"
        kept["setting"] = f"{setting()}, {tools}"
        for core in CORES:
            some = graphs if core == MAIN_CORE else graphs[: arguments.others]
            kept["counts"][core] = measured(some, core)
            write_results(FILE, kept)
    judged = {core: judge(graphs, totals, core) for core, totals in kept["counts"].items()}
    print(kept["setting"])
    print("\n".join(table(judged)))
    draw(graphs, kept, judged)


def measured(graphs: Sequence[Graph], core: Core) -> list[int]:
    """Instructions of each network, after printing the table that the first half fits."""
    half, started = len(graphs) // 2, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        fitting = list(count_all(graphs[:half], core, Path(folder), by_operator=True))
        rest = list(count_all(graphs[half:], core, Path(folder), by_operator=False, seed=1))
    check_one(graphs[0], fitting[0].total, core)
    print(f"{core}: {len(graphs)} networks in {time.monotonic() - started:.0f} s", flush=True)
    print_fit(fit(graphs[:half], fitting, core), graphs[:half], fitting)
    return [counted.total for counted in fitting + rest]


def check_one(graph: Graph, total: int, core: Core) -> None:
    """Raises AssertionError where `measure.emulate` counts otherwise; other weights and inputs may matter on Thumb-1 alone."""
    model = random_model(graph, np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        for name, text in c_sources(model).items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        (single,) = emulate(Path(folder), core, np.zeros((1, *graph.input_shape), np.int8)).instructions
    assert abs(single / total - 1) < (2e-3 if core == "cortex-m0plus" else 1e-6), (core, single, total)


def fit(graphs: Sequence[Graph], counted: Sequence[Counted], core: Core) -> Costs:
    """Instructions of each term: least squares of the relative error of each operator, none below zero."""
    kernels = TABLES[core].kernels
    rows: dict[Kernel, list[tuple[tuple[int, ...], int]]] = {kernel: [] for kernel in TERMS}
    for graph, found in zip(graphs, counted, strict=True):
        for (kernel, terms), count in zip(each_call(graph, kernels), found.ops, strict=True):
            rows[kernel].append((terms, count))
    base = float(np.mean([found.total - sum(found.ops) for found in counted]))
    of: dict[Kernel, tuple[float, ...]] = {}
    for kernel, pairs in rows.items():
        assert pairs, f"no {kernel} among {len(graphs)} networks: take more"
        occurring, counts = (np.array(column, float) for column in zip(*pairs, strict=True))
        solution, _ = nnls(occurring / counts[:, None], np.ones(len(counts)))
        of[kernel] = tuple(float(value) for value in np.round(solution, 2))
    return Costs(kernels, round(base, 1), of)


def each_call(graph: Graph, kernels: Any) -> Iterator[tuple[Kernel, tuple[int, ...]]]:
    """Kernel and terms of each operator that is not nothing."""
    for op in graph.ops:
        if not isinstance(op, Flatten):
            found = operator_terms(op, graph.shapes, kernels)
            assert found is not None, op
            yield found


def print_fit(costs: Costs, graphs: Sequence[Graph], counted: Sequence[Counted]) -> None:
    """As Python, and the residuals of its operators."""
    print(f'Costs(\n    kernels="{costs.kernels}",\n    base={costs.base},\n    of={{')
    for kernel, values in costs.of.items():
        print(f'        "{kernel}": ({", ".join(f"{value:g}" for value in values)}),')
    print("    },\n)")
    errors: dict[Kernel, list[float]] = {kernel: [] for kernel in costs.of}
    for graph, found in zip(graphs, counted, strict=True):
        for (kernel, terms), count in zip(each_call(graph, costs.kernels), found.ops, strict=True):
            errors[kernel].append(abs(float(np.dot(terms, costs.of[kernel])) / count - 1))
    for kernel, off in errors.items():
        print(f"  {kernel}: {len(off)} operators, residual mean {np.mean(off):.3%}, greatest {max(off):.2%}")


def judge(graphs: Sequence[Graph], totals: Sequence[int], core: Core) -> dict[str, float]:
    """R², mean and greatest relative error of a line on MACs and of the present table, on the second half."""
    half = len(totals) // 2
    x = np.array([macs(graph) for graph in graphs[: len(totals)]], float)
    y = np.array(totals, float)
    ours = np.array([instructions(graph, core) for graph in graphs[half : len(totals)]], float)
    columns = np.stack([x, np.ones_like(x)], axis=1)
    plain, *_ = np.linalg.lstsq(columns[:half], y[:half], rcond=None)
    relative, *_ = np.linalg.lstsq(columns[:half] / y[:half, None], np.ones(half), rcond=None)
    seen = y[half:]
    off_macs, off_ours = np.abs(columns[half:] @ relative / seen - 1), np.abs(ours / seen - 1)
    return {
        "networks": len(totals),
        "r2_macs": r2(columns[half:] @ plain, seen),
        "r2_ours": r2(ours, seen),
        "mae_macs": float(off_macs.mean()),
        "mae_ours": float(off_ours.mean()),
        "greatest_macs": float(off_macs.max()),
        "greatest_ours": float(off_ours.max()),
    }


def r2(predicted: Any, seen: Any) -> float:
    """Share of the variance explained, as judged on numbers that were not fitted."""
    return float(1 - ((predicted - seen) ** 2).sum() / ((seen - seen.mean()) ** 2).sum())


def table(judged: dict[str, dict[str, float]]) -> Iterator[str]:
    """Markdown."""
    yield "| core | networks | R², MACs | R², model | error, MACs | error, model | ratio |"
    yield "|---|---|---|---|---|---|---|"
    for core, found in judged.items():
        cells = [
            f"{found['networks']:,}",
            f"{found['r2_macs']:.3f}",
            f"{floor(1e5 * found['r2_ours']) / 1e5:.5f}",
            f"{100 * found['mae_macs']:.1f} % ({100 * found['greatest_macs']:.0f} %)",
            f"{100 * found['mae_ours']:.3f} % ({100 * found['greatest_ours']:.2f} %)",
            f"{found['mae_ours'] / found['mae_macs']:.4f}",
        ]
        yield f"| {core} | {' | '.join(cells)} |"


def draw(graphs: Sequence[Graph], kept: dict[str, Any], judged: dict[str, dict[str, float]]) -> None:
    """The two pictures and the table of the method page."""
    totals, found = kept["counts"][MAIN_CORE], judged[MAIN_CORE]
    label = "instructions of one inference, emulated Cortex-M4"
    pairs = [(float(macs(graph)), float(total)) for graph, total in zip(graphs, totals, strict=False)]
    half = len(totals) // 2
    ours = [
        (float(instructions(graph, MAIN_CORE)), float(total)) for graph, total in zip(graphs[half:], totals[half:], strict=False)
    ]
    words = f"{len(pairs):,} random architectures; a line fitted to half of them has R² = {found['r2_macs']:.3f} on the others"
    title = "Multiply-accumulates against instructions"
    (ASSETS / "latency-macs.svg").write_text(
        document(pairs, title=title, words=words, x_label="multiply-accumulates", y_label=label), encoding="utf-8"
    )
    words = f"{len(ours):,} networks that were not fitted; mean error {100 * found['mae_ours']:.3f} %"
    title = "Predicted against emulated instructions"
    (ASSETS / "latency-model.svg").write_text(
        document(ours, title=title, words=words, x_label="instructions, predicted from the graph", y_label=label, diagonal=True),
        encoding="utf-8",
    )
    lines = [
        "",
        f"![Scatter plot: multiply-accumulates against instructions of {len(pairs):,} networks](assets/latency-macs.svg)",
        "",
        f"![Scatter plot: predicted against emulated instructions of {len(ours):,} networks](assets/latency-model.svg)",
        "",
        *table(judged),
        "",
        "Errors: mean of the absolute relative error, the greatest in brackets.",
        f"{kept['setting']}.",
        "",
    ]
    into_page("../method", lines)


if __name__ == "__main__":
    main()
