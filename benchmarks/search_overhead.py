"""What the search costs besides training: proposing, committing, opening a long history.

    python benchmarks/search_overhead.py [--rows 10000] [--samples 200]

A history of 10,000 evaluations is made of real proposals without training (accuracies are drawn). Then: how long it takes to open
and read it, how long a turn of the search's loop takes beside a history that long (propose, commit), and what share of a
build that is. Peers in the same run: the same rows as one pickle, and the shortest training that a spec of ours asks for (a
digits candidate at its lowest rung).
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from _lab import ROOT, setting
from microzoo.build.job import problem_of
from microzoo.build.scratch import store_arrays
from microzoo.build.training import Trainer
from microzoo.data.load import load
from microzoo.search.front import pareto_front
from microzoo.search.history import History
from microzoo.search.ladder import standings
from microzoo.search.problem import Problem
from microzoo.search.propose import Proposer
from microzoo.search.types import Evaluation, Row
from microzoo.spec.load import load_jobs

OPENINGS = 5
DIFFERENT = 500
"""Proposals made in earnest; longer histories repeat them under other ordinals."""


def fabricate(problem: Problem, count: int) -> list[Row]:
    """Rows as a search would leave them, accuracies drawn: better at higher rungs."""
    rng = np.random.default_rng(0)
    proposer = Proposer(problem)
    rows: list[Row] = []
    while len(rows) < min(count, DIFFERENT):
        candidate = proposer.propose(rows)
        assert candidate is not None
        needs = problem.resources(candidate.architecture)
        assert needs is not None
        accuracy = float(rng.beta(8 + 4 * candidate.rung, 2))
        rows.append(Row(candidate, Evaluation(accuracy, needs, 1.0, 1.0)))
    for ordinal in range(len(rows), count):
        like = rows[ordinal - DIFFERENT]
        below = None if like.candidate.promoted_from is None else like.candidate.promoted_from + DIFFERENT
        candidate = replace(like.candidate, ordinal=ordinal, canonical=f"{ordinal:032x}", promoted_from=below)
        rows.append(Row(candidate, replace(like.evaluation, validation_accuracy=float(rng.beta(8, 2)))))
    return rows


def seconds(times: int, work: object) -> float:
    """Median seconds of `work()`."""
    assert callable(work)
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return median(taken)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{setting()}; one core")
    job = next(job for job in load_jobs([ROOT / "specs" / "demo.toml"]) if job.target_name == "cortex-m0plus-8k")
    problem = problem_of(job)
    rows = fabricate(problem, arguments.rows)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        opening(folder / "history.sqlite", rows)
        turns(folder / "turns.sqlite", problem, rows, arguments.samples)
        shown = seconds(3, lambda: pareto_front(standings(rows, problem.rungs, problem.reduction)))
        print(f"front of {len(rows):,} evaluations       {shown * 1e3:8.1f} ms")
        store_arrays(folder / "arrays", load(job.dataset_name, job.dataset))
        few = fabricate(problem, 30)
        loop = turns(folder / "few.sqlite", problem, few, 60)
        trainer = Trainer(job, folder / "arrays", "cpu")
        trainer.evaluate(few[0].candidate)
        training = float(np.mean([trainer.evaluate(row.candidate).seconds for row in few]))
        print(f"a candidate of the demo, trained    {training * 1e3:8.1f} ms, mean of {len(few)}")
        print(f"the loop's share of the demo's search: {loop / training:.2%} of a core that trains (goal: under 2 %)")


def opening(path: Path, rows: list[Row]) -> None:
    """Time to open and read a history, beside the same rows in a pickle."""
    with History(path, "identity") as history:
        history._connection.execute("pragma synchronous = off")
        for row in rows:
            history.append(row)

    def read() -> None:
        with History(path, "identity") as history:
            assert len(history.rows()) == len(rows)

    pickled = pickle.dumps(rows)
    ours, peer = seconds(OPENINGS, read), seconds(OPENINGS, lambda: pickle.loads(pickled))
    size = path.stat().st_size / 1e6
    print(f"open a history of {len(rows):,}       {ours * 1e3:8.1f} ms ({size:.1f} MB; goal: under 200 ms)")
    print(f"the same rows in a pickle           {peer * 1e3:8.1f} ms; ratio {ours / peer:.2f}")


def turns(path: Path, problem: Problem, rows: list[Row], count: int) -> float:
    """Mean seconds of a turn of the loop beside `rows`: propose, commit."""
    proposer = Proposer(problem)
    with History(path, "identity") as history:
        started = time.perf_counter()
        for row in rows:
            proposer.replay(row.candidate)
        known = list(rows)
        first = proposer.propose(known)
        replayed = time.perf_counter() - started
        assert first is not None
        taken = []
        for row in rows[: count // 4]:
            history.append(row)
        for index in range(count):
            started = time.perf_counter()
            candidate = proposer.propose(known)
            assert candidate is not None
            proposed = time.perf_counter() - started
            found = Row(replace(candidate, ordinal=count // 4 + index), rows[index % len(rows)].evaluation)
            started = time.perf_counter()
            history.append(found)
            taken.append((proposed, time.perf_counter() - started))
            known.append(Row(candidate, found.evaluation))
    propose, commit = np.array(taken).mean(axis=0)
    print(f"go on after {len(rows):,} evaluations    {replayed * 1e3:8.1f} ms")
    each = f"propose {1e3 * propose:.1f}, commit {1e3 * commit:.1f}"
    print(f"a turn beside {len(rows):,}              {1e3 * (propose + commit):8.1f} ms: {each}")
    return float(propose + commit)


if __name__ == "__main__":
    main()
