"""Problem: everything that decides a search, besides how a candidate is trained."""

from __future__ import annotations

from dataclasses import dataclass

from microzoo.cost.predict import predict, predict_within
from microzoo.cost.resources import Resources
from microzoo.errors import ArchitectureError
from microzoo.graph.graph import Graph
from microzoo.search.gate import Limits
from microzoo.space.architecture import Architecture
from microzoo.space.lowering import lower
from microzoo.space.sampling import SpaceRules
from microzoo.spec.cores import Core
from microzoo.spec.models import Runtime


@dataclass(frozen=True)
class Problem:
    """What is searched: the input, the runtime, the limits, and how.

    slack: a candidate that needs more than this many times a limit is not trained; 1 is the hard gate. evolve: whether there are
    children at all, or random architectures only. unique: whether a network is proposed once only. error_bound: the error that
    counts as 1 in a tournament, None for the best one in the population. initial_sparsity: random candidates get a sparsity
    between 0 and this one. rungs, reduction: the fidelity schedule, see `search.ladder`.
    """

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
    reference_widths: tuple[float, ...]
    random_parents: int
    max_sparsity: float
    initial_sparsity: float
    slack: float = 1.0
    evolve: bool = True
    unique: bool = True
    error_bound: float | None = None
    rungs: int = 1
    reduction: int = 3

    def graph(self, architecture: Architecture) -> Graph | None:
        """The network, or None where the architecture has no meaning for this input."""
        try:
            return lower(architecture, self.input_shape, self.classes)
        except ArchitectureError:
            return None

    def resources(self, architecture: Architecture) -> Resources | None:
        """Predicted figures, or None where the architecture has no meaning for this input."""
        graph = self.graph(architecture)
        return None if graph is None else predict(graph, self.runtime, self.core)[1]

    def fits(self, architecture: Architecture) -> bool:
        """Whether the architecture fits the target."""
        graph = self.graph(architecture)
        return graph is not None and predict_within(graph, self.runtime, self.core, self.limits.fits) is not None

    def admits(self, resources: Resources) -> bool:
        """The gate: whether a network with these needs may be trained."""
        return self.limits.violation(resources) <= self.slack
