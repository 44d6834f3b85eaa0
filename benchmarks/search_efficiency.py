"""How much training each strategy needs: hypervolume against epochs spent, on a fixed subset of Fashion-MNIST, three seeds each.

    python benchmarks/search_efficiency.py [--strategies munas,...] [--seeds 3] [--epochs 400]

Strategies: `random`, `munas`, `munas` without pruning, `microzoo`; the same trainings, the same target, the same budget in
epochs. The scaled reference designs, each trained in full once a seed, are drawn in. An hour on two cores; stopped, it goes on
where it was. Results are kept in benchmarks/results/search_efficiency.json, by strategy and seed, and drawn from there into the
page site/pages/develop/search-efficiency.md.

Hypervolume: of what fits the target, over (validation error / 0.5, RAM / limit, flash / limit, MACs / limit) with the reference
point (1, 1, 1, 1), errors as the search measured them: `microzoo` is judged by trainings a third as long where it did no more.
`munas` runs with a population of 20 and tournaments of 5, the paper's 100 and 25 over a budget that is a fiftieth of the paper's.
What needs more than ten times a limit is drawn again, not trained, which spares `munas` its most expensive trainings.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

import moocore
import numpy as np

from _lab import RESULTS, Lab, into_page, lab, setting, small_target, write_results
from microzoo.build.job import problem_of
from microzoo.build.training import FinalTask
from microzoo.pages.series import Curve, Reference, curves
from microzoo.search.gate import Limits
from microzoo.search.propose import REFERENCE, Proposer
from microzoo.search.types import Row

TARGET = small_target(ram_bytes=8 * 1024, flash_bytes=16 * 1024, macs=200_000)
TRAIN, VALIDATION = 3000, 1500
FULL = 5.0
WORST_ERROR = 0.5
SMALL = {"population": 20, "tournament": 5, "random_parents": 20, "epochs": FULL}
STRATEGIES: dict[str, dict[str, Any]] = {
    "random": {"search": {"strategy": "random", **SMALL}},
    "munas": {"search": {"strategy": "munas", **SMALL}},
    "munas, no pruning": {"search": {"strategy": "munas", **SMALL}, "prune": {"enabled": False}},
    "microzoo": {"search": {"strategy": "microzoo", "rungs": 2, "reduction": 3, "epochs": FULL / 3}},
    "microzoo, inheriting": {"search": {"strategy": "microzoo", "rungs": 2, "reduction": 3, "epochs": FULL / 3, "inherit": True}},
}
FILE = RESULTS / "search_efficiency.json"


def point(row: Row, limits: Limits) -> tuple[float, ...] | None:
    """The four objectives as shares of their reference, None where one is beyond it or the training failed."""
    needs, error = row.evaluation.resources, row.evaluation.error
    if row.evaluation.failure is not None or not limits.fits(needs) or error >= WORST_ERROR:
        return None
    shares = needs.ram_bytes / limits.ram_bytes, needs.flash_bytes / limits.flash_bytes, needs.macs / limits.macs
    return (error / WORST_ERROR, *shares)


def curve(rows: Sequence[Row], limits: Limits) -> list[tuple[float, float]]:
    """(epochs spent, hypervolume) whenever the hypervolume grew, and at the end."""
    spent, best = 0.0, 0.0
    points: list[tuple[float, ...]] = []
    drawn = [(0.0, 0.0)]
    for row in rows:
        spent += row.evaluation.epochs
        found = point(row, limits)
        if found is not None:
            points.append(found)
            value = float(moocore.hypervolume(np.array(points), ref=[1.0] * 4))
            if value > best:
                best = value
                drawn.append((round(spent, 3), round(value, 6)))
    return [*drawn, (round(spent, 3), round(best, 6))]


def reached(drawn: Sequence[Sequence[float]], value: float) -> float | None:
    """Epochs until the hypervolume was at least `value`; None if never."""
    return next((epochs for epochs, volume in drawn if volume >= value), None)


def run(place: Lab, strategy: str, seed: int, epochs: float) -> dict[str, Any]:
    """One search as its curve and a few figures."""
    job = place.job(seed=seed, **STRATEGIES[strategy])
    started = time.monotonic()

    def progress(rows: list[Row]) -> None:
        if len(rows) % 20 == 0:
            spent = sum(row.evaluation.epochs for row in rows)
            print(f"  {strategy}, seed {seed}: {len(rows)} trainings, {spent:.0f}/{epochs:g} epochs", flush=True)

    rows = place.search(f"{strategy.replace(', ', '-').replace(' ', '-')}-{seed}", job, epochs=epochs, on_row=progress)
    alive = [row for row in rows if point(row, place.limits) is not None]
    best = min(alive, key=lambda row: row.evaluation.error)
    drawn = curve(rows, place.limits)
    print(f"{strategy}, seed {seed}: hypervolume {drawn[-1][1]:.4f}, {time.monotonic() - started:.0f} s", flush=True)
    return {
        "curve": drawn,
        "trainings": len(rows),
        "fitting": len(alive),
        "best_validation_accuracy": round(1.0 - best.evaluation.error, 4),
        "best_origin": best.candidate.origin,
    }


def references(place: Lab, seed: int) -> dict[str, Any]:
    """Every reference design trained as long as a finished candidate, and the hypervolume of them all."""
    job = place.job(seed=seed, **STRATEGIES["microzoo"])
    proposer = Proposer(problem_of(job))
    rows, epochs = [], 0.0
    trainer = place.trainer(job)
    while (candidate := proposer.propose(rows)) is not None and candidate.origin == REFERENCE:
        task = FinalTask(candidate.ordinal, candidate.architecture, 0.0, 0, FULL)
        rows.append(Row(candidate, trainer.evaluate_in_full(task)))
        epochs += rows[-1].evaluation.epochs
    accuracies = [round(row.evaluation.validation_accuracy, 4) for row in rows]
    return {"curve": curve(rows, place.limits), "accuracies": accuracies, "epochs": epochs}


def main() -> None:
    """Runs what is asked for, keeps it, prints the table of everything kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategies", default=";".join([*STRATEGIES, "references"]), help="separated by semicolons")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=400.0)
    parser.add_argument("--draw", action="store_true", help="only write the page anew from the results that are kept")
    arguments = parser.parse_args()
    place = lab("search-efficiency", "fashion-mnist", TARGET, train=TRAIN, validation=VALIDATION)
    kept: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"runs": {}}
    for seed in range(0 if arguments.draw else arguments.seeds):
        for strategy in arguments.strategies.split(";"):
            found = references(place, seed) if strategy == "references" else run(place, strategy, seed, arguments.epochs)
            kept["runs"].setdefault(strategy, {})[str(seed)] = found
            kept["setting"] = setting()
            write_results(FILE, kept)
    for cells in rows(kept["runs"]):
        print("".join(f"{cell:<26}" for cell in cells))
    page(kept)


