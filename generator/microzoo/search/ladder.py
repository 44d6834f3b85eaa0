"""The fidelity schedule: most candidates get a short training, the promising ones longer and longer ones.

Asynchronous successive halving (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2) inside
aging evolution. Rung r trains `reduction ** r` times as long as rung 0, with a learning-rate schedule of its own length and from
scratch (at rung 0 a child may start from its parent's weights). Of what finished at a rung, 1 / reduction is promoted. Where the
paper promotes the best by one score, here each promotion draws weights and takes the best by that scalarisation, so that small
networks rise too; whatever is taken lies in the best 1 / reduction under its draw.

Trainings of different rungs cannot be compared as they are. An error at a low rung counts times the ratio by which errors fell
from each rung to the next among the promoted (the median, 1 while there are fewer than three): the error to be expected at the
top. Children and the first generation have ratios of their own, since children may have started from their parent's weights,
which flatters them at the lowest rung.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from microzoo.search.fitness import Bounds, Objectives, draw_weights, scalarise
from microzoo.search.types import Row

MIN_PAIRS = 3


@dataclass(frozen=True)
class Standing:
    """What is known of a candidate: its evaluation at the highest rung that did not fail, and the error expected at the top."""

    row: Row
    error: float

    @property
    def objectives(self) -> Objectives:
        """Expected error, RAM, flash, MACs, instructions."""
        resources = self.row.evaluation.resources
        return self.error, resources.ram_bytes, resources.flash_bytes, resources.macs, resources.instructions


class Ladder:
    """The rungs of one search. Rows are added in the order of their ordinals; the same rows give the same ladder."""

    def __init__(self, rungs: int, reduction: int) -> None:
        """rungs: how many, at least 1. reduction: the factor between the trainings of two rungs, at least 2."""
        assert rungs >= 1 and reduction >= 2, (rungs, reduction)
        self.rungs, self.reduction = rungs, reduction
        self._finished: list[list[Row]] = [[] for _ in range(rungs)]
        self._promoted: list[set[int]] = [set() for _ in range(rungs)]
        self._ratios: dict[tuple[int, bool], list[float]] = {}
        self._ratio: dict[tuple[int, bool], float] = {}
        self._first: dict[int, int] = {}
        self._highest: dict[int, Row] = {}
        self._rows: dict[int, Row] = {}

    def add(self, row: Row) -> None:
        """Takes note of an evaluation. Failures are never promoted."""
        candidate, evaluation = row.candidate, row.evaluation
        self._rows[candidate.ordinal] = row
        below = candidate.promoted_from
        first = self._first[candidate.ordinal] = candidate.ordinal if below is None else self._first[below]
        if evaluation.failure is not None:
            return
        self._finished[candidate.rung].append(row)
        self._highest[first] = row
        if below is not None and (before := self._rows[below].evaluation.error) > 0:
            key = candidate.rung - 1, candidate.is_child
            self._ratios.setdefault(key, []).append(evaluation.error / before)
            self._ratio.pop(key, None)

    def promote(self, ordinal: int, rung: int) -> None:
        """Takes note that evaluation `ordinal`, at `rung`, goes one rung up: perhaps before its own row was added."""
        self._promoted[rung].add(ordinal)

    def due(self) -> int | None:
        """The highest rung of which another candidate may rise, None where there is none."""
        for rung in reversed(range(self.rungs - 1)):
            if len(self._finished[rung]) // self.reduction > len(self._promoted[rung]):
                return rung
        return None

    def choose(self, rung: int, bounds: Bounds, rng: np.random.Generator) -> Row:
        """The best of `rung` that has not risen yet, by a fresh scalarisation; equal ones: the earlier."""
        weights, risen = draw_weights(rng), self._promoted[rung]
        waiting = [row for row in self._finished[rung] if row.candidate.ordinal not in risen]
        objectives = np.array([self._standing(row).objectives for row in waiting])
        return waiting[int(np.argmin(scalarise(objectives, bounds, weights)))]

    def standings(self, rows: Iterable[Row]) -> list[Standing]:
        """Each candidate that `rows` hold, once, in the order of its first appearance there; what only failed is left out."""
        firsts = dict.fromkeys(self._first[row.candidate.ordinal] for row in rows)
        return [self._standing(self._highest[first]) for first in firsts if first in self._highest]

    def _standing(self, row: Row) -> Standing:
        error = row.evaluation.error
        for rung in range(row.candidate.rung, self.rungs - 1):
            error *= self.ratio(rung, child=row.candidate.is_child)
        return Standing(row, error)

    def ratio(self, rung: int, *, child: bool) -> float:
        """Median of (error at the next rung) / (error at `rung`) over the promoted, 1 while there are too few.

        child: of those that a morphism made, else of the first generation.
        """
        key = rung, child
        if key not in self._ratio:
            pairs = self._ratios.get(key, [])
            self._ratio[key] = median(pairs) if len(pairs) >= MIN_PAIRS else 1.0
        return self._ratio[key]


def standings(rows: Sequence[Row], rungs: int, reduction: int) -> list[Standing]:
    """What is known of every candidate of a history, by the ordinal of its first evaluation."""
    ladder = Ladder(rungs, reduction)
    for row in rows:
        ladder.add(row)
    return ladder.standings(rows)
