"""The strategy `microzoo`: which candidate comes next, as a pure function of the search's identity and its history.

Candidate number i depends on the seed, on i, and on evaluations 0 .. i - parallel: those that are sure to be in when i is
submitted. Nothing else is remembered, so a search that was killed and started again proposes exactly the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microzoo.cost.predict import predict
from microzoo.cost.resources import Resources
from microzoo.errors import ArchitectureError, TargetInfeasibleError
from microzoo.search.fitness import Bounds, draw_weights, error_bound, scalarise
from microzoo.search.gate import Limits
from microzoo.search.history import Row
from microzoo.search.types import Candidate
from microzoo.space.architecture import Architecture
from microzoo.space.canonical import canonical
from microzoo.space.lowering import lower
from microzoo.space.morphisms import morph
from microzoo.space.reference import reference_designs
from microzoo.space.sampling import SpaceRules, sample
from microzoo.spec.models import Core, Runtime

MAX_SAMPLES = 100
MAX_DESCENT = 150
MAX_CHILDREN = 200
MAX_TOURNAMENTS = 25
SPARSITY_STEP = 0.05


@dataclass(frozen=True)
class Problem:
    """What is searched: the input, the runtime, the limits, and how."""

    input_shape: tuple[int, int, int]
    classes: int
    runtime: Runtime
    core: Core
    limits: Limits
    rules: SpaceRules
    seed: int
    population: int
    tournament: int
    parallel: int
    references: bool
    random_parents: int
    max_sparsity: float

    def resources(self, architecture: Architecture) -> Resources | None:
        """Predicted figures, or None where the architecture has no meaning for this input."""
        try:
            graph = lower(architecture, self.input_shape, self.classes)
        except ArchitectureError:
            return None
        return predict(graph, self.runtime, self.core)[1]

    def fits(self, architecture: Architecture) -> bool:
        """The hard gate."""
        resources = self.resources(architecture)
        return resources is not None and self.limits.fits(resources)


class Proposer:
    """Proposes candidates in the order of their ordinals."""

    def __init__(self, problem: Problem) -> None:
        """problem: everything that decides the search."""
        self.problem = problem
        self._first = self._first_generation()
        self._seen: set[str] = set()
        self._next = 0

    def _first_generation(self) -> list[tuple[str, Architecture]]:
        if not self.problem.references:
            return []
        return list(reference_designs(self.problem.input_shape, self.problem.classes, self.problem.fits))

    @property
    def next_ordinal(self) -> int:
        """Ordinal of the candidate that `propose` gives next."""
        return self._next

    def replay(self, candidate: Candidate) -> None:
        """Takes note of a candidate that an earlier run proposed; ordinals without gaps."""
        assert candidate.ordinal == self._next, (candidate.ordinal, self._next)
        self._seen.add(self._canonical(candidate.architecture))
        self._next += 1

    def propose(self, history: Sequence[Row]) -> Candidate | None:
        """The next candidate, given at least the evaluations 0 .. ordinal - parallel (more are ignored).

        None where everything that fits and was found within the sampler's effort has been proposed already. Raises
        TargetInfeasibleError where nothing fits at all.
        """
        ordinal = self._next
        known = history[: max(0, ordinal - self.problem.parallel + 1)]
        rng = np.random.default_rng([self.problem.seed, ordinal])
        candidate = self._candidate(rng, ordinal, known)
        if candidate is None:
            return None
        self._seen.add(self._canonical(candidate.architecture))
        self._next += 1
        return candidate

    def _candidate(self, rng: np.random.Generator, ordinal: int, known: Sequence[Row]) -> Candidate | None:
        if ordinal < len(self._first):
            _, architecture = self._first[ordinal]
            return Candidate(ordinal, architecture, 0.0, None, "reference")
        parents = [row for row in known[-self.problem.population :] if row.evaluation.failure is None]
        child = None
        if ordinal >= len(self._first) + self.problem.random_parents and parents:
            child = self._child(rng, ordinal, parents)
        if child is not None:
            return child
        sparsity = float(rng.uniform(0.0, self.problem.max_sparsity / 2))
        found = self._random(rng)
        return None if found is None else Candidate(ordinal, found, sparsity, None, "random")

    def _child(self, rng: np.random.Generator, ordinal: int, parents: Sequence[Row]) -> Candidate | None:
        """Tournament, then a random morphism that fits and is new; after many failures another tournament, at last None."""
        bounds = Bounds(error_bound(parents), self.problem.limits)
        for _ in range(MAX_TOURNAMENTS):
            weights = draw_weights(rng)
            size = min(self.problem.tournament, len(parents))
            drawn = [parents[int(index)] for index in rng.choice(len(parents), size, replace=False)]
            parent = min(drawn, key=lambda row: (scalarise(row, bounds, weights), row.candidate.ordinal)).candidate
            for _ in range(MAX_CHILDREN):
                name, child = morph(rng, parent.architecture, self.problem.rules)
                if self.problem.fits(child) and self._canonical(child) not in self._seen:
                    sparsity = float(np.clip(parent.sparsity + rng.normal(0.0, SPARSITY_STEP), 0.0, self.problem.max_sparsity))
                    return Candidate(ordinal, child, sparsity, parent.ordinal, name)
        return None

    def _random(self, rng: np.random.Generator) -> Architecture | None:
        """A random architecture, walked by morphisms that lower its worst ratio until it fits; None: all that fit are known."""
        smallest: tuple[float, Resources] | None = None
        for _ in range(MAX_SAMPLES):
            architecture = sample(rng, self.problem.rules)
            resources = self.problem.resources(architecture)
            for _ in range(MAX_DESCENT):
                if resources is not None:
                    violation = self.problem.limits.violation(resources)
                    if smallest is None or violation < smallest[0]:
                        smallest = violation, resources
                    if violation <= 1.0:
                        break
                _, child = morph(rng, architecture, self.problem.rules)
                found = self.problem.resources(child)
                if resources is None or (found is not None and self.problem.limits.violation(found) <= violation):
                    architecture, resources = child, found
            if resources is not None and self.problem.limits.fits(resources) and self._canonical(architecture) not in self._seen:
                return architecture
        assert smallest is not None
        if smallest[0] <= 1.0 or self._seen:
            return None
        raise TargetInfeasibleError(
            f"no candidate fits the target after {MAX_SAMPLES} random architectures, each reduced by up to {MAX_DESCENT} steps; "
            f"the nearest one needs {self.problem.limits.describe(smallest[1])}",
            "raise the budget or lower the reserve of the target",
        )

    def _canonical(self, architecture: Architecture) -> str:
        return canonical(architecture, self.problem.input_shape, self.problem.classes)
