"""Which of two evaluations is better: µNAS' randomised scalarisation, inside the feasible set.

Source: Liberis, Dudziak, Lane 2021, section 3.3, after Paria et al. 2018 ("random scalarisations"): a tournament draws weights
lambda_i ~ U(0, 1) and minimises max_i (objective_i / bound_i) / lambda_i. Here every candidate fits its target, so the bounds of
the resources are the limits themselves, and the bound of the error is the best error seen so far: error outweighs the rest
unless the draw says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microzoo.search.gate import Limits
from microzoo.search.history import Row

RATIO_CAP = 10.0
MIN_ERROR = 0.002


@dataclass(frozen=True)
class Bounds:
    """What each objective is divided by."""

    error: float
    limits: Limits


@dataclass(frozen=True)
class Weights:
    """One tournament's draw, each in (0, 1]."""

    error: float
    ram: float
    flash: float
    macs: float


def draw_weights(rng: np.random.Generator) -> Weights:
    """Four independent uniform weights; 0 is replaced by 1."""
    drawn = rng.random(4)
    drawn[drawn == 0.0] = 1.0
    return Weights(*(float(value) for value in drawn))


def error_bound(rows: Sequence[Row]) -> float:
    """The best validation error of `rows`, at least MIN_ERROR."""
    return max(MIN_ERROR, min(1.0 - row.evaluation.validation_accuracy for row in rows))


def scalarise(row: Row, bounds: Bounds, weights: Weights) -> float:
    """max_i min(objective_i / bound_i, RATIO_CAP) / lambda_i; less is better."""
    resources = row.evaluation.resources
    ratios = (
        ((1.0 - row.evaluation.validation_accuracy) / bounds.error, weights.error),
        (resources.ram_bytes / bounds.limits.ram_bytes, weights.ram),
        (resources.flash_bytes / bounds.limits.flash_bytes, weights.flash),
        (resources.macs / bounds.limits.macs, weights.macs),
    )
    return max(min(ratio, RATIO_CAP) / weight for ratio, weight in ratios)
