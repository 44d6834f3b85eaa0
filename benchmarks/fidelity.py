"""How well each rung of the fidelity schedule ranks: Spearman's rank correlation with the full training.

    python benchmarks/fidelity.py [--candidates 24] [--full 15] [--rungs 3]

Random candidates that fit and reference designs at three widths, on a fixed subset of Fashion-MNIST, each trained at every rung
(1, 3, 9 epochs, a schedule of its own length and a seed of its own each) and in full, twice. Printed for all and for the better
half, beside the peer: what one full training says of another with another seed, which no short one can beat by much. About ten
minutes on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from _lab import Lab, lab, setting, small_target
from microzoo.build.job import problem_of
from microzoo.build.training import FinalTask
from microzoo.search.propose import Proposer
from microzoo.search.types import Candidate

TARGET = small_target(ram_bytes=8 * 1024, flash_bytes=16 * 1024, macs=200_000)
TRAIN, VALIDATION = 3000, 1500
REDUCTION = 3
SEED_OF_FULL, SEED_OF_RUNG = 0, 10


def candidates(place: Lab, count: int) -> list[Candidate]:
    """Half of them reference designs, half random."""
    problem = replace(problem_of(place.job(seed=1)), rungs=1)
    references, randoms = Proposer(problem), Proposer(replace(problem, references=False))
    found: list[Candidate] = []
    for proposer in (references, randoms):
        for _ in range(count // 2):
            candidate = proposer.propose([])
            assert candidate is not None
            found.append(candidate)
    return found


def correlation(a: NDArray[np.float64], b: NDArray[np.float64], best: NDArray[np.float64]) -> tuple[float, float]:
    """Spearman's rho over all, and over the half that is best by `best`."""
    half = np.argsort(-best)[: len(best) // 2]
    return float(spearmanr(a, b).statistic), float(spearmanr(a[half], b[half]).statistic)


def main() -> None:
    """Trains and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=24)
    parser.add_argument("--full", type=float, default=15.0)
    parser.add_argument("--rungs", type=int, default=3)
    arguments = parser.parse_args()
    place = lab("search-efficiency", "fashion-mnist", TARGET, train=TRAIN, validation=VALIDATION)
    drawn = candidates(place, arguments.candidates)
    job = place.job(seed=1)
    lengths = [float(REDUCTION**rung) for rung in range(arguments.rungs)]
    runs = [(length, SEED_OF_RUNG + rung) for rung, length in enumerate(lengths)]
    runs += [(arguments.full, SEED_OF_FULL), (arguments.full, SEED_OF_FULL + 1)]
    tasks = [
        [FinalTask(index, found.architecture, found.sparsity, seed, epochs) for index, found in enumerate(drawn)]
        for epochs, seed in runs
    ]
    results = place.validation_float(job, [task for group in tasks for task in group])
    accuracies = [np.array([results[task] for task in group]) for group in tasks]
    report(lengths, accuracies, arguments.full)


def report(lengths: Sequence[float], accuracies: Sequence[NDArray[np.float64]], full: float) -> None:
    """One line a rung; the last is the peer."""
    *rungs, first, second = accuracies
    mean = (first + second) / 2
    print(setting())
    print(f"{len(mean)} candidates, {TRAIN} training images; the full training takes {full:g} epochs, mean of two seeds")
    print(f"{'training':<30}{'mean accuracy':>15}{'rho, all':>12}{'rho, better half':>20}")
    for length, accuracy in zip(lengths, rungs, strict=True):
        every, half = correlation(accuracy, mean, mean)
        print(f"{f'{length:g} epochs, own schedule':<30}{accuracy.mean():>15.2%}{every:>12.2f}{half:>20.2f}")
    every, half = correlation(first, second, mean)
    print(f"{f'{full:g} epochs, another seed':<30}{mean.mean():>15.2%}{every:>12.2f}{half:>20.2f}")


if __name__ == "__main__":
    main()
