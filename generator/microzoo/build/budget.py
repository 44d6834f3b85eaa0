"""The time budget of one job: when the search has to stop so that the full trainings still fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean

from microzoo.search.types import Row

FINAL_SHARE = 0.6
"""At most this share of the whole budget goes to full trainings; they get fewer epochs where they would need more."""
MEASURE_SHARE = 0.08
"""Kept for quantisation, export and measuring."""
SLACK = 1.15
MIN_FINAL_EPOCHS = 1.0
MIN_SHARE = 0.5
"""Of the epochs of a full training: rather than train shorter than that, fewer seeds are trained."""
MIN_SEEDS = 2
"""The fewest from which a spread can be told."""
FINETUNE_COST = 1.5
"""Seconds of an epoch of fine-tuning over those of an epoch of training: 1.0 to 2.0 on one CPU thread."""


@dataclass(frozen=True)
class FullTrainings:
    """How often each finalist is trained in full, with another seed each time, and for how many epochs."""

    seeds: int
    epochs: float


class Clock:
    """Counts the budget of a job down. No budget: never ends."""

    def __init__(self, seconds: float | None) -> None:
        """seconds: of wall time from now, or None."""
        self.started = time.monotonic()
        self.seconds = seconds

    @property
    def elapsed(self) -> float:
        """Seconds since the job began."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float | None:
        """Seconds left, None without a budget."""
        return None if self.seconds is None else max(0.0, self.seconds - self.elapsed)

    def search_is_over(self, rows: Sequence[Row], final_seconds: Callable[[Sequence[Row]], float]) -> bool:
        """Whether the rest of the budget is needed for full trainings that take `final_seconds(rows)`, and for measuring.

        `final_seconds` is asked only once the time left is near: with thousands of rows its answer takes a while.
        """
        if self.seconds is None or not rows or self.left is None or self.left > self.seconds * (FINAL_SHARE + MEASURE_SHARE):
            return False
        reserved = min(final_seconds(rows) * SLACK, self.seconds * FINAL_SHARE) + self.seconds * MEASURE_SHARE
        return self.left <= reserved

    def full_trainings(self, wanted: FullTrainings, seconds: Callable[[int], float]) -> FullTrainings:
        """What the rest of the budget allows of `wanted`. seconds: number of seeds -> what they take with the epochs wanted.

        As many seeds as can have half of the epochs, but at least two: a spread over trainings that are far too short says
        nothing of the network that is published.
        """
        if self.seconds is None or self.left is None:
            return wanted
        available = max(0.0, self.left - self.seconds * MEASURE_SHARE) / SLACK
        for seeds in range(wanted.seeds, 0, -1):
            needed = seconds(seeds)
            share = min(1.0, available / needed) if needed > 0 else 1.0
            if share >= MIN_SHARE or seeds <= MIN_SEEDS:
                break
        return FullTrainings(seeds, min(wanted.epochs, max(MIN_FINAL_EPOCHS, wanted.epochs * share)))


def seconds_per_epoch(row: Row) -> float:
    """Wall seconds of one pass over the training split, as this candidate's short training took them."""
    return row.evaluation.seconds / row.evaluation.epochs if row.evaluation.epochs > 0 else 0.0


def final_seconds(chosen: Sequence[Row], seeds: int, epochs: float, workers: int, finetune: float = 0.0) -> float:
    """Estimated wall seconds of the full trainings of the finalists `chosen`, on `workers` workers.

    finetune: epochs of fine-tuning as a share of `epochs`, counted as if every network needed it.
    """
    if not chosen:
        return 0.0
    each = mean(seconds_per_epoch(row) for row in chosen) * epochs * (1.0 + finetune * FINETUNE_COST)
    return each * -(-len(chosen) * seeds // workers)
