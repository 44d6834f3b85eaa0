"""Which of two candidates is better: µNAS' randomised scalarisation.

Source: Liberis, Dudziak, Lane 2021, section 3.3, after Paria et al. 2018 ("random scalarisations"): a tournament draws weights
lambda_i ~ U(0, 1) and minimises max_i (objective_i / bound_i) / lambda_i.

The bounds of the resources are the target's limits. Under the strategy `munas` they are soft and the error has a bound of its
own, as in the paper. Under `microzoo` every candidate fits, and the bound of the error is the best error in the population: among
networks that all fit, error outweighs the rest unless the draw says otherwise. MACs and instructions share one weight, as one
objective, compute: the greater of their ratios counts, and what has no limit does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from microzoo.search.gate import Limits

Float64 = NDArray[np.float64]

RATIO_CAP = 10.0
MIN_ERROR = 0.002

Objectives = tuple[float, int, int, int, int]
"""Error, RAM in bytes, flash in bytes, MACs, instructions: all to be small."""


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
    compute: float


def draw_weights(rng: np.random.Generator) -> Weights:
    """Four independent uniform weights; 0 is replaced by 1."""
    drawn = rng.random(4)
    drawn[drawn == 0.0] = 1.0
    return Weights(*(float(value) for value in drawn))


def scalarise(objectives: Float64, bounds: Bounds, weights: Weights) -> Float64:
    """max_i min(objective_i / bound_i, RATIO_CAP) / lambda_i; less is better.

    objectives: (N, 5), a row of `Objectives` each; gives (N,).
    """
    limits = bounds.limits
    compute = [np.inf if limit is None else limit for limit in (limits.macs, limits.instructions)]
    divisors = np.array([bounds.error, limits.ram_bytes, limits.flash_bytes, *compute], np.float64)
    lambdas = np.array([weights.error, weights.ram, weights.flash, weights.compute, weights.compute], np.float64)
    ratios = np.minimum(objectives / divisors, RATIO_CAP) / lambdas
    return cast(Float64, ratios.max(axis=1))
