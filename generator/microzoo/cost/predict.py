"""Prediction: a Graph and a runtime go in; the Graph in its best order and its Resources come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from microzoo.cost.c_runtime import ARENA_ALIGNMENT, code_bytes, stack_bytes
from microzoo.cost.flash import layer_weight_bytes, weighted
from microzoo.cost.latency import instructions
from microzoo.cost.liveness import Liveness, liveness
from microzoo.cost.macs import macs
from microzoo.cost.memory import minima
from microzoo.cost.resources import Resources
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Dense, Pad
from microzoo.spec.cores import Core
from microzoo.spec.models import Runtime

TFLM_ALIGNMENT = 16
TFLM_CODE_BYTES = 48 * 1024
"""Interpreter and kernels: 41 to 48 KB in measured builds for Cortex-M; the most is charged."""
TFLM_TAIL_BYTES, TFLM_TAIL_PER_TENSOR, TFLM_TAIL_PER_OP, TFLM_TAIL_PER_CHANNEL = 614, 12, 92, 8
"""The arena's tail on 32 bits, a fit to builds for Cortex-M: 0.6 KB, 12 B a tensor (constants too), 32 B an operator and 60 B for
its data, 8 B an output channel of a convolution."""
TFLITE_BASE, TFLITE_PER_TENSOR, TFLITE_PER_OP, TFLITE_PER_CHANNEL = 676, 84, 82, 12
"""Bytes of a .tflite besides weights and biases: least squares over 138 random models as our export writes them, within 157 B."""


def predict(graph: Graph, runtime: Runtime, core: Core) -> tuple[Graph, Resources]:
    """The graph in the order of least peak memory, and what it needs with `runtime` on `core`.

    paper_ram_bytes: µNAS' definition, the network's input left out, Add in place, in the best order for that definition.
    paper_size_bytes: parameters at one byte each (BatchNorm folded). RAM and flash of a runtime are upper estimates.
    """
    return _in_best_order(graph, _fixed(graph, runtime, core), liveness(graph, in_place=True))


def predict_within(
    graph: Graph, runtime: Runtime, core: Core, fits: Callable[[Resources], bool]
) -> tuple[Graph, Resources] | None:
    """What `predict` gives where `fits` holds for it, else None; without a search for the best order where `floor` decides.

    fits: asked about `floor` first, then about the prediction. Must be monotone: what fits still fits when a figure gets smaller.
    """
    live, fixed = liveness(graph, in_place=True), _fixed(graph, runtime, core)
    if not fits(_floor(fixed, live)):
        return None
    predicted = _in_best_order(graph, fixed, live)
    return predicted if fits(predicted[1]) else None


def floor(graph: Graph, runtime: Runtime, core: Core) -> Resources:
    """Bounds from below of what `predict` gives, figure by figure, without a search for the best order.

    Flash, weights, MACs, instructions and parameters are the prediction's own. Activations are those of the operator that needs
    most by itself, its inputs and its output, and RAM is the runtime's for so many. Figures of a chain of operators are exact
    throughout.
    """
    return _floor(_fixed(graph, runtime, core), liveness(graph, in_place=True))


@dataclass(frozen=True)
class _Fixed:
    """What the order of operators does not change. head_alignment: of tensors, as the runtime holds them. ram_bytes: besides
    activations, which are filled up to ram_alignment.
    """

    head_alignment: int
    ram_alignment: int
    ram_bytes: int
    flash_bytes: int
    weight_bytes: int
    macs: int
    instructions: int
    parameters: int

    def resources(self, activation_bytes: int, paper_ram_bytes: int, head: int) -> Resources:
        """All figures. head: bytes of activations as the runtime holds them."""
        return Resources(
            activation_bytes=activation_bytes,
            weight_bytes=self.weight_bytes,
            ram_bytes=head + -head % self.ram_alignment + self.ram_bytes,
            flash_bytes=self.flash_bytes,
            macs=self.macs,
            instructions=self.instructions,
            paper_ram_bytes=paper_ram_bytes,
            paper_size_bytes=self.parameters,
        )


def _fixed(graph: Graph, runtime: Runtime, core: Core) -> _Fixed:
    layers = list(weighted(graph))
    weights, biases = sum([count for _, count, _ in layers]), sum([outputs for _, _, outputs in layers])
    weight_bytes = sum([layer_weight_bytes(count, outputs) for _, count, outputs in layers])
    if runtime == "c":
        head_alignment, ram_alignment = 1, ARENA_ALIGNMENT
        ram_bytes, flash_bytes = stack_bytes(core), weight_bytes + code_bytes(graph, core)
    else:
        head_alignment, ram_alignment = TFLM_ALIGNMENT, 1
        channels = sum(outputs for op, _, outputs in layers if not isinstance(op, Dense))
        tensors = len(graph.shapes) + 2 * len(layers) + sum(isinstance(op, Pad) for op in graph.ops)
        counts = (tensors, len(graph.ops), channels)
        ram_bytes = _linear(TFLM_TAIL_BYTES, (TFLM_TAIL_PER_TENSOR, TFLM_TAIL_PER_OP, TFLM_TAIL_PER_CHANNEL), counts)
        model = _linear(TFLITE_BASE, (TFLITE_PER_TENSOR, TFLITE_PER_OP, TFLITE_PER_CHANNEL), counts)
        flash_bytes = TFLM_CODE_BYTES + model + weights + 4 * biases
    return _Fixed(
        head_alignment,
        ram_alignment,
        ram_bytes,
        flash_bytes,
        weight_bytes,
        macs(graph),
        instructions(graph, core),
        weights + biases,
    )


def _in_best_order(graph: Graph, fixed: _Fixed, live: Liveness) -> tuple[Graph, Resources]:
    order, activation_bytes, paper_ram_bytes = minima(live)
    head = activation_bytes if fixed.head_alignment == 1 else max(live.aligned(fixed.head_alignment).profile(order))
    resources = fixed.resources(activation_bytes, paper_ram_bytes, head)
    in_order = order == tuple(range(len(order)))
    return graph if in_order else graph.reordered(order), resources


def _floor(fixed: _Fixed, live: Liveness) -> Resources:
    activation_bytes = max(live.least())
    head = activation_bytes if fixed.head_alignment == 1 else max(live.aligned(fixed.head_alignment).least())
    return fixed.resources(activation_bytes, max(live.without_input().least()), head)


def _linear(base: int, factors: tuple[int, ...], counts: tuple[int, ...]) -> int:
    """Base + sum of factor * count."""
    return base + sum(factor * count for factor, count in zip(factors, counts, strict=True))
