"""How much training each strategy needs: hypervolume against epochs spent, on a fixed subset of Fashion-MNIST, three seeds each.

    python benchmarks/search_efficiency.py [--strategies munas,...] [--seeds 3] [--epochs 400]

Strategies: `random`, `munas`, `munas` without pruning, `microzoo`; the same trainings, the same target, the same budget in
epochs. The scaled reference designs, each trained in full once a seed, are drawn in. An hour on two cores; stopped, it goes on
where it was. Results are kept in benchmarks/results/search_efficiency.json, by strategy and seed, and drawn from there into the
page site/pages/develop/search-efficiency.md. In the end the most accurate candidate of each search, by the search's own belief,
is trained anew, longer, with the same three seeds for all strategies and for the reference designs.

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
from dataclasses import replace
from functools import cache
from typing import Any

import moocore
import numpy as np

from _lab import RESULTS, Lab, into_page, lab, setting, small_target, write_results
from microzoo.build.job import problem_of
from microzoo.build.training import FinalTask
from microzoo.cost.resources import Resources
from microzoo.pages.series import Curve, Reference, curves
from microzoo.search.gate import Limits
from microzoo.search.ladder import standings
from microzoo.search.problem import Problem
from microzoo.search.propose import Proposer
from microzoo.search.types import REFERENCE, Candidate, Evaluation, Row
from microzoo.spec.load import Job

TARGET = small_target(ram_bytes=8 * 1024, flash_bytes=16 * 1024, macs=200_000)
TRAIN, VALIDATION = 3000, 1500
FULL = 5.0
LONG, LONG_SEEDS = 15.0, 3
"""Epochs and seeds of the trainings that compare what each strategy found with the reference designs."""
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


def climb(rows: Sequence[Row], limits: Limits) -> list[tuple[float, float]]:
    """(epochs spent, best validation accuracy of what fits) whenever it rose."""
    spent, best = 0.0, 0.0
    drawn = []
    for row in rows:
        spent += row.evaluation.epochs
        if point(row, limits) is not None and row.evaluation.validation_accuracy > best:
            best = row.evaluation.validation_accuracy
            drawn.append((round(spent, 3), round(best, 5)))
    return drawn


def retrained(place: Lab, job: Job, candidates: Sequence[Candidate]) -> list[list[float]]:
    """Validation accuracies of long trainings from scratch, the same seeds for everybody, candidate by candidate."""
    job = place.job(seed=0, prune=job.family.prune.model_dump())
    tasks = [
        [FinalTask(0, candidate.architecture, candidate.sparsity, seed, LONG) for seed in range(LONG_SEEDS)]
        for candidate in candidates
    ]
    found = place.validation_float(job, [task for group in tasks for task in group])
    return [[round(found[task], 4) for task in group] for group in tasks]


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
    search = job.family.search
    known = [s for s in standings(rows, search.rungs, search.reduction) if place.limits.fits(s.row.evaluation.resources)]
    best = min(known, key=lambda standing: standing.error).row if known else None
    drawn = curve(rows, place.limits)
    print(f"{strategy}, seed {seed}: hypervolume {drawn[-1][1]:.4f}, {time.monotonic() - started:.0f} s", flush=True)
    return {
        "curve": drawn,
        "trainings": len(rows),
        "fitting": len(alive),
        "climb": climb(rows, place.limits),
        "best_origin": best.candidate.origin if best else "nothing fits",
        "retrained": retrained(place, job, [best.candidate])[0] if best else [0.0],
    }


def references(place: Lab, seed: int) -> dict[str, Any]:
    """The widest of every reference design, trained as long as a finished candidate: the hypervolume of them all; and long."""
    designs = _designs(place)
    job = place.job(seed=seed)
    problem = problem_of(job)
    tasks = {FinalTask(number, design.architecture, 0.0, seed, FULL): design for number, design in enumerate(designs)}
    found = place.validation_float(job, list(tasks))
    rows = [Row(design, Evaluation(found[task], _needs(problem, design), FULL, 0.0)) for task, design in tasks.items()]
    return {"curve": curve(rows, place.limits), "climb": climb(rows, place.limits), "retrained": _best_design(place)}


def _designs(place: Lab) -> list[Candidate]:
    proposer = Proposer(replace(problem_of(place.job()), reference_widths=(1.0,), rungs=1))
    found: list[Candidate] = []
    while (candidate := proposer.propose([])) is not None and candidate.origin == REFERENCE:
        found.append(candidate)
    return found


@cache
def _best_design(place: Lab) -> list[float]:
    """The long trainings of the design that is best by them: the baseline is chosen with hindsight."""
    return max(retrained(place, place.job(), _designs(place)), key=lambda found: float(np.mean(found)))


def _needs(problem: Problem, candidate: Candidate) -> Resources:
    needs = problem.resources(candidate.architecture)
    assert needs is not None
    return needs


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
    table.insert(1, "|---|---|---|---|---|---|")
    into_page("search-efficiency", [f'<figure class="mz-figure">{drawn}</figure>', "", *table, "", kept["setting"]])


def _steps(curve: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in curve)


def rows(runs: dict[str, Any]) -> list[list[str]]:
    """The table: what each strategy ended with, and epochs until it had what `munas` has at its end, seed by seed."""
    heads = "strategy", "hypervolume", "best accuracy", "epochs to `munas`' hypervolume", "to its accuracy", "best, retrained"
    cells = [list(heads)]
    for strategy, seeds in runs.items():
        volumes = [seeds[seed]["curve"][-1][1] for seed in sorted(seeds)]
        best = [_end(seeds[seed]["climb"]) for seed in sorted(seeds)]
        long = [float(np.mean(seeds[seed]["retrained"])) for seed in sorted(seeds)]
        times = [times_to(runs, strategy, kind) for kind in ("curve", "climb")]
        cells.append([strategy, spread(volumes, 3), spread(best, 4), *times, spread(long, 4)])
    return cells


def _end(drawn: Sequence[Sequence[float]]) -> float:
    """The last value; 0 where nothing fits."""
    return drawn[-1][1] if drawn else 0.0


def times_to(runs: dict[str, Any], strategy: str, kind: str) -> str:
    """Epochs until a curve reached the end of `munas`' one, seed by seed."""
    found = []
    for seed, result in sorted(runs[strategy].items()):
        goal = runs.get("munas", {}).get(seed)
        epochs = None if goal is None else reached(result[kind], _end(goal[kind]))
        found.append("never" if epochs is None else f"{epochs:.0f}")
    return ", ".join(found) if strategy != "references" else ""


def spread(values: Sequence[float], digits: int) -> str:
    """Mean and standard deviation over seeds."""
    deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{deviation}"


if __name__ == "__main__":
    main()
