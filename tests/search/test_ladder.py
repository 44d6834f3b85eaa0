"""Successive halving: who is promoted when, and what an error at a low rung counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microzoo.search.fitness import Bounds
from microzoo.search.gate import Limits
from microzoo.search.ladder import Ladder, standings
from microzoo.search.types import Row

from .test_search import PROBLEM, row, run

BOUNDS = Bounds(0.1, Limits(100, 100, 100))


def promoted(ordinal: int, below: Row, accuracy: float, failure: str | None = None) -> Row:
    candidate = replace(below.candidate, ordinal=ordinal, rung=below.candidate.rung + 1, promoted_from=below.candidate.ordinal)
    return Row(candidate, replace(row(ordinal, accuracy, 1).evaluation, failure=failure))


def test_a_third_of_what_finished_is_due_highest_rung_first() -> None:
    ladder = Ladder(3, 3)
    rows = [row(i, 0.5 + i / 100, 1) for i in range(9)]
    for index, finished in enumerate(rows):
        assert ladder.due() == (0 if index // 3 > 0 else None), index
        ladder.add(finished)
    for expected in (8, 7, 6):
        assert ladder.due() == 0
        chosen = ladder.choose(0, BOUNDS, np.random.default_rng(0))
        assert chosen.candidate.ordinal == expected, "equal needs: the most accurate under any draw"
        ladder.promote(expected, 0)
    assert ladder.due() is None
    for number, below in enumerate((8, 7, 6)):
        ladder.add(promoted(9 + number, rows[below], 0.8))
    assert ladder.due() == 1


def test_whoever_is_promoted_lies_in_the_best_third_under_its_draw() -> None:
    """Brute force over random needs: at most as many are better as may rise at all."""
    from microzoo.search.fitness import draw_weights, scalarise

    rng = np.random.default_rng(5)
    ladder = Ladder(2, 3)
    rows = [row(i, float(rng.random()), *(int(v) for v in rng.integers(1, 100, 3))) for i in range(60)]
    taken: set[int] = set()
    for index, finished in enumerate(rows):
        ladder.add(finished)
        if ladder.due() is None:
            continue
        seed = int(rng.integers(1 << 30))
        chosen = ladder.choose(0, BOUNDS, np.random.default_rng(seed)).candidate.ordinal
        weights = draw_weights(np.random.default_rng(seed))
        values = scalarise(np.array([known.objectives for known in ladder.standings(rows[: index + 1])]), BOUNDS, weights)
        assert chosen not in taken
        assert sum(value < values[chosen] for value in values) < (index + 1) // 3
        taken.add(chosen)
        ladder.promote(chosen, 0)
    assert len(taken) == 20


def test_failures_never_rise_and_have_no_standing() -> None:
    ladder = Ladder(2, 2)
    rows = [row(0, 0.0, 1, failure="diverged"), row(1, 0.0, 1, failure="diverged"), row(2, 0.6, 1)]
    for finished in rows:
        ladder.add(finished)
    assert ladder.due() is None
    assert [standing.row for standing in ladder.standings(rows)] == [rows[2]]


def test_errors_of_low_rungs_count_as_expected_at_the_top_by_hand() -> None:
    """Errors 0.4, 0.5, 0.6, 0.8 fell to 0.2, 0.3, 0.48, 0.8: ratios 0.5, 0.6, 0.8, 1; their median is 0.7."""
    below = [row(0, 0.6, 1), row(1, 0.5, 1), row(2, 0.4, 1), row(3, 0.2, 1), row(4, 0.5, 1)]
    above = [promoted(5 + i, below[i], accuracy) for i, accuracy in enumerate((0.8, 0.7, 0.52, 0.2))]
    known = standings([*below, *above], 2, 3)
    assert [standing.row.candidate.ordinal for standing in known] == [5, 6, 7, 8, 4]
    assert [standing.error for standing in known] == pytest.approx([0.2, 0.3, 0.48, 0.8, 0.5 * 0.7])
    few = standings([*below, *above[:2]], 2, 3)
    assert few[-1].error == pytest.approx(0.5), "two pairs say too little"


def test_children_have_a_ratio_of_their_own() -> None:
    """Children that inherited weights had 0.2 and have 0.3 from scratch: ratio 1.5; the first generation fell from 0.4 to 0.2."""
    first = [row(i, 0.6, 1) for i in range(4)]
    children = [
        replace(found, candidate=replace(found.candidate, parent=0, origin="widen"))
        for found in (row(i, 0.8, 1) for i in range(4, 8))
    ]
    above = [promoted(8 + i, first[i], 0.8) for i in range(3)] + [promoted(11 + i, children[i], 0.7) for i in range(3)]
    known = {standing.row.candidate.ordinal: standing.error for standing in standings([*first, *children, *above], 2, 3)}
    assert known[3] == pytest.approx(0.4 * 0.5)
    assert known[7] == pytest.approx(0.2 * 1.5)


def test_a_promotion_that_fails_leaves_the_standing_as_it_was() -> None:
    below = row(0, 0.6, 1)
    (known,) = standings([below, promoted(1, below, 0.0, failure="diverged")], 2, 3)
    assert known.row == below


def test_a_search_promotes_a_third_and_only_what_finished(tmp_path: Path) -> None:
    rows = run(tmp_path / "history", 120)
    by_rung = [[row for row in rows if row.candidate.rung == rung] for rung in range(PROBLEM.rungs)]
    assert by_rung[1], "nothing rose"
    assert by_rung[2], "nothing rose twice"
    for rung in (1, 2):
        assert len(by_rung[rung]) <= len(by_rung[rung - 1]) / PROBLEM.reduction
        assert len(by_rung[rung]) >= len(by_rung[rung - 1]) / PROBLEM.reduction - 6
        for finished in by_rung[rung]:
            candidate = finished.candidate
            assert candidate.promoted_from is not None
            below = rows[candidate.promoted_from]
            assert candidate.promoted_from <= candidate.ordinal - PROBLEM.parallel
            assert below.evaluation.failure is None
            assert (below.candidate.rung, below.candidate.design) == (rung - 1, candidate.design)
            assert (below.candidate.sparsity, below.candidate.origin) == (candidate.sparsity, candidate.origin)
        assert len({row.candidate.promoted_from for row in by_rung[rung]}) == len(by_rung[rung])
