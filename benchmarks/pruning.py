"""Whether pruning while training pays: error against model size with and without it, MNIST, three seeds each.

    python benchmarks/pruning.py [--seeds 3] [--epochs 240]

After the figure of Liberis, Dudziak, Lane 2021: the strategy `munas` with and without pruning, the same trainings, the same
target, the same budget in epochs, on a fixed subset of MNIST. Size is the paper's: one byte a parameter, of the network after
shrinking. About half an hour on two cores; stopped, it goes on where it was. Results are kept in
benchmarks/results/pruning.json and drawn from there into site/pages/develop/pruning.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from _lab import RESULTS, Lab, into_page, lab, setting, small_target, write_results
from microzoo.pages.series import Cloud, Dot, fronts

TARGET = small_target(ram_bytes=8 * 1024, flash_bytes=8 * 1024, macs=200_000)
TRAIN, VALIDATION = 2000, 1500
SEARCH = {"strategy": "munas", "population": 20, "tournament": 5, "random_parents": 20, "epochs": 4.0, "error_bound": 0.05}
WITH, WITHOUT = "with pruning", "without pruning"
SIZES = (4096, 8192, 16384, 32768, 65536)
WORST_ERROR = 0.5
FILE = RESULTS / "pruning.json"


def run(place: Lab, kind: str, seed: int, epochs: float) -> list[tuple[int, float]]:
    """(size in bytes, validation error) of every candidate that could be trained."""
    job = place.job(seed=seed, search=SEARCH, prune={"enabled": kind == WITH})

    def progress(rows: Sequence[Any]) -> None:
        if len(rows) % 20 == 0:
            print(f"  {kind}, seed {seed}: {len(rows)} trainings", flush=True)

    rows = place.search(f"{kind.replace(' ', '-')}-{seed}", job, epochs=epochs, on_row=progress)
    alive = [row.evaluation for row in rows if row.evaluation.failure is None]
    return [(evaluation.resources.paper_size_bytes, round(evaluation.error, 5)) for evaluation in alive]


def best_within(points: Sequence[Sequence[float]], size: int) -> float:
    """The least error of what has at most `size` bytes; 1 where there is nothing."""
    return min((error for found, error in points if found <= size), default=1.0)


def table(runs: dict[str, Any]) -> list[str]:
    """Lines of a Markdown table: best error by size, mean and standard deviation over seeds."""
    lines = ["| at most | " + " | ".join(runs) + " |", "|---|" + "---|" * len(runs)]
    for size in SIZES:
        cells = []
        for seeds in runs.values():
            errors = [best_within(points, size) for points in seeds.values()]
            deviation = f" ± {np.std(errors, ddof=1):.2%}" if len(errors) > 1 else ""
            cells.append(f"{np.mean(errors):.2%}{deviation}" if max(errors) < 1 else "nothing that small in every run")
        lines.append(f"| {size:,} B | " + " | ".join(cells) + " |")
    return lines


def page(kept: dict[str, Any]) -> None:
    """The figure and the table, into the page."""
    clouds = [
        Cloud(kind, tuple(Dot(size, error) for points in seeds.values() for size, error in points if error < WORST_ERROR))
        for kind, seeds in kept["runs"].items()
    ]
    seeds = len(kept["runs"][WITH])
    drawing = fronts(
        clouds,
        title=f"MNIST, {TRAIN:,} training images: validation error against size, all candidates of {seeds} seeds",
        x_label="parameters, one byte each",
        y_label="validation error",
    )
    into_page("pruning", [f'<figure class="mz-figure">{drawing}</figure>', "", *table(kept["runs"]), "", kept["setting"]])


def main() -> None:
    """Runs what is missing, prints the table, writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=240.0)
    parser.add_argument("--draw", action="store_true", help="only write the page anew from the results that are kept")
    arguments = parser.parse_args()
    kept: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"runs": {WITH: {}, WITHOUT: {}}}
    if not arguments.draw:
        place = lab("pruning", "mnist", TARGET, train=TRAIN, validation=VALIDATION)
        for seed in range(arguments.seeds):
            for kind in (WITH, WITHOUT):
                kept["runs"][kind][str(seed)] = run(place, kind, seed, arguments.epochs)
                kept["setting"] = setting()
                write_results(FILE, kept)
    print(kept["setting"])
    print("\n".join(table(kept["runs"])))
    page(kept)


if __name__ == "__main__":
    main()
