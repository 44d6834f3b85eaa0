"""Which finalists become entries. Validation only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from microzoo.build.training import Final
from microzoo.cost.resources import Resources
from microzoo.search.front import finalists, pareto_front
from microzoo.search.gate import Limits
from microzoo.search.ladder import Standing
from microzoo.search.types import REFERENCE, Candidate

SMALL_ERROR_FACTOR = 2.0
"""A candidate may make twice the best one's errors and still be trained in full for its size."""
NAMES = ("accurate", "small", "balanced")


@dataclass(frozen=True)
class Finalist:
    """One candidate with its full trainings.

    epochs: of each full training. finals: by seed number, at least one. failures: why other seeds gave nothing.
    resources: of the network to be published.
    """

    candidate: Candidate
    epochs: float
    finals: Mapping[int, Final]
    failures: tuple[str, ...]
    resources: Resources

    @property
    def mean_int8(self) -> float:
        """Mean int8 accuracy on validation over the seeds."""
        return mean(final.validation_int8 for final in self.finals.values())

    @property
    def deviation_int8(self) -> float | None:
        """Standard deviation over the seeds, n - 1 in the denominator; None for one seed."""
        return stdev(final.validation_int8 for final in self.finals.values()) if len(self.finals) > 1 else None

    @property
    def published_seed(self) -> int:
        """The seed with the best int8 accuracy on validation, the first of equals."""
        return max(self.finals, key=lambda seed: (self.finals[seed].validation_int8, -seed))


def pick_finalists(searched: Sequence[Standing], count: int, winners: int, limits: Limits) -> list[Standing]:
    """The most accurate of the front of what fits, and the best reference design in place of the last one if none is among them.

    A short training flatters what learns fast, and a search that does not beat a hand-made network in full training is not
    worth its electricity; so one of them is always trained in full. Where small winners are wanted too: the smallest that are
    not hopeless.
    """
    fitting = [standing for standing in searched if limits.fits(standing.row.evaluation.resources)]
    chosen = finalists(fitting, count)
    references = finalists([standing for standing in fitting if _is_reference(standing)], 1)
    if count > 1 and references and not any(_is_reference(standing) for standing in chosen):
        chosen = [*chosen[: count - 1], *references]
    if winners > 1 and chosen:
        useful = [standing for standing in pareto_front(fitting) if standing.error <= SMALL_ERROR_FACTOR * chosen[0].error]
        useful.sort(key=lambda standing: (limits.violation(standing.row.evaluation.resources), standing.row.candidate.ordinal))
        extra = [useful[0], useful[len(useful) // 2]] if useful else []
        chosen += [standing for standing in extra[: winners - 1] if standing not in chosen]
    return chosen


def _is_reference(standing: Standing) -> bool:
    return standing.row.candidate.origin == REFERENCE


def best_reference(candidates: Sequence[Finalist]) -> Finalist | None:
    """The reference design with the best mean over seeds, those with failed seeds last; None where none was trained in full."""
    designs = [finalist for finalist in candidates if finalist.candidate.origin == REFERENCE]
    return min(designs, key=lambda f: (len(f.failures), -f.mean_int8, f.candidate.ordinal), default=None)


def pick_winners(candidates: Sequence[Finalist], winners: int, limits: Limits) -> list[tuple[str, Finalist]]:
    """(name, finalist): "accurate", then "small", then "balanced" (the middle one by size), all different.

    A candidate of which a seed failed stands behind all others: the mean over the rest flatters it.
    """

    def rank(finalist: Finalist) -> tuple[int, float, float, int]:
        size = limits.violation(finalist.resources)
        return len(finalist.failures), -finalist.mean_int8, size, finalist.candidate.ordinal

    by_accuracy = sorted(candidates, key=rank)
    chosen = by_accuracy[:1]
    rest = sorted(by_accuracy[1:], key=lambda f: (limits.violation(f.resources), f.candidate.ordinal))
    while rest and len(chosen) < winners:
        # One that is neither smaller nor more accurate than a chosen one helps nobody.
        rest = [f for f in rest if not any(_no_better(f, other, limits) for other in chosen)]
        if rest:
            chosen.append(rest.pop(0 if len(chosen) == 1 else len(rest) // 2))
    return list(zip(NAMES, chosen, strict=False))


def _no_better(finalist: Finalist, other: Finalist, limits: Limits) -> bool:
    """Whether `finalist` is at least as large as `other` and at most as accurate."""
    larger = limits.violation(finalist.resources) >= limits.violation(other.resources)
    return larger and finalist.mean_int8 <= other.mean_int8
