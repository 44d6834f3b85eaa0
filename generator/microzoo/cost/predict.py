"""Prediction: a Graph and a runtime go in; the Graph in its best order and its Resources come out."""

from __future__ import annotations

from dataclasses import dataclass

from microzoo.cost.flash import layer_weight_bytes, weighted
from microzoo.cost.liveness import liveness
from microzoo.cost.macs import macs
from microzoo.cost.memory import minimum
from microzoo.cost.resources import Resources
from microzoo.graph.graph import Graph
from microzoo.graph.ops import Dense, Flatten, Pad
from microzoo.spec.models import Runtime


@dataclass(frozen=True)
class RuntimeCost:
    """What a runtime needs besides activations and the bytes of weights and biases, all in bytes.

    alignment: of the arena (C) or of every activation in it (TFLM). `code`: the runtime's own. Flash and RAM grow with tensors
    (constants included), operators, and output channels of convolutions.
    """

    alignment: int
    aligns_each: bool
    code: int
    flash_per_tensor: int
    flash_per_op: int
    flash_per_channel: int
    ram: int
    ram_per_tensor: int
    ram_per_op: int
    ram_per_channel: int


RUNTIMES: dict[Runtime, RuntimeCost] = {
    # Linked at -O2 for Cortex-M4, M7 and M0+ (6 random models each): flash - weights - 64 B a kernel call was 1.9 to 3.8 KB,
    # depending on which kernels are linked; the most is charged. Object files: 55 (M4) to 62 (M0+) B a call. Requantisation
    # tables are part of `weight_bytes`. The stack was 156 to 184 B there and up to 432 B in an earlier kernel library: 512 B
    # are kept.
    "c": RuntimeCost(
        alignment=4,
        aligns_each=False,
        code=3800,
        flash_per_tensor=0,
        flash_per_op=64,
        flash_per_channel=0,
        ram=512,
        ram_per_tensor=0,
        ram_per_op=0,
        ram_per_channel=0,
    ),
    # Code: 41-48 KB, interpreter and kernels, measured builds for Cortex-M. Flash besides weights: least squares over 138 random
    # models as the TFLite export writes them, within 176 B. RAM: the arena's tail on 32 bits, a fit to builds for Cortex-M:
    # 12 B a tensor, 32 B an operator and 60 B for its data, 8 B a channel, 0.6 KB.
    "tflm": RuntimeCost(
        alignment=16,
        aligns_each=True,
        code=48 * 1024,
        flash_per_tensor=122,
        flash_per_op=44,
        flash_per_channel=12,
        ram=614,
        ram_per_tensor=12,
        ram_per_op=92,
        ram_per_channel=8,
    ),
}
TFLITE_BASE = 512
"""Bytes of a .tflite that belong to no tensor, operator or channel: the same fit as above."""


def predict(graph: Graph, runtime: Runtime) -> tuple[Graph, Resources]:
    """The graph in the order of least peak memory, and what it needs with `runtime` ("c" or "tflm").

    paper_ram_bytes: µNAS' definition, the network's input left out, Add in place, in the best order for that definition.
    paper_size_bytes: parameters at one byte each (BatchNorm folded). RAM and flash of a runtime are upper estimates.
    """
    live = liveness(graph, in_place=True)
    order, activation_bytes = minimum(live)
    _, paper_ram_bytes = minimum(live.without_input())
    weights = biases = constants = channels = layers = 0
    for op, count, outputs in weighted(graph):
        weights += count
        biases += outputs
        constants += layer_weight_bytes(op, count, outputs)
        channels += 0 if isinstance(op, Dense) else outputs
        layers += 1
    cost = RUNTIMES[runtime]
    arena = max(live.aligned(cost.alignment).profile(order)) if cost.aligns_each else activation_bytes
    arena += -arena % cost.alignment
    if runtime == "c":
        tensors, calls = 0, sum([not isinstance(op, Flatten) for op in graph.ops])
        stored = constants
    else:
        tensors = len(graph.shapes) + 2 * layers + sum([isinstance(op, Pad) for op in graph.ops])
        calls = len(graph.ops)
        stored = TFLITE_BASE + weights + 4 * biases
    flash_bytes = cost.code + stored + cost.flash_per_tensor * tensors
    flash_bytes += cost.flash_per_op * calls + cost.flash_per_channel * channels
    ram_bytes = arena + cost.ram + cost.ram_per_tensor * tensors + cost.ram_per_op * calls + cost.ram_per_channel * channels
    resources = Resources(
        activation_bytes=activation_bytes,
        weight_bytes=constants,
        ram_bytes=ram_bytes,
        flash_bytes=flash_bytes,
        macs=macs(graph),
        paper_ram_bytes=paper_ram_bytes,
        paper_size_bytes=weights + biases,
    )
    in_order = order == tuple(range(len(order)))
    return graph if in_order else graph.reordered(order), resources
