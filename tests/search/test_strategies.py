"""The baselines: `munas` as published, `random` without evolution."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microzoo.search.executor import LocalExecutor
from microzoo.search.history import History
from microzoo.search.problem import Problem
from microzoo.search.propose import SPARSITY_STEP, Proposer
from microzoo.search.run import search
from microzoo.search.types import Candidate, Evaluation, Row
from microzoo.space.architecture import Architecture
from microzoo.space.morphisms import morphisms
from microzoo.space.sampling import MUNAS_SPACE

from .test_search import PROBLEM

MUNAS = replace(
    PROBLEM,
    rules=MUNAS_SPACE,
    population=20,
    tournament=5,
    references=False,
    random_parents=20,
    initial_sparsity=0.8,
    slack=10.0,
    unique=False,
    error_bound=0.1,
    rungs=1,
)


def evaluate(candidate: Candidate) -> Evaluation:
    """Accuracy by the number of blocks; needs as predicted."""
    resources = MUNAS.resources(candidate.architecture)
    assert resources is not None
    return Evaluation(len(candidate.architecture.blocks) / 20, resources, 1.0, 0.0)


def rows_of(problem: Problem, path: Path, evaluations: int) -> list[Row]:
    with History(path, "identity") as history, LocalExecutor(evaluate, 1, threads=True) as executor:
        return search(problem, history, executor, evaluations=evaluations, on_row=lambda _: None, should_stop=lambda _: False)


def test_munas_has_soft_limits_and_a_ceiling_where_ratios_are_capped(tmp_path: Path) -> None:
    rows = rows_of(MUNAS, tmp_path / "h", 60)
    worst = [MUNAS.limits.violation(row.evaluation.resources) for row in rows]
    assert max(worst) > 1.0
    assert max(worst) <= 10.0


def test_munas_begins_with_a_random_population_and_goes_on_by_morphisms(tmp_path: Path) -> None:
    rows = rows_of(MUNAS, tmp_path / "h", 60)
    assert [row.candidate.origin for row in rows[:20]] == ["random"] * 20
    for row in rows[20:]:
        child = row.candidate
        assert child.parent is not None
        assert child.origin not in ("random", "reference")
        known = child.ordinal - MUNAS.parallel + 1
        assert known - MUNAS.population <= child.parent < known, "the oldest leave"
        assert abs(child.sparsity - rows[child.parent].candidate.sparsity) < 6 * SPARSITY_STEP


def test_children_are_uniform_over_all_legal_moves() -> None:
    """One parent; 4,000 children; no kind of move is off its share by more than 5 standard deviations."""
    from microzoo.space.morphisms import morph
    from microzoo.space.sampling import sample

    rng = np.random.default_rng(2)
    parent = sample(rng, MUNAS_SPACE)
    moves = [name for name, _ in morphisms(rng, parent, MUNAS_SPACE)]
    drawn = Counter(morph(rng, parent, MUNAS_SPACE)[0] for _ in range(4000))
    for name, count in Counter(moves).items():
        share = count / len(moves)
        assert abs(drawn[name] - 4000 * share) < 5 * (4000 * share * (1 - share)) ** 0.5, name


def test_sparsity_moves_by_a_normal_step_and_stays_in_its_range(tmp_path: Path) -> None:
    rows = rows_of(MUNAS, tmp_path / "h", 400)
    pairs = [(row.candidate.sparsity, rows[row.candidate.parent].candidate.sparsity) for row in rows if row.candidate.parent]
    free = [child - parent for child, parent in pairs if 0.2 < parent < 0.6]
    assert len(free) > 50
    assert np.std(free) == pytest.approx(SPARSITY_STEP, rel=0.3)
    assert all(0.0 <= child <= MUNAS.max_sparsity for child, _ in pairs)


def test_without_pruning_every_sparsity_is_zero(tmp_path: Path) -> None:
    rows = rows_of(replace(MUNAS, max_sparsity=0.0, initial_sparsity=0.0), tmp_path / "h", 40)
    assert {row.candidate.sparsity for row in rows} == {0.0}


def test_a_tournament_by_hand_picks_the_least_worst_ratio() -> None:
    """Everybody takes part. Weights of all ones would give ratios 3 (error 0.3 / 0.1), 2 and 10; whatever the draw, the winner is
    the minimum of max ratio / weight over the three, recomputed here from the same generator.
    """
    from microzoo.search.fitness import Bounds, draw_weights, scalarise

    problem = replace(MUNAS, population=3, tournament=3, random_parents=3, parallel=1, seed=9)
    proposer = Proposer(problem)
    rows: list[Row] = []
    for accuracy in (0.7, 0.8, 0.0):
        candidate = proposer.propose(rows)
        assert candidate is not None
        resources = problem.resources(candidate.architecture)
        assert resources is not None
        rows.append(Row(candidate, Evaluation(accuracy, resources, 1.0, 0.0)))
    child = proposer.propose(rows)
    assert child is not None
    weights = draw_weights(np.random.default_rng([problem.seed, 3]))
    needs = [(row.evaluation.error, row.evaluation.resources) for row in rows]
    objectives = np.array([(error, need.ram_bytes, need.flash_bytes, need.macs, need.instructions) for error, need in needs])
    assert child.parent == int(np.argmin(scalarise(objectives, Bounds(0.1, problem.limits), weights)))


def test_random_never_has_parents_and_always_fits(tmp_path: Path) -> None:
    problem = replace(MUNAS, evolve=False, slack=1.0, unique=True)
    rows = rows_of(problem, tmp_path / "h", 60)
    assert {(row.candidate.origin, row.candidate.parent) for row in rows} == {("random", None)}
    assert all(problem.limits.fits(row.evaluation.resources) for row in rows)
    assert all(layer.padding != "same" for row in rows for layer in _layers(row.candidate.architecture))


def _layers(architecture: Architecture) -> list:
    return [layer for block in architecture.blocks for layer in block.layers]
