"""What the search passes around: Candidate in, Evaluation out."""

from __future__ import annotations

from dataclasses import dataclass

from microzoo.cost.resources import Resources
from microzoo.space.architecture import Architecture


@dataclass(frozen=True)
class Candidate:
    """Something to train: architecture + pruning level.

    ordinal: 0, 1, 2, ... in the order of submission; the seed of its training derives from it.
    sparsity: share of prunable channels to remove during training, in [0, 1).
    parent: ordinal of the candidate that it was mutated from, None in the first generation.
    origin: "reference", "random" or the name of the morphism.
    """

    ordinal: int
    architecture: Architecture
    sparsity: float
    parent: int | None
    origin: str


@dataclass(frozen=True)
class Evaluation:
    """What one training of one candidate gave.

    validation_accuracy: share in [0, 1] on the validation split, float network, after pruning and shrinking.
    resources: of the network after shrinking. epochs: passes over the full training split that were paid for (may be a fraction).
    seconds: wall time, for progress and budgets only; never part of a comparison between histories.
    failure: why there is no accuracy (diverged, out of memory), else None; accuracy is then 0.
    """

    validation_accuracy: float
    resources: Resources
    epochs: float
    seconds: float
    failure: str | None = None