def page(kept: dict[str, Any]) -> None:
    """The figure and the table, into the page."""
    runs = kept["runs"]
    lines = [
        Curve(name, tuple(_steps(seeds[seed]["curve"]) for seed in sorted(seeds)))
        for name, seeds in runs.items()
        if name != "references"
    ]
    volumes = [found["curve"][-1][1] for found in runs.get("references", {}).values()]
    drawn = curves(
        lines,
        title="Hypervolume against epochs spent, Fashion-MNIST subset",
        x_label="epochs spent",
        y_label="hypervolume",
        references=[Reference(float(np.mean(volumes)), "all reference designs, trained in full")] if volumes else [],
    )
    table = [f"| {' | '.join(cells)} |" for cells in rows(runs)]
    table.insert(1, "|---|---|---|---|")
    into_page("search-efficiency", [f'<figure class="mz-figure">{drawn}</figure>', "", *table, "", kept["setting"]])


def _steps(curve: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in curve)


def rows(runs: dict[str, Any]) -> list[list[str]]:
    """The table: final hypervolume, best accuracy, and epochs to reach what `munas` has at its end, seed by seed."""
    cells = [["strategy", "hypervolume", "best validation accuracy", "epochs to `munas`' final hypervolume, by seed"]]
    for strategy, seeds in runs.items():
        volumes = [seeds[seed]["curve"][-1][1] for seed in sorted(seeds)]
        best = [seeds[seed].get("best_validation_accuracy", max(seeds[seed].get("accuracies", [0]))) for seed in sorted(seeds)]
        times = []
        for seed in sorted(seeds):
            goal = runs.get("munas", {}).get(seed)
            times.append(None if goal is None else reached(seeds[seed]["curve"], goal["curve"][-1][1]))
        shown = ", ".join("never" if value is None else f"{value:.0f}" for value in times)
        cells.append([strategy, spread(volumes), spread(best), shown])
    return cells


def spread(values: Sequence[float]) -> str:
    deviation = f" +- {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{deviation}"


if __name__ == "__main__":
    main()
