"""Which candidate comes next, as a pure function of the search's identity and its history.

Candidate number i depends on the seed, on i, and on evaluations 0 .. i - parallel: those that are sure to be in when i is
submitted. Nothing else is remembered, so a search that was killed and started again proposes exactly the same.

The order: reference designs; whatever the fidelity schedule promotes; random architectures until there are `random_parents`;
then children of tournament winners (aging evolution: Real et al. 2019; µNAS: Liberis, Dudziak, Lane 2021, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from microzoo.cost.predict import predict_within
from microzoo.cost.resources import Resources
from microzoo.errors import TargetInfeasibleError
from microzoo.search.fitness import MIN_ERROR, Bounds, draw_weights, scalarise
from microzoo.search.ladder import Ladder, Standing
from microzoo.search.problem import Problem
from microzoo.search.types import RANDOM, REFERENCE, Candidate, Row
from microzoo.space.architecture import Architecture
from microzoo.space.canonical import graph_digest
from microzoo.space.morphisms import morph
from microzoo.space.reference import reference_designs
from microzoo.space.sampling import sample

MAX_SAMPLES = 100
MAX_DESCENT = 150
MAX_CHILDREN = 200
MAX_TOURNAMENTS = 25
SPARSITY_STEP = 0.05

Found = tuple[Architecture, str]
"""An architecture that passed the gate, and its canonical digest."""


class Proposer:
    """Proposes candidates in the order of their ordinals."""

    def __init__(self, problem: Problem) -> None:
        """problem: everything that decides the search."""
        self.problem = problem
        self._first = self._references()
        self._ladder = Ladder(problem.rungs, problem.reduction)
        self._seen: set[str] = set()
        self._known = 0
        self._next = 0
        self._randoms = 0

    def _references(self) -> list[Found]:
        problem = self.problem
        if not problem.references:
            return []
        designs = reference_designs(problem.input_shape, problem.classes, problem.fits, problem.reference_widths)
        graphs = [(architecture, problem.graph(architecture)) for _, architecture in designs]
        return [(architecture, graph_digest(graph)) for architecture, graph in graphs if graph is not None]

    @property
    def next_ordinal(self) -> int:
        """Ordinal of the candidate that `propose` gives next."""
        return self._next

    def replay(self, candidate: Candidate) -> None:
        """Takes note of a candidate that was proposed; ordinals without gaps."""
        assert candidate.ordinal == self._next, (candidate.ordinal, self._next)
        self._seen.add(candidate.canonical)
        if candidate.promoted_from is not None:
            self._ladder.promote(candidate.promoted_from, candidate.rung - 1)
        elif candidate.origin == RANDOM:
            self._randoms += 1
        self._next += 1

    def propose(self, history: Sequence[Row]) -> Candidate | None:
        """The next candidate, given at least the evaluations 0 .. ordinal - parallel (more are ignored).

        None where everything that passes the gate and was found within the sampler's effort has been proposed already. Raises
        TargetInfeasibleError where nothing passes at all.
        """
        ordinal = self._next
        known = max(0, ordinal - self.problem.parallel + 1)
        for row in history[self._known : known]:
            self._ladder.add(row)
        self._known = max(self._known, known)
        rng = np.random.default_rng([self.problem.seed, ordinal])
        candidate = self._candidate(rng, ordinal, history[max(0, known - self.problem.population) : known])
        if candidate is not None:
            self.replay(candidate)
        return candidate

    def _candidate(self, rng: np.random.Generator, ordinal: int, newest: Sequence[Row]) -> Candidate | None:
        """newest: the population, those that failed included."""
        for architecture, digest in self._first:
            if digest not in self._seen:
                return Candidate(ordinal, architecture.to_json(), digest, 0.0, None, REFERENCE)
        # A candidate whose promotion failed is as old as its last success.
        oldest = newest[0].candidate.ordinal if newest else 0
        parents = [known for known in self._ladder.standings(newest) if known.row.candidate.ordinal >= oldest]
        if parents and (rung := self._ladder.due()) is not None:
            return _promoted(ordinal, self._ladder.choose(rung, self._bounds(parents), rng))
        if self.problem.evolve and self._randoms >= self.problem.random_parents and parents:
            child = self._child(rng, ordinal, parents)
            if child is not None:
                return child
        sparsity = float(rng.uniform(0.0, self.problem.initial_sparsity))
        found = self._random(rng)
        return None if found is None else Candidate(ordinal, found[0].to_json(), found[1], sparsity, None, RANDOM)

    def _bounds(self, parents: Sequence[Standing]) -> Bounds:
        error = self.problem.error_bound
        if error is None:
            error = max(MIN_ERROR, min(parent.error for parent in parents))
        return Bounds(error, self.problem.limits)

    def _child(self, rng: np.random.Generator, ordinal: int, parents: Sequence[Standing]) -> Candidate | None:
        """Tournament, then a random morphism that passes and is new; after many failures another tournament, at last None."""
        bounds = self._bounds(parents)
        for _ in range(MAX_TOURNAMENTS):
            weights = draw_weights(rng)
            size = min(self.problem.tournament, len(parents))
            drawn = [parents[index] for index in sorted(rng.choice(len(parents), size, replace=False).tolist())]
            fitness = scalarise(np.array([standing.objectives for standing in drawn]), bounds, weights)
            parent = drawn[int(np.argmin(fitness))].row.candidate
            for _ in range(MAX_CHILDREN):
                name, child = morph(rng, parent.architecture, self.problem.rules)
                digest = self._admitted(child)
                if digest is not None:
                    sparsity = float(np.clip(parent.sparsity + rng.normal(0.0, SPARSITY_STEP), 0.0, self.problem.max_sparsity))
                    return Candidate(ordinal, child.to_json(), digest, sparsity, parent.ordinal, name)
        return None

    def _admitted(self, architecture: Architecture) -> str | None:
        """The canonical digest of an architecture that passes the gate and was not proposed before; else None."""
        problem = self.problem
        graph = problem.graph(architecture)
        if graph is None or predict_within(graph, problem.runtime, problem.core, problem.admits) is None:
            return None
        digest = graph_digest(graph)
        return None if self.problem.unique and digest in self._seen else digest

    def _random(self, rng: np.random.Generator) -> Found | None:
        """A random architecture, walked by morphisms that lower its worst ratio until it passes; None: all found are known."""
        smallest: tuple[float, Resources] | None = None
        for _ in range(MAX_SAMPLES):
            architecture = sample(rng, self.problem.rules)
            resources = self.problem.resources(architecture)
            for _ in range(MAX_DESCENT):
                if resources is not None:
                    violation = self.problem.limits.violation(resources)
                    if smallest is None or violation < smallest[0]:
                        smallest = violation, resources
                    if self.problem.admits(resources):
                        break
                _, child = morph(rng, architecture, self.problem.rules)
                found = self.problem.resources(child)
                if resources is None or (found is not None and self.problem.limits.violation(found) <= violation):
                    architecture, resources = child, found
            digest = self._admitted(architecture)
            if digest is not None:
                return architecture, digest
        assert smallest is not None
        if self.problem.admits(smallest[1]) or self._seen:
            return None
        raise TargetInfeasibleError(
            f"no candidate fits the target after {MAX_SAMPLES} random architectures, each reduced by up to {MAX_DESCENT} steps; "
            f"the nearest one needs {self.problem.limits.describe(smallest[1])}",
            "raise the budget or lower the reserve of the target",
        )


def _promoted(ordinal: int, row: Row) -> Candidate:
    """The same candidate one rung up."""
    below = row.candidate
    return Candidate(
        ordinal,
        below.design,
        below.canonical,
        below.sparsity,
        below.parent,
        below.origin,
        rung=below.rung + 1,
        promoted_from=below.ordinal,
    )
