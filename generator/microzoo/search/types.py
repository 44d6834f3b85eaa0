"""What the search passes around: Candidate in, Evaluation out; a Row is both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from microzoo.cost.resources import Resources
from microzoo.errors import HistoryError
from microzoo.space.architecture import Architecture

RANDOM, REFERENCE = "random", "reference"
"""Origins of the first generation."""


@dataclass(frozen=True)
class Candidate:
    """Something to train: architecture + pruning level, at one rung of the fidelity schedule.

    ordinal: 0, 1, 2, ... in the order of submission; the seed of its training derives from it.
    design: the architecture as its canonical JSON, so that a long history opens without reading every one.
    canonical: digest of the network that the architecture means for this input, see `space.canonical`.
    sparsity: share of prunable channels to remove during training, in [0, 1).
    parent: ordinal of the evaluation that it was mutated from, None in the first generation.
    origin: "reference", "random" or the name of the morphism.
    rung: 0 for the shortest training. promoted_from: ordinal of its evaluation at the rung below, None at rung 0.
    """

    ordinal: int
    design: str
    canonical: str
    sparsity: float
    parent: int | None
    origin: str
    rung: int = 0
    promoted_from: int | None = None

    @cached_property
    def architecture(self) -> Architecture:
        """The genotype. Raises HistoryError where `design` is damaged."""
        try:
            return Architecture.from_json(self.design)
        except (KeyError, TypeError, ValueError) as error:
            problem = f"evaluation {self.ordinal} of the history cannot be read ({error})"
            raise HistoryError(problem, "delete the history to begin the search anew") from error

    @property
    def is_child(self) -> bool:
        """Whether a morphism made it, from whatever parent."""
        return self.origin not in (RANDOM, REFERENCE)


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

    @property
    def error(self) -> float:
        """1 - validation accuracy."""
        return 1.0 - self.validation_accuracy


@dataclass(frozen=True)
class Row:
    """One finished evaluation."""

    candidate: Candidate
    evaluation: Evaluation
